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
            } else if call.emptiness != .none, !isVoid(call, memory), !call.oddity.isEmpty || !isGoodNews(call) {
                report(emptyFinding(index, batch))
            }
        }
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

    /// Whether emptiness is what this tool always gives: by its record, or for bare null by what its name says it does.
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
        return call.emptiness == .null && facts.empties == facts.calls && TraceAnalyzer.isAction(call.name)
    }

    /// Whether a tool's name says that it changes something, so that it may well answer nothing.
    static func isAction(_ name: Text) -> Bool {
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            for verb: StaticString in [
                "set", "send", "delete", "remove", "update", "write", "save", "close", "cancel", "click", "type",
                "scroll", "press", "sleep", "wait", "log", "notify", "post", "put", "add", "insert", "append",
                "clear", "reset", "move", "submit", "mark", "store", "upsert", "publish", "emit", "edit", "create",
                "think", "exit", "finish", "transfer", "navigate", "goto", "process", "schedule", "book", "register",
                "approve", "archive", "assign", "grant", "revoke", "enable", "disable", "start", "stop", "pause",
                "resume", "trigger", "sync", "refresh", "lock", "unlock", "rename", "upload", "email", "record",
                "escalate", "confirm", "apply", "commit", "push", "open", "focus", "hover", "select", "drag",
            ] where name[range].count == Text(verb).count && name[range].beginsWith(verb) {
                return true
            }
        }
        return false
    }

    private func emptyFinding(_ index: Int, _ batch: borrowing RecordBatch) -> Finding {
        let call = calls[index]
        let isOdd = !call.oddity.isEmpty
        var tier = FindingTier.tag
        // An answer that goes on as if there had been data, or a cause that is known, makes it worse.
        if isOdd || !isNoticed(index) { tier = .alert }
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
        for later in calls.indices where later != index && calls[later].time > call.time {
            if calls[later].name == call.name { return true }
        }
        for turn in turns.indices {
            let step = trace.steps[Int(turns[turn].step)]
            guard step.start >= call.time, turns[turn].step != call.model else { continue }
            if !turns[turn].output.exists { return true }
            if turns[turn].text.isEmpty { return turns[turn].calls > 0 }
            return TraceAnalyzer.mentionsAbsence(turns[turn].text.capped(2_048))
        }
        return true
    }

    private static func mentionsAbsence(_ text: Text) -> Bool {
        // Languages other than English cannot be judged by words.
        for index in 0..<Swift.min(text.count, 64) where text[index] >= 0xC3 { return true }
        for word: StaticString in [
            "no ", "not ", "n't", "none", "nothing", "unable", "unfortunately", "empty", "without", "sorry", "zero",
            "missing", "cannot", "never", "could you", "please provide",
        ] where text.holds(word) {
            return true
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
