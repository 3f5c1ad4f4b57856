import OTLP
package import Pipeline
import Telemetry

/// An alert as the `alerts` connector writes it into a log record.
package struct AlertNotice: Sendable, Equatable {
    /// What became of the alert, by the words of the log record.
    package enum State: String, Sendable { case open, reminder, resolved }
    /// The severity of the rule, by the words of the log record.
    package enum Severity: String, Sendable { case info, warning, error, critical }

    package var state = State.open
    package var severity = Severity.warning
    package var rule = ""
    package var sentence = ""
    package var dedupKey = ""
    /// Unix nanoseconds.
    package var time: UInt64 = 0
    package var since: UInt64 = 0
    package var metric = ""
    package var aggregation = ""
    package var comparison = ""
    package var threshold = 0.0
    package var value: Double?
    package var count = 0
    package var windowSeconds = 0.0
    package var group = ""
    package var message = ""
    package var runbook = ""
    package var example = ""
    package var conversation = ""
    /// Hexadecimal digits, empty when there is none.
    package var traceID = ""
    package var spanID = ""

    package init() {}

    package static let eventName = "sluice.alert"

    /// The alerts among the log records of a batch, and how many records are none.
    package static func read(_ batch: ExportBatch) -> (notices: [AlertNotice], others: Int)? {
        guard batch.signal == .logs else { return ([], batch.itemCount) }
        var records = RecordBatch()
        return batch.bytes.withUnsafeBytes { bytes in
            guard (try? OTLPReader.read(Text(bytes), signal: .logs, keys: .empty, into: &records)) != nil else {
                return nil
            }
            var notices: [AlertNotice] = []
            for index in records.logs.indices {
                let log = records.logs[index]
                guard records.text(log.eventName).string == eventName else { continue }
                notices.append(AlertNotice(log, records))
            }
            return (notices, records.logs.count - notices.count)
        }
    }

    private init(_ log: LogRecord, _ records: borrowing RecordBatch) {
        time = log.time
        if case .string(let text) = log.body { sentence = records.text(text).string }
        traceID = records.text(log.traceID).hex
        spanID = records.text(log.spanID).hex
        for index in records.range(of: log.set) {
            let key = records.text(records.attributes[index].key).string
            switch records.attributes[index].value {
            case .string(let text): take(key, records.text(text).string)
            case .double(let number): take(key, number)
            case .int(let number): take(key, number)
            default: continue
            }
        }
    }

    private mutating func take(_ key: String, _ text: String) {
        switch key {
        case "sluice.alert.rule": rule = text
        case "sluice.alert.state": state = State(rawValue: text) ?? .open
        case "sluice.alert.severity": severity = Severity(rawValue: text) ?? .warning
        case "sluice.alert.dedup_key": dedupKey = text
        case "sluice.alert.metric": metric = text
        case "sluice.alert.aggregation": aggregation = text
        case "sluice.alert.operator": comparison = text
        case "sluice.alert.group": group = text
        case "sluice.alert.message": message = text
        case "sluice.alert.runbook_url": runbook = text
        case "sluice.alert.example": example = text
        case "gen_ai.conversation.id": conversation = text
        default: break
        }
    }

    private mutating func take(_ key: String, _ number: Double) {
        switch key {
        case "sluice.alert.threshold": threshold = number
        case "sluice.alert.value": value = number
        case "sluice.alert.window_seconds": windowSeconds = number
        default: break
        }
    }

    private mutating func take(_ key: String, _ number: Int64) {
        switch key {
        case "sluice.alert.count": count = Int(number)
        case "sluice.alert.since": since = UInt64(max(0, number))
        default: break
        }
    }

    /// The facts that every notification lists, in order, those that are not there left out.
    var facts: [(name: String, value: String)] {
        var facts: [(name: String, value: String)] = [
            ("rule", rule), ("severity", severity.rawValue), ("metric", "\(metric) (\(aggregation))"),
            ("value", value.map(Self.shown) ?? "none"), ("threshold", "\(comparison) \(Self.shown(threshold))"),
            ("window", "\(Self.shown(windowSeconds)) s, \(count) values"),
        ]
        for (name, text) in [
            ("group", group), ("example", example), ("trace_id", traceID), ("span_id", spanID),
            ("conversation_id", conversation), ("look", traceID.isEmpty ? "" : "sluice trace \(traceID)"),
            ("runbook", runbook),
        ] where !text.isEmpty { facts.append((name, text)) }
        return facts
    }

    /// At most four digits behind the point.
    static func shown(_ value: Double) -> String {
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == rounded.rounded() && abs(rounded) < 1e15 ? String(Int(rounded)) : String(rounded)
    }
}
