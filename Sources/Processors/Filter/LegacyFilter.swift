import Configuration
import OTTL
import Telemetry

extension Settings {
    /// The `include` and `exclude` of older files, as the conditions that say the same; what cannot be said is refused.
    mutating func legacyConditions(_ signal: Signal, _ mode: OTTLErrorMode) -> [ConditionOption] {
        var found: [ConditionOption] = []
        for key in ["include", "exclude"] {
            guard let value = value(key, "The older form; write conditions instead."), value != .null else { continue }
            let match: String
            do throws(LegacyFilter.Fault) {
                match = try LegacyFilter.condition(value, signal)
            } catch {
                problem("\(error.words): write it as a condition under \(LegacyFilter.place(signal))", at: key)
                continue
            }
            let text = key == "include" ? "not (\(match))" : match
            warning(
                "is the older form of a condition", fix: "write `\(LegacyFilter.place(signal)): ['\(text)']`", at: key)
            let context = LegacyFilter.context(signal)
            check(condition: text, context, at: key)
            found.append(
                ConditionOption(label: "\(signal).\(key)", text: text, context: context, errorMode: mode))
        }
        return found
    }
}

/// Matches of the `filter` processor's older form. Entries of one list are alternatives, but all attributes must match;
/// what stands under different keys must match together.
enum LegacyFilter {
    /// What of a match has no condition, in words for the user.
    struct Fault: Error {
        var words: String
    }

    static func context(_ signal: Signal) -> OTTLContext {
        switch signal {
        case .traces: .span
        case .logs: .log
        case .metrics: .metric
        }
    }

    static func place(_ signal: Signal) -> String {
        switch signal {
        case .traces: "traces: span"
        case .logs: "log_record"
        case .metrics: "metric"
        }
    }

    /// The condition that a match stands for.
    static func condition(_ value: ConfigValue, _ signal: Signal) throws(Fault) -> String {
        guard case .map(let members) = value else { throw Fault(words: "is no mapping") }
        // A severity is compared as a number, so a match of it alone has no type.
        let needsType = members.contains { $0.0 != "severity_number" && $0.1 != .null }
        let type = if case .string(let word)? = member("match_type", of: members) { word } else { "" }
        guard ["regexp", "strict", "expr"].contains(type) || !needsType
        else { throw Fault(words: "match_type must be strict, regexp or expr") }
        var parts: [String] = []
        for (key, value) in members where key != "match_type" && key != "regexp" && value != .null {
            let part =
                switch key {
                case "severity_number": try severity(value)
                case "expressions": try alternatives(key, value, LegacyExpression.condition)
                default: try list(key, value, isPattern: type == "regexp")
                }
            if !part.isEmpty { parts.append(part) }
        }
        if parts.isEmpty { throw Fault(words: "matches nothing that is known") }
        return parts.joined(separator: " and ")
    }

    private static func list(_ key: String, _ value: ConfigValue, isPattern: Bool) throws(Fault) -> String {
        if key.contains("attributes") || key == "resources" {
            var tests: [String] = []
            for entry in try entries(key, value) { tests.append(try attribute(key, entry, isPattern)) }
            return tests.joined(separator: " and ")
        }
        return try alternatives(key, value) { (entry) throws(Fault) in try test(key, entry, isPattern) }
    }

    private static func alternatives(
        _ key: String, _ value: ConfigValue, _ read: (ConfigValue) throws(Fault) -> String
    ) throws(Fault) -> String {
        var tests: [String] = []
        for entry in try entries(key, value) { tests.append(try read(entry)) }
        return tests.count > 1 ? "(\(tests.joined(separator: " or ")))" : tests.first ?? ""
    }

    private static func entries(_ key: String, _ value: ConfigValue) throws(Fault) -> [ConfigValue] {
        guard case .list(let entries) = value else { throw Fault(words: "\(key) is no list") }
        return entries
    }

    private static func test(_ key: String, _ entry: ConfigValue, _ isPattern: Bool) throws(Fault) -> String {
        let path: String? =
            switch key {
            case "metric_names", "span_names": "name"
            case "services": "resource.attributes[\"service.name\"]"
            case "severity_texts": "severity_text"
            case "bodies": "body"
            case "span_kinds": "kind.deprecated_string"
            default: nil
            }
        if key == "libraries" { return try library(entry, isPattern) }
        guard let path, case .string(let text) = entry else { throw Fault(words: "\(key) has no condition here") }
        return compare(path, text, isPattern)
    }

    /// Name and version of a scope; without a version any will do.
    private static func library(_ entry: ConfigValue, _ isPattern: Bool) throws(Fault) -> String {
        guard case .map(let members) = entry, case .string(let name)? = member("name", of: members) else {
            throw Fault(words: "an entry of libraries has no name")
        }
        let test = compare("instrumentation_scope.name", name, isPattern)
        guard case .string(let version)? = member("version", of: members) else { return test }
        return "(\(test) and \(compare("instrumentation_scope.version", version, isPattern)))"
    }

    private static func attribute(_ key: String, _ entry: ConfigValue, _ isPattern: Bool) throws(Fault) -> String {
        guard case .map(let members) = entry, case .string(let name)? = member("key", of: members) else {
            throw Fault(words: "an entry of \(key) has no key")
        }
        let owner = key.hasPrefix("resource") ? "resource.attributes" : "attributes"
        let path = "\(owner)[\(literal(name))]"
        switch member("value", of: members) {
        case nil, .null?: return "\(path) != nil"
        case .string(let text)?: return compare(path, text, isPattern)
        case .int(let number)?: return "\(path) == \(number)"
        case .double(let number)?: return "\(path) == \(number)"
        case .bool(let flag)?: return "\(path) == \(flag)"
        default: throw Fault(words: "the value of \(name) in \(key) is a list or mapping")
        }
    }

    private static func member(_ name: String, of members: [(String, ConfigValue)]) -> ConfigValue? {
        members.first { $0.0.lowercased() == name }?.1
    }

    /// Severities from a least one on.
    private static func severity(_ value: ConfigValue) throws(Fault) -> String {
        guard case .map(let members) = value else { throw Fault(words: "severity_number is no mapping") }
        var least = 0
        switch member("min", of: members) {
        case .int(let number)?: least = number
        case .string(let text)?:
            guard let number = severities[text.uppercased()] else {
                throw Fault(words: "severity_number.min is \(text.prefix(20)), which is no severity")
            }
            least = number
        case nil, .null?: break
        default: throw Fault(words: "severity_number.min is no severity")
        }
        let takesUndefined = member("match_undefined", of: members) == .bool(true)
        let test = "severity_number >= \(max(1, least))"
        return takesUndefined ? "(\(test) or severity_number == 0)" : test
    }

    /// TRACE = 1, TRACE2 = 2 and so on.
    private static let severities: [String: Int] = {
        var names = ["UNDEFINED": 0]
        for (index, name) in ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].enumerated() {
            for step in 1...4 { names[step == 1 ? name : "\(name)\(step)"] = index * 4 + step }
        }
        return names
    }()

    private static func compare(_ path: String, _ text: String, _ isPattern: Bool) -> String {
        isPattern ? "IsMatch(\(path), \(literal(text)))" : "\(path) == \(literal(text))"
    }

    /// A text as OTTL writes it.
    static func literal(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
