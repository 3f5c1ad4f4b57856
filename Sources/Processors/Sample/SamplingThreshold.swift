import Telemetry

/// OpenTelemetry's consistent probability sampling: 56 random bits of a trace against a 56-bit rejection threshold
/// (TraceState: Probability Sampling; W3C Trace Context Level 2).
package struct SamplingThreshold: Equatable, Comparable, Sendable {
    /// Random values below it are rejected: 0 keeps all, 2^56 keeps none.
    package let value: UInt64

    package init(_ value: UInt64) { self.value = min(value, SamplingThreshold.range) }

    /// One more than the largest random value.
    static let range: UInt64 = 1 << 56
    /// Hexadecimal digits of a full threshold.
    static let digits = 14
    package static let always = SamplingThreshold(0)
    package static let never = SamplingThreshold(range)

    package static func < (left: SamplingThreshold, right: SamplingThreshold) -> Bool { left.value < right.value }

    /// The decision.
    @inline(__always)
    package func keeps(_ randomness: UInt64) -> Bool { randomness >= value }

    /// Share of traces kept, from 0 to 1.
    package var probability: Double { Double(SamplingThreshold.range - value) / Double(SamplingThreshold.range) }

    /// The threshold for a probability, rounded to `precision` hexadecimal digits; leading zeros and `f`s do not count
    /// as digits, so that probabilities close to 0 and 1 keep their relative precision. Below 2^-56 nothing is kept.
    package init(probability: Double, precision: Int) {
        guard probability < 1 else {
            self = .always
            return
        }
        guard probability >= 1 / Double(SamplingThreshold.range) else {
            self = .never
            return
        }
        let scaled = UInt64((probability * Double(SamplingThreshold.range)).rounded())
        var threshold = SamplingThreshold.range - scaled
        let exponent = min(SamplingThreshold.exponent(probability), SamplingThreshold.exponent(1 - probability))
        let kept = min(SamplingThreshold.digits, precision + exponent / -4)
        let shift = 4 * (SamplingThreshold.digits - kept)
        if shift > 0 { threshold = ((threshold + (1 << UInt64(shift - 1))) >> UInt64(shift)) << UInt64(shift) }
        self.init(threshold)
    }

    /// The power of two of a number written as a fraction from 1/2 to 1; never positive for numbers up to 1.
    private static func exponent(_ number: Double) -> Int { number > 0 ? Int(number.exponent) + 1 : 0 }
}

/// The 14-bit hash decision of the `hash_seed` mode, made to look like 56 random bits.
enum HashedRandomness {
    static let buckets: UInt64 = 0x4000

    /// FNV-1a over the seed (little-endian) and the bytes, as the Collector computes it; the lower 14 bits decide.
    static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt64 {
        let hash = FNV.hash32(bytes, after: withUnsafeBytes(of: seed.littleEndian) { FNV.hash32($0) })
        let bucket = UInt64(hash) & (buckets - 1)
        // Collector: kept when bucket < rate. Here: kept when random >= threshold, hence the complement on top.
        let unused = UInt64(hash >> 18)
        let mixed = unused ^ (unused << 10)
        return (buckets - 1 - bucket) << 42 | mixed << 14 | bucket
    }

    /// The threshold of a percentage in this mode: 14 bits, rounded down in 32-bit arithmetic as the Collector does.
    static func threshold(percentage: Float) -> SamplingThreshold {
        let rate = UInt64(min(percentage, 100) * (Float(buckets) / 100))
        return rate == 0 ? .never : SamplingThreshold((buckets - rate) << 42)
    }
}
