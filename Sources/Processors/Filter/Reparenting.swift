import Telemetry

/// Keeps trees whole when spans leave a batch: their children get the nearest ancestor that is left, and a link to the
/// parent they had.
enum Reparenting {
    private struct SpanKey: Hashable {
        var high: UInt64
        var low: UInt64
        var span: UInt64

        init(_ trace: Text, _ span: Text) {
            high = trace.start.loadUnaligned(as: UInt64.self)
            low = trace.start.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            self.span = span.start.loadUnaligned(as: UInt64.self)
        }
    }

    static func run(_ batch: inout RecordBatch) {
        var removed: [SpanKey: Int] = [:]
        for index in batch.spans.indices where batch.isRemoved(span: index) {
            let span = batch.spans[index]
            // Spans that were refused for their ids are removed as well; nobody's parent is among them.
            guard span.traceID.length == 16, span.spanID.length == 8 else { continue }
            removed[SpanKey(batch.text(span.traceID), batch.text(span.spanID))] = index
        }
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            guard span.parentID.length == 8, let parent = removed[key(span, batch)] else { continue }
            var ancestor = parent
            var steps = 0
            // A circle of removed spans ends at its length; the child becomes a root then.
            while batch.spans[ancestor].parentID.length == 8, let next = removed[key(batch.spans[ancestor], batch)],
                steps <= removed.count
            {
                ancestor = next
                steps += 1
            }
            let newParent = steps > removed.count ? TextRef.empty : batch.spans[ancestor].parentID
            let lost = batch.spans[parent]
            batch.changeSpan(index) { $0.parentID = newParent }
            batch.addLink(traceID: lost.traceID, spanID: lost.spanID, toSpan: index)
        }
    }

    /// The key of a span's parent.
    private static func key(_ span: SpanRecord, _ batch: borrowing RecordBatch) -> SpanKey {
        SpanKey(batch.text(span.traceID), batch.text(span.parentID))
    }
}
