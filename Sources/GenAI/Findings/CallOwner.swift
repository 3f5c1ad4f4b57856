import Telemetry

extension TraceAnalyzer {
    /// Whom a call belongs to. `nodes` are those of the steps.
    func owner(of call: ToolCall, _ nodes: [Int32], _ batch: borrowing RecordBatch) -> CallOwner {
        var owner = CallOwner()
        guard call.place >= 0 else { return owner }
        var place = Int(nodes[Int(call.place)])
        while place >= 0, owner.above.count < CallOwner.depthMax {
            let node = trace.nodes[place]
            if node.step >= 0 {
                let step = trace.steps[Int(node.step)]
                owner.take(step, name: nameOfAgent(step, batch))
                if step.kind == .agent { break }
            }
            if node.parentID == 0 { break }
            owner.above.append(node.parentID)
            place = Int(node.parent)
        }
        return owner
    }

    /// What a step itself says of its agent's name; empty when that is no more than that it is one.
    private func nameOfAgent(_ step: Step, _ batch: borrowing RecordBatch) -> Text {
        guard step.kind == .agent else { return trace.text(.agentName, step, batch) }
        return TraceAnalyzer.isUnnamed(step) ? .empty : step.agentName
    }
}

/// Whom a call belongs to, as far as one piece of a trace tells.
struct CallOwner {
    /// Hash of the agent's name, 0 when nothing names it.
    var agent: UInt64 = 0
    /// Hash of the name of the service of the nearest agent, else of the topmost step below it that came; 0 for none.
    var service: UInt64 = 0
    /// Whether the nearest agent's span came, and when it began and ended.
    var hasAgent = false
    var began: UInt64 = 0
    var ended: UInt64 = 0
    /// Ids of the spans above, up to that of the nearest agent, or the first that has not come.
    var above: [UInt64] = []

    /// Spans that are looked up to.
    static let depthMax = 256

    /// Takes in a step on the way up, with the name of an agent that it tells.
    mutating func take(_ step: Step, name: Text) {
        if agent == 0, !name.isEmpty { agent = ContentHash.of(name) }
        if step.service != 0 { service = step.service }
        guard step.kind == .agent else { return }
        hasAgent = true
        began = step.start
        ended = step.end
    }

    /// Whether it is that of a call of another piece: the same name, unless the agents are of several services or ran
    /// side by side; where one piece does not tell the name, a common span at or below the nearest agent; or neither
    /// name nor span.
    func isSame(as seen: FindingsMemory.SeenCall) -> Bool {
        let isNamed = agent != 0 && seen.agent != 0
        if isNamed, agent != seen.agent { return false }
        let isShared = seen.owner != 0 && above.contains(seen.owner)
        // One agent may call tools that other services report; what calls the agents is no agent for sure.
        if service != 0, seen.service != 0, service != seen.service { return isShared && (hasAgent || seen.hasAgent) }
        if isShared { return true }
        if isNamed { return !ranBeside(seen) }
        return seen.owner == 0 && above.isEmpty && agent == seen.agent
    }

    /// Whether the agents' spans came and overlap.
    private func ranBeside(_ seen: FindingsMemory.SeenCall) -> Bool {
        hasAgent && seen.hasAgent && max(began, seen.began) < min(ended, seen.ended)
    }
}
