import Glibc
import OTLP
import Telemetry

/// What an editor of metrics is to do, its arguments evaluated: the metrics functions of the Collector's transform
/// processor.
enum MetricChange {
    case toGauge
    case toSum(temporality: UInt64, isMonotonic: Bool)
    case extractCount(isMonotonic: Bool, suffix: String)
    case extractSum(isMonotonic: Bool, suffix: String)
    case extractPercentile(Double, suffix: String)
    case summaryCount(temporality: UInt64, isMonotonic: Bool, suffix: String)
    case summarySum(temporality: UInt64, isMonotonic: Bool, suffix: String)
    case summaryQuantiles(attribute: String, suffix: String)
    case copy(name: String?, details: String?, unit: String?)
    case scale(Double, unit: String?)
    /// Nil keeps all attributes.
    case aggregate(MetricAggregation, attributes: [String]?)
    case aggregateValue(MetricAggregation, attribute: String, values: [String], new: String)
    case explicitBuckets(BucketDistribution, bounds: [Double])
    case removeBound(Double)
    case limitBuckets(Int)

    /// What became of a metric.
    struct Outcome {
        /// Nil leaves it as it is.
        var changed: MetricTree?
        var added: MetricTree?
    }

    /// Whether it changes points one by one rather than the metric.
    var isOfPoints: Bool {
        switch self {
        case .removeBound, .limitBuckets: true
        default: false
        }
    }

    /// What is of points changes the one with the number `point`, or all.
    func apply(
        to metric: MetricTree, at point: Int? = nil, random: () -> UInt64
    ) throws(EvaluationFailure) -> Outcome {
        switch self {
        case .removeBound(let bound):
            return Outcome(changed: metric.withMergedBuckets(at: point) { $0.removeBound(bound) })
        case .limitBuckets(let most):
            return Outcome(changed: metric.withMergedBuckets(at: point) { $0.limitBuckets(to: most) })
        case .toGauge, .toSum: return Outcome(changed: converted(metric))
        case .extractCount(let isMonotonic, let suffix):
            guard metric.hasBuckets || metric.kind == .summary else { throw EvaluationFailure(.wrongMetric) }
            var sum = try MetricChange.extracted(metric, suffix, isMonotonic)
            // A count has no unit of the values that it counts.
            sum.unit = Array("1".utf8)
            sum.points = metric.points.map { MetricChange.counted($0) }
            return Outcome(added: sum.points.isEmpty ? nil : sum)
        case .extractSum(let isMonotonic, let suffix):
            guard metric.hasBuckets || metric.kind == .summary else { throw EvaluationFailure(.wrongMetric) }
            var sum = try MetricChange.extracted(metric, suffix, isMonotonic)
            sum.points = metric.points.compactMap { MetricChange.summed($0, isNeeded: metric.hasBuckets) }
            return Outcome(added: sum.points.isEmpty ? nil : sum)
        case .extractPercentile(let percentile, let suffix):
            guard metric.hasBuckets else { return Outcome() }
            return Outcome(added: try metric.percentile(percentile, suffix: suffix))
        case .copy(let name, let details, let unit):
            var copy = metric
            if let name { copy.name = Array(name.utf8) }
            if let details { copy.details = Array(details.utf8) }
            if let unit { copy.unit = Array(unit.utf8) }
            return Outcome(added: copy)
        case .scale(let factor, let unit): return Outcome(changed: try metric.scaled(by: factor, unit: unit))
        case .aggregate, .aggregateValue: return Outcome(changed: try aggregated(metric))
        case .explicitBuckets(let distribution, let bounds):
            guard metric.kind == .exponentialHistogram else { return Outcome() }
            return Outcome(changed: metric.withExplicitBuckets(distribution, bounds, random: random))
        default: return try apply(toSummary: metric)
        }
    }

    /// Of summaries only; other metrics stay as they are.
    private func apply(toSummary metric: MetricTree) throws(EvaluationFailure) -> Outcome {
        guard metric.kind == .summary else { return Outcome() }
        switch self {
        case .summaryCount(let temporality, let isMonotonic, let suffix):
            var sum = MetricChange.made(metric, suffix, .sum, temporality, isMonotonic)
            sum.points = metric.points.map { MetricChange.counted($0) }
            return Outcome(added: sum)
        case .summarySum(let temporality, let isMonotonic, let suffix):
            var sum = MetricChange.made(metric, suffix, .sum, temporality, isMonotonic)
            sum.points = metric.points.compactMap { MetricChange.summed($0, isNeeded: false) }
            return Outcome(added: sum)
        case .summaryQuantiles(let attribute, let suffix):
            return Outcome(added: metric.quantiles(attribute: attribute, suffix: suffix))
        default: return Outcome()
        }
    }

    private func aggregated(_ metric: MetricTree) throws(EvaluationFailure) -> MetricTree {
        switch self {
        case .aggregateValue(let aggregation, let attribute, let values, let new):
            try metric.renamed(attribute, values, to: new).aggregated(aggregation, keeping: nil)
        case .aggregate(let aggregation, let attributes): try metric.aggregated(aggregation, keeping: attributes)
        default: metric
        }
    }

    private func converted(_ metric: MetricTree) -> MetricTree? {
        var metric = metric
        switch self {
        case .toGauge where metric.kind == .sum: metric.kind = .gauge
        case .toSum(let temporality, let isMonotonic) where metric.kind == .gauge:
            (metric.kind, metric.temporality, metric.isMonotonic) = (.sum, temporality, isMonotonic)
        default: return nil
        }
        return metric
    }

    /// A metric named after another one.
    static func made(
        _ metric: MetricTree, _ suffix: String, _ kind: MetricKind, _ temporality: UInt64 = 0,
        _ isMonotonic: Bool = false
    ) -> MetricTree {
        var new = MetricTree()
        new.name = metric.name + Array(suffix.utf8)
        (new.details, new.unit, new.kind) = (metric.details, metric.unit, kind)
        (new.temporality, new.isMonotonic) = (temporality, isMonotonic)
        return new
    }

    /// A sum of the same temporality; summaries count from their start on.
    private static func extracted(
        _ metric: MetricTree, _ suffix: String, _ isMonotonic: Bool
    ) throws(EvaluationFailure) -> MetricTree {
        let temporality = metric.kind == .summary ? MetricTree.cumulative : metric.temporality
        guard temporality != 0 else { throw EvaluationFailure(.wrongMetric) }
        return made(metric, suffix, .sum, temporality, isMonotonic)
    }

    private static func counted(_ point: MetricPoint) -> MetricPoint {
        var new = point.outline
        new.int = Int64(clamping: point.count)
        return new
    }

    /// Nil for a histogram's point without a sum.
    private static func summed(_ point: MetricPoint, isNeeded: Bool) -> MetricPoint? {
        if isNeeded, point.sum == nil { return nil }
        var new = point.outline
        new.double = point.sum ?? 0
        return new
    }
}

extension MetricTree {
    /// One gauge's point for each quantile of a summary, which stands in an attribute.
    fileprivate func quantiles(attribute: String, suffix: String) -> MetricTree {
        var gauge = MetricChange.made(self, suffix, .gauge)
        for point in points {
            for quantile in point.quantiles {
                var new = point.outline
                var text = ByteColumn()
                ValueText.append(quantile.quantile, to: &text)
                // Two digits behind the point, as the Collector has them: 0.50.
                if text.count < 4, text.text.string != "0", text.text.string != "1" { text.append("0") }
                new.setAttribute(attribute, to: text.text.string)
                new.double = quantile.value
                gauge.points.append(new)
            }
        }
        return gauge
    }

    fileprivate func scaled(by factor: Double, unit: String?) throws(EvaluationFailure) -> MetricTree {
        guard kind != .exponentialHistogram, kind != .none else { throw EvaluationFailure(.wrongMetric) }
        var metric = self
        if let unit { metric.unit = Array(unit.utf8) }
        for index in metric.points.indices { metric.points[index].scale(by: factor) }
        return metric
    }
}

extension MetricPoint {
    fileprivate mutating func scale(by factor: Double) {
        double = double.map { $0 * factor }
        int = int.map { MetricPoint.whole(Double($0) * factor) }
        sum = sum.map { $0 * factor }
        min = min.map { $0 * factor }
        max = max.map { $0 * factor }
        bounds = bounds.map { $0 * factor }
        for index in quantiles.indices { quantiles[index].value *= factor }
        guard !bounds.isEmpty else { return }
        exemplars = exemplars.map { MetricPoint.exemplar($0, scaledBy: factor) }
    }

    static func whole(_ number: Double) -> Int64 {
        if number.isNaN { return 0 }
        return Int64(exactly: number.rounded(.towardZero)) ?? (number < 0 ? .min : .max)
    }

    /// Exemplar: as_double = 3, as_int = 6.
    private static func exemplar(_ message: [UInt8], scaledBy factor: Double) -> [UInt8] {
        message.withUnsafeBytes { raw in
            var output = ByteColumn()
            let text = Text(raw)
            var cursor = WireCursor(text)
            while let field = cursor.nextField() {
                let bits = field.whole.upperBound - 8
                switch field.tag {
                case 0x19:
                    let value = Double(bitPattern: (text.start + bits).loadUnaligned(as: UInt64.self).littleEndian)
                    output.append(tag: 0x19, value * factor)
                case 0x31:
                    let value = Int64(bitPattern: (text.start + bits).loadUnaligned(as: UInt64.self).littleEndian)
                    output.append(0x31)
                    output.append(littleEndian: whole(Double(value) * factor))
                default: output.append(text[field.whole])
                }
            }
            return [UInt8](output.bytes)
        }
    }

    // MARK: Attributes

    /// The key of an encoded KeyValue.
    static func key(of attribute: [UInt8]) -> String {
        attribute.withUnsafeBytes { raw in
            var cursor = WireCursor(Text(raw))
            while let field = cursor.nextField() {
                if field.tag == 0x0A { return Text(raw)[field.content].string }
            }
            return ""
        }
    }

    /// The string that an encoded KeyValue holds, nil for other values.
    static func text(of attribute: [UInt8]) -> String? {
        attribute.withUnsafeBytes { raw -> String? in
            var cursor = WireCursor(Text(raw))
            while let field = cursor.nextField() {
                guard field.tag == 0x12 else { continue }
                var inner = WireCursor(Text(raw), field.content)
                guard let value = inner.nextField(), value.tag == 0x0A else { return nil }
                return Text(raw)[value.content].string
            }
            return nil
        }
    }

    mutating func setAttribute(_ key: String, to text: String) {
        attributes.removeAll { MetricPoint.key(of: $0) == key }
        var list = ByteColumn()
        var (key, text) = (key, text)
        key.withUTF8 { key in
            text.withUTF8 { text in
                AttributeList.append(
                    Text(UnsafeRawBufferPointer(key)), Text(UnsafeRawBufferPointer(text)), to: &list)
            }
        }
        var cursor = WireCursor(list.text)
        if let field = cursor.nextField() { attributes.append(MetricTree.bytes(list.text[field.content])) }
    }
}
