import Glibc
import Telemetry

/// Reads one data point from its protobuf bytes. Field numbers are those of the OTLP schema.
struct PrometheusPointReader {
    /// NoRecordedValue of DataPointFlags: the series ends here.
    private(set) var isEnd = false
    private(set) var value: PrometheusPoint.Value
    private(set) var exemplars: [PrometheusPoint.Exemplar] = []

    private var integer: Int64?
    private var double: Double?
    private var count: UInt64 = 0
    private var sum: Double?
    private var counts: [UInt64] = []
    private var bounds: [UInt64] = []
    private var quantiles: [PrometheusPoint.Quantile] = []
    private var scale: Int64 = 0
    private var zeroCount: UInt64 = 0
    private var zeroThreshold = 0.0
    private var positive = ExponentialBuckets()
    private var negative = ExponentialBuckets()

    init(_ point: Text, kind: MetricKind) {
        value = .number(0)
        var walker = WireWalker(point)
        while let field = walker.next() {
            switch kind {
            case .none, .gauge, .sum: readNumber(field)
            case .histogram: readHistogram(field)
            case .exponentialHistogram: readExponential(field)
            case .summary: readSummary(field)
            }
        }
        switch kind {
        case .none, .gauge, .sum: value = .number(double ?? Double(integer ?? 0))
        case .histogram: value = .histogram(explicitBuckets())
        case .exponentialHistogram: value = .histogram(exponentialBuckets())
        case .summary: value = .summary(count: count, sum: sum ?? 0, quantiles: quantiles)
        }
    }

    // MARK: Fields

    private mutating func readNumber(_ field: WireWalker.Field) {
        switch field.tag {
        case 0x21: (integer, double) = (nil, Double(bitPattern: field.number))
        case 0x31: (integer, double) = (Int64(bitPattern: field.number), nil)
        case 0x2A: readExemplar(field.content)
        case 0x40: isEnd = field.number & 1 == 1
        default: break
        }
    }

    private mutating func readHistogram(_ field: WireWalker.Field) {
        switch field.tag {
        case 0x21: count = field.number
        case 0x29: sum = Double(bitPattern: field.number)
        case 0x31, 0x32: counts += field.words
        case 0x39, 0x3A: bounds += field.words
        case 0x42: readExemplar(field.content)
        case 0x50: isEnd = field.number & 1 == 1
        default: break
        }
    }

    private mutating func readExponential(_ field: WireWalker.Field) {
        switch field.tag {
        case 0x21: count = field.number
        case 0x29: sum = Double(bitPattern: field.number)
        case 0x30: scale = WireWalker.zigzag(field.number)
        case 0x39: zeroCount = field.number
        case 0x42: positive.read(field.content)
        case 0x4A: negative.read(field.content)
        case 0x50: isEnd = field.number & 1 == 1
        case 0x5A: readExemplar(field.content)
        case 0x71: zeroThreshold = Double(bitPattern: field.number)
        default: break
        }
    }

    private mutating func readSummary(_ field: WireWalker.Field) {
        switch field.tag {
        case 0x21: count = field.number
        case 0x29: sum = Double(bitPattern: field.number)
        case 0x32:
            var quantile = PrometheusPoint.Quantile(quantile: 0, value: 0)
            var walker = WireWalker(field.content)
            while let part = walker.next() {
                if part.tag == 0x09 { quantile.quantile = Double(bitPattern: part.number) }
                if part.tag == 0x11 { quantile.value = Double(bitPattern: part.number) }
            }
            if quantiles.count < Buckets.max { quantiles.append(quantile) }
        case 0x40: isEnd = field.number & 1 == 1
        default: break
        }
    }

    private mutating func readExemplar(_ message: Text) {
        guard exemplars.count < Buckets.max else { return }
        var exemplar = PrometheusPoint.Exemplar(value: 0, time: 0, labels: "")
        var ids: [(name: String, value: String)] = []
        var walker = WireWalker(message)
        while let field = walker.next() {
            switch field.tag {
            case 0x11: exemplar.time = field.number
            case 0x19: exemplar.value = Double(bitPattern: field.number)
            case 0x31: exemplar.value = Double(Int64(bitPattern: field.number))
            case 0x22 where field.content.count == 8: ids.append(("span_id", field.content.hexDigits))
            case 0x2A where field.content.count == 16: ids.append(("trace_id", field.content.hexDigits))
            default: break
            }
        }
        exemplar.labels = PrometheusSyntax.labels(ids)
        exemplars.append(exemplar)
    }

    // MARK: Buckets

    private func explicitBuckets() -> Buckets {
        var buckets = Buckets(count: count, sum: sum)
        for (index, bound) in bounds.enumerated() {
            buckets.append(Double(bitPattern: bound), index < counts.count ? counts[index] : 0)
        }
        return buckets
    }

    /// An exponential histogram as one with bounds: those of its buckets that are not empty.
    private func exponentialBuckets() -> Buckets {
        var buckets = Buckets(count: count, sum: sum)
        let ratio = exp2(exp2(-Double(scale)))
        for (index, count) in Self.filled(negative).reversed() { buckets.append(-pow(ratio, index), count) }
        if zeroCount > 0 { buckets.append(zeroThreshold, zeroCount) }
        for (index, count) in Self.filled(positive) { buckets.append(pow(ratio, index + 1), count) }
        return buckets
    }

    /// Buckets of one sign with something in them, by index.
    private static func filled(_ buckets: ExponentialBuckets) -> [(index: Double, count: UInt64)] {
        buckets.counts.enumerated().filter { $0.element > 0 }.map { place, count in
            (Double(buckets.offset) + Double(place), count)
        }
    }
}
