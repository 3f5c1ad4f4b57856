import Telemetry

/// How points become one.
enum MetricAggregation: String, CaseIterable {
    case sum, max, min, mean, median, count
}

extension MetricTree {
    /// Points of the same attributes and time made one. `kept` names the attributes that stay; nil keeps all.
    ///
    /// Points of delta metrics must begin at the same time too, histograms have the same buckets: what differs in these
    /// is not added up.
    func aggregated(_ aggregation: MetricAggregation, keeping kept: [String]?) throws(EvaluationFailure) -> MetricTree {
        guard kind != .summary, kind != .none, !hasBuckets || aggregation == .sum else {
            throw EvaluationFailure(.wrongMetric)
        }
        var places: [[UInt8]: Int] = [:]
        var groups: [[MetricPoint]] = []
        for var point in points {
            if let kept { point.attributes.removeAll { !kept.contains(MetricPoint.key(of: $0)) } }
            let key = key(of: point)
            if let place = places[key] {
                groups[place].append(point)
            } else {
                places[key] = groups.count
                groups.append([point])
            }
        }
        var metric = self
        metric.points = groups.map { hasBuckets ? MetricTree.added($0) : MetricTree.joined($0, aggregation) }
        return metric
    }

    /// The values of one attribute renamed.
    func renamed(_ attribute: String, _ values: [String], to new: String) -> MetricTree {
        var metric = self
        for (index, point) in points.enumerated() {
            let found = point.attributes.contains { pair in
                MetricPoint.key(of: pair) == attribute && MetricPoint.text(of: pair).map(values.contains) == true
            }
            if found { metric.points[index].setAttribute(attribute, to: new) }
        }
        return metric
    }

    /// What points that are joined must share.
    private func key(of point: MetricPoint) -> [UInt8] {
        var key: [UInt8] = []
        func add(_ number: UInt64) { withUnsafeBytes(of: number.littleEndian) { key += $0 } }
        add(point.time)
        if temporality == MetricTree.delta { add(point.start) }
        if hasBuckets {
            add(point.flags)
            add(point.min == nil ? 0 : 1)
            add(point.max == nil ? 0 : 1)
            add(UInt64(bitPattern: point.scale))
            add(UInt64(bitPattern: point.positive.offset))
            add(UInt64(bitPattern: point.negative.offset))
            add(UInt64(point.bounds.count))
            for bound in point.bounds { add(bound.bitPattern) }
        }
        for attribute in point.attributes.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            add(UInt64(attribute.count))
            key += attribute
        }
        return key
    }

    // MARK: Gauges and sums

    private static func joined(_ points: [MetricPoint], _ aggregation: MetricAggregation) -> MetricPoint {
        var result = points[0]
        result.start = points.map(\.start).min() ?? 0
        if result.int != nil {
            result.int = whole(points.map { $0.int ?? MetricPoint.whole($0.double ?? 0) }, aggregation)
        } else if result.double != nil {
            result.double = number(points.map { $0.double ?? Double($0.int ?? 0) }, aggregation)
        }
        return result
    }

    private static func number(_ values: [Double], _ aggregation: MetricAggregation) -> Double {
        switch aggregation {
        case .sum: return values.reduce(0, +)
        case .mean: return values.reduce(0, +) / Double(values.count)
        case .max: return values.max() ?? 0
        case .min: return values.min() ?? 0
        case .count: return values.count > 1 ? Double(values.count) : values[0]
        case .median:
            let sorted = values.sorted()
            let middle = sorted.count / 2
            return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
    }

    /// Sums go around, as in the Collector, rather than stop the gateway.
    private static func whole(_ values: [Int64], _ aggregation: MetricAggregation) -> Int64 {
        switch aggregation {
        case .sum: return values.reduce(0, &+)
        case .mean: return values.reduce(0, &+) / Int64(values.count)
        case .max: return values.max() ?? 0
        case .min: return values.min() ?? 0
        case .count: return values.count > 1 ? Int64(values.count) : values[0]
        case .median:
            let sorted = values.sorted()
            let middle = sorted.count / 2
            return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] &+ sorted[middle]) / 2
        }
    }

    // MARK: Histograms

    private static func added(_ points: [MetricPoint]) -> MetricPoint {
        var result = points[0]
        for point in points.dropFirst() where point.count > 0 {
            result.count &+= point.count
            result.zeros &+= point.zeros
            if let sum = point.sum { result.sum = (result.sum ?? 0) + sum }
            if let least = point.min { result.min = result.min.map { Swift.min($0, least) } }
            if let most = point.max { result.max = result.max.map { Swift.max($0, most) } }
            add(point.counts, to: &result.counts)
            add(point.positive.counts, to: &result.positive.counts)
            add(point.negative.counts, to: &result.negative.counts)
            result.positive.isThere = result.positive.isThere || point.positive.isThere
            result.negative.isThere = result.negative.isThere || point.negative.isThere
            result.exemplars += point.exemplars
            result.start = Swift.min(result.start, point.start)
        }
        return result
    }

    private static func add(_ counts: [UInt64], to sum: inout [UInt64]) {
        if counts.count > sum.count { sum += [UInt64](repeating: 0, count: counts.count - sum.count) }
        for (index, count) in counts.enumerated() { sum[index] &+= count }
    }
}
