import OTLP
import Telemetry

/// Walks the fields of one protobuf message that a reader has validated before. It stops silently at bytes that are no
/// field, so it is total on any input.
struct WireWalker {
    /// One field: its number with wire type, and its value in the member that the wire type calls for. Groups, of which
    /// OTLP has none, have neither, but their place.
    struct Field {
        var tag: UInt32
        /// Varint and fixed-width values.
        var number: UInt64 = 0
        /// Content of a length-delimited field.
        var content = Text.empty
        /// Where tag and value lie in the message.
        var range = 0..<0

        var fieldNumber: UInt32 { tag >> 3 }

        /// The members that a field of repeated fixed64 or double values adds: a packed run, or a single one.
        var words: [UInt64] { tag & 7 == 2 ? WireWalker.words(content) : [number] }
    }

    private var cursor: WireCursor

    init(_ bytes: Text) { cursor = WireCursor(bytes) }

    /// The next field, nil at the end or on broken bytes.
    mutating func next() -> Field? {
        let start = cursor.at
        do throws(DecodeFailure) {
            var field = Field(tag: try cursor.tag())
            switch field.tag & 7 {
            case 0: field.number = try cursor.varint()
            case 1: field.number = try cursor.fixed64()
            case 2: field.content = cursor.bytes[try cursor.length()]
            case 5: field.number = UInt64(try cursor.fixed32())
            default: try cursor.skip(field.tag)
            }
            field.range = start..<cursor.at
            return field
        } catch {
            return nil
        }
    }

    /// The members of a packed run of varints.
    static func varints(_ bytes: Text) -> [UInt64] {
        var cursor = WireCursor(bytes)
        var values: [UInt64] = []
        while let value = try? cursor.varint() { values.append(value) }
        return values
    }

    /// The members of a packed run of fixed64 or double values.
    private static func words(_ bytes: Text) -> [UInt64] {
        var cursor = WireCursor(bytes)
        var values: [UInt64] = []
        values.reserveCapacity(bytes.count / 8)
        while let value = try? cursor.fixed64() { values.append(value) }
        return values
    }

    /// The number that a varint of an sint stands for.
    static func zigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
}
