import Telemetry

extension TraceAnalyzer {
    /// Empty results and errors that no span status tells.
    mutating func checkResults(_ memory: FindingsMemory) {
        var removals: [Removal]?
        for index in calls.indices {
            let call = calls[index]
            if call.isHandoff || call.isFailed { continue }
            guard call.hasResult else {
                note(.silentEmptyResponse, isAssessable: false)
                note(.softError, isAssessable: false)
                continue
            }
            note(.silentEmptyResponse, isAssessable: true)
            note(.softError, isAssessable: true)
            if call.isSoftError {
                report(softErrorFinding(index))
            } else if call.emptiness != .none, !isVoid(call, memory), isFailure(index) {
                let known: [Removal]
                if let removals { known = removals } else { known = self.removals() }
                removals = known
                report(emptyFinding(index, known))
            }
        }
    }

    /// Whether nothing is less than one hoped for: no good news, and not the end of a list.
    private mutating func isFailure(_ index: Int) -> Bool {
        !calls[index].oddity.isEmpty || !(isGoodNews(calls[index]) || isLastPage(index))
    }

    // MARK: Soft errors

    private func softErrorFinding(_ index: Int) -> Finding {
        let call = calls[index]
        var evidence = "tool=\(call.name.string) error_hash=\(call.errorText.errorHash.hexDigits)"
        if options.evidenceContent { evidence += " error=\(quoted(call.errorText))" }
        return Finding(
            .softError, .softError, .tag, span: span(of: call), cause: nil, call: index, evidence: evidence,
            "\(call.name.string) answered with an error, but its span does not say so.")
    }

    // MARK: Empty results

    /// Whether emptiness is what this tool always gives: by its record, or for null, `{}` and `[]` by what its name
    /// says it does.
    private func isVoid(_ call: ToolCall, _ memory: FindingsMemory) -> Bool {
        var facts = memory.tools.peek(call.name.looseHash) ?? FindingsMemory.ToolFacts()
        for index in calls.indices where calls[index].hasResult && !calls[index].isFailed {
            guard calls[index].name == call.name, calls[index].showsHabit else { continue }
            facts.calls += 1
            if calls[index].emptiness != .none { facts.empties += 1 }
        }
        if facts.calls >= options.voidToolCalls {
            if Double(facts.empties) > options.voidToolShare * Double(facts.calls) { return true }
        }
        guard facts.empties == facts.calls else { return false }
        if isBare(call) { return TraceAnalyzer.isMereAction(call.name) }
        return call.emptiness == .null && TraceAnalyzer.isAction(call.name)
    }

    private func emptyFinding(_ index: Int, _ removals: [Removal]) -> Finding {
        let call = calls[index]
        let isOdd = !call.oddity.isEmpty
        var tier = FindingTier.tag
        // An answer that goes on as if there had been data, or a cause that is known, makes it worse.
        if isOdd || !(isNoticed(index) || isExpected(index, removals)) { tier = .alert }
        if call.emptiness == .null && !isOdd { tier = .tag }
        var evidence = "tool=\(call.name.string) result=\(call.emptiness.name)"
        evidence += " arguments_hash=\(call.signature.hexDigits)"
        var text = "\(call.name.string) succeeded with no data"
        if isOdd {
            let names = call.oddity.names.joined(separator: ",")
            evidence += " cause_argument=\(call.oddArgument.string) cause=\(names)"
            let words = names.replacing("_", with: " ").replacing(",", with: ", ")
            text += "; probable cause: argument \(call.oddArgument.string) has \(words)"
        }
        if options.evidenceContent, !call.argumentsText.isEmpty || call.arguments.exists {
            evidence += " arguments=\(argumentText(call))"
        }
        return Finding(
            .silentEmptyResponse, .emptyResult, tier, span: span(of: call), cause: isOdd ? cause(of: call) : nil,
            call: index, evidence: evidence, text + ".")
    }

    /// Whether somebody reacts to an empty result: the tool is called again, another one is asked in its place, or the
    /// next answer says that there is nothing. Also true when the next answer is not in the telemetry.
    private func isNoticed(_ index: Int) -> Bool {
        let call = calls[index]
        for later in calls.indices where calls[later].name == call.name && later != index {
            if (calls[later].time, calls[later].place) > (call.time, call.place) { return true }
        }
        for turn in turns.indices {
            let step = trace.steps[Int(turns[turn].step)]
            guard (step.start, turns[turn].step) > (call.time, call.place), turns[turn].step != call.model else {
                continue
            }
            if !turns[turn].output.exists { return true }
            if turns[turn].text.isEmpty { return turns[turn].calls > 0 }
            return TraceAnalyzer.mentionsAbsence(turns[turn].text.capped(2_048), behind: call.name)
        }
        return true
    }

    /// A call behind which less is there.
    private typealias Removal = (index: Int, noun: Text?)

    private func removals() -> [Removal] {
        calls.indices.filter { !isFailing(calls[$0]) && TraceAnalyzer.isRemoval(calls[$0].name) }
            .map { (index: $0, noun: TraceAnalyzer.noun(of: calls[$0].name)) }
    }

    /// Whether nothing may well be what is wanted: what was there has been removed, or the agent looked for what it
    /// remembers of its user.
    private func isExpected(_ index: Int, _ removals: [Removal]) -> Bool {
        let name = calls[index].name
        if TraceAnalyzer.isRecall(name) { return true }
        let before = removals.filter { isBefore($0.index, index) }
        if before.isEmpty { return false }
        let noun = TraceAnalyzer.noun(of: name)
        let shown = firstShown(before: index)
        return before.contains { removal in
            if let noun, let other = removal.noun, TraceAnalyzer.isSameNoun(noun, other) { return true }
            guard let shown, !TraceAnalyzer.isOwnThing(removal.noun) else { return false }
            return isBefore(shown, removal.index)
        }
    }

    /// The first equal call that brought something.
    private func firstShown(before index: Int) -> Int? {
        let call = calls[index]
        guard call.signature != 0 else { return nil }
        let shown = calls.indices.filter { other in
            let earlier = calls[other]
            return earlier.signature == call.signature && earlier.name == call.name && earlier.hasResult
                && !isFailing(earlier) && earlier.emptiness == .none && isBefore(other, index)
        }
        return shown.min { isBefore($0, $1) }
    }

    // MARK: Text

    func argumentText(_ call: ToolCall) -> String {
        if call.arguments.exists {
            var out = ByteColumn()
            tree.write(call.arguments, into: &out)
            return quoted(out.text)
        }
        return quoted(call.argumentsText)
    }
}
