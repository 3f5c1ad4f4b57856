import Telemetry

/// Rows of metric points; like log records they are known by the hash of their block. Exemplars are not stored.
struct PointRows: Sendable {
    private let serviceKey: KeyID

    init(keys: inout KeyTable.Builder) { serviceKey = keys.intern("service.name") }

    /// Hands over all points of the batch.
    func write<Receiver: RowReceiver & ~Copyable>(_ scratch: inout RowScratch, to receiver: inout Receiver) throws {
        for index in scratch.records.metrics.indices {
            let metric = scratch.records.metrics[index]
            scratch.scope.move(
                to: Int(metric.scope), of: scratch.records, serviceKey: serviceKey,
                block: metric.points.range.lowerBound)
            for point in metric.points.range where !scratch.records.isRemoved(point: point) {
                append(scratch.records.points[point], of: metric, &scratch)
                try receiver.receive(.metricPoints, scratch.row)
            }
        }
    }

    private func append(_ point: PointRecord, of metric: MetricRecord, _ scratch: inout RowScratch) {
        let facts = PointFacts(scratch.records.text(point.raw), kind: metric.kind)
        scratch.row.begin()
        scratch.scope.appendPlace(to: &scratch.row)
        scratch.row.text(scratch.records.text(metric.name))
        scratch.row.text(Self.type(metric.kind))
        scratch.row.textOrNull(scratch.records.text(metric.unit))
        if let word = Self.word(MetricTraits(scratch.records.text(metric.raw)).temporality) {
            scratch.row.text(word)
        } else {
            scratch.row.null()
        }
        if facts.startTime == 0 { scratch.row.null() } else { scratch.row.time(facts.startTime) }
        scratch.row.time(point.time)
        if let integer = facts.integer { scratch.row.integer(integer) } else { scratch.row.real(facts.double) }
        scratch.row.integer(facts.count.map { Int64(clamping: $0) })
        scratch.row.real(facts.sum)
        scratch.row.real(facts.least)
        scratch.row.real(facts.most)
        scratch.row.textOrNull(scratch.scope.serviceName)
        scratch.row.textOrNull(scratch.scope.scopeName)
        scratch.row.textOrNull(scratch.scope.tenant)
        scratch.row.attributes(point.set, of: scratch.records)
        scratch.row.json(scratch.scope.resource)
        scratch.row.json(scratch.scope.scope)
        scratch.row.json(facts.details.text)
    }

    private static func type(_ kind: MetricKind) -> StaticString {
        switch kind {
        case .none: "none"
        case .gauge: "gauge"
        case .sum: "sum"
        case .histogram: "histogram"
        case .exponentialHistogram: "exponential_histogram"
        case .summary: "summary"
        }
    }

    private static func word(_ temporality: MetricTraits.Temporality?) -> StaticString? {
        switch temporality {
        case nil: nil
        case .unspecified: "unspecified"
        case .delta: "delta"
        case .cumulative: "cumulative"
        }
    }
}
