package import Telemetry

/// Why bytes are not a valid OTLP request. The text is for the sender.
package struct DecodeFailure: Error, Equatable, Sendable {
    /// What is wrong. The second line is of JSON only.
    package enum Reason: Sendable {
        case truncated, malformedVarint, malformedTag, unbalancedGroup, tooDeep, tooManyElements, invalidUTF8
        case syntax, wrongType, outOfRange, trailingBytes, badIdentifier
    }

    package var reason: Reason
    /// Byte offset in the plain request body; nil where the body was read in another form than it came in.
    package var offset: Int?
    /// Extra words for JSON: which field.
    package var detail: String

    package init(_ reason: Reason, at offset: Int, _ detail: String = "") {
        self.reason = reason
        self.offset = offset
        self.detail = detail
    }

    package var message: String {
        let what: String =
            switch reason {
            case .truncated: "a length runs past the end of its message, or the body is cut off"
            case .malformedVarint: "a varint is longer than ten bytes"
            case .malformedTag: "a field has number 0 or an unknown wire type"
            case .unbalancedGroup: "a group is not closed"
            case .tooDeep: "values are nested too deeply"
            case .tooManyElements: "the request holds too many elements; send smaller batches"
            case .invalidUTF8: "a string is not valid UTF-8"
            case .syntax: "malformed JSON"
            case .wrongType: "a field has the wrong type"
            case .outOfRange: "a number does not fit its field"
            case .trailingBytes: "bytes follow the JSON document"
            case .badIdentifier: "an id is not hexadecimal; OTLP/JSON writes traceId and spanId in hex, not base64"
            }
        let extra = detail.isEmpty ? "" : " (\(detail))"
        return what + extra + (offset.map { ", at byte \($0)" } ?? "")
    }
}

/// Reads protobuf wire format inside `bytes[at..<end]`. Every read is checked against `end`.
package struct WireCursor {
    package let bytes: Text
    package var at: Int
    package let end: Int

    @inline(__always)
    package init(_ bytes: Text, _ range: Range<Int>) {
        self.bytes = bytes
        at = range.lowerBound
        end = min(range.upperBound, bytes.count)
    }

    @inline(__always)
    package init(_ bytes: Text) { self.init(bytes, 0..<bytes.count) }

    package var isAtEnd: Bool {
        @inline(__always) get { at >= end }
    }

    /// Reads a varint of at most ten bytes; bits beyond 64 are cut off, as other readers do.
    @inline(__always)
    package mutating func varint() throws(DecodeFailure) -> UInt64 {
        guard at < end else { throw DecodeFailure(.truncated, at: at) }
        let byte = bytes.start.load(fromByteOffset: at, as: UInt8.self)
        if byte < 0x80 {
            at &+= 1
            return UInt64(byte)
        }
        return try longVarint()
    }

    @inline(never)
    private mutating func longVarint() throws(DecodeFailure) -> UInt64 {
        // Two bytes, as lengths of records have.
        if end &- at >= 2 {
            let high = bytes.start.load(fromByteOffset: at &+ 1, as: UInt8.self)
            if high < 0x80 {
                let low = bytes.start.load(fromByteOffset: at, as: UInt8.self)
                at &+= 2
                return UInt64(low & 0x7F) | UInt64(high) &<< 7
            }
        }
        var value: UInt64 = 0
        var shift: UInt64 = 0
        let start = at
        while at < end {
            let byte = bytes.start.load(fromByteOffset: at, as: UInt8.self)
            at &+= 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
            if shift > 63 { throw DecodeFailure(.malformedVarint, at: start) }
        }
        throw DecodeFailure(.truncated, at: start)
    }

    /// The next tag: field number and wire type as one number. Field 0 and numbers above 2^29-1 are refused, and tags
    /// of more than five bytes, which other readers refuse too.
    @inline(__always)
    package mutating func tag() throws(DecodeFailure) -> UInt32 {
        let start = at
        let value = try varint()
        guard value >= 8, value <= 0xFFFF_FFFF, at &- start <= 5 else { throw DecodeFailure(.malformedTag, at: start) }
        return UInt32(truncatingIfNeeded: value)
    }

    /// Whether the next byte is this tag.
    @inline(__always)
    package func isNext(_ tag: UInt8) -> Bool {
        at < end && bytes.start.load(fromByteOffset: at, as: UInt8.self) == tag
    }

    /// Place and size of the next field's content when it has this tag of one byte and less than 128 bytes; else nil,
    /// and nothing is read.
    @inline(__always)
    package mutating func shortField(_ tag: UInt8) -> (from: Int, count: Int)? {
        let left = end &- at
        guard left >= 2, bytes.start.load(fromByteOffset: at, as: UInt8.self) == tag else { return nil }
        let count = Int(bytes.start.load(fromByteOffset: at &+ 1, as: UInt8.self))
        guard count < 0x80, count <= left &- 2 else { return nil }
        let from = at &+ 2
        at = from &+ count
        return (from, count)
    }

    /// The content range of a length-delimited field.
    @inline(__always)
    package mutating func length() throws(DecodeFailure) -> Range<Int> {
        let start = at
        let count = try varint()
        guard count <= UInt64(end &- at) else { throw DecodeFailure(.truncated, at: start) }
        let from = at
        at &+= Int(count)
        return from..<at
    }

    /// Reads 8 bytes, little-endian: the payload of fixed64, sfixed64 and double.
    @inline(__always)
    package mutating func fixed64() throws(DecodeFailure) -> UInt64 {
        guard end &- at >= 8 else { throw DecodeFailure(.truncated, at: at) }
        let value = bytes.start.loadUnaligned(fromByteOffset: at, as: UInt64.self)
        at &+= 8
        return UInt64(littleEndian: value)
    }

    /// Reads 4 bytes, little-endian: the payload of fixed32, sfixed32 and float.
    @inline(__always)
    package mutating func fixed32() throws(DecodeFailure) -> UInt32 {
        guard end &- at >= 4 else { throw DecodeFailure(.truncated, at: at) }
        let value = bytes.start.loadUnaligned(fromByteOffset: at, as: UInt32.self)
        at &+= 4
        return UInt32(littleEndian: value)
    }

    /// Steps over the field whose tag was just read. Groups may nest to a depth of 64 and end by their own number.
    package mutating func skip(_ tag: UInt32) throws(DecodeFailure) {
        switch tag & 7 {
        case 0: _ = try varint()
        case 1: _ = try fixed64()
        case 2: _ = try length()
        case 3: try skipGroup(tag >> 3, depth: 1)
        case 4: throw DecodeFailure(.unbalancedGroup, at: at)
        case 5: _ = try fixed32()
        default: throw DecodeFailure(.malformedTag, at: at)
        }
    }

    private mutating func skipGroup(_ number: UInt32, depth: Int) throws(DecodeFailure) {
        guard depth <= 64 else { throw DecodeFailure(.tooDeep, at: at) }
        while true {
            guard at < end else { throw DecodeFailure(.unbalancedGroup, at: at) }
            let tag = try tag()
            switch tag & 7 {
            case 3: try skipGroup(tag >> 3, depth: depth + 1)
            case 4:
                guard tag >> 3 == number else { throw DecodeFailure(.unbalancedGroup, at: at) }
                return
            default: try skip(tag)
            }
        }
    }

    /// So many bytes of the request as a reference.
    @inline(__always)
    package static func reference(_ from: Int, _ count: Int) -> TextRef {
        TextRef(offset: UInt32(truncatingIfNeeded: from), length: UInt32(truncatingIfNeeded: count))
    }

    /// The bytes of a range as a reference into the request.
    @inline(__always)
    package static func reference(_ range: Range<Int>) -> TextRef {
        TextRef(
            offset: UInt32(truncatingIfNeeded: range.lowerBound), length: UInt32(truncatingIfNeeded: range.count))
    }
}

/// One field of a message that was validated before: the writer's view.
package struct WireField {
    package var tag: UInt32
    /// From the tag's first byte to behind the value.
    package var whole: Range<Int>
    /// Content of a length-delimited field, else empty.
    package var content: Range<Int>
}

extension WireCursor {
    /// The next field, or nil at the end and on bytes that are no field.
    @inline(__always)
    package mutating func nextField() -> WireField? {
        guard at < end else { return nil }
        let start = at
        guard let tag = try? self.tag() else { return nil }
        if tag & 7 == 2 {
            guard let content = try? length() else { return nil }
            return WireField(tag: tag, whole: start..<at, content: content)
        }
        do throws(DecodeFailure) { try skip(tag) } catch { return nil }
        return WireField(tag: tag, whole: start..<at, content: at..<at)
    }
}
