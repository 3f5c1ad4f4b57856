import OTLP
import Pipeline
import Telemetry

/// Puts the points of requests into the store, under the names and labels that Prometheus has for them.
struct PrometheusReader: Sendable {
    private let options: PrometheusOptions
    private let keys: KeyTable
    private let serviceName: KeyID
    private let serviceNamespace: KeyID
    private let instance: KeyID

    /// Points that were not taken, by reason.
    typealias Refusals = [PrometheusStore.Refusal: Int]

    init(_ options: PrometheusOptions) {
        self.options = options
        var builder = KeyTable.Builder()
        serviceName = builder.intern("service.name")
        serviceNamespace = builder.intern("service.namespace")
        instance = builder.intern("service.instance.id")
        keys = builder.build()
    }

    /// Throws `DecodeFailure` for what is no valid request.
    func read(_ batch: ExportBatch, into store: inout PrometheusStore, now: Duration) throws -> Refusals {
        try batch.bytes.withUnsafeBytes { bytes in
            var records = RecordBatch()
            _ = try OTLPReader.read(Text(bytes), signal: .metrics, keys: keys, into: &records)
            return take(records, into: &store, now: now)
        }
    }

    private func take(_ records: borrowing RecordBatch, into store: inout PrometheusStore, now: Duration) -> Refusals {
        var refusals: Refusals = [:]
        var place: Place?
        for index in records.metrics.indices {
            let metric = records.metrics[index]
            if place?.scope != metric.scope {
                let next = Place(scope: metric.scope, labels: baseLabels(metric.scope, of: records))
                if place?.resource(of: records) != next.resource(of: records) {
                    // No record is lost by that, but the reason is told.
                    let refusal = takeTarget(metric, of: records, into: &store, now: now)
                    if let refusal { refusals[refusal, default: 0] += 0 }
                }
                place = next
            }
            guard let place else { continue }
            take(metric, place, of: records, into: &store, &refusals, now: now)
        }
        return refusals
    }

    /// The scope whose metrics are read, and the labels that all of them have.
    private struct Place {
        var scope: UInt32
        var labels: [(name: String, value: String)]

        func resource(of records: borrowing RecordBatch) -> UInt32 { records.scopes[Int(scope)].resource }
    }

    private func take(
        _ metric: MetricRecord, _ place: Place, of records: borrowing RecordBatch, into store: inout PrometheusStore,
        _ refusals: inout Refusals, now: Duration
    ) {
        let traits = MetricTraits(records.text(metric.raw))
        let isDelta = traits.temporality == .delta
        let kind: PrometheusStore.Kind =
            switch metric.kind {
            case .none, .gauge: .gauge
            case .sum: traits.isMonotonic ? .counter : .gauge
            case .histogram, .exponentialHistogram: .histogram
            case .summary: .summary
            }
        let family = options.names.family(
            records.text(metric.name).string, unit: records.text(metric.unit).string, isCounter: kind == .counter,
            isGauge: metric.kind == .gauge)
        for index in metric.points.range where !records.isRemoved(point: index) {
            let record = records.points[index]
            // The data is a oneof: points of another kind stand in what a later member replaced.
            guard record.kind == metric.kind else { continue }
            guard !(isDelta && kind == .gauge) else {
                refusals[.notAdditive, default: 0] += 1
                continue
            }
            let labels = labels(of: record.set, place.labels, of: records, ownedBy: kind)
            let read = PrometheusPointReader(records.text(record.raw), kind: record.kind)
            if read.isEnd {
                store.remove(family: family, labels: labels)
                continue
            }
            let point = PrometheusPoint(
                time: record.time, value: read.value, exemplars: read.exemplars, isDelta: isDelta)
            let refusal = store.take(
                point, family: family, kind: kind, help: records.text(metric.details).string, labels: labels, now: now)
            if let refusal { refusals[refusal, default: 0] += 1 }
        }
    }

    /// `target_info`: the attributes of a resource, one for each job and instance. Tells why it was not taken.
    private func takeTarget(
        _ metric: MetricRecord, of records: borrowing RecordBatch, into store: inout PrometheusStore, now: Duration
    ) -> PrometheusStore.Refusal? {
        let resource = records.resources[Int(records.scopes[Int(metric.scope)].resource)]
        let others = attributes(of: resource.set, of: records) {
            [serviceName, serviceNamespace, instance].contains($0)
        }
        let identity = identity(resource.set, of: records).filter { !$0.value.isEmpty }
        guard !others.isEmpty, identity.count == 2,
            let first = metric.points.range.first(where: { !records.isRemoved(point: $0) })
        else { return nil }
        return store.take(
            PrometheusPoint(time: records.points[first].time, value: .number(1)), target: Self.written([:], identity),
            family: options.names.prefixed("target_info"), labels: Self.written(others, identity), now: now)
    }

    // MARK: Labels

    private func baseLabels(_ scope: UInt32, of records: borrowing RecordBatch) -> [(name: String, value: String)] {
        let record = records.scopes[Int(scope)]
        let resource = records.resources[Int(record.resource)].set
        var labels: [(name: String, value: String)] = []
        if options.takesResource {
            labels += attributes(of: resource, of: records) { _ in false }.map { ($0.key, $0.value) }
        }
        if !options.leavesOutScope {
            labels += attributes(of: record.set, of: records, prefix: "otel_scope_") { _ in false }
                .map { ($0.key, $0.value) }
            labels.append(("otel_scope_schema_url", records.text(record.schemaURL).string))
            labels.append(("otel_scope_name", records.text(record.name).string))
            labels.append(("otel_scope_version", records.text(record.version).string))
        }
        return labels + identity(resource, of: records) + options.constantLabels.named
    }

    /// `job` and `instance` of a resource.
    private func identity(_ set: SetIndex, of records: borrowing RecordBatch) -> [(name: String, value: String)] {
        var labels: [(name: String, value: String)] = []
        if let service = records.string(serviceName, in: set)?.string {
            let space = records.string(serviceNamespace, in: set)?.string ?? ""
            labels.append(("job", space.isEmpty ? service : space + "/" + service))
        }
        if let index = records.find(instance, in: set) {
            labels.append(("instance", Self.text(records.attributes[index].value, of: records)))
        }
        return labels
    }

    private func labels(
        of set: SetIndex, _ base: [(name: String, value: String)], of records: borrowing RecordBatch,
        ownedBy kind: PrometheusStore.Kind
    ) -> String {
        var found = attributes(of: set, of: records) { _ in false }
        // The page writes that label itself; Prometheus calls the other one so as well.
        let own: String? =
            switch kind {
            case .histogram: "le"
            case .summary: "quantile"
            case .counter, .gauge: nil
            }
        guard let own else { return Self.written(found, base) }
        var other = "exported_" + own
        while found[other] != nil || base.contains(where: { $0.name == other }) { other = "exported_" + other }
        if let value = found.removeValue(forKey: own) { found[other] = value }
        return Self.written(found, base.map { ($0.name == own ? other : $0.name, $0.value) })
    }

    /// Labels of a set. Attributes whose keys become one label have their values joined, in the order of the keys.
    private func attributes(
        of set: SetIndex, of records: borrowing RecordBatch, prefix: String = "", leavingOut isLeftOut: (KeyID) -> Bool
    ) -> [String: String] {
        var pairs: [(key: String, value: String)] = []
        for index in records.range(of: set) where !isLeftOut(records.attributes[index].keyID) {
            let attribute = records.attributes[index]
            pairs.append((records.text(attribute.key).string, Self.text(attribute.value, of: records)))
        }
        pairs.sort { $0.key < $1.key }
        return Dictionary(pairs.map { (PrometheusNames.label(prefix + $0.key), $0.value) }) { $0 + ";" + $1 }
    }

    /// Later labels stand in for earlier ones of the same name; empty ones are as good as none.
    private static func written(_ first: [String: String], _ more: [(name: String, value: String)]) -> String {
        let all = first.merging(more.map { ($0.name, $0.value) }) { $1 }
        return PrometheusSyntax.labels(
            all.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) })
    }

    private static func text(_ value: AttributeValue, of records: borrowing RecordBatch) -> String {
        if case .string(let text) = value { return records.text(text).string }
        if case .empty = value { return "" }
        var json = ByteColumn()
        ValueJSON.append(value, of: records, to: &json)
        return json.text.string
    }
}

extension [(key: String, value: String)] {
    fileprivate var named: [(name: String, value: String)] {
        map { (PrometheusNames.label($0.key), $0.value) }
    }
}
