/// One point as it comes in, or what a series has come to.
struct PrometheusPoint: Equatable, Sendable {
    enum Value: Equatable, Sendable {
        case number(Double)
        case histogram(Buckets)
        /// Quantiles in the order of the point.
        case summary(count: UInt64, sum: Double, quantiles: [Quantile])
    }

    struct Quantile: Equatable, Sendable {
        var quantile: Double
        var value: Double
    }

    /// An example of what was measured, with the trace that it belongs to.
    struct Exemplar: Equatable, Sendable {
        var value: Double
        /// Nanoseconds since 1970.
        var time: UInt64
        /// Written out: `trace_id="…",span_id="…"`.
        var labels: String
    }

    /// Nanoseconds since 1970.
    var time: UInt64
    var value: Value
    /// At most one for each bucket, or one.
    var exemplars: [Exemplar] = []
    /// The difference to the point before, not the sum since the start.
    var isDelta = false
}

/// Counts by upper bounds, each of what is in its own bucket; what is above the last bound is only in `count`.
struct Buckets: Equatable, Sendable {
    /// Most bounds of one series.
    static let max = 1_000

    /// Rising.
    private(set) var bounds: [Double] = []
    private(set) var counts: [UInt64] = []
    var count: UInt64 = 0
    var sum: Double?

    init(count: UInt64, sum: Double?) {
        self.count = count
        self.sum = sum
    }

    /// Adds a bucket. Bounds that do not rise, or are infinite, join the one before or `count`.
    mutating func append(_ bound: Double, _ count: UInt64) {
        guard bound.isFinite, bounds.count < Self.max else { return }
        if let last = bounds.last, bound <= last {
            if !counts.isEmpty { counts[counts.count - 1] = Self.sum(counts[counts.count - 1], count) }
        } else {
            bounds.append(bound)
            counts.append(count)
        }
    }

    /// Adds another interval's. Where the bounds differ each count stays at its own, so that what `le` says holds.
    mutating func add(_ other: Buckets) {
        var joined = Buckets(
            count: Self.sum(count, other.count), sum: sum.flatMap { sum in other.sum.map { sum + $0 } })
        if bounds == other.bounds {
            joined.bounds = bounds
            joined.counts = zip(counts, other.counts).map(Self.sum)
        } else {
            var left = 0
            var right = 0
            while left < bounds.count || right < other.bounds.count {
                let one = left < bounds.count ? bounds[left] : .infinity
                let two = right < other.bounds.count ? other.bounds[right] : .infinity
                let bound = Swift.min(one, two)
                var total: UInt64 = 0
                if one == bound {
                    total = counts[left]
                    left += 1
                }
                if two == bound {
                    total = Self.sum(total, other.counts[right])
                    right += 1
                }
                joined.append(bound, total)
            }
        }
        self = joined
    }

    static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}
