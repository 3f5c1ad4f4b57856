import OTLP
import Telemetry

/// Writes batches for people: a tree of agent steps and one line per log record and metric, or all as `DetailedText`.
/// Values are cut and control characters escaped, so that nothing in them can steer the terminal.
struct DebugPrinter: Sendable {
    /// Longest value in characters.
    static let valueMax = 200

    private let verbosity: DebugOptions.Verbosity
    private let keys: KeyTable
    private let operation: KeyID
    private let model: KeyID
    private let tool: KeyID
    private let agent: KeyID
    private let inputTokens: KeyID
    private let outputTokens: KeyID
    private let errorType: KeyID
    private let service: KeyID

    init(verbosity: DebugOptions.Verbosity) {
        self.verbosity = verbosity
        var builder = KeyTable.Builder()
        operation = builder.intern("gen_ai.operation.name")
        model = builder.intern("gen_ai.request.model")
        tool = builder.intern("gen_ai.tool.name")
        agent = builder.intern("gen_ai.agent.name")
        inputTokens = builder.intern("gen_ai.usage.input_tokens")
        outputTokens = builder.intern("gen_ai.usage.output_tokens")
        errorType = builder.intern("error.type")
        service = builder.intern("service.name")
        keys = builder.build()
    }

    /// The text for one request, ending in a newline.
    func text(_ request: Text, signal: Signal) throws(DecodeFailure) -> String {
        var batch = RecordBatch()
        _ = try OTLPReader.read(request, signal: signal, keys: keys, into: &batch)
        var lines = [summary(batch)]
        switch (verbosity, signal) {
        case (.basic, _): break
        case (.normal, .traces): appendTraces(batch, &lines)
        case (.normal, .logs): appendLogs(batch, &lines)
        case (.normal, .metrics): appendMetrics(batch, &lines)
        case (.detailed, _):
            var detailed = DetailedText()
            detailed.append(batch)
            lines += detailed.lines
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func summary(_ batch: borrowing RecordBatch) -> String {
        switch batch.signal {
        case .traces: "traces: \(batch.liveCount) spans, \(batch.resources.count) resources"
        case .logs: "logs: \(batch.liveCount) records, \(batch.resources.count) resources"
        case .metrics:
            "metrics: \(batch.metrics.count) metrics, \(batch.liveCount) points, \(batch.resources.count) resources"
        }
    }

    // MARK: Traces

    private func appendTraces(_ batch: borrowing RecordBatch, _ lines: inout [String]) {
        for trace in StepTree.traces(of: batch) {
            var title = "trace \(trace.id)"
            if let first = trace.steps.first {
                let scope = batch.spans[first.span].scope
                let set = batch.resources[batch.resource(ofScope: scope)].set
                if let name = batch.string(service, in: set) { title += "  " + shown(name) }
            }
            lines.append(title)
            for step in trace.steps { appendStep(step, batch, &lines) }
        }
    }

    private func appendStep(_ step: StepTree.Step, _ batch: borrowing RecordBatch, _ lines: inout [String]) {
        let span = batch.spans[step.span]
        let indent = String(repeating: "  ", count: step.depth + 1)
        let failed = span.statusCode == 2 || batch.find(errorType, in: span.set) != nil
        var line = indent + (failed ? "✗ " : "• ") + shown(batch.text(span.name))
        var facts: [String] = []
        for key in [operation, agent, tool, model] {
            // What the name says already is not said again.
            if let value = batch.string(key, in: span.set), !line.contains(shown(value)) { facts.append(shown(value)) }
        }
        facts.append(Self.duration(from: span.start, to: span.end))
        if let tokens = tokens(span.set, batch) { facts.append(tokens) }
        if failed { facts.append(failure(span, batch)) }
        line += "  " + facts.joined(separator: " · ")
        lines.append(line)
    }

    private func failure(_ span: SpanRecord, _ batch: borrowing RecordBatch) -> String {
        var text = "error"
        if let type = batch.string(errorType, in: span.set) { text += " " + shown(type) }
        let message = batch.text(span.statusMessage)
        if !message.isEmpty { text += ": " + shown(message) }
        return text
    }

    private func tokens(_ set: SetIndex, _ batch: borrowing RecordBatch) -> String? {
        func count(_ key: KeyID, _ batch: borrowing RecordBatch) -> Int64? {
            guard let index = batch.find(key, in: set), case .int(let value) = batch.attributes[index].value
            else { return nil }
            return value
        }
        let (input, output) = (count(inputTokens, batch), count(outputTokens, batch))
        if input == nil && output == nil { return nil }
        return "\(input.map(String.init) ?? "?")→\(output.map(String.init) ?? "?") tokens"
    }

    private static func duration(from start: UInt64, to end: UInt64) -> String {
        guard end >= start else { return "ends before it starts" }
        let nanoseconds = end - start
        switch nanoseconds {
        case ..<1_000_000: return "\(nanoseconds / 1_000) µs"
        case ..<1_000_000_000: return "\(nanoseconds / 1_000_000) ms"
        default: return "\(nanoseconds / 1_000_000_000).\(nanoseconds / 100_000_000 % 10) s"
        }
    }

    // MARK: Logs and metrics

    private func appendLogs(_ batch: borrowing RecordBatch, _ lines: inout [String]) {
        for index in batch.logs.indices where !batch.isRemoved(log: index) {
            let log = batch.logs[index]
            var parts: [String] = []
            let severity = shown(batch.text(log.severityText))
            parts.append(severity.isEmpty ? "severity \(log.severityNumber)" : severity)
            if !log.eventName.isEmpty { parts.append(shown(batch.text(log.eventName))) }
            parts.append(shown(log.body, batch))
            lines.append("  " + parts.joined(separator: "  "))
        }
    }

    private func appendMetrics(_ batch: borrowing RecordBatch, _ lines: inout [String]) {
        for index in batch.metrics.indices {
            let metric = batch.metrics[index]
            lines.append(
                "  \(shown(batch.text(metric.name)))  \(metric.kind), \(metric.points.count) points, "
                    + "unit \(shown(batch.text(metric.unit)))")
        }
    }

    // MARK: Values

    private func shown(_ value: AttributeValue, _ batch: borrowing RecordBatch) -> String {
        if case .string(let text) = value { return shown(batch.text(text)) }
        var json = ByteColumn()
        ValueJSON.append(value, of: batch, to: &json)
        return shown(json.text)
    }

    private func shown(_ text: Text) -> String { EscapedText.make(utf8: text.bytes, limit: Self.valueMax) }
}
