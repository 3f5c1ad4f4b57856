import Telemetry

/// Signs that models write where JSON has its own, and escapes that hide its own.
enum LooseSigns {
    /// The first byte from `start` on that is in no space, those of Unicode and those without width included.
    static func skipSpaces(_ bytes: ByteCursor, _ start: Int) -> Int {
        var index = start
        while true {
            let width = spaceWidth(bytes, index)
            if width == 0 { return index }
            index += width
        }
    }

    /// Bytes of the space at `index`, 0 when there is none.
    static func spaceWidth(_ bytes: ByteCursor, _ index: Int) -> Int {
        let byte = bytes[index]
        if byte < 0x80 { return ByteClass.isSpace(byte) ? 1 : 0 }
        switch (byte, bytes[index + 1], bytes[index + 2]) {
        case (0xC2, 0xA0, _), (0xC2, 0x85, _): return 2
        case (0xE2, 0x80, 0x80...0x8F), (0xE2, 0x80, 0xA8...0xAF), (0xE2, 0x81, 0x9F...0xA4): return 3
        case (0xE3, 0x80, 0x80), (0xEF, 0xBB, 0xBF): return 3
        default: return 0
        }
    }

    /// Behind the colon at `index`, a full-width one too; nil when there is none.
    static func colonEnd(_ bytes: ByteCursor, _ index: Int) -> Int? {
        if bytes[index] == 0x3A { return index + 1 }
        return bytes[index] == 0xEF && bytes[index + 1] == 0xBC && bytes[index + 2] == 0x9A ? index + 3 : nil
    }

    /// A quote other than JSON's. Those that open and those that close are of one kind.
    struct Quote {
        /// From 0 to 3: `'`, a backtick, and the curved ones, single and double.
        var kind: Int
        var width: Int
    }

    static func quote(_ bytes: ByteCursor, _ index: Int) -> Quote? {
        switch bytes[index] {
        case 0x27: return Quote(kind: 0, width: 1)
        case 0x60: return Quote(kind: 1, width: 1)
        case 0xE2 where bytes[index + 1] == 0x80:
            switch bytes[index + 2] {
            case 0x98...0x9B: return Quote(kind: 2, width: 3)
            case 0x9C...0x9F: return Quote(kind: 3, width: 3)
            default: return nil
            }
        default: return nil
        }
    }

    /// Whether an escape from `start` on stands for a quote, as `\"` and `\u0022` do.
    static func hasEscapedQuote(_ text: Text, from start: Int) -> Bool {
        let bytes = ByteCursor(text)
        var from = start
        while from < text.count, let slash = text.firstIndex(of: 0x5C, from: from) {
            let next = slash + 1
            if bytes[next] == 0x22 || bytes.has("u0022", at: next) { return true }
            // What this one escapes begins no escape.
            from = slash + 2
        }
        return false
    }
}

extension JSONTokens {
    /// Where an object begins in the middle of a text: a brace, and behind it a quote of any kind, which may be
    /// escaped. Models put fences and words before their JSON, and Python writes names in single quotes.
    static func embeddedStart(_ text: Text) -> Int? {
        let bytes = ByteCursor(text)
        var from = 0
        while from < text.count, let brace = text.firstIndex(of: 0x7B, from: from) {
            var index = brace + 1
            while true {
                index = LooseSigns.skipSpaces(bytes, index)
                guard bytes[index] == 0x5C else { break }
                index += 1
                // Line breaks and tabs that are escaped are spaces too.
                if [0x6E, 0x72, 0x74].contains(bytes[index]) { index += 1 }
            }
            if bytes[index] == 0x22 || LooseSigns.quote(bytes, index) != nil { return brace }
            if bytes.has("u0022", at: index) || bytes.has("u0027", at: index) { return brace }
            from = max(index, brace + 1)
        }
        return nil
    }
}
