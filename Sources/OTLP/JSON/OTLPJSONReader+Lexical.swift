import CSupport
import Telemetry

/// Tokens of JSON (RFC 8259), read strictly wherever they stand: also in values that are skipped.
extension OTLPJSONReader {
    @inline(__always)
    func peek() -> UInt8 { at < json.count ? json[at] : 0 }

    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        guard at < json.count, json[at] == byte else { return false }
        at &+= 1
        return true
    }

    @inline(__always)
    mutating func expect(
        _ byte: UInt8, _ what: StaticString, _ reason: DecodeFailure.Reason = .syntax
    ) throws(DecodeFailure) {
        guard take(byte) else { throw missing(what, reason) }
    }

    @inline(never)
    private func missing(
        _ what: StaticString, _ reason: DecodeFailure.Reason = .syntax
    ) -> DecodeFailure {
        DecodeFailure(at < json.count ? reason : .truncated, at: at, what.description)
    }

    /// As `expect`, where a value of another type may stand.
    @inline(__always)
    mutating func expectValue(_ byte: UInt8, _ what: StaticString) throws(DecodeFailure) {
        guard take(byte) else { throw missing(what, Self.beginsValue(peek()) ? .wrongType : .syntax) }
    }

    private static func beginsValue(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "-"), 0x30...0x39: true
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): true
        default: false
        }
    }

    @inline(__always)
    mutating func skipSpace() {
        while at < json.count {
            let byte = json[at]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            at &+= 1
        }
    }

    mutating func literal(_ word: StaticString) throws(DecodeFailure) {
        guard json[at..<json.count].hasPrefix(word) else { throw missing("true, false or null is expected") }
        at += word.utf8CodeUnitCount
    }

    // MARK: Strings

    /// Moves behind the closing quote of a string whose opening quote was read. Returns whether it had no escapes.
    @inline(__always)
    mutating func skipString() throws(DecodeFailure) -> Bool {
        at = sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), at, json.count)
        if take(UInt8(ascii: "\"")) { return true }
        try skipEscapedString()
        return false
    }

    @inline(never)
    private mutating func skipEscapedString() throws(DecodeFailure) {
        while !take(UInt8(ascii: "\"")) {
            _ = try escapeOrFault()
            at = sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), at, json.count)
        }
    }

    /// The rest of a string, escapes decoded, up to and with its closing quote.
    mutating func unescape(_ output: inout ByteColumn) throws(DecodeFailure) {
        while true {
            output.reserve(Self.unescapeRoom)
            output.count &+= sluice_json_unescape(
                json.start.assumingMemoryBound(to: UInt8.self), &at, json.count,
                (output.base + output.count).assumingMemoryBound(to: UInt8.self), output.capacity &- output.count)
            if take(UInt8(ascii: "\"")) { return }
            // No room left says nothing about what stands here.
            if output.capacity == output.count { continue }
            let scalar = try escapeOrFault()
            for byte in Unicode.UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter { output.append(byte) }
        }
    }

    /// Least room that a string is decoded into at once, in bytes; with less than 80 it is decoded byte by byte.
    private static let unescapeRoom = 128

    /// The character of the escape here, or why the string cannot go on here.
    private mutating func escapeOrFault() throws(DecodeFailure) -> Unicode.Scalar {
        guard at < json.count else { throw DecodeFailure(.truncated, at: at, "a string is not closed") }
        guard take(UInt8(ascii: "\\")) else {
            throw DecodeFailure(.syntax, at: at, "control characters must be escaped in strings")
        }
        let kind = peek()
        at += 1
        let character = sluice_json_escape(kind)
        if character != 0 { return Unicode.Scalar(character) }
        guard kind == UInt8(ascii: "u") else { throw DecodeFailure(.syntax, at: at - 1, "unknown escape") }
        return try unicodeEscape()
    }

    private mutating func unicodeEscape() throws(DecodeFailure) -> Unicode.Scalar {
        let start = at
        var code = try fourHex()
        if code >= 0xD800 && code < 0xDC00 {
            guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
                throw DecodeFailure(.invalidUTF8, at: start, "lone surrogate")
            }
            let low = try fourHex()
            guard low >= 0xDC00 && low < 0xE000 else { throw DecodeFailure(.invalidUTF8, at: start, "lone surrogate") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw DecodeFailure(.invalidUTF8, at: start, "lone surrogate") }
        return scalar
    }

    private mutating func fourHex() throws(DecodeFailure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Hex.value(peek()) else {
                throw DecodeFailure(.syntax, at: at, "four hex digits are expected")
            }
            value = value << 4 | UInt32(digit)
            at += 1
        }
        return value
    }

    // MARK: Values that nobody asked for

    /// Steps over a value of any type. The recursion is bounded by `depthMax`.
    mutating func skipValue(depth: Int) throws(DecodeFailure) {
        switch peek() {
        case UInt8(ascii: "{"): try skipMembers(depth: depth + 1, close: UInt8(ascii: "}"), areNamed: true)
        case UInt8(ascii: "["): try skipMembers(depth: depth + 1, close: UInt8(ascii: "]"), areNamed: false)
        case UInt8(ascii: "\""):
            at += 1
            _ = try skipString()
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default:
            let first = peek()
            guard first == UInt8(ascii: "-") || (0x30...0x39).contains(first) else {
                throw missing("a value is expected")
            }
            _ = try number()
        }
    }

    private mutating func skipMembers(depth: Int, close: UInt8, areNamed: Bool) throws(DecodeFailure) {
        guard depth <= OTLPJSONReader.depthMax else { throw DecodeFailure(.tooDeep, at: at) }
        at += 1
        skipSpace()
        if take(close) { return }
        while true {
            if areNamed {
                try expect(UInt8(ascii: "\""), "a quoted key is expected")
                _ = try skipString()
                skipSpace()
                try expect(UInt8(ascii: ":"), "a colon is expected")
                skipSpace()
            }
            try skipValue(depth: depth)
            skipSpace()
            if take(close) { return }
            try expect(UInt8(ascii: ","), "a comma or a closing bracket is expected")
            skipSpace()
        }
    }
}
