import Telemetry

/// A value in a text that is not quite JSON. One without an end reaches to the end of the text.
struct LooseValue {
    private(set) var start: Int
    private(set) var end: Int
    /// Whether it is one string with a quote on both sides.
    private(set) var isString = false
    /// Where the next member may begin: as a rule the end, but the closing quote when that opens the next name.
    private(set) var next: Int

    /// The value behind a colon as short as it can be, since it is left alone: one string or container; of all else
    /// nothing.
    init(_ text: Text, from place: Int) {
        let bytes = ByteCursor(text)
        start = place
        while ByteClass.isSpace(bytes[start]) { start += 1 }
        switch bytes[start] {
        case 0x22, 0x27: end = LooseValue.quote(text, bytes[start], from: start + 1).map { $0 + 1 } ?? text.count
        case 0x7B, 0x5B: end = LooseValue.containerEnd(text, start)
        default: end = start
        }
        next = end
    }

    /// The value behind a colon with all that may belong to it, since it is masked: strings one behind the other, as
    /// `"""a"""`, `"a" "b"`, `"a" + "b"` or `"a", "b"`, calls, and brackets that JSON does not know. What looks like a
    /// comment in front of it goes too: it may be the value, as in `#a1b2`.
    init(masking text: Text, from colon: Int) {
        let bytes = ByteCursor(text)
        let pieces = LoosePieces(text)
        start = colon
        while ByteClass.isSpace(bytes[start]) { start += 1 }
        var place = pieces.first(at: start)
        end = place == nil ? pieces.trimmed(start, LooseComments.end(text, from: start)) : start
        next = end
        while let from = place {
            let piece = pieces.piece(at: from)
            end = piece.end
            isString = piece.isString && from == start
            if piece.isString, pieces.lacksQuote(from..<end) {
                next = end - 1
                if !isString { end -= 1 }
                return
            }
            place = pieces.next(behind: end)
        }
        next = end
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

    /// Only brackets of its own kind count: those of the other may be what is wrong.
    static func containerEnd(_ text: Text, _ start: Int) -> Int {
        let bytes = ByteCursor(text)
        let opening = bytes[start]
        let closing: UInt8 = opening == 0x28 ? 0x29 : opening + 2
        var depth = 0
        var index = start
        while index < text.count {
            switch bytes[index] {
            case 0x22: index = quote(text, from: index + 1) ?? text.count
            case opening: depth += 1
            case closing:
                depth -= 1
                if depth == 0 { return index + 1 }
            default: break
            }
            index += 1
        }
        return text.count
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
        while ByteClass.isSpace(bytes[index]) {
            if isLineEnd(bytes[index]) { isSameLine = false }
            index += 1
        }
        switch bytes[index] {
        case 0x22, 0x27: return isName(at: index) ? nil : index
        case 0x2C:
            index += 1
            while ByteClass.isSpace(bytes[index]) { index += 1 }
            // One without an end is a name that was cut.
            let isClosed = isQuote(bytes[index]) && LooseValue.quote(text, bytes[index], from: index + 1) != nil
            return isClosed && !isName(at: index) ? index : nil
        case 0x7D, 0x5D, 0x29: return nil
        case 0x2B: return index
        default: return isSameLine && index < text.count ? index : nil
        }
    }

    /// The piece that begins with the byte at `start`, which is no space, comma or closing brace.
    func piece(at start: Int) -> Piece {
        switch bytes[start] {
        case 0x22, 0x27: string(at: start)
        case 0x28, 0x5B, 0x7B: Piece(end: LooseValue.containerEnd(text, start))
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
        var index = start
        while index < text.count {
            switch bytes[index] {
            case 0x2C, 0x7D, 0x0A, 0x0D: return trimmed(start, index)
            case 0x22 where !isClosing(index, start), 0x27 where isPrefix(start, index):
                index = (LooseValue.quote(text, bytes[index], from: index + 1) ?? text.count) + 1
            case 0x28: index = LooseValue.containerEnd(text, index)
            case 0x2F where ByteClass.isSpace(bytes[index - 1]):
                index = LooseComments.end(text, at: index) ?? index + 1
            default: index += 1
            }
        }
        return text.count
    }

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
    private func isName(at open: Int) -> Bool {
        guard let close = LooseValue.quote(text, bytes[open], from: open + 1), close > open + 1 else {
            return false
        }
        var next = close + 1
        while ByteClass.isSpace(bytes[next]) { next += 1 }
        return bytes[next] == 0x3A
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
            if ByteClass.isSpace(bytes[index]) {
                index += 1
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
