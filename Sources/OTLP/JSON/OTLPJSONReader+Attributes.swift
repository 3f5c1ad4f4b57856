import CSupport
import Telemetry

/// A short way for KeyValue objects as every sender writes them: a key and one string, integer, flag or double, without
/// escapes. Everything else goes back to where it began and takes the way of all messages.
extension OTLPJSONReader {
    private enum Scalar {
        case string(Range<Int>)
        case int(UInt64)
        case bool(Bool)
        case double(UInt64)

        /// Bytes of the AnyValue.
        var count: Int {
            switch self {
            case .string(let text): WireSize.field(text.count)
            case .int(let number): 1 &+ WireSize.varint(number)
            case .bool: 2
            case .double: 9
            }
        }
    }

    /// Writes the KeyValue that begins here under `tag`, or returns false and changes nothing.
    mutating func usualAttribute(tag: UInt32, _ output: inout ByteColumn) -> Bool {
        let start = at
        guard let key = attributeKey(), let value = attributeValue() else {
            at = start
            return false
        }
        let valueCount = value.count
        let count = WireSize.field(key.count) &+ WireSize.field(valueCount)
        output.reserve(count &+ 8)
        output.appendVarint(UInt64(tag))
        output.appendVarint(UInt64(count))
        output.appendField(tag: 0x0A, json[key])
        output.append(0x12 as UInt8)
        output.appendVarint(UInt64(valueCount))
        switch value {
        case .string(let text): output.appendField(tag: 0x0A, json[text])
        case .int(let number):
            output.append(0x18 as UInt8)
            output.appendVarint(number)
        case .bool(let flag):
            output.append(0x10 as UInt8)
            output.append(flag ? 1 as UInt8 : 0)
        case .double(let bits):
            output.append(0x21 as UInt8)
            output.append(littleEndian: bits)
        }
        return true
    }

    /// `{"key":"…","value":{"`, with any white space. The key must not be empty.
    @inline(__always)
    private mutating func attributeKey() -> Range<Int>? {
        guard token(UInt8(ascii: "{")), word("\"key\""), token(UInt8(ascii: ":")), token(UInt8(ascii: "\"")) else {
            return nil
        }
        guard let key = plainText(), !key.isEmpty else { return nil }
        guard token(UInt8(ascii: ",")), word("\"value\""), token(UInt8(ascii: ":")), token(UInt8(ascii: "{")) else {
            return nil
        }
        return key
    }

    /// `"stringValue":"…"}}` and its like.
    @inline(__always)
    private mutating func attributeValue() -> Scalar? {
        skipSpace()
        guard at &+ 1 < json.count else { return nil }
        let value: Scalar
        switch json[at &+ 1] {
        case UInt8(ascii: "s"):
            guard word("\"stringValue\""), token(UInt8(ascii: ":")), token(UInt8(ascii: "\"")),
                let text = plainText()
            else { return nil }
            value = .string(text)
        case UInt8(ascii: "i"):
            guard word("\"intValue\""), token(UInt8(ascii: ":")) else { return nil }
            skipSpace()
            guard let number = plainInteger() else { return nil }
            value = .int(UInt64(bitPattern: number))
        case UInt8(ascii: "b"):
            guard word("\"boolValue\""), token(UInt8(ascii: ":")) else { return nil }
            if word("true") { value = .bool(true) } else if word("false") { value = .bool(false) } else { return nil }
        case UInt8(ascii: "d"):
            guard word("\"doubleValue\""), token(UInt8(ascii: ":")) else { return nil }
            skipSpace()
            // What is no double is refused again, with its reason, on the way of all messages.
            guard let number = try? double() else { return nil }
            value = .double(number.bitPattern)
        default: return nil
        }
        return token(UInt8(ascii: "}")) && token(UInt8(ascii: "}")) ? value : nil
    }

    /// White space, then this byte.
    @inline(__always)
    private mutating func token(_ byte: UInt8) -> Bool {
        skipSpace()
        return take(byte)
    }

    /// White space, then these bytes.
    @inline(__always)
    private mutating func word(_ word: StaticString) -> Bool {
        skipSpace()
        let count = word.utf8CodeUnitCount
        guard json.count &- at >= count, sluice_equal(json.start + at, word.utf8Start, count) else { return false }
        at &+= count
        return true
    }

    /// The rest of a string that has no escapes.
    @inline(__always)
    private mutating func plainText() -> Range<Int>? {
        let start = at
        at = sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), at, json.count)
        let end = at
        return take(UInt8(ascii: "\"")) ? start..<end : nil
    }

    /// An integer of at most 18 digits, in quotes or not. Nil, and nothing read, for all other spellings.
    @inline(__always)
    mutating func plainInteger() -> Int64? {
        var index = at
        let isQuoted = index < json.count && json[index] == UInt8(ascii: "\"")
        if isQuoted { index &+= 1 }
        let isNegative = index < json.count && json[index] == UInt8(ascii: "-")
        if isNegative { index &+= 1 }
        let first = index
        var value: Int64 = 0
        while index < json.count, index &- first < 18 {
            let digit = json[index] &- 0x30
            guard digit < 10 else { break }
            value = value &* 10 &+ Int64(digit)
            index &+= 1
        }
        guard index > first, index < json.count, index &- first == 1 || json[first] != 0x30 else { return nil }
        if isQuoted {
            guard json[index] == UInt8(ascii: "\"") else { return nil }
            index &+= 1
        } else if json[index] == UInt8(ascii: ".") || json[index] | 0x20 == UInt8(ascii: "e")
            || json[index] &- 0x30 < 10
        {
            return nil
        }
        at = index
        return isNegative ? -value : value
    }
}
