/// Draws a stored trace as a tree of steps, with what each step was asked, answered and cost.
package struct TraceTree: Sendable {
    /// Longest text in characters.
    private let textMax: Int
    /// Deeper steps are shown at this depth.
    private static let depthMax = 40

    /// `isFull` shows texts whole.
    package init(isFull: Bool) { textMax = isFull ? Int.max : 160 }

    /// The trace with a headline, ending in a newline.
    package func draw(_ trace: StoredTrace) -> String {
        var lines = [headline(trace)]
        var findings: [String: [TraceFinding]] = [:]
        for finding in trace.findings { findings[finding.span, default: []].append(finding) }
        let bad = firstBadStep(of: trace)
        for (step, depth) in Self.order(trace.steps) {
            let indent = String(repeating: "  ", count: depth)
            lines.append(indent + line(step) + (step.id == bad ? "  ◀ first bad step" : ""))
            for detail in details(step) { lines.append(indent + "    " + detail) }
            for finding in findings[step.id] ?? [] { lines.append(indent + "    " + describe(finding)) }
        }
        if trace.steps.count == QueryDatabase.stepsMax { lines.append("… only the first \(trace.steps.count) spans") }
        return lines.joined(separator: "\n") + "\n"
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
            input: calls.compactMap { $0.number("input_tokens") }.reduce(nil, Self.sum),
            output: calls.compactMap { $0.number("output_tokens") }.reduce(nil, Self.sum),
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

    private func line(_ step: TraceStep) -> String {
        var line = (step.isFailed ? "✗ " : "• ") + safe(step.name)
        var facts: [String] = []
        for column in ["operation", "agent_name", "tool_name", "request_model", "response_model"] {
            // What the line says already is not said again.
            if let value = step.text(column).map(safe), !(line + facts.joined()).contains(value) { facts.append(value) }
        }
        facts.append(step.milliseconds.map(ShownText.duration) ?? "ends before it starts")
        facts += usage(
            input: step.number("input_tokens"), output: step.number("output_tokens"), cost: Self.cost(step))
        if let cached = step.number("cache_read_tokens"), cached > 0 { facts.append("\(cached) cached") }
        if let reasoning = step.number("reasoning_tokens"), reasoning > 0 { facts.append("\(reasoning) reasoning") }
        if step.isFailed {
            let words = [step.text("error_type"), step.text("status_message")].compactMap { $0 }.map(safe)
            facts.append((["error"] + words).joined(separator: " "))
        }
        line += "  " + facts.joined(separator: " · ")
        return line
    }

    private func details(_ step: TraceStep) -> [String] {
        let shown = [
            ("tool_arguments", "arguments"), ("tool_result", "result"), ("retrieval_query", "query"),
            ("retrieval_documents", "documents"), ("input_messages", "input"), ("output_messages", "output"),
        ]
        return shown.compactMap { column, label in
            guard let text = step.text(column) else { return nil }
            // Of a conversation so far, the end is what is new.
            return "\(label): " + (column == "input_messages" ? tail(text) : safe(text))
        }
    }

    private func describe(_ finding: TraceFinding) -> String {
        var facts: [String] = []
        if let label = finding.label { facts.append(safe(label)) }
        if let score = finding.score { facts.append("score " + ShownText.decimal(score, 3)) }
        if let rule = finding.rule { facts.append("rule " + safe(rule + (finding.version.map { " v" + $0 } ?? ""))) }
        if let cause = finding.cause { facts.append("cause " + safe(cause)) }
        var line = "! " + safe(finding.pattern)
        if !facts.isEmpty { line += " (" + facts.joined(separator: ", ") + ")" }
        if let explanation = finding.explanation { line += ": " + safe(explanation) }
        if let evidence = finding.evidence { line += "  evidence: " + safe(evidence) }
        return line
    }

    private func safe(_ text: String) -> String { ShownText.safe(text, limit: textMax) }

    private func tail(_ text: String) -> String {
        let count = text.unicodeScalars.count
        guard count > textMax else { return safe(text) }
        let end = String(String.UnicodeScalarView(text.unicodeScalars.suffix(textMax)))
        return "…" + safe(end)
    }
}
