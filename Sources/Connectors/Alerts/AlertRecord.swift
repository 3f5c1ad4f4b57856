import Telemetry

/// The log record of an alert: the form in which alerts stand in journals, databases and notifications.
package enum AlertRecord {
    package static let eventName = "sluice.alert"

    /// The record of one event; a resolved alert is informational whatever the severity of its rule.
    package static func make(_ event: AlertMonitor.Event, _ rule: AlertRule, connector: String) -> EventLog {
        let isOver = event.state == .resolved
        var record = EventLog(
            name: eventName, time: event.time, severity: isOver ? 9 : rule.severity.number,
            body: sentence(event, rule))
        let group = zip(rule.groupBy, event.group).map { "\($0)=\($1)" }.joined(separator: ", ")
        var attributes: [(key: String, value: EventLog.Value)] = [
            ("sluice.alert.rule", .text(rule.name)), ("sluice.alert.state", .text(event.state.rawValue)),
            ("sluice.alert.severity", .text(rule.severity.rawValue)),
            ("sluice.alert.dedup_key", .text(dedupKey(event, rule, connector: connector))),
            ("sluice.alert.metric", .text(rule.metric.rawValue)),
            ("sluice.alert.aggregation", .text(rule.aggregation.rawValue)),
            ("sluice.alert.operator", .text(rule.comparison.rawValue)),
            ("sluice.alert.threshold", .double(rule.threshold)),
            ("sluice.alert.window_seconds", .double(Double(rule.window) / 1e9)),
            ("sluice.alert.count", .int(event.count)), ("sluice.alert.since", .int(Int(clamping: event.since))),
        ]
        if let value = event.value { attributes.append(("sluice.alert.value", .double(value))) }
        if !group.isEmpty { attributes.append(("sluice.alert.group", .text(group))) }
        if !rule.message.isEmpty { attributes.append(("sluice.alert.message", .text(rule.message))) }
        if !rule.runbook.isEmpty { attributes.append(("sluice.alert.runbook_url", .text(rule.runbook))) }
        let origin = event.origin
        if !origin.explanation.isEmpty { attributes.append(("sluice.alert.example", .text(origin.explanation))) }
        if !origin.conversation.isEmpty { attributes.append(("gen_ai.conversation.id", .text(origin.conversation))) }
        record.attributes = attributes
        record.traceID = bytes(origin.trace, count: 16)
        record.spanID = bytes(origin.span, count: 8)
        return record
    }

    /// The same for all notifications of one group of one rule.
    static func dedupKey(_ event: AlertMonitor.Event, _ rule: AlertRule, connector: String) -> String {
        let hash = AlertsConnector.hash((rule.name + "\u{1E}" + AlertMonitor.key(event.group)).utf8)
        let name = rule.name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? String($0).lowercased() : "-" }
        return "sluice/\(connector)/\(name.joined().prefix(80))/\(hash.hexDigits)"
    }

    static func sentence(_ event: AlertMonitor.Event, _ rule: AlertRule) -> String {
        let value = event.value.map(number) ?? "nothing"
        let what = "\(rule.metric.rawValue) (\(rule.aggregation.rawValue)) is \(value)"
        let group = zip(rule.groupBy, event.group).map { "\($0)=\($1)" }.joined(separator: ", ")
        let place = group.isEmpty ? "" : " for \(group)"
        let span = "over \(number(Double(rule.window) / 1e9)) s, \(event.count) values"
        switch event.state {
        case .open:
            return "\(rule.name)\(place): \(what), \(rule.comparison.rawValue) \(number(rule.threshold)) \(span)"
        case .reminder:
            let minutes = (event.time - min(event.since, event.time)) / 60_000_000_000
            return "\(rule.name)\(place): still, for \(minutes) min: \(what) \(span)"
        case .resolved: return "\(rule.name)\(place): over: \(what) \(span)"
        }
    }

    /// At most four digits behind the point, none that say nothing.
    static func number(_ value: Double) -> String {
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == rounded.rounded() && abs(rounded) < 1e15 ? String(Int(rounded)) : String(rounded)
    }

    private static func bytes(_ hex: String, count: Int) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == count * 2 else { return [] }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
