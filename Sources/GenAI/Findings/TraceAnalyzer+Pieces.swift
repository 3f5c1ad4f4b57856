import Telemetry

/// Calls of a trace that comes in several pieces.
extension TraceAnalyzer {
    /// Calls that earlier pieces of the trace brought, without those that came again.
    func callsInPieces(_ memory: FindingsMemory, _ batch: borrowing RecordBatch) -> CallsInPieces {
        var pieces = CallsInPieces()
        // Before this time calls may have been forgotten.
        var since: UInt64 = 0
        // The pieces before may not have named the session, and may have come again since one did.
        let sessions = traceKey == sessionKey ? [traceKey] : [traceKey, sessionKey]
        for session in sessions {
            let remembered = memory.sessions.peek(session) ?? []
            if remembered.count >= options.repeatWindow, let oldest = remembered.map(\.time).min() {
                since = max(since, oldest)
            }
            for call in remembered where call.trace == traceKey { pieces.seen.take(call) }
        }
        if pieces.seen.isEmpty { return pieces }
        let nodes = trace.nodesOfSteps()
        for index in calls.indices {
            let own = seenCall(index, nodes, batch)
            pieces.seen.removeAll { $0.span == own.span || $0.isPart(of: own) }
            if own.time < since || pieces.seen.contains(where: { own.isPart(of: $0) }) { pieces.leftOut.insert(index) }
        }
        return pieces
    }

    /// Calls that repeat calls of earlier pieces, counted as within one piece: those of one agent, in a row of the
    /// latest calls, behind the last change; of calls that fail in spite of one a tag at most. Those that succeed count
    /// only when a span ran them, in this piece too: it may have come in another.
    mutating func repeats(
        _ order: [Int], over pieces: CallsInPieces, _ batch: borrowing RecordBatch
    ) -> [Repeat] {
        if pieces.seen.isEmpty { return [] }
        let line = timeline(order, pieces)
        let nodes = trace.nodesOfSteps()
        var found: [Repeat] = []
        for end in line.indices {
            let window = Array(line[max(0, end - options.repeatWindow + 1)...end])
            guard let index = ownCall(window, pieces.seen), mayAddUp(calls[index]) else { continue }
            let owner = owner(of: calls[index], nodes, batch)
            var best: Repeat?
            for rule in [FindingRule.repeatedCall, .repeatedError] {
                guard let hit = repeats(window, of: index, rule, pieces.seen, owner) else { continue }
                if let best, (best.tier.rawValue, best.count) >= (hit.tier.rawValue, hit.count) { continue }
                best = hit
            }
            if let best { found.append(best) }
        }
        return found
    }

    /// The calls of all pieces in the order of time: own ones by index, those before by the complement of theirs.
    private func timeline(_ order: [Int], _ pieces: CallsInPieces) -> [Int] {
        let seen = pieces.seen
        let earlier = seen.indices.sorted { (seen[$0].time, $0) < (seen[$1].time, $1) }
        var line: [Int] = []
        var next = 0
        for index in order where !pieces.leftOut.contains(index) {
            while next < earlier.count, seen[earlier[next]].time <= calls[index].time {
                line.append(~earlier[next])
                next += 1
            }
            line.append(index)
        }
        // Pieces may come in another order than they ran.
        for place in earlier[next...] { line.append(~place) }
        return line
    }

    /// The own call whose repeats may end with the window, when a call of an earlier piece is like it: the last one, or
    /// the latest that is like the last one.
    private func ownCall(_ window: [Int], _ seen: [FindingsMemory.SeenCall]) -> Int? {
        guard let last = window.last else { return nil }
        if last >= 0 {
            for place in window where place < 0 && isLike(seen[~place], calls[last]) { return last }
            return nil
        }
        for place in window.reversed() where place >= 0 && isLike(seen[~last], calls[place]) { return place }
        return nil
    }

    private mutating func mayAddUp(_ call: ToolCall) -> Bool {
        if call.isHandoff { return false }
        return isFailing(call) || (!mayRepeat(call) && !saysWaiting(call))
    }

    /// The calls of a window that are like one of its own.
    private func repeats(
        _ window: [Int], of index: Int, _ rule: FindingRule, _ seen: [FindingsMemory.SeenCall], _ owner: CallOwner
    ) -> Repeat? {
        let call = calls[index]
        var earlier = 0
        var own: [Int] = []
        var isTag = false
        for place in window {
            if earlier + own.count > 0, isProgress(place, seen, for: call) {
                if isFailing(call) {
                    isTag = true
                } else {
                    earlier = 0
                    own.removeAll()
                }
            }
            if place >= 0 {
                if isLike(calls[place], call, rule) { own.append(place) }
            } else if isLike(seen[~place], call, rule), owner.isSame(as: seen[~place]) {
                earlier += 1
            }
        }
        let count = earlier + own.count
        guard earlier > 0, count >= options.repeatTag, let first = own.first, let last = own.last else { return nil }
        let tier = count >= options.repeatAlert && !isTag ? FindingTier.alert : .tag
        return Repeat(rule: rule, count: count, tier: tier, last: last, first: first, inPieces: earlier)
    }

    // MARK: Likeness

    private func isLike(_ other: FindingsMemory.SeenCall, _ call: ToolCall) -> Bool {
        isLike(other, call, .repeatedCall) || isLike(other, call, .repeatedError)
    }

    /// Whether a call of an earlier piece came out as this one did, with the same arguments or, by `rule`, error.
    private func isLike(_ other: FindingsMemory.SeenCall, _ call: ToolCall, _ rule: FindingRule) -> Bool {
        guard other.name == call.name.looseHash, other.isFailing == isFailing(call) else { return false }
        if rule == .repeatedError { return call.errorHash > 2 && other.error == call.errorHash }
        guard call.signature != 0, other.signature == call.signature else { return false }
        if other.isFailed || call.emptiness != .none { return other.isEmpty == (call.emptiness != .none) }
        return other.hasSpan && call.step >= 0 && other.result == call.resultHash
    }

    /// The same of two calls of this piece.
    private func isLike(_ other: ToolCall, _ call: ToolCall, _ rule: FindingRule) -> Bool {
        guard other.name == call.name, isFailing(other) == isFailing(call), isSameAgent(other, call) else {
            return false
        }
        if rule == .repeatedError { return call.errorHash > 2 && other.errorHash == call.errorHash }
        guard call.signature != 0, other.signature == call.signature else { return false }
        if isFailing(call) { return true }
        let isEmpty = call.emptiness != .none
        if isEmpty || other.emptiness != .none { return isEmpty == (other.emptiness != .none) }
        return other.step >= 0 && call.step >= 0 && other.resultHash == call.resultHash
    }

    // MARK: Progress

    /// Whether a call of the line changed something, so that `call` may well come out another way.
    private func isProgress(_ place: Int, _ seen: [FindingsMemory.SeenCall], for call: ToolCall) -> Bool {
        if place >= 0 { return isChange(calls[place], for: call) }
        let other = seen[~place]
        if other.name != call.name.looseHash { return other.isChange }
        return call.isOpenEnded && !other.isFailing && other.signature != 0 && other.signature != call.signature
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

/// Tool calls that earlier pieces of a trace brought.
struct CallsInPieces {
    var seen: [FindingsMemory.SeenCall] = []
    /// Own calls that do not add up with them: earlier pieces told of them, or they are older than what is remembered,
    /// so that nobody knows what lay behind them.
    var leftOut: Set<Int> = []
}

extension FindingsMemory.SeenCall {
    /// Whether it failed; what found nothing did not.
    var isFailing: Bool { isFailed && !isEmpty }

    /// Whether it is no call of its own beside the other, which came in another piece: what was told of a call whose
    /// span came too, or a span inside that of the same call, as that of an MCP server is.
    func isPart(of other: Self) -> Bool {
        guard trace == other.trace, span != other.span, name == other.name else { return false }
        if callID != 0, callID == other.callID, !hasSpan { return true }
        return hasSpan && other.id != 0 && owner == other.id
    }
}

extension [FindingsMemory.SeenCall] {
    /// Takes in a call, in place of what was remembered of the same call.
    mutating func take(_ call: FindingsMemory.SeenCall) {
        if let place = firstIndex(where: { $0.trace == call.trace && $0.span == call.span }) {
            self[place] = call
        } else if !contains(where: { call.isPart(of: $0) }) {
            removeAll { $0.isPart(of: call) }
            append(call)
        }
    }

    /// Leaves the latest ones, by time: what comes again late must not push out what lay behind it.
    mutating func keepLatest(_ count: Int) {
        guard self.count > count else { return }
        let order = indices.sorted { (self[$0].time, $0) < (self[$1].time, $1) }
        self = order.suffix(count).map { self[$0] }
    }
}
