import Telemetry

/// Rows of log records. They have no id, so a block of records (one ResourceLogs) is known by the hash of its bytes: a
/// block that is there already is not written again, while equal records within a block all count.
struct LogRows: Sendable {
    private let serviceKey: KeyID
    private let findings: FindingRows

    init(keys: inout KeyTable.Builder) {
        serviceKey = keys.intern("service.name")
        findings = FindingRows(keys: &keys)
    }

    /// Hands over all records of the batch, each followed by its finding when it tells one.
    func write<Receiver: RowReceiver & ~Copyable>(_ scratch: inout RowScratch, to receiver: inout Receiver) throws {
        for index in scratch.records.logs.indices where !scratch.records.isRemoved(log: index) {
            let log = scratch.records.logs[index]
            scratch.scope.move(to: Int(log.scope), of: scratch.records, serviceKey: serviceKey, block: index)
            scratch.row.begin()
            scratch.scope.appendPlace(to: &scratch.row)
            scratch.row.time(log.knownTime)
            scratch.row.time(log.observedTime)
            scratch.row.integer(Int64(log.severityNumber))
            scratch.row.textOrNull(scratch.records.text(log.severityText))
            scratch.row.textOrNull(scratch.records.text(log.eventName))
            scratch.row.hexOrNull(scratch.records.text(log.traceID))
            scratch.row.hexOrNull(scratch.records.text(log.spanID))
            scratch.row.text(log.body, of: scratch.records)
            scratch.row.textOrNull(scratch.scope.serviceName)
            scratch.row.textOrNull(scratch.scope.scopeName)
            scratch.row.textOrNull(scratch.scope.tenant)
            scratch.row.attributes(log.set, of: scratch.records)
            scratch.row.json(scratch.scope.resource)
            scratch.row.json(scratch.scope.scope)
            scratch.row.integer(Int64(log.flags))
            try receiver.receive(.logs, scratch.row)
            if scratch.records.text(log.eventName) == FindingRows.eventName, !log.traceID.isEmpty {
                findings.append(log, &scratch)
                try receiver.receive(.findings, scratch.row)
            }
        }
    }
}

extension LogRecord {
    /// When it happened, or else was observed, as OTLP asks of those who store it (logs data model, "Timestamp"); 0
    /// when nobody knows.
    var knownTime: UInt64 { time == 0 ? observedTime : time }
}
