import GRDB
import Telemetry

/// Writes log records. They have no id, so a block of records (one ResourceLogs) is known by the hash of its bytes: a
/// block that is there already is not written again, while equal records within a block all count.
struct LogRows: Sendable {
    private let serviceKey: KeyID
    private static let insert = """
        INSERT OR IGNORE INTO logs (block, position, time, observed_time, severity_number, severity_text, event_name,
            trace_id, span_id, body, service_name, scope_name, tenant, attributes, resource, scope, flags)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """

    init(keys: inout KeyTable.Builder) { serviceKey = keys.intern("service.name") }

    /// Writes all records of the batch. `hashKey` is the database's own.
    func write(
        _ batch: borrowing RecordBatch, tenant: String?, hashKey: (UInt64, UInt64), to database: Database
    ) throws {
        var scratch = ByteColumn()
        var texts = ScopeTexts()
        var position = 0
        var resource: UInt32?
        let statement = try database.cachedStatement(sql: Self.insert)
        for index in batch.logs.indices where !batch.isRemoved(log: index) {
            let log = batch.logs[index]
            texts.move(to: Int(log.scope), of: batch, serviceKey: serviceKey, hashKey: hashKey, &scratch)
            let owner = batch.scopes[Int(log.scope)].resource
            position = owner == resource ? position + 1 : 0
            resource = owner
            let body = RowText.value(log.body, of: batch, &scratch)
            scratch.removeAll()
            ValueJSON.appendObject(log.set, of: batch, to: &scratch)
            let row: [(any DatabaseValueConvertible)?] = [
                texts.block, position, RowText.time(log.time), RowText.time(log.observedTime),
                Int64(log.severityNumber), RowText.optional(batch.text(log.severityText)),
                RowText.optional(batch.text(log.eventName)), RowText.id(batch.text(log.traceID)),
                RowText.id(batch.text(log.spanID)), body, texts.serviceName, texts.scopeName, tenant,
                scratch.text.string, texts.resource, texts.scope, Int64(log.flags),
            ]
            statement.setUncheckedArguments(StatementArguments(row))
            try statement.execute()
        }
    }
}
