import GenAI
import Telemetry

/// Writes findings as results, and the worst tier of the trace onto its root.
struct FindingsWriter {
    private let events: EvaluationEvents
    private let traceTier: KeyID

    init(_ keys: inout KeyTable.Builder) {
        events = EvaluationEvents(&keys)
        traceTier = keys.intern("sluice.trace.findings.tier")
    }

    /// `conversation` is the session that the trace belongs to, empty for none.
    func write(_ findings: [Finding], conversation: String, root: Int?, _ batch: inout RecordBatch) {
        guard let worst = findings.map(\.tier).max() else { return }
        events.write(findings.map(EvaluationEvent.init), conversation: conversation, root: root, &batch)
        guard let root else { return }
        let text = batch.buildText { $0.append(string: worst.name) }
        batch.upsert(traceTier, .string(text), in: batch.spans[root].set)
    }
}

extension EvaluationEvent {
    init(_ finding: Finding) {
        self.init(
            name: finding.pattern.rawValue, score: finding.tier.severity, label: finding.tier.name,
            explanation: finding.explanation, rule: finding.ruleName, version: finding.rule.version,
            tier: finding.tier.name, cause: finding.cause, isFirstBadStep: finding.isFirstBadStep,
            evidence: finding.evidence, span: finding.span, agent: finding.agent)
    }
}
