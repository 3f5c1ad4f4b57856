import Telemetry

extension TextRedaction {
    /// Adds a hit for what follows each blocked name in quotes and its colon, in the part of a text that is no JSON
    /// any more.
    ///
    /// Nobody knows there which quote begins a string, so each one may, up to the next: no byte is looked at more than
    /// a few times.
    func searchMembers(_ view: View, from start: Int, _ state: inout RedactionState) {
        let text = view.text
        let bytes = ByteCursor(text)
        var place = LooseValue.quote(text, from: start)
        while let open = place {
            guard let close = LooseValue.quote(text, from: open + 1) else {
                // A string without an end.
                let rest = JSONTokens.Token(kind: .string, start: open + 1, end: text.count, hasEscape: true)
                return lookInside(view, rest, &state)
            }
            var string = JSONTokens.Token(kind: .string, start: open + 1, end: close)
            string.hasEscape = text[open + 1..<close].firstIndex(of: 0x5C) != nil
            var next = close + 1
            while ByteClass.isSpace(bytes[next]) { next += 1 }
            guard bytes[next] == 0x3A else {
                lookInside(view, string, &state)
                place = close
                continue
            }
            next += 1
            switch verdict(view, string, &state) {
            case .searched: break
            case .masked: next = maskValue(view, from: next, &state)
            case .ignored: next = LooseValue(text, from: next).end
            }
            place = LooseValue.quote(text, from: next)
        }
    }

    /// Masks a value; returns where it ends.
    private func maskValue(_ view: View, from start: Int, _ state: inout RedactionState) -> Int {
        let value = LooseValue(view.text, from: start)
        if value.isString {
            add(view, value.start + 1, value.end - 1, .blockedKey, &state)
        } else {
            add(view, value.start, value.end, .blockedKey, quotes: quotes(view), &state)
        }
        return value.end
    }
}

/// A value in a text that is not quite JSON. One without an end reaches to the end of the text.
struct LooseValue {
    private(set) var start: Int
    private(set) var end: Int
    /// Whether it has quotes on both sides.
    private(set) var isString = false

    /// The value behind a colon.
    init(_ text: Text, from place: Int) {
        let bytes = ByteCursor(text)
        start = place
        while ByteClass.isSpace(bytes[start]) { start += 1 }
        switch bytes[start] {
        case 0x22:
            let close = LooseValue.quote(text, from: start + 1)
            end = close.map { $0 + 1 } ?? text.count
            isString = close != nil
        case 0x7B: end = LooseValue.containerEnd(text, start, opening: 0x7B, closing: 0x7D)
        case 0x5B: end = LooseValue.containerEnd(text, start, opening: 0x5B, closing: 0x5D)
        default:
            end = LooseValue.wordEnd(text, start)
            while end > start, ByteClass.isSpace(bytes[end - 1]) { end -= 1 }
        }
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
    private static func containerEnd(_ text: Text, _ start: Int, opening: UInt8, closing: UInt8) -> Int {
        let bytes = ByteCursor(text)
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

    /// The next comma, brace or end of the line outside of quotes.
    private static func wordEnd(_ text: Text, _ start: Int) -> Int {
        let bytes = ByteCursor(text)
        var index = start
        while index < text.count {
            switch bytes[index] {
            case 0x2C, 0x7D, 0x0A, 0x0D: return index
            case 0x22: index = quote(text, from: index + 1) ?? text.count
            case 0x27 where index == start: index = quote(text, 0x27, from: index + 1) ?? text.count
            default: break
            }
            index += 1
        }
        return text.count
    }
}
