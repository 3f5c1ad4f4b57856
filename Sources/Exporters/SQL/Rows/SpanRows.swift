import GenAI
import Telemetry

/// Rows of spans with their events, links and findings.
struct SpanRows: Sendable {
    private let serviceKey: KeyID
    private let columns: [(kind: AttributeColumn.Kind, keys: [KeyID])]
    private let findings: FindingRows
    private let operation: KeyID
    /// The column that has the name of an agent.
    private let agentColumn: Int?
    /// One more than the largest number of a column's key.
    private let keyLimit: Int

    init(keys: inout KeyTable.Builder) {
        serviceKey = keys.intern("service.name")
        columns = AttributeColumn.all.map { column in (column.kind, column.keys.map { keys.intern($0) }) }
        keyLimit = 1 + (columns.flatMap(\.keys).map { Int($0.value) }.max() ?? 0)
        findings = FindingRows(keys: &keys)
        operation = keys.intern("gen_ai.operation.name")
        agentColumn = AttributeColumn.all.firstIndex { $0.name == "agent_name" }
    }

    /// Hands over all spans of the batch, each followed by what belongs to it.
    func write<Receiver: RowReceiver & ~Copyable>(_ scratch: inout RowScratch, to receiver: inout Receiver) throws {
        for index in scratch.records.spans.indices where !scratch.records.isRemoved(span: index) {
            let span = scratch.records.spans[index]
            scratch.scope.move(to: Int(span.scope), of: scratch.records, serviceKey: serviceKey, block: nil)
            append(span, &scratch)
            try receiver.receive(.spans, scratch.row)
            try writeEvents(of: span, &scratch, to: &receiver)
            try writeLinks(of: span, &scratch, to: &receiver)
        }
    }

    private func append(_ span: SpanRecord, _ scratch: inout RowScratch) {
        scratch.row.begin()
        scratch.row.hex(scratch.records.text(span.traceID))
        scratch.row.hex(scratch.records.text(span.spanID))
        scratch.row.hexOrNull(scratch.records.text(span.parentID))
        scratch.row.text(scratch.records.text(span.name))
        SpanWords.appendKind(span.kind, to: &scratch.row)
        scratch.row.time(span.start)
        scratch.row.time(span.end)
        scratch.row.real(span.end >= span.start ? Double(span.end - span.start) / 1e6 : nil)
        SpanWords.appendStatus(span.statusCode, to: &scratch.row)
        scratch.row.textOrNull(scratch.records.text(span.statusMessage))
        scratch.row.textOrNull(scratch.scope.serviceName)
        scratch.row.textOrNull(scratch.scope.scopeName)
        scratch.row.textOrNull(scratch.scope.tenant)
        locate(span.set, &scratch)
        for index in columns.indices { append(column: index, span, &scratch) }
        appendRest(span.set, &scratch)
        scratch.row.json(scratch.scope.resource)
        scratch.row.json(scratch.scope.scope)
        scratch.row.textOrNull(scratch.records.text(span.traceState))
        scratch.row.integer(Int64(span.flags))
    }

    /// Finds the attributes of all columns in one walk: thirty columns that each look through twenty attributes cost
    /// more than the rest of the row. Of attributes with the same key the last counts.
    private func locate(_ set: SetIndex, _ scratch: inout RowScratch) {
        scratch.places.removeAll()
        for _ in 0..<keyLimit { scratch.places.append(-1) }
        scratch.held.removeAll()
        for index in scratch.records.range(of: set) {
            scratch.held.append(false)
            let key = Int(scratch.records.attributes[index].keyID.value)
            if key > 0 && key < keyLimit { scratch.places[key] = Int32(truncatingIfNeeded: index) }
        }
    }

    /// Attributes that no typed column holds.
    private func appendRest(_ set: SetIndex, _ scratch: inout RowScratch) {
        let start = scratch.row.mark
        let first = scratch.records.range(of: set).lowerBound
        let held = UnsafeBufferPointer(start: scratch.held.base, count: scratch.held.count)
        ValueJSON.appendObject(
            set, of: scratch.records, to: &scratch.row.bytes, leavingOut: { held[$0 - first] })
        scratch.row.end(.json, from: start)
    }

    /// The value of a typed column; `held` learns of the attribute when the column holds all of it.
    private func append(column: Int, _ span: SpanRecord, _ scratch: inout RowScratch) {
        let kind = columns[column].kind
        for order in columns[column].keys.indices {
            let index = Int(scratch.places[Int(columns[column].keys[order].value)])
            guard index >= 0 else { continue }
            let record = scratch.records.attributes[index]
            let isWhole: Bool
            switch kind {
            case .text:
                guard record.kind != .empty, record.kind != .other else { continue }
                scratch.row.text(record.value, of: scratch.records)
                isWhole = record.kind == .string || record.kind == .array || record.kind == .map
            case .integer:
                guard let value = ColumnNumber.integer(record.value, of: scratch.records) else { continue }
                scratch.row.integer(value)
                isWhole = record.kind == .int
            case .real:
                guard let value = ColumnNumber.real(record.value, of: scratch.records) else { continue }
                scratch.row.real(value)
                isWhole = record.kind == .double && !value.isNaN
            }
            if isWhole && order == 0 { scratch.held[index - scratch.records.range(of: span.set).lowerBound] = true }
            return
        }
        // Questions about an agent start from its spans: they have the name that findings know it by.
        if column == agentColumn, isAgent(scratch) {
            scratch.row.textOrNull(AgentName.ofSpan(named: scratch.records.text(span.name)))
        } else {
            scratch.row.null()
        }
    }

    /// Whether the located attributes are those of an agent's span.
    private func isAgent(_ scratch: borrowing RowScratch) -> Bool {
        let index = Int(scratch.places[Int(operation.value)])
        guard index >= 0, scratch.records.attributes[index].kind == .string else { return false }
        return scratch.records.text(scratch.records.attributes[index].text) == "invoke_agent"
    }

    private func writeEvents<Receiver: RowReceiver & ~Copyable>(
        of span: SpanRecord, _ scratch: inout RowScratch, to receiver: inout Receiver
    ) throws {
        for (position, index) in span.events.range.enumerated() {
            let event = scratch.records.events[index]
            scratch.row.begin()
            scratch.row.hex(scratch.records.text(span.traceID))
            scratch.row.hex(scratch.records.text(span.spanID))
            scratch.row.integer(Int64(position))
            scratch.row.text(scratch.records.text(event.name))
            scratch.row.time(event.time)
            scratch.row.attributes(event.set, of: scratch.records)
            try receiver.receive(.spanEvents, scratch.row)
            if scratch.records.text(event.name) == FindingRows.eventName {
                findings.append(event, position: position, of: span, &scratch)
                try receiver.receive(.findings, scratch.row)
            }
        }
    }

    private func writeLinks<Receiver: RowReceiver & ~Copyable>(
        of span: SpanRecord, _ scratch: inout RowScratch, to receiver: inout Receiver
    ) throws {
        for (position, index) in span.links.range.enumerated() {
            let link = scratch.records.links[index]
            scratch.row.begin()
            scratch.row.hex(scratch.records.text(span.traceID))
            scratch.row.hex(scratch.records.text(span.spanID))
            scratch.row.integer(Int64(position))
            scratch.row.hex(scratch.records.text(link.traceID))
            scratch.row.hex(scratch.records.text(link.spanID))
            scratch.row.textOrNull(scratch.records.text(link.traceState))
            scratch.row.attributes(link.set, of: scratch.records)
            try receiver.receive(.spanLinks, scratch.row)
        }
    }
}

/// Enum values of spans in words; unknown ones as their number.
package enum SpanWords {
    private static let kinds: [StaticString] = ["unspecified", "internal", "server", "client", "producer", "consumer"]
    private static let statuses: [StaticString] = ["unset", "ok", "error"]

    static func appendKind(_ value: Int32, to row: inout RowBuffer) { append(value, of: kinds, to: &row) }

    static func appendStatus(_ value: Int32, to row: inout RowBuffer) { append(value, of: statuses, to: &row) }

    /// The value of a kind's word; 0 for an unknown word.
    package static func kind(_ word: String) -> Int64 { value(of: word, in: kinds) }

    /// The value of a status code's word; 0, unset, for an unknown word.
    package static func status(_ word: String) -> Int64 { value(of: word, in: statuses) }

    private static func append(_ value: Int32, of words: [StaticString], to row: inout RowBuffer) {
        if words.indices.contains(Int(value)) {
            row.text(words[Int(value)])
        } else {
            row.text(string: String(value))
        }
    }

    private static func value(of word: String, in words: [StaticString]) -> Int64 {
        words.firstIndex { $0.description == word }.map(Int64.init) ?? Int64(Int32(word) ?? 0)
    }
}
