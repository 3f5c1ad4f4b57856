import CSupport
import Telemetry

/// Attributes in the spelling that encoders write, `{"key":"…","value":{"stringValue":"…"}}` without white space or
/// escapes: nine tenths of a usual request. They are recognized whole and written with lengths known beforehand.
/// Anything else goes the general way, from the start of the object, so that nothing is read by two sets of rules.
extension OTLPJSONReader {
    /// Value kinds of the short way.
    private enum Plain {
        case string(Range<Int>)
        case int(Int64)
        case bool(Bool)
    }

    /// Takes the attribute here when it has the usual spelling. `tag` is that of the list it belongs to.
    @inline(__always)
    mutating func usualAttribute(tag: UInt32, _ output: inout ByteColumn) -> Bool {
        let end = json.count
        guard hasWord("{\"key\":\"", at) else { return false }
        let keyStart = at &+ 8
        let keyEnd = plainEnd(keyStart)
        guard hasWord("\",\"value\":{\"", keyEnd) else { return false }
        let kind = keyEnd &+ 12
        guard kind < end else { return false }
        let found: (value: Plain, end: Int)?
        switch json[kind] {
        case UInt8(ascii: "s"): found = usualString(kind)
        case UInt8(ascii: "i"): found = usualInt(kind)
        case UInt8(ascii: "b"): found = usualBool(kind)
        default: return false
        }
        guard let found, hasWord("}}", found.end) else { return false }
        at = found.end &+ 2
        write(keyStart..<keyEnd, found.value, tag, &output)
        return true
    }

    @inline(__always)
    private func hasWord(_ word: StaticString, _ start: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard start &+ count <= json.count else { return false }
        return sluice_equal(json.start + start, word.utf8Start, count)
    }

    @inline(__always)
    private func plainEnd(_ start: Int) -> Int {
        sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), start, json.count)
    }

    @inline(__always)
    private func usualString(_ kind: Int) -> (Plain, Int)? {
        guard hasWord("stringValue\":\"", kind) else { return nil }
        let start = kind &+ 14
        let end = plainEnd(start)
        guard end < json.count, json[end] == UInt8(ascii: "\"") else { return nil }
        return (.string(start..<end), end &+ 1)
    }

    @inline(__always)
    private func usualInt(_ kind: Int) -> (Plain, Int)? {
        guard hasWord("intValue\":", kind) else { return nil }
        var index = kind &+ 10
        let isQuoted = index < json.count && json[index] == UInt8(ascii: "\"")
        if isQuoted { index &+= 1 }
        guard let (magnitude, end) = shortNumber(index) else { return nil }
        index = end
        if isQuoted {
            guard index < json.count, json[index] == UInt8(ascii: "\"") else { return nil }
            index &+= 1
        }
        return (.int(Int64(magnitude)), index)
    }

    @inline(__always)
    private func usualBool(_ kind: Int) -> (Plain, Int)? {
        guard hasWord("boolValue\":", kind) else { return nil }
        if hasWord("true", kind &+ 11) { return (.bool(true), kind &+ 15) }
        if hasWord("false", kind &+ 11) { return (.bool(false), kind &+ 16) }
        return nil
    }

    /// An integer of 1 to 18 digits without sign or leading zero, and where it ends; a longer one, or one with a point
    /// or an exponent, is for the general way.
    @inline(__always)
    func shortNumber(_ start: Int) -> (value: UInt64, end: Int)? {
        var index = start
        var value: UInt64 = 0
        let limit = min(start &+ 19, json.count)
        while index < limit {
            let digit = json[index] &- 0x30
            if digit > 9 { break }
            value = value &* 10 &+ UInt64(digit)
            index &+= 1
        }
        guard index > start, index < limit, json[start] != 0x30 || index == start &+ 1 else { return nil }
        return (value, index)
    }

    @inline(__always)
    private func write(_ key: Range<Int>, _ value: Plain, _ tag: UInt32, _ output: inout ByteColumn) {
        var valueSize = 0
        switch value {
        case .string(let range): valueSize = WireSize.field(range.count)
        case .int(let number): valueSize = 1 &+ WireSize.varint(UInt64(bitPattern: number))
        case .bool: valueSize = 2
        }
        // An empty key is the default and not written, as on the general way.
        let keySize = key.isEmpty ? 0 : WireSize.field(key.count)
        output.appendVarint(UInt64(tag))
        output.appendVarint(UInt64(keySize &+ WireSize.field(valueSize)))
        if keySize > 0 { output.appendField(tag: 0x0A, json[key]) }
        output.appendVarint(0x12)
        output.appendVarint(UInt64(valueSize))
        switch value {
        case .string(let range): output.appendField(tag: 0x0A, json[range])
        case .int(let number):
            output.append(0x18 as UInt8)
            output.appendVarint(UInt64(bitPattern: number))
        case .bool(let flag):
            output.append(0x10 as UInt8)
            output.append(flag ? 1 : 0 as UInt8)
        }
    }
}
