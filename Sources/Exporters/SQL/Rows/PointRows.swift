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
        scratch.row.bytes(scratch.scope.block.0, scratch.scope.block.1)
        scratch.row.integer(scratch.scope.position)
        scratch.scope.position += 1
        scratch.row.text(scratch.records.text(metric.name))
        scratch.row.text(Self.type(metric.kind))
        scratch.row.textOrNull(scratch.records.text(metric.unit))
        if let word = Self.temporality(scratch.records.text(metric.raw)) {
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

    /// Field 2 of sum (7), histogram (9) and exponential histogram (10); nil for the other kinds.
    private static func temporality(_ metric: Text) -> StaticString? {
        var walker = WireWalker(metric)
        while let field = walker.next() {
            guard [0x3A, 0x4A, 0x52].contains(field.tag) else { continue }
            var value: UInt64 = 0
            var data = WireWalker(field.content)
            while let part = data.next() {
                if part.tag == 0x10 { value = part.number }
            }
            return value == 1 ? "delta" : value == 2 ? "cumulative" : "unspecified"
        }
        return nil
    }
}
