import Telemetry

extension TraceAnalyzer {
    /// Calls that repeat without progress: the same call, the same error, or nearly the same call. What fails is a
    /// retry storm, what does not is a loop.
    mutating func checkRepeats(_ batch: borrowing RecordBatch, _ memory: FindingsMemory) {
        if calls.count > 0 { checkCalls(batch, memory) } else { note(.loop, isAssessable: false) }
        checkAnswers()
    }

    /// How often one call was repeated, and where.
    struct Repeat {
        var rule: FindingRule
        var count: Int
        var tier: FindingTier
        var last: Int
        var first: Int
        /// Calls that came from earlier traces of the session.
        var earlier = 0
        /// Calls that came from earlier pieces of this trace.
        var inPieces = 0
    }

    private mutating func checkCalls(_ batch: borrowing RecordBatch, _ memory: FindingsMemory) {
        note(.loop, isAssessable: true)
        note(.retryStorm, isAssessable: true)
        let order = callOrder()
        // Every call belongs to at most one report: the worst one.
        var isReported = [Bool](repeating: false, count: calls.count)
        var found: [Repeat] = []
        var askings = self.askings()
        for place in order.indices {
            let window = order[max(0, place - options.repeatWindow + 1)...place]
            if let hit = repeats(Array(window), &askings, batch) { found.append(hit) }
        }
        let pieces = callsInPieces(memory, batch)
        found += repeats(order, over: pieces, batch)
        found += endlessMoves(order)
        found += endlessWaits(order)
        found.sort { ($0.tier.rawValue, $0.count) > ($1.tier.rawValue, $1.count) }
        for hit in found where !isReported[hit.last] && !isReported[hit.first] {
            for index in calls.indices
            where calls[index].name == calls[hit.last].name && isAlike(index, hit.last, hit.rule)
                && isSameAgent(calls[index], calls[hit.last])
            {
                isReported[index] = true
            }
            report(finding(hit))
        }
        if !found.contains(where: { $0.tier > .hint }) { checkSession(order, memory) }
    }

    /// Calls in the order of time; of the same time in the order of the trace.
    private func callOrder() -> [Int] {
        var order = Array(calls.indices)
        order.sort { isBefore($0, $1) }
        return order
    }

    /// Whether a call came before another: by time, then by the place of its span in the trace.
    func isBefore(_ left: Int, _ right: Int) -> Bool {
        (calls[left].time, calls[left].place, left) < (calls[right].time, calls[right].place, right)
    }

    private func isAlike(_ left: Int, _ right: Int, _ rule: FindingRule) -> Bool {
        switch rule {
        case .repeatedError: calls[left].errorHash == calls[right].errorHash
        case .repeatedCall: calls[left].signature == calls[right].signature
        default: true
        }
    }

    func isFailing(_ call: ToolCall) -> Bool { call.isFailed || call.isSoftError }

    mutating func mayRepeat(_ call: ToolCall) -> Bool { isAllowed(call) || isMove(call) }

    /// Whether a call's tool may be called again and again because somebody says so.
    func isAllowed(_ call: ToolCall) -> Bool {
        for part in options.repeatableTools {
            var part = part
            if part.withUTF8({ call.name.place(of: Text(UnsafeRawBufferPointer($0))) }) != nil { return true }
        }
        return isIgnored(call.name)
    }

    /// The repeats that end with the window's last call; nil when there are too few.
    private mutating func repeats(
        _ window: [Int], _ askings: inout Askings, _ batch: borrowing RecordBatch
    ) -> Repeat? {
        guard let last = window.last else { return nil }
        let call = calls[last]
        if call.isHandoff { return nil }
        let isFailing = isFailing(call)
        if !isFailing, mayRepeat(call) || saysWaiting(call) { return nil }
        var same: [Int] = []
        var errors: [Int] = []
        var near: [Int] = []
        // How many of each came before the last progress.
        var before = (same: 0, errors: 0, near: 0)
        let mayWait = !isFailing && !call.isOpenEnded && TraceAnalyzer.looks(call.name)
        for (place, index) in window.enumerated() {
            let other = calls[index]
            let hasAny = !same.isEmpty || !errors.isEmpty || !near.isEmpty
            if hasAny, isProgress(place, in: window) || (mayWait && isPause(other, of: call)) {
                before = (same.count, errors.count, near.count)
            }
            guard other.name == call.name, isSameAgent(other, call) else { continue }
            let isSame = call.signature != 0 && other.signature == call.signature
            // A changed result is progress: polling, or reading again after a change.
            let isStuck = isFailing ? self.isFailing(other) : !self.isFailing(other) && isSameResult(other, call)
            if isSame && isStuck { same.append(index) }
            if isFailing && call.errorHash > 2 && other.errorHash == call.errorHash { errors.append(index) }
            let isComparable = isStuck && (call.hasResult || isFailing) && !isSameTurn(other, call)
            if index == last || (isComparable && isNear(index, last)) { near.append(index) }
        }
        var ofTasks: [Int] = []
        // What came out the same behind a change was worth a look; what fails again has not got far.
        if !isFailing {
            same.removeFirst(before.same)
            near.removeFirst(before.near)
            ofTasks = overTasks(same, &askings, batch)
            same = sinceLastQuestion(same, &askings, batch)
            near = sinceLastQuestion(near, &askings, batch)
        }
        var best: Repeat?
        func offer(_ rule: FindingRule, _ list: [Int], _ tag: Int, _ alert: Int, atMost most: FindingTier) {
            guard list.count >= tag, let first = list.first else { return }
            let tier = min(list.count >= alert ? .alert : .tag, most)
            if let best, (best.tier.rawValue, best.count) >= (tier.rawValue, list.count) { return }
            best = Repeat(rule: rule, count: list.count, tier: tier, last: last, first: first)
        }
        // Where results or errors are masked, nobody knows whether they were the same.
        let isAlert = max(same.count, errors.count, near.count) >= options.repeatAlert
        let mostOfMasked: FindingTier = isAlert && isOutcomeMasked(call) ? .tag : .alert
        let mostOfSame = isFailing ? FindingTier.alert : mostOfMasked
        var most = worst(same, before.same)
        offer(.repeatedCall, same, options.repeatTag, options.repeatAlert, atMost: min(most, mostOfSame))
        offer(.repeatedCall, ofTasks, Self.callsOfTasksMax, .max, atMost: .tag)
        // Where one tool does everything, calls with other arguments come between its errors.
        if call.isOpenEnded { most = worst(errors, before.errors) }
        offer(.repeatedError, errors, options.repeatTag, options.repeatAlert, atMost: min(most, mostOfMasked))
        if call.isOpenEnded { most = worst(near, before.near) }
        most = min(most, worst(near), mostOfSame)
        offer(.repeatedNearly, near, options.nearRepeatTag, options.nearRepeatAlert, atMost: most)
        return best
    }

    /// How bad calls can be that fail although something changed behind the first `before` of them: unless they went on
    /// failing with nothing in between, somebody works on it.
    private func worst(_ list: [Int], _ before: Int) -> FindingTier {
        guard let last = list.last, isFailing(calls[last]), before > 0 else { return .alert }
        return list.count - before < options.repeatAlert ? .tag : .alert
    }

    /// How bad nearly equal calls can be: what is masked in them may be what differs, and in a batch no two are equal.
    private func worst(_ near: [Int]) -> FindingTier {
        if near.contains(where: { calls[$0].isMasked }) { return .hint }
        guard let last = near.last, !isFailing(calls[last]), calls[last].emptiness == .none else { return .alert }
        return areAllDifferent(near) ? .tag : .alert
    }

    func isSameResult(_ left: ToolCall, _ right: ToolCall) -> Bool {
        if left.emptiness != .none && right.emptiness != .none { return true }
        return left.resultHash == right.resultHash
    }

    /// Whether two calls share most words of their values. Calls that give data for other figures or ids are about
    /// other things: a batch.
    private mutating func isNear(_ left: Int, _ right: Int) -> Bool {
        if calls[left].signature != 0, calls[left].signature == calls[right].signature { return true }
        var one = HashSet()
        var other = HashSet()
        fill(&one, left)
        fill(&other, right)
        guard one.count >= 3, other.count >= 3 else { return false }
        guard HashSet.similarity(one, other) >= options.nearRepeatSimilarity else { return false }
        if isFailing(calls[left]) || calls[left].emptiness != .none { return true }
        if TraceAnalyzer.isAction(calls[left].name), actsOnOther(left, right) { return false }
        var ownIDs = HashSet()
        var otherIDs = HashSet()
        figures(calls[left].arguments, &ownIDs, 0)
        figures(calls[right].arguments, &otherIDs, 0)
        ownIDs.seal()
        otherIDs.seal()
        return HashSet.similarity(ownIDs, otherIDs) == 1
    }

    /// Words with digits or `@` of all values below.
    private mutating func figures(_ ref: JSONRef, _ set: inout HashSet, _ depth: Int) {
        guard depth < 8, set.count < 64 else { return }
        switch tree.kind(ref) {
        case .string, .number:
            let text = tree.string(ref).capped(2_048)
            var cursor = WordCursor(text, joins: true)
            while set.count < 64, let range = cursor.next() {
                let word = text[range]
                if word.hasDigit || word.firstIndex(of: UInt8(ascii: "@")) != nil { set.insert(word.looseHash) }
            }
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                figures(child, &set, depth + 1)
                child = tree.next(child)
            }
        default: return
        }
    }

    mutating func fill(_ set: inout HashSet, _ index: Int) {
        if calls[index].arguments.exists {
            words(of: calls[index].arguments, &set, 0)
        } else {
            words(calls[index].argumentsText, &set)
        }
        set.seal()
    }

    /// Words of all values below, ids whole.
    mutating func words(of ref: JSONRef, _ set: inout HashSet, _ depth: Int) {
        guard depth < 8, set.count < 256 else { return }
        switch tree.kind(ref) {
        case .string, .number: words(tree.string(ref), &set)
        case .array, .object:
            var child = tree.first(ref)
            while child.exists {
                words(of: child, &set, depth + 1)
                child = tree.next(child)
            }
        default: return
        }
    }

    private func words(_ text: Text, _ set: inout HashSet) {
        let text = text.capped(2_048)
        var cursor = WordCursor(text, joins: true)
        while set.count < 256, let range = cursor.next() { set.insert(text[range].looseHash) }
    }

    private func finding(_ hit: Repeat) -> Finding {
        let call = calls[hit.last]
        let isStorm = isFailing(call) || call.emptiness != .none
        let outcome = isFailing(call) ? "failed" : isStorm ? "came back empty" : "the same result"
        let what: String
        switch hit.rule {
        case .repeatedError: what = "the same error"
        case .repeatedNearly: what = "nearly the same arguments"
        default: what = "the same arguments"
        }
        var evidence = "tool=\(call.name.string) calls=\(hit.count) arguments_hash=\(call.signature.hexDigits)"
        if call.errorHash != 0 { evidence += " error_hash=\(call.errorHash.hexDigits)" }
        if hit.earlier > 0 { evidence += " in_earlier_traces=\(hit.earlier)" }
        if hit.inPieces > 0 { evidence += " in_earlier_pieces=\(hit.inPieces)" }
        if options.evidenceContent { evidence += " arguments=\(argumentText(call))" }
        return Finding(
            isStorm ? .retryStorm : .loop, hit.rule, hit.tier, span: span(of: call), cause: cause(of: calls[hit.first]),
            call: hit.last, evidence: evidence,
            "\(call.name.string) was called \(hit.count) times with \(what) and \(outcome).")
    }

    // MARK: Across the traces of a session

    /// Reports the worst of what failed before in the session: an empty list that was told must not hide it.
    private mutating func checkSession(_ order: [Int], _ memory: FindingsMemory) {
        guard let seen = memory.sessions.peek(sessionKey), !seen.isEmpty else { return }
        var best: Repeat?
        for index in order {
            guard let hit = repeats(index, ofSession: seen) else { continue }
            if let best, rank(best) >= rank(hit) { continue }
            best = hit
        }
        if let best { report(finding(best)) }
    }

    private func rank(_ hit: Repeat) -> (UInt8, Int, Int) {
        (hit.tier.rawValue, isFailing(calls[hit.last]) ? 1 : 0, hit.count)
    }

    private mutating func repeats(_ index: Int, ofSession seen: [FindingsMemory.SeenCall]) -> Repeat? {
        let call = calls[index]
        // Reading the same thing again in a later turn is normal; failing again is not.
        guard isFailing(call) || call.emptiness != .none, !call.isHandoff else { return nil }
        let name = call.name.looseHash
        let hasKnownError = call.errorHash > 2 && !isOutcomeMasked(call)
        let earlier = seen.filter {
            guard $0.name == name, $0.isFailed, $0.trace != traceKey, isSoon($0.time, call.time) else {
                return false
            }
            if call.signature != 0, $0.signature == call.signature { return true }
            return hasKnownError && $0.error == call.errorHash
        }.count
        let count = earlier + 1
        guard earlier > 0, count >= options.sessionRepeatTag else { return nil }
        var tier = count >= options.sessionRepeatAlert ? FindingTier.alert : .tag
        // Who is told that there is nothing may well ask again.
        if !isFailing(call), isTold(index) { tier = .tag }
        var hit = Repeat(rule: .repeatedCall, count: count, tier: tier, last: index, first: index)
        hit.earlier = earlier
        return hit
    }

    /// Whether the next answer says in its own words that there was nothing. What is not recorded says nothing.
    private func isTold(_ index: Int) -> Bool {
        let call = calls[index]
        for turn in turns.indices {
            let step = trace.steps[Int(turns[turn].step)]
            guard (step.start, turns[turn].step) > (call.time, call.place), turns[turn].step != call.model else {
                continue
            }
            if turns[turn].text.isEmpty { continue }
            if TraceAnalyzer.mentionsAbsence(turns[turn].text.capped(2_048), behind: call.name) { return true }
            if turns[turn].calls == 0 { return false }
        }
        return false
    }

    /// Whether calls of different traces came so soon after each other that they may be one attempt.
    private func isSoon(_ time: UInt64, _ other: UInt64) -> Bool {
        max(time, other) - min(time, other) <= options.sessionRepeatTime
    }

    // MARK: Answers

    /// The same answer of a model three times in one trace.
    private mutating func checkAnswers() {
        let isPlain = plainAnswers()
        var counts: [UInt64: Int] = [:]
        for last in turns.indices where isPlain[last] {
            let step = trace.steps[Int(turns[last].step)]
            var hash = ContentHash(seed: UInt64(truncatingIfNeeded: step.agent))
            hash.add(turns[last].text)
            let count = (counts[hash.value] ?? 0) + 1
            counts[hash.value] = count
            guard count >= 3 else { continue }
            let span = Int(step.span)
            return report(
                Finding(
                    .loop, .repeatedAnswer, count >= 4 ? .alert : .tag, span: span, cause: span,
                    evidence: "answers=\(count) text_hash=\(ContentHash.of(turns[last].text).hexDigits)",
                    "The model gave the same answer \(count) times."))
        }
    }

    /// By turn: text that no tool call followed. Where calls are text or code, what the tool gave back decides.
    private func plainAnswers() -> [Bool] {
        var starts: [UInt64] = []
        for index in calls.indices where calls[index].step >= 0 {
            starts.append(trace.steps[Int(calls[index].step)].start)
        }
        starts.sort()
        var isPlain = [Bool](repeating: false, count: turns.count)
        var next: [Int32: UInt64] = [:]
        for turn in turns.indices.reversed() {
            let step = trace.steps[Int(turns[turn].step)]
            let end = next[step.agent] ?? UInt64.max
            next[step.agent] = step.start
            guard turns[turn].text.count >= 20, turns[turn].calls == 0 else { continue }
            var (low, high) = (0, starts.count)
            while low < high {
                let middle = (low + high) / 2
                if starts[middle] < step.start { low = middle + 1 } else { high = middle }
            }
            isPlain[turn] = low == starts.count || starts[low] > end
        }
        return isPlain
    }
}
