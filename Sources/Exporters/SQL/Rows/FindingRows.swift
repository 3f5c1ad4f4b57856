import Telemetry

/// Rows of findings: span events and log records named `gen_ai.evaluation.result` (GenAI semantic conventions), as
/// evaluators, judges and the gateway's own analysis write them.
struct FindingRows: Sendable {
    static let eventName: StaticString = "gen_ai.evaluation.result"

    private let pattern: KeyID
    private let scoreValue: KeyID
    private let scoreLabel: KeyID
    private let explanation: KeyID
    private let rule: KeyID
    private let version: KeyID
    private let tier: KeyID
    private let evidence: KeyID
    private let cause: KeyID
    private let firstBadStep: KeyID
    private let conversation: KeyID
    private let session: KeyID
    private let agent: KeyID

    init(keys: inout KeyTable.Builder) {
        pattern = keys.intern("gen_ai.evaluation.name")
        scoreValue = keys.intern("gen_ai.evaluation.score.value")
        scoreLabel = keys.intern("gen_ai.evaluation.score.label")
        explanation = keys.intern("gen_ai.evaluation.explanation")
        rule = keys.intern("sluice.finding.rule")
        version = keys.intern("sluice.finding.version")
        tier = keys.intern("sluice.finding.tier")
        evidence = keys.intern("sluice.finding.evidence")
        cause = keys.intern("sluice.finding.cause_span_id")
        firstBadStep = keys.intern("sluice.finding.first_bad_step")
        conversation = keys.intern("gen_ai.conversation.id")
        session = keys.intern("session.id")
        agent = keys.intern("gen_ai.agent.name")
    }

    /// The row of one event.
    func append(_ event: EventRecord, position: Int, of span: SpanRecord, _ scratch: inout RowScratch) {
        append(
            traceID: span.traceID, spanID: span.spanID, position: Int64(position),
            time: event.time == 0 ? span.end : event.time, own: event.set, owner: span.set, &scratch)
    }

    /// The row of a log record. It has no place among the events of its span, so its name, rule and time make one
    /// behind all of these: the same record has the same place whenever it comes.
    func append(_ log: LogRecord, _ scratch: inout RowScratch) {
        var hash = FNV.hash([UInt8]())
        for key in [pattern, rule] {
            guard let text = scratch.records.string(key, in: log.set) else { continue }
            hash = FNV.hash(text.bytes, after: hash)
        }
        hash = withUnsafeBytes(of: log.time.littleEndian) { FNV.hash($0, after: hash) }
        append(
            traceID: log.traceID, spanID: log.spanID, position: Int64(1 << 32 | hash >> 33), time: log.knownTime,
            own: log.set, owner: log.set, &scratch)
    }

    private func append(
        traceID: TextRef, spanID: TextRef, position: Int64, time: UInt64, own: SetIndex, owner: SetIndex,
        _ scratch: inout RowScratch
    ) {
        scratch.row.begin()
        scratch.row.hex(scratch.records.text(traceID))
        scratch.row.hex(scratch.records.text(spanID))
        scratch.row.integer(position)
        scratch.row.time(time)
        if !hasText([pattern], [own], &scratch) { scratch.row.text("unnamed") }
        for key in [rule, version, tier] { text([key], [own], &scratch) }
        let score = scratch.records.find(scoreValue, in: own).flatMap {
            ColumnNumber.real(scratch.records.attributes[$0].value, of: scratch.records)
        }
        scratch.row.real(score)
        for key in [scoreLabel, evidence, explanation, cause, firstBadStep] { text([key], [own], &scratch) }
        text([conversation, session], [own, owner], &scratch)
        scratch.row.textOrNull(scratch.scope.serviceName)
        text([agent], [own, owner], &scratch)
        scratch.row.textOrNull(scratch.scope.tenant)
    }

    private func text(_ keys: [KeyID], _ sets: [SetIndex], _ scratch: inout RowScratch) {
        if !hasText(keys, sets, &scratch) { scratch.row.null() }
    }

    /// Appends the first value of the keys in the sets. Returns whether there was one.
    private func hasText(_ keys: [KeyID], _ sets: [SetIndex], _ scratch: inout RowScratch) -> Bool {
        for set in sets {
            for key in keys {
                guard let index = scratch.records.find(key, in: set) else { continue }
                let record = scratch.records.attributes[index]
                if record.kind == .empty || record.kind == .other { continue }
                scratch.row.text(record.value, of: scratch.records)
                return true
            }
        }
        return false
    }
}
