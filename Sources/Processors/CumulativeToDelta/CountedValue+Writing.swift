import OTLP
import Telemetry

extension CountedValue {
    /// Writes a point's message with this value and start time behind all other fields of `content`, which stay as they
    /// came: exemplars, and what no schema knows. Least and greatest value go, since nobody knows those of a delta.
    func write(start: UInt64, over content: Text, into output: inout ByteColumn) {
        var cursor = WireCursor(content)
        while let field = cursor.nextField() {
            if field.tag != 0x11, !replaces(field.tag) { output.append(content[field.whole]) }
        }
        output.appendFixed(tag: 0x11, start)
        switch self {
        case .int(let number):
            output.append(0x31)
            output.append(littleEndian: number)
        case .double(let number): CountedValue.write(number, tag: 0x21, &output)
        case .histogram(let histogram):
            output.appendFixed(tag: 0x21, histogram.count)
            if histogram.hasSum, !histogram.losesSum { CountedValue.write(histogram.sum, tag: 0x29, &output) }
            guard !histogram.buckets.isEmpty else { break }
            let open = output.beginMessage(tag: 0x32, guess: 8 * histogram.buckets.count)
            for count in histogram.buckets { output.append(littleEndian: count) }
            output.endMessage(open)
        case .exponential(let histogram):
            output.appendFixed(tag: 0x21, histogram.count)
            if histogram.hasSum, !histogram.losesSum { CountedValue.write(histogram.sum, tag: 0x29, &output) }
            output.appendFixed(tag: 0x39, histogram.zeros)
            CountedValue.write(histogram.positive, tag: 0x42, over: content, &output)
            CountedValue.write(histogram.negative, tag: 0x4A, over: content, &output)
        }
    }

    /// Whether a field of the point is written anew or left out, packed or not.
    private func replaces(_ tag: UInt32) -> Bool {
        switch self {
        case .int, .double: tag == 0x21 || tag == 0x31
        case .histogram(let histogram):
            switch tag {
            case 0x21, 0x31, 0x32, 0x59, 0x61: true
            default: tag == 0x29 && histogram.hasSum
            }
        case .exponential(let histogram):
            switch tag {
            case 0x21, 0x39, 0x42, 0x4A, 0x61, 0x69: true
            default: tag == 0x29 && histogram.hasSum
            }
        }
    }

    /// A number that is there, zero too.
    private static func write(_ number: Double, tag: UInt8, _ output: inout ByteColumn) {
        output.append(tag)
        output.append(littleEndian: number.bitPattern)
    }

    /// Buckets of one side where the point has some, with the fields of theirs that no schema knows.
    private static func write(
        _ side: ExponentialCounts.Side, tag: UInt32, over content: Text, _ output: inout ByteColumn
    ) {
        var unknown = ByteColumn()
        var isThere = false
        var cursor = WireCursor(content)
        while let field = cursor.nextField() {
            guard field.tag == tag else { continue }
            isThere = true
            var inner = WireCursor(content, field.content)
            while let part = inner.nextField() {
                if part.tag != 0x08, part.tag != 0x10, part.tag != 0x12 { unknown.append(content[part.whole]) }
            }
        }
        guard isThere else { return }
        let open = output.beginMessage(tag: tag, guess: side.counts.count + 8)
        if !side.counts.isEmpty {
            let offset = Int64(side.offset)
            output.appendScalar(tag: 0x08, UInt64(bitPattern: offset << 1 ^ offset >> 63))
            let packed = output.beginMessage(tag: 0x12, guess: side.counts.count)
            for count in side.counts { output.appendVarint(count) }
            output.endMessage(packed)
        }
        output.append(unknown.text)
        output.endMessage(open)
    }
}
