import GenAI
import Pipeline
import Telemetry

/// The keys under which findings are written, and the writing.
///
/// A finding is an event `gen_ai.evaluation.result` of the flagged span; the span lists its patterns, the trace's root
/// lists those of the whole trace.
struct FindingsWriter {
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
    private let spanFindings: KeyID
    private let traceFindings: KeyID
    private let traceTier: KeyID

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
        spanFindings = keys.intern("sluice.findings")
        traceFindings = keys.intern("sluice.trace.findings")
        traceTier = keys.intern("sluice.trace.findings.tier")
    }

    /// Writes a trace's findings. `conversation` is the session that the trace belongs to, empty for none.
    func write(_ findings: [Finding], conversation: String, root: Int?, _ batch: inout RecordBatch) {
        if findings.isEmpty { return }
        let eventName = batch.addText(Text(FindingsWriter.eventName))
        for finding in findings where !isWritten(finding, batch) {
            write(finding, eventName, conversation, &batch)
        }
        for span in Set(findings.map(\.span)).sorted() {
            list(findings.filter { $0.span == span }, spanFindings, span, &batch)
        }
        guard let root else { return }
        list(findings, traceFindings, root, &batch)
        let worst = findings.map(\.tier).max() ?? .hint
        let text = batch.addText(worst.name)
        batch.upsert(traceTier, .string(text), in: batch.spans[root].set)
    }

    private func write(
        _ finding: Finding, _ eventName: TextRef, _ conversation: String, _ batch: inout RecordBatch
    ) {
        // Everything here comes from the telemetry, so that the same bytes give the same event.
        let set = batch.appendEvent(name: eventName, time: batch.spans[finding.span].end, toSpan: finding.span)
        add(name, finding.pattern.rawValue, set, &batch)
        batch.append(scoreValue, .double(finding.tier.severity), to: set)
        add(scoreLabel, finding.tier.name, set, &batch)
        add(explanation, finding.explanation, set, &batch)
        add(rule, finding.ruleName, set, &batch)
        add(version, finding.rule.version, set, &batch)
        add(tier, finding.tier.name, set, &batch)
        if let span = finding.cause {
            let id = batch.text(batch.spans[span].spanID).bytes.map { FindingsWriter.hex($0) }.joined()
            add(cause, id, set, &batch)
        }
        batch.append(isFirst, .bool(finding.isFirstBadStep), to: set)
        add(evidence, finding.evidence, set, &batch)
        if !conversation.isEmpty { add(self.conversation, conversation, set, &batch) }
    }

    private static func hex(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count < 2 ? "0" + digits : digits
    }

    private func add(_ key: KeyID, _ value: String, _ set: SetIndex, _ batch: inout RecordBatch) {
        let text = batch.addText(value)
        batch.append(key, .string(text), to: set)
    }

    /// Whether an earlier gateway or an earlier run wrote this very finding.
    private func isWritten(_ finding: Finding, _ batch: borrowing RecordBatch) -> Bool {
        for event in batch.spans[finding.span].events.range
        where batch.text(batch.events[event].name) == FindingsWriter.eventName {
            let set = batch.events[event].set
            if batch.string(name, in: set)?.string == finding.pattern.rawValue,
                batch.string(rule, in: set)?.string == finding.ruleName,
                batch.string(evidence, in: set)?.string == finding.evidence
            {
                return true
            }
        }
        return false
    }

    /// Sets an attribute to the list of patterns, each once, in the order of the alphabet.
    private func list(_ findings: [Finding], _ key: KeyID, _ span: Int, _ batch: inout RecordBatch) {
        let names = Set(findings.map(\.pattern.rawValue)).sorted()
        let content = batch.buildText { out in
            for name in names {
                // values (1) of ArrayValue, an AnyValue with string_value (1); short names have lengths of one byte.
                out.append(0x0A)
                out.append(UInt8(name.utf8.count + 2))
                out.append(0x0A)
                out.append(UInt8(name.utf8.count))
                out.append(string: name)
            }
        }
        batch.upsert(key, .array(content), in: batch.spans[span].set)
    }
}

extension RecordBatch {
    /// Copies a string into the side buffer.
    fileprivate mutating func addText(_ string: String) -> TextRef {
        buildText { $0.append(string: string) }
    }
}
