import CSupport
import Telemetry

/// Attributes in the spelling that encoders write, `{"key":"…","value":{"stringValue":"…"}}` without white space and
/// with no escape in the key: nine tenths of a usual request. They are recognized whole and written with lengths known
/// beforehand; a string with escapes is decoded in place by what decodes all strings. Anything else goes the general
/// way, from the start of the object, so that nothing is read by two sets of rules.
extension OTLPJSONReader {
    /// Value kinds of the short way.
    private enum Plain {
        case string(Range<Int>)
        case int(UInt64)
        case double(Double)
        case bool(Bool)
    }

    /// Takes the attribute here when it has the usual spelling. `tag` is that of the list it belongs to.
    @inline(__always)
    mutating func usualAttribute(tag: UInt32, _ output: inout ByteColumn) -> Bool {
        let keyStart = at &+ 8
        let place = attribute
        attribute = min(attribute &+ 1, AttributeOrder.places &- 1)
        let keyEnd: Int
        if let count = attributes.keyCount(place), hasWord(json[attributes.head(place)], at) {
            keyEnd = keyStart &+ count
        } else {
            guard hasWord(Text("{\"key\":\""), at) else { return false }
            keyEnd = plainEnd(keyStart)
            guard hasWord(Text("\",\"value\":{\""), keyEnd) else { return false }
            attributes.learn(at..<keyEnd &+ 12, at: place)
        }
        let kind = keyEnd &+ 12
        guard kind < json.count else { return false }
        let found: (value: Plain, end: Int)?
        switch json[kind] {
        case UInt8(ascii: "s"):
            found = usualString(kind)
            if found == nil { return escapedString(keyStart..<keyEnd, kind, tag, &output) }
        case UInt8(ascii: "i"): found = usualInt(kind)
        case UInt8(ascii: "b"): found = usualBool(kind)
        case UInt8(ascii: "d"): found = usualDouble(kind)
        default: return false
        }
        guard let found, hasWord(Text("}}"), found.end) else { return false }
        at = found.end &+ 2
        if !writeShort(keyStart..<keyEnd, found.value, tag, &output) {
            write(keyStart..<keyEnd, found.value, tag, &output)
        }
        return true
    }

    @inline(__always)
    func hasWord(_ word: Text, _ start: Int) -> Bool {
        guard start &+ word.count <= json.count else { return false }
        return sluice_equal(json.start + start, word.start, word.count)
    }

    @inline(__always)
    private func plainEnd(_ start: Int) -> Int {
        sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), start, json.count)
    }

    @inline(__always)
    private func usualString(_ kind: Int) -> (Plain, Int)? {
        guard hasWord(Text("stringValue\":\""), kind) else { return nil }
        let start = kind &+ 14
        let end = plainEnd(start)
        guard end < json.count, json[end] == UInt8(ascii: "\"") else { return nil }
        return (.string(start..<end), end &+ 1)
    }

    /// Takes an attribute with escapes in its string: it is decoded where it goes if its lengths take two bytes each,
    /// as they do from 128 bytes to 16 KiB, and moved there otherwise. `kind` is where `stringValue` stands.
    private mutating func escapedString(
        _ key: Range<Int>, _ kind: Int, _ tag: UInt32, _ output: inout ByteColumn
    ) -> Bool {
        guard hasWord(Text("stringValue\":\""), kind) else { return false }
        let (objectStart, outputStart) = (at, output.count)
        let openAttribute = output.beginMessage(tag: tag, guess: Self.escapedLength)
        if !key.isEmpty { output.appendField(tag: 0x0A, json[key]) }
        let openValue = output.beginMessage(tag: 0x12, guess: Self.escapedLength)
        let openText = output.beginMessage(tag: 0x0A, guess: Self.escapedLength)
        at = kind &+ 14
        // A fault is told by the general way: nothing stands behind the end, so the guard sends it there.
        do throws(DecodeFailure) { try unescape(&output) } catch { at = json.count }
        guard hasWord(Text("}}"), at) else {
            at = objectStart
            output.truncate(to: outputStart)
            return false
        }
        at &+= 2
        output.endMessage(openText)
        output.endMessage(openValue)
        output.endMessage(openAttribute)
        return true
    }

    /// A length that stands for those of texts with escapes.
    private static let escapedLength = 1_000

    @inline(__always)
    private func usualInt(_ kind: Int) -> (Plain, Int)? {
        guard hasWord(Text("intValue\":"), kind), let (value, end) = plainNumber(kind &+ 10), value <= UInt64(Int64.max)
        else { return nil }
        return (.int(value), end)
    }

    @inline(__always)
    private func usualDouble(_ kind: Int) -> (Plain, Int)? {
        guard hasWord(Text("doubleValue\":"), kind), let (value, end) = plainDouble(kind &+ 13) else { return nil }
        return (.double(value), end)
    }

    @inline(__always)
    private func usualBool(_ kind: Int) -> (Plain, Int)? {
        guard hasWord(Text("boolValue\":"), kind) else { return nil }
        if hasWord(Text("true"), kind &+ 11) { return (.bool(true), kind &+ 15) }
        if hasWord(Text("false"), kind &+ 11) { return (.bool(false), kind &+ 16) }
        return nil
    }

    /// Writes an attribute of which every length takes one byte, without asking for room part by part. False for a
    /// longer one, and for one without a key.
    @inline(__always)
    private func writeShort(_ key: Range<Int>, _ value: Plain, _ tag: UInt32, _ output: inout ByteColumn) -> Bool {
        var text = key.lowerBound..<key.lowerBound
        if case .string(let range) = value { text = range }
        guard tag < 0x80, !key.isEmpty, key.count &+ text.count < 100 else { return false }
        // Eight bytes of tags and lengths, at most ten of a number, and what is copied too much.
        output.reserve(key.count &+ text.count &+ 20 &+ 32)
        let start = output.base + output.count
        copy(key, to: start + 4)
        let member = start + (key.count &+ 4)
        var size = 2
        switch value {
        case .string:
            size = text.count &+ 2
            copy(text, to: member + 4)
            storeFields(0x12, size, 0x0A, text.count, at: member)
        case .int(var number):
            storeFields(0x12, 0, 0x18, 0, at: member)
            while number >= 0x80 {
                member.storeBytes(of: UInt8(truncatingIfNeeded: number) | 0x80, toByteOffset: size &+ 1, as: UInt8.self)
                number >>= 7
                size &+= 1
            }
            member.storeBytes(of: UInt8(truncatingIfNeeded: number), toByteOffset: size &+ 1, as: UInt8.self)
            member.storeBytes(of: UInt8(truncatingIfNeeded: size), toByteOffset: 1, as: UInt8.self)
        case .double(let number):
            size = 9
            storeFields(0x12, size, 0x21, 0, at: member)
            member.storeBytes(of: number.bitPattern.littleEndian, toByteOffset: 3, as: UInt64.self)
        case .bool(let flag): storeFields(0x12, size, 0x10, flag ? 1 : 0, at: member)
        }
        storeFields(Int(tag), key.count &+ size &+ 4, 0x0A, key.count, at: start)
        output.count &+= key.count &+ size &+ 6
        return true
    }

    @inline(__always)
    private func copy(_ range: Range<Int>, to place: UnsafeMutableRawPointer) {
        sluice_copy_loose(place, json.start + range.lowerBound, range.count, json.count &- range.lowerBound)
    }

    /// Two tags below 128 with the lengths or values below 128 behind them: a message's and that of its first field.
    @inline(__always)
    private func storeFields(
        _ outer: Int, _ length: Int, _ inner: Int, _ value: Int, at place: UnsafeMutableRawPointer
    ) {
        let bytes = UInt32(truncatingIfNeeded: outer | length << 8 | inner << 16 | value << 24)
        place.storeBytes(of: bytes.littleEndian, as: UInt32.self)
    }

    @inline(__always)
    private func write(_ key: Range<Int>, _ value: Plain, _ tag: UInt32, _ output: inout ByteColumn) {
        var valueSize = 0
        switch value {
        case .string(let range): valueSize = WireSize.field(range.count)
        case .int(let number): valueSize = 1 &+ WireSize.varint(number)
        case .double: valueSize = 9
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
            output.appendVarint(number)
        case .double(let number):
            output.append(0x21 as UInt8)
            output.append(littleEndian: number.bitPattern)
        case .bool(let flag):
            output.append(0x10 as UInt8)
            output.append(flag ? 1 : 0 as UInt8)
        }
    }
}

/// Where attributes began so far, by their place in their list: senders write the same keys in the same order in record
/// after record, so `{"key":"…","value":{"` is compared as a whole with the one that stood there before.
struct AttributeOrder {
    /// Places that are told apart; all behind them share the last one.
    static let places = 32

    private var starts = InlineArray<32, UInt32>(repeating: 0)
    private var counts = InlineArray<32, UInt32>(repeating: 0)

    /// Length of the key that was at this place, nil when nothing is known.
    @inline(__always)
    func keyCount(_ place: Int) -> Int? {
        let count = Int(counts[place])
        return count == 0 ? nil : count &- 20
    }

    /// Where the beginning of the attribute at this place lies in the text.
    @inline(__always)
    func head(_ place: Int) -> Range<Int> {
        let start = Int(starts[place])
        return start..<start &+ Int(counts[place])
    }

    @inline(__always)
    mutating func learn(_ head: Range<Int>, at place: Int) {
        starts[place] = UInt32(truncatingIfNeeded: head.lowerBound)
        counts[place] = head.upperBound <= Int(UInt32.max) ? UInt32(truncatingIfNeeded: head.count) : 0
    }
}
