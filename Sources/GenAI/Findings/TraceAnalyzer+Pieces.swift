import Telemetry

/// Calls of a trace that comes in several pieces.
extension TraceAnalyzer {
    /// Calls that earlier pieces of the trace brought, without those that came again.
    func callsInPieces(_ memory: FindingsMemory) -> [FindingsMemory.SeenCall] {
        let key = traceKey
        var seen = (memory.sessions.peek(sessionKey) ?? []).filter { $0.trace == key }
        if key != sessionKey {
            // The pieces before may not have named the session, and may have come again since one did.
            let known = Set(seen.map(\.span))
            seen += (memory.sessions.peek(key) ?? []).filter { $0.trace == key && !known.contains($0.span) }
        }
        if seen.isEmpty { return [] }
        let own = spanKeys()
        seen.removeAll { own.contains($0.span) }
        return seen
    }

    // MARK: Calls that fail or find nothing

    private func count(
        _ failures: [FindingsMemory.SeenCall], like call: ToolCall, _ rule: FindingRule
    ) -> Int {
        guard !failures.isEmpty, isFailing(call) || call.emptiness != .none, !call.isHandoff else { return 0 }
        let name = call.name.looseHash
        return failures.filter {
            guard $0.name == name else { return false }
            if rule == .repeatedError { return call.errorHash > 2 && $0.error == call.errorHash }
            return $0.signature == call.signature
        }.count
    }

    /// Adds the failing calls that earlier pieces of the trace brought.
    func add(_ failures: [FindingsMemory.SeenCall], to hit: inout Repeat) {
        let earlier = count(failures, like: calls[hit.last], hit.rule)
        guard earlier > 0 else { return }
        hit.inPieces = earlier
        hit.count += earlier
        if hit.rule != .repeatedNearly, hit.count >= options.repeatAlert { hit.tier = .alert }
    }

    /// The first failing call that is like one of an earlier piece of the trace.
    func repeats(_ order: [Int], ofFailures failures: [FindingsMemory.SeenCall]) -> Repeat? {
        if failures.isEmpty { return nil }
        for index in order {
            for rule in [FindingRule.repeatedCall, .repeatedError] {
                let earlier = count(failures, like: calls[index], rule)
                guard earlier > 0, earlier + 1 >= options.repeatTag else { continue }
                let tier = earlier + 1 >= options.repeatAlert ? FindingTier.alert : .tag
                return Repeat(rule: rule, count: earlier + 1, tier: tier, last: index, first: index, inPieces: earlier)
            }
        }
        return nil
    }

    // MARK: Calls that succeed

    /// Calls that succeed with the same result as calls of earlier pieces, counted as within one piece: those of one
    /// agent, in a row of the latest calls, behind the last change. What no span ran does not count, in this piece
    /// either: its span may have come in another.
    mutating func loops(
        _ order: [Int], _ pieces: [FindingsMemory.SeenCall], _ batch: borrowing RecordBatch
    ) -> [Repeat] {
        if pieces.isEmpty { return [] }
        let line = timeline(order, pieces)
        let nodes = trace.nodesOfSteps()
        var found: [Repeat] = []
        for place in line.indices where line[place] >= 0 {
            let call = calls[line[place]]
            let window = Array(line[max(0, place - options.repeatWindow + 1)...place])
            guard isSeen(call, window, pieces), mayLoop(call) else { continue }
            if let hit = loop(window, pieces, owner(of: call, nodes, batch)) { found.append(hit) }
        }
        return found
    }

    /// The calls of all pieces in the order of time: own ones by index, those before by the complement of theirs.
    private func timeline(_ order: [Int], _ pieces: [FindingsMemory.SeenCall]) -> [Int] {
        let earlier = pieces.indices.sorted { (pieces[$0].time, $0) < (pieces[$1].time, $1) }
        var line: [Int] = []
        var next = 0
        for index in order {
            while next < earlier.count, pieces[earlier[next]].time <= calls[index].time {
                line.append(~earlier[next])
                next += 1
            }
            line.append(index)
        }
        return line
    }

    private func isSeen(_ call: ToolCall, _ window: [Int], _ pieces: [FindingsMemory.SeenCall]) -> Bool {
        for index in window where index < 0 && pieces[~index].isSameSuccess(as: call) { return true }
        return false
    }

    private mutating func mayLoop(_ call: ToolCall) -> Bool {
        guard call.step >= 0, call.signature != 0, !isFailing(call), call.emptiness == .none, !call.isHandoff else {
            return false
        }
        return !mayRepeat(call) && !saysWaiting(call)
    }

    /// The repeats that end with the window's last call.
    private func loop(
        _ window: [Int], _ pieces: [FindingsMemory.SeenCall], _ owner: CallOwner
    ) -> Repeat? {
        guard let last = window.last else { return nil }
        let call = calls[last]
        let name = call.name.looseHash
        var earlier = 0
        var own: [Int] = []
        for index in window {
            let isProgress: Bool
            if index < 0 {
                let seen = pieces[~index]
                isProgress = seen.isChange && seen.name != name
                if seen.isSameSuccess(as: call), owner.isSame(as: seen) { earlier += 1 }
            } else {
                isProgress = isChange(calls[index], for: call)
                if isSameSuccess(calls[index], call) { own.append(index) }
            }
            if isProgress {
                earlier = 0
                own.removeAll()
            }
        }
        let count = earlier + own.count
        guard earlier > 0, count >= options.repeatTag, let first = own.first else { return nil }
        let tier = count >= options.repeatAlert ? FindingTier.alert : .tag
        return Repeat(rule: .repeatedCall, count: count, tier: tier, last: last, first: first, inPieces: earlier)
    }

    private func isSameSuccess(_ other: ToolCall, _ call: ToolCall) -> Bool {
        guard other.step >= 0, other.name == call.name, other.signature == call.signature else { return false }
        return !isFailing(other) && other.resultHash == call.resultHash && isSameAgent(other, call)
    }

    // MARK: Agents

    /// Whom a call belongs to. `nodes` are those of the steps.
    func owner(of call: ToolCall, _ nodes: [Int32], _ batch: borrowing RecordBatch) -> CallOwner {
        var owner = CallOwner()
        guard call.place >= 0 else { return owner }
        var place = Int(nodes[Int(call.place)])
        while place >= 0, owner.above.count < CallOwner.depthMax {
            let node = trace.nodes[place]
            if node.step >= 0 {
                let step = trace.steps[Int(node.step)]
                let name = step.kind == .agent ? step.agentName : trace.text(.agentName, step, batch)
                if owner.agent == 0, !name.isEmpty { owner.agent = ContentHash.of(name) }
                if step.kind == .agent { break }
            }
            if node.parentID == 0 { break }
            owner.above.append(node.parentID)
            place = Int(node.parent)
        }
        return owner
    }
}

/// Whom a call belongs to, as far as one piece of a trace tells.
struct CallOwner {
    /// Hash of the agent's name, 0 when nothing names it.
    var agent: UInt64 = 0
    /// Ids of the spans above, up to that of the nearest agent, or the first that has not come.
    var above: [UInt64] = []

    /// Spans that are looked up to.
    static let depthMax = 256

    /// Whether it is that of a call of another piece: the same name; where one piece does not tell it, a common span
    /// at or below the nearest agent; or neither name nor span.
    func isSame(as seen: FindingsMemory.SeenCall) -> Bool {
        if agent != 0, seen.agent != 0 { return agent == seen.agent }
        return seen.owner == 0 ? above.isEmpty && agent == seen.agent : above.contains(seen.owner)
    }
}

extension FindingsMemory.SeenCall {
    /// Whether it has the name, arguments and result of a call that succeeds, and did too.
    func isSameSuccess(as call: ToolCall) -> Bool {
        guard hasSpan, !isFailed, signature == call.signature, result == call.resultHash else { return false }
        return name == call.name.looseHash
    }
}
