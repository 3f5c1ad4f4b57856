import GRDB
import Telemetry

/// Writes spans with their events and links. A span that is already there is replaced with all that belongs to it, so
/// delivering it twice leaves one.
struct SpanRows: Sendable {
    private let serviceKey: KeyID
    private let columns: [(kind: AttributeColumn.Kind, keys: [KeyID])]
    private let insert: String
    private static let fixedBefore = [
        "trace_id", "span_id", "parent_span_id", "name", "kind", "start_time", "end_time", "duration_ms", "status_code",
        "status_message", "service_name", "scope_name", "tenant",
    ]
    private static let fixedAfter = ["attributes", "resource", "scope", "trace_state", "flags"]

    init(keys: inout KeyTable.Builder) {
        serviceKey = keys.intern("service.name")
        columns = AttributeColumn.all.map { column in (column.kind, column.keys.map { keys.intern($0) }) }
        let names = Self.fixedBefore + AttributeColumn.all.map(\.name) + Self.fixedAfter
        let marks = names.map { _ in "?" }.joined(separator: ", ")
        insert = "INSERT OR IGNORE INTO spans (\(names.joined(separator: ", "))) VALUES (\(marks))"
    }

    /// Writes all spans of the batch.
    func write(_ batch: borrowing RecordBatch, tenant: String?, to database: Database) throws {
        var scratch = ByteColumn()
        var texts = ScopeTexts()
        let statement = try database.cachedStatement(sql: insert)
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            texts.move(to: Int(span.scope), of: batch, serviceKey: serviceKey, hashKey: nil, &scratch)
            let trace = batch.text(span.traceID).hex
            let id = batch.text(span.spanID).hex
            let row = values(span, batch, texts, trace: trace, id: id, tenant: tenant, &scratch)
            statement.setUncheckedArguments(StatementArguments(row))
            try statement.execute()
            if database.changesCount == 0 {
                try delete(trace: trace, id: id, from: database)
                statement.setUncheckedArguments(StatementArguments(row))
                try statement.execute()
            }
            try writeEvents(of: span, batch, trace: trace, id: id, database, &scratch)
            try writeLinks(of: span, batch, trace: trace, id: id, database, &scratch)
        }
    }

    private func delete(trace: String, id: String, from database: Database) throws {
        for table in ["spans", "span_events", "span_links"] {
            let sql = "DELETE FROM \(table) WHERE trace_id = ? AND span_id = ?"
            try database.cachedStatement(sql: sql).execute(arguments: [trace, id])
        }
    }

    private func values(
        _ span: SpanRecord, _ batch: borrowing RecordBatch, _ texts: ScopeTexts, trace: String, id: String,
        tenant: String?, _ scratch: inout ByteColumn
    ) -> [(any DatabaseValueConvertible)?] {
        var row: [(any DatabaseValueConvertible)?] = []
        row.reserveCapacity(Self.fixedBefore.count + columns.count + Self.fixedAfter.count)
        row.append(trace)
        row.append(id)
        row.append(RowText.id(batch.text(span.parentID)))
        row.append(batch.text(span.name).string)
        row.append(SpanWords.kind(span.kind))
        row.append(RowText.time(span.start))
        row.append(RowText.time(span.end))
        row.append(span.end >= span.start ? Double(span.end - span.start) / 1e6 : nil)
        row.append(SpanWords.status(span.statusCode))
        row.append(RowText.optional(batch.text(span.statusMessage)))
        row.append(texts.serviceName)
        row.append(texts.scopeName)
        row.append(tenant)
        var held: [Int] = []
        for column in columns { row.append(attribute(column, span.set, batch, &held, &scratch)) }
        scratch.removeAll()
        ValueJSON.appendObject(span.set, of: batch, to: &scratch, leavingOut: { held.contains($0) })
        row.append(scratch.text.string)
        row.append(texts.resource)
        row.append(texts.scope)
        row.append(RowText.optional(batch.text(span.traceState)))
        row.append(Int64(span.flags))
        return row
    }

    /// The value of a typed column. `held` gains the attribute when the column holds all of it.
    private func attribute(
        _ column: (kind: AttributeColumn.Kind, keys: [KeyID]), _ set: SetIndex, _ batch: borrowing RecordBatch,
        _ held: inout [Int], _ scratch: inout ByteColumn
    ) -> (any DatabaseValueConvertible)? {
        for (order, key) in column.keys.enumerated() {
            guard let index = batch.find(key, in: set) else { continue }
            let record = batch.attributes[index]
            let result: (any DatabaseValueConvertible)?
            let isWhole: Bool
            switch column.kind {
            case .text:
                result = RowText.value(record.value, of: batch, &scratch)
                isWhole = record.kind == .string || record.kind == .array || record.kind == .map
            case .integer:
                result = RowText.integer(record.value, of: batch)
                isWhole = record.kind == .int
            case .real:
                result = RowText.real(record.value, of: batch)
                isWhole = record.kind == .double
            }
            guard let result else { continue }
            if isWhole && order == 0 { held.append(index) }
            return result
        }
        return nil
    }

    private func writeEvents(
        of span: SpanRecord, _ batch: borrowing RecordBatch, trace: String, id: String, _ database: Database,
        _ scratch: inout ByteColumn
    ) throws {
        guard span.events.count > 0 else { return }
        let statement = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO span_events (trace_id, span_id, position, name, time, attributes) "
                + "VALUES (?, ?, ?, ?, ?, ?)")
        for (position, index) in span.events.range.enumerated() {
            let event = batch.events[index]
            scratch.removeAll()
            ValueJSON.appendObject(event.set, of: batch, to: &scratch)
            try statement.execute(arguments: [
                trace, id, position, batch.text(event.name).string, RowText.time(event.time), scratch.text.string,
            ])
        }
    }

    private func writeLinks(
        of span: SpanRecord, _ batch: borrowing RecordBatch, trace: String, id: String, _ database: Database,
        _ scratch: inout ByteColumn
    ) throws {
        guard span.links.count > 0 else { return }
        let statement = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO span_links (trace_id, span_id, position, linked_trace_id, linked_span_id, "
                + "trace_state, attributes) VALUES (?, ?, ?, ?, ?, ?, ?)")
        for (position, index) in span.links.range.enumerated() {
            let link = batch.links[index]
            scratch.removeAll()
            ValueJSON.appendObject(link.set, of: batch, to: &scratch)
            try statement.execute(arguments: [
                trace, id, position, batch.text(link.traceID).hex, batch.text(link.spanID).hex,
                RowText.optional(batch.text(link.traceState)), scratch.text.string,
            ])
        }
    }
}

/// Enum values of spans in words; unknown ones as their number.
enum SpanWords {
    static func kind(_ value: Int32) -> String {
        let words = ["unspecified", "internal", "server", "client", "producer", "consumer"]
        return words.indices.contains(Int(value)) ? words[Int(value)] : String(value)
    }

    static func status(_ value: Int32) -> String {
        let words = ["unset", "ok", "error"]
        return words.indices.contains(Int(value)) ? words[Int(value)] : String(value)
    }
}
