import GRDB
import Telemetry

/// Writes metric points; like log records they are known by the hash of their block. Exemplars are not stored.
struct PointRows: Sendable {
    private let serviceKey: KeyID
    private static let insert = """
        INSERT OR IGNORE INTO metric_points (block, position, name, type, unit, temporality, start_time, time, value,
            count, sum, min, max, service_name, scope_name, tenant, attributes, resource, scope, point)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """

    init(keys: inout KeyTable.Builder) { serviceKey = keys.intern("service.name") }

    /// Writes all points of the batch. `hashKey` is the database's own.
    func write(
        _ batch: borrowing RecordBatch, tenant: String?, hashKey: (UInt64, UInt64), to database: Database
    ) throws {
        var scratch = ByteColumn()
        var texts = ScopeTexts()
        var position = 0
        var resource: UInt32?
        let statement = try database.cachedStatement(sql: Self.insert)
        for index in batch.metrics.indices {
            let metric = batch.metrics[index]
            texts.move(to: Int(metric.scope), of: batch, serviceKey: serviceKey, hashKey: hashKey, &scratch)
            let owner = batch.scopes[Int(metric.scope)].resource
            if owner != resource { position = 0 }
            resource = owner
            let name = batch.text(metric.name).string
            let unit = RowText.optional(batch.text(metric.unit))
            let temporality = Self.temporality(batch.text(metric.raw))
            for point in metric.points.range where !batch.isRemoved(point: point) {
                let record = batch.points[point]
                let facts = PointFacts(batch.text(record.raw), kind: metric.kind)
                scratch.removeAll()
                ValueJSON.appendObject(record.set, of: batch, to: &scratch)
                let double: (any DatabaseValueConvertible)? = facts.double
                let value: (any DatabaseValueConvertible)? = facts.integer ?? double
                let row: [(any DatabaseValueConvertible)?] = [
                    texts.block, position, name, Self.type(metric.kind), unit, temporality,
                    facts.startTime == 0 ? nil : RowText.time(facts.startTime), RowText.time(record.time), value,
                    facts.count.map { Int64(clamping: $0) }, facts.sum, facts.least, facts.most, texts.serviceName,
                    texts.scopeName, tenant, scratch.text.string, texts.resource, texts.scope,
                    facts.details.text.string,
                ]
                position += 1
                statement.setUncheckedArguments(StatementArguments(row))
                try statement.execute()
            }
        }
    }

    private static func type(_ kind: MetricKind) -> String {
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
    private static func temporality(_ metric: Text) -> String? {
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
