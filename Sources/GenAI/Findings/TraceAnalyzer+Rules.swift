import Telemetry

extension TraceAnalyzer {
    /// Declared rules: what an agent was told to do, and a program can check. Rules, not understanding.
    mutating func checkRules(_ batch: borrowing RecordBatch, _ memory: FindingsMemory) {
        if options.rules.isEmpty { return }
        let earlier = memory.sessionTools.peek(sessionKey)
        for rule in options.rules { check(rule, earlier ?? [], batch) }
    }

    private mutating func check(_ rule: ContextRule, _ earlier: [UInt64], _ batch: borrowing RecordBatch) {
        switch rule.demand {
        case .must(let tool, let trigger): checkMust(rule, tool, trigger, earlier)
        case .mustNot(let tool, let condition):
            for index in calls.indices where binds(rule, calls[index]) && isTool(calls[index], tool) {
                if let condition, meets(condition, calls[index]) != true { continue }
                note(.contextLoss, isAssessable: true)
                reportCall(
                    rule, index, "\(calls[index].name.string) must not be called\(describe(condition, " with "))")
            }
        case .order(let first, let second): checkOrder(rule, first, second, earlier)
        case .confirmBefore(let tool):
            for index in calls.indices where binds(rule, calls[index]) && isTool(calls[index], tool) {
                guard let agreed = isConfirmed(calls[index], batch) else {
                    note(.contextLoss, isAssessable: false)
                    continue
                }
                note(.contextLoss, isAssessable: true)
                if !agreed { reportCall(rule, index, "\(calls[index].name.string) needs the user's word first") }
            }
        case .value(let tool, let condition):
            for index in calls.indices where binds(rule, calls[index]) && isTool(calls[index], tool) {
                let answer = meets(condition, calls[index])
                note(.contextLoss, isAssessable: answer != nil)
                if answer == false {
                    let name = calls[index].name.string
                    reportCall(
                        rule, index, "argument \(condition.argument) of \(name) is not \(describe(condition, ""))")
                }
            }
        case .forbidden, .startsWith, .maxCharacters, .json: checkText(rule)
        }
    }

    // MARK: Calls

    private func binds(_ rule: ContextRule, _ call: ToolCall) -> Bool {
        guard let agent = rule.agent else { return true }
        let step = call.step >= 0 ? call.step : call.model
        return step >= 0 && trace.steps[Int(step)].agentName.string == agent
    }

    private func isTool(_ call: ToolCall, _ name: String) -> Bool {
        var name = name
        return name.withUTF8 { TraceAnalyzer.isSameTool(call.name, Text(UnsafeRawBufferPointer($0))) }
    }

    private mutating func checkMust(_ rule: ContextRule, _ tool: String, _ trigger: String?, _ earlier: [UInt64]) {
        var cause: Int?
        var isDone = earlier.contains(TraceAnalyzer.toolHash(tool))
        for index in calls.indices where binds(rule, calls[index]) {
            if isTool(calls[index], tool) { isDone = true }
            if let trigger, cause == nil, isTool(calls[index], trigger) { cause = index }
        }
        guard trigger == nil || cause != nil else { return }
        note(.contextLoss, isAssessable: true)
        if isDone { return }
        if let cause { return reportCall(rule, cause, "\(tool) has to be called with it, and was not") }
        guard let root = rootSpan else { return }
        reportRule(rule, span: root, cause: nil, call: -1, "\(tool) has to be called, and was not")
    }

    private mutating func checkOrder(_ rule: ContextRule, _ first: String, _ second: String, _ earlier: [UInt64]) {
        var isDone = earlier.contains(TraceAnalyzer.toolHash(first))
        for index in callsByTime where binds(rule, calls[index]) {
            if isTool(calls[index], first) { isDone = true }
            guard isTool(calls[index], second) else { continue }
            note(.contextLoss, isAssessable: true)
            if !isDone { return reportCall(rule, index, "\(first) has to come before \(second)") }
        }
    }

    private var callsByTime: [Int] {
        Array(calls.indices).sorted { (calls[$0].time, $0) < (calls[$1].time, $1) }
    }

    /// Without a plug-in's name before it, for the session's memory.
    static func toolHash(_ name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { toolHash(Text(UnsafeRawBufferPointer($0))) }
    }

    static func toolHash(_ name: Text) -> UInt64 {
        var start = 0
        for index in 0..<name.count
        where name[index] == UInt8(ascii: "-") || name[index] == UInt8(ascii: ".") || name[index] == UInt8(ascii: "/") {
            start = index + 1
        }
        return start < name.count ? name[start..<name.count].looseHash : name.looseHash
    }

    /// Whether the call's argument fulfils a condition; nil when the arguments are not known.
    private mutating func meets(_ condition: ArgumentCondition, _ call: ToolCall) -> Bool? {
        guard call.state == .object else { return nil }
        var path = condition.argument
        let value = path.withUTF8 { tree.at(call.arguments, path: Text(UnsafeRawBufferPointer($0))) }
        guard value.exists else { return false }
        let text = tree.string(value).string
        if !condition.oneOf.isEmpty, !condition.oneOf.contains(text) { return false }
        if condition.minimum != nil || condition.maximum != nil {
            guard let number = Number.double(tree.string(value)) else { return false }
            if let least = condition.minimum, number < least { return false }
            if let most = condition.maximum, number > most { return false }
        }
        return true
    }

    private func describe(_ condition: ArgumentCondition?, _ lead: String) -> String {
        guard let condition else { return "" }
        var parts: [String] = []
        if !condition.oneOf.isEmpty { parts.append(condition.oneOf.joined(separator: " or ")) }
        if let least = condition.minimum { parts.append("at least \(least)") }
        if let most = condition.maximum { parts.append("at most \(most)") }
        let name = lead.isEmpty ? "" : condition.argument + " "
        return lead + name + parts.joined(separator: " and ")
    }

    private static let agreements: [StaticString] = [
        "yes", "yeah", "yep", "ok", "okay", "sure", "confirm", "go ahead", "agreed", "please do", "do it", "correct",
        "proceed", "approve", "that's right", "sounds good", "ja", "oui", "sí", "si",
    ]

    /// Whether the last user message before a call agrees; nil when the request is not known.
    private mutating func isConfirmed(_ call: ToolCall, _ batch: borrowing RecordBatch) -> Bool? {
        guard let turn = turn(of: call) else { return nil }
        let list = input(ofTurn: turn, batch)
        guard list.exists else { return nil }
        let text = lastUserText(list).trimmed.capped(200)
        return TraceAnalyzer.agreements.contains { word in
            let word = Text(word)
            guard text.place(of: word) == 0 || text.count > 60 || word.count > 4 else { return false }
            guard let place = text.place(of: word) else { return false }
            let end = place + word.count
            let isWhole = end == text.count || !WordCursor.isWord(text[end])
            return isWhole && (place == 0 || !WordCursor.isWord(text[place - 1]))
        }
    }

    // MARK: Answers

    /// Standing instructions about the text of answers.
    private mutating func checkText(_ rule: ContextRule) {
        for index in turns.indices where turns[index].calls == 0 && !turns[index].text.isEmpty {
            let step = trace.steps[Int(turns[index].step)]
            if let agent = rule.agent, step.agentName.string != agent { continue }
            note(.contextLoss, isAssessable: true)
            guard let fault = fault(in: turns[index].text, rule.demand) else { continue }
            reportRule(rule, span: Int(step.span), cause: Int(step.span), call: -1, fault)
        }
    }

    private mutating func fault(in text: Text, _ demand: ContextRule.Demand) -> String? {
        switch demand {
        case .forbidden(let words):
            for word in words {
                var copy = word
                let isThere = copy.withUTF8 { text.place(of: Text(UnsafeRawBufferPointer($0))) != nil }
                if isThere { return "the answer holds a forbidden text" }
            }
            return nil
        case .startsWith(let start):
            var copy = start
            let starts = copy.withUTF8 { text.hasPrefix(Text(UnsafeRawBufferPointer($0))) }
            return starts ? nil : "the answer does not begin as it has to"
        case .maxCharacters(let most):
            guard text.count > most else { return nil }
            let count = text.string.count
            return count > most ? "the answer has \(count) characters, at most \(most) are allowed" : nil
        case .json:
            if case .value = tree.parse(text) { return nil }
            return "the answer is not JSON"
        default: return nil
        }
    }

    private mutating func reportCall(_ rule: ContextRule, _ index: Int, _ sentence: String) {
        reportRule(rule, span: span(of: calls[index]), cause: cause(of: calls[index]), call: index, sentence)
    }

    private mutating func reportRule(
        _ rule: ContextRule, span: Int, cause: Int?, call: Int, _ sentence: String
    ) {
        var finding = Finding(
            .contextLoss, .declaredRule, rule.tier, span: span, cause: cause, call: call, evidence: "rule=\(rule.name)",
            "Rule \(rule.name): \(sentence).")
        finding.ruleName = rule.name
        report(finding)
    }
}
