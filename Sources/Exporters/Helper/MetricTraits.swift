import Telemetry

/// What a metric says of all its points, read from its protobuf bytes.
struct MetricTraits {
    enum Temporality: UInt64 { case unspecified, delta, cumulative }

    /// Nil for gauges and summaries, which have none.
    private(set) var temporality: Temporality?
    private(set) var isMonotonic = false

    /// Fields 2 and 3 of sum (7), histogram (9) and exponential histogram (10). Pieces of one kind of data are merged;
    /// another kind, such as gauge (5) or summary (11), takes their place.
    init(_ metric: Text) {
        var last: UInt32 = 0
        var walker = WireWalker(metric)
        while let field = walker.next() {
            let isPlain = field.tag == 0x2A || field.tag == 0x5A
            guard isPlain || [0x3A, 0x4A, 0x52].contains(field.tag) else { continue }
            if field.tag != last {
                temporality = isPlain ? nil : Temporality.unspecified
                isMonotonic = false
            }
            last = field.tag
            if isPlain { continue }
            var data = WireWalker(field.content)
            while let part = data.next() {
                if part.tag == 0x10 { temporality = Temporality(rawValue: part.number) ?? .unspecified }
                if part.tag == 0x18 { isMonotonic = part.number != 0 }
            }
        }
    }
}
