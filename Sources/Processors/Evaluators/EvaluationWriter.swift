import Telemetry

/// The result of one evaluation on one span.
struct EvaluationResult: Sendable {
    var name: String
    var rule: String
    /// 1 as wanted, 0 not.
    var isPassed: Bool
    /// Tier of a result that is not as wanted.
    var tier: String
    var evidence: String
    var explanation: String
    /// Index in the batch.
    var span: Int
}

/// Writes results in the form of findings: events `gen_ai.evaluation.result`, and the names of those that are not as
/// wanted in the lists that samplers and routes read.
struct EvaluationWriter: Sendable {
    private let name: KeyID
    private let scoreValue: KeyID
    private let scoreLabel: KeyID
    private let explanation: KeyID
    private let rule: KeyID
    private let version: KeyID
    private let tier: KeyID
    private let evidence: KeyID
    private let conversation: KeyID
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
        evidence = keys.intern("sluice.finding.evidence")
        conversation = keys.intern("gen_ai.conversation.id")
        spanFindings = keys.intern("sluice.findings")
        traceFindings = keys.intern("sluice.trace.findings")
    }

    /// Writes the results of one trace. `conversation` is its session, empty for none.
    func write(_ results: [EvaluationResult], conversation: String, root: Int, _ batch: inout RecordBatch) {
        for result in results where !isWritten(result, batch) {
            write(result, conversation, &batch)
            guard !result.isPassed else { continue }
            list(result.name, spanFindings, result.span, &batch)
            list(result.name, traceFindings, root, &batch)
        }
    }

    private func write(_ result: EvaluationResult, _ conversation: String, _ batch: inout RecordBatch) {
        let eventName = batch.addText(Text(EvaluationWriter.eventName))
        let set = batch.appendEvent(name: eventName, time: batch.spans[result.span].end, toSpan: result.span)
        add(name, result.name, set, &batch)
        batch.append(scoreValue, .double(result.isPassed ? 1 : 0), to: set)
        add(scoreLabel, result.isPassed ? "pass" : "fail", set, &batch)
        add(explanation, result.explanation, set, &batch)
        add(rule, result.rule, set, &batch)
        add(version, "1", set, &batch)
        // What has a tier is a finding.
        if !result.isPassed { add(tier, result.tier, set, &batch) }
        add(evidence, result.evidence, set, &batch)
        if !conversation.isEmpty { add(self.conversation, conversation, set, &batch) }
    }

    private func add(_ key: KeyID, _ value: String, _ set: SetIndex, _ batch: inout RecordBatch) {
        let text = batch.buildText { $0.append(string: value) }
        batch.append(key, .string(text), to: set)
    }

    /// Whether an earlier gateway or an earlier run wrote this result.
    private func isWritten(_ result: EvaluationResult, _ batch: borrowing RecordBatch) -> Bool {
        for event in batch.spans[result.span].events.range
        where batch.text(batch.events[event].name) == EvaluationWriter.eventName {
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
