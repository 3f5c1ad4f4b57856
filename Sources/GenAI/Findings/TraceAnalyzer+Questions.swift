import Telemetry

/// What the user asked between calls: to look again for a new question is no loop.
extension TraceAnalyzer {
    /// When models of topmost agents answered in text without asking for a tool, in the order of time.
    func answerTimes() -> [UInt64] {
        var times: [UInt64] = []
        for turn in turns.indices where turns[turn].calls == 0 && !turns[turn].text.isEmpty {
            let step = trace.steps[Int(turns[turn].step)]
            if isTopmost(step.agent) { times.append(step.start) }
        }
        return times.sorted()
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

    /// Those of a list of calls that came behind the last answer with a new question.
    mutating func sinceLastQuestion(_ list: [Int], _ answers: [UInt64], _ batch: borrowing RecordBatch) -> [Int] {
        guard list.count > 1, list.count >= options.repeatTag else { return list }
        for place in (1..<list.count).reversed()
        where isAnswered(list[place - 1], before: list[place], answers)
            && isAskedAnew(list[place - 1], list[place], batch)
        {
            return Array(list[place...])
        }
        return list
    }

    private func isAnswered(_ call: Int, before other: Int, _ answers: [UInt64]) -> Bool {
        var (low, high) = (0, answers.count)
        while low < high {
            let middle = (low + high) / 2
            if answers[middle] < calls[call].time { low = middle + 1 } else { high = middle }
        }
        return low < answers.count && answers[low] <= calls[other].time
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
