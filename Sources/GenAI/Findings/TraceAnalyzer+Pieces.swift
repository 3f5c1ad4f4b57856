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
        var moves: [LineMove] = []
        for place in line { moves.append(move(place, pieces.seen)) }
        let nodes = trace.nodesOfSteps()
        var found: [Repeat] = []
        for end in line.indices {
            let places = max(0, end - options.repeatWindow + 1)...end
            let window = LineWindow(places: Array(line[places]), moves: Array(moves[places]))
            guard let index = ownCall(window.places, pieces.seen), mayAddUp(calls[index]) else { continue }
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
    private mutating func repeats(
        _ window: LineWindow, of index: Int, _ rule: FindingRule, _ seen: [FindingsMemory.SeenCall],
        _ owner: CallOwner
    ) -> Repeat? {
        let call = calls[index]
        var earlier = 0
        var own: [Int] = []
        // How many came before the last progress; of those that succeed none.
        var before = 0
        for (number, place) in window.places.enumerated() {
            if earlier + own.count > 0, isProgress(number, in: window, for: call) {
                if isFailing(call) {
                    before = earlier + own.count
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
        var tier = before == 0 && count >= options.repeatAlert ? FindingTier.alert : .tag
        // As within one piece, those that went on failing with nothing in between are an alert behind a change too.
        if before > 0, count - before >= options.repeatAlert { tier = .alert }
        if tier == .alert, rule == .repeatedError || !isFailing(call), isOutcomeMasked(call) { tier = .tag }
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

    private func move(_ place: Int, _ seen: [FindingsMemory.SeenCall]) -> LineMove {
        if place >= 0 {
            let call = calls[place]
            return LineMove(
                name: call.name.looseHash, signature: call.signature, result: call.resultHash,
                isWell: !isFailing(call), isOpenEnded: call.isOpenEnded, isChange: isChange(call))
        }
        let call = seen[~place]
        return LineMove(
            name: call.name, signature: call.signature, result: call.result, isWell: !call.isFailing,
            isOpenEnded: call.isOpenEnded, isChange: call.isChange)
    }

    /// Whether a call of the window is progress for `call`, as within one piece: a change, or another answer to the
    /// same question, but not what a tool that does anything did before with the same result.
    private func isProgress(_ number: Int, in window: LineWindow, for call: ToolCall) -> Bool {
        let other = window.moves[number]
        let isSameTool = other.name == call.name.looseHash
        let isOther = call.isOpenEnded && other.isWell && other.signature != 0 && other.signature != call.signature
        let changes = isSameTool ? isOther : other.isChange
        if !other.isOpenEnded, changes || !call.isOpenEnded { return changes }
        if !other.isWell || (isSameTool && other.signature != 0 && other.signature == call.signature) { return false }
        var isAnswered = false
        for earlier in window.moves[..<number] where earlier.isEqual(other) {
            if earlier.isWell, earlier.result == other.result { return false }
            isAnswered = true
        }
        if changes { return isSameTool || !holdsCalls(window.places[number], window.places) }
        return call.isOpenEnded && isAnswered
    }

    /// Whether an own call ran others of its own inside of it. Of those of earlier pieces nobody knows.
    private func holdsCalls(_ place: Int, _ places: [Int]) -> Bool {
        place >= 0 && holdsCalls(calls[place], places.filter { $0 >= 0 })
    }
}

/// Calls of a line that are looked at together: their places in it and what they did.
private struct LineWindow {
    var places: [Int]
    var moves: [LineMove]
}

/// What a call of the line did, whichever piece it came in.
private struct LineMove {
    var name: UInt64
    var signature: UInt64
    var result: UInt64
    /// Whether it did not fail.
    var isWell: Bool
    var isOpenEnded: Bool
    var isChange: Bool

    func isEqual(_ other: LineMove) -> Bool {
        signature != 0 && signature == other.signature && name == other.name
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
