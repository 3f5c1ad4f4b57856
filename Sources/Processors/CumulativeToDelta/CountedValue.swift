import OTTL
import Telemetry

/// What a data point has counted: since the start of its stream, or as a delta since the point before.
enum CountedValue: Equatable, Sendable {
    case int(Int64)
    case double(Double)
    case histogram(HistogramCounts)
    // Rare and large: boxed, so that the others are small.
    indirect case exponential(ExponentialCounts)

    /// Nil for a number that is none: NaN, or not there.
    init?(_ point: MetricPoint, _ kind: MetricKind) {
        switch kind {
        case .sum:
            if let int = point.int {
                self = .int(int)
            } else if let double = point.double, !double.isNaN {
                self = .double(double)
            } else {
                return nil
            }
        case .histogram: self = .histogram(HistogramCounts(point))
        case .exponentialHistogram: self = .exponential(ExponentialCounts(point))
        case .none, .gauge, .summary: return nil
        }
    }

    var isDouble: Bool { if case .double = self { true } else { false } }

    /// What arrays take in memory besides the value itself.
    var bytes: Int {
        switch self {
        case .int, .double: 0
        case .histogram(let histogram): 32 + 8 * histogram.buckets.count
        case .exponential(let histogram):
            192 + 8 * (histogram.positive.counts.count + histogram.negative.counts.count)
        }
    }

    /// The same with the sum of an earlier point where this one has none, so that a later one is not counted from zero.
    func completed(by earlier: CountedValue) -> CountedValue {
        switch (self, earlier) {
        case (.histogram(var now), .histogram(let then)) where !now.hasSum:
            now.sum = then.sum
            return .histogram(now)
        case (.exponential(var now), .exponential(let then)) where !now.hasSum:
            now.sum = then.sum
            return .exponential(now)
        default: return self
        }
    }

    /// How a stream went on from one point to the next.
    enum Progress: Equatable, Sendable {
        /// So much came.
        case counted(CountedValue)
        /// It began anew, and nobody knows how much came.
        case reset
        /// The buckets are others, and cannot be compared.
        case mismatch
    }

    /// What came since an earlier point of the same stream.
    func progress(since earlier: CountedValue) -> Progress {
        switch (self, earlier) {
        case (.int(let now), .int(let then)):
            let (step, overflows) = now.subtractingReportingOverflow(then)
            return overflows || step < 0 ? .reset : .counted(.int(step))
        case (.double(let now), .double(let then)):
            let step = now - then
            // Not for an infinite value behind another: that is no number.
            return step >= 0 ? .counted(.double(step)) : .reset
        case (.histogram(let now), .histogram(let then)):
            guard now.hasSameBuckets(as: then) else { return .mismatch }
            // As in the Collector a histogram that began anew counts in full.
            return .counted(.histogram(now.since(then) ?? now))
        case (.exponential(let now), .exponential(let then)):
            guard let delta = now.since(then) else { return .reset }
            return .counted(.exponential(delta))
        default: return .mismatch
        }
    }
}

/// What a histogram with explicit bounds has counted.
struct HistogramCounts: Equatable, Sendable {
    var count: UInt64
    var sum: Double
    /// Whether the point has a sum that is a number.
    var hasSum: Bool
    /// Whether the sum is left out because the difference of two is no number.
    var losesSum = false
    var buckets: [UInt64]
    /// The bounds by their hash: they are compared, not written.
    var bounds: Int

    init(count: UInt64, sum: Double?, buckets: [UInt64], bounds: [Double]) {
        self.count = count
        hasSum = sum.map { !$0.isNaN } ?? false
        self.sum = hasSum ? sum ?? 0 : 0
        self.buckets = buckets
        self.bounds = bounds.hashValue
    }

    init(_ point: MetricPoint) {
        self.init(count: point.count, sum: point.sum, buckets: point.counts, bounds: point.bounds)
    }

    func hasSameBuckets(as other: HistogramCounts) -> Bool {
        buckets.count == other.buckets.count && bounds == other.bounds
    }

    /// What came since an earlier point with the same buckets; nil when a count is lower than it was.
    func since(_ earlier: HistogramCounts) -> HistogramCounts? {
        guard count >= earlier.count else { return nil }
        var delta = self
        delta.count -= earlier.count
        delta.sum -= earlier.sum
        delta.losesSum = hasSum && !delta.sum.isFinite
        for index in buckets.indices {
            guard buckets[index] >= earlier.buckets[index] else { return nil }
            delta.buckets[index] -= earlier.buckets[index]
        }
        return delta
    }
}
