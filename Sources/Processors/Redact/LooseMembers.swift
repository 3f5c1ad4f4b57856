import Telemetry

extension TextRedaction {
    /// Adds a hit for what follows each blocked name in quotes and its colon, in the part of a text that is no JSON
    /// any more.
    ///
    /// Nobody knows there which quote begins a string, so each one may, up to the next, and a name may have lost one of
    /// its two. No byte is looked at more than a few times, but for those of comments, which have a budget.
    func searchMembers(_ view: View, from start: Int, _ state: inout RedactionState) {
        let bytes = ByteCursor(view.text)
        var comments = LooseComments(view.text)
        // What stands in front of the quote at hand: a string when there is a quote before it too.
        var part = start
        var isString = false
        while let quote = LooseValue.quote(view.text, from: part) {
            let string = looseString(view, part..<quote)
            var next = quote + 1
            while ByteClass.isSpace(bytes[next]) { next += 1 }
            let isName = bytes[next] == 0x3A || LooseComments.begins(view.text, at: next)
            let verdict = isName ? looseVerdict(view, string, isString, &state) : nil
            if verdict == .masked { next = comments.end(from: next) }
            if comments.isSpent { return add(view, quote, view.text.count, .tooDeep, &state) }
            if let verdict, bytes[next] == 0x3A {
                part = passMember(view, verdict, from: next + 1, &state)
                isString = false
            } else if isString, let colon = colonOfBlockedName(view, string, &comments, &state) {
                part = maskValue(view, from: colon + 1, &state)
                isString = false
            } else {
                if isString { lookInside(view, string, &state) }
                part = quote + 1
                isString = true
            }
        }
        guard isString else { return }
        // A string without an end.
        let rest = JSONTokens.Token(kind: .string, start: part, end: view.text.count, hasEscape: true)
        lookInside(view, rest, &state)
    }

    private func looseString(_ view: View, _ range: Range<Int>) -> JSONTokens.Token {
        let hasEscape = view.text[range].firstIndex(of: 0x5C) != nil
        return JSONTokens.Token(kind: .string, start: range.lowerBound, end: range.upperBound, hasEscape: hasEscape)
    }

    /// Masks what stands behind a name's colon, or leaves it alone; returns where the search goes on.
    private func passMember(
        _ view: View, _ verdict: MemberRules.Verdict, from start: Int, _ state: inout RedactionState
    ) -> Int {
        switch verdict {
        case .searched: start
        case .masked: maskValue(view, from: start, &state)
        case .ignored: LooseValue(view.text, from: start).end
        }
    }

    /// Masks a value; returns where the search goes on.
    func maskValue(_ view: View, from start: Int, _ state: inout RedactionState) -> Int {
        let value = LooseValue(masking: view.text, from: start)
        if value.isString {
            add(view, value.start + 1, value.end - 1, .blockedKey, &state)
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
    /// behind the string opens the value.
    private func colonOfBlockedName(
        _ view: View, _ string: JSONTokens.Token, _ comments: inout LooseComments, _ state: inout RedactionState
    ) -> Int? {
        let bytes = ByteCursor(view.text)
        guard let offset = view.text[string.start..<string.end].firstIndex(of: 0x3A) else { return nil }
        let colon = string.start + offset
        var name = string
        name.end = colon
        while name.end > name.start, ByteClass.isSpace(bytes[name.end - 1]) { name.end -= 1 }
        guard name.end > name.start, verdict(view, name, &state) == .masked else { return nil }
        return comments.end(from: colon + 1) >= string.end ? colon : nil
    }
}

/// The name at the end of a text that should have begun with a quote.
private enum LooseName {
    /// What stands behind the last sign that a name does not have; with `isWord` behind the last space too.
    static func last(_ text: Text, _ string: JSONTokens.Token, isWord: Bool) -> JSONTokens.Token {
        let bytes = ByteCursor(text)
        var name = string
        while name.end > name.start, ByteClass.isSpace(bytes[name.end - 1]) { name.end -= 1 }
        var start = name.end
        while start > name.start, !isSign(bytes[start - 1]), !isWord || !ByteClass.isSpace(bytes[start - 1]) {
            start -= 1
        }
        while start < name.end, ByteClass.isSpace(bytes[start]) { start += 1 }
        name.start = start
        return name
    }

    /// Commas, colons, brackets, line breaks, quotes of other kinds and the signs of comments.
    private static func isSign(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2C, 0x3A, 0x3B, 0x5B, 0x5D, 0x7B, 0x7D, 0x28, 0x29, 0x0A, 0x0D, 0x27, 0x60, 0x2A, 0x2F: true
        default: false
        }
    }
}
