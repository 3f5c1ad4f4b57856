import Telemetry

/// What tells a batch, work by several agents or progress from calls that go round in circles.
extension TraceAnalyzer {
    // MARK: Agents and turns

    /// Whether both calls are of one agent: of one agent's span, else by name, since some frameworks open a span of the
    /// agent for each of its turns. Those do not run side by side, nor in several services.
    func isSameAgent(_ left: ToolCall, _ right: ToolCall) -> Bool {
        guard left.place >= 0, right.place >= 0 else { return true }
        let one = trace.steps[Int(left.place)]
        let other = trace.steps[Int(right.place)]
        let names = (one.agentName, other.agentName)
        guard names.0.isEmpty || names.1.isEmpty || names.0 == names.1 else { return false }
        guard one.agent >= 0, other.agent >= 0 else { return !isOfOtherService(one, other) }
        return one.agent == other.agent || isSameWorker(Int(one.agent), Int(other.agent))
    }

    private func isOfOtherService(_ one: Step, _ other: Step) -> Bool {
        one.service != 0 && other.service != 0 && one.service != other.service
    }

    /// Whether two spans of agents that do not tell different names may be turns of one agent.
    private func isSameWorker(_ left: Int, _ right: Int) -> Bool {
        let (one, other) = (trace.steps[left], trace.steps[right])
        // One around the other is the agent and its run.
        if trace.isBelow(left, right) || trace.isBelow(right, left) { return true }
        if TraceAnalyzer.isUnnamed(one) || TraceAnalyzer.isUnnamed(other) { return false }
        if isOfOtherService(one, other) { return false }
        return max(one.start, other.start) >= min(one.end, other.end)
    }

    /// Whether an agent's span tells no more than that it is one.
    static func isUnnamed(_ agent: Step) -> Bool {
        agent.agentName.isEmpty || isOneOf(agent.agentName.trimmed, ["invoke_agent", "agent", "agent run", "run"])
    }

    /// Whether a model asked for both at once, or they ran side by side: neither could know the other's result.
    func isSameTurn(_ left: ToolCall, _ right: ToolCall) -> Bool {
        if left.isAnnounced, right.isAnnounced, left.model >= 0, left.model == right.model,
            trace.steps[Int(left.model)].kind == .model
        {
            return true
        }
        guard left.step >= 0, right.step >= 0, left.step != right.step else { return false }
        let one = trace.steps[Int(left.step)]
        let other = trace.steps[Int(right.step)]
        return max(one.start, other.start) < min(one.end, other.end)
    }

    // MARK: Progress

    /// Words of tools that change nothing that another tool could see.
    private static let passive: [StaticString] = [
        "think", "sleep", "wait", "log", "notify", "scroll", "hover", "focus", "run", "execute", "request", "finish",
        "exit", "trigger", "refresh", "record", "mark",
    ]

    /// Whether a call changed something, so that asking `call` again may tell something new: a write, an edit, or
    /// whatever else one tool for everything was told to do.
    func isChange(_ other: ToolCall, for call: ToolCall) -> Bool {
        guard other.name == call.name else { return isChange(other) }
        guard call.isOpenEnded, other.signature != 0, !isFailing(other) else { return false }
        return other.signature != call.signature
    }

    /// Whether a call changed something that other tools may see.
    func isChange(_ other: ToolCall) -> Bool {
        guard !isFailing(other), !other.isHandoff else { return false }
        if other.isOpenEnded { return true }
        guard TraceAnalyzer.isAction(other.name) else { return false }
        return !TraceAnalyzer.passive.contains { TraceAnalyzer.hasWord(other.name, $0) }
    }

    static func hasWord(_ name: Text, _ wanted: StaticString) -> Bool {
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            if isWord(name[range], wanted) { return true }
        }
        return false
    }

    // MARK: Batches

    /// Whether no two of the calls are known to have the same arguments, as those of a batch have not.
    func areAllDifferent(_ list: [Int]) -> Bool {
        var signatures: Set<UInt64> = []
        for index in list where calls[index].signature != 0 {
            if !signatures.insert(calls[index].signature).inserted { return false }
        }
        return true
    }

    /// Members that arguments may have to be compared one by one.
    static let membersMax = 64
    /// Pairs of calls of one trace that are compared this way.
    static let pairsMax = 4_096

    /// Whether an argument of both has no word in common: another addressee, another file. Arguments with very many
    /// members are not compared. Behind the last pair that is, all count as a batch: what goes round in circles for so
    /// long has been found before.
    mutating func actsOnOther(_ left: Int, _ right: Int) -> Bool {
        guard tree.isObject(calls[left].arguments), tree.isObject(calls[right].arguments) else { return false }
        let members = max(tree.count(calls[left].arguments), tree.count(calls[right].arguments))
        guard members <= TraceAnalyzer.membersMax else { return false }
        comparedPairs += 1
        if comparedPairs > TraceAnalyzer.pairsMax { return true }
        var member = tree.first(calls[left].arguments)
        while member.exists {
            let twin = tree.member(calls[right].arguments, tree[member].key)
            if twin.exists {
                var one = HashSet()
                var other = HashSet()
                words(of: member, &one, 0)
                words(of: twin, &other, 0)
                one.seal()
                other.seal()
                if one.count > 0, other.count > 0, HashSet.similarity(one, other) == 0 { return true }
            }
            member = tree.next(member)
        }
        return false
    }
}
