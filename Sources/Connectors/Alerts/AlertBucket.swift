import Glibc

/// Values that came in together, or within a part of a window. Bounded: a sketch has at most 1,411 classes.
package struct AlertBucket: Codable, Sendable, Equatable {
    package private(set) var count = 0
    package private(set) var sum = 0.0
    package private(set) var min = 0.0
    package private(set) var max = 0.0
    /// Counts by class of size, for percentiles; nil where none are asked for.
    private var sketch: [Int: Int]?

    /// Classes grow by 4 %, so that their middle is within 2 % of every value.
    private static let growth = 1.04
    private static let range = 1e-9...1e15
    private static let zeroClass = -10_000

    package init(hasSketch: Bool = false) { sketch = hasSketch ? [:] : nil }

    var isEmpty: Bool { count == 0 }

    /// Adds a value; what is no number is left out.
    package mutating func add(_ value: Double) {
        guard value.isFinite else { return }
        let value = Swift.min(Swift.max(value, -Self.range.upperBound), Self.range.upperBound)
        min = count == 0 ? value : Swift.min(min, value)
        max = count == 0 ? value : Swift.max(max, value)
        count += 1
        sum += value
        if sketch != nil { sketch?[Self.sizeClass(value), default: 0] += 1 }
    }

    mutating func merge(_ other: AlertBucket) {
        guard !other.isEmpty else { return }
        min = isEmpty ? other.min : Swift.min(min, other.min)
        max = isEmpty ? other.max : Swift.max(max, other.max)
        count += other.count
        sum += other.sum
        for (key, number) in other.sketch ?? [:] { sketch?[key, default: 0] += number }
    }

    private static func sizeClass(_ value: Double) -> Int {
        guard value > range.lowerBound else { return zeroClass }
        return Int((log(value) / log(growth)).rounded(.up))
    }

    /// The value below which a share of the values lies.
    private func quantile(_ share: Double) -> Double? {
        guard let sketch, count > 0 else { return nil }
        var left = Int((share * Double(count)).rounded(.up))
        for key in sketch.keys.sorted() {
            left -= sketch[key] ?? 0
            guard left <= 0 else { continue }
            if key == Self.zeroClass { return min }
            return Swift.min(Swift.max(2 * pow(Self.growth, Double(key)) / (Self.growth + 1), min), max)
        }
        return max
    }

    /// One value for the window; nil when the values do not give one.
    func aggregate(_ aggregation: AlertAggregation, seconds: Double) -> Double? {
        switch aggregation {
        case .sum: sum
        case .count: Double(count)
        case .perSecond: sum / seconds
        case .average: count > 0 ? sum / Double(count) : nil
        case .min: count > 0 ? min : nil
        case .max: count > 0 ? max : nil
        case .p50, .p90, .p95, .p99: quantile(aggregation.quantile ?? 0.5)
        }
    }
}

/// The record behind a value: where somebody who gets the alert can begin to look.
package struct AlertOrigin: Codable, Sendable, Equatable {
    /// Hexadecimal digits, empty when there is none.
    package var trace = ""
    package var span = ""
    package var conversation = ""
    /// Explanation of the finding or evaluation.
    package var explanation = ""

    package init() {}
}

/// What one batch has for one group of one rule.
package struct AlertSample: Codable, Sendable, Equatable {
    package var rule: Int
    package var group: [String]
    package var bucket: AlertBucket
    package var origin: AlertOrigin

    package init(rule: Int, group: [String], bucket: AlertBucket, origin: AlertOrigin = AlertOrigin()) {
        self.rule = rule
        self.group = group
        self.bucket = bucket
        self.origin = origin
    }
}
