import Telemetry

/// Escapes of URLs, forms and HTML in a text, behind which a find may hide: `jo%40example.com`, `jo&#64;example.com`,
/// `pay+with+4111+1111…`; and characters without width between those of a find.
struct Markup {
    /// Some escape is there.
    let isThere: Bool
    /// A plus stands for a space.
    let isForm: Bool

    /// What nobody looks behind.
    static let none = Markup()

    private init() { (isThere, isForm) = (false, false) }

    init(_ text: Text) {
        isForm = Markup.isForm(text)
        isThere =
            isForm || Markup.hasEscape(text, of: 0x25) || Markup.hasEscape(text, of: 0x26)
            || Markup.hasInvisible(text, of: 0xE2) || Markup.hasInvisible(text, of: 0xEF)
    }

    private static func hasInvisible(_ text: Text, of first: UInt8) -> Bool {
        let bytes = ByteCursor(text)
        var from = 0
        while let index = text.firstIndex(of: first, from: from) {
            if isInvisible(bytes, index) { return true }
            from = index + 1
        }
        return false
    }

    /// Whether a character without width, of three bytes, stands at `index`: U+200B to U+200D, U+2060, U+FEFF.
    private static func isInvisible(_ bytes: ByteCursor, _ index: Int) -> Bool {
        switch (bytes[index], bytes[index &+ 1], bytes[index &+ 2]) {
        case (0xE2, 0x80, 0x8B...0x8D), (0xE2, 0x81, 0xA0), (0xEF, 0xBB, 0xBF): true
        default: false
        }
    }

    private static func hasEscape(_ text: Text, of sign: UInt8) -> Bool {
        let bytes = ByteCursor(text)
        var from = 0
        while let index = text.firstIndex(of: sign, from: from) {
            if escape(bytes, index) != nil { return true }
            from = index + 1
        }
        return false
    }

    /// A form has no white space, and a name before its first plus that joins words. base64 has its signs the other way
    /// round.
    private static func isForm(_ text: Text) -> Bool {
        guard let sign = text.firstIndex(of: 0x3D) else { return false }
        let bytes = ByteCursor(text)
        var from = sign
        while let plus = text.firstIndex(of: 0x2B, from: from) {
            if isSpace(bytes, plus) { return !text.bytes.contains { $0 <= 0x20 } }
            from = plus + 1
        }
        return false
    }

    /// Whether a plus stands behind a word or what ends one: behind `=` it belongs to a number.
    private static func isSpace(_ bytes: ByteCursor, _ index: Int) -> Bool {
        guard bytes[index] == 0x2B else { return false }
        switch bytes[index &- 1] {
        case UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: ")"): return true
        case let byte: return ByteClass.isWord(byte)
        }
    }

    /// What the escape at `index` stands for and how long it is: `%XX`, a numbered entity or one of a few names.
    static func escape(_ bytes: ByteCursor, _ index: Int) -> (scalar: UInt32, isByte: Bool, length: Int)? {
        if bytes[index] == 0x25 {
            guard let high = ByteClass.hexValue(bytes[index &+ 1]), let low = ByteClass.hexValue(bytes[index &+ 2])
            else { return nil }
            return (UInt32(high << 4 | low), true, 3)
        }
        guard bytes[index] == 0x26 else { return nil }
        return bytes[index &+ 1] == 0x23 ? numbered(bytes, index) : named(bytes, index)
    }

    private static func numbered(_ bytes: ByteCursor, _ index: Int) -> (scalar: UInt32, isByte: Bool, length: Int)? {
        let isHex = bytes[index &+ 2] | 0x20 == 0x78
        let start = index &+ (isHex ? 3 : 2)
        var at = start
        var value: UInt32 = 0
        while at &- start < 8 {
            if isHex, let digit = ByteClass.hexValue(bytes[at]) {
                value = value &* 16 &+ UInt32(digit)
            } else if !isHex, bytes.isDigit(at) {
                value = value &* 10 &+ UInt32(bytes[at] &- 0x30)
            } else {
                break
            }
            at &+= 1
        }
        guard at > start, bytes[at] == 0x3B, Unicode.Scalar(value) != nil, value > 0 else { return nil }
        return (value, false, at &+ 1 &- index)
    }

    private static let names: [(name: StaticString, scalar: UInt32)] = [
        ("amp;", 0x26), ("lt;", 0x3C), ("gt;", 0x3E), ("quot;", 0x22), ("apos;", 0x27), ("nbsp;", 0x20),
        ("commat;", 0x40), ("period;", 0x2E), ("colon;", 0x3A), ("sol;", 0x2F), ("equals;", 0x3D), ("lowbar;", 0x5F),
        ("plus;", 0x2B), ("hyphen;", 0x2D), ("dash;", 0x2D), ("percnt;", 0x25), ("num;", 0x23), ("excl;", 0x21),
        ("semi;", 0x3B), ("comma;", 0x2C), ("lpar;", 0x28), ("rpar;", 0x29), ("Tab;", 0x09), ("NewLine;", 0x0A),
    ]

    private static func named(_ bytes: ByteCursor, _ index: Int) -> (scalar: UInt32, isByte: Bool, length: Int)? {
        guard ByteClass.isLetter(bytes[index &+ 1]) else { return nil }
        for entry in names where bytes.has(entry.name, at: index &+ 1) {
            return (entry.scalar, false, entry.name.utf8CodeUnitCount + 1)
        }
        return nil
    }

    /// Whether a find in the text as it stands may come from how the text is escaped, because an escape of a sign
    /// touches it: what it looks like with the escapes resolved is what counts then.
    func spoils(_ find: Match, in text: Text) -> Bool {
        let bytes = ByteCursor(text)
        let start = Int(find.start)
        switch find.tag.detector {
        case .email: break
        case .ipv4, .creditCard, .socialSecurityNumber, .phone, .brazilianCPF, .indianAadhaar, .spanishDNI:
            if isForm, Markup.isSpace(bytes, start) || Markup.isSpace(bytes, start &- 1) { return true }
        default: return false
        }
        for place in start &- 3...Int(find.end) where bytes[place] == 0x25 || (bytes[place] == 0x26 && place >= start) {
            if Markup.isSign(bytes, place) { return true }
        }
        guard bytes[start &- 1] == 0x3B else { return false }
        for place in stride(from: start &- 4, through: start &- 11, by: -1) where bytes[place] == 0x26 {
            return Markup.isSign(bytes, place)
        }
        return false
    }

    /// Nobody writes letters and digits as escapes, so one that would be is none.
    private static func isSign(_ bytes: ByteCursor, _ index: Int) -> Bool {
        guard let escape = escape(bytes, index), escape.scalar < 0x80 else { return false }
        return !ByteClass.isAlphanumeric(UInt8(escape.scalar))
    }

    /// Appends what stands at `index`, and returns where to go on.
    func decode(_ bytes: ByteCursor, _ index: Int, _ end: Int, _ output: inout ByteColumn) -> Int {
        if let escape = Markup.escape(bytes, index), index + escape.length <= end {
            if escape.isByte {
                output.append(UInt8(truncatingIfNeeded: escape.scalar))
            } else if let scalar = Unicode.Scalar(escape.scalar) {
                for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { output.append(byte) }
            }
            return index + escape.length
        }
        if index + 3 <= end, Markup.isInvisible(bytes, index) { return index + 3 }
        output.append(isForm && Markup.isSpace(bytes, index) ? 0x20 : bytes[index])
        return index + 1
    }
}
