import Telemetry

extension TraceAnalyzer {
    /// Empty results and errors that no span status tells.
    mutating func checkResults(_ batch: borrowing RecordBatch, _ memory: FindingsMemory) {
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
                report(emptyFinding(index, batch))
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

    private func emptyFinding(_ index: Int, _ batch: borrowing RecordBatch) -> Finding {
        let call = calls[index]
        let isOdd = !call.oddity.isEmpty
        var tier = FindingTier.tag
        // An answer that goes on as if there had been data, or a cause that is known, makes it worse.
        if isOdd || !(isNoticed(index) || isExpected(index)) { tier = .alert }
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
    func isNoticed(_ index: Int) -> Bool {
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

    /// Whether nothing may well be what is wanted: what was there has been removed, or the agent looked for what it
    /// remembers of its user.
    private func isExpected(_ index: Int) -> Bool {
        let name = calls[index].name
        if TraceAnalyzer.isRecall(name) { return true }
        // The first call of the tool that brought something.
        var shown: Int?
        for other in calls.indices where calls[other].name == name && isBefore(other, index) {
            let call = calls[other]
            guard call.hasResult, !isFailing(call), call.emptiness == .none else { continue }
            if shown.map({ isBefore(other, $0) }) ?? true { shown = other }
        }
        for other in calls.indices where isBefore(other, index) && !isFailing(calls[other]) {
            guard TraceAnalyzer.isRemoval(calls[other].name) else { continue }
            if TraceAnalyzer.haveSameNoun(calls[other].name, name) { return true }
            if let shown, isBefore(shown, other) { return true }
        }
        return false
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
