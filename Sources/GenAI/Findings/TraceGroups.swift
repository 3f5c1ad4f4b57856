package import Telemetry

/// The spans of a batch by trace: each trace once, in the order in which they began.
package struct TraceGroups {
    /// Indices of spans, trace after trace.
    package private(set) var spans: [Int] = []
    package private(set) var ranges: [Range<Int>] = []
    private var keys: [Key] = []

    private struct Key {
        var high: UInt64
        var low: UInt64
        var span: Int
    }

    package init() {}

    /// Groups the live spans that have a trace id.
    package mutating func group(_ batch: borrowing RecordBatch) {
        keys.removeAll(keepingCapacity: true)
        spans.removeAll(keepingCapacity: true)
        ranges.removeAll(keepingCapacity: true)
        var isSorted = true
        for index in batch.spans.indices where !batch.spans[index].edits.contains(.removed) {
            let id = batch.text(batch.spans[index].traceID)
            guard id.count == 16 else { continue }
            let key = Key(
                high: id.start.loadUnaligned(as: UInt64.self),
                low: id.start.loadUnaligned(fromByteOffset: 8, as: UInt64.self), span: index)
            if let last = keys.last, (last.high, last.low) > (key.high, key.low) { isSorted = false }
            keys.append(key)
        }
        if !isSorted { keys.sort { ($0.high, $0.low, $0.span) < ($1.high, $1.low, $1.span) } }
        var start = 0
        for (index, key) in keys.enumerated() {
            spans.append(key.span)
            let isLast =
                index + 1 == keys.count || keys[index + 1].high != key.high || keys[index + 1].low != key.low
            if isLast {
                ranges.append(start..<index + 1)
                start = index + 1
            }
        }
        if ranges.count > 1 { sortByStart(batch) }
    }

    private mutating func sortByStart(_ batch: borrowing RecordBatch) {
        var starts: [(start: UInt64, range: Range<Int>)] = []
        for range in ranges {
            var first = UInt64.max
            for place in range { first = min(first, batch.spans[spans[place]].start) }
            starts.append((first, range))
        }
        starts.sort { ($0.start, $0.range.lowerBound) < ($1.start, $1.range.lowerBound) }
        ranges = starts.map(\.range)
    }
}
