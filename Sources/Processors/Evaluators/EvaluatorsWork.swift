import GenAI
import OTTL
import Patterns
import Telemetry

/// What an evaluation says.
enum Verdict: Sendable, Equatable {
    case passed(evidence: String, String)
    case failed(evidence: String, String)
    /// The value is not there.
    case notAssessable
}

/// What is checked.
enum Subject: Sendable, Equatable {
    case number(Double)
    case text(String)
}

/// The evaluators with their memory.
struct EvaluatorsWork: MemoryWork {
    let evaluators: [Evaluator]
    let options: EvaluatorsOptions
    var memory: EvaluatorsMemory
    let scratch: EvaluatorsScratch

    var newMemory: EvaluatorsMemory { EvaluatorsMemory(options) }

    /// Evaluates one trace, before the batch is changed.
    mutating func evaluate(
        _ trajectory: Trajectory, _ batch: borrowing RecordBatch, _ results: inout [EvaluationEvent],
        _ counters: EvaluatorsCounters, _ evaluation: EvaluationMemory
    ) {
        let session = memory.session(trajectory)
        for (index, evaluator) in evaluators.enumerated() {
            for span in spans(evaluator, trajectory, batch, evaluation) {
                guard isChosen(evaluator.option, trajectory, batch.spans[span].start) else { continue }
                if evaluator.option.level == .session && session == nil { continue }
                let verdict = judge(evaluator, span, trajectory, session, batch, evaluation)
                counters.count(index, verdict)
                if let result = result(evaluator.option, verdict, span) { results.append(result) }
            }
        }
    }

    /// The spans to look at: those that meet the filter, or the root of a trace that has one.
    private func spans(
        _ evaluator: Evaluator, _ trajectory: Trajectory, _ batch: borrowing RecordBatch,
        _ evaluation: EvaluationMemory
    ) -> [Int] {
        guard evaluator.option.level == .span else {
            let isWanted = trajectory.spans.contains { holds(evaluator.filter, $0, batch, evaluation) }
            return isWanted ? [trajectory.rootSpan] : []
        }
        return trajectory.spans.filter { holds(evaluator.filter, $0, batch, evaluation) }
            .sorted { (batch.spans[$0].start, $0) < (batch.spans[$1].start, $1) }
    }

    private func holds(
        _ condition: OTTLCondition?, _ span: Int, _ batch: borrowing RecordBatch, _ evaluation: EvaluationMemory
    ) -> Bool {
        guard let condition else { return true }
        evaluation.state.beginRecord()
        return (try? condition.isTrue(batch, at: Place(span: span, batch), &evaluation.state)) == true
    }

    /// A last period this many nanoseconds ahead of a trace is that of a wrong clock.
    private static let lateMax: UInt64 = 86_400_000_000_000

    /// The share by trace or session, and the first in each period.
    private mutating func isChosen(
        _ option: EvaluatorOption, _ trajectory: Trajectory, _ time: UInt64
    ) -> Bool {
        if option.percentage < 100 {
            let key = option.level == .session ? trajectory.conversation : trajectory.trace
            // Another one than for other evaluators, so that the same traces are not always the chosen ones.
            let place = Double(GenAI.ContentHash.of(option.name + key) >> 11) / Double(1 << 53)
            guard place * 100 < option.percentage else { return false }
        }
        guard option.every > 0 else { return true }
        let period = time / option.every
        // Periods of another length have other numbers, and outlive a restart.
        let name = GenAI.ContentHash.of("\(option.name)\u{1F}\(option.every)")
        let late = max(1, Self.lateMax / option.every)
        if let last = memory.periods.peek(name), period <= last, last - period <= late { return false }
        memory.periods.set(name, period)
        return true
    }

    private func result(_ option: EvaluatorOption, _ verdict: Verdict, _ span: Int) -> EvaluationEvent? {
        switch verdict {
        case .notAssessable: nil
        case .passed(let evidence, let words):
            option.results == .all ? event(option, isPassed: true, evidence, words, span) : nil
        case .failed(let evidence, let words): event(option, isPassed: false, evidence, words, span)
        }
    }

    /// What has a tier is a finding.
    private func event(
        _ option: EvaluatorOption, isPassed: Bool, _ evidence: String, _ words: String, _ span: Int
    ) -> EvaluationEvent {
        EvaluationEvent(
            name: option.name, score: isPassed ? 1 : 0, label: isPassed ? "pass" : "fail", explanation: words,
            rule: option.check.rule, version: "1", tier: isPassed ? nil : option.tier.rawValue, evidence: evidence,
            span: span)
    }

    // MARK: Checks

    private mutating func judge(
        _ evaluator: Evaluator, _ span: Int, _ trajectory: Trajectory, _ session: EvaluatorsMemory.Session?,
        _ batch: borrowing RecordBatch, _ evaluation: EvaluationMemory
    ) -> Verdict {
        switch evaluator.option.check {
        case .condition(let text):
            return holds(evaluator.condition, span, batch, evaluation)
                ? .passed(evidence: "", "The condition holds.")
                : .failed(
                    evidence: "condition=\(String(GenAI.ContentHash.of(text), radix: 16))",
                    "The condition does not hold: \(text)")
        case .baseline(let baseline): return judge(baseline, evaluator, span, trajectory, batch)
        default:
            guard let subject = SubjectReader.subject(evaluator, span, trajectory, session, batch) else {
                return .notAssessable
            }
            return SubjectCheck.judge(evaluator.option, subject, scratch.matcher)
        }
    }

    private mutating func judge(
        _ option: BaselineOption, _ evaluator: Evaluator, _ span: Int, _ trajectory: Trajectory,
        _ batch: borrowing RecordBatch
    ) -> Verdict {
        let owner = SubjectReader.owner(option.key, evaluator, span, trajectory, batch)
        // What is measured belongs to it: what was usual outlives a restart with another configuration.
        let kind = "\(option.measure.rawValue)\u{1F}\(evaluator.option.level)"
        let key = GenAI.ContentHash.of("\(evaluator.option.name)\u{1F}\(kind)\u{1F}\(owner)")
        if option.measure == .emptyRate {
            return judgeDrift(option, key, owner, span, trajectory, batch)
        }
        guard let value = SubjectReader.measure(option.measure, evaluator, span, trajectory, batch) else {
            return .notAssessable
        }
        var baseline = memory.baselines.use(key) ?? Baseline()
        let excess = baseline.judge(value, minimum: option.minimum, deviations: option.deviations)
        memory.baselines.set(key, baseline)
        let name = "\(option.measure.rawValue)=\(SubjectCheck.shown(value)) \(option.key.rawValue)=\(owner)"
        guard let excess else {
            return .passed(evidence: name, "The \(option.measure.rawValue) is as usual, or there is no usual yet.")
        }
        return .failed(
            evidence: "\(name) usual=\(SubjectCheck.shown(excess.usual))",
            "\(option.measure.rawValue) of \(SubjectCheck.shown(value)), usually \(SubjectCheck.shown(excess.usual)).")
    }

    private mutating func judgeDrift(
        _ option: BaselineOption, _ key: UInt64, _ owner: String, _ span: Int, _ trajectory: Trajectory,
        _ batch: borrowing RecordBatch
    ) -> Verdict {
        let id = batch.text(batch.spans[span].spanID).hexDigits
        guard let call = trajectory.calls.first(where: { $0.span == id && $0.result != nil }) else {
            return .notAssessable
        }
        var drift = memory.drifts.use(key) ?? DriftBaseline()
        let excess = drift.judge(isEmpty: call.isEmpty, minimum: option.minimum, deviations: option.deviations)
        memory.drifts.set(key, drift)
        guard let excess else {
            return .passed(
                evidence: "tool=\(owner)", "Empty results are as frequent as usual, or there is no usual yet.")
        }
        return .failed(
            evidence: "tool=\(owner) usual=\(SubjectCheck.shown(excess.usual))",
            "\(owner) is empty more often than it was: usually \(SubjectCheck.shown(excess.usual * 100)) %.")
    }
}
