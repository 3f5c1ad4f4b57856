import Configuration
import OTTL
import Telemetry

extension Settings {
    /// The `include` and `exclude` of older files, as the conditions that say the same; what cannot be said is refused.
    mutating func legacyConditions(_ signal: Signal, _ mode: OTTLErrorMode) -> [ConditionOption] {
        var found: [ConditionOption] = []
        for key in ["include", "exclude"] {
            guard let value = value(key, "The older form; write conditions instead."), value != .null else { continue }
            guard let match = LegacyFilter.condition(value, signal) else {
                problem(
                    "include and exclude were replaced by conditions: write them under \(LegacyFilter.place(signal))",
                    at: key)
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

/// Matches of the `filter` processor's older form.
enum LegacyFilter {
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

    /// The condition that a match stands for, nil when something in it has no such condition.
    static func condition(_ value: ConfigValue, _ signal: Signal) -> String? {
        guard case .map(let members) = value else { return nil }
        let type = members.first { $0.0 == "match_type" }?.1
        guard type == .string("regexp") || type == .string("strict") else { return nil }
        var parts: [String] = []
        for (key, value) in members where key != "match_type" && key != "regexp" {
            guard case .list(let entries) = value else { return nil }
            let tests = entries.compactMap { test(key, $0, type == .string("regexp")) }
            // Whether all or one of several attributes must match depends on the signal.
            guard tests.count == entries.count, tests.count <= 1 || !key.contains("attributes") else { return nil }
            if !tests.isEmpty { parts.append(tests.count == 1 ? tests[0] : "(\(tests.joined(separator: " or ")))") }
        }
        return parts.isEmpty ? nil : parts.joined(separator: " and ")
    }

    private static func test(_ key: String, _ entry: ConfigValue, _ isPattern: Bool) -> String? {
        func compare(_ path: String, _ text: String) -> String {
            isPattern ? "IsMatch(\(path), \(literal(text)))" : "\(path) == \(literal(text))"
        }
        switch (key, entry) {
        case ("metric_names", .string(let text)), ("span_names", .string(let text)): return compare("name", text)
        case ("services", .string(let text)): return compare("resource.attributes[\"service.name\"]", text)
        case ("severity_texts", .string(let text)): return compare("severity_text", text)
        case ("bodies", .string(let text)): return compare("body", text)
        case ("resource_attributes", .map(let pair)), ("resources", .map(let pair)):
            return attribute("resource.attributes", pair).map { compare($0.0, $0.1) }
        case ("record_attributes", .map(let pair)), ("attributes", .map(let pair)):
            return attribute("attributes", pair).map { compare($0.0, $0.1) }
        default: return nil
        }
    }

    private static func attribute(_ path: String, _ pair: [(String, ConfigValue)]) -> (String, String)? {
        let name = pair.first { $0.0.lowercased() == "key" }?.1
        let value = pair.first { $0.0.lowercased() == "value" }?.1
        guard case .string(let name) = name, case .string(let value) = value else { return nil }
        return ("\(path)[\(literal(name))]", value)
    }

    /// A text as OTTL writes it.
    private static func literal(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
