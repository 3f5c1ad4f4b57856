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
    private var metrics: [MetricHead?]
    private var data: [DataHead] = []

    /// What a metric holds besides data, and its data messages.
    private struct MetricHead {
        var fields: Range<Int>
        var data: Range<Int>
    }

    /// What data of one kind holds besides points, and the first of these. Messages of a kind with none of another
    /// between them are one in pieces.
    private struct DataHead {
        var tag: UInt32
        var fields: Range<Int>
        var firstPoint: Int
    }

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
            enter(metric: Int(point.metric), &path, batch, &output)
            enter(dataOf: index, in: Int(point.metric), &path, batch, &output)
            writer.writePoint(batch, point, &output)
        }
        path.close(&output)
    }

    /// The items that the signal counts: spans, log records, data points.
    package mutating func write(
        items: some Sequence<Int>, of batch: borrowing RecordBatch, into output: inout ByteColumn
    ) {
        if batch.signal == .metrics {
            write(points: items, of: batch, into: &output)
        } else {
            write(items, of: batch, into: &output)
        }
    }

    // MARK: Envelopes

    /// The messages that are begun and not ended.
    private struct Path {
        var resource: (index: Int, message: OpenMessage)?
        var scope: (index: Int, message: OpenMessage)?
        var metric: (index: Int, message: OpenMessage)?
        var data: (index: Int, message: OpenMessage)?

        mutating func closeData(_ output: inout ByteColumn) {
            if let data { output.endMessage(data.message) }
            data = nil
        }

        mutating func closeMetric(_ output: inout ByteColumn) {
            closeData(&output)
            if let metric { output.endMessage(metric.message) }
            metric = nil
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
        metric: Int, _ path: inout Path, _ batch: borrowing RecordBatch, _ output: inout ByteColumn
    ) {
        if path.metric?.index == metric { return }
        path.closeMetric(&output)
        let record = batch.metrics[metric]
        enter(scope: Int(record.scope), &path, batch, &output)
        path.metric = (metric, output.beginMessage(tag: 0x12, guess: 300))
        let head = metrics[metric] ?? collect(record, of: batch)
        metrics[metric] = head
        writer.writeHead(batch, record, of: heads.text[head.fields], &output)
    }

    /// Data is written in as many messages as it means, of whatever kinds they are.
    private mutating func enter(
        dataOf point: Int, in metric: Int, _ path: inout Path, _ batch: borrowing RecordBatch,
        _ output: inout ByteColumn
    ) {
        guard let all = metrics[metric]?.data else { return }
        // The last that begins at the point or before it; points come in order.
        var (index, end) = (path.data?.index ?? all.lowerBound, all.upperBound)
        while end - index > 1 {
            let middle = index + (end - index) / 2
            if data[middle].firstPoint <= point { index = middle } else { end = middle }
        }
        if path.data?.index == index { return }
        path.closeData(&output)
        path.data = (index, output.beginMessage(tag: data[index].tag, guess: 300))
        writer.writeDataHead(
            batch.metrics[metric], data: data[index].tag, of: heads.text[data[index].fields], &output)
    }

    private mutating func collect(_ message: Text, where isWanted: (UInt32) -> Bool) -> Range<Int> {
        let start = heads.count
        var cursor = WireCursor(message)
        while let field = cursor.nextField() {
            if isWanted(field.tag) { heads.append(message[field.whole]) }
        }
        return start..<heads.count
    }

    private mutating func collect(_ metric: MetricRecord, of batch: borrowing RecordBatch) -> MetricHead {
        let raw = batch.text(metric.raw)
        let fields = collect(raw) { MetricShape.kind(ofTag: $0) == nil }
        let first = data.count
        var point = Int(metric.points.start)
        var head: DataHead?
        var cursor = WireCursor(raw)
        while let message = cursor.nextField() {
            guard MetricShape.kind(ofTag: message.tag) != nil else { continue }
            if head?.tag != message.tag {
                close(head, before: point)
                head = DataHead(tag: message.tag, fields: heads.count..<heads.count, firstPoint: point)
            }
            var inner = WireCursor(raw, message.content)
            while let field = inner.nextField() {
                // Points have field number 1 in data of all kinds.
                if field.tag == 0x0A { point += 1 } else { heads.append(raw[field.whole]) }
            }
        }
        close(head, before: point)
        return MetricHead(fields: fields, data: first..<data.count)
    }

    /// Ends the data that was collected last, unless it has no point that one could be asked for.
    private mutating func close(_ head: DataHead?, before point: Int) {
        guard var head, point > head.firstPoint else { return }
        head.fields = head.fields.lowerBound..<heads.count
        data.append(head)
    }
}
