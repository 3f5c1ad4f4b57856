import OTLP
import Telemetry

extension Program {
    /// Gives a field of a data point a value: behind all other fields of the point, which stay as they came.
    func assign(
        point field: Field, _ value: Value, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let index = Int(place.part)
        let kind = batch.metrics[Int(batch.points[index].metric)].kind
        // Has this field only.
        var point = MetricPoint()
        switch field {
        case .pointStart, .pointStartNanos: point.start = try Program.nanoseconds(field, value)
        case .pointTime, .pointTimeNanos: point.time = try Program.nanoseconds(field, value)
        case .pointFlags:
            guard case .int(let flags) = value, let small = UInt32(exactly: flags) else {
                throw EvaluationFailure(.notSettable)
            }
            point.flags = UInt64(small)
        case .pointPositiveOffset, .pointNegativeOffset, .pointPositiveCounts, .pointNegativeCounts:
            // Both sides are written anew, with what is not changed of them.
            if let old = try? MetricPoint(batch.text(batch.points[index].raw), kind) {
                (point.positive, point.negative) = (old.positive, old.negative)
            }
            guard point.setSide(field, value, kind) else { throw EvaluationFailure(.notSettable) }
        default:
            guard try point.set(field, value, kind) else { throw EvaluationFailure(.notSettable) }
        }
        let mark = state.scratch.count
        let replaced = MetricPoint.tags(of: field, kind)
        var cursor = WireCursor(batch.text(batch.points[index].raw))
        while let old = cursor.nextField() {
            if !replaced.contains(old.tag) { state.scratch.append(cursor.bytes[old.whole]) }
        }
        point.append(kind, to: &state.scratch)
        batch.setContent(batch.addText(try state.take(from: mark)), ofPoint: index)
        if field == .pointTime || field == .pointTimeNanos { batch.points[index].time = point.time }
    }

    private static func nanoseconds(_ field: Field, _ value: Value) throws(EvaluationFailure) -> UInt64 {
        switch (field, value) {
        case (.pointStart, .time(let time)) where time >= 0, (.pointTime, .time(let time)) where time >= 0,
            (.pointStartNanos, .int(let time)) where time >= 0, (.pointTimeNanos, .int(let time)) where time >= 0:
            return UInt64(time)
        default: throw EvaluationFailure(.notSettable)
        }
    }
}

extension MetricPoint {
    /// The tags that a field of points of this kind comes with, packed or not.
    fileprivate static func tags(of field: Field, _ kind: MetricKind) -> [UInt32] {
        let tags = Tags(kind)
        switch field {
        case .pointStart, .pointStartNanos: return [0x11]
        case .pointTime, .pointTimeNanos: return [0x19]
        case .pointFlags: return [tags.flags]
        case .pointMin: return [tags.min]
        case .pointMax: return [tags.max]
        case .pointInt, .pointDouble: return [0x21, 0x31]
        case .pointCount: return [0x21]
        case .pointSum: return [0x29]
        case .pointScale: return [0x30]
        case .pointZeroCount: return [0x39]
        case .pointBuckets: return [0x31, 0x32]
        case .pointZeroThreshold: return [0x71]
        case .pointPositiveOffset, .pointNegativeOffset, .pointPositiveCounts, .pointNegativeCounts:
            return [0x42, 0x4A]
        default: return [0x39, 0x3A]
        }
    }

    /// False when points of this kind have no such field, or the value is not of its type.
    fileprivate mutating func set(_ field: Field, _ value: Value, _ kind: MetricKind) throws(EvaluationFailure) -> Bool
    {
        switch (kind, field, value) {
        case (.gauge, .pointDouble, .double(let number)), (.sum, .pointDouble, .double(let number)):
            (int, double) = (nil, number)
        case (.gauge, .pointInt, .int(let number)), (.sum, .pointInt, .int(let number)): (int, double) = (number, nil)
        case (.histogram, .pointCount, .int(let number)), (.exponentialHistogram, .pointCount, .int(let number)),
            (.summary, .pointCount, .int(let number)):
            guard number >= 0 else { return false }
            count = UInt64(number)
        case (.histogram, .pointSum, .double(let number)), (.exponentialHistogram, .pointSum, .double(let number)),
            (.summary, .pointSum, .double(let number)):
            sum = number
        case (.histogram, .pointMin, .double(let number)), (.exponentialHistogram, .pointMin, .double(let number)):
            min = number
        case (.histogram, .pointMax, .double(let number)), (.exponentialHistogram, .pointMax, .double(let number)):
            max = number
        case (.exponentialHistogram, .pointScale, .int(let number)):
            guard Int32(exactly: number) != nil else { return false }
            scale = number
        case (.exponentialHistogram, .pointZeroCount, .int(let number)):
            guard number >= 0 else { return false }
            zeros = UInt64(number)
        case (.exponentialHistogram, .pointZeroThreshold, .double(let number)): zeroThreshold = number
        case (.histogram, .pointBuckets, .list(let content)):
            guard let new = MetricPoint.counts(content) else { return false }
            counts = new
        case (.histogram, .pointBounds, .list(let content)):
            var reader = ListReader(content)
            var new: [Double] = []
            while let item = reader.next() {
                switch item {
                case .double(let number): new.append(number)
                case .int(let number): new.append(Double(number))
                default: return false
                }
            }
            bounds = new
        default: return false
        }
        return true
    }

    /// The same for the buckets of an exponential histogram on one side of zero.
    fileprivate mutating func setSide(_ field: Field, _ value: Value, _ kind: MetricKind) -> Bool {
        guard kind == .exponentialHistogram else { return false }
        let isPositive = field == .pointPositiveOffset || field == .pointPositiveCounts
        var side = isPositive ? positive : negative
        switch (field, value) {
        case (.pointPositiveOffset, .int(let number)), (.pointNegativeOffset, .int(let number)):
            guard Int32(exactly: number) != nil else { return false }
            side.offset = number
        case (.pointPositiveCounts, .list(let content)), (.pointNegativeCounts, .list(let content)):
            guard let new = MetricPoint.counts(content) else { return false }
            side.counts = new
        default: return false
        }
        side.isThere = true
        if isPositive { positive = side } else { negative = side }
        return true
    }

    /// Counts from a list of integers, nil when it holds anything else.
    private static func counts(_ list: Text) -> [UInt64]? {
        var reader = ListReader(list)
        var counts: [UInt64] = []
        while let item = reader.next() {
            guard case .int(let number) = item, number >= 0 else { return nil }
            counts.append(UInt64(number))
        }
        return counts
    }
}
