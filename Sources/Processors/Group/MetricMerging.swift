import OTLP
import Telemetry

/// Brings the points of metrics together that have the same name, unit, metadata and kind, and for sums and histograms
/// the same temporality and monotonicity. Works on encoded metrics of one scope: name = 1, unit = 3, one of the kinds
/// of data, metadata = 12, and in the data points = 1, aggregation_temporality = 2, is_monotonic = 3.
enum MetricMerging {
    private static let metric: UInt32 = 2 << 3 | 2
    private static let name: UInt32 = 1 << 3 | 2
    private static let unit: UInt32 = 3 << 3 | 2
    private static let metadata: UInt32 = 12 << 3 | 2
    private static let point: UInt32 = 1 << 3 | 2
    private static let temporality: UInt32 = 2 << 3
    private static let monotonicity: UInt32 = 3 << 3
    /// Gauge, sum, histogram, exponential histogram, summary.
    private static let kinds: [UInt32] = [5 << 3 | 2, 7 << 3 | 2, 9 << 3 | 2, 10 << 3 | 2, 11 << 3 | 2]

    /// What metrics that become one must share.
    private struct Key: Hashable {
        var name: [UInt8] = []
        var unit: [UInt8] = []
        /// All of its fields, as they came.
        var metadata: [UInt8] = []
        var kind: UInt32 = 0
        // What is not there is 0.
        var temporality: UInt64 = 0
        var isMonotonic = false
    }

    /// The metrics, those that become one together, in order of first appearance.
    static func grouped(_ metrics: [Range<Int>], _ request: Text) -> [[Range<Int>]] {
        guard metrics.count > 1 else { return metrics.map { [$0] } }
        var groups: [[Range<Int>]] = []
        var places: [Key: Int] = [:]
        for metric in metrics {
            guard let key = key(of: metric, request) else {
                groups.append([metric])
                continue
            }
            if let place = places[key] {
                groups[place].append(metric)
            } else {
                places[key] = groups.count
                groups.append([metric])
            }
        }
        return groups
    }

    /// Nil for a metric without data, and for one whose data is in pieces: these stay as they are.
    private static func key(of metric: Range<Int>, _ request: Text) -> Key? {
        var key = Key()
        var cursor = WireCursor(request, metric)
        while let field = cursor.nextField() {
            if field.tag == name { key.name = [UInt8](request[field.content].bytes) }
            if field.tag == unit { key.unit = [UInt8](request[field.content].bytes) }
            if field.tag == metadata { key.metadata += [UInt8](request[field.whole].bytes) }
            guard kinds.contains(field.tag) else { continue }
            guard key.kind == 0 else { return nil }
            key.kind = field.tag
            var inner = WireCursor(request, field.content)
            while let part = inner.nextField() {
                if part.tag == temporality { key.temporality = number(part, request) }
                if part.tag == monotonicity { key.isMonotonic = number(part, request) != 0 }
            }
        }
        return key.kind == 0 ? nil : key
    }

    /// The number of a field that holds one.
    private static func number(_ field: WireField, _ request: Text) -> UInt64 {
        var cursor = WireCursor(request, field.whole)
        guard (try? cursor.tag()) != nil, let number = try? cursor.varint() else { return 0 }
        return number
    }

    /// Writes a group as one metric: the first one with the points of all.
    static func write(_ group: [Range<Int>], _ request: Text, into output: inout ByteColumn) {
        guard let first = group.first else { return }
        guard group.count > 1 else { return output.appendField(tag: metric, request[first]) }
        let guess = group.reduce(0) { $0 + $1.count }
        let open = output.beginMessage(tag: metric, guess: guess)
        var cursor = WireCursor(request, first)
        while let field = cursor.nextField() {
            guard kinds.contains(field.tag) else {
                output.append(request[field.whole])
                continue
            }
            let data = output.beginMessage(tag: field.tag, guess: guess)
            output.append(request[field.content])
            for other in group.dropFirst() { writePoints(of: other, request, into: &output) }
            output.endMessage(data)
        }
        output.endMessage(open)
    }

    private static func writePoints(of metric: Range<Int>, _ request: Text, into output: inout ByteColumn) {
        var cursor = WireCursor(request, metric)
        while let field = cursor.nextField() {
            guard kinds.contains(field.tag) else { continue }
            var inner = WireCursor(request, field.content)
            while let part = inner.nextField() {
                if part.tag == point { output.append(request[part.whole]) }
            }
        }
    }
}
