import Glibc

/// Counts of positive values in buckets whose bounds grow by a factor, as the metrics data model has it ("Exponential
/// Histograms"): bucket `i` holds what is above `base^i` and not above `base^(i+1)`, where base is 2^(2^-scale). The
/// scale falls when the values would take more than `sizeMax` buckets.
struct ExponentialBuckets: Sendable {
    /// What the Collector begins with.
    private static let scaleMax = 20
    /// Below it every value that a double can hold shares two buckets.
    private static let scaleMin = -10

    let sizeMax: Int
    private(set) var scale = ExponentialBuckets.scaleMax
    /// Index of the first count.
    private(set) var offset = 0
    private(set) var counts: [UInt64] = []
    /// Values that are zero, or below.
    private(set) var zeros: UInt64 = 0

    init(sizeMax: Int) { self.sizeMax = max(2, sizeMax) }

    mutating func add(_ value: Double, times: UInt64 = 1) {
        guard value > 0, value.isFinite else {
            zeros &+= times
            return
        }
        var index = Self.index(of: value, scale)
        while !fits(index...index), scale > Self.scaleMin {
            coarsen()
            index = Self.index(of: value, scale)
        }
        extend(to: index...index)
        counts[index - offset] &+= times
    }

    mutating func merge(_ other: ExponentialBuckets) {
        zeros &+= other.zeros
        guard !other.counts.isEmpty else { return }
        var other = other
        while other.scale > scale { other.coarsen() }
        while scale > other.scale { coarsen() }
        while !fits(other.range), scale > Self.scaleMin {
            coarsen()
            other.coarsen()
        }
        extend(to: other.range)
        for (index, count) in other.counts.enumerated() { counts[other.offset + index - offset] &+= count }
    }

    private var range: ClosedRange<Int> { offset...max(offset, offset + counts.count - 1) }

    /// The whole exponent is exact; what is between two powers of two goes by the logarithm.
    static func index(of value: Double, _ scale: Int) -> Int {
        if scale > 0 { return Int((log2(value) * exp2(Double(scale))).rounded(.up)) - 1 }
        let exponent = Int(value.exponent)
        // A power of two belongs to the bucket below.
        return (value.significand == 1 ? exponent - 1 : exponent) >> -scale
    }

    private func fits(_ more: ClosedRange<Int>) -> Bool {
        guard !counts.isEmpty else { return more.count <= sizeMax }
        return max(range.upperBound, more.upperBound) - min(range.lowerBound, more.lowerBound) < sizeMax
    }

    private mutating func extend(to more: ClosedRange<Int>) {
        guard !counts.isEmpty else {
            offset = more.lowerBound
            counts = Array(repeating: 0, count: more.count)
            return
        }
        if more.lowerBound < offset {
            counts.insert(contentsOf: repeatElement(0, count: offset - more.lowerBound), at: 0)
            offset = more.lowerBound
        }
        let missing = more.upperBound - (offset + counts.count - 1)
        if missing > 0 { counts.append(contentsOf: repeatElement(0, count: missing)) }
    }

    /// Halves the scale's resolution: two neighbours become one.
    private mutating func coarsen() {
        scale -= 1
        guard !counts.isEmpty else { return }
        let first = offset >> 1
        var merged = [UInt64](repeating: 0, count: ((offset + counts.count - 1) >> 1) - first + 1)
        for (index, count) in counts.enumerated() { merged[((offset + index) >> 1) - first] &+= count }
        (offset, counts) = (first, merged)
    }
}
