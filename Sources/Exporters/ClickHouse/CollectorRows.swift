import OTLP
import Pipeline
import Telemetry

/// Spans or log records as rows of the Collector's tables, in ClickHouse's format RowBinary.
struct CollectorRows: ClickHouseRows, ~Copyable {
    static let insertCount = 1

    /// What the reader of a request needs to know.
    struct Keys: Sendable {
        let table: KeyTable
        fileprivate let serviceName: KeyID

        init() {
            var builder = KeyTable.Builder()
            serviceName = builder.intern("service.name")
            table = builder.build()
        }
    }

    private var output = ByteColumn()
    /// Ends of the rows.
    private var ends: [Int] = []
    private let statement: ClickHouseInsert.Statement
    private let serviceName: KeyID

    var records: Int { ends.count }

    /// Throws `DecodeFailure` for what is no valid request. Metrics have no rows here.
    init(_ batch: ExportBatch, into statement: ClickHouseInsert.Statement, keys: Keys) throws {
        self.statement = statement
        serviceName = keys.serviceName
        var records = RecordBatch()
        try batch.bytes.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: batch.signal, keys: keys.table, into: &records)
            switch batch.signal {
            case .traces:
                for index in records.spans.indices { appendSpan(records.spans[index], of: records) }
            case .logs:
                for index in records.logs.indices { appendLog(records.logs[index], of: records) }
            case .metrics: break
            }
        }
    }

    func insert(_ place: Int, records: Range<Int>) -> ClickHouseInsert? {
        guard !records.isEmpty else { return nil }
        let start = records.lowerBound == 0 ? 0 : ends[records.lowerBound - 1]
        let rows = output.bytes[start..<ends[records.upperBound - 1]]
        return ClickHouseInsert(statement: statement, body: [UInt8](rows))
    }

    // MARK: Rows

    private mutating func appendSpan(_ span: SpanRecord, of batch: borrowing RecordBatch) {
        let scope = batch.scopes[Int(span.scope)]
        let resource = batch.resources[Int(scope.resource)]
        append(time: span.start)
        append(hex: batch.text(span.traceID))
        append(hex: batch.text(span.spanID))
        append(hex: batch.text(span.parentID))
        append(text: batch.text(span.traceState))
        append(text: batch.text(span.name))
        append(word: Self.kind(span.kind))
        append(text: batch.string(serviceName, in: resource.set) ?? .empty)
        append(map: resource.set, of: batch)
        append(text: batch.text(scope.name))
        append(text: batch.text(scope.version))
        append(map: span.set, of: batch)
        output.append(littleEndian: span.end >= span.start ? span.end - span.start : 0)
        append(word: Self.status(span.statusCode))
        append(text: batch.text(span.statusMessage))
        appendEvents(span.events.range, of: batch)
        appendLinks(span.links.range, of: batch)
        ends.append(output.count)
    }

    /// A column of type Nested is an array per member.
    private mutating func appendEvents(_ range: Range<Int>, of batch: borrowing RecordBatch) {
        append(count: range.count)
        for index in range { append(time: batch.events[index].time) }
        append(count: range.count)
        for index in range { append(text: batch.text(batch.events[index].name)) }
        append(count: range.count)
        for index in range { append(map: batch.events[index].set, of: batch) }
    }

    private mutating func appendLinks(_ range: Range<Int>, of batch: borrowing RecordBatch) {
        append(count: range.count)
        for index in range { append(hex: batch.text(batch.links[index].traceID)) }
        append(count: range.count)
        for index in range { append(hex: batch.text(batch.links[index].spanID)) }
        append(count: range.count)
        for index in range { append(text: batch.text(batch.links[index].traceState)) }
        append(count: range.count)
        for index in range { append(map: batch.links[index].set, of: batch) }
    }

    private mutating func appendLog(_ log: LogRecord, of batch: borrowing RecordBatch) {
        let scope = batch.scopes[Int(log.scope)]
        let resource = batch.resources[Int(scope.resource)]
        append(time: log.knownTime)
        append(hex: batch.text(log.traceID))
        append(hex: batch.text(log.spanID))
        output.append(UInt8(truncatingIfNeeded: log.flags))
        append(text: batch.text(log.severityText))
        output.append(UInt8(clamping: log.severityNumber))
        append(text: batch.string(serviceName, in: resource.set) ?? .empty)
        append(value: log.body, of: batch)
        append(text: batch.text(resource.schemaURL))
        append(map: resource.set, of: batch)
        append(text: batch.text(scope.schemaURL))
        append(text: batch.text(scope.name))
        append(text: batch.text(scope.version))
        append(map: scope.set, of: batch)
        append(map: log.set, of: batch)
        ends.append(output.count)
    }

    private static func kind(_ value: Int32) -> StaticString {
        switch value {
        case 1: "Internal"
        case 2: "Server"
        case 3: "Client"
        case 4: "Producer"
        case 5: "Consumer"
        default: "Unspecified"
        }
    }

    private static func status(_ value: Int32) -> StaticString {
        switch value {
        case 1: "Ok"
        case 2: "Error"
        default: "Unset"
        }
    }

    // MARK: Values

    private mutating func append(count: Int) { output.append(varint: UInt64(count)) }

    private mutating func append(word: StaticString) { append(text: Text(word)) }

    /// Times beyond the year 2262 stand there.
    private mutating func append(time: UInt64) { output.append(littleEndian: Int64(clamping: time)) }

    /// Text by the rule of `RowBuffer`: what is not UTF-8, and NUL, becomes U+FFFD.
    private mutating func append(text: Text) {
        if let repaired = text.storable {
            output.append(varint: UInt64(repaired.utf8.count))
            output.append(string: repaired)
        } else {
            output.append(varint: UInt64(text.count))
            output.append(text)
        }
    }

    private mutating func append(hex id: Text) {
        output.append(varint: UInt64(id.count * 2))
        for index in 0..<id.count {
            output.append(RowBuffer.digit(id[index] >> 4))
            output.append(RowBuffer.digit(id[index] & 15))
        }
    }

    private mutating func append(map set: SetIndex, of batch: borrowing RecordBatch) {
        let range = batch.range(of: set)
        append(count: range.count)
        for index in range {
            append(text: batch.text(batch.attributes[index].key))
            append(value: batch.attributes[index].value, of: batch)
        }
    }

    /// A value as text: a string as it is, NaN and infinities as words, anything else as JSON, nothing for none.
    private mutating func append(value: AttributeValue, of batch: borrowing RecordBatch) {
        switch value {
        case .empty, .other: append(count: 0)
        case .string(let text): append(text: batch.text(text))
        case .double(let number) where !number.isFinite:
            append(word: number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity")
        default:
            var text = ByteColumn()
            ValueJSON.append(value, of: batch, to: &text)
            output.append(varint: UInt64(text.count))
            output.append(text.text)
        }
    }
}
