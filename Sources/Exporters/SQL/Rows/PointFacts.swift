import OTLP
import Telemetry

/// The fields of one data point that have a column, read from its protobuf bytes. Field numbers are those of the OTLP
/// schema; the four kinds of points share the times and differ in the rest.
struct PointFacts: ~Copyable {
    var startTime: UInt64 = 0
    var integer: Int64?
    var double: Double?
    var count: UInt64?
    var sum: Double?
    var least: Double?
    var most: Double?
    /// What else the point holds, as a JSON object: buckets, bounds, quantiles.
    var details = ByteColumn()

    init(_ point: Text, kind: MetricKind) {
        var walker = WireWalker(point)
        var lists: [UInt32: [Text]] = [:]
        var scalars: [UInt32: UInt64] = [:]
        var words: [UInt32: [UInt64]] = [:]
        while let field = walker.next() {
            switch (kind, field.tag) {
            case (.histogram, 0x31), (.histogram, 0x32), (.histogram, 0x39), (.histogram, 0x3A):
                words[field.fieldNumber, default: []] += field.words
            // The value is a oneof: the last member counts.
            case (.gauge, 0x21), (.sum, 0x21): (integer, double) = (nil, Double(bitPattern: field.number))
            case (.gauge, 0x31), (.sum, 0x31): (integer, double) = (Int64(bitPattern: field.number), nil)
            case (_, let tag) where tag & 7 == 2: lists[field.fieldNumber, default: []].append(field.content)
            case (_, let tag) where tag & 7 == 3: break
            default: scalars[field.fieldNumber] = field.number
            }
        }
        startTime = scalars[2] ?? 0
        details.append(UInt8(ascii: "{"))
        switch kind {
        case .none, .gauge, .sum: break
        case .histogram:
            setTotals(scalars, least: 11, most: 12)
            appendWords("bucket_counts", words[6], asDouble: false)
            appendWords("explicit_bounds", words[7], asDouble: true)
        case .exponentialHistogram:
            setTotals(scalars, least: 12, most: 13)
            appendNumber("scale", WireWalker.zigzag(scalars[6] ?? 0))
            appendNumber("zero_count", Int64(clamping: scalars[7] ?? 0))
            appendBuckets("positive", lists[8])
            appendBuckets("negative", lists[9])
        case .summary:
            setTotals(scalars, least: nil, most: nil)
            appendQuantiles(lists[6] ?? [])
        }
        details.append(UInt8(ascii: "}"))
    }

    private mutating func setTotals(_ scalars: [UInt32: UInt64], least: UInt32?, most: UInt32?) {
        count = scalars[4]
        sum = scalars[5].map { Double(bitPattern: $0) }
        self.least = least.flatMap { scalars[$0] }.map { Double(bitPattern: $0) }
        self.most = most.flatMap { scalars[$0] }.map { Double(bitPattern: $0) }
    }

    private mutating func appendName(_ name: StaticString) {
        if details.count > 1 { details.append(UInt8(ascii: ",")) }
        details.append(UInt8(ascii: "\""))
        details.append(name)
        details.append("\":")
    }

    private mutating func appendNumber(_ name: StaticString, _ value: Int64) {
        appendName(name)
        JSONText.append(value, to: &details)
    }

    /// Fixed64 words or doubles.
    private mutating func appendWords(_ name: StaticString, _ words: [UInt64]?, asDouble: Bool) {
        guard let words else { return }
        appendName(name)
        details.append(UInt8(ascii: "["))
        for (index, word) in words.enumerated() {
            if index > 0 { details.append(UInt8(ascii: ",")) }
            if asDouble {
                JSONText.append(Double(bitPattern: word), to: &details)
            } else {
                JSONText.append(word, to: &details)
            }
        }
        details.append(UInt8(ascii: "]"))
    }

    private mutating func appendBuckets(_ name: StaticString, _ pieces: [Text]?) {
        guard let pieces else { return }
        var buckets = ExponentialBuckets()
        for piece in pieces { buckets.read(piece) }
        appendName(name)
        details.append("{\"offset\":")
        JSONText.append(buckets.offset, to: &details)
        details.append(",\"bucket_counts\":[")
        for (index, count) in buckets.counts.enumerated() {
            if index > 0 { details.append(UInt8(ascii: ",")) }
            JSONText.append(count, to: &details)
        }
        details.append("]}")
    }

    /// ValueAtQuantile: quantile 1, value 2.
    private mutating func appendQuantiles(_ quantiles: [Text]) {
        guard !quantiles.isEmpty else { return }
        appendName("quantiles")
        details.append(UInt8(ascii: "["))
        for (index, message) in quantiles.enumerated() {
            if index > 0 { details.append(UInt8(ascii: ",")) }
            var quantile = 0.0
            var value = 0.0
            var walker = WireWalker(message)
            while let field = walker.next() {
                if field.tag == 0x09 { quantile = Double(bitPattern: field.number) }
                if field.tag == 0x11 { value = Double(bitPattern: field.number) }
            }
            details.append("{\"quantile\":")
            JSONText.append(quantile, to: &details)
            details.append(",\"value\":")
            JSONText.append(value, to: &details)
            details.append(UInt8(ascii: "}"))
        }
        details.append(UInt8(ascii: "]"))
    }
}
