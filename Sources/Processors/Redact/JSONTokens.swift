import Telemetry

/// What the backslashes of a text can do.
enum EscapeKind {
    /// There are none.
    case none
    /// Only ones that stand for a line break, tab or quote, which no detector's find contains.
    case plain
    /// Some that can stand for a character of ASCII, as `\u0040` or `\/` do.
    case hiding

    init(_ text: Text) {
        guard var index = text.firstIndex(of: 0x5C) else {
            self = .none
            return
        }
        let bytes = ByteCursor(text)
        // Asked once for all escapes.
        var hasAt: Bool?
        while true {
            while bytes[index] == 0x5C { index &+= 1 }
            switch bytes[index] {
            case 0x75:
                // Above ASCII, such as the quotes and accents of prose, only parts of mail addresses can hide.
                var hides = EscapeKind.isASCII(bytes, index) || EscapeKind.isInvisible(bytes, index)
                if !hides, EscapeKind.isLetter(bytes, index) {
                    hides = hasAt ?? (text.firstIndex(of: 0x40) != nil)
                    hasAt = hides
                }
                if hides {
                    self = .hiding
                    return
                }
            case 0x2F, 0x62, 0x66:
                self = .hiding
                return
            default: break
            }
            guard let next = text.firstIndex(of: 0x5C, from: index) else { break }
            index = next
        }
        self = .plain
    }

    /// Whether the four digits behind the `u` at `index` stand for a character of ASCII.
    private static func isASCII(_ bytes: ByteCursor, _ index: Int) -> Bool {
        bytes[index &+ 1] == 0x30 && bytes[index &+ 2] == 0x30 && bytes[index &+ 3] &- 0x30 < 8
            && ByteClass.hexValue(bytes[index &+ 4]) != nil
    }

    /// Whether they stand for a character without width, which `Markup` looks behind.
    private static func isInvisible(_ bytes: ByteCursor, _ index: Int) -> Bool {
        var value: UInt32 = 0
        for place in 1...4 {
            guard let digit = ByteClass.hexValue(bytes[index &+ place]) else { return false }
            value = value << 4 | UInt32(digit)
        }
        return (0x200B...0x200D).contains(value) || value == 0x2060 || value == 0xFEFF
    }

    /// Whether they may stand for a letter beyond it: not in U+2000 to U+2FFF, where the signs of prose are.
    private static func isLetter(_ bytes: ByteCursor, _ index: Int) -> Bool {
        bytes[index &+ 1] != 0x32 && ByteClass.hexValue(bytes[index &+ 1]) != nil
    }
}

/// A pull reader of JSON tokens (RFC 8259) that keeps its open containers in a column of the caller.
///
/// It checks the structure; inside strings it is lenient: any byte but an unescaped quote is content.
struct JSONTokens {
    enum Kind {
        /// A member's name.
        case key
        case string
        /// A number, true, false or null.
        case scalar
        /// An object or array begins.
        case open
        /// One ends; told only when asked for.
        case close
        /// The whole text was JSON.
        case end
    }

    struct Token {
        var kind: Kind
        /// Bytes of the token, for strings without the quotes.
        var start: Int
        var end: Int
        var hasEscape = false
    }

    private enum State {
        case value
        case firstElement
        case key
        case firstKey
        case afterValue
    }

    private let bytes: ByteCursor
    private let text: Text
    private let base: Int
    private let showsEnds: Bool
    /// Behind the last token; behind the colon of a key.
    private(set) var index: Int
    private var state = State.value

    /// `base` is the number of containers of outer texts in the column. With `showsEnds` the ends of containers are
    /// tokens too.
    init(_ text: Text, base: Int, from start: Int = 0, showsEnds: Bool = false) {
        self.text = text
        self.base = base
        self.showsEnds = showsEnds
        index = start
        bytes = ByteCursor(text)
    }

    /// Whether a text begins like a JSON document other than a bare number or word.
    static func looksLike(_ text: Text) -> Bool {
        let bytes = ByteCursor(text)
        var index = 0
        while ByteClass.isSpace(bytes[index]) { index &+= 1 }
        return bytes[index] == 0x7B || bytes[index] == 0x5B || bytes[index] == 0x22
    }

    /// Where a document begins that is no bare number or word. Before it there may be spaces, commas, bare numbers and
    /// words, and the signs that files and streams begin with; nil when there is something else. With `orEscape` an
    /// escape is taken for a beginning too.
    static func documentStart(_ text: Text, from start: Int = 0, orEscape: Bool = false) -> Int? {
        var reader = JSONTokens(text, base: 0, from: start)
        while true {
            reader.skipFiller()
            switch reader.bytes[reader.index] {
            case 0x7B, 0x5B, 0x22: return reader.index
            case 0x5C where orEscape: return reader.index
            default: if reader.scalar() == nil { return nil }
            }
        }
    }

    /// Skips spaces, no-break ones too, commas, record separators and byte order marks.
    private mutating func skipFiller() {
        while true {
            switch bytes[index] {
            case 0x2C, 0x1E: index &+= 1
            case 0xC2 where bytes[index &+ 1] == 0xA0: index &+= 2
            case 0xEF where bytes[index &+ 1] == 0xBB && bytes[index &+ 2] == 0xBF: index &+= 3
            case let byte where ByteClass.isSpace(byte): index &+= 1
            default: return
            }
        }
    }

    /// The next token, nil when the text is no JSON.
    mutating func next(_ containers: inout Column<UInt8>) -> Token? {
        while true {
            skipSpace()
            switch state {
            case .value: return value(&containers)
            case .firstElement:
                if bytes[index] == 0x5D {
                    close(&containers)
                    if showsEnds { return Token(kind: .close, start: index &- 1, end: index) }
                    continue
                }
                return value(&containers)
            case .firstKey:
                if bytes[index] == 0x7D {
                    close(&containers)
                    if showsEnds { return Token(kind: .close, start: index &- 1, end: index) }
                    continue
                }
                return key()
            case .key: return key()
            case .afterValue:
                if containers.count == base {
                    return index == bytes.count ? Token(kind: .end, start: index, end: index) : nil
                }
                let isObject = containers[containers.count - 1] == 1
                switch bytes[index] {
                case 0x2C:
                    index &+= 1
                    state = isObject ? .key : .value
                case 0x7D where isObject, 0x5D where !isObject:
                    close(&containers)
                    if showsEnds { return Token(kind: .close, start: index &- 1, end: index) }
                default: return nil
                }
            }
        }
    }

    private mutating func close(_ containers: inout Column<UInt8>) {
        index &+= 1
        containers.truncate(to: containers.count - 1)
        state = .afterValue
    }

    private mutating func skipSpace() {
        while index < bytes.count, ByteClass.isSpace(bytes[index]) { index &+= 1 }
    }

    private mutating func value(_ containers: inout Column<UInt8>) -> Token? {
        let start = index
        switch bytes[index] {
        case 0x22:
            state = .afterValue
            return string(.string)
        case 0x7B, 0x5B:
            guard containers.count - base < TextLimits.containers else { return nil }
            let isObject = bytes[index] == 0x7B
            containers.append(isObject ? 1 : 0)
            index &+= 1
            state = isObject ? .firstKey : .firstElement
            return Token(kind: .open, start: start, end: index)
        default: return scalar()
        }
    }

    private mutating func scalar() -> Token? {
        let start = index
        while index < bytes.count, isScalarByte(bytes[index]) { index &+= 1 }
        guard index > start, isScalar(start) else { return nil }
        state = .afterValue
        return Token(kind: .scalar, start: start, end: index)
    }

    private mutating func key() -> Token? {
        guard bytes[index] == 0x22, let token = string(.key) else { return nil }
        skipSpace()
        guard bytes[index] == 0x3A else { return nil }
        index &+= 1
        state = .value
        return token
    }

    private mutating func string(_ kind: Kind) -> Token? {
        let start = index &+ 1
        var from = start
        while let quote = text.firstIndex(of: 0x22, from: from) {
            var slash = quote
            while slash > start, bytes[slash &- 1] == 0x5C { slash &-= 1 }
            if (quote &- slash) % 2 == 0 {
                index = quote &+ 1
                let hasEscape = text[start..<quote].firstIndex(of: 0x5C) != nil
                return Token(kind: kind, start: start, end: quote, hasEscape: hasEscape)
            }
            from = quote &+ 1
        }
        return nil
    }

    @inline(__always)
    private func isScalarByte(_ byte: UInt8) -> Bool {
        ByteClass.isAlphanumeric(byte) || byte == 0x2D || byte == 0x2B || byte == 0x2E
    }

    private func isScalar(_ start: Int) -> Bool {
        if bytes.has("true", at: start) || bytes.has("null", at: start) { return index &- start == 4 }
        if bytes.has("false", at: start) { return index &- start == 5 }
        // Python writes these into what it calls JSON.
        if bytes.has("NaN", at: start) { return index &- start == 3 }
        if bytes.has("Infinity", at: start) || bytes.has("-Infinity", at: start) { return true }
        guard bytes[start] == 0x2D || bytes.isDigit(start) else { return false }
        for place in start..<index where ByteClass.isLetter(bytes[place]) && bytes[place] | 0x20 != 0x65 {
            return false
        }
        return true
    }

    // MARK: Escapes

    /// Appends the character at `index` with its escape resolved, as far as it is good; returns where the next is.
    static func decode(_ bytes: ByteCursor, _ index: Int, _ end: Int, _ output: inout ByteColumn) -> Int {
        guard bytes[index] == 0x5C, index &+ 1 < end else {
            output.append(bytes[index])
            return index &+ 1
        }
        let replacement: UInt8
        switch bytes[index &+ 1] {
        case 0x22: replacement = 0x22
        case 0x5C: replacement = 0x5C
        case 0x2F: replacement = 0x2F
        case 0x62: replacement = 0x08
        case 0x66: replacement = 0x0C
        case 0x6E: replacement = 0x0A
        case 0x72: replacement = 0x0D
        case 0x74: replacement = 0x09
        case 0x75: return decodeUnicode(bytes, index, end, &output)
        default:
            output.append(0x5C as UInt8)
            return index &+ 1
        }
        output.append(replacement)
        return index &+ 2
    }

    private static func decodeUnicode(
        _ bytes: ByteCursor, _ index: Int, _ end: Int, _ output: inout ByteColumn
    ) -> Int {
        guard var scalar = hex(bytes, index &+ 2, end) else {
            output.append(0x5C as UInt8)
            return index &+ 1
        }
        var next = index &+ 6
        if scalar >= 0xD800, scalar < 0xDC00, bytes[next] == 0x5C, bytes[next &+ 1] == 0x75,
            let low = hex(bytes, next &+ 2, end), low >= 0xDC00, low < 0xE000
        {
            scalar = 0x10000 &+ (scalar &- 0xD800) << 10 &+ (low &- 0xDC00)
            next &+= 6
        }
        // A lone half of a pair becomes the replacement character.
        let character = Unicode.Scalar(scalar) ?? "\u{FFFD}"
        for byte in UTF8.encode(character) ?? UTF8.encodedReplacementCharacter { output.append(byte) }
        return next
    }

    private static func hex(_ bytes: ByteCursor, _ index: Int, _ end: Int) -> UInt32? {
        guard index &+ 4 <= end else { return nil }
        var value: UInt32 = 0
        for offset in 0..<4 {
            guard let digit = ByteClass.hexValue(bytes[index &+ offset]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}
