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
        let model = trace.steps[Int(call.model)]
        for index in turns.indices {
            let step = trace.steps[Int(turns[index].step)]
            if step.start > model.start && step.agent == model.agent { return true }
        }
        return false
    }

    private static let promises: [StaticString] = [
        "i will call", "i'll call", "let me call", "i will use the", "i'll use the", "let me use the", "calling the",
        "i am going to call", "i'm going to call", "transferring you to", "handing over to", "i will run", "let me run",
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
            guard name.count >= 5, name.firstIndex(of: UInt8(ascii: "_")) != nil, holdsWord(text, name) else {
                continue
            }
            var isCalled = false
            for call in calls.indices where TraceAnalyzer.isSameTool(calls[call].name, name) { isCalled = true }
            if isCalled { continue }
            guard TraceAnalyzer.promises.contains(where: { text.holds($0) }) || isWrittenCall(text, name) else {
                continue
            }
            let span = Int(trace.steps[Int(turns[last].step)].span)
            return report(
                Finding(
                    .wrongToolSelection, .toolNeverCalled, .tag, span: span, cause: span,
                    evidence: "tool=\(name.string) announced_in=text",
                    "The last answer announces \(name.string), which was never called."))
        }
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
