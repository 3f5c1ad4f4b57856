package import Configuration
import OTTL
import Telemetry

/// Options of the `filter` processor: the Collector's, and `reparent`.
package struct FilterOptions: ComponentOptions {
    package var conditions: [ConditionOption] = []
    package var reparents: Bool

    package init(_ settings: inout Settings) {
        let mode = settings.choice(
            "error_mode", default: OTTLErrorMode.propagate,
            "What a condition that fails on a record does: ignore and silent take it as not met, propagate refuses "
                + "the request.")
        conditions += settings.group("traces", "Conditions on traces; records for which one holds are dropped.") {
            $0.conditions("resource", .resource, label: "traces.resource", mode, "Drops all spans of a resource.")
                + $0.conditions("span", .span, label: "traces.span", mode, "Drops spans.")
                + $0.conditions("spanevent", .spanevent, label: "traces.spanevent", mode, "Drops events of spans.")
        }
        conditions += settings.group("logs", "Conditions on log records.") { inner in
            LegacyFilter.refuse(&inner, .logs)
            return inner.conditions("resource", .resource, label: "logs.resource", mode, "Drops all of a resource.")
                + inner.conditions("log_record", .log, label: "logs.log_record", mode, "Drops log records.")
        }
        conditions += settings.group("metrics", "Conditions on metrics.") { inner in
            LegacyFilter.refuse(&inner, .metrics)
            return inner.conditions("resource", .resource, label: "metrics.resource", mode, "Drops all of a resource.")
                + inner.conditions("metric", .metric, label: "metrics.metric", mode, "Drops metrics.")
                + inner.conditions("datapoint", .datapoint, label: "metrics.datapoint", mode, "Drops data points.")
        }
        conditions += settings.inferredConditions(
            "trace_conditions", .traces, mode,
            "Conditions whose paths (span.name, resource.attributes) say what is dropped; or groups of them.")
        conditions += settings.inferredConditions("log_conditions", .logs, mode, "The same for log records.")
        conditions += settings.inferredConditions("metric_conditions", .metrics, mode, "The same for metrics.")
        _ = settings.optionalGroup("spans", "The older form; write conditions instead.") {
            LegacyFilter.refuse(&$0, .traces)
        }
        reparents = settings.bool(
            "reparent", default: false,
            "Gives children of a dropped span its nearest kept ancestor as parent, and a link to the dropped span.")
        if conditions.isEmpty, !settings.isDescribing {
            settings.problem("needs a condition, such as traces: {span: ['name == \"x\"']}")
        }
    }

    /// Conditions that are about a signal.
    func conditions(of signal: Signal) -> [ConditionOption] {
        conditions.filter { option in
            option.label.hasPrefix(signal.description)
                || option.label.hasPrefix("\(signal.description.dropLast())_conditions")
        }
    }
}

/// The `include` and `exclude` of older files: refused, with the conditions that say the same.
enum LegacyFilter {
    static func refuse(_ settings: inout Settings, _ signal: Signal) {
        for key in ["include", "exclude"] {
            guard let value = settings.value(key, "The older form; write conditions instead."), value != .null else {
                continue
            }
            let negation = key == "include" ? "not " : ""
            let words = condition(value, signal).map { ": write `\(place(signal)): ['\(negation)(\($0))']`" } ?? ""
            settings.problem("include and exclude were replaced by conditions\(words)", at: key)
        }
    }

    private static func place(_ signal: Signal) -> String {
        switch signal {
        case .traces: "traces: span"
        case .logs: "log_record"
        case .metrics: "metric"
        }
    }

    /// The condition that a match stands for, nil when nothing in it is understood.
    private static func condition(_ value: ConfigValue, _ signal: Signal) -> String? {
        guard case .map(let members) = value else { return nil }
        let isPattern = members.contains { $0.0 == "match_type" && $0.1 == .string("regexp") }
        var parts: [String] = []
        for (key, value) in members {
            guard case .list(let entries) = value else { continue }
            let tests = entries.compactMap { test(key, $0, isPattern, signal) }
            if !tests.isEmpty { parts.append(tests.count == 1 ? tests[0] : "(\(tests.joined(separator: " or ")))") }
        }
        return parts.isEmpty ? nil : parts.joined(separator: " and ")
    }

    private static func test(
        _ key: String, _ entry: ConfigValue, _ isPattern: Bool, _ signal: Signal
    ) -> String? {
        func compare(_ path: String, _ text: String) -> String {
            isPattern ? "IsMatch(\(path), \"\(text)\")" : "\(path) == \"\(text)\""
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
        return ("\(path)[\"\(name)\"]", value)
    }
}
