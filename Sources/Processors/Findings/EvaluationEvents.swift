import Telemetry

/// One result on one span: a finding or what an evaluator says.
struct EvaluationEvent: Sendable {
    var name: String
    var score: Double
    var label: String
    var explanation: String
    var rule: String
    var version: String
    /// What has a tier is a finding, and is listed.
    var tier: String?
    /// Index of the span that probably caused it.
    var cause: Int?
    /// Nil where nobody asks.
    var isFirstBadStep: Bool?
    var evidence: String
    /// Index of the span in the batch.
    var span: Int
    /// The agent that it is about, where the span does not name it; empty for none.
    var agent = ""
}

/// Writes results as events `gen_ai.evaluation.result` of their spans, and the names of findings into the lists that
/// samplers and routes read: on the span, and on the trace's root for the whole trace. What is there already is not
/// written again, so a second run, also of another gateway, changes nothing.
struct EvaluationEvents: Sendable {
    private let name: KeyID
    private let scoreValue: KeyID
    private let scoreLabel: KeyID
    private let explanation: KeyID
    private let rule: KeyID
    private let version: KeyID
    private let tier: KeyID
    private let cause: KeyID
    private let isFirst: KeyID
    private let evidence: KeyID
    private let conversation: KeyID
    private let agent: KeyID
    private let spanFindings: KeyID
    private let traceFindings: KeyID

    private static let eventName: StaticString = "gen_ai.evaluation.result"

    init(_ keys: inout KeyTable.Builder) {
        name = keys.intern("gen_ai.evaluation.name")
        scoreValue = keys.intern("gen_ai.evaluation.score.value")
        scoreLabel = keys.intern("gen_ai.evaluation.score.label")
        explanation = keys.intern("gen_ai.evaluation.explanation")
        rule = keys.intern("sluice.finding.rule")
        version = keys.intern("sluice.finding.version")
        tier = keys.intern("sluice.finding.tier")
        cause = keys.intern("sluice.finding.cause_span_id")
        isFirst = keys.intern("sluice.finding.first_bad_step")
        evidence = keys.intern("sluice.finding.evidence")
        conversation = keys.intern("gen_ai.conversation.id")
        agent = keys.intern("gen_ai.agent.name")
        spanFindings = keys.intern("sluice.findings")
        traceFindings = keys.intern("sluice.trace.findings")
    }

    /// Writes the results of one trace. `conversation` is its session, empty for none. Lists are in the order of the
    /// alphabet, as far as one run writes them.
    func write(_ results: [EvaluationEvent], conversation: String, root: Int?, _ batch: inout RecordBatch) {
        if results.isEmpty { return }
        let eventName = batch.addText(Text(EvaluationEvents.eventName))
        for result in results where !isWritten(result, batch) { write(result, eventName, conversation, &batch) }
        for result in results.filter({ $0.tier != nil }).sorted(by: { $0.name < $1.name }) {
            list(result.name, spanFindings, result.span, &batch)
            if let root { list(result.name, traceFindings, root, &batch) }
        }
    }

    private func write(
        _ result: EvaluationEvent, _ eventName: TextRef, _ conversation: String, _ batch: inout RecordBatch
    ) {
        // Everything here comes from the telemetry, so that the same bytes give the same event.
        let set = batch.appendEvent(name: eventName, time: batch.spans[result.span].end, toSpan: result.span)
        add(name, result.name, set, &batch)
        batch.append(scoreValue, .double(result.score), to: set)
        add(scoreLabel, result.label, set, &batch)
        add(explanation, result.explanation, set, &batch)
        add(rule, result.rule, set, &batch)
        add(version, result.version, set, &batch)
        if let tier = result.tier { add(self.tier, tier, set, &batch) }
        if let span = result.cause {
            let id = batch.text(batch.spans[span].spanID).hexDigits
            add(cause, id, set, &batch)
        }
        if let isFirst = result.isFirstBadStep { batch.append(self.isFirst, .bool(isFirst), to: set) }
        add(evidence, result.evidence, set, &batch)
        if !conversation.isEmpty { add(self.conversation, conversation, set, &batch) }
        if !result.agent.isEmpty { add(agent, result.agent, set, &batch) }
    }

    private func add(_ key: KeyID, _ value: String, _ set: SetIndex, _ batch: inout RecordBatch) {
        let text = batch.buildText { $0.append(string: value) }
        batch.append(key, .string(text), to: set)
    }

    /// Whether an earlier gateway or an earlier run wrote this very result.
    private func isWritten(_ result: EvaluationEvent, _ batch: borrowing RecordBatch) -> Bool {
        for event in batch.spans[result.span].events.range
        where batch.text(batch.events[event].name) == EvaluationEvents.eventName {
            let set = batch.events[event].set
            if batch.string(name, in: set)?.string == result.name, batch.string(rule, in: set)?.string == result.rule,
                batch.string(evidence, in: set)?.string == result.evidence
            {
                return true
            }
        }
        return false
    }

    /// Adds a name to a list of strings, unless it is in it.
    private func list(_ name: String, _ key: KeyID, _ span: Int, _ batch: inout RecordBatch) {
        var element = ByteColumn()
        // values (1) of ArrayValue, an AnyValue with string_value (1).
        var value = ByteColumn()
        value.append(0x0A as UInt8)
        value.appendLength(name.utf8.count)
        value.append(string: name)
        element.append(0x0A as UInt8)
        element.appendLength(value.count)
        element.append(value.text)
        var content = ByteColumn()
        let set = batch.spans[span].set
        if let index = batch.find(key, in: set), batch.attributes[index].kind == .array {
            content.append(batch.text(batch.attributes[index].text))
            if content.text.contains(element.text) { return }
        }
        content.append(element.text)
        let text = batch.addText(content.text)
        batch.upsert(key, .array(text), in: set)
    }
}

extension ByteColumn {
    fileprivate mutating func appendLength(_ length: Int) {
        var rest = length
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}

extension Text {
    /// Whether `part` is somewhere in it.
    fileprivate func contains(_ part: Text) -> Bool {
        guard part.count <= count else { return false }
        for start in 0...(count - part.count) where self[start..<start + part.count] == part { return true }
        return false
    }
}
