import Glibc
import OTTL

/// What a histogram with exponential buckets has counted.
struct ExponentialCounts: Equatable, Sendable {
    /// Buckets on one side of zero; `counts` begins at the bucket `offset`.
    struct Side: Equatable, Sendable {
        var offset: Int
        var counts: [UInt64]
    }

    var count: UInt64
    var sum: Double
    /// Whether the point has a sum that is a number.
    var hasSum: Bool
    /// Whether the sum is left out because the difference of two is no number.
    var losesSum = false
    var zeros: UInt64
    var zeroThreshold: Double
    var scale: Int
    var positive: Side
    var negative: Side

    init(_ point: MetricPoint) {
        count = point.count
        hasSum = point.sum.map { !$0.isNaN } ?? false
        sum = hasSum ? point.sum ?? 0 : 0
        zeros = point.zeros
        zeroThreshold = point.zeroThreshold ?? 0
        // Wider numbers than the schema has are cut, as by other readers.
        scale = Int(Int32(truncatingIfNeeded: point.scale))
        positive = Side(point.positive)
        negative = Side(point.negative)
    }

    /// What came since an earlier point; nil when the stream began anew. Scales of a stream only fall, and its zero
    /// bucket only grows: the earlier point is brought to the form of this one.
    func since(_ earlier: ExponentialCounts) -> ExponentialCounts? {
        guard count >= earlier.count, zeroThreshold >= earlier.zeroThreshold, scale <= earlier.scale else { return nil }
        var then = earlier
        if zeroThreshold > then.zeroThreshold { then.widenZeros(to: zeroThreshold) }
        let bits = then.scale - scale
        if bits > 0 {
            then.positive = then.positive.coarsened(by: bits)
            then.negative = then.negative.coarsened(by: bits)
        }
        guard zeros >= then.zeros, let positive = positive.since(then.positive),
            let negative = negative.since(then.negative)
        else { return nil }
        var delta = self
        delta.count -= then.count
        delta.sum -= then.sum
        delta.losesSum = hasSum && !delta.sum.isFinite
        delta.zeros -= then.zeros
        (delta.positive, delta.negative) = (positive, negative)
        return delta
    }

    /// Counts the buckets below the threshold as zeros, those that it cuts included.
    private mutating func widenZeros(to threshold: Double) {
        // The last bucket whose lower bound, 2 to the power of index / 2^scale, is below the threshold.
        let last = (log2(threshold) * exp2(Double(scale))).rounded(.up) - 1
        guard !last.isNaN else { return }
        let index = Int(Swift.max(-1e12, Swift.min(1e12, last)))
        zeros &+= positive.trim(through: index)
        zeros &+= negative.trim(through: index)
        zeroThreshold = threshold
    }
}

extension ExponentialCounts.Side {
    init(_ buckets: MetricPoint.Buckets) {
        offset = Int(Int32(truncatingIfNeeded: buckets.offset))
        counts = buckets.counts
    }

    /// Takes out the buckets up to an index; returns what they had counted.
    fileprivate mutating func trim(through last: Int) -> UInt64 {
        let trimmed = Swift.max(0, Swift.min(last - offset + 1, counts.count))
        let sum = counts[..<trimmed].reduce(0, &+)
        counts.removeFirst(trimmed)
        offset += trimmed
        return sum
    }

    /// The same counts with a scale that is lower by `bits`: so many times two neighbours become one.
    fileprivate func coarsened(by bits: Int) -> ExponentialCounts.Side {
        let first = offset >> bits
        guard !counts.isEmpty else { return ExponentialCounts.Side(offset: first, counts: []) }
        let last = (offset + counts.count - 1) >> bits
        var sums = [UInt64](repeating: 0, count: last - first + 1)
        for (index, count) in counts.enumerated() { sums[((offset + index) >> bits) - first] &+= count }
        return ExponentialCounts.Side(offset: first, counts: sums)
    }

    /// What came since, from the first bucket with something in it to the last; nil when one has less than it had.
    fileprivate func since(_ earlier: ExponentialCounts.Side) -> ExponentialCounts.Side? {
        var delta = counts
        for (index, count) in earlier.counts.enumerated() where count > 0 {
            let place = earlier.offset + index - offset
            guard delta.indices.contains(place), delta[place] >= count else { return nil }
            delta[place] -= count
        }
        guard let first = delta.firstIndex(where: { $0 > 0 }), let last = delta.lastIndex(where: { $0 > 0 }) else {
            return ExponentialCounts.Side(offset: 0, counts: [])
        }
        return ExponentialCounts.Side(offset: offset + first, counts: Array(delta[first...last]))
    }
}
