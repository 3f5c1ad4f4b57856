import Foundation
import OTLP
import Telemetry
import TestSupport
import Testing

/// Requests in which every field of the protocol's table is set, made from that table.
struct EveryField {
    /// Fields by message.
    private let fields: [String: [SchemaRow]]
    /// Puts a field that the schema does not know behind those of each message.
    var addsUnknown = false
    private(set) var seen: Set<String> = []
    private var count: UInt64 = 0

    /// Carried by no request, or made by us: other roots with the same content, answers and their details.
    static func isOutside(_ row: SchemaRow) -> Bool {
        row.kind != "field" || row.file.hasPrefix("google/") || row.message.hasPrefix("Export")
            || ["TracesData", "LogsData", "MetricsData"].contains(row.message)
    }

    init(_ rows: [SchemaRow]) {
        fields = Dictionary(grouping: rows.filter { !Self.isOutside($0) }, by: \.message)
    }

    static func name(_ row: SchemaRow) -> String { "\(row.message).\(row.name)" }

    mutating func request(_ signal: Signal) -> [UInt8] {
        let name =
            switch signal {
            case .traces: "ResourceSpans"
            case .logs: "ResourceLogs"
            case .metrics: "ResourceMetrics"
            }
        let container = message(name, depth: 0)
        return WireBytes.build {
            $0.data(1, container)
            if addsUnknown { $0.number(1_900, 7) }
        }
    }

    /// One message with all its fields; of a oneof the given member.
    private mutating func message(_ name: String, depth: Int, member: Int? = nil) -> [UInt8] {
        var output = WireBytes()
        for row in fields[name] ?? [] {
            if row.label.hasPrefix("oneof "), row.number != member { continue }
            seen.insert(Self.name(row))
            write(row, depth: depth, &output)
        }
        if addsUnknown { output.number(1_900, 7) }
        return output.bytes
    }

    private mutating func write(_ row: SchemaRow, depth: Int, _ output: inout WireBytes) {
        let number = UInt32(row.number)
        if row.label == "repeated packed" {
            var packed = WireBytes()
            for _ in 0..<2 { scalar(row, &packed) }
            output.data(number, packed.bytes)
        } else if fields[row.type] != nil {
            for content in messages(row, depth: depth) { output.data(number, content) }
        } else {
            for _ in 0..<(row.label == "repeated" ? 2 : 1) { tagged(row, &output) }
        }
    }

    /// The messages of a field: where the type is a oneof, or holds one as KeyValue does, one for each member.
    private mutating func messages(_ row: SchemaRow, depth: Int) -> [[UInt8]] {
        // Deep enough for values in lists in maps, and no deeper.
        let members = (fields[row.type] ?? []).filter { $0.label.hasPrefix("oneof ") }
            .filter { depth < 3 || fields[$0.type] == nil }.map(\.number)
        // The body of a log record: a map.
        if row.type == "AnyValue", row.label == "single" { return [message(row.type, depth: depth + 1, member: 6)] }
        if row.type == "KeyValue" {
            let values = (fields["AnyValue"] ?? []).filter { depth < 3 || fields[$0.type] == nil }.map(\.number)
            return (depth < 2 ? values : [values[0]]).map { pair(member: $0, depth: depth + 1) }
        }
        guard row.label == "repeated", !members.isEmpty else {
            return [message(row.type, depth: depth + 1, member: members.first)]
        }
        return members.map { message(row.type, depth: depth + 1, member: $0) }
    }

    private mutating func pair(member: Int, depth: Int) -> [UInt8] {
        var output = WireBytes()
        for row in fields["KeyValue"] ?? [] {
            seen.insert(Self.name(row))
            if row.type == "AnyValue" {
                output.data(UInt32(row.number), message("AnyValue", depth: depth, member: member))
            } else {
                tagged(row, &output)
            }
        }
        if addsUnknown { output.number(1_900, 7) }
        return output.bytes
    }

    private mutating func tagged(_ row: SchemaRow, _ output: inout WireBytes) {
        let number = UInt32(row.number)
        switch row.type {
        case "string": output.text(number, "\(row.name) \(next())")
        case "bytes":
            let size = row.name == "trace_id" ? 16 : row.name.hasSuffix("span_id") ? 8 : 5
            output.data(number, (0..<size).map { UInt8(truncatingIfNeeded: next() &+ UInt64($0)) | 1 })
        case "fixed64", "sfixed64", "double":
            output.tag(number, 1)
            scalar(row, &output)
        case "fixed32":
            output.tag(number, 5)
            scalar(row, &output)
        default:
            output.tag(number, 0)
            scalar(row, &output)
        }
    }

    private mutating func scalar(_ row: SchemaRow, _ output: inout WireBytes) {
        let value = next()
        switch row.type {
        case "double": output.word64((Double(value) + 0.25).bitPattern)
        case "fixed64": output.word64(UInt64.max - value)
        case "sfixed64": output.word64(UInt64(bitPattern: Int64.min) + value)
        case "fixed32": output.word32(UInt32.max - UInt32(value))
        case "bool": output.varint(1)
        case "sint32": output.varint(UInt64(UInt32.max) - (value & ~1))
        case "int64": output.varint(UInt64.max - value)
        case "uint64": output.varint(UInt64.max - value)
        case "uint32": output.varint(UInt64(UInt32.max) - value)
        // Enums, and the table's indexes.
        default: output.varint(row.type.hasPrefix("enum ") ? 2 : value)
        }
    }

    private mutating func next() -> UInt64 {
        count += 1
        return count
    }
}

@Suite struct `Every field of the protocol` {
    let rows: [SchemaRow]

    init() throws { rows = try SchemaTable.load() }

    private func request(_ signal: Signal, addsUnknown: Bool = true) -> [UInt8] {
        var every = EveryField(rows)
        every.addsUnknown = addsUnknown
        return every.request(signal)
    }

    @Test func `stands in the requests of these tests`() {
        var every = EveryField(rows)
        for signal in Signal.allCases { _ = every.request(signal) }
        let wanted = rows.filter { !EveryField.isOutside($0) }.map(EveryField.name)
        #expect(wanted.count == 148)
        #expect(Set(wanted).subtracting(every.seen).sorted() == [])
    }

    @Test(arguments: Signal.allCases) func `is read, and written as it came`(signal: Signal) throws {
        let request = request(signal)
        #expect(OracleMessage.decode(request, .request(signal)) != nil)
        #expect(try Rewriting.rewrite(request, signal) == request)
    }

    @Test(arguments: Signal.allCases) func `is kept by an edit of every attribute set`(signal: Signal) throws {
        let request = request(signal)
        var expected = try #require(OracleMessage.decode(request, .request(signal)))
        AttributeTree(signal).change(&expected) { $0.append(.attribute("added", "here")) }
        let written = try Rewriting.rewrite(request, signal) { batch in
            let (key, value) = (batch.addText(Text("added")), batch.addText(Text("here")))
            for set in batch.allSets { batch.append(key: key, .string(value), to: set) }
        }
        #expect(written != request)
        #expect(OracleMessage.decode(written, .request(signal)) == expected)
    }

    /// The number of what was dropped as a field, left out where it is zero.
    private static func set(_ number: UInt32, to count: UInt32, in message: inout OracleMessage) {
        message.fields[number] = count == 0 ? nil : [.number(UInt64(count))]
    }

    @Test(arguments: Signal.allCases, [0, 7, UInt32.max])
    func `is kept when other numbers of dropped parts are set`(signal: Signal, count: UInt32) throws {
        let request = request(signal)
        var expected = try #require(OracleMessage.decode(request, .request(signal)))
        expected.update(1) { container in
            container.update(1) { Self.set(2, to: count, in: &$0) }
            container.update(2) { scope in
                scope.update(1) { Self.set(4, to: count, in: &$0) }
                scope.update(2) { record in
                    if signal == .logs { Self.set(7, to: count, in: &record) }
                    guard signal == .traces else { return }
                    record.update(11) { Self.set(4, to: count, in: &$0) }
                    Self.set(12, to: count, in: &record)
                    Self.set(14, to: 3, in: &record)
                }
            }
        }
        let written = try Rewriting.rewrite(request, signal) { batch in
            for index in batch.resources.indices { batch.setDropped(count, ofResource: index) }
            for index in batch.scopes.indices { batch.setDropped(count, ofScope: index) }
            for index in batch.spans.indices { batch.setDropped(events: count, links: 3, ofSpan: index) }
            for index in batch.events.indices { batch.setDropped(count, ofEvent: index) }
            for index in batch.logs.indices { batch.setDropped(count, ofLog: index) }
        }
        #expect(OracleMessage.decode(written, .request(signal)) == expected)
    }

    @Test(arguments: Signal.allCases) func `is in the JSON under its name, and the same behind it`(
        signal: Signal
    ) throws {
        var every = EveryField(rows)
        every.addsUnknown = true
        let request = every.request(signal)
        var json = ByteColumn()
        request.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: signal, into: &json) }
        let text = String(decoding: json.bytes, as: UTF8.self)
        let names = Set(rows.filter { every.seen.contains(EveryField.name($0)) }.map(\.jsonName))
        #expect(names.filter { !text.contains("\"\($0)\":") } == [])
        var back = ByteColumn()
        try OTLPJSONReader.transcode(json.text, signal: signal, into: &back)
        let there = try #require(OracleMessage.decode(request, .request(signal)))
        #expect(OracleMessage.decode([UInt8](back.bytes), .request(signal)) == there)
    }
}
