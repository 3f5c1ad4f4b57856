package import OTLP
package import Telemetry

/// One data point of any kind of metric, field by field (metrics.proto).
package struct MetricPoint {
    /// Buckets of an exponential histogram on one side of zero.
    package struct Buckets {
        package var offset: Int64 = 0
        package var counts: [UInt64] = []
        var isThere = false

        /// Reads the message, or one more piece of it.
        mutating func read(_ message: Text, _ range: Range<Int>) throws(DecodeFailure) {
            isThere = true
            var cursor = WireCursor(message, range)
            while !cursor.isAtEnd {
                let tag = try cursor.tag()
                switch tag {
                case 0x08: offset = MetricPoint.unzigzag(try cursor.varint())
                case 0x10: counts.append(try cursor.varint())
                case 0x12:
                    var packed = WireCursor(message, try cursor.length())
                    while !packed.isAtEnd { counts.append(try packed.varint()) }
                default: try cursor.skip(tag)
                }
            }
        }
    }

    /// Encoded KeyValue messages.
    var attributes: [[UInt8]] = []
    package var start: UInt64 = 0
    package var time: UInt64 = 0
    package var flags: UInt64 = 0
    /// Encoded Exemplar messages.
    var exemplars: [[UInt8]] = []
    /// Whole fields that the schema does not know.
    var rest: [[UInt8]] = []

    // Gauges and sums have one of these.
    package var int: Int64?
    package var double: Double?

    // Histograms and summaries.
    package var count: UInt64 = 0
    package var sum: Double?
    var min: Double?
    var max: Double?
    package var bounds: [Double] = []
    package var counts: [UInt64] = []
    var quantiles: [(quantile: Double, value: Double)] = []

    // Exponential histograms.
    package var scale: Int64 = 0
    package var zeros: UInt64 = 0
    package var zeroThreshold: Double?
    package var positive = Buckets()
    package var negative = Buckets()

    /// The numbers of fields that differ between the kinds.
    struct Tags {
        var attributes: UInt32
        var exemplars: UInt32
        var flags: UInt32
        var min: UInt32
        var max: UInt32

        init(_ kind: MetricKind) {
            (attributes, exemplars, flags, min, max) =
                switch kind {
                case .histogram: (0x4A, 0x42, 0x50, 0x59, 0x61)
                case .exponentialHistogram: (0x0A, 0x5A, 0x50, 0x61, 0x69)
                case .summary: (0x3A, 0, 0x40, 0, 0)
                case .gauge, .sum, .none: (0x3A, 0x2A, 0x40, 0, 0)
                }
        }
    }

    init() {}

    /// What a point of another metric has that is made from this one: attributes and times.
    var outline: MetricPoint {
        var point = MetricPoint()
        (point.attributes, point.start, point.time) = (attributes, start, time)
        return point
    }

    // MARK: Reading

    /// With `onlyNumbers` without attributes, exemplars and unknown fields.
    package init(_ message: Text, _ kind: MetricKind, onlyNumbers: Bool = false) throws(DecodeFailure) {
        let tags = Tags(kind)
        var cursor = WireCursor(message)
        while !cursor.isAtEnd {
            let start = cursor.at
            let tag = try cursor.tag()
            switch tag {
            case tags.attributes where onlyNumbers, tags.exemplars where onlyNumbers: try cursor.skip(tag)
            case tags.attributes: attributes.append(MetricTree.bytes(message[try cursor.length()]))
            case tags.exemplars: exemplars.append(MetricTree.bytes(message[try cursor.length()]))
            case tags.flags: flags = try cursor.varint()
            case tags.min where tag != 0: min = Double(bitPattern: try cursor.fixed64())
            case tags.max where tag != 0: max = Double(bitPattern: try cursor.fixed64())
            case 0x11: self.start = try cursor.fixed64()
            case 0x19: time = try cursor.fixed64()
            default:
                if try readValue(message, tag, kind, &cursor) { continue }
                try cursor.skip(tag)
                if !onlyNumbers { rest.append(MetricTree.bytes(message[start..<cursor.at])) }
            }
        }
    }

    /// False for a tag that is none of the kind's own.
    private mutating func readValue(
        _ message: Text, _ tag: UInt32, _ kind: MetricKind, _ cursor: inout WireCursor
    ) throws(DecodeFailure) -> Bool {
        switch (kind, tag) {
        case (.gauge, 0x21), (.sum, 0x21): (int, double) = (nil, Double(bitPattern: try cursor.fixed64()))
        case (.gauge, 0x31), (.sum, 0x31): (int, double) = (Int64(bitPattern: try cursor.fixed64()), nil)
        case (.histogram, 0x21), (.exponentialHistogram, 0x21), (.summary, 0x21): count = try cursor.fixed64()
        case (.histogram, 0x29), (.exponentialHistogram, 0x29), (.summary, 0x29):
            sum = Double(bitPattern: try cursor.fixed64())
        case (.histogram, 0x31): counts.append(try cursor.fixed64())
        case (.histogram, 0x39): bounds.append(Double(bitPattern: try cursor.fixed64()))
        case (.histogram, 0x32):
            var packed = WireCursor(message, try cursor.length())
            while !packed.isAtEnd { counts.append(try packed.fixed64()) }
        case (.histogram, 0x3A):
            var packed = WireCursor(message, try cursor.length())
            while !packed.isAtEnd { bounds.append(Double(bitPattern: try packed.fixed64())) }
        case (.exponentialHistogram, 0x30): scale = Self.unzigzag(try cursor.varint())
        case (.exponentialHistogram, 0x39): zeros = try cursor.fixed64()
        case (.exponentialHistogram, 0x71): zeroThreshold = Double(bitPattern: try cursor.fixed64())
        case (.exponentialHistogram, 0x42): try positive.read(message, try cursor.length())
        case (.exponentialHistogram, 0x4A): try negative.read(message, try cursor.length())
        case (.summary, 0x32): quantiles.append(try Self.quantile(message, try cursor.length()))
        default: return false
        }
        return true
    }

    private static func quantile(
        _ message: Text, _ range: Range<Int>
    ) throws(DecodeFailure) -> (quantile: Double, value: Double) {
        var found = (quantile: 0.0, value: 0.0)
        var cursor = WireCursor(message, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x09: found.quantile = Double(bitPattern: try cursor.fixed64())
            case 0x11: found.value = Double(bitPattern: try cursor.fixed64())
            default: try cursor.skip(tag)
            }
        }
        return found
    }

    private static func unzigzag(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    // MARK: Writing

    func append(_ kind: MetricKind, to output: inout ByteColumn) {
        let tags = Tags(kind)
        for attribute in attributes { attribute.withUnsafeBytes { output.appendField(tag: tags.attributes, Text($0)) } }
        output.appendFixed(tag: 0x11, start)
        output.appendFixed(tag: 0x19, time)
        switch kind {
        case .gauge, .sum:
            output.append(tag: 0x21, double)
            if let int {
                output.append(0x31)
                output.append(littleEndian: int)
            }
        case .histogram: appendHistogram(to: &output)
        case .exponentialHistogram: appendExponential(to: &output)
        case .summary:
            output.appendFixed(tag: 0x21, count)
            output.append(tag: 0x29, sum)
            for quantile in quantiles {
                let open = output.beginMessage(tag: 0x32, guess: 18)
                output.append(tag: 0x09, quantile.quantile)
                output.append(tag: 0x11, quantile.value)
                output.endMessage(open)
            }
        case .none: break
        }
        if tags.exemplars != 0 {
            for exemplar in exemplars {
                exemplar.withUnsafeBytes { output.appendField(tag: tags.exemplars, Text($0)) }
            }
        }
        output.appendScalar(tag: tags.flags, flags)
        if tags.min != 0 {
            output.append(tag: UInt8(tags.min), min)
            output.append(tag: UInt8(tags.max), max)
        }
        output.append(whole: rest)
    }

    private func appendHistogram(to output: inout ByteColumn) {
        output.appendFixed(tag: 0x21, count)
        output.append(tag: 0x29, sum)
        if !counts.isEmpty {
            let open = output.beginMessage(tag: 0x32, guess: counts.count * 8)
            for count in counts { output.append(littleEndian: count) }
            output.endMessage(open)
        }
        if !bounds.isEmpty {
            let open = output.beginMessage(tag: 0x3A, guess: bounds.count * 8)
            for bound in bounds { output.append(littleEndian: bound.bitPattern) }
            output.endMessage(open)
        }
    }

    private func appendExponential(to output: inout ByteColumn) {
        output.appendFixed(tag: 0x21, count)
        output.append(tag: 0x29, sum)
        output.appendScalar(tag: 0x30, UInt64(bitPattern: scale << 1 ^ scale >> 63))
        output.appendFixed(tag: 0x39, zeros)
        output.append(tag: 0x71, zeroThreshold)
        for (tag, buckets) in [(0x42 as UInt32, positive), (0x4A, negative)] where buckets.isThere {
            let open = output.beginMessage(tag: tag, guess: buckets.counts.count + 8)
            output.appendScalar(tag: 0x08, UInt64(bitPattern: buckets.offset << 1 ^ buckets.offset >> 63))
            let packed = output.beginMessage(tag: 0x12, guess: buckets.counts.count)
            for count in buckets.counts { output.appendVarint(count) }
            output.endMessage(packed)
            output.endMessage(open)
        }
    }
}
