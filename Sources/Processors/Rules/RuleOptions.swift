import Configuration
package import OTTL
import Telemetry

/// One condition of the file with what it is about.
package struct ConditionOption: Sendable, Equatable {
    /// Where it stands, for metrics and messages: `traces.span[0]`.
    package var label: String
    package var text: String
    package var context: OTTLContext
    package var errorMode: OTTLErrorMode
}

/// Statements that run together on every record of one context.
package struct StatementGroup: Sendable, Equatable {
    package var label: String
    package var context: OTTLContext
    package var errorMode: OTTLErrorMode
    /// One must hold; all records when empty.
    package var conditions: [String]
    package var statements: [String]
}

extension Settings {
    /// A list of conditions for one context.
    mutating func conditions(
        _ key: String, _ context: OTTLContext, label: String, _ mode: OTTLErrorMode, _ sentence: String
    ) -> [ConditionOption] {
        let texts = strings(key, default: [], sentence)
        return texts.enumerated().map { index, text in
            check(condition: text, context, at: key)
            return ConditionOption(label: "\(label)[\(index)]", text: text, context: context, errorMode: mode)
        }
    }

    /// The Collector's newer list of conditions: texts whose paths say what they are about, or groups with `context`,
    /// `error_mode` and `conditions`.
    mutating func inferredConditions(
        _ key: String, _ signal: Signal, _ mode: OTTLErrorMode, _ sentence: String
    ) -> [ConditionOption] {
        var found: [ConditionOption] = []
        // A list with faults is not an empty one.
        var faulty: [ConditionOption] = []
        for (index, entry) in openList(key, sentence).enumerated() {
            let label = "\(key)[\(index)]"
            switch entry {
            case .string(let text):
                let context = inferred(conditions: [text], statements: [], signal, at: key)
                let made = ConditionOption(
                    label: label, text: text, context: context ?? .resource, errorMode: mode)
                if context == nil { faulty.append(made) } else { found.append(made) }
            case .map(let members):
                let group = OpenGroup(members, key: label, mode, allowsStatements: false, &self)
                for (number, text) in group.conditions.enumerated() {
                    let context = group.context ?? inferred(conditions: [text], statements: [], signal, at: key)
                    let made = ConditionOption(
                        label: "\(label).conditions[\(number)]", text: text, context: context ?? .resource,
                        errorMode: group.errorMode)
                    if context == nil { faulty.append(made) } else { found.append(made) }
                }
            default: problem("entry \(index) is neither a condition nor a group with conditions", at: key)
            }
        }
        for option in found { check(condition: option.text, option.context, at: key) }
        return found + faulty
    }

    /// Statements in either form of the Collector's: texts, or groups with `context`, `conditions` and `statements`.
    mutating func statementGroups(
        _ key: String, _ signal: Signal, _ mode: OTTLErrorMode, _ sentence: String
    ) -> [StatementGroup] {
        var groups: [StatementGroup] = []
        var flat: [String] = []
        // A list with faults is not an empty one.
        var faulty: [StatementGroup] = []
        for (index, entry) in openList(key, sentence).enumerated() {
            switch entry {
            case .string(let text): flat.append(text)
            case .map(let members):
                let group = OpenGroup(members, key: "\(key)[\(index)]", mode, allowsStatements: true, &self)
                if group.statements.isEmpty { problem("entry \(index) has no statements", at: key) }
                let context =
                    group.context
                    ?? inferred(conditions: group.conditions, statements: group.statements, signal, at: key)
                let made = StatementGroup(
                    label: "\(key)[\(index)]", context: context ?? .resource, errorMode: group.errorMode,
                    conditions: group.conditions, statements: group.statements)
                if context == nil { faulty.append(made) } else { groups.append(made) }
            default: problem("entry \(index) is neither a statement nor a group with statements", at: key)
            }
        }
        if !flat.isEmpty {
            let context = inferred(conditions: [], statements: flat, signal, at: key)
            let made = StatementGroup(
                label: key, context: context ?? .resource, errorMode: mode, conditions: [], statements: flat)
            if context == nil { faulty.append(made) } else { groups.append(made) }
        }
        let contexts = OTTLContext.all(of: signal)
        for group in groups {
            guard contexts.contains(group.context) else {
                problem("\(group.context.rawValue) is no context of \(signal)", at: key)
                continue
            }
            for text in group.conditions { check(condition: text, group.context, at: key) }
            let isJoined = group.conditions.isEmpty && group.statements.count > 1
            for text in group.statements {
                let alone = isJoined ? (try? OTTLInference.context(statements: [text], signal: signal)) : nil
                check(statement: text, group.context, alone: alone, at: key)
            }
        }
        return groups + faulty
    }

    private mutating func openList(_ key: String, _ sentence: String) -> [ConfigValue] {
        switch value(key, sentence) {
        case nil, .null: return []
        case .list(let entries): return entries
        default:
            problem("expects a list", at: key)
            return []
        }
    }

    /// What the texts are about, nil when one of them is faulty; each fault is reported at its own text.
    private mutating func inferred(
        conditions: [String], statements: [String], _ signal: Signal, at key: String
    ) -> OTTLContext? {
        var isFaulty = false
        for text in conditions + statements {
            let isStatement = statements.contains(text)
            do throws(OTTLProblem) {
                _ = try OTTLInference.context(
                    conditions: isStatement ? [] : [text], statements: isStatement ? [text] : [], signal: signal)
            } catch {
                problem("\(isStatement ? "statement" : "condition") \(text): \(error)", at: key, on: text)
                isFaulty = true
            }
        }
        if isFaulty { return nil }
        return try? OTTLInference.context(conditions: conditions, statements: statements, signal: signal)
    }
}

/// A group of an open list, read from plain values.
private struct OpenGroup {
    var context: OTTLContext?
    var errorMode: OTTLErrorMode
    var conditions: [String] = []
    var statements: [String] = []

    init(
        _ members: [(String, ConfigValue)], key: String, _ mode: OTTLErrorMode, allowsStatements: Bool,
        _ settings: inout Settings
    ) {
        errorMode = mode
        let root = String(key.prefix { $0 != "[" })
        for (name, value) in members {
            switch (name, value) {
            case ("context", .string(let text)):
                context = OTTLContext(rawValue: text)
                if context == nil, !text.isEmpty {
                    let names = OTTLContext.allCases.map(\.rawValue)
                    let hint = Suggestion.nearest(to: text, among: names).map { ", did you mean \($0)?" } ?? ""
                    settings.problem("\(key) has the unknown context \(text)\(hint)", at: root)
                }
            case ("error_mode", .string(let text)):
                guard let mode = OTTLErrorMode(rawValue: text) else {
                    settings.problem("\(key): error_mode is ignore, silent or propagate, not \(text)", at: root)
                    continue
                }
                errorMode = mode
            case ("conditions", .list(let entries)): conditions = OpenGroup.texts(entries, key, root, &settings)
            case ("statements", .list(let entries)) where allowsStatements:
                statements = OpenGroup.texts(entries, key, root, &settings)
            default:
                let known = ["context", "error_mode", "conditions"] + (allowsStatements ? ["statements"] : [])
                let hint = Suggestion.nearest(to: name, among: known).map { ", did you mean \($0)?" } ?? ""
                settings.problem("\(key) cannot have \(name) of this form\(hint)", at: root)
            }
        }
    }

    private static func texts(
        _ entries: [ConfigValue], _ key: String, _ root: String, _ settings: inout Settings
    ) -> [String] {
        entries.compactMap { entry in
            if case .string(let text) = entry { return text }
            settings.problem("\(key) holds something that is no text", at: root)
            return nil
        }
    }
}

extension OTTLErrorMode {
    /// The end of options' sentences about `propagate`.
    static let behindJournal =
        ". In `process` of an exporter and behind connectors, where nobody can be refused any more, propagate keeps "
        + "the records that fail as dead letters; behind processors that look at whole traces it drops the trace, "
        + "counted as `processor_failed`."
}
