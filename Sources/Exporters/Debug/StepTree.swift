import Telemetry

/// The order in which a batch's spans are shown: traces as they first appear, steps below their parents by start time.
/// A span whose parent is not in the batch stands at the top of its trace.
struct StepTree {
    /// One span with its depth below the top.
    struct Step: Equatable {
        var span: Int
        var depth: Int
    }

    /// Steps of one trace.
    struct Trace: Equatable {
        var id: String
        var steps: [Step]
    }

    /// Deeper steps are shown at this depth.
    static let depthMax = 64

    static func traces(of batch: borrowing RecordBatch) -> [Trace] {
        var order: [String] = []
        var members: [String: [Int]] = [:]
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let id = batch.text(batch.spans[index].traceID).hex
            if members[id] == nil { order.append(id) }
            members[id, default: []].append(index)
        }
        var result: [Trace] = []
        for id in order { result.append(Trace(id: id, steps: steps(members[id] ?? [], batch))) }
        return result
    }

    private static func steps(_ spans: [Int], _ batch: borrowing RecordBatch) -> [Step] {
        var indexOf: [String: Int] = [:]
        for span in spans { indexOf[batch.text(batch.spans[span].spanID).hex] = span }
        var children: [Int: [Int]] = [:]
        var tops: [Int] = []
        for span in spans {
            let parent = batch.text(batch.spans[span].parentID)
            if !parent.isEmpty, let above = indexOf[parent.hex], above != span {
                children[above, default: []].append(span)
            } else {
                tops.append(span)
            }
        }
        var starts: [Int: UInt64] = [:]
        for span in spans { starts[span] = batch.spans[span].start }
        func byTime(_ left: Int, _ right: Int) -> Bool {
            (starts[left] ?? 0, left) < (starts[right] ?? 0, right)
        }
        var result: [Step] = []
        var seen: Set<Int> = []
        var stack = tops.sorted(by: byTime).reversed().map { Step(span: $0, depth: 0) }
        while let step = stack.popLast() {
            guard seen.insert(step.span).inserted else { continue }
            result.append(step)
            let below = (children[step.span] ?? []).sorted(by: byTime).reversed()
            stack += below.map { Step(span: $0, depth: min(step.depth + 1, depthMax)) }
        }
        // Spans that are each other's ancestors are reachable from no top.
        for span in spans where !seen.contains(span) { result.append(Step(span: span, depth: 0)) }
        return result
    }
}
