import OTLP
package import Telemetry

extension Call {
    fileprivate func string(
        _ argument: Int, otherwise: String? = nil, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> String {
        if let otherwise, !isGiven(argument) { return otherwise }
        return try text(argument, batch, place, &state).string
    }

    fileprivate func optionalString(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> String? {
        try isGiven(argument) ? text(argument, batch, place, &state).string : nil
    }

    fileprivate func isTrue(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        try flag(argument, otherwise: false, batch, place, &state)
    }
}

extension Program {
    /// What an editor of metrics is to do; nil for other editors.
    func metricChange(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> MetricChange? {
        switch call.node.function {
        case .convertSumToGauge: return .toGauge
        case .convertGaugeToSum:
            let temporality = try temporality(call, batch, place, &state)
            return .toSum(temporality: temporality, isMonotonic: try call.isTrue(1, batch, place, &state))
        case .extractCountMetric:
            let suffix = try call.string(1, otherwise: "_count", batch, place, &state)
            return .extractCount(isMonotonic: try call.isTrue(0, batch, place, &state), suffix: suffix)
        case .extractSumMetric:
            let suffix = try call.string(1, otherwise: "_sum", batch, place, &state)
            return .extractSum(isMonotonic: try call.isTrue(0, batch, place, &state), suffix: suffix)
        case .copyMetric:
            let name = try call.optionalString(0, batch, place, &state)
            let details = try call.optionalString(1, batch, place, &state)
            return .copy(name: name, details: details, unit: try call.optionalString(2, batch, place, &state))
        case .scaleMetric:
            let factor = try number(call, 0, batch, place, &state)
            return .scale(factor, unit: try call.optionalString(1, batch, place, &state))
        case .convertSummaryCount, .convertSummarySum, .convertSummaryQuantile:
            return try summaryChange(call, batch, place, &state)
        default: return try pointsChange(call, batch, place, &state)
        }
    }

    private func summaryChange(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> MetricChange {
        if call.node.function == .convertSummaryQuantile {
            let attribute = try call.string(0, otherwise: "quantile", batch, place, &state)
            let suffix = try call.string(1, otherwise: ".quantiles", batch, place, &state)
            return .summaryQuantiles(attribute: attribute, suffix: suffix)
        }
        let isCount = call.node.function == .convertSummaryCount
        let temporality = try temporality(call, batch, place, &state)
        let isMonotonic = try call.isTrue(1, batch, place, &state)
        let suffix = try call.string(2, otherwise: isCount ? "_count" : "_sum", batch, place, &state)
        return isCount
            ? .summaryCount(temporality: temporality, isMonotonic: isMonotonic, suffix: suffix)
            : .summarySum(temporality: temporality, isMonotonic: isMonotonic, suffix: suffix)
    }

    /// Editors that look into the points.
    private func pointsChange(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> MetricChange? {
        switch call.node.function {
        case .extractPercentileMetric:
            let percentile = try number(call, 0, batch, place, &state)
            guard percentile > 0, percentile < 100 else { throw EvaluationFailure(.outOfRange) }
            var words = ByteColumn()
            ValueText.append(percentile, to: &words)
            let suffix = try call.string(1, otherwise: "_p\(words.text.string)", batch, place, &state)
            return .extractPercentile(percentile, suffix: suffix)
        case .aggregateOnAttributes:
            let aggregation = try aggregation(call, batch, place, &state)
            let kept = try call.isGiven(1) ? texts(call, 1, batch, place, &state) : nil
            return .aggregate(aggregation, attributes: kept)
        case .aggregateOnAttributeValue:
            let aggregation = try aggregation(call, batch, place, &state)
            let attribute = try call.string(1, batch, place, &state)
            let values = try texts(call, 2, batch, place, &state)
            let new = try call.string(3, batch, place, &state)
            return .aggregateValue(aggregation, attribute: attribute, values: values, new: new)
        case .convertExponentialHistogram:
            let name = try call.string(0, batch, place, &state)
            guard let distribution = BucketDistribution(rawValue: name) else { throw EvaluationFailure(.invalidText) }
            return .explicitBuckets(distribution, bounds: try bounds(call, 1, batch, place, &state))
        case .mergeHistogramBuckets:
            let target = try number(call, 0, batch, place, &state)
            let method = try call.string(1, otherwise: "remove_explicit_bound", batch, place, &state)
            if method == "remove_explicit_bound" { return .removeBound(target) }
            guard let most = Int(exactly: target), most > 0 else { throw EvaluationFailure(.outOfRange) }
            return .limitBuckets(most)
        default: return nil
        }
    }

    private func temporality(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> UInt64 {
        switch try call.string(0, batch, place, &state) {
        case "delta": return MetricTree.delta
        case "cumulative": return MetricTree.cumulative
        default: throw EvaluationFailure(.invalidText)
        }
    }

    private func aggregation(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> MetricAggregation {
        let word = try call.text(0, batch, place, &state).string
        guard let aggregation = MetricAggregation(rawValue: word) else { throw EvaluationFailure(.invalidText) }
        return aggregation
    }

    private func number(
        _ call: Call, _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Double {
        switch try call.value(argument, batch, place, &state) {
        case .int(let number): return Double(number)
        case .double(let number): return number
        default: throw EvaluationFailure(.wrongType)
        }
    }

    private func texts(
        _ call: Call, _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> [String] {
        var texts: [String] = []
        var reader = ListReader(try call.list(argument, batch, place, &state))
        while let item = reader.next() {
            guard case .string(let text) = item else { throw EvaluationFailure(.wrongType) }
            texts.append(text.string)
        }
        return texts
    }

    /// Bounds that rise, at least one.
    private func bounds(
        _ call: Call, _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> [Double] {
        var bounds: [Double] = []
        var reader = ListReader(try call.list(argument, batch, place, &state))
        while let item = reader.next() {
            let bound: Double
            switch item {
            case .int(let number): bound = Double(number)
            case .double(let number): bound = number
            default: throw EvaluationFailure(.wrongType)
            }
            guard bound.isFinite, bounds.last.map({ $0 < bound }) ?? true else { throw EvaluationFailure(.outOfRange) }
            bounds.append(bound)
        }
        guard !bounds.isEmpty else { throw EvaluationFailure(.outOfRange) }
        return bounds
    }
}

/// What an editor of metrics made of one: Metric messages.
package struct MetricReshaping: Sendable {
    /// Stands in the place of the metric; nil leaves it as it is.
    package var changed: [UInt8]?
    /// Stands behind the metrics of the scope.
    package var added: [UInt8]?
}

extension OTTLStatement {
    /// Whether its editor changes what a metric is, or adds one: such a statement only says what it wants when it runs,
    /// and `reshape` does it.
    package var isReshaping: Bool { program.nodes[Int(editor)].function.isMetricEditor }

    /// Does what a statement that has just run wants of a metric, given as its message. In datapoint context `point`
    /// is the number of the point; what is about the metric as a whole is done for `isFirst` alone. Adds at most
    /// `room` bytes.
    package func reshape(
        _ metric: Text, point: Int? = nil, isFirst: Bool = true, room: Int, _ state: inout EvaluationState
    ) throws(OTTLFailure) -> MetricReshaping {
        guard let change = state.metricChange else { return MetricReshaping() }
        state.metricChange = nil
        if point != nil, !isFirst, !change.isOfPoints { return MetricReshaping() }
        do throws(EvaluationFailure) {
            guard let tree = try? MetricTree(metric) else { throw EvaluationFailure(.invalidText) }
            let outcome = try change.apply(to: tree, at: point, random: state.effects.random)
            let made = MetricReshaping(changed: outcome.changed?.encoded, added: outcome.added?.encoded)
            guard made.added?.count ?? 0 <= room else { throw EvaluationFailure(.tooLarge) }
            return made
        } catch {
            var failure = error
            failure.offset = program.nodes[Int(editor)].offset
            throw OTTLFailure(failure, source)
        }
    }
}
