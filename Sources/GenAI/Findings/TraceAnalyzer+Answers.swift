#if canImport(Glibc)
    import Glibc
#endif
import Telemetry

extension TraceAnalyzer {
    // MARK: Answers

    /// Runs that end without an answer, or with half of one.
    mutating func checkAnswer(_ batch: borrowing RecordBatch) {
        guard let last = lastTurn else { return }
        let turn = turns[last]
        let step = trace.steps[Int(turn.step)]
        let span = Int(step.span)
        let isKnown = turn.output.exists || turn.finish != .unknown || step.isFailed
        // Of a trace that comes in pieces, or whose callers report elsewhere, the end may be in another piece.
        let isEnd = trace.isWhole(above: Int(turn.step))
        note(.noFinalAnswer, isAssessable: isKnown && isEnd)
        note(.truncatedAnswer, isAssessable: turn.finish != .unknown)
        guard isKnown else { return }
        if turn.finish == .length {
            report(
                Finding(
                    .truncatedAnswer, .answerCut, .tag, span: span, cause: span, evidence: "finish=length",
                    "The last answer was cut by the limit on output tokens."))
        }
        guard isEnd else { return }
        if step.isFailed {
            report(
                Finding(
                    .noFinalAnswer, .answerFailed, .tag, span: span, cause: span,
                    evidence: "error_hash=\(failure(of: step, batch).errorHash.hexDigits)",
                    "The last model call failed, and nothing came after it."))
        } else if isWithoutAnswer(last, batch) {
            report(
                Finding(
                    .noFinalAnswer, .answerMissing, .tag, span: span, cause: span,
                    evidence: "calls=\(turn.calls) turns=\(turns.count)",
                    "The run ended without an answer to the user."))
        }
    }

    private func failure(of step: Step, _ batch: borrowing RecordBatch) -> Text {
        let message = batch.text(batch.spans[Int(step.span)].statusMessage)
        return message.isEmpty ? trace.text(.errorType, step, batch) : message
    }

    private mutating func isWithoutAnswer(_ last: Int, _ batch: borrowing RecordBatch) -> Bool {
        let turn = turns[last]
        // An answer in the form of a tool call, or a handoff to another agent, or to people, whose answer it is.
        for index in calls.indices where calls[index].model == turn.step {
            let name = calls[index].name
            if isIgnored(name) || calls[index].isHandoff || TraceAnalyzer.isHandoffToPeople(name) { return false }
        }
        if hasAgentAnswer(batch) { return false }
        if turn.calls > 0 || turn.finish == .toolCalls { return true }
        guard turn.output.exists else { return false }
        return turn.text.isEmpty && !hasOtherParts(turn.output)
    }

    /// Images, audio and refusals are answers too.
    private mutating func hasOtherParts(_ list: JSONRef) -> Bool {
        var message = tree.first(list)
        while message.exists {
            var part = tree.first(tree.member(message, "parts"))
            while part.exists {
                let type = tree.string(tree.member(part, "type"))
                if !(type == "text" || type == "reasoning") { return true }
                part = tree.next(part)
            }
            message = tree.next(message)
        }
        return false
    }

    /// Whether the agent or the workflow says what came out, in text behind its last tool call.
    private mutating func hasAgentAnswer(_ batch: borrowing RecordBatch) -> Bool {
        for index in trace.steps.indices {
            let step = trace.steps[index]
            guard step.kind == .agent || step.kind == .workflow, !step.isFailed else { continue }
            var answer = ModelTurn(step: Int32(truncatingIfNeeded: index))
            var message = tree.first(document(trace.value(.output, step, batch)))
            while message.exists {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    let type = tree.string(tree.member(part, "type"))
                    let content = tree.member(part, "content")
                    if type == "text", tree.isString(content) { answer.text = tree.string(content).trimmed }
                    if type == "tool_call" || type == "tool_call_response" { answer.text = .empty }
                    part = tree.next(part)
                }
                message = tree.next(message)
            }
            if !answer.text.isEmpty { return true }
        }
        return false
    }

    // MARK: Budgets

    /// Steps, tokens and cost of the innermost model calls. Long tasks pass budgets too, so these are tags.
    mutating func checkBudgets(_ batch: borrowing RecordBatch) {
        var tokens = 0.0
        var cost = 0.0
        var steps = 0
        var hasTokens = false
        var hasCost = false
        for index in trace.steps.indices where !trace.steps[index].isWrapper {
            let step = trace.steps[index]
            guard step.kind == .model || step.kind == .tool || step.kind == .embedding else { continue }
            steps += 1
            if step.kind == .tool { continue }
            if let input = trace.number(.inputTokens, step, batch) {
                tokens += input
                hasTokens = true
            }
            tokens += trace.number(.outputTokens, step, batch) ?? 0
            if let amount = trace.number(.cost, step, batch) {
                cost += amount
                hasCost = true
            }
        }
        let root = rootSpan ?? 0
        if let most = options.maxSteps {
            note(.stepBudget, isAssessable: true)
            if steps > most { report(budget(.stepBudget, .budgetSteps, root, "steps", "\(steps)", "\(most)")) }
        }
        if let most = options.maxTokens {
            note(.tokenBudget, isAssessable: hasTokens)
            if tokens > Double(most) {
                report(budget(.tokenBudget, .budgetTokens, root, "tokens", "\(Int64(tokens))", "\(most)"))
            }
        }
        if let most = options.maxCost {
            note(.costBudget, isAssessable: hasCost)
            if cost > most { report(budget(.costBudget, .budgetCost, root, "cost", "\(cost)", "\(most)")) }
        }
    }

    private func budget(
        _ pattern: FindingPattern, _ rule: FindingRule, _ span: Int, _ what: String, _ value: String, _ limit: String
    ) -> Finding {
        Finding(
            pattern, rule, .tag, span: span, evidence: "\(what)=\(value) budget=\(limit)",
            "The trace took \(value) \(what), its budget is \(limit).")
    }

    // MARK: Durations

    /// Traces and tool calls that took much longer than the earlier ones of the same agent or tool.
    mutating func checkDurations(_ batch: borrowing RecordBatch, _ memory: FindingsMemory) {
        if let key = agentKey, let root = rootSpan {
            let span = batch.spans[root]
            let isKnown = checkDuration(
                key ^ 0xA6, from: span.start, to: span.end, memory, .latencyTrace, .tag, root, .empty)
            note(.latencyOutlier, isAssessable: isKnown)
        }
        for index in calls.indices where calls[index].step >= 0 && !calls[index].isHandoff {
            let step = trace.steps[Int(calls[index].step)]
            _ = checkDuration(
                calls[index].name.looseHash ^ 0x70, from: step.start, to: step.end, memory, .latencyTool, .hint,
                Int(step.span), calls[index].name)
        }
    }

    private mutating func checkDuration(
        _ key: UInt64, from start: UInt64, to end: UInt64, _ memory: FindingsMemory, _ rule: FindingRule,
        _ tier: FindingTier, _ span: Int, _ tool: Text
    ) -> Bool {
        guard end > start, let known = memory.durations.peek(key), known.count >= options.latencyMinimum else {
            return false
        }
        // Runs that all take the same time would make every millisecond an outlier: half as much again is the least.
        let value = log(Double(end - start))
        let limit = known.mean + max(options.latencyDeviations * known.deviation, 0.4)
        if value > limit {
            let milliseconds = Double((end - start) / 1_000) / 1_000
            let usual = (exp(known.mean) / 1_000_000 * 1_000).rounded() / 1_000
            let what = tool.isEmpty ? "the agent's traces" : "calls of \(tool.string)"
            report(
                Finding(
                    .latencyOutlier, rule, tier, span: span,
                    evidence: "duration_ms=\(milliseconds) usual_ms=\(usual) seen=\(known.count)",
                    "Took \(milliseconds) ms; \(what) usually take \(usual) ms."))
        }
        return true
    }
}
