import Telemetry

/// Buckets of one sign of an exponential histogram, an `ExponentialHistogramDataPoint.Buckets` message: offset 1
/// (zigzag), bucket_counts 2 (varints, packed or not).
struct ExponentialBuckets {
    /// Index of the first bucket.
    private(set) var offset: Int64 = 0
    private(set) var counts: [UInt64] = []

    /// Reads the message, or one more piece of it.
    mutating func read(_ message: Text) {
        var walker = WireWalker(message)
        while let field = walker.next() {
            switch field.tag {
            case 0x08: offset = WireWalker.zigzag(field.number)
            case 0x10: counts.append(field.number)
            case 0x12: counts += WireWalker.varints(field.content)
            default: break
            }
        }
    }
}
