import Telemetry

/// What the user asked between calls: to look again for a new question is no loop.
extension TraceAnalyzer {
    /// When models answered in text without asking for a tool, and what the calls that started agents told them.
    func askings() -> Askings {
        var askings = Askings()
        for turn in turns.indices where turns[turn].calls == 0 && !turns[turn].text.isEmpty {
            let step = trace.steps[Int(turns[turn].step)]
            askings.answers[step.agent, default: []].append(step.start)
            if isTopmost(step.agent) { askings.topmost.append(step.start) }
        }
        askings.topmost.sort()
        for agent in askings.answers.keys { askings.answers[agent]?.sort() }
        for index in calls.indices where calls[index].isHandoff && calls[index].step >= 0 {
            askings.tasks[calls[index].step] = calls[index].signature
        }
        return askings
    }

    /// Whether no other agent called this one. Some frameworks put several spans of one agent inside each other.
    private func isTopmost(_ agent: Int32) -> Bool {
        var agent = agent
        for _ in 0..<8 {
            guard agent >= 0 else { return true }
            let parent = trace.steps[Int(agent)].parent
            guard parent >= 0, trace.steps[Int(parent)].agent >= 0 else { return true }
            let above = trace.steps[Int(parent)].agent
            guard trace.steps[Int(above)].agentName == trace.steps[Int(agent)].agentName else { return false }
            agent = above
        }
        return false
    }

    /// Those of a list of calls that came behind the last answer with a new question, or for the last task.
    mutating func sinceLastQuestion(_ list: [Int], _ askings: Askings, _ batch: borrowing RecordBatch) -> [Int] {
        guard list.count > 1, list.count >= options.repeatTag else { return list }
        for place in (1..<list.count).reversed() where beginsAnew(list[place - 1], list[place], askings, batch) {
            return Array(list[place...])
        }
        return list
    }

    private mutating func beginsAnew(
        _ left: Int, _ right: Int, _ askings: Askings, _ batch: borrowing RecordBatch
    ) -> Bool {
        var isAnswered = askings.isAnswered(askings.topmost, calls[left].time, calls[right].time)
        if let (one, other) = agentsApart(calls[left], calls[right]) {
            let (task, next) = (self.task(of: one, askings), self.task(of: other, askings))
            if task != 0, next != 0, task != next { return true }
            // A sub-agent's answer ends its run.
            if let times = askings.answers[one] {
                isAnswered = isAnswered || askings.isAnswered(times, calls[left].time, calls[right].time)
            }
        }
        return isAnswered && isAskedAnew(left, right, batch)
    }

    /// The spans of the agents of two calls when they are different ones side by side.
    private func agentsApart(_ left: ToolCall, _ right: ToolCall) -> (Int32, Int32)? {
        guard left.place >= 0, right.place >= 0 else { return nil }
        let (one, other) = (trace.steps[Int(left.place)].agent, trace.steps[Int(right.place)].agent)
        guard one >= 0, other >= 0, one != other else { return nil }
        if trace.isBelow(Int(one), Int(other)) || trace.isBelow(Int(other), Int(one)) { return nil }
        return (one, other)
    }

    /// A hash of the arguments of the call that started an agent; 0 when none is known. Some frameworks put several
    /// spans of one agent inside each other.
    private func task(of agent: Int32, _ askings: Askings) -> UInt64 {
        var step = agent
        for _ in 0..<8 {
            if let task = askings.tasks[step] { return task }
            step = trace.steps[Int(step)].parent
            guard step >= 0 else { return 0 }
            let above = trace.steps[Int(step)]
            if above.kind == .agent, !(above.agentName == trace.steps[Int(agent)].agentName) { return 0 }
        }
        return 0
    }

    private mutating func isAskedAnew(_ left: Int, _ right: Int, _ batch: borrowing RecordBatch) -> Bool {
        let one = question(of: left, batch)
        let other = question(of: right, batch)
        return one != 0 && other != 0 && one != other
    }

    /// A hash of what the user had said when a model asked for a call; 0 where that is not known. Where calls are text
    /// it is not: what the tools say comes in the user's place there.
    private mutating func question(of index: Int, _ batch: borrowing RecordBatch) -> UInt64 {
        if calls[index].didReadQuestion { return calls[index].question }
        calls[index].didReadQuestion = true
        guard calls[index].isAnnounced, let turn = turn(of: calls[index]) else { return 0 }
        let hash = question(in: input(ofTurn: turn, batch))
        calls[index].question = hash
        return hash
    }

    /// How many texts of the user there are, and the last of them.
    private mutating func question(in list: JSONRef) -> UInt64 {
        var count: UInt64 = 0
        var last = Text.empty
        var message = tree.first(list)
        while message.exists {
            let isUser = tree.string(tree.member(message, "role")) == "user"
            var part = isUser ? tree.first(tree.member(message, "parts")) : .none
            while part.exists {
                let content = tree.member(part, "content")
                if tree.string(tree.member(part, "type")) == "text", tree.isString(content) {
                    count += 1
                    last = tree.string(content)
                }
                part = tree.next(part)
            }
            message = tree.next(message)
        }
        guard count > 0 else { return 0 }
        var hash = ContentHash(seed: count)
        hash.add(last)
        return hash.value
    }
}

/// What tells that calls were made for different questions or tasks.
struct Askings {
    /// When models of topmost agents answered, in the order of time.
    var topmost: [UInt64] = []
    /// The same by the agent's span, for all agents.
    var answers: [Int32: [UInt64]] = [:]
    /// By the step of a handoff: a hash of its arguments.
    var tasks: [Int32: UInt64] = [:]

    /// Whether one of the answers came between two calls.
    func isAnswered(_ answers: [UInt64], _ call: UInt64, _ other: UInt64) -> Bool {
        var (low, high) = (0, answers.count)
        while low < high {
            let middle = (low + high) / 2
            if answers[middle] < call { low = middle + 1 } else { high = middle }
        }
        return low < answers.count && answers[low] <= other
    }
}
