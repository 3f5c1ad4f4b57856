import OTTL
package import Pipeline
package import Telemetry

/// Turns batches into samples: which records count for which rule, in which group.
package struct AlertReader: Sendable {
    private struct Reading: Sendable {
        var rule: AlertRule
        var filter: OTTLCondition?
        var groupKeys: [KeyID]
    }

    /// One value and where it comes from.
    struct Point {
        var value: Double
        var span: Int
        var sets: [SetIndex]
        var event: SetIndex?
    }

    private var readings: [Reading] = []
    let keys: KeyTable
    let names: AlertKeys
    private let signal: Signal
    private let errors: Counter
    private let pool = EvaluationPool()

    /// Longest value of a group.
    private static let groupBytesMax = 200

    package init(rules: [AlertRule], signal: Signal, errors: Counter) throws {
        var builder = KeyTable.Builder()
        names = AlertKeys(&builder)
        for rule in rules {
            let context: OTTLContext = signal == .traces ? .span : .log
            let filter =
                rule.filter.isEmpty ? nil : try OTTLCondition(rule.filter, context: context, keys: &builder)
            var groupKeys: [KeyID] = []
            for key in rule.groupBy { groupKeys.append(builder.intern(key)) }
            readings.append(Reading(rule: rule, filter: filter, groupKeys: groupKeys))
        }
        keys = builder.build()
        self.signal = signal
        self.errors = errors
    }

    /// All samples of a batch, in the order of rules and groups.
    package func samples(_ batch: ExportBatch) throws(ProcessFailure) -> [AlertSample] {
        var records = RecordBatch(keys: keys)
        return try SpanReading.read(batch, keys, &records) { records in
            let memory = pool.take()
            defer { pool.give(memory) }
            let inner = signal == .traces ? AlertValues.innermost(records, names) : []
            var samples: [AlertSample] = []
            for (index, reading) in readings.enumerated() {
                var groups: [String: AlertSample] = [:]
                for point in points(reading, inner, records, &memory.state) {
                    add(point, index, reading, records, &groups)
                }
                for key in groups.keys.sorted() { if let sample = groups[key] { samples.append(sample) } }
            }
            return samples
        }
    }

    private func points(
        _ reading: Reading, _ inner: Set<Int>, _ records: borrowing RecordBatch, _ state: inout EvaluationState
    ) -> [Point] {
        var points: [Point] = []
        if signal == .logs {
            for index in records.logs.indices where !records.isRemoved(log: index) {
                guard isMet(reading.filter, Place(log: index, records), records, &state) else { continue }
                let value = AlertValues.value(reading.rule, log: index, records, names)
                guard let value else { continue }
                let log = records.logs[index]
                let resource = records.resources[records.resource(ofScope: log.scope)].set
                points.append(Point(value: value, span: index, sets: [log.set, resource], event: log.set))
            }
            return points
        }
        if reading.rule.metric == .findingRate { return tracePoints(reading, records, &state) }
        for index in records.spans.indices where !records.isRemoved(span: index) {
            guard isMet(reading.filter, Place(span: index, records), records, &state) else { continue }
            let sets = self.sets(index, records)
            for (value, event) in AlertValues.values(reading.rule, span: index, inner, records, names) {
                points.append(Point(value: value, span: index, sets: sets, event: event))
            }
        }
        return points
    }

    /// One point for each trace with a span that meets the filter: 1 when any of its spans has a finding.
    private func tracePoints(
        _ reading: Reading, _ records: borrowing RecordBatch, _ state: inout EvaluationState
    ) -> [Point] {
        var order: [String] = []
        var met: [String: Int] = [:]
        var found: [String: (span: Int, event: SetIndex?)] = [:]
        for index in records.spans.indices where !records.isRemoved(span: index) {
            let trace = records.text(records.spans[index].traceID).hexDigits
            if met[trace] == nil, isMet(reading.filter, Place(span: index, records), records, &state) {
                order.append(trace)
                met[trace] = index
            }
            guard found[trace] == nil else { continue }
            if let value = AlertValues.values(reading.rule, span: index, [], records, names).first {
                found[trace] = (index, value.event)
            }
        }
        return order.compactMap { trace in
            guard let first = met[trace] else { return nil }
            let finding = found[trace]
            return Point(
                value: finding == nil ? 0 : 1, span: finding?.span ?? first, sets: sets(first, records),
                event: finding?.event)
        }
    }

    private func sets(_ span: Int, _ records: borrowing RecordBatch) -> [SetIndex] {
        let record = records.spans[span]
        return [record.set, records.resources[records.resource(ofScope: record.scope)].set]
    }

    private func isMet(
        _ filter: OTTLCondition?, _ place: Place, _ records: borrowing RecordBatch, _ state: inout EvaluationState
    ) -> Bool {
        guard let filter else { return true }
        state.beginRecord()
        do throws(OTTLFailure) { return try filter.isTrue(records, at: place, &state) } catch {
            errors.add()
            return false
        }
    }

    private func add(
        _ point: Point, _ index: Int, _ reading: Reading, _ records: borrowing RecordBatch,
        _ groups: inout [String: AlertSample]
    ) {
        let group = zip(reading.rule.groupBy, reading.groupKeys).map { name, key in
            groupValue(name, key, point, records)
        }
        let key = AlertMonitor.key(group)
        if groups[key] == nil {
            groups[key] = AlertSample(
                rule: index, group: group, bucket: AlertBucket(hasSketch: reading.rule.aggregation.quantile != nil),
                origin: AlertValues.origin(point, signal, records, names))
        } else if point.event != nil || point.value > groups[key]?.bucket.max ?? .infinity {
            groups[key]?.origin = AlertValues.origin(point, signal, records, names)
        }
        groups[key]?.bucket.add(point.value)
    }

    private func groupValue(
        _ name: String, _ key: KeyID, _ point: Point, _ records: borrowing RecordBatch
    ) -> String {
        if name == "span.name", signal == .traces {
            return AlertValues.shown(records.text(records.spans[point.span].name), Self.groupBytesMax)
        }
        for set in (point.event.map { [$0] } ?? []) + point.sets {
            guard let index = records.find(key, in: set) else { continue }
            switch records.attributes[index].value {
            case .string(let text): return AlertValues.shown(records.text(text), Self.groupBytesMax)
            case .int(let number): return String(number)
            case .double(let number): return String(number)
            case .bool(let flag): return String(flag)
            default: continue
            }
        }
        return "(none)"
    }
}
