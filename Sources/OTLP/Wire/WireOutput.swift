package import Telemetry

/// Place of an open message in the output: where its length goes and how many bytes were kept for it.
package struct OpenMessage {
    var start: Int
    var width: Int
}

/// Protobuf writing on a byte column. Lengths are written in place after the content: the room kept for them comes from
/// a guess (usually the length of the received message), and content moves only when the guess was wrong.
extension ByteColumn {
    /// Appends a varint in as few bytes as it takes.
    @inline(__always)
    package mutating func appendVarint(_ value: UInt64) {
        if value < 0x80 { return append(UInt8(truncatingIfNeeded: value)) }
        if value < 0x4000 {
            return append(littleEndian: UInt16(truncatingIfNeeded: (value & 0x7F) | 0x80 | (value >> 7) << 8))
        }
        appendLongVarint(value)
    }

    @inline(never)
    private mutating func appendLongVarint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        append(UInt8(truncatingIfNeeded: value))
    }

    /// Begins a field that is a message; `tag` is field number and wire type, `guess` the expected length in bytes.
    @inline(__always)
    package mutating func beginMessage(tag: UInt32, guess: Int) -> OpenMessage {
        appendVarint(UInt64(tag))
        let width = WireSize.varint(UInt64(max(guess, 0)))
        reserve(width)
        let start = count
        // Written by `endMessage`, or taken back.
        count &+= width
        return OpenMessage(start: start, width: width)
    }

    /// Ends the message that was begun last and is not ended yet.
    @inline(__always)
    package mutating func endMessage(_ open: OpenMessage) {
        let contentStart = open.start &+ open.width
        let length = count &- contentStart
        let width = WireSize.varint(UInt64(length))
        if width != open.width { shift(from: contentStart, by: width - open.width) }
        var value = UInt64(length)
        var at = open.start
        while value >= 0x80 {
            self[at] = UInt8(truncatingIfNeeded: value) | 0x80
            value >>= 7
            at &+= 1
        }
        self[at] = UInt8(truncatingIfNeeded: value)
    }

    /// Takes an opened message back as if it had never begun.
    mutating func abandonMessage(_ open: OpenMessage, tag: UInt32) {
        truncate(to: open.start - WireSize.varint(UInt64(tag)))
    }

    /// A varint field; nothing for zero, the default.
    package mutating func appendScalar(tag: UInt32, _ value: UInt64) {
        guard value != 0 else { return }
        appendVarint(UInt64(tag))
        appendVarint(value)
    }

    /// A fixed64 field; nothing for zero, the default.
    package mutating func appendFixed(tag: UInt32, _ value: UInt64) {
        guard value != 0 else { return }
        appendVarint(UInt64(tag))
        append(littleEndian: value)
    }

    /// A length-delimited field.
    @inline(__always)
    package mutating func appendField(tag: UInt32, _ content: Text) {
        appendVarint(UInt64(tag))
        appendVarint(UInt64(content.count))
        append(content)
    }
}

/// Encoded sizes.
enum WireSize {
    @inline(__always)
    static func varint(_ value: UInt64) -> Int {
        let bits = 64 &- (value | 1).leadingZeroBitCount
        return (bits &+ 6) / 7
    }

    @inline(__always)
    static func field(_ length: Int) -> Int { 1 &+ varint(UInt64(length)) &+ length }
}
