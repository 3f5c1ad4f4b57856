import Telemetry

/// Amounts and dates, which people and models write in many ways.
extension WordCursor {
    /// The figure that a word just handed out begins with or is, without the sign of a currency at an end of it, and
    /// with the groups of thousands behind it. Nil for other words.
    mutating func figure(at range: Range<Int>) -> Range<Int>? {
        var start = range.lowerBound
        while start < range.upperBound, text[start] >= 0x80 { start += 1 }
        guard start < range.upperBound, Text.isDigit(text[start]) else { return nil }
        var end = range.upperBound
        while end > start, text[end - 1] >= 0x80 { end -= 1 }
        return end == range.upperBound ? extend(overGroupsAfter: start..<end) : start..<end
    }
}

extension Text {
    /// Hashes under which a figure may be looked for: of its value, of its digits, and with groups of thousands of the
    /// digits before the point.
    var figureHashes: [UInt64] {
        var hashes = [looseHash]
        if let hash = figureHash { hashes.append(hash) }
        if firstIndex(of: UInt8(ascii: ","), from: 0) != nil {
            let point = firstIndex(of: UInt8(ascii: "."), from: 0) ?? count
            hashes.append(self[0..<point].looseHash)
        }
        return hashes
    }

    private static let months: [(name: StaticString, short: StaticString)] = [
        ("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may", "may"), ("june", "jun"),
        ("july", "jul"), ("august", "aug"), ("september", "sep"), ("october", "oct"), ("november", "nov"),
        ("december", "dec"),
    ]

    /// How a date in figures, `2026-05-03` or `3.5.2026`, may be written: hashes of its month, by figure or name, and
    /// of its day. Either may come first. Empty for other texts.
    var dateReadings: [(month: [UInt64], day: [UInt64])] {
        guard count <= 10, let (first, second) = dateParts else { return [] }
        var readings: [(month: [UInt64], day: [UInt64])] = []
        for (month, day) in [(first, second), (second, first)] where month <= 12 {
            let names = Text.months[month - 1]
            let words = [Text(names.name).looseHash, Text(names.short).looseHash]
            readings.append((Text.figureHashes(month) + words, Text.figureHashes(day)))
        }
        return readings
    }

    /// Hashes of a number, also with a zero before it.
    private static func figureHashes(_ number: Int) -> [UInt64] {
        ["\(number)", "0\(number)"].map { text in
            var text = text
            return text.withUTF8 { Text(UnsafeRawBufferPointer($0)).looseHash }
        }
    }

    /// The figures of a date beside its year; nil for other texts.
    private var dateParts: (Int, Int)? {
        var cursor = WordCursor(self, joins: false)
        var numbers: [Int] = []
        var hasYear = false
        while let range = cursor.next() {
            let part = self[range]
            guard let number = Int(part.string), number >= 0 else { return nil }
            if part.count == 4, !hasYear {
                hasYear = true
            } else if part.count <= 2, number >= 1, number <= 31 {
                numbers.append(number)
            } else {
                return nil
            }
        }
        return hasYear && numbers.count == 2 ? (numbers[0], numbers[1]) : nil
    }
}
