import Telemetry

/// Cutting one text to a number of bytes.
enum TextCut {
    /// Ends a text that was cut.
    static let ellipsis: StaticString = "…"

    /// Appends `text` cut to at most `limit` bytes; false and nothing when it is short enough.
    static func cut(_ text: Text, to limit: Int, _ output: inout ByteColumn) -> Bool {
        guard text.count > limit else { return false }
        let start = output.count
        if JSONTokens.looksLike(text), cutJSON(text, to: limit, &output) { return true }
        output.truncate(to: start)
        output.append(text[0..<end(text, limit - ellipsis.utf8CodeUnitCount)])
        output.append(ellipsis)
        return true
    }

    /// The last place at or before `limit` that splits no character.
    static func end(_ text: Text, _ limit: Int) -> Int {
        var end = max(0, min(limit, text.count))
        var steps = 0
        while end > 0, end < text.count, text[end] & 0xC0 == 0x80, steps < 4 {
            end -= 1
            steps += 1
        }
        return end
    }

    /// A JSON text: the elements of a list from the newest back as far as they fit, or else the longest strings cut.
    private static func cutJSON(_ text: Text, to limit: Int, _ output: inout ByteColumn) -> Bool {
        guard let elements = elements(of: text) else { return cutStrings(text, to: limit, &output) }
        var total = 2
        var first = elements.count
        while first > 0 {
            let size = elements[first - 1].count + (first < elements.count ? 1 : 0)
            guard total + size <= limit else { break }
            total += size
            first -= 1
        }
        output.append(0x5B as UInt8)
        if first == elements.count, let last = elements.last {
            // Not even the newest fits whole.
            guard cutStrings(text[last], to: limit - 2, &output) else { return false }
        }
        for index in first..<elements.count {
            if index > first { output.append(0x2C as UInt8) }
            output.append(text[elements[index]])
        }
        output.append(0x5D as UInt8)
        return true
    }

    /// Byte ranges of the elements of a JSON list, nil when the text is none.
    private static func elements(of text: Text) -> [Range<Int>]? {
        guard isJSON(text) else { return nil }
        let bytes = ByteCursor(text)
        var index = 0
        while ByteClass.isSpace(bytes[index]) { index += 1 }
        guard bytes[index] == 0x5B else { return nil }
        index += 1
        var elements: [Range<Int>] = []
        var depth = 0
        var start = index
        func close(_ end: Int) {
            var low = start
            var high = end
            while low < high, ByteClass.isSpace(bytes[low]) { low += 1 }
            while low < high, ByteClass.isSpace(bytes[high - 1]) { high -= 1 }
            if low < high { elements.append(low..<high) }
        }
        while index < bytes.count {
            switch bytes[index] {
            case 0x22:
                index += 1
                while index < bytes.count, bytes[index] != 0x22 { index += bytes[index] == 0x5C ? 2 : 1 }
            case 0x5B, 0x7B: depth += 1
            case 0x5D, 0x7D:
                if depth == 0 {
                    close(index)
                    return elements
                }
                depth -= 1
            case 0x2C where depth == 0:
                close(index)
                start = index + 1
            default: break
            }
            index += 1
        }
        return nil
    }

    private static func isJSON(_ text: Text) -> Bool {
        var containers = Column<UInt8>()
        var tokens = JSONTokens(text, base: 0)
        while let token = tokens.next(&containers) {
            if token.kind == .end { return true }
        }
        return false
    }

    /// A JSON text with the longest strings cut until it fits; false when cutting strings is not enough.
    private static func cutStrings(_ text: Text, to limit: Int, _ output: inout ByteColumn) -> Bool {
        var containers = Column<UInt8>()
        var tokens = JSONTokens(text, base: 0)
        var strings: [(range: Range<Int>, kept: Int)] = []
        while true {
            guard let token = tokens.next(&containers), strings.count < 10_000 else { return false }
            if token.kind == .end { break }
            if token.kind == .string {
                strings.append((token.start..<token.end, token.end - token.start))
            }
        }
        var excess = text.count - limit
        // The longest first; each may lose all but a few bytes.
        let order = strings.indices.sorted { strings[$0].range.count > strings[$1].range.count }
        for index in order where excess > 0 {
            let string = text[strings[index].range]
            let room = string.count - excess - ellipsis.utf8CodeUnitCount
            let kept = escapeSafe(string, end(string, max(0, room)))
            let saved = string.count - kept - ellipsis.utf8CodeUnitCount
            guard saved > 0 else { continue }
            strings[index].kept = kept
            excess -= saved
        }
        guard excess <= 0 else { return false }
        var done = 0
        for string in strings where string.kept < string.range.count {
            output.append(text[done..<string.range.lowerBound + string.kept])
            output.append(ellipsis)
            done = string.range.upperBound
        }
        output.append(text[done..<text.count])
        return true
    }

    /// The last place at or before `end` that is not inside an escape or a pair of them.
    private static func escapeSafe(_ string: Text, _ end: Int) -> Int {
        var index = 0
        var safe = 0
        while index < end {
            safe = index
            guard string[index] == 0x5C else {
                index += 1
                continue
            }
            index += string.count > index + 1 && string[index + 1] == 0x75 ? 6 : 2
        }
        // `index` is the first character that begins at or behind the end.
        if index == end { safe = end }
        // A first half of a surrogate pair must not stay alone.
        if safe >= 6, string[safe - 6] == 0x5C, string[safe - 5] == 0x75,
            string[safe - 4] | 0x20 == 0x64,
            "89abAB".utf8.contains(string[safe - 3])
        {
            safe -= 6
        }
        return safe
    }
}
