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
    private let pool = EvaluationPool()
    private let filters: [OTTLCondition?]
    private let needsSessions: Bool
    /// Runs by session, the oldest first.
    private var sessions = BoundedMap<[(trace: String, record: String)]>(capacity: 1_024)

    init(_ options: JudgeOptions) throws {
        var builder = KeyTable.Builder()
        TrajectoryReader.intern(&builder)
        var filters: [OTTLCondition?] = []
        for rule in options.rules {
            filters.append(
                rule.filter.isEmpty ? nil : try OTTLCondition(rule.filter, context: .span, keys: &builder))
        }
        self.filters = filters
        needsSessions = options.rules.contains { $0.level == .session }
        keys = builder.build()
    }

    /// The questions about the traces of a batch; nil when it cannot be read.
    func questions(
        _ batch: ExportBatch, _ options: JudgeOptions, _ counters: JudgeCounters
    ) -> [JudgeQuestion]? {
        let evaluation = pool.take()
        defer { pool.give(evaluation) }
        return batch.bytes.withUnsafeBytes { bytes -> [JudgeQuestion]? in
            var records = RecordBatch(keys: keys)
            guard (try? OTLPReader.read(Text(bytes), signal: .traces, keys: keys, into: &records)) != nil else {
                return nil
            }
            var questions: [JudgeQuestion] = []
            for trajectory in reader.read(records) {
                let earlier = history(of: trajectory, options)
                for (index, rule) in options.rules.enumerated() {
                    guard isChosen(rule, trajectory) else { continue }
                    let subjects = subjects(rule, filters[index], trajectory, earlier, records, options, evaluation)
                    for subject in subjects {
                        guard rule.template?.isAssessable(subject.trajectory) ?? true else {
                            counters.unassessable.add()
                            continue
                        }
                        questions.append(question(rule, subject, records, options))
                    }
                }
            }
            return questions
        }
    }

    /// What one question is about: a run, or the part of one that holds a single call.
    private struct Subject {
        var trajectory: Trajectory
        var record: String
        /// Index of the span in the batch that the result belongs to.
        var span: Int
    }

    private func subjects(
        _ rule: JudgeRule, _ filter: OTTLCondition?, _ trajectory: Trajectory, _ earlier: [String],
        _ batch: borrowing RecordBatch, _ options: JudgeOptions, _ evaluation: EvaluationMemory
    ) -> [Subject] {
        if rule.level == .span { return calls(filter, trajectory, batch, options, evaluation) }
        guard trajectory.spans.contains(where: { holds(filter, $0, batch, evaluation) }) else { return [] }
        var record = JudgeTemplate.record(trajectory, charactersMax: options.charactersMax)
        if rule.level == .session {
            guard !trajectory.conversation.isEmpty else { return [] }
            let runs = earlier.enumerated().map { "EARLIER RUN \($0 + 1) OF THE SESSION\n\($1)" }
            record = (runs + ["THE SESSION'S LATEST RUN\n" + record]).joined(separator: "\n\n")
            record = JudgeTemplate.cut(record, options.charactersMax)
        }
        return [Subject(trajectory: trajectory, record: record, span: trajectory.rootSpan)]
    }

    /// The calls whose spans fulfil the filter, each with the request and the tools, without the other calls' results.
    private func calls(
        _ filter: OTTLCondition?, _ trajectory: Trajectory, _ batch: borrowing RecordBatch, _ options: JudgeOptions,
        _ evaluation: EvaluationMemory
    ) -> [Subject] {
        var subjects: [Subject] = []
        for span in trajectory.spans where subjects.count < JudgeReading.callsMax {
            let id = batch.text(batch.spans[span].spanID).hexDigits
            let own = trajectory.calls.filter { $0.span == id }
            guard !own.isEmpty, holds(filter, span, batch, evaluation) else { continue }
            var part = trajectory
            part.calls = own
            part.documents = []
            let record = JudgeTemplate.record(part, charactersMax: options.charactersMax)
            subjects.append(Subject(trajectory: part, record: "ONE STEP OF A RUN\n" + record, span: span))
        }
        return subjects
    }

    /// Calls of one trace that are judged one by one.
    private static let callsMax = 64
    /// Earlier runs of a session that are told.
    private static let runsMax = 8

    /// Records of the session's earlier runs, and a note of this one for the later.
    private func history(of trajectory: Trajectory, _ options: JudgeOptions) -> [String] {
        guard needsSessions, !trajectory.conversation.isEmpty else { return [] }
        let key = AlertsConnector.hash(trajectory.conversation.utf8)
        var runs = sessions.use(key) ?? []
        let limit = options.charactersMax / (2 * JudgeReading.runsMax)
        let own = JudgeTemplate.record(trajectory, charactersMax: max(limit, 500))
        // A batch that comes again after a failure is no further run.
        if runs.last?.trace == trajectory.trace { return runs.dropLast().map(\.record) }
        let earlier = runs.map(\.record)
        runs.append((trajectory.trace, own))
        if runs.count > JudgeReading.runsMax { runs.removeFirst() }
        sessions.set(key, runs)
        return earlier
    }

    private func question(
        _ rule: JudgeRule, _ subject: Subject, _ batch: borrowing RecordBatch, _ options: JudgeOptions
    ) -> JudgeQuestion {
        let question = rule.template?.question ?? rule.prompt
        let words = "QUESTION\n\(question)\n\nRECORD\n\(subject.record)"
        let digest = SHA256.hash(data: Array("\(options.model)\u{0}\(words)".utf8))
        let span = batch.spans[subject.span]
        return JudgeQuestion(
            rule: rule, words: words, hash: digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            traceID: [UInt8](batch.text(span.traceID).bytes), spanID: [UInt8](batch.text(span.spanID).bytes),
            conversation: subject.trajectory.conversation, agent: subject.trajectory.agent,
            end: subject.trajectory.end)
    }

    private func isChosen(_ rule: JudgeRule, _ trajectory: Trajectory) -> Bool {
        guard rule.percentage < 100 else { return true }
        let unit = rule.level == .session ? trajectory.conversation : trajectory.trace
        let place = Double(AlertsConnector.hash((rule.name + unit).utf8) >> 11) / Double(1 << 53)
        return place * 100 < rule.percentage
    }

    private func holds(
        _ filter: OTTLCondition?, _ span: Int, _ batch: borrowing RecordBatch, _ evaluation: EvaluationMemory
    ) -> Bool {
        guard let filter else { return true }
        evaluation.state.beginRecord()
        // A condition that fails on a span does not hold there.
        return (try? filter.isTrue(batch, at: Place(span: span, batch), &evaluation.state)) == true
    }
}
