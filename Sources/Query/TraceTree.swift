/// Draws a stored trace as a tree of steps, with what each step was asked, answered and cost. What went wrong stands at
/// the top, and again at its step.
package struct TraceTree: Sendable {
    private let style: TextStyle
    /// Deeper steps are shown at this depth.
    private static let depthMax = 40
    /// Width of the column of durations.
    private static let durationWidth = 9

    package init(style: TextStyle) { self.style = style }

    /// The trace with a headline, ending in a newline.
    package func draw(_ trace: StoredTrace) -> String {
        var findings: [String: [TraceFinding]] = [:]
        for finding in trace.findings { findings[finding.span, default: []].append(finding) }
        let bad = firstBadStep(of: trace)
        let ordered = Self.order(trace.steps)
        var lines = [headline(trace)] + summary(trace, ordered.map(\.step), bad)
        for (step, depth) in ordered {
            let own = (findings[step.id] ?? []).sorted { $0.rank > $1.rank }
            lines.append(line(step, depth, worst: own.first, isBad: step.id == bad))
            let indent = Self.durationWidth + 2 + 2 * depth + 4
            let space = String(repeating: " ", count: indent)
            for (label, text) in details(step) {
                let lead = style.paint(label + ": ", .dim)
                lines.append(space + lead + style.cut(text, behind: indent + label.count + 2))
            }
            for finding in own { lines += describe(finding, indent) }
        }
        if trace.steps.count == QueryDatabase.stepsMax { lines.append("… only the first \(trace.steps.count) spans") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The findings that matter, each in a sentence with the step it is about, and where it began.
    private func summary(_ trace: StoredTrace, _ steps: [TraceStep], _ bad: String?) -> [String] {
        var names: [String: String] = [:]
        for step in steps { names[step.id] = safe(step.name) }
        var lines: [String] = []
        for finding in trace.findings.sorted(by: { $0.rank > $1.rank }) where finding.rank > 1 && lines.count < 8 {
            let tier = finding.tier ?? finding.label ?? ""
            let sentence = finding.explanation ?? finding.evidence ?? ""
            let text = style.wrap("\(finding.pattern) on \(names[finding.span] ?? "?"): \(sentence)", behind: 8)
            for (index, part) in text.enumerated() {
                let lead = index == 0 ? tier.padded(to: 6) : String(repeating: " ", count: 6)
                lines.append(style.paint(lead, style.colour(ofTier: tier)) + "  " + part)
            }
        }
        if let bad, let name = names[bad] { lines.append(style.paint("began   at " + name, .bold)) }
        return lines.isEmpty ? [] : lines + [""]
    }

    /// What findings name as the step where things went wrong; without that, the first span named as a cause.
    private func firstBadStep(of trace: StoredTrace) -> String? {
        let steps = Set(trace.steps.map(\.id))
        func known(_ id: String?) -> String? { id.flatMap { steps.contains($0) ? $0 : nil } }
        for finding in trace.findings {
            if let id = known(finding.firstBadStep) { return id }
            // The mark may also stand as a flag on the step itself.
            if finding.firstBadStep == "true" { return finding.span }
        }
        return trace.findings.lazy.compactMap { known($0.cause) }.first
    }

    /// Parents before children, by start time; spans without a known parent at the top.
    static func order(_ steps: [TraceStep]) -> [(step: TraceStep, depth: Int)] {
        var places: [String: Int] = [:]
        for (place, step) in steps.enumerated() { places[step.id] = place }
        var children: [Int: [Int]] = [:]
        var tops: [Int] = []
        for (place, step) in steps.enumerated() {
            if let parent = step.parent.flatMap({ places[$0] }), parent != place {
                children[parent, default: []].append(place)
            } else {
                tops.append(place)
            }
        }
        var result: [(step: TraceStep, depth: Int)] = []
        var seen: Set<Int> = []
        var stack = tops.reversed().map { (place: $0, depth: 0) }
        while let next = stack.popLast() {
            guard seen.insert(next.place).inserted else { continue }
            result.append((steps[next.place], next.depth))
            let depth = min(next.depth + 1, depthMax)
            stack += (children[next.place] ?? []).reversed().map { (place: $0, depth: depth) }
        }
        // Spans that are each other's ancestors hang below no top.
        for place in steps.indices where !seen.contains(place) { result.append((steps[place], 0)) }
        return result
    }

    // MARK: Lines

    private func headline(_ trace: StoredTrace) -> String {
        var parts = ["trace \(trace.id)"]
        func first(_ column: String) -> String? { trace.steps.lazy.compactMap { $0.text(column) }.first }
        if let service = first("service_name") { parts.append(safe(service)) }
        if let session = first("conversation_id") { parts.append("session " + safe(session)) }
        if let user = first("user_id") { parts.append("user " + safe(user)) }
        if let start = trace.steps.map(\.start).min(), let end = trace.steps.map(\.end).max() {
            parts.append(ShownText.time(nanoseconds: start))
            if end >= start { parts.append(ShownText.duration(milliseconds: Double(end - start) / 1e6)) }
        }
        parts.append("\(trace.steps.count) spans")
        let failed = trace.steps.filter(\.isFailed).count
        if failed > 0 { parts.append("\(failed) failed") }
        let calls = trace.steps.filter(Self.isModelCall)
        parts += usage(
            input: calls.compactMap { $0.count("input_tokens") }.reduce(nil, Self.sum),
            output: calls.compactMap { $0.count("output_tokens") }.reduce(nil, Self.sum),
            cost: calls.compactMap { Self.cost($0) }.reduce(nil) { ($0 ?? 0) + $1 })
        if !trace.findings.isEmpty { parts.append("\(trace.findings.count) findings") }
        return parts.joined(separator: "  ")
    }

    private static func sum(_ total: Int64?, _ value: Int64) -> Int64 {
        let (sum, isOver) = (total ?? 0).addingReportingOverflow(value)
        return isOver ? Int64.max : sum
    }

    private static func isModelCall(_ step: TraceStep) -> Bool {
        ["chat", "text_completion", "generate_content"].contains(step.text("operation"))
    }

    private static func cost(_ step: TraceStep) -> Double? {
        if case .real(let cost)? = step.row["cost_usd"] { return cost }
        return nil
    }

    private func usage(input: Int64?, output: Int64?, cost: Double?) -> [String] {
        var parts: [String] = []
        if input != nil || output != nil {
            parts.append("\(input.map(String.init) ?? "?")→\(output.map(String.init) ?? "?") tokens")
        }
        if let cost { parts.append("$" + ShownText.decimal(cost, 6)) }
        return parts
    }

    private func line(_ step: TraceStep, _ depth: Int, worst: TraceFinding?, isBad: Bool) -> String {
        let duration = step.milliseconds.map(ShownText.duration) ?? "?"
        let name = safe(step.name)
        let mark: String
        if step.isFailed {
            mark = style.paint("✗", .red)
        } else if let worst, worst.rank > 1 {
            mark = style.paint("●", style.colour(ofTier: worst.tier ?? worst.label))
        } else {
            mark = "•"
        }
        var text = String(repeating: " ", count: max(0, Self.durationWidth - duration.count)) + duration + "  "
        text += String(repeating: "  ", count: depth) + mark + " " + name
        let facts = facts(step, name)
        if !facts.isEmpty { text += "  " + style.paint(facts.joined(separator: " · "), .dim) }
        if step.isFailed {
            let words = [step.text("error_type"), step.text("status_message")].compactMap { $0 }.map(safe)
            text += "  " + style.paint((["error"] + words).joined(separator: " "), .red)
        }
        return text + (isBad ? "  " + style.paint("◀ first bad step", .red, .bold) : "")
    }

    private func facts(_ step: TraceStep, _ name: String) -> [String] {
        var facts: [String] = []
        for column in ["operation", "agent_name", "tool_name", "request_model", "response_model"] {
            // What the line says already is not said again.
            if let value = step.text(column).map(safe), !(name + facts.joined()).contains(value) { facts.append(value) }
        }
        if step.milliseconds == nil { facts.append("ends before it starts") }
        facts += usage(
            input: step.count("input_tokens"), output: step.count("output_tokens"), cost: Self.cost(step))
        if let cached = step.number("cache_read_tokens"), cached > 0 { facts.append("\(cached) cached") }
        if let reasoning = step.number("reasoning_tokens"), reasoning > 0 { facts.append("\(reasoning) reasoning") }
        return facts
    }

    private func details(_ step: TraceStep) -> [(label: String, text: String)] {
        var shown: [(label: String, text: String)] = []
        for (column, label) in [
            ("tool_arguments", "arguments"), ("tool_result", "result"), ("retrieval_query", "query"),
            ("retrieval_documents", "documents"),
        ] {
            if let text = step.text(column) { shown.append((label, text)) }
        }
        if let text = step.text("input_messages") { shown += messages(text, "input") { $0.news } }
        if let text = step.text("output_messages") { shown += messages(text, "output") { $0.all } }
        return shown
    }

    private func messages(
        _ text: String, _ label: String, _ pick: (ShownMessages) -> [ShownMessages.Line]
    ) -> [(label: String, text: String)] {
        guard let messages = ShownMessages(text) else { return [(label, text)] }
        // System prompts are long and the same in every run.
        let lines = pick(messages).filter { style.isFull || $0.label != "system" }
        return lines.map { ($0.label, $0.text) }
    }

    private func describe(_ finding: TraceFinding, _ indent: Int) -> [String] {
        let tier = finding.tier ?? finding.label
        var facts = [tier, finding.rule.map { $0 + (finding.version.map { " v" + $0 } ?? "") }].compactMap { $0 }
        if finding.tier == nil, let score = finding.score { facts.append("score " + ShownText.decimal(score, 3)) }
        if style.isFull, let cause = finding.cause { facts.append("cause " + cause) }
        var text = safe(finding.pattern)
        if !facts.isEmpty { text += " (" + facts.map(safe).joined(separator: ", ") + ")" }
        if let explanation = finding.explanation { text += ": " + explanation }
        var lines = style.wrap(text, behind: indent + 2)
        if style.isFull, let evidence = finding.evidence { lines.append("evidence: " + safe(evidence)) }
        let space = String(repeating: " ", count: indent)
        return lines.enumerated().map { index, line in
            space + style.paint((index == 0 ? "! " : "  ") + line, style.colour(ofTier: tier))
        }
    }

    private func safe(_ text: String) -> String { ShownText.safe(text, limit: style.isFull ? Int.max : 160) }
}

extension TraceFinding {
    /// 3 for an alert, 2 for a tag, 1 for a hint, 0 for what passed.
    var rank: Int {
        switch tier ?? label {
        case "alert", "fail": 3
        case "tag": 2
        case "hint": 1
        default: (tier ?? label) == nil ? 2 : 0
        }
    }
}

extension String {
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
