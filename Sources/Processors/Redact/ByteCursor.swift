import Telemetry

/// Total reads over a text: what lies outside reads as zero, so that look-ahead and look-behind need no checks.
struct ByteCursor {
    let start: UnsafePointer<UInt8>
    let count: Int

    @inline(__always)
    init(_ text: Text) {
        start = text.start.assumingMemoryBound(to: UInt8.self)
        count = text.count
    }

    @inline(__always)
    subscript(index: Int) -> UInt8 {
        UInt(bitPattern: index) < UInt(bitPattern: count) ? start[index] : 0
    }

    @inline(__always)
    func isDigit(_ index: Int) -> Bool { ByteClass.isDigit(self[index]) }

    @inline(__always)
    func isAlphanumeric(_ index: Int) -> Bool { ByteClass.isAlphanumeric(self[index]) }

    /// Whether `word` stands at `index`, byte for byte.
    @inline(__always)
    func has(_ word: StaticString, at index: Int) -> Bool {
        let length = word.utf8CodeUnitCount
        guard index >= 0, index &+ length <= count else { return false }
        let bytes = word.utf8Start
        var offset = 0
        while offset < length {
            if start[index &+ offset] != bytes[offset] { return false }
            offset &+= 1
        }
        return true
    }

    /// The same for a word of a table.
    @inline(__always)
    func has(_ word: [UInt8], at index: Int) -> Bool {
        guard index >= 0, index &+ word.count <= count else { return false }
        for offset in word.indices where start[index &+ offset] != word[offset] { return false }
        return true
    }

    /// The same, ASCII letters in either case; `word` is written in lower case.
    func hasFolded(_ word: StaticString, at index: Int) -> Bool {
        let length = word.utf8CodeUnitCount
        guard index >= 0, index &+ length <= count else { return false }
        let bytes = word.utf8Start
        for offset in 0..<length where ByteClass.lowered(start[index &+ offset]) != bytes[offset] { return false }
        return true
    }

    /// Whether a token may start at `index`: nothing, a byte that no word has, or an escape such as `\n` before it.
    @inline(__always)
    func isTokenStart(_ index: Int) -> Bool {
        let before = self[index &- 1]
        if !ByteClass.isWord(before) { return true }
        if before == 0x5F { return false }
        if self[index &- 2] == 0x5C, ByteClass.isEscapeLetter(before) { return true }
        return isUnicodeEscape(endingAt: index) || isURLEscape(endingAt: index)
            || (before == 0x6D && isColorCode(endingAt: index))
    }

    /// Whether `%XX` ends right before `index`.
    @inline(__always)
    func isURLEscape(endingAt index: Int) -> Bool {
        self[index &- 3] == 0x25 && ByteClass.hexValue(self[index &- 2]) != nil
            && ByteClass.hexValue(self[index &- 1]) != nil
    }

    /// Whether a terminal's color code such as `ESC [ 1 ; 31 m` ends right before `index`; the escape may be written
    /// out, as `\x1b`, `\u001b`, `\033` or `\e`.
    func isColorCode(endingAt index: Int) -> Bool {
        var place = index &- 2
        let least = index &- 18
        while place > least, ByteClass.isDigit(self[place]) || self[place] == 0x3B { place &-= 1 }
        guard self[place] == 0x5B else { return false }
        switch self[place &- 1] {
        case 0x1B, 0x62, 0x42, 0x33, 0x65: return true
        default: return false
        }
    }

    /// Whether `\uXXXX` ends right before `index`.
    @inline(__always)
    func isUnicodeEscape(endingAt index: Int) -> Bool {
        self[index &- 5] == 0x75 && self[index &- 6] == 0x5C && ByteClass.hexValue(self[index &- 1]) != nil
    }

    /// First index at or behind `index` whose byte is no ASCII letter or digit.
    @inline(__always)
    func endOfAlphanumerics(_ index: Int) -> Int {
        var end = index
        while end < count, ByteClass.isAlphanumeric(start[end]) { end &+= 1 }
        return end
    }

    @inline(__always)
    func endOfDigits(_ index: Int) -> Int {
        var end = index
        while end < count, ByteClass.isDigit(start[end]) { end &+= 1 }
        return end
    }
}

/// Byte classes that the detectors share.
enum ByteClass {
    @inline(__always)
    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    @inline(__always)
    static func isUpper(_ byte: UInt8) -> Bool { byte &- 0x41 < 26 }

    @inline(__always)
    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    @inline(__always)
    static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || isLetter(byte) }

    /// Letters, digits, underscore.
    @inline(__always)
    static func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == 0x5F }

    /// base64url without padding.
    @inline(__always)
    static func isURLBase64(_ byte: UInt8) -> Bool { isWord(byte) || byte == 0x2D }

    /// base64 with both alphabets and padding.
    @inline(__always)
    static func isBase64(_ byte: UInt8) -> Bool {
        isURLBase64(byte) || byte == 0x2B || byte == 0x2F || byte == 0x3D
    }

    /// Value of a base64 digit of either alphabet, nil for other bytes.
    @inline(__always)
    static func base64Value(_ byte: UInt8) -> UInt8? {
        if isUpper(byte) { return byte &- 0x41 }
        if isLetter(byte) { return byte &- 0x61 &+ 26 }
        if isDigit(byte) { return byte &- 0x30 &+ 52 }
        if byte == 0x2B || byte == 0x2D { return 62 }
        return byte == 0x2F || byte == 0x5F ? 63 : nil
    }

    @inline(__always)
    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

    /// The letter of a short escape: n, r, t, b, f.
    @inline(__always)
    static func isEscapeLetter(_ byte: UInt8) -> Bool {
        byte == 0x6E || byte == 0x72 || byte == 0x74 || byte == 0x62 || byte == 0x66
    }

    @inline(__always)
    static func lowered(_ byte: UInt8) -> UInt8 { isUpper(byte) ? byte | 0x20 : byte }

    /// Value of a hexadecimal digit, nil for other bytes.
    @inline(__always)
    static func hexValue(_ byte: UInt8) -> UInt8? {
        if isDigit(byte) { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter &+ 10 : nil
    }
}
