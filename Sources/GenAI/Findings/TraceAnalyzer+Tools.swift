import Telemetry

extension TraceAnalyzer {
    /// Tools that do not exist and calls that never happened.
    mutating func checkTools(_ batch: borrowing RecordBatch) {
        for index in calls.indices { checkKnown(index) }
        checkNeverRun(batch)
        checkPromise(batch)
    }

    /// A called tool that is not among those offered.
    private mutating func checkKnown(_ index: Int) {
        let call = calls[index]
        if call.name.isEmpty || isIgnored(call.name) { return }
        guard definitions.count > 0 else { return note(.wrongToolSelection, isAssessable: false) }
        // A handoff may be offered by the framework alone; a span without its model call proves less.
        if definition(of: call) != nil { return note(.wrongToolSelection, isAssessable: true) }
        guard call.isAnnounced, let turn = turn(of: call), turns[turn].definitions >= 0, !call.isHandoff else {
            return note(.wrongToolSelection, isAssessable: false)
        }
        note(.wrongToolSelection, isAssessable: true)
        let offered = Int(definitionSets[Int(turns[turn].definitions)].range.count)
        let didRun = call.step >= 0 && !call.isFailed && !call.isSoftError
        report(
            Finding(
                .wrongToolSelection, .toolUnknown, didRun ? .tag : .alert, span: span(of: call),
                cause: cause(of: call), call: index, evidence: "tool=\(call.name.string) offered=\(offered)",
                "The model called \(call.name.string), which is not among the \(offered) tools it was offered."))
    }

    /// A call that has neither a span nor a result although the agent went on and others have theirs.
    private mutating func checkNeverRun(_ batch: borrowing RecordBatch) {
        var hasSpans = false
        for index in calls.indices where calls[index].step >= 0 { hasSpans = true }
        guard hasSpans else { return }
        for index in calls.indices {
            let call = calls[index]
            guard call.isAnnounced, call.step < 0, !call.hasResult, !call.isHandoff, !isIgnored(call.name) else {
                continue
            }
            // Broken arguments are why it did not run; another rule says so.
            if call.state == .cutOff || call.state == .broken { continue }
            guard hasLaterTurn(call) else { continue }
            report(
                Finding(
                    .wrongToolSelection, .toolNeverCalled, .hint, span: span(of: call), cause: cause(of: call),
                    call: index, evidence: "tool=\(call.name.string)",
                    "The model asked for \(call.name.string), and nothing shows that it ran."))
        }
    }

    private func hasLaterTurn(_ call: ToolCall) -> Bool {
        let agent = trace.steps[Int(call.model)].agent
        for index in turns.indices where turns[index].step > call.model {
            if trace.steps[Int(turns[index].step)].agent == agent { return true }
        }
        return false
    }

    static let promises: [StaticString] = [
        "i will call", "i'll call", "let me call", "i will use the", "i'll use the", "let me use the", "calling the",
        "i am going to call", "i'm going to call", "transferring you to", "handing over to", "i will run", "let me run",
        "i will now call", "i'll now call", "i should call", "i need to call", "i should use", "next, i will",
        "using the",
    ]
    /// What announces another agent, whose name follows.
    private static let transfers: [StaticString] = [
        "transferring you to", "transfer you to", "handing you over to", "handing over to", "hand you over to",
        "connecting you with", "connecting you to", "connect you with", "connect you to", "forwarding you to",
        "escalating this to", "passing you to", "delegating this to", "i will delegate to", "i'll delegate to",
    ]

    /// The last answer announces a tool by its name, and that tool was never called.
    private mutating func checkPromise(_ batch: borrowing RecordBatch) {
        guard definitions.count > 0, let last = lastTurn, turns[last].calls == 0, !turns[last].text.isEmpty else {
            return
        }
        let text = turns[last].text.capped(4_096)
        for index in definitions.indices {
            let name = definitions[index].name
            // A plain word is no proof of a tool.
            guard name.count >= 5, name.firstIndex(of: UInt8(ascii: "_")) != nil else { continue }
            if isCalled(name) { continue }
            if TraceAnalyzer.isHandoff(name), let target = TraceAnalyzer.target(of: name), promises(target, in: text) {
                return reportPromise(last, name)
            }
            guard holdsWord(text, name) else { continue }
            guard TraceAnalyzer.promises.contains(where: { text.holds($0) }) || isWrittenCall(text, name) else {
                continue
            }
            return reportPromise(last, name)
        }
    }

    private mutating func reportPromise(_ turn: Int, _ name: Text) {
        let span = Int(trace.steps[Int(turns[turn].step)].span)
        report(
            Finding(
                .wrongToolSelection, .toolNeverCalled, .tag, span: span, cause: span,
                evidence: "tool=\(name.string) announced_in=text",
                "The last answer announces \(name.string), which was never called."))
    }

    /// Name of the agent that a handoff's tool leads to: `billing_agent` of `transfer_to_billing_agent`.
    private static func target(of name: Text) -> Text? {
        for lead: StaticString in ["transfer_to_", "handoff_to_", "hand_off_to_", "delegate_to_", "escalate_to_"] {
            guard let place = name.place(of: Text(lead)) else { continue }
            let rest = name[place + lead.utf8CodeUnitCount..<name.count]
            return rest.count >= 3 ? rest : nil
        }
        return nil
    }

    /// Whether the text announces the agent: its words, but for `agent`, follow the announcement.
    private func promises(_ target: Text, in text: Text) -> Bool {
        for lead in TraceAnalyzer.transfers {
            guard let place = text.place(of: Text(lead)) else { continue }
            let rest = text[place + lead.utf8CodeUnitCount..<text.count].capped(target.count + 24)
            var words = WordCursor(target, joins: false)
            var (wanted, found) = (0, 0)
            while let range = words.next() {
                let word = target[range]
                if word.beginsWith("agent") || word.beginsWith("assistant") { continue }
                wanted += 1
                if rest.place(of: word) != nil { found += 1 }
            }
            if wanted > 0 && found == wanted { return true }
        }
        return false
    }

    /// Whether the answer holds a call written out as JSON: `{"name": "…"`.
    private func isWrittenCall(_ text: Text, _ name: Text) -> Bool {
        guard let place = text.place(of: Text("\"name\"")) else { return false }
        let rest = text[place..<Swift.min(text.count, place + 64 + name.count)]
        return holdsWord(rest, name) && text.holds("\"arguments\"")
            || text.holds("\"parameters\"") && holdsWord(rest, name)
    }

    /// The turn that ended last among those of the trace's first agent; of all when it has none.
    var lastTurn: Int? {
        var agent: Int32 = -1
        for index in trace.steps.indices where trace.steps[index].kind == .agent {
            agent = Int32(truncatingIfNeeded: index)
            break
        }
        var own: Int?
        var any: Int?
        for index in turns.indices {
            any = index
            let step = trace.steps[Int(turns[index].step)]
            if step.agent == agent || (step.agent >= 0 && agent >= 0 && isSameAgent(step.agent, agent)) { own = index }
        }
        return own ?? any
    }

    private func isSameAgent(_ left: Int32, _ right: Int32) -> Bool {
        trace.steps[Int(left)].agentName == trace.steps[Int(right)].agentName
    }
}
