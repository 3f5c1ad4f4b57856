import Crypto
import GenAI
import OTLP
import OTTL
import Pipeline
import Telemetry

/// Finds in batches what is to be judged.
// Unchecked: used under the connector's lock only.
final class JudgeReading: @unchecked Sendable {
    private let keys: KeyTable
    private var reader = TrajectoryReader()
    private var state = EvaluationState()
    private let filters: [OTTLCondition?]

    init(_ options: JudgeOptions) throws {
        var builder = KeyTable.Builder()
        TrajectoryReader.intern(&builder)
        var filters: [OTTLCondition?] = []
        for rule in options.rules {
            filters.append(
                rule.filter.isEmpty ? nil : try OTTLCondition(rule.filter, context: .span, keys: &builder))
        }
        self.filters = filters
        keys = builder.build()
    }

    /// The questions about the traces of a batch; nil when it cannot be read.
    func questions(
        _ batch: ExportBatch, _ options: JudgeOptions, _ counters: JudgeCounters
    ) -> [JudgeQuestion]? {
        batch.bytes.withUnsafeBytes { bytes -> [JudgeQuestion]? in
            var records = RecordBatch(keys: keys)
            guard (try? OTLPReader.read(Text(bytes), signal: .traces, keys: keys, into: &records)) != nil else {
                return nil
            }
            var questions: [JudgeQuestion] = []
            for trajectory in reader.read(records) {
                var record: String?
                for (index, rule) in options.rules.enumerated() {
                    guard isChosen(rule, trajectory), holds(filters[index], trajectory, records) else { continue }
                    guard rule.template?.isAssessable(trajectory) ?? true else {
                        counters.unassessable.add()
                        continue
                    }
                    let text = record ?? JudgeTemplate.record(trajectory, charactersMax: options.charactersMax)
                    record = text
                    questions.append(question(rule, text, trajectory, records, options))
                }
            }
            return questions
        }
    }

    private func question(
        _ rule: JudgeRule, _ record: String, _ trajectory: Trajectory, _ batch: borrowing RecordBatch,
        _ options: JudgeOptions
    ) -> JudgeQuestion {
        let question = rule.template?.question ?? rule.prompt
        let words = "QUESTION\n\(question)\n\nRECORD\n\(record)"
        let digest = SHA256.hash(data: Array("\(options.model)\u{0}\(words)".utf8))
        let root = batch.spans[trajectory.rootSpan]
        return JudgeQuestion(
            rule: rule, words: words, hash: digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            traceID: [UInt8](batch.text(root.traceID).bytes), spanID: [UInt8](batch.text(root.spanID).bytes),
            conversation: trajectory.conversation, agent: trajectory.agent, end: trajectory.end)
    }

    private func isChosen(_ rule: JudgeRule, _ trajectory: Trajectory) -> Bool {
        guard rule.percentage < 100 else { return true }
        let place = Double(AlertsConnector.hash((rule.name + trajectory.trace).utf8) >> 11) / Double(1 << 53)
        return place * 100 < rule.percentage
    }

    private func holds(
        _ filter: OTTLCondition?, _ trajectory: Trajectory, _ batch: borrowing RecordBatch
    ) -> Bool {
        guard let filter else { return true }
        return trajectory.spans.contains { span in
            state.beginRecord()
            // A condition that fails on a span does not hold there.
            return (try? filter.isTrue(batch, at: Place(span: span, batch), &state)) == true
        }
    }
}
