package import Telemetry

/// Protobuf of metrics that Sluice computes itself: one `ExportMetricsServiceRequest`, written front to back.
///
/// Attributes are given encoded, as `AttributeList` makes them. Field numbers are those of metrics.proto.
package struct MetricsWriter: ~Copyable {
    /// How a point relates to the one before it; the raw values are the schema's.
    package enum Temporality: UInt64, Sendable {
        case delta = 1
        case cumulative = 2
    }

    /// Begin and end of what the points count, Unix nanoseconds.
    package struct Window: Sendable {
        package var start: UInt64
        package var end: UInt64

        package init(start: UInt64, end: UInt64) {
            self.start = start
            self.end = end
        }
    }

    /// One value that a point counts, with the span that it came from.
    package struct Exemplar: Sendable {
        package var value: Double
        /// Unix nanoseconds.
        package var time: UInt64
        package var traceID: [UInt8]
        package var spanID: [UInt8]

        package init(value: Double, time: UInt64, traceID: [UInt8], spanID: [UInt8]) {
            self.value = value
            self.time = time
            self.traceID = traceID
            self.spanID = spanID
        }
    }

    private var output = ByteColumn()
    private let scope: String
    private let scopeVersion: String
    private let temporality: Temporality
    private let window: Window

    package init(scope: String, scopeVersion: String, temporality: Temporality, window: Window) {
        self.scope = scope
        self.scopeVersion = scopeVersion
        self.temporality = temporality
        self.window = window
    }

    /// The request so far.
    package var bytes: [UInt8] { [UInt8](output.bytes) }

    /// One ResourceMetrics; `body` writes its metrics.
    package mutating func resource(_ attributes: Text, _ body: (inout MetricsWriter) -> Void) {
        let container = output.beginMessage(tag: 0x0A, guess: 1 << 14)
        output.appendField(tag: 0x0A, attributes)
        let scopes = output.beginMessage(tag: 0x12, guess: 1 << 14)
        let about = output.beginMessage(tag: 0x0A, guess: scope.utf8.count + 16)
        appendText(tag: 0x0A, scope)
        appendText(tag: 0x12, scopeVersion)
        output.endMessage(about)
        body(&self)
        output.endMessage(scopes)
        output.endMessage(container)
    }

    /// A monotonic sum of integers; `points` calls `sumPoint`.
    package mutating func sum(
        name: String, description: String = "", unit: String, points: (inout MetricsWriter) -> Void
    ) {
        let metric = beginMetric(name, unit, description)
        let data = output.beginMessage(tag: 0x3A, guess: 1 << 10)
        points(&self)
        output.append(0x10)
        output.appendVarint(temporality.rawValue)
        output.append(0x18)
        output.append(1)
        output.endMessage(data)
        output.endMessage(metric)
    }

    /// A histogram with explicit bounds; `points` calls `histogramPoint`.
    package mutating func histogram(name: String, unit: String, points: (inout MetricsWriter) -> Void) {
        let metric = beginMetric(name, unit)
        let data = output.beginMessage(tag: 0x4A, guess: 1 << 12)
        points(&self)
        output.append(0x10)
        output.appendVarint(temporality.rawValue)
        output.endMessage(data)
        output.endMessage(metric)
    }

    /// A histogram whose bounds grow by a factor; `points` calls `exponentialPoint`.
    package mutating func exponentialHistogram(name: String, unit: String, points: (inout MetricsWriter) -> Void) {
        let metric = beginMetric(name, unit)
        let data = output.beginMessage(tag: 0x52, guess: 1 << 12)
        points(&self)
        output.append(0x10)
        output.appendVarint(temporality.rawValue)
        output.endMessage(data)
        output.endMessage(metric)
    }

    /// A point of a sum; `attributes` is an `AttributeList`.
    package mutating func sumPoint(_ attributes: Text, value: Int64, exemplars: [Exemplar] = []) {
        let point = output.beginMessage(tag: 0x0A, guess: attributes.count + 40)
        appendWindow()
        output.append(0x31)
        output.append(littleEndian: value)
        AttributeList.write(attributes, tag: 0x3A, into: &output)
        for exemplar in exemplars { append(exemplar, tag: 0x2A) }
        output.endMessage(point)
    }

    /// `buckets` holds one count more than `bounds`; min and max are left out when nothing was counted.
    package mutating func histogramPoint(
        _ attributes: Text, count: UInt64, sum: Double, min: Double, max: Double, buckets: ArraySlice<UInt64>,
        bounds: [Double], exemplars: [Exemplar] = []
    ) {
        let point = output.beginMessage(tag: 0x0A, guess: attributes.count + 60 + 16 * bounds.count)
        appendWindow()
        output.append(0x21)
        output.append(littleEndian: count)
        output.append(0x29)
        output.append(littleEndian: sum.bitPattern)
        appendPacked(tag: 0x32, buckets.count) { output in for bucket in buckets { output.append(littleEndian: bucket) }
        }
        appendPacked(tag: 0x3A, bounds.count) { output in
            for bound in bounds { output.append(littleEndian: bound.bitPattern) }
        }
        for exemplar in exemplars { append(exemplar, tag: 0x42) }
        AttributeList.write(attributes, tag: 0x4A, into: &output)
        if count > 0 {
            output.append(0x59)
            output.append(littleEndian: min.bitPattern)
            output.append(0x61)
            output.append(littleEndian: max.bitPattern)
        }
        output.endMessage(point)
    }

    /// `counts` begin at the bucket `offset` of the scale; all values are positive or zero.
    package mutating func exponentialPoint(
        _ attributes: Text, count: UInt64, sum: Double, min: Double, max: Double, scale: Int, zeros: UInt64,
        offset: Int, counts: [UInt64], exemplars: [Exemplar] = []
    ) {
        let point = output.beginMessage(tag: 0x0A, guess: attributes.count + 80 + 2 * counts.count)
        AttributeList.write(attributes, tag: 0x0A, into: &output)
        appendWindow()
        output.append(0x21)
        output.append(littleEndian: count)
        output.append(0x29)
        output.append(littleEndian: sum.bitPattern)
        output.append(0x30)
        output.appendVarint(Self.zigzag(scale))
        output.append(0x39)
        output.append(littleEndian: zeros)
        let positive = output.beginMessage(tag: 0x42, guess: 2 * counts.count + 8)
        output.append(0x08)
        output.appendVarint(Self.zigzag(offset))
        let packed = output.beginMessage(tag: 0x12, guess: 2 * counts.count)
        for count in counts { output.appendVarint(count) }
        output.endMessage(packed)
        output.endMessage(positive)
        for exemplar in exemplars { append(exemplar, tag: 0x5A) }
        if count > 0 {
            output.append(0x61)
            output.append(littleEndian: min.bitPattern)
            output.append(0x69)
            output.append(littleEndian: max.bitPattern)
        }
        output.endMessage(point)
    }

    private static func zigzag(_ number: Int) -> UInt64 { UInt64(bitPattern: Int64(number << 1 ^ number >> 63)) }

    private mutating func append(_ exemplar: Exemplar, tag: UInt32) {
        let open = output.beginMessage(tag: tag, guess: 64)
        output.append(0x11)
        output.append(littleEndian: exemplar.time)
        output.append(0x19)
        output.append(littleEndian: exemplar.value.bitPattern)
        for (tag, id) in [(0x22 as UInt32, exemplar.spanID), (0x2A, exemplar.traceID)] where !id.isEmpty {
            id.withUnsafeBytes { output.appendField(tag: tag, Text($0)) }
        }
        output.endMessage(open)
    }

    private mutating func beginMetric(_ name: String, _ unit: String, _ description: String = "") -> OpenMessage {
        let metric = output.beginMessage(tag: 0x12, guess: 1 << 12)
        appendText(tag: 0x0A, name)
        if !description.isEmpty { appendText(tag: 0x12, description) }
        appendText(tag: 0x1A, unit)
        return metric
    }

    private mutating func appendWindow() {
        output.append(0x11)
        output.append(littleEndian: window.start)
        output.append(0x19)
        output.append(littleEndian: window.end)
    }

    private mutating func appendPacked(tag: UInt8, _ count: Int, _ body: (inout ByteColumn) -> Void) {
        output.append(tag)
        output.appendVarint(UInt64(8 * count))
        body(&output)
    }

    private mutating func appendText(tag: UInt8, _ text: String) {
        guard !text.isEmpty else { return }
        output.append(tag)
        output.appendVarint(UInt64(text.utf8.count))
        output.append(string: text)
    }
}

/// Attributes as repeated fields with number 1, which is what a Resource message is: what identifies a series, and what
/// is written under the number that a point has for its attributes.
package enum AttributeList {
    /// Appends an attribute of a batch under a key of one's own.
    package static func append(
        _ key: Text, _ attribute: AttributeRecord, of batch: borrowing RecordBatch, to list: inout ByteColumn
    ) {
        let isText = attribute.kind == .string || attribute.kind == .bytes
        let length = isText ? Int(attribute.text.length) + 4 : 12
        let open = list.beginMessage(tag: 0x0A, guess: WireSize.field(key.count) + length)
        list.appendField(tag: 0x0A, key)
        OTLPWriter(body: batch.input)
            .writeValue(batch, tag: 0x12, attribute.kind, attribute.payload, &list)
        list.endMessage(open)
    }

    /// Appends a string attribute.
    package static func append(_ key: Text, _ text: Text, to list: inout ByteColumn) {
        let open = list.beginMessage(tag: 0x0A, guess: WireSize.field(key.count) + WireSize.field(text.count) + 2)
        list.appendField(tag: 0x0A, key)
        list.append(0x12)
        list.appendVarint(UInt64(WireSize.field(text.count)))
        list.appendField(tag: 0x0A, text)
        list.endMessage(open)
    }

    /// Writes the list as fields with another tag.
    static func write(_ list: Text, tag: UInt32, into output: inout ByteColumn) {
        var cursor = WireCursor(list)
        while let field = cursor.nextField() { output.appendField(tag: tag, list[field.content]) }
    }
}
