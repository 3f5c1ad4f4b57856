package import Telemetry

/// Writes chosen records of a batch as a request of their own, edits included, under copies of their resource and
/// scope. What that costs follows from what is written, however much else the batch holds.
///
/// The fields of an envelope but for its repeated children, which have field number 2 in resources and scopes alike,
/// are collected once.
package struct PieceWriter: ~Copyable {
    private let writer: OTLPWriter
    private var heads = ByteColumn()
    private var request: Range<Int>?
    private var resources: [Range<Int>?]
    private var scopes: [Range<Int>?]
    private var metrics: [Range<Int>?]
    /// Per metric and kind of data: what the data messages of that kind hold besides points.
    private var data: [UInt64: Range<Int>] = [:]

    /// Pieces are written from this batch only; its attributes and edits may change between them.
    package init(_ batch: borrowing RecordBatch) {
        writer = OTLPWriter(body: batch.input)
        resources = Array(repeating: nil, count: batch.resources.count)
        scopes = Array(repeating: nil, count: batch.scopes.count)
        metrics = Array(repeating: nil, count: batch.metrics.count)
    }

    /// Appends what the request holds besides resources, which no schema knows.
    package mutating func writeUnknown(of batch: borrowing RecordBatch, into output: inout ByteColumn) {
        if request == nil { request = collect(batch.input) { $0 != 0x0A } }
        output.append(heads.text[request ?? 0..<0])
    }

    /// Appends the records at these places of the signal's column (for metrics: whole metrics), in their order, but for
    /// those that were taken out.
    package mutating func write(
        _ records: some Sequence<Int>, of batch: borrowing RecordBatch, into output: inout ByteColumn
    ) {
        var path = Path()
        for record in records where !isRemoved(record, batch) {
            enter(scope: scope(of: record, batch), &path, batch, &output)
            writer.writeRecord(batch, record, &output)
        }
        path.close(&output)
    }

    /// The same for data points, under copies of their metric as well.
    package mutating func write(
        points: some Sequence<Int>, of batch: borrowing RecordBatch, into output: inout ByteColumn
    ) {
        var path = Path()
        for index in points where !batch.isRemoved(point: index) {
            let point = batch.points[index]
            enter(metric: Int(point.metric), point.kind, &path, batch, &output)
            writer.writePoint(batch, point, &output)
        }
        path.close(&output)
    }

    // MARK: Envelopes

    /// The messages that are begun and not ended.
    private struct Path {
        var resource: (index: Int, message: OpenMessage)?
        var scope: (index: Int, message: OpenMessage)?
        var metric: (index: Int, message: OpenMessage)?
        var data: (kind: MetricKind, message: OpenMessage)?

        mutating func closeMetric(_ output: inout ByteColumn) {
            if let data { output.endMessage(data.message) }
            if let metric { output.endMessage(metric.message) }
            (data, metric) = (nil, nil)
        }

        mutating func closeScope(_ output: inout ByteColumn) {
            closeMetric(&output)
            if let scope { output.endMessage(scope.message) }
            scope = nil
        }

        mutating func close(_ output: inout ByteColumn) {
            closeScope(&output)
            if let resource { output.endMessage(resource.message) }
            resource = nil
        }
    }

    private func scope(of record: Int, _ batch: borrowing RecordBatch) -> Int {
        switch batch.signal {
        case .traces: Int(batch.spans[record].scope)
        case .logs: Int(batch.logs[record].scope)
        case .metrics: Int(batch.metrics[record].scope)
        }
    }

    private func isRemoved(_ record: Int, _ batch: borrowing RecordBatch) -> Bool {
        switch batch.signal {
        case .traces: batch.isRemoved(span: record)
        case .logs: batch.isRemoved(log: record)
        case .metrics: batch.metrics[record].edits.contains(.removed)
        }
    }

    private mutating func enter(
        scope: Int, _ path: inout Path, _ batch: borrowing RecordBatch, _ output: inout ByteColumn
    ) {
        if path.scope?.index == scope { return }
        path.closeScope(&output)
        let owner = batch.scopes[scope]
        let resource = Int(owner.resource)
        if path.resource?.index != resource {
            path.close(&output)
            path.resource = (resource, output.beginMessage(tag: 0x0A, guess: 300))
            let record = batch.resources[resource]
            let head = resources[resource] ?? collect(batch.text(record.raw)) { $0 != 0x12 }
            resources[resource] = head
            writer.writeHead(batch, record, of: heads.text[head], &output)
        }
        path.scope = (scope, output.beginMessage(tag: 0x12, guess: 300))
        let head = scopes[scope] ?? collect(batch.text(owner.raw)) { $0 != 0x12 }
        scopes[scope] = head
        writer.writeHead(batch, owner, of: heads.text[head], &output)
    }

    private mutating func enter(
        metric: Int, _ kind: MetricKind, _ path: inout Path, _ batch: borrowing RecordBatch, _ output: inout ByteColumn
    ) {
        if path.metric?.index == metric && path.data?.kind == kind { return }
        path.closeMetric(&output)
        let record = batch.metrics[metric]
        enter(scope: Int(record.scope), &path, batch, &output)
        path.metric = (metric, output.beginMessage(tag: 0x12, guess: 300))
        let raw = batch.text(record.raw)
        let head = metrics[metric] ?? collect(raw) { MetricShape.kind(ofTag: $0) == nil }
        metrics[metric] = head
        writer.writeHead(batch, record, of: heads.text[head], &output)
        path.data = (kind, output.beginMessage(tag: MetricShape.tag(of: kind), guess: 300))
        let place = UInt64(metric) << 8 | UInt64(kind.rawValue)
        let dataHead = data[place] ?? collectData(raw, kind)
        data[place] = dataHead
        output.append(heads.text[dataHead])
    }

    private mutating func collect(_ message: Text, where isWanted: (UInt32) -> Bool) -> Range<Int> {
        let start = heads.count
        var cursor = WireCursor(message)
        while let field = cursor.nextField() {
            if isWanted(field.tag) { heads.append(message[field.whole]) }
        }
        return start..<heads.count
    }

    /// Temporality and the like; points have field number 1 in data of all kinds.
    private mutating func collectData(_ metric: Text, _ kind: MetricKind) -> Range<Int> {
        let start = heads.count
        var outer = WireCursor(metric)
        while let message = outer.nextField() {
            guard message.tag == MetricShape.tag(of: kind) else { continue }
            var cursor = WireCursor(metric, message.content)
            while let field = cursor.nextField() {
                if field.tag != 0x0A { heads.append(metric[field.whole]) }
            }
        }
        return start..<heads.count
    }
}
