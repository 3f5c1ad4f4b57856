import Telemetry

/// Parts of records that nobody asks for: they stay raw and leave as they came. What a strict reader behind us would
/// refuse must not get that far, since it would refuse the whole batch with it.
extension OTLPReader {
    /// Steps over a field of a data point other than attributes and time.
    @inline(__always)
    func skipPointField(
        _ body: Text, _ tag: UInt32, _ kind: MetricKind, _ cursor: inout WireCursor, _ hasBrokenID: inout Bool
    ) throws(DecodeFailure) {
        guard tag & 7 == 2 else { return try cursor.skip(tag) }
        try checkPointPart(body, try cursor.length(), tag, kind, &hasBrokenID)
    }

    private func checkPointPart(
        _ body: Text, _ range: Range<Int>, _ tag: UInt32, _ kind: MetricKind, _ hasBrokenID: inout Bool
    ) throws(DecodeFailure) {
        if tag == MetricShape.exemplarsTag(kind) { return try checkExemplar(body, range, &hasBrokenID) }
        switch (kind, tag) {
        case (.histogram, 0x32), (.histogram, 0x3A):
            guard range.count % 8 == 0 else { throw DecodeFailure(.truncated, at: range.lowerBound) }
        case (.exponentialHistogram, 0x42), (.exponentialHistogram, 0x4A): try checkBuckets(body, range)
        case (.summary, 0x32): try checkFields(body, range)
        default: break
        }
    }

    /// Exemplar: span id 4, trace id 5, filtered attributes 7.
    private func checkExemplar(
        _ body: Text, _ range: Range<Int>, _ hasBrokenID: inout Bool
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x22: _ = try readID(&cursor, 8, &hasBrokenID)
            case 0x2A: _ = try readID(&cursor, 16, &hasBrokenID)
            case 0x3A: try checkKeyValue(body, try cursor.length(), depth: 0)
            default: try cursor.skip(tag)
            }
        }
    }

    /// Buckets: counts 2, packed.
    private func checkBuckets(_ body: Text, _ range: Range<Int>) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            guard tag == 0x12 else {
                try cursor.skip(tag)
                continue
            }
            var counts = WireCursor(body, try cursor.length())
            while !counts.isAtEnd { _ = try counts.varint() }
        }
    }

    /// A message with scalars only.
    private func checkFields(_ body: Text, _ range: Range<Int>) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd { try cursor.skip(try cursor.tag()) }
    }

    /// EntityRef: schema URL 1, type 2, keys of id 3 and of description 4.
    func checkEntity(_ body: Text, _ range: Range<Int>) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A, 0x12, 0x1A, 0x22: _ = try readText(body, &cursor)
            default: try cursor.skip(tag)
            }
        }
    }
}
