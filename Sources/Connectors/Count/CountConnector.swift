import OTLP
import OTTL
package import Pipeline
import Telemetry

/// Counts records by conditions and attributes, as the Collector's `count` connector: delta sums, one point per batch,
/// resource and combination of attributes.
package struct CountConnector: Connector {
    private struct Counted: Sendable {
        var metric: CountMetric
        var conditions: [OTTLCondition]
        var dimensions: [KeyID]
    }

    private var counted: [Counted] = []
    private let keys: KeyTable
    private let outputs: Int
    private let now: @Sendable () -> UInt64
    private let errors: Counter
    private let pool = EvaluationPool()

    /// Series of one metric in one batch; what is beyond counts under `otel.metric.overflow`.
    private static let seriesMax = 10_000

    package init(options: CountOptions, build: ConnectorBuild) throws {
        var keys = KeyTable.Builder()
        let contexts = OTTLContext.all(of: build.inputSignal)
        for metric in options.metrics where contexts.contains(metric.context) {
            var conditions: [OTTLCondition] = []
            for text in metric.conditions {
                conditions.append(try OTTLCondition(text, context: metric.context, keys: &keys))
            }
            var dimensions: [KeyID] = []
            for dimension in metric.dimensions { dimensions.append(keys.intern(dimension.key)) }
            counted.append(Counted(metric: metric, conditions: conditions, dimensions: dimensions))
        }
        self.keys = keys.build()
        outputs = build.outputs.count
        now = build.now
        errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
    }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        var records = RecordBatch(keys: keys)
        let families = try SpanReading.read(batch, keys, &records) { records in
            let memory = pool.take()
            defer { pool.give(memory) }
            var families: [MetricFamily] = []
            for counted in counted { families.append(count(counted, records, &memory.state)) }
            return families
        }
        let time = now()
        let request = families.request(
            scope: "countconnector", temporality: .delta, window: MetricsWriter.Window(start: time, end: time))
        guard request.points > 0 else { return [] }
        return (0..<outputs).map { ConnectorDelivery(output: $0, itemCount: request.points, bytes: request.bytes) }
    }

    private func count(
        _ counted: Counted, _ records: borrowing RecordBatch, _ state: inout EvaluationState
    ) -> MetricFamily {
        var family = MetricFamily(
            name: counted.metric.name, description: counted.metric.description, unit: "",
            limit: CountConnector.seriesMax)
        switch counted.metric.context {
        case .span:
            for index in records.spans.indices where !records.isRemoved(span: index) {
                let span = records.spans[index]
                add(counted, Place(span: index, records), span.set, span.scope, records, &state, &family)
            }
        case .spanevent:
            for index in records.events.indices {
                let event = records.events[index]
                let scope = records.spans[Int(event.span)].scope
                add(counted, Place(event: index, records), event.set, scope, records, &state, &family)
            }
        case .log:
            for index in records.logs.indices where !records.isRemoved(log: index) {
                let log = records.logs[index]
                add(counted, Place(log: index, records), log.set, log.scope, records, &state, &family)
            }
        case .metric:
            for index in records.metrics.indices {
                let metric = records.metrics[index]
                add(counted, Place(metric: index, records), metric.set, metric.scope, records, &state, &family)
            }
        case .datapoint:
            for index in records.points.indices {
                let point = records.points[index]
                let scope = records.metrics[Int(point.metric)].scope
                add(counted, Place(point: index, records), point.set, scope, records, &state, &family)
            }
        case .resource, .scope, .request: break
        }
        return family
    }

    private func add(
        _ counted: Counted, _ place: Place, _ set: SetIndex, _ scope: UInt32, _ records: borrowing RecordBatch,
        _ state: inout EvaluationState, _ family: inout MetricFamily
    ) {
        guard counted.conditions.isEmpty || isMet(counted.conditions, place, records, &state) else { return }
        var attributes = ByteColumn()
        for (dimension, key) in zip(counted.metric.dimensions, counted.dimensions) {
            let name = keys.text(of: keys.reference(of: key))
            if let index = records.find(key, in: set) {
                AttributeList.append(name, records.attributes[index], of: records, to: &attributes)
            } else if var fallback = dimension.fallback {
                fallback.withUTF8 { AttributeList.append(name, Text(UnsafeRawBufferPointer($0)), to: &attributes) }
            } else {
                return
            }
        }
        var resource = ByteColumn()
        for index in records.range(of: records.resources[records.resource(ofScope: scope)].set) {
            let record = records.attributes[index]
            AttributeList.append(records.text(record.key), record, of: records, to: &resource)
        }
        family.table.add(1, resource: resource.text, attributes: attributes.text)
    }

    private func isMet(
        _ conditions: [OTTLCondition], _ place: Place, _ records: borrowing RecordBatch,
        _ state: inout EvaluationState
    ) -> Bool {
        state.beginRecord()
        for condition in conditions {
            do throws(OTTLFailure) {
                if try condition.isTrue(records, at: place, &state) { return true }
            } catch {
                errors.add()
            }
        }
        return false
    }
}
