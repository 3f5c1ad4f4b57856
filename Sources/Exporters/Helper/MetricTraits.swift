import Telemetry

/// What a metric says of all its points, read from its protobuf bytes.
struct MetricTraits {
    enum Temporality: UInt64 { case unspecified, delta, cumulative }

    /// Nil for gauges and summaries, which have none.
    private(set) var temporality: Temporality?
    private(set) var isMonotonic = false

    /// Fields 2 and 3 of sum (7), histogram (9) and exponential histogram (10).
    init(_ metric: Text) {
        var walker = WireWalker(metric)
        while let field = walker.next() {
            guard [0x3A, 0x4A, 0x52].contains(field.tag) else { continue }
            temporality = .unspecified
            var data = WireWalker(field.content)
            while let part = data.next() {
                if part.tag == 0x10 { temporality = Temporality(rawValue: part.number) ?? .unspecified }
                if part.tag == 0x18 { isMonotonic = part.number != 0 }
            }
        }
    }
}
