import Telemetry

extension TextRedaction {
    /// Adds a hit for what follows each blocked name in quotes and its colon, in the part of a text that is no JSON
    /// any more.
    ///
    /// Nobody knows there which quote begins a string, so each one may, up to the next, and a name may have lost one of
    /// its two. Nor is it known which quotes are meant to be inside of strings, so a text with escaped ones is searched
    /// again as it is without the escapes. No byte of either is looked at more than a few times, but for those of
    /// comments, which have a budget.
    func searchMembers(_ view: View, from start: Int, _ state: inout RedactionState) {
        let bytes = ByteCursor(view.text)
        var comments = LooseComments(view.text)
        var quotes = LooseQuotes(view.text)
        // What stands in front of the quote at hand: a string when there is a quote before it too.
        var part = start
        var isString = false
        while true {
            let found = quotes.next(from: part)
            if let name = otherName(view, part..<(found ?? view.text.count), &state) {
                part = passMember(view, name.verdict, from: name.next, &quotes, &state)
                isString = false
                continue
            }
            guard let quote = found else { break }
            let string = looseString(view, part..<quote)
            // The closing quote of a name may be there twice.
            var next = LooseSigns.skipSpaces(bytes, bytes[quote + 1] == 0x22 ? quote + 2 : quote + 1)
            let mayBeName = LooseSigns.colonEnd(bytes, next) != nil || LooseComments.begins(view.text, at: next)
            let isName = mayBeName && isOwn(view, quote, state)
            let verdict = isName ? looseVerdict(view, string, isString, &state) : nil
            if verdict == .masked { next = comments.end(from: next) }
            if comments.isSpent {
                add(view, quote, view.text.count, .tooDeep, &state)
                break
            }
            if let verdict, let value = LooseSigns.colonEnd(bytes, next) {
                part = passMember(view, verdict, from: value, &quotes, &state)
                isString = false
            } else if isString, let colon = colonOfBlockedName(view, string, &comments, &state) {
                part = maskValue(view, from: colon + 1, &state)
                isString = false
            } else {
                part = quote + 1
                isString = true
            }
        }
        guard LooseSigns.hasEscapedQuote(view.text, from: start),
            let inner = decoded(view, start..<view.text.count, &state)
        else { return }
        searchMembers(inner, from: 0, &state)
    }

    /// Whether a quote is one in this view only, and not in the text around it too, where it has been looked at.
    private func isOwn(_ view: View, _ quote: Int, _ state: borrowing RedactionState) -> Bool {
        guard view.map > 0 else { return true }
        // Each level doubles the backslashes and adds one; `\u0022` has six bytes at the least.
        return origin(view, quote + 1, state) - origin(view, quote, state) >= min(1 << view.map, 6)
    }

    /// A name in quotes other than JSON's that is blocked or ignored, and where its value begins.
    private func otherName(
        _ view: View, _ range: Range<Int>, _ state: inout RedactionState
    ) -> (verdict: MemberRules.Verdict, next: Int)? {
        let bytes = ByteCursor(view.text)
        // Behind the quote of each kind that came last.
        var opened = SIMD4<Int>(repeating: -1)
        var index = range.lowerBound
        while index < range.upperBound {
            guard let quote = LooseSigns.quote(bytes, index) else {
                index += 1
                continue
            }
            let behind = index + quote.width
            if let value = LooseSigns.colonEnd(bytes, LooseSigns.skipSpaces(bytes, behind)) {
                let open = opened[quote.kind]
                let part = looseString(view, max(open, range.lowerBound)..<index)
                let name = LooseName.last(view.text, part, isWord: open < 0)
                if name.end > name.start {
                    let found = verdict(view, name, &state)
                    if found != .searched { return (found, value) }
                }
            }
            opened[quote.kind] = behind
            index = behind
        }
        return nil
    }

    private func looseString(_ view: View, _ range: Range<Int>) -> JSONTokens.Token {
        let hasEscape = view.text[range].firstIndex(of: 0x5C) != nil
        return JSONTokens.Token(kind: .string, start: range.lowerBound, end: range.upperBound, hasEscape: hasEscape)
    }

    /// Masks what stands behind a name's colon, or leaves it alone; returns where the search goes on.
    private func passMember(
        _ view: View, _ verdict: MemberRules.Verdict, from start: Int, _ quotes: inout LooseQuotes,
        _ state: inout RedactionState
    ) -> Int {
        switch verdict {
        case .searched: return start
        case .masked: return maskValue(view, from: start, &state)
        case .ignored:
            // Behind a value without an end all are looked into, lest each is looked through to the end of the text.
            guard !quotes.hasOpenValue else { return start }
            let value = LooseValue(view.text, from: start)
            quotes.hasOpenValue = value.isOpen
            return value.end
        }
    }

    /// Masks a value; returns where the search goes on.
    func maskValue(_ view: View, from start: Int, _ state: inout RedactionState) -> Int {
        let value = LooseValue(masking: view.text, from: start)
        if value.isString {
            add(view, value.start + value.inset, value.end - value.inset, .blockedKey, &state)
        } else {
            add(view, value.start, value.end, .blockedKey, quotes: quotes(view), &state)
        }
        return value.next
    }

    // MARK: Names

    /// What becomes of the value behind a quote and a colon; nil when there is no name in front of them.
    ///
    /// Without its opening quote a name is the end of what stands between two strings, or before the first.
    private func looseVerdict(
        _ view: View, _ string: JSONTokens.Token, _ isString: Bool, _ state: inout RedactionState
    ) -> MemberRules.Verdict? {
        var found: MemberRules.Verdict?
        if isString { found = verdict(view, string, &state) }
        if let found, found != .searched { return found }
        for isWord in isString ? [false] : [false, true] {
            let name = LooseName.last(view.text, string, isWord: isWord)
            guard name.end > name.start else { continue }
            if verdict(view, name, &state) == .masked { return .masked }
            found = .searched
        }
        return found
    }

    /// The colon in a string that is a blocked name with its colon: the name has lost its closing quote, and the quote
    /// behind the string opens the value or a string in it.
    private func colonOfBlockedName(
        _ view: View, _ string: JSONTokens.Token, _ comments: inout LooseComments, _ state: inout RedactionState
    ) -> Int? {
        let bytes = ByteCursor(view.text)
        guard let offset = view.text[string.start..<string.end].firstIndex(of: 0x3A) else { return nil }
        let colon = string.start + offset
        var name = string
        name.end = colon
        while name.end > name.start, ByteClass.isSpace(bytes[name.end - 1]) { name.end -= 1 }
        // A closing quote with a backslash before it is none.
        while name.end > name.start, bytes[name.end - 1] == 0x22 || bytes[name.end - 1] == 0x5C { name.end -= 1 }
        // A quote in front of these ends a text with a colon, as in `input("Password: ")`.
        switch bytes[LooseSigns.skipSpaces(bytes, string.end + 1)] {
        case 0x29, 0x2C, 0x5D, 0x7D: return nil
        default: break
        }
        guard name.end > name.start, verdict(view, name, &state) == .masked else { return nil }
        var place = comments.end(from: colon + 1)
        // The brackets that begin the value may stand in front of the quote.
        while place < string.end, ByteClass.isSpace(bytes[place]) || bytes[place] == 0x5B || bytes[place] == 0x7B {
            place += 1
        }
        return place >= string.end ? colon : nil
    }
}

/// The next quote of a text, looked for once.
private struct LooseQuotes {
    private let text: Text
    private var quote: Int? = -1
    /// Whether a value that is left alone had no end.
    var hasOpenValue = false

    init(_ text: Text) { self.text = text }

    mutating func next(from place: Int) -> Int? {
        if let known = quote, known < place { quote = LooseValue.quote(text, from: place) }
        return quote
    }
}

/// The name at the end of a text that should have begun with a quote.
enum LooseName {
    /// What stands behind the last sign that a name does not have; with `isWord` behind the last space too.
    static func last(_ text: Text, _ string: JSONTokens.Token, isWord: Bool) -> JSONTokens.Token {
        let bytes = ByteCursor(text)
        var name = string
        while name.end > name.start, ByteClass.isSpace(bytes[name.end - 1]) || bytes[name.end - 1] == 0x5C {
            name.end -= 1
        }
        var start = name.end
        while start > name.start, !isSign(bytes[start - 1]), !isWord || !ByteClass.isSpace(bytes[start - 1]) {
            start -= 1
        }
        while start < name.end, ByteClass.isSpace(bytes[start]) { start += 1 }
        name.start = start
        return name
    }

    /// As `JSONTokens.decode`, and the escapes of other languages that models mistake for JSON's: `\x77` and `\u{77}`.
    static func decode(_ bytes: ByteCursor, _ index: Int, _ end: Int, _ output: inout ByteColumn) -> Int {
        let isBraced = bytes[index + 1] == 0x75 && bytes[index + 2] == 0x7B
        guard bytes[index] == 0x5C, isBraced || bytes[index + 1] == 0x78 else {
            return JSONTokens.decode(bytes, index, end, &output)
        }
        var place = index + (isBraced ? 3 : 2)
        let last = min(end, place + (isBraced ? 6 : 2))
        var value: UInt32 = 0
        while place < last, let digit = ByteClass.hexValue(bytes[place]) {
            value = value << 4 | UInt32(digit)
            place += 1
        }
        let isWhole = isBraced ? place < end && bytes[place] == 0x7D : place == index + 4
        guard isWhole, let character = Unicode.Scalar(value) else {
            return JSONTokens.decode(bytes, index, end, &output)
        }
        for byte in UTF8.encode(character) ?? UTF8.encodedReplacementCharacter { output.append(byte) }
        return isBraced ? place + 1 : place
    }

    /// Commas, colons, brackets, line breaks, quotes and the signs of comments.
    private static func isSign(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2C, 0x3A, 0x3B, 0x5B, 0x5D, 0x7B, 0x7D, 0x28, 0x29, 0x0A, 0x0D, 0x22, 0x27, 0x60, 0x2A, 0x2F:
            true
        default: false
        }
    }
}
