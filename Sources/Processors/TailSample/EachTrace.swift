import GenAI
import Telemetry

/// Batches that hold more than one trace: requests that the stage passed on in one piece, because taken apart each of
/// their traces would copy a large resource.
extension RecordBatch {
    /// Most looks at spans, which are those of all traces at the spans of all: a request of a million traces must not
    /// take minutes. Above it they are judged together.
    private static var looksMax: Int { 16 << 20 }

    /// Calls `body` for each trace, with the spans of the others out of the batch meanwhile, or once with everything.
    /// `isAlone` says that the batch is of this trace alone.
    mutating func forEachTrace(_ body: (_ batch: inout RecordBatch, _ isAlone: Bool) -> Void) {
        guard holdsSeveralTraces else { return body(&self, true) }
        var groups = TraceGroups()
        groups.group(self)
        var parts = groups.ranges.map { Array(groups.spans[$0]) }
        // Those without a usable id are no trace's; they are judged together.
        let rest = Set(spans.indices.filter { !isRemoved(span: $0) }).subtracting(groups.spans)
        if !rest.isEmpty { parts.append(rest.sorted()) }
        guard parts.count * spans.count <= RecordBatch.looksMax else { return body(&self, false) }
        for index in parts.joined() { setIsRemoved(true, span: index) }
        var left: [Int] = []
        for part in parts {
            for index in part { setIsRemoved(false, span: index) }
            body(&self, false)
            for index in part where !isRemoved(span: index) {
                left.append(index)
                setIsRemoved(true, span: index)
            }
        }
        for index in left { setIsRemoved(false, span: index) }
    }

    private var holdsSeveralTraces: Bool {
        var first: Text?
        for index in spans.indices where !isRemoved(span: index) {
            let id = text(spans[index].traceID)
            guard let first else {
                first = id
                continue
            }
            if !(first == id) { return true }
        }
        return false
    }

    /// Only for a while: what is around the span is not marked.
    private mutating func setIsRemoved(_ isRemoved: Bool, span index: Int) {
        if isRemoved { spans[index].edits.insert(.removed) } else { spans[index].edits.remove(.removed) }
        liveCount += isRemoved ? -1 : 1
    }
}
