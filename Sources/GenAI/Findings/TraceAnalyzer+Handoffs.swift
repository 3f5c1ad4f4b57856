import Telemetry

extension TraceAnalyzer {
    // MARK: Finding handoffs

    private static let handoffNames: [StaticString] = [
        "transfer_to", "transfer_back", "handoff", "hand_off", "handover", "hand_over", "delegate", "ask_agent",
        "call_agent", "route_to", "coworker", "escalate_to", "forward_to", "invoke_agent", "run_agent", "subagent",
        "sub_agent", "spawn_agent", "dispatch_agent", "consult_agent",
    ]
    /// Whole names of tools that start another agent.
    private static let handoffTools: [StaticString] = ["Task", "Agent"]

    /// Ties calls to the agents that they started, and marks them.
    mutating func joinHandoffs(_ batch: borrowing RecordBatch) {
        for index in calls.indices {
            let name = calls[index].name
            if TraceAnalyzer.isHandoff(name) { calls[index].isHandoff = true }
            if let agent = agent(startedBy: calls[index]) {
                calls[index].isHandoff = true
                if calls[index].step < 0 {
                    calls[index].step = Int32(truncatingIfNeeded: agent)
                    calls[index].isFailed = trace.steps[agent].isFailed
                }
            }
        }
    }

    /// People are told in other words than agents, and ask when they miss something.
    private static let people: [StaticString] = [
        "human", "operator", "live_agent", "representative", "person", "phone",
    ]

    static func isHandoff(_ name: Text) -> Bool { isHandover(name) && !isToPeople(name) }

    /// Whether a tool hands the conversation over to people.
    static func isHandoffToPeople(_ name: Text) -> Bool { isHandover(name) && isToPeople(name) }

    private static func isToPeople(_ name: Text) -> Bool { people.contains { name.holds($0) } }

    private static func isHandover(_ name: Text) -> Bool {
        handoffNames.contains { name.holds($0) } || handoffTools.contains { name == $0 }
    }

    /// The agent below a tool's span, or one of the called name that began behind the model call.
    private func agent(startedBy call: ToolCall) -> Int? {
        if call.step >= 0 {
            let own = Int(call.step)
            for index in trace.steps.indices where trace.steps[index].kind == .agent {
                if index > own, trace.isBelow(index, own), isOther(index, own) { return index }
            }
            return nil
        }
        guard call.model >= 0 else { return nil }
        let model = trace.steps[Int(call.model)]
        for index in trace.steps.indices
        where trace.steps[index].kind == .agent && trace.steps[index].start >= model.start {
            let name = trace.steps[index].agentName
            if name.count >= 3, call.name.place(of: name) != nil {
                return index
            }
        }
        return nil
    }

    private func isOther(_ agent: Int, _ step: Int) -> Bool {
        !(trace.steps[agent].agentName == trace.steps[step].agentName)
    }

    // MARK: What got lost

    /// Sub-agents of one trace that are looked at.
    private static let subAgentsMax = 64
    /// Entities of a request that can be judged: one with more brings a document along, of which a sub-agent needs a
    /// part.
    private static let entitiesMax = 32
    /// Bytes of a request that are read.
    private static let requestMax = 64 << 10

    /// Entities of the request that no sub-agent was told. The union over all handoffs counts: a step-by-step
    /// delegation tells each agent its part. While the topmost span is missing, so may other handoffs be.
    mutating func checkHandoffs(_ batch: borrowing RecordBatch) {
        var told = HashSet()
        var first: Int?
        var hasInputs = false
        for index in calls.indices where calls[index].isHandoff {
            if first == nil { first = index }
            if addWords(of: calls[index], &told) { hasInputs = true }
        }
        let root = rootAgent
        var subAgents: [Int] = []
        for index in trace.steps.indices where trace.steps[index].kind == .agent && isSubAgent(index, root) {
            if subAgents.count == TraceAnalyzer.subAgentsMax { break }
            // Agents that take turns without a handoff get what they need in another way.
            if let root, first == nil, !trace.isBelow(index, root) { continue }
            subAgents.append(index)
            if addInputs(ofAgent: index, batch, &told) { hasInputs = true }
        }
        guard first != nil || !subAgents.isEmpty else { return }
        let place = first.map { Int(calls[$0].place) } ?? subAgents[0]
        guard place < 0 || trace.isWhole(above: place) else { return note(.handoffDrop, isAssessable: false) }
        var entities: [Text] = []
        let isWhole = collectEntities(batch, root, subAgents, &entities)
        guard hasInputs, isWhole, entities.count > 0, entities.count <= TraceAnalyzer.entitiesMax else {
            return note(.handoffDrop, isAssessable: false)
        }
        note(.handoffDrop, isAssessable: true)
        told.seal()
        let untold = entities.filter { !isTold($0, told) }
        let missing = withoutOwnWork(untold, subAgents, lookUps: false)
        let unseen = withoutOwnWork(missing, subAgents, lookUps: true)
        // Whoever only looked something up may have left the work with it to others.
        var tier = self.tier(missing, of: entities.count)
        if let worst = tier, self.tier(unseen, of: entities.count) != .alert { tier = min(worst, .tag) }
        if let tier { return reportDrop(missing, tier, of: entities.count, first, subAgents) }
        if unseen.isEmpty { checkOtherEntity(entities, first, subAgents) }
    }

    /// How bad it is that so many of the request's entities are missing, nil for not at all.
    private func tier(_ missing: [Text], of all: Int) -> FindingTier? {
        let share = Double(all - missing.count) / Double(all)
        if share < options.handoffShare, all >= 2 { return .alert }
        guard missing.contains(where: \.isIdentifier) else { return nil }
        return share <= options.handoffPartialShare ? .tag : .hint
    }

    private mutating func reportDrop(
        _ missing: [Text], _ worst: FindingTier, of all: Int, _ first: Int?, _ subAgents: [Int]
    ) {
        let ids = missing.filter(\.isIdentifier)
        var tier = worst
        // Sub-agents may have found it out by themselves.
        if !ids.isEmpty, unused(ids, by: subAgents).isEmpty { tier = .hint }
        let hashes = missing.prefix(4).map { $0.looseHash.hexDigits }.joined(separator: ",")
        var evidence = "entities=\(all) missing=\(missing.count) missing_hashes=\(hashes)"
        if options.evidenceContent {
            evidence += " missing_entities=\(missing.prefix(8).map(\.string).joined(separator: ","))"
        }
        let call = first.map { calls[$0] }
        let span = call.map { self.span(of: $0) } ?? Int(trace.steps[subAgents[0]].span)
        report(
            Finding(
                .handoffDrop, .handoffEntities, tier, span: span, cause: call.flatMap { cause(of: $0) },
                call: first ?? -1, evidence: evidence,
                "\(missing.count) of \(all) figures, ids and names of the request were not handed to the sub-agent."))
    }

    /// The agent that speaks first; the trace's first one when no model call is below any. An agent around it may only
    /// stand for the run.
    private var rootAgent: Int? {
        for turn in turns.indices {
            let agent = trace.steps[Int(turns[turn].step)].agent
            if agent >= 0 { return Int(agent) }
        }
        for index in trace.steps.indices where trace.steps[index].kind == .agent { return index }
        return nil
    }

    private func isSubAgent(_ index: Int, _ root: Int?) -> Bool {
        guard let root, index != root, !trace.isBelow(root, index) else { return false }
        let name = trace.steps[index].agentName
        return !name.isEmpty && !(name == trace.steps[root].agentName)
    }

    // MARK: Words that sub-agents got

    private mutating func addWords(of call: ToolCall, _ set: inout HashSet) -> Bool {
        guard call.arguments.exists else {
            addWords(call.argumentsText, &set)
            return !call.argumentsText.isEmpty
        }
        addWords(of: call.arguments, &set, 0)
        // The name of the agent alone is no input.
        var own = HashSet()
        words(of: call.arguments, &own, 0)
        own.seal()
        return own.count >= 3
    }

    private mutating func addWords(of ref: JSONRef, _ set: inout HashSet, _ depth: Int) {
        guard depth < 12, set.count < 8_192 else { return }
        switch tree.kind(ref) {
        case .string, .number: addWords(tree.string(ref).capped(32 << 10), &set)
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                addWords(of: child, &set, depth + 1)
                child = tree.next(child)
            }
        default: return
        }
    }

    private func addWords(_ text: Text, _ set: inout HashSet) {
        for joins in [true, false] {
            var cursor = WordCursor(text, joins: joins)
            while set.count < 16_384, let range = cursor.next() {
                set.insert(text[range].looseHash)
                guard joins, let place = cursor.figure(at: range) else { continue }
                for hash in text[place].figureHashes { set.insert(hash) }
            }
        }
    }

    /// What users and other agents say in an agent's own input and in the request of its first model call.
    private mutating func addInputs(ofAgent agent: Int, _ batch: borrowing RecordBatch, _ set: inout HashSet) -> Bool {
        let own = document(trace.value(.input, trace.steps[agent], batch))
        var found = addMessages(own, &set)
        for turn in turns.indices where trace.isBelow(Int(turns[turn].step), agent) {
            if addMessages(input(ofTurn: turn, batch), &set) { found = true }
            break
        }
        return found
    }

    private mutating func addMessages(_ list: JSONRef, _ set: inout HashSet) -> Bool {
        var found = false
        var message = tree.first(list)
        while message.exists {
            // Some agents' input holds the whole run; what they found out themselves was not handed to them.
            if tree.string(tree.member(message, "role")) == "user" {
                addWords(of: tree.member(message, "parts"), &set, 0)
                found = true
            }
            message = tree.next(message)
        }
        return found
    }

    private func isTold(_ entity: Text, _ told: borrowing HashSet) -> Bool {
        if told.contains(entity.looseHash) { return true }
        if let hash = entity.figureHash, told.contains(hash) { return true }
        for (month, day) in entity.dateReadings where isAnyTold(month, told) && isAnyTold(day, told) { return true }
        // Several words, or an id in another spelling: all parts have to be there, of an id those with its digits.
        var cursor = WordCursor(entity, joins: false)
        var parts = 0
        let isID = entity.isIdentifier
        while let range = cursor.next() {
            parts += 1
            let part = entity[range]
            if isID, parts == 1, part.hasLetter, !part.hasDigit { continue }
            if !told.contains(part.looseHash) { return false }
        }
        return parts > 1
    }

    private func isAnyTold(_ hashes: [UInt64], _ told: borrowing HashSet) -> Bool {
        for hash in hashes where told.contains(hash) { return true }
        return false
    }

    /// The entities that are in no call of the agents. Each call is read once.
    mutating func unused(_ entities: [Text], by agents: [Int]) -> [Text] {
        var left = entities
        for index in calls.indices where calls[index].model >= 0 && !calls[index].isHandoff {
            if left.isEmpty { return [] }
            let model = Int(calls[index].model)
            guard agents.contains(where: { trace.isBelow(model, $0) }) else { continue }
            left = without(left, usedBy: index)
        }
        return left
    }

    private mutating func without(_ entities: [Text], usedBy index: Int) -> [Text] {
        var set = HashSet()
        addWords(of: calls[index].arguments, &set, 0)
        set.seal()
        var rest: [Text] = []
        for entity in entities where !isTold(entity, set) { rest.append(entity) }
        return rest
    }

    /// Words of tools whose arguments are words about the work, not work.
    private static let plans: [StaticString] = [
        "think", "thought", "plan", "todo", "todos", "note", "notes", "reason", "reasoning", "reflect", "log", "answer",
    ]

    /// The entities but for those that the delegating agent used in calls of its own that ran: who does a part of the
    /// work has not to hand it over. Those that look something up are asked apart from those that do something.
    private mutating func withoutOwnWork(_ entities: [Text], _ subAgents: [Int], lookUps: Bool) -> [Text] {
        var left = entities
        for index in calls.indices where !left.isEmpty {
            let call = calls[index]
            guard !call.isHandoff, !isFailing(call), call.place >= 0, !isIgnored(call.name) else { continue }
            guard call.step >= 0 || call.hasResult, TraceAnalyzer.isLookUp(call.name) == lookUps else { continue }
            if TraceAnalyzer.plans.contains(where: { TraceAnalyzer.hasWord(call.name, $0) }) { continue }
            let place = Int(call.place)
            if subAgents.contains(where: { trace.isBelow(place, $0) }) { continue }
            var values = HashSet()
            addValues(of: call.arguments, &values, 0)
            values.seal()
            var rest: [Text] = []
            for entity in left where !isTold(entity, values) { rest.append(entity) }
            left = rest
        }
        return left
    }

    /// Values of a call's arguments. What is said in prose, as the request that is passed on whole, is none.
    private mutating func addValues(of ref: JSONRef, _ set: inout HashSet, _ depth: Int) {
        guard depth < 12, set.count < 8_192 else { return }
        switch tree.kind(ref) {
        case .string, .number:
            let value = tree.string(ref).trimmed
            guard value.count <= 128 else { return }
            set.insert(value.looseHash)
            // A name has two words, and so has an amount with its currency.
            var words = WordCursor(value, joins: true)
            var count = 0
            while count <= 2, words.next() != nil { count += 1 }
            if count <= 2 { addWords(value, &set) }
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                addValues(of: child, &set, depth + 1)
                child = tree.next(child)
            }
        default: return
        }
    }

    // MARK: Entities of the request

    /// Ids, figures, quoted words and names of the last user message before the first handoff. False when it is too
    /// long to be read to its end.
    private mutating func collectEntities(
        _ batch: borrowing RecordBatch, _ root: Int?, _ subAgents: [Int], _ entities: inout [Text]
    ) -> Bool {
        for turn in turns.indices {
            let step = Int(turns[turn].step)
            if subAgents.contains(where: { trace.isBelow(step, $0) }) { continue }
            let text = lastUserText(input(ofTurn: turn, batch))
            if text.isEmpty { continue }
            TraceAnalyzer.entities(in: text.capped(TraceAnalyzer.requestMax), &entities)
            return text.count <= TraceAnalyzer.requestMax
        }
        guard let root else { return true }
        let text = lastUserText(document(trace.value(.input, trace.steps[root], batch)))
        TraceAnalyzer.entities(in: text.capped(TraceAnalyzer.requestMax), &entities)
        return text.count <= TraceAnalyzer.requestMax
    }

    mutating func lastUserText(_ list: JSONRef) -> Text {
        var found = Text.empty
        var message = tree.first(list)
        while message.exists {
            if tree.string(tree.member(message, "role")) == "user" {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    if tree.string(tree.member(part, "type")) == "text" {
                        let text = tree.string(tree.member(part, "content"))
                        if !text.trimmed.isEmpty { found = text }
                    }
                    part = tree.next(part)
                }
            }
            message = tree.next(message)
        }
        return found
    }

    /// Up to one more than can be judged.
    static func entities(in text: Text, _ entities: inout [Text]) {
        func add(_ entity: Text) {
            let isKnown = entities.contains { $0.looseHash == entity.looseHash }
            if !isKnown, entities.count <= entitiesMax { entities.append(entity) }
        }
        var cursor = WordCursor(text)
        while entities.count <= entitiesMax, let range = cursor.next() {
            let word = text[range]
            if let place = cursor.figure(at: range) {
                if place.count >= 2 { add(text[place]) }
            } else if word.isIdentifier || (word.hasDigit && word.count >= 2) {
                add(word)
            } else if isName(word, at: range.lowerBound, in: text), !isCalendarWord(word) {
                add(word)
            }
        }
        for range in quotations(in: text) { add(text[range]) }
    }

    /// What stands in double quotes, up to eight words of it.
    private static func quotations(in text: Text) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var open: Int?
        for index in 0..<text.count where text[index] == UInt8(ascii: "\"") {
            guard let start = open else {
                open = index + 1
                continue
            }
            open = nil
            guard index - start >= 3, index - start <= 64 else { continue }
            result.append(start..<index)
        }
        return result
    }

    private static let calendarWords: [StaticString] = [
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
        "december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "jan", "feb", "mar",
        "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mon", "tue", "wed", "thu", "fri", "sat", "sun",
    ]

    /// Months and days of the week: dates are written in many ways.
    private static func isCalendarWord(_ word: Text) -> Bool {
        calendarWords.contains { word.count == $0.utf8CodeUnitCount && word.beginsWith($0) }
    }

    /// A capitalized word that does not begin a sentence.
    private static func isName(_ word: Text, at start: Int, in text: Text) -> Bool {
        guard word.count >= 3, word[0] >= 0x41, word[0] <= 0x5A, word[1] >= 0x61 else { return false }
        var index = start - 1
        while index >= 0, text[index] == 0x20 { index -= 1 }
        guard index >= 0 else { return false }
        switch text[index] {
        case UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?"), UInt8(ascii: ":"), 0x0A, 0x0D, UInt8(ascii: "-"),
            UInt8(ascii: "*"), UInt8(ascii: "#"), UInt8(ascii: ">"), UInt8(ascii: "\""):
            return false
        default: return true
        }
    }
}
