import CSupport
package import Telemetry

/// Reading and writing of the inside of JSON strings.
package enum JSONText {
    /// Index of the first quote, backslash or control character at or behind `from`; `text.count` when there is none.
    @inline(__always)
    static func special(_ text: Text, from: Int, quote: UInt8 = UInt8(ascii: "\"")) -> Int {
        if quote == UInt8(ascii: "\"") {
            return sluice_json_plain_end(text.start.assumingMemoryBound(to: UInt8.self), from, text.count)
        }
        var index = from
        let quotes = UInt64(quote) &* 0x0101_0101_0101_0101
        while text.count &- index >= 8 {
            let word = text.start.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            // Marks a byte's top bit when it is the quote, the backslash or below 0x20; false marks only above a true
            // one.
            let q = word ^ quotes
            let b = word ^ 0x5C5C_5C5C_5C5C_5C5C
            let hits =
                ((q &- 0x0101_0101_0101_0101) & ~q) | ((b &- 0x0101_0101_0101_0101) & ~b)
                | ((word &- 0x2020_2020_2020_2020) & ~word)
            let marked = hits & 0x8080_8080_8080_8080
            if marked != 0 { return index &+ marked.trailingZeroBitCount / 8 }
            index &+= 8
        }
        while index < text.count {
            let byte = text[index]
            if byte == quote || byte == UInt8(ascii: "\\") || byte < 0x20 { return index }
            index &+= 1
        }
        return text.count
    }

    /// Decodes backslash escapes. Broken surrogates become U+FFFD; the text was checked by the reader.
    package static func unescape(_ text: Text, _ arena: inout Arena) -> Text {
        // Every escape is at least as long as what it stands for.
        let reserved = max(text.count, 1)
        let out = arena.allocate(reserved)
        var written = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            guard byte == UInt8(ascii: "\\"), index + 1 < text.count else {
                out.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
                written += 1
                index += 1
                continue
            }
            let escape = text[index + 1]
            index += 2
            if escape == UInt8(ascii: "u") {
                let scalar = unicode(text, &index)
                written += utf8(scalar, out + written)
            } else {
                out.storeBytes(of: simple(escape), toByteOffset: written, as: UInt8.self)
                written += 1
            }
        }
        arena.shrinkLast(from: reserved, to: written)
        return Text(start: UnsafeRawPointer(out), count: written)
    }

    /// The byte that a one-letter escape stands for.
    static func simple(_ escape: UInt8) -> UInt8 {
        switch escape {
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        default: escape
        }
    }

    /// Reads the hex digits behind `\u`, and a second escape when the first is a leading surrogate.
    static func unicode(_ text: Text, _ index: inout Int) -> UInt32 {
        guard let first = hex(text, index, digits: 4) else { return 0xFFFD }
        index += 4
        guard first & 0xF800 == 0xD800 else { return first }
        guard first < 0xDC00, index + 6 <= text.count, text[index] == UInt8(ascii: "\\"),
            text[index + 1] == UInt8(ascii: "u"), let second = hex(text, index + 2, digits: 4),
            second & 0xFC00 == 0xDC00
        else { return 0xFFFD }
        index += 6
        return 0x10000 &+ ((first & 0x3FF) << 10) &+ (second & 0x3FF)
    }

    static func hex(_ text: Text, _ start: Int, digits: Int) -> UInt32? {
        guard start + digits <= text.count else { return nil }
        var value: UInt32 = 0
        for index in start..<start + digits {
            let byte = text[index]
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte - 0x30
            case 0x41...0x46: digit = byte - 0x37
            case 0x61...0x66: digit = byte - 0x57
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// Writes one scalar as UTF-8 and returns its length, at most 4.
    static func utf8(_ scalar: UInt32, _ out: UnsafeMutableRawPointer) -> Int {
        func put(_ byte: UInt32, _ offset: Int) {
            out.storeBytes(of: UInt8(truncatingIfNeeded: byte), toByteOffset: offset, as: UInt8.self)
        }
        if scalar < 0x80 {
            put(scalar, 0)
            return 1
        }
        if scalar < 0x800 {
            put(0xC0 | scalar >> 6, 0)
            put(0x80 | scalar & 0x3F, 1)
            return 2
        }
        if scalar < 0x10000 {
            put(0xE0 | scalar >> 12, 0)
            put(0x80 | scalar >> 6 & 0x3F, 1)
            put(0x80 | scalar & 0x3F, 2)
            return 3
        }
        put(0xF0 | scalar >> 18 & 0x07, 0)
        put(0x80 | scalar >> 12 & 0x3F, 1)
        put(0x80 | scalar >> 6 & 0x3F, 2)
        put(0x80 | scalar & 0x3F, 3)
        return 4
    }

    /// Appends decoded text as the inside of a JSON string.
    package static func escape(_ text: Text, into out: inout ByteColumn) {
        var start = 0
        while start < text.count {
            let stop = special(text, from: start)
            out.append(text[start..<stop])
            guard stop < text.count else { return }
            let byte = text[stop]
            out.append(UInt8(ascii: "\\"))
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): out.append(byte)
            case 0x0A: out.append(UInt8(ascii: "n"))
            case 0x0D: out.append(UInt8(ascii: "r"))
            case 0x09: out.append(UInt8(ascii: "t"))
            case 0x08: out.append(UInt8(ascii: "b"))
            case 0x0C: out.append(UInt8(ascii: "f"))
            default:
                out.append("u00")
                out.append(digit(byte >> 4))
                out.append(digit(byte & 0xF))
            }
            start = stop + 1
        }
    }

    static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}
