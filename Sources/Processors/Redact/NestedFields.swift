import OTLP
import Telemetry

/// Reads the protobuf fields of nested values. Total: what is no field ends the reading and sets `isBroken`.
struct NestedFields {
    /// One field.
    struct Field {
        /// Field number and wire type.
        var tag: UInt32
        /// From the tag to behind the value.
        var start: Int
        var end: Int
        /// Content of a length-delimited field; empty for others.
        var content: Range<Int>
        /// Value of a varint or fixed field.
        var number: UInt64 = 0
    }

    private var cursor: WireCursor
    private(set) var isBroken = false

    init(_ text: Text) { cursor = WireCursor(text) }

    mutating func next() -> Field? {
        guard !cursor.isAtEnd, !isBroken else { return nil }
        do throws(DecodeFailure) { return try field() } catch {
            isBroken = true
            return nil
        }
    }

    private mutating func field() throws(DecodeFailure) -> Field {
        let start = cursor.at
        let tag = try cursor.tag()
        var number: UInt64 = 0
        switch tag & 7 {
        case 0: number = try cursor.varint()
        case 1: number = try cursor.fixed64()
        case 2:
            let content = try cursor.length()
            return Field(tag: tag, start: start, end: cursor.at, content: content)
        case 5: number = UInt64(try cursor.fixed32())
        // A group is a field that nobody knows: the schema has none.
        default: try cursor.skip(tag)
        }
        return Field(tag: tag, start: start, end: cursor.at, content: cursor.at..<cursor.at, number: number)
    }
}

extension ByteColumn {
    /// Puts `prefix`, the tag and the length of what follows in front of the bytes from `mark` to the end.
    mutating func frame(from mark: Int, prefix: Text, tag: UInt8) {
        let length = count - mark
        var width = 1
        while length >> (7 * width) != 0 { width += 1 }
        let room = prefix.count + 1 + width
        shift(from: mark, by: room)
        // The gap holds stale bytes until here.
        prefix.bytes.withMemoryRebound(to: UInt8.self) { source in
            for (offset, byte) in source.enumerated() { self[mark + offset] = byte }
        }
        self[mark + prefix.count] = tag
        var rest = length
        for offset in 0..<width {
            self[mark + prefix.count + 1 + offset] = UInt8(rest & 0x7F) | (offset + 1 < width ? 0x80 : 0)
            rest >>= 7
        }
    }
}
