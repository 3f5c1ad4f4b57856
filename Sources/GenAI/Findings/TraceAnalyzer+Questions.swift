import Telemetry

/// What the user asked between calls: to look again for a new question is no loop.
extension TraceAnalyzer {
    /// When models answered in text without asking for a tool, and what the calls that started agents told them.
    mutating func askings() -> Askings {
        var askings = Askings()
        for turn in turns.indices where turns[turn].calls == 0 && !turns[turn].text.isEmpty {
            let step = trace.steps[Int(turns[turn].step)]
            askings.answers[step.agent, default: []].append(step.start)
            if isTopmost(step.agent) { askings.topmost.append(step.start) }
        }
        askings.topmost.sort()
        for agent in askings.answers.keys { askings.answers[agent]?.sort() }
        for index in calls.indices where calls[index].isHandoff && calls[index].step >= 0 {
            let task = taskWords(of: calls[index])
            if !task.isEmpty { askings.tasks[calls[index].step] = task }
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

    /// Equal calls for tasks that differ that are a tag all the same.
    static let callsOfTasksMax = 6

    /// Those of a list of calls that came behind the last answer with a new question, or for the last task.
    mutating func sinceLastQuestion(
        _ list: [Int], _ askings: inout Askings, _ batch: borrowing RecordBatch, overTasks: Bool = false
    ) -> [Int] {
        guard list.count > 1, list.count >= options.repeatTag else { return list }
        for place in (1..<list.count).reversed() {
            let (left, right) = (list[place - 1], list[place])
            if isNewQuestion(left, right, askings, batch) { return Array(list[place...]) }
            if !overTasks, isOtherTask(left, right, &askings, batch) { return Array(list[place...]) }
        }
        return list
    }

    /// Those of a list, over all tasks, when they are too many even for that.
    mutating func overTasks(_ list: [Int], _ askings: inout Askings, _ batch: borrowing RecordBatch) -> [Int] {
        guard list.count >= Self.callsOfTasksMax else { return [] }
        return sinceLastQuestion(list, &askings, batch, overTasks: true)
    }

    private mutating func isNewQuestion(
        _ left: Int, _ right: Int, _ askings: Askings, _ batch: borrowing RecordBatch
    ) -> Bool {
        askings.isAnswered(askings.topmost, calls[left].time, calls[right].time) && isAskedAnew(left, right, batch)
    }

    /// Whether two calls are of runs of a sub-agent that were told something else: a task in other words is the same.
    private mutating func isOtherTask(
        _ left: Int, _ right: Int, _ askings: inout Askings, _ batch: borrowing RecordBatch
    ) -> Bool {
        // What found nothing for one task was not worth a look for the next.
        guard calls[right].emptiness == .none, let (one, other) = agentsApart(calls[left], calls[right]) else {
            return false
        }
        if let task = self.task(of: one, askings), let next = self.task(of: other, askings), isOther(task, next) {
            return true
        }
        // A sub-agent's answer ends its run, unless the next one goes on with the same talk.
        guard let times = askings.answers[one], askings.isAnswered(times, calls[left].time, calls[right].time),
            isAskedAnew(left, right, batch)
        else { return false }
        let goesOn = calls[left].questions != calls[right].questions
        let question: KeyPath<ToolCall, Text> = goesOn ? \.firstQuestion : \.lastQuestion
        let known: WritableKeyPath<Askings, [Int: TaskWords]> = goesOn ? \.first : \.last
        let earlier = words(of: left, question, known, &askings)
        let later = words(of: right, question, known, &askings)
        return isOther(earlier, later)
    }

    private func isOther(_ left: TaskWords, _ right: TaskWords) -> Bool {
        left.figures != right.figures || left.similarity(to: right) < options.nearRepeatSimilarity
    }

    /// The words of a call's question, read once.
    private func words(
        of index: Int, _ question: KeyPath<ToolCall, Text>, _ known: WritableKeyPath<Askings, [Int: TaskWords]>,
        _ askings: inout Askings
    ) -> TaskWords {
        if let words = askings[keyPath: known][index] { return words }
        var words = TaskWords()
        words.add(calls[index][keyPath: question])
        askings[keyPath: known][index] = words
        return words
    }

    /// What the call that starts an agent tells it, without what every call has anew.
    private mutating func taskWords(of call: ToolCall) -> TaskWords {
        var words = TaskWords()
        if call.arguments.exists {
            add(call.arguments, to: &words, 0)
        } else {
            words.add(call.argumentsText)
        }
        return words
    }

    private mutating func add(_ ref: JSONRef, to words: inout TaskWords, _ depth: Int) {
        guard depth < 8 else { return }
        switch tree.kind(ref) {
        case .string, .number: words.add(tree.string(ref))
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                let name = tree[child].key
                let isAnew = JSONTree.isVolatile(name) || TraceAnalyzer.isOneOf(name, TaskWords.counters)
                if !isAnew { add(child, to: &words, depth + 1) }
                child = tree.next(child)
            }
        default: return
        }
    }

    /// The spans of the agents of two calls when they are different ones side by side.
    private func agentsApart(_ left: ToolCall, _ right: ToolCall) -> (Int32, Int32)? {
        guard left.place >= 0, right.place >= 0 else { return nil }
        let (one, other) = (trace.steps[Int(left.place)].agent, trace.steps[Int(right.place)].agent)
        guard one >= 0, other >= 0, one != other else { return nil }
        if trace.isBelow(Int(one), Int(other)) || trace.isBelow(Int(other), Int(one)) { return nil }
        return (one, other)
    }

    /// What the call that started an agent told it; nil when none is known. Some frameworks put several spans of one
    /// agent inside each other.
    private func task(of agent: Int32, _ askings: Askings) -> TaskWords? {
        var step = agent
        for _ in 0..<8 {
            if let task = askings.tasks[step] { return task }
            step = trace.steps[Int(step)].parent
            guard step >= 0 else { return nil }
            let above = trace.steps[Int(step)]
            if above.kind == .agent, !(above.agentName == trace.steps[Int(agent)].agentName) { return nil }
        }
        return nil
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
        let list = input(ofTurn: turn, batch)
        readQuestions(list, of: index)
        return calls[index].question
    }

    /// How many texts of the user there are, the first and the last of them.
    private mutating func readQuestions(_ list: JSONRef, of index: Int) {
        var count = 0
        var (first, last) = (Text.empty, Text.empty)
        var message = tree.first(list)
        while message.exists {
            let isUser = tree.string(tree.member(message, "role")) == "user"
            var part = isUser ? tree.first(tree.member(message, "parts")) : .none
            while part.exists {
                let content = tree.member(part, "content")
                if tree.string(tree.member(part, "type")) == "text", tree.isString(content) {
                    count += 1
                    last = tree.string(content)
                    if count == 1 { first = last }
                }
                part = tree.next(part)
            }
            message = tree.next(message)
        }
        guard count > 0 else { return }
        var hash = ContentHash(seed: UInt64(count))
        hash.add(last)
        calls[index].question = hash.value
        calls[index].questions = count
        calls[index].firstQuestion = first
        calls[index].lastQuestion = last
    }
}

/// What tells that calls were made for different questions or tasks.
struct Askings {
    /// When models of topmost agents answered, in the order of time.
    var topmost: [UInt64] = []
    /// The same by the agent's span, for all agents.
    var answers: [Int32: [UInt64]] = [:]
    /// By the step of a handoff: what it tells.
    var tasks: [Int32: TaskWords] = [:]
    /// By call: the first and the last text of the user before it, once somebody asked.
    var first: [Int: TaskWords] = [:]
    var last: [Int: TaskWords] = [:]

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
