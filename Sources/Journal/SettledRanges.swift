/// What is done behind the acknowledged position of a cursor: sequences from-until, in order and apart. Bounded; what
/// there is no room for may come again after a crash. A value without effects.
struct SettledRanges: Equatable, Sendable {
    /// As many as a slot of a cursor file has room for.
    static let rangesMax = (JournalFormat.cursorSlotOffsets[1] - JournalFormat.cursorSlotBytes) / 16

    private(set) var ranges: [Range<UInt64>] = []

    init() {}

    /// Ranges as they were read; what is out of order is left out.
    init(_ ranges: [Range<UInt64>]) {
        for range in ranges where !range.isEmpty {
            let isBehind = self.ranges.last.map { range.lowerBound > $0.upperBound } ?? true
            if isBehind { self.ranges.append(range) }
        }
    }

    var isEmpty: Bool { ranges.isEmpty }

    /// Items in all ranges.
    var items: UInt64 { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) } }

    /// How many of the items in `range` are done.
    func items(in range: Range<UInt64>) -> UInt64 {
        var items: UInt64 = 0
        var index = firstIndex(endingAtOrAfter: range.lowerBound)
        while index < ranges.count, ranges[index].lowerBound < range.upperBound {
            items += UInt64(ranges[index].clamped(to: range).count)
            index += 1
        }
        return items
    }

    /// What of `range` is done, in order.
    func parts(of range: Range<UInt64>) -> [Range<UInt64>] {
        let first = firstIndex(endingAtOrAfter: range.lowerBound)
        return ranges[first...].prefix { $0.lowerBound < range.upperBound }
            .map { $0.clamped(to: range) }.filter { !$0.isEmpty }
    }

    /// Whether all of `range` is done.
    func covers(_ range: Range<UInt64>) -> Bool {
        let index = firstIndex(endingAtOrAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound <= range.lowerBound
            && range.upperBound <= ranges[index].upperBound
    }

    /// Adds a range, joined with those that it touches. Beyond the bound the shortest one goes.
    mutating func insert(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        let first = firstIndex(endingAtOrAfter: range.lowerBound)
        var last = first
        var joined = range
        while last < ranges.count, ranges[last].lowerBound <= range.upperBound {
            joined = min(joined.lowerBound, ranges[last].lowerBound)..<max(joined.upperBound, ranges[last].upperBound)
            last += 1
        }
        ranges.replaceSubrange(first..<last, with: CollectionOfOne(joined))
        guard ranges.count > Self.rangesMax else { return }
        let shortest = ranges.indices.min { ranges[$0].count < ranges[$1].count }
        if let shortest { ranges.remove(at: shortest) }
    }

    /// How far everything is done when everything before `position` is.
    func reach(from position: UInt64) -> UInt64 {
        let index = firstIndex(endingAtOrAfter: position)
        guard index < ranges.count, ranges[index].lowerBound <= position else { return position }
        return ranges[index].upperBound
    }

    /// Lets go of what lies before `position`.
    mutating func drop(before position: UInt64) {
        let first = ranges.firstIndex { $0.upperBound > position } ?? ranges.count
        ranges.removeSubrange(..<first)
        if let range = ranges.first, range.lowerBound < position { ranges[0] = position..<range.upperBound }
    }

    private func firstIndex(endingAtOrAfter sequence: UInt64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
