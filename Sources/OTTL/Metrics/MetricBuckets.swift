import Glibc
import Telemetry

/// Where the values of an exponential bucket go that spans several explicit ones.
enum BucketDistribution: String, CaseIterable {
    /// Where its upper bound, or its middle, lies.
    case upper, midpoint
    /// In equal parts, or by chance, over the bounds that it meets.
    case uniform, random
}

extension MetricTree {
    /// A histogram with explicit bounds, which must be there and rise. Negative values are left out; zeros count in the
    /// first bucket when its bound is 0, as in the Collector. What is above the last bound is in the bucket behind it.
    func withExplicitBuckets(
        _ distribution: BucketDistribution, _ bounds: [Double], random: () -> UInt64
    ) -> MetricTree {
        var metric = self
        metric.kind = .histogram
        metric.points = points.map { point in
            var new = point.outline
            (new.count, new.sum, new.min, new.max) = (point.count, point.sum, point.min, point.max)
            (new.exemplars, new.flags) = (point.exemplars, point.flags)
            new.bounds = bounds
            new.counts = [UInt64](repeating: 0, count: bounds.count + 1)
            if bounds[0] == 0 { new.counts[0] = point.zeros }
            for (index, count) in point.positive.counts.enumerated() where count > 0 {
                let place = point.positive.offset &+ Int64(index)
                let lower = MetricPoint.bound(place, scale: point.scale)
                let upper = MetricPoint.bound(place &+ 1, scale: point.scale)
                new.distribute(count, lower, upper, distribution, random: random)
            }
            return new
        }
        return metric
    }

    func withMergedBuckets(at point: Int?, _ merge: (inout MetricPoint) -> Void) -> MetricTree? {
        guard kind == .histogram else { return nil }
        var metric = self
        for index in metric.points.indices where point == nil || point == index {
            guard points[index].counts.count == points[index].bounds.count + 1 else { continue }
            merge(&metric.points[index])
        }
        return metric
    }

    /// A gauge with one percentile of each histogram's point.
    func percentile(_ percentile: Double, suffix: String) throws(EvaluationFailure) -> MetricTree? {
        var gauge = MetricChange.made(self, suffix, .gauge)
        var number = ByteColumn()
        ValueText.append(percentile, to: &number)
        gauge.details += Array(" (p\(number.text.string))".utf8)
        for point in points {
            var new = point.outline
            let share = percentile / 100
            guard let value = kind == .histogram ? point.linear(share) : point.logarithmic(share) else {
                throw EvaluationFailure(.outOfRange)
            }
            new.double = value
            gauge.points.append(new)
        }
        return gauge.points.isEmpty ? nil : gauge
    }
}

extension MetricPoint {
    /// The lower bound of a bucket of an exponential histogram: base to the power of its index.
    static func bound(_ index: Int64, scale: Int64) -> Double {
        exp2(Double(index) * exp2(Double(-scale)))
    }

    fileprivate mutating func distribute(
        _ count: UInt64, _ lower: Double, _ upper: Double, _ distribution: BucketDistribution, random: () -> UInt64
    ) {
        func bucket(_ value: Double) -> Int { bounds.firstIndex { value <= $0 } ?? bounds.count }
        switch distribution {
        case .upper: counts[bucket(upper)] &+= count
        case .midpoint: counts[bucket((lower + upper) / 2)] &+= count
        case .uniform, .random:
            let first = bucket(lower)
            // A bucket that lies between two bounds meets none of them.
            guard first < bounds.count, upper > bounds[first] || lower == bounds[first] else {
                counts[first] &+= count
                return
            }
            let last = Swift.max(first, Swift.min(bucket(upper), bounds.count - 1))
            let parts = UInt64(last - first + 1)
            var left = count
            for place in first...last {
                let share: UInt64
                if distribution == .uniform {
                    share = count / parts + (UInt64(place - first) < count % parts ? 1 : 0)
                } else {
                    let most = place == last ? left : left / UInt64(last - place + 1) * 2
                    share = place == last ? left : random() % (most == 0 ? left &+ 1 : most)
                }
                counts[place] &+= share
                left -= share
            }
        }
    }

    // MARK: Merging

    /// The bucket that ends at a bound becomes one with the next.
    mutating func removeBound(_ bound: Double) {
        guard let index = bounds.firstIndex(where: { abs($0 - bound) < 1e-12 }) else { return }
        counts[index + 1] &+= counts[index]
        counts.remove(at: index)
        bounds.remove(at: index)
    }

    /// Neighbours become one, as many each time as it takes to have no more than so many buckets.
    mutating func limitBuckets(to most: Int) {
        guard counts.count > most, zip(bounds, bounds.dropFirst()).allSatisfy({ $0 < $1 }) else { return }
        let width = (counts.count + most - 1) / most
        var (newCounts, newBounds): ([UInt64], [Double]) = ([], [])
        for first in stride(from: 0, to: counts.count, by: width) {
            let next = Swift.min(first + width, counts.count)
            newCounts.append(counts[first..<next].reduce(0, &+))
            if next < counts.count { newBounds.append(bounds[next - 1]) }
        }
        (counts, bounds) = (newCounts, newBounds)
    }

    // MARK: Percentiles

    /// Straight lines within buckets; nil when the buckets hold less than the count says. Not a number without values.
    fileprivate func linear(_ share: Double) -> Double? {
        guard count > 0, !counts.isEmpty, !bounds.isEmpty else { return .nan }
        let wanted = (Double(count) * share).rounded(.up)
        var seen = 0.0
        for (index, inside) in counts.enumerated() {
            let before = seen
            seen += Double(inside)
            guard seen >= wanted else { continue }
            let lower: Double
            if index > 0 {
                guard index - 1 < bounds.count else { return nil }
                lower = bounds[index - 1]
            } else {
                lower = min ?? (bounds[0] >= 0 ? 0 : bounds[0])
            }
            if index >= bounds.count {
                guard let max, max > lower else { return lower }
                return lower + (wanted - before) / Double(inside) * (max - lower)
            }
            guard inside > 0 else { return lower }
            return lower + (wanted - before) / Double(inside) * (bounds[index] - lower)
        }
        return nil
    }

    /// The same for exponential buckets, where the logarithm is straight.
    fileprivate func logarithmic(_ share: Double) -> Double? {
        guard count > 0 else { return .nan }
        let wanted = (Double(count) * share).rounded(.up)
        var seen = 0.0
        // The most negative values are in the last of the negative buckets.
        for (index, inside) in negative.counts.enumerated().reversed() where inside > 0 {
            let before = seen
            seen += Double(inside)
            guard seen >= wanted else { continue }
            let place = Double(negative.offset &+ Int64(index)) + 1 - (wanted - before) / Double(inside)
            return -exp2(place * exp2(Double(-scale)))
        }
        if zeros > 0 {
            let before = seen
            seen += Double(zeros)
            if seen >= wanted {
                let threshold = zeroThreshold ?? 0
                let lower = negative.counts.isEmpty && !positive.counts.isEmpty ? 0 : -threshold
                let upper = positive.counts.isEmpty && !negative.counts.isEmpty ? 0 : threshold
                return lower + (wanted - before) / Double(zeros) * (upper - lower)
            }
        }
        for (index, inside) in positive.counts.enumerated() where inside > 0 {
            let before = seen
            seen += Double(inside)
            guard seen >= wanted else { continue }
            let place = Double(positive.offset &+ Int64(index)) + (wanted - before) / Double(inside)
            return exp2(place * exp2(Double(-scale)))
        }
        return nil
    }
}
