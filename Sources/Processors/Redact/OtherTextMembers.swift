import Telemetry

/// `blocked_key_patterns` in text that is no document: pieces of JSON without their beginning, what other languages
/// write for it, and assignments.
///
/// Prose has colons too, so a name and its value must show by their signs what they are. A name in quotes counts in
/// front of a string, a container, a number or word of JSON, or a word that a closing brace or the next member ends; a
/// name without quotes behind a brace, or behind a comma in braces. `name=value` counts where the value is in quotes,
/// where a bracket or a sign of URLs stands in front of the name, or where the text has brackets at all. What stands
/// behind `=>` is a value.
extension TextRedaction {
    /// Adds a hit for the value of each blocked member whose separator is in `range`. Without `inQuotes` names in
    /// quotes are left to `searchMembers`.
    func searchOtherText(
        _ view: View, _ range: Range<Int>, inQuotes: Bool = true, _ state: inout RedactionState
    ) {
        var separators = LooseSeparators(view.text, range)
        var signs = OtherTextSigns(view.text)
        while let separator = separators.next() {
            guard let name = OtherTextName(view.text, separator, from: range.lowerBound), inQuotes || !name.isQuoted,
                verdict(view, name.token, &state) == .masked, let value = signs.value(of: name, separator)
            else { continue }
            let mark = value.hasQuotes ? quotes(view) : 0
            add(view, value.range.lowerBound, value.range.upperBound, .blockedKey, quotes: mark, &state)
            separators.skip(to: value.next)
        }
    }
}

/// What may stand between a name and its value.
struct LooseSeparator {
    enum Kind {
        case colon, equals, arrow
    }

    var kind: Kind
    var start: Int
    var end: Int
}

/// The separators of a part of a text in order; each byte is looked at twice.
struct LooseSeparators {
    private let part: Text
    private let bytes: ByteCursor
    private var colon: Int
    private var equals: Int

    init(_ text: Text, _ range: Range<Int>) {
        part = text[0..<range.upperBound]
        bytes = ByteCursor(text)
        colon = LooseSeparators.find(0x3A, in: part, from: range.lowerBound)
        equals = LooseSeparators.find(0x3D, in: part, from: range.lowerBound)
    }

    private static func find(_ byte: UInt8, in part: Text, from start: Int) -> Int {
        guard start < part.count else { return part.count }
        return part.firstIndex(of: byte, from: start) ?? part.count
    }

    mutating func next() -> LooseSeparator? {
        while true {
            let place = min(colon, equals)
            guard place < part.count else { return nil }
            let found = bytes[place] == 0x3A ? readColon(at: place) : readEquals(at: place)
            skip(to: place + 1)
            if let found { return found }
        }
    }

    /// Goes on at `place`.
    mutating func skip(to place: Int) {
        if colon < place { colon = LooseSeparators.find(0x3A, in: part, from: place) }
        if equals < place { equals = LooseSeparators.find(0x3D, in: part, from: place) }
    }

    /// Two in a row are a path of C++ or Rust, and one with an equals sign is an assignment.
    private func readColon(at place: Int) -> LooseSeparator? {
        let isAlone = bytes[place - 1] != 0x3A && bytes[place + 1] != 0x3A && bytes[place + 1] != 0x3D
        return isAlone ? LooseSeparator(kind: .colon, start: place, end: place + 1) : nil
    }

    /// Beside other signs it is a comparison, or changes what was there.
    private func readEquals(at place: Int) -> LooseSeparator? {
        switch bytes[place - 1] {
        case 0x21, 0x25, 0x26, 0x2A, 0x2B, 0x2D, 0x2F, 0x3A, 0x3C, 0x3D, 0x3E, 0x5E, 0x7C, 0x7E: return nil
        default: break
        }
        switch bytes[place + 1] {
        case 0x3D, 0x7E: return nil
        case 0x3E: return LooseSeparator(kind: .arrow, start: place, end: place + 2)
        default: return LooseSeparator(kind: .equals, start: place, end: place + 1)
        }
    }
}

/// A name in front of a separator.
struct OtherTextName {
    private(set) var token = JSONTokens.Token(kind: .string, start: 0, end: 0)
    private(set) var isQuoted = false
    /// Whether it stands in square brackets, as PHP prints arrays.
    private(set) var isBracketed = false
    /// Whether it is a symbol of Ruby, as `:name`.
    private(set) var isSymbol = false
    /// Whether spaces stand between it and the separator.
    private(set) var isApart = false
    /// In front of a name without quotes: the byte there that is no space, 0 at the beginning of the text, and whether
    /// spaces stand between.
    private(set) var sign: UInt8 = 0
    private(set) var isBehindSpace = false

    /// Bytes that are looked back over.
    private static let bytesMax = 128

    /// The name in front of a separator that begins no earlier than `first`, nil when there is none.
    init?(_ text: Text, _ separator: LooseSeparator, from first: Int) {
        let bytes = ByteCursor(text)
        let least = max(first, separator.start - OtherTextName.bytesMax)
        var end = separator.start
        while end > least, ByteClass.isSpace(bytes[end - 1]) { end -= 1 }
        isApart = end < separator.start
        if separator.kind == .arrow, end > least, bytes[end - 1] == 0x5D {
            isBracketed = true
            end -= 1
        }
        guard end > least else { return nil }
        if let quote = OtherTextName.quote(bytes, before: end) {
            isQuoted = true
            guard takeQuoted(text, least..<max(least, end - quote.width), quote) else { return nil }
        } else {
            guard takeWord(bytes, least..<end, separator.kind) else { return nil }
        }
    }

    /// JSON's own quote has a kind of its own here.
    private static let plainKind = -1

    private static func quote(_ bytes: ByteCursor, at index: Int) -> LooseSigns.Quote? {
        bytes[index] == 0x22 ? LooseSigns.Quote(kind: plainKind, width: 1) : LooseSigns.quote(bytes, index)
    }

    private static func quote(_ bytes: ByteCursor, before end: Int) -> LooseSigns.Quote? {
        for width in 1...3 {
            if let quote = quote(bytes, at: end - width), quote.width == width { return quote }
        }
        return nil
    }

    /// Takes what stands between the closing quote behind `range` and the one that opens; where that is missing, what
    /// stands behind the last sign.
    private mutating func takeQuoted(_ text: Text, _ range: Range<Int>, _ quote: LooseSigns.Quote) -> Bool {
        let bytes = ByteCursor(text)
        var end = range.upperBound
        while end > range.lowerBound, bytes[end - 1] == 0x5C { end -= 1 }
        var start = end
        while start > range.lowerBound, bytes[start - 1] != 0x0A {
            if let open = OtherTextName.quote(bytes, before: start), open.kind == quote.kind { break }
            start -= 1
        }
        token.start = start
        token.end = end
        if start == range.lowerBound || bytes[start - 1] == 0x0A {
            token = LooseName.last(text, token, isWord: false)
        }
        token.hasEscape = text[token.start..<token.end].firstIndex(of: 0x5C) != nil
        return token.end > token.start
    }

    /// Takes a word, and what stands in front of it.
    private mutating func takeWord(_ bytes: ByteCursor, _ range: Range<Int>, _ kind: LooseSeparator.Kind) -> Bool {
        var start = range.upperBound
        while start > range.lowerBound, OtherTextName.isName(bytes[start - 1]) { start -= 1 }
        // The letter of an escaped line break is none of the name.
        if OtherTextName.isEscapedSpace(bytes, start) { start += 1 }
        var before = start
        if kind == .arrow, bytes[before - 1] == 0x3A {
            isSymbol = true
            before -= 1
        }
        let word = before
        while before > 0 {
            if ByteClass.isSpace(bytes[before - 1]) {
                before -= 1
            } else if OtherTextName.isEscapedSpace(bytes, before - 1) {
                before -= 2
            } else {
                break
            }
        }
        sign = bytes[before - 1]
        isBehindSpace = before < word
        while start < range.upperBound, bytes[start] == 0x2D || bytes[start] == 0x2E || bytes[start] == 0x24 {
            start += 1
        }
        token.start = start
        token.end = range.upperBound
        return start < range.upperBound && !bytes.isDigit(start) && mayBeName(kind)
    }

    /// Whether a word may be a name with what stands in front of it; those of prose are not looked up.
    private func mayBeName(_ kind: LooseSeparator.Kind) -> Bool {
        switch kind {
        case .colon: sign == 0x7B || sign == 0x2C || sign == 0x28 || sign == 0x5B
        case .equals: true
        case .arrow: isSymbol || isBracketed
        }
    }

    private static func isName(_ byte: UInt8) -> Bool {
        ByteClass.isWord(byte) || byte == 0x2D || byte == 0x2E || byte == 0x24 || byte >= 0x80
    }

    /// Whether a letter ends an escape that stands for a space: `\n`, `\r` or `\t`.
    private static func isEscapedSpace(_ bytes: ByteCursor, _ index: Int) -> Bool {
        guard bytes[index - 1] == 0x5C else { return false }
        return bytes[index] == 0x6E || bytes[index] == 0x72 || bytes[index] == 0x74
    }
}

/// A value in other text.
struct OtherTextValue {
    var range: Range<Int>
    /// Whether its mask needs quotes.
    var hasQuotes: Bool
    /// Where the next member may begin.
    var next: Int

    init(_ value: LooseValue) {
        let inset = value.isString ? value.inset : 0
        range = value.start + inset..<max(value.end - inset, value.start + inset)
        hasQuotes = !value.isString
        next = value.next
    }

    init(word range: Range<Int>, hasQuotes: Bool) {
        self.range = range
        self.hasQuotes = hasQuotes
        next = range.upperBound
    }
}

/// Tells members from prose by the signs around them.
struct OtherTextSigns {
    private let text: Text
    private let bytes: ByteCursor
    /// Up to where brackets were counted, and how many were open there, braces among them.
    private var counted = 0
    private var brackets = 0
    private var braces = 0
    /// Whether a brace or a square bracket stands in the text, once somebody asked.
    private var hasBrackets: Bool?

    init(_ text: Text) {
        self.text = text
        bytes = ByteCursor(text)
    }

    /// The value of a blocked name, nil when it looks like prose.
    mutating func value(of name: OtherTextName, _ separator: LooseSeparator) -> OtherTextValue? {
        switch separator.kind {
        case .colon: name.isQuoted ? quotedMember(separator.end) : member(name, separator.end)
        case .equals: assigned(name, separator.end)
        case .arrow: arrow(name, separator.end)
        }
    }

    private func certain(_ place: Int) -> OtherTextValue? {
        LooseValue.certain(text, from: place).map { OtherTextValue($0) }
    }

    private func word(_ place: Int, inBraces: Bool) -> OtherTextValue? {
        var start = place
        while bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        guard let end = LooseValue.wordEnd(text, from: start, inBraces: inBraces), end > start else { return nil }
        return OtherTextValue(word: start..<end, hasQuotes: true)
    }

    /// `"name": …`
    private func quotedMember(_ place: Int) -> OtherTextValue? { certain(place) ?? word(place, inBraces: false) }

    /// `{name: …`, and with less certainty `(name: "…"`.
    private mutating func member(_ name: OtherTextName, _ place: Int) -> OtherTextValue? {
        switch name.sign {
        case 0x7B: return certain(place) ?? word(place, inBraces: true)
        case 0x28, 0x5B: return certain(place)
        case 0x2C:
            count(to: name.token.start)
            if braces > 0 { return certain(place) ?? word(place, inBraces: true) }
            return brackets > 0 ? certain(place) : nil
        default: return nil
        }
    }

    /// `[name] => …`, `"name" => …` and `:name => …`.
    private func arrow(_ name: OtherTextName, _ place: Int) -> OtherTextValue? {
        if let value = certain(place) { return value }
        guard name.isBracketed, !name.isQuoted else { return OtherTextValue(LooseValue(masking: text, from: place)) }
        var start = place
        while bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        var end = start
        while end < text.count, bytes[end] != 0x0A, bytes[end] != 0x0D {
            // The next name of an array that is printed on one line.
            if bytes[end] == 0x20, bytes[end + 1] == 0x5B || bytes[end + 1] == 0x29 { break }
            end += 1
        }
        return end > start ? OtherTextValue(word: start..<end, hasQuotes: false) : nil
    }

    // MARK: Assignments

    /// How far a value without quotes goes.
    private enum Extent {
        /// To the next space.
        case plain
        /// To the next sign of a URL or a cookie.
        case query
        /// To the bracket or the comma that ends it.
        case bracketed
    }

    private mutating func assigned(_ name: OtherTextName, _ place: Int) -> OtherTextValue? {
        let start = LooseSigns.skipSpaces(bytes, place)
        if name.isQuoted || isQuote(start) || bytes[start] == 0x7B || bytes[start] == 0x5B { return certain(start) }
        guard !name.isApart, start == place, let extent = extent(name) else { return nil }
        var end = place
        while end < text.count, !ends(extent, end) { end += 1 }
        if extent == .plain { end = trimmed(place, end) }
        return end > place ? OtherTextValue(word: place..<end, hasQuotes: false) : nil
    }

    private func isQuote(_ place: Int) -> Bool {
        bytes[place] == 0x22 || LooseSigns.quote(bytes, place) != nil
            || (bytes[place] == 0x5C && (bytes[place + 1] == 0x22 || bytes[place + 1] == 0x5C))
    }

    /// Nil where nothing shows that it is an assignment.
    private mutating func extent(_ name: OtherTextName) -> Extent? {
        switch name.sign {
        case 0x3B: return .query
        case 0x26, 0x3F: if !name.isBehindSpace { return .query }
        case 0x28, 0x5B, 0x7B: return .bracketed
        case 0x2C:
            count(to: name.token.start)
            if brackets > 0 { return .bracketed }
            if !name.isBehindSpace { return .plain }
        default: break
        }
        return isWithBrackets() ? .plain : nil
    }

    private func ends(_ extent: Extent, _ index: Int) -> Bool {
        let byte = bytes[index]
        switch byte {
        case 0x0A, 0x0D, 0x22, 0x27, 0x60: return true
        case 0x5C:
            let next = bytes[index + 1]
            return next == 0x22 || next == 0x6E || next == 0x72 || next == 0x74
        default: break
        }
        switch extent {
        case .plain: return ByteClass.isSpace(byte)
        case .query:
            switch byte {
            case 0x23, 0x26, 0x29, 0x3B, 0x3C, 0x3E, 0x5D, 0x7D: return true
            default: return ByteClass.isSpace(byte)
            }
        case .bracketed:
            if byte == 0x2C { return ByteClass.isSpace(bytes[index + 1]) || isNextName(index + 1) }
            return byte == 0x29 || byte == 0x5D || byte == 0x7D
        }
    }

    /// Whether a name and its separator stand here.
    private func isNextName(_ start: Int) -> Bool {
        var index = start
        while index < start + 64, ByteClass.isWord(bytes[index]) || bytes[index] == 0x2D || bytes[index] == 0x2E {
            index += 1
        }
        return index > start && (bytes[index] == 0x3D || bytes[index] == 0x3A)
    }

    /// The end of a value without the signs of a sentence or of brackets around it.
    private func trimmed(_ start: Int, _ end: Int) -> Int {
        var last = end
        while last > start {
            switch bytes[last - 1] {
            case 0x29, 0x2C, 0x2E, 0x3A, 0x3B, 0x3E, 0x5D, 0x7D: last -= 1
            default: return last
            }
        }
        return last
    }

    // MARK: Brackets

    /// Counts the brackets up to a place; no byte is looked at twice.
    private mutating func count(to place: Int) {
        while counted < place {
            switch bytes[counted] {
            case 0x28, 0x5B: brackets += 1
            case 0x29, 0x5D: brackets = max(brackets - 1, 0)
            case 0x7B:
                brackets += 1
                braces += 1
            case 0x7D:
                brackets = max(brackets - 1, 0)
                braces = max(braces - 1, 0)
            default: break
            }
            counted += 1
        }
    }

    private mutating func isWithBrackets() -> Bool {
        if let known = hasBrackets { return known }
        let found = text.firstIndex(of: 0x7B) != nil || text.firstIndex(of: 0x5B) != nil
        hasBrackets = found
        return found
    }
}
