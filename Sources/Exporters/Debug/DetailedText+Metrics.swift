import Glibc
import OTLP
import Telemetry

extension DetailedText {
    mutating func appendMetric(_ index: Int, _ number: Int, _ batch: borrowing RecordBatch) {
        let metric = batch.metrics[index]
        lines.append("Metric #\(number)")
        lines.append("Descriptor:")
        lines.append("     -> Name: " + shown(batch.text(metric.name)))
        lines.append("     -> Description: " + shown(batch.text(metric.details)))
        lines.append("     -> Unit: " + shown(batch.text(metric.unit)))
        lines.append("     -> DataType: " + Self.dataType(metric.kind))
        let traits = MetricTraits(batch.text(metric.raw))
        if metric.kind == .sum { lines.append("     -> IsMonotonic: \(traits.isMonotonic)") }
        if let temporality = traits.temporality {
            lines.append("     -> AggregationTemporality: " + Self.name(temporality))
        }
        appendAttributes("Metadata:", metric.set, batch)
        for (number, point) in metric.points.range.enumerated() { appendPoint(point, number, batch) }
    }

    private static func dataType(_ kind: MetricKind) -> String {
        switch kind {
        case .none: "Empty"
        case .gauge: "Gauge"
        case .sum: "Sum"
        case .histogram: "Histogram"
        case .exponentialHistogram: "ExponentialHistogram"
        case .summary: "Summary"
        }
    }

    private static func name(_ temporality: MetricTraits.Temporality) -> String {
        switch temporality {
        case .unspecified: "Unspecified"
        case .delta: "Delta"
        case .cumulative: "Cumulative"
        }
    }

    // MARK: Data points

    private mutating func appendPoint(_ index: Int, _ number: Int, _ batch: borrowing RecordBatch) {
        let point = batch.points[index]
        let isNumber = point.kind == .gauge || point.kind == .sum
        lines.append("\(isNumber ? "Number" : Self.dataType(point.kind))DataPoints #\(number)")
        appendAttributes("Data point attributes:", point.set, batch)
        let parts = PointParts(batch.text(point.raw), point.kind)
        lines.append("StartTimestamp: " + Self.time(parts.scalars[2] ?? 0))
        lines.append("Timestamp: " + Self.time(point.time))
        switch point.kind {
        case .none: break
        case .gauge, .sum:
            if let value = parts.value { lines.append("Value: \(value)") }
            appendFlags(parts.scalars[8])
            appendExemplars(parts.messages[5] ?? [])
        case .histogram:
            appendTotals(parts, least: 11, most: 12)
            appendList(parts.words[7] ?? []) { "ExplicitBounds #\($0): \(Double(bitPattern: $1))" }
            appendList(parts.words[6] ?? []) { "Buckets #\($0), Count: \($1)" }
            appendFlags(parts.scalars[10])
            appendExemplars(parts.messages[8] ?? [])
        case .exponentialHistogram:
            appendTotals(parts, least: 12, most: 13)
            appendBuckets(parts)
            appendFlags(parts.scalars[10])
            appendExemplars(parts.messages[11] ?? [])
        case .summary:
            lines.append("Count: \(parts.scalars[4] ?? 0)")
            lines.append("Sum: \(parts.double(5) ?? 0)")
            appendList(parts.messages[6] ?? []) { index, message in
                let quantile = Double(bitPattern: Self.number(message, tag: 0x09))
                let value = Double(bitPattern: Self.number(message, tag: 0x11))
                return "QuantileValue #\(index): Quantile \(quantile), Value \(value)"
            }
            appendFlags(parts.scalars[8])
        }
    }

    private mutating func appendFlags(_ flags: UInt64?) {
        if let flags, flags != 0 { lines.append("Flags: \(flags)") }
    }

    private mutating func appendTotals(_ parts: PointParts, least: UInt32, most: UInt32) {
        lines.append("Count: \(parts.scalars[4] ?? 0)")
        for (name, field) in [("Sum", 5 as UInt32), ("Min", least), ("Max", most)] {
            if let number = parts.double(field) { lines.append("\(name): \(number)") }
        }
    }

    /// Buckets of an exponential histogram with their bounds, from the lowest to the highest.
    private mutating func appendBuckets(_ parts: PointParts) {
        var (positive, negative) = (ExponentialBuckets(), ExponentialBuckets())
        for piece in parts.messages[8] ?? [] { positive.read(piece) }
        for piece in parts.messages[9] ?? [] { negative.read(piece) }
        // The bucket of an index ends at base to the power of index + 1, with base = 2 to the power of 2^-scale.
        let step = exp2(-Double(WireWalker.zigzag(parts.scalars[6] ?? 0)))
        let (above, below) = (Double(positive.offset), Double(negative.offset))
        let last = negative.counts.count - 1
        appendList(Array(negative.counts.reversed())) { place, count in
            let index = below + Double(last - place)
            let bounds = Self.bounds(-exp2((index + 1) * step), -exp2(index * step)) { "[\($0), \($1))" }
            return "Bucket \(bounds), Count: \(count)"
        }
        if let zeros = parts.scalars[7], zeros != 0 { lines.append("Bucket [0, 0], Count: \(zeros)") }
        if let threshold = parts.double(14) { lines.append("ZeroThreshold: \(threshold)") }
        appendList(positive.counts) { place, count in
            let index = above + Double(place)
            let bounds = Self.bounds(exp2(index * step), exp2((index + 1) * step)) { "(\($0), \($1)]" }
            return "Bucket \(bounds), Count: \(count)"
        }
    }

    /// Bounds as they are written; a scale can put them where no number is.
    private static func bounds(_ low: Double, _ high: Double, _ write: (Double, Double) -> String) -> String {
        low.isFinite && high.isFinite && low < high ? write(low, high) : "without bounds"
    }

    // MARK: Exemplars

    private mutating func appendExemplars(_ exemplars: [Text]) {
        if !exemplars.isEmpty { lines.append("Exemplars:") }
        for (index, exemplar) in exemplars.prefix(Self.listMax).enumerated() { appendExemplar(exemplar, index) }
        appendRest(exemplars.count)
    }

    /// filtered_attributes 7, time_unix_nano 2, as_double 3, span_id 4, trace_id 5, as_int 6.
    private mutating func appendExemplar(_ exemplar: Text, _ index: Int) {
        var (trace, span, value) = (Text.empty, Text.empty, "")
        var time: UInt64 = 0
        var attributes = ByteColumn()
        var walker = WireWalker(exemplar)
        while let field = walker.next() {
            switch field.tag {
            case 0x11: time = field.number
            case 0x19: value = "\(Double(bitPattern: field.number))"
            case 0x22: span = field.content
            case 0x2A: trace = field.content
            case 0x31: value = "\(Int64(bitPattern: field.number))"
            // As the members of a KeyValueList.
            case 0x3A: attributes.appendField(tag: 0x0A, field.content)
            default: break
            }
        }
        lines.append("Exemplar #\(index)")
        lines.append("     -> Trace ID: " + Self.id(trace))
        lines.append("     -> Span ID: " + Self.id(span))
        lines.append("     -> Timestamp: " + Self.time(time))
        lines.append("     -> Value: " + value)
        if attributes.count > 0 {
            var json = ByteColumn()
            ValueJSON.appendMap(attributes.text, depth: 1, to: &json)
            lines.append("     -> FilteredAttributes: " + shown(json.text))
        }
    }
}

/// The fields of one data point by their numbers.
private struct PointParts {
    /// Of gauges and sums.
    var value: String?
    var scalars: [UInt32: UInt64] = [:]
    /// Bucket counts and bounds of histograms.
    var words: [UInt32: [UInt64]] = [:]
    var messages: [UInt32: [Text]] = [:]

    init(_ point: Text, _ kind: MetricKind) {
        var walker = WireWalker(point)
        while let field = walker.next() {
            switch (kind, field.tag) {
            case (.histogram, 0x31), (.histogram, 0x32), (.histogram, 0x39), (.histogram, 0x3A):
                words[field.fieldNumber, default: []] += field.words
            // The value is a oneof: the last member counts.
            case (.gauge, 0x21), (.sum, 0x21): value = "\(Double(bitPattern: field.number))"
            case (.gauge, 0x31), (.sum, 0x31): value = "\(Int64(bitPattern: field.number))"
            case (_, let tag) where tag & 7 == 2: messages[field.fieldNumber, default: []].append(field.content)
            case (_, let tag) where tag & 7 == 3: break
            default: scalars[field.fieldNumber] = field.number
            }
        }
    }

    func double(_ field: UInt32) -> Double? { scalars[field].map { Double(bitPattern: $0) } }
}
