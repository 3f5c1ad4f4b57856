package import Configuration
import OTTL
import Telemetry

/// Options of the `filter` processor: the Collector's, and `reparent`.
package struct FilterOptions: ComponentOptions {
    package var conditions: [ConditionOption] = []
    package var reparents: Bool

    package init(_ settings: inout Settings) {
        let mode = settings.choice(
            "error_mode", default: OTTLErrorMode.ignore,
            "What a condition that fails on a record does: ignore and silent take it as not met, ignore tells it in "
                + "the log, propagate refuses the request" + OTTLErrorMode.behindJournal)
        conditions += settings.group("traces", "Conditions on traces; records for which one holds are dropped.") {
            $0.conditions("resource", .resource, label: "traces.resource", mode, "Drops all spans of a resource.")
                + $0.conditions("span", .span, label: "traces.span", mode, "Drops spans.")
                + $0.conditions("spanevent", .spanevent, label: "traces.spanevent", mode, "Drops events of spans.")
        }
        conditions += settings.group("logs", "Conditions on log records.") { inner in
            inner.legacyConditions(.logs, mode)
                + inner.conditions("resource", .resource, label: "logs.resource", mode, "Drops all of a resource.")
                + inner.conditions("log_record", .log, label: "logs.log_record", mode, "Drops log records.")
        }
        conditions += settings.group("metrics", "Conditions on metrics.") { inner in
            inner.legacyConditions(.metrics, mode)
                + inner.conditions("resource", .resource, label: "metrics.resource", mode, "Drops all of a resource.")
                + inner.conditions("metric", .metric, label: "metrics.metric", mode, "Drops metrics.")
                + inner.conditions("datapoint", .datapoint, label: "metrics.datapoint", mode, "Drops data points.")
        }
        conditions += settings.inferredConditions(
            "trace_conditions", .traces, mode,
            "Conditions whose paths (span.name, resource.attributes) say what is dropped; or groups of them.")
        conditions += settings.inferredConditions("log_conditions", .logs, mode, "The same for log records.")
        conditions += settings.inferredConditions("metric_conditions", .metrics, mode, "The same for metrics.")
        conditions += settings.group("spans", "The older form; write conditions under traces instead.") {
            $0.legacyConditions(.traces, mode)
        }
        reparents = settings.bool(
            "reparent", default: false,
            "Gives children of a dropped span its nearest kept ancestor as parent, and a link to the dropped span.")
        for key in ["profiles", "profile_conditions"] { settings.accepted(key, "there are no profiles here") }
        warnOfUnused(&settings)
        if conditions.isEmpty, !FilterOptions.keys.contains(where: settings.isPresent) {
            settings.warning("has no condition and drops nothing", fix: "write e.g. traces: {span: ['name == \"x\"']}")
        }
    }

    /// Conditions behind one that drops everything, and such as stand twice.
    private func warnOfUnused(_ settings: inout Settings) {
        var all: [String: String] = [:]
        var seen: [String: String] = [:]
        for option in conditions {
            // The list that it stands in, and the option at the top that the list is in.
            let list = option.label.prefix { $0 != "[" }
            let key = String(list.prefix { $0 != "." })
            let place = "\(list) \(option.context.rawValue)"
            if let earlier = all[place] {
                settings.warning(
                    "\(option.label) is never asked: \(earlier) is always true and drops everything",
                    fix: "remove one of them", at: key)
                continue
            }
            if ConditionText.isAlwaysTrue(option.text, option.context) { all[place] = option.label }
            guard let text = ConditionText.canonical(option.text, option.context) else { continue }
            if let earlier = seen["\(place) \(text)"] {
                settings.warning(
                    "\(option.label) drops nothing: \(earlier) is the same condition", fix: "remove it", at: key)
            } else {
                seen["\(place) \(text)"] = option.label
            }
        }
    }

    private static let keys = [
        "traces", "logs", "metrics", "spans", "trace_conditions", "log_conditions", "metric_conditions",
    ]

    /// Conditions that are about a signal.
    func conditions(of signal: Signal) -> [ConditionOption] {
        conditions.filter { option in
            option.label.hasPrefix(signal.description)
                || option.label.hasPrefix("\(signal.description.dropLast())_conditions")
        }
    }
}
