import OTLP
import Telemetry
import Testing

@Suite struct AddedEventTests {
    private static func varint(_ value: Int) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
    }

    private static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(content.count) + content
    }

    private static func text(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    private static func pair(_ key: String, _ value: String) -> [UInt8] { text(1, key) + field(2, text(1, value)) }

    private static func event(_ name: String) -> [UInt8] {
        // An unknown field (200) and an attribute, which have to survive.
        [0x09, 1, 0, 0, 0, 0, 0, 0, 0] + text(2, name) + field(3, pair("k", name)) + text(200, "later")
    }

    private static func span(_ id: UInt8, _ events: [String]) -> [UInt8] {
        let ids = field(1, [UInt8](repeating: 9, count: 16)) + field(2, [UInt8](repeating: id, count: 8))
        return field(2, ids + text(5, "span") + events.flatMap { field(11, event($0)) } + text(300, "unknown"))
    }

    private static let request = field(
        1, field(2, span(1, ["one", "two"]) + span(2, []) + span(3, ["three"])))

    private func events(of span: Int, in bytes: [UInt8]) throws -> [(name: String, time: UInt64, key: String)] {
        var batch = RecordBatch()
        return try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: .empty, into: &batch)
            return batch.spans[span].events.range.map { index in
                let event = batch.events[index]
                let range = batch.range(of: event.set)
                let key = range.isEmpty ? "" : batch.text(batch.attributes[range.lowerBound].key).string
                return (batch.text(event.name).string, event.time, key)
            }
        }
    }

    private func written(_ change: (inout RecordBatch) -> Void) throws -> [UInt8] {
        var batch = RecordBatch()
        var output = ByteColumn()
        try Self.request.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: .empty, into: &batch)
            change(&batch)
            OTLPWriter.write(batch, into: &output)
        }
        return [UInt8](output.bytes)
    }

    private func add(_ name: StaticString, to span: Int, _ batch: inout RecordBatch) {
        let text = batch.addText(Text(name))
        let set = batch.appendEvent(name: text, time: 77, toSpan: span)
        batch.append(key: text, .string(text), to: set)
    }

    @Test func `an added event stands behind those that came`() throws {
        let bytes = try written { batch in
            add("new", to: 0, &batch)
            add("newer", to: 0, &batch)
            add("first", to: 1, &batch)
        }
        let first = try events(of: 0, in: bytes)
        #expect(first.map(\.name) == ["one", "two", "new", "newer"])
        #expect(first.map(\.time) == [1, 1, 77, 77])
        #expect(first.map(\.key) == ["k", "k", "new", "newer"])
        #expect(try events(of: 1, in: bytes).map(\.name) == ["first"])
        #expect(try events(of: 2, in: bytes).map(\.name) == ["three"])
    }

    @Test func `what came is written as it came`() throws {
        let bytes = try written { add("new", to: 1, &$0) }
        // The other spans' bytes are untouched, unknown fields included.
        for piece in [Self.span(1, ["one", "two"]), Self.span(3, ["three"])] {
            let isThere = bytes.indices.contains { bytes[$0...].starts(with: piece) }
            #expect(isThere)
        }
    }

    @Test func `events that came can still be changed and removed after one was added`() throws {
        let bytes = try written { batch in
            add("new", to: 0, &batch)
            let moved = batch.spans[0].events.range
            let name = batch.addText(Text("renamed"))
            batch.setName(name, ofEvent: moved.lowerBound)
            let value = batch.addText(Text("changed"))
            let set = batch.events[moved.lowerBound + 1].set
            batch.setValue(.string(value), at: batch.range(of: set).lowerBound, in: set)
            batch.events[moved.lowerBound + 1].edits.insert(.removed)
        }
        #expect(try events(of: 0, in: bytes).map(\.name) == ["renamed", "new"])
        // The unknown field of the renamed event is still there.
        let unknown = Self.text(200, "later")
        #expect(bytes.indices.filter { bytes[$0...].starts(with: unknown) }.count == 2)
    }
}
