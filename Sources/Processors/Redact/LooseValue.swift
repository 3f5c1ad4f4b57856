import Telemetry

/// A value in a text that is not quite JSON. One without an end reaches to the end of the text.
struct LooseValue {
    private(set) var start: Int
    private(set) var end: Int
    /// Whether it is one string with a quote on both sides, each of which takes `inset` bytes with its backslashes.
    private(set) var isString = false
    private(set) var inset = 1
    /// Whether it has no end and is taken for empty, so that nothing hides behind it.
    private(set) var isOpen = false
    /// Where the next member may begin: as a rule the end, but the closing quote when that opens the next name.
    private(set) var next: Int

    /// The value behind a colon as short as it can be, since it is left alone: one string or container; of all else
    /// nothing.
    init(_ text: Text, from place: Int) {
        let bytes = ByteCursor(text)
        start = LooseSigns.skipSpaces(bytes, place)
        let found: Int?
        switch bytes[start] {
        case 0x22, 0x27, 0x60: found = LooseValue.quote(text, bytes[start], from: start + 1).map { $0 + 1 }
        case 0x7B, 0x5B: found = LooseValue.containerEnd(text, start)
        default: found = start
        }
        end = found ?? start
        isOpen = found == nil
        next = end
    }

    /// The value behind a colon with all that may belong to it, since it is masked: strings one behind the other, as
    /// `"""a"""`, `"a" "b"`, `"a" + "b"` or `"a", "b"`, calls, and brackets that JSON does not know. What looks like a
    /// comment in front of it goes too: it may be the value, as in `#a1b2`.
    init(masking text: Text, from colon: Int) {
        let bytes = ByteCursor(text)
        let pieces = LoosePieces(text)
        start = LooseSigns.skipSpaces(bytes, colon)
        var place = pieces.first(at: start)
        end = place == nil ? pieces.trimmed(start, LooseComments.end(text, from: start)) : start
        next = end
        while let from = place {
            let piece = pieces.piece(at: from)
            end = piece.end
            isString = piece.isString && from == start
            inset = piece.inset
            if piece.isString, piece.inset == 1, pieces.lacksQuote(from..<end) {
                next = end - 1
                if !isString { end -= 1 }
                return
            }
            place = pieces.next(behind: end)
        }
        next = end
    }

    /// Whether a comma and the next member's name stand where a value should.
    static func isMissing(_ text: Text, from colon: Int) -> Bool {
        let bytes = ByteCursor(text)
        let comma = LooseSigns.skipSpaces(bytes, colon)
        return bytes[comma] == 0x2C && LoosePieces(text).isName(at: LooseSigns.skipSpaces(bytes, comma + 1))
    }

    /// The first quote from `start` on that is not escaped.
    static func quote(_ text: Text, _ sign: UInt8 = 0x22, from start: Int) -> Int? {
        let bytes = ByteCursor(text)
        var from = start
        while from < text.count, let quote = text.firstIndex(of: sign, from: from) {
            var slash = quote
            while slash > from, bytes[slash - 1] == 0x5C { slash -= 1 }
            if (quote - slash) % 2 == 0 { return quote }
            from = quote + 1
        }
        return nil
    }

    /// Behind the bracket that ends a container, nil when there is none. Only brackets of its own kind count: those of
    /// the other may be what is wrong.
    static func containerEnd(_ text: Text, _ start: Int) -> Int? {
        var brackets = LooseBrackets(text, start)
        return brackets.end { $0.own <= 0 }
    }

    /// The same for one that is masked: all other brackets must be closed too, with those in comments and single quotes
    /// and without them.
    static func maskedContainerEnd(_ text: Text, _ start: Int) -> Int {
        var plain = LooseBrackets(text, start)
        var skipping = LooseBrackets(text, start, isSkipping: true)
        let ends = [plain.end { $0.own <= 0 && $0.all <= 0 }, skipping.end { $0.own <= 0 && $0.all <= 0 }]
        return ends.map { $0 ?? text.count }.max() ?? text.count
    }
}

/// Counts the brackets of a container outside of strings.
private struct LooseBrackets {
    private let text: Text
    private let start: Int
    private let isSkipping: Bool
    /// Open brackets of the container's own kind.
    private(set) var own = 0
    /// Open ones of its own kind, square ones and braces.
    private(set) var all = 0

    /// With `isSkipping` what is in comments and in single quotes does not count.
    init(_ text: Text, _ start: Int, isSkipping: Bool = false) {
        self.text = text
        self.start = start
        self.isSkipping = isSkipping
    }

    /// Behind the closing bracket of its own kind, or another's, at which `isClosed` holds.
    mutating func end(_ isClosed: (LooseBrackets) -> Bool) -> Int? {
        let bytes = ByteCursor(text)
        let opening = bytes[start]
        let closing: UInt8 = opening == 0x28 ? 0x29 : opening + 2
        // The last byte that is no space.
        var before: UInt8 = 0
        var index = start
        while index < text.count {
            let byte = bytes[index]
            switch byte {
            case 0x22: index = LooseValue.quote(text, from: index + 1) ?? text.count
            case 0x27 where isSkipping && LooseBrackets.isBeforeValue(before):
                index = LooseValue.quote(text, 0x27, from: index + 1) ?? text.count
            case 0x23 where isSkipping, 0x2F where isSkipping:
                if let behind = LooseComments.end(text, at: index) { index = behind - 1 }
            case opening, 0x5B, 0x7B:
                if byte == opening { own += 1 }
                all += 1
            case closing, 0x5D, 0x7D:
                if byte == closing { own -= 1 }
                all -= 1
                if isClosed(self) { return index + 1 }
            default: break
            }
            if !ByteClass.isSpace(byte) { before = byte }
            index += 1
        }
        return nil
    }

    private static func isBeforeValue(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x28, 0x2B, 0x2C, 0x3A, 0x5B, 0x7B: true
        default: false
        }
    }
}

/// The pieces of a value that is written in several.
///
/// What is no string and no container reaches to the next comma, brace or end of the line, or to a string that is the
/// next member's name.
private struct LoosePieces {
    struct Piece {
        var end: Int
        /// Whether it is a string with one quote on both sides.
        var isString = false
        /// Bytes of each of them, with the backslashes in front.
        var inset = 1
    }

    private let text: Text
    private let bytes: ByteCursor

    init(_ text: Text) {
        self.text = text
        bytes = ByteCursor(text)
    }

    /// Where the first piece begins behind the comments at `start`, nil when there is none.
    func first(at start: Int) -> Int? {
        let place = LooseComments.end(text, from: start)
        guard place < text.count, bytes[place] != 0x2C, bytes[place] != 0x7D else { return nil }
        return place > start && isQuote(bytes[place]) && isName(at: place) ? nil : place
    }

    /// Where the next piece begins behind one that ends at `end`, nil when the value is over.
    func next(behind end: Int) -> Int? {
        var index = end
        var isSameLine = true
        let behindSpaces = LooseSigns.skipSpaces(bytes, end)
        while index < behindSpaces {
            if isLineEnd(bytes[index]) { isSameLine = false }
            index += 1
        }
        switch bytes[index] {
        case 0x22, 0x27: return isName(at: index) ? nil : index
        case 0x2C:
            index = LooseSigns.skipSpaces(bytes, index + 1)
            guard isQuote(bytes[index]) else { return isWordOfValue(index) ? index : nil }
            // One without an end is a name that was cut.
            let isClosed = LooseValue.quote(text, bytes[index], from: index + 1) != nil
            return isClosed && !isName(at: index) ? index : nil
        case 0x3B where isName(at: LooseSigns.skipSpaces(bytes, index + 1)): return nil
        case 0x7D, 0x5D, 0x29: return nil
        case 0x2B: return index
        default: return isSameLine && index < text.count ? index : nil
        }
    }

    /// The piece that begins with the byte at `start`, which is no space, comma or closing brace.
    func piece(at start: Int) -> Piece {
        switch bytes[start] {
        case 0x22, 0x27, 0x60: string(at: start)
        case 0x28, 0x5B, 0x7B: Piece(end: LooseValue.maskedContainerEnd(text, start))
        case 0x5C: escapedString(at: start)
        case 0xE2 where LooseSigns.quote(bytes, start) != nil: curvedString(at: start)
        default: Piece(end: LooseComments.end(text, at: start) ?? wordEnd(start))
        }
    }

    /// Whether the quote that ends a string opens the next member's name, behind the comma that the string ends with.
    func lacksQuote(_ string: Range<Int>) -> Bool {
        let close = string.upperBound - 1
        var last = close - 1
        while last > string.lowerBound, ByteClass.isSpace(bytes[last]) { last -= 1 }
        return last > string.lowerBound && bytes[last] == 0x2C && !ByteClass.isSpace(bytes[close + 1])
            && isName(at: close)
    }

    private func string(at start: Int) -> Piece {
        let sign = bytes[start]
        if bytes[start + 1] == sign, bytes[start + 2] == sign { return Piece(end: tripleEnd(sign, start + 3)) }
        guard let close = LooseValue.quote(text, sign, from: start + 1) else { return Piece(end: text.count) }
        return Piece(end: close + 1, isString: sign == 0x22)
    }

    /// A string whose quotes are escaped, in a text where the one behind the name is not.
    private func escapedString(at start: Int) -> Piece {
        var open = start
        while bytes[open] == 0x5C { open += 1 }
        let sign = bytes[open]
        guard isQuote(sign) else { return Piece(end: wordEnd(start)) }
        let slashes = open - start
        var from = open + 1
        while from < text.count, let close = text.firstIndex(of: sign, from: from) {
            var slash = close
            while slash > from, bytes[slash - 1] == 0x5C { slash -= 1 }
            if close - slash == slashes { return Piece(end: close + 1, isString: true, inset: slashes + 1) }
            // The end of the string around it.
            if close - slash < slashes { return Piece(end: slash) }
            from = close + 1
        }
        return Piece(end: text.count)
    }

    /// A string in curved quotes.
    private func curvedString(at start: Int) -> Piece {
        guard let kind = LooseSigns.quote(bytes, start)?.kind else { return Piece(end: wordEnd(start)) }
        var from = start + 3
        while from < text.count, let index = text.firstIndex(of: 0xE2, from: from) {
            if LooseSigns.quote(bytes, index)?.kind == kind { return Piece(end: index + 3) }
            from = index + 1
        }
        return Piece(end: text.count)
    }

    /// Whether what stands behind a value's comma belongs to it: a word that is no name, as in `"a", b"` or `"a", 12`.
    private func isWordOfValue(_ start: Int) -> Bool {
        guard ByteClass.isWord(bytes[start]) || bytes[start] >= 0x80 || bytes[start] == 0x2D else { return false }
        var index = start
        while index < text.count {
            switch bytes[index] {
            case 0x22: return isClosing(index, start) || isPrefix(start, index)
            case 0x2C, 0x5D, 0x7D, 0x0A, 0x0D: return true
            case 0x27, 0x3A, 0x5B, 0x5C, 0x60, 0x7B: return false
            case 0xE2 where LooseSigns.quote(bytes, index) != nil: return false
            case 0xEF where LooseSigns.colonEnd(bytes, index) != nil: return false
            default: index += 1
            }
        }
        return true
    }

    /// Behind the three quotes or more that end a string which began with three.
    private func tripleEnd(_ sign: UInt8, _ start: Int) -> Int {
        var from = start
        while let quote = LooseValue.quote(text, sign, from: from) {
            var end = quote
            while bytes[end] == sign { end += 1 }
            if end - quote >= 3 { return end }
            from = end
        }
        return text.count
    }

    /// The next comma, brace or end of the line outside of quotes, parentheses and comments, without spaces before it.
    private func wordEnd(_ start: Int) -> Int {
        let scalar = scalarEnd(start)
        var index = start
        while index < text.count {
            switch bytes[index] {
            case 0x2C, 0x7D, 0x0A, 0x0D: return trimmed(start, index)
            case 0x22 where isBehind(scalar, index) && isName(at: index): return scalar
            case 0x22 where !isClosing(index, start), 0x27 where isPrefix(start, index):
                index = (LooseValue.quote(text, bytes[index], from: index + 1) ?? text.count) + 1
            case 0x28: index = LooseValue.maskedContainerEnd(text, index)
            case 0x2F where ByteClass.isSpace(bytes[index - 1]):
                index = LooseComments.end(text, at: index) ?? index + 1
            default: index += 1
            }
        }
        return text.count
    }

    /// The end of the number or of one of JSON's words that begins a word. The next string may be a name.
    private func scalarEnd(_ start: Int) -> Int {
        var end = start
        // A sign or a point, and no comma, which ends the word.
        while ByteClass.isWord(bytes[end]) || bytes[end] == 0x2B || (0x2D...0x2E).contains(bytes[end]) { end += 1 }
        return end
    }

    /// Whether nothing but spaces stands between the end of a scalar and what is at `index`.
    private func isBehind(_ scalar: Int, _ index: Int) -> Bool { index > scalar && trimmed(scalar, index) == scalar }

    func trimmed(_ start: Int, _ end: Int) -> Int {
        var last = end
        while last > start, ByteClass.isSpace(bytes[last - 1]) { last -= 1 }
        return last
    }

    /// Whether a quote in a word ends a string that has a quote inside, as in `"a"b",`.
    private func isClosing(_ index: Int, _ start: Int) -> Bool {
        guard index > start, !ByteClass.isSpace(bytes[index - 1]), !isPrefix(start, index) else { return false }
        var next = index + 1
        while ByteClass.isSpace(bytes[next]) { next += 1 }
        switch bytes[next] {
        case 0x2C, 0x7D, 0x5D, 0x29: return true
        default: return next >= text.count
        }
    }

    /// Whether all that stands before a quote is the letters that some languages write there, as in `rb'...'`. Behind
    /// another string they are part of it.
    private func isPrefix(_ start: Int, _ quote: Int) -> Bool {
        guard quote > start, quote - start <= 2, !isQuote(bytes[start - 1]) else { return false }
        for index in start..<quote where ![0x62, 0x66, 0x72, 0x75].contains(bytes[index] | 0x20) { return false }
        return true
    }

    /// Whether the string that begins here is followed by a colon.
    func isName(at open: Int) -> Bool {
        guard isQuote(bytes[open]) || bytes[open] == 0x60,
            let close = LooseValue.quote(text, bytes[open], from: open + 1), close > open + 1
        else { return false }
        return LooseSigns.colonEnd(bytes, LooseSigns.skipSpaces(bytes, close + 1)) != nil
    }

    private func isQuote(_ byte: UInt8) -> Bool { byte == 0x22 || byte == 0x27 }

    private func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
}

/// Looks over comments, which are no part of JSON.
///
/// Comments with names in them could be looked over from each name, so those of one text have a budget. Who finds it
/// spent withholds what is left.
struct LooseComments {
    private let text: Text
    private var left: Int

    init(_ text: Text) {
        self.text = text
        left = 16 * text.count
    }

    var isSpent: Bool { left < 0 }

    /// The first byte from `place` on that is in no comment and no space.
    mutating func end(from place: Int) -> Int {
        let behind = LooseComments.end(text, from: place)
        left -= behind - place
        return behind
    }

    /// The same for who goes on behind it.
    static func end(_ text: Text, from place: Int) -> Int {
        let bytes = ByteCursor(text)
        var index = place
        while index < text.count {
            let width = LooseSigns.spaceWidth(bytes, index)
            if width > 0 {
                index += width
            } else if let behind = end(text, at: index) {
                index = behind
            } else {
                break
            }
        }
        return index
    }

    /// Whether a comment begins here, without looking for its end.
    static func begins(_ text: Text, at start: Int) -> Bool {
        let bytes = ByteCursor(text)
        switch (bytes[start], bytes[start + 1]) {
        case (0x23, _), (0x2F, 0x2F), (0x2F, 0x2A): return true
        default: return false
        }
    }

    /// Where the comment that begins here ends, nil when there is none.
    static func end(_ text: Text, at start: Int) -> Int? {
        let bytes = ByteCursor(text)
        switch (bytes[start], bytes[start + 1]) {
        case (0x23, _), (0x2F, 0x2F): return text.firstIndex(of: 0x0A, from: start) ?? text.count
        case (0x2F, 0x2A):
            var from = start + 2
            while let star = text.firstIndex(of: 0x2A, from: from) {
                if bytes[star + 1] == 0x2F { return star + 2 }
                from = star + 1
            }
            return text.count
        default: return nil
        }
    }
}
