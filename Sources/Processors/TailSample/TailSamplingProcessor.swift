import OTLP
import OTTL
package import Pipeline
package import Telemetry

/// Keeps or drops whole traces by policies: the Collector's `tail_sampling`.
///
/// It runs on batches that hold one trace each. A drop decides first, then an inverted policy that does not match, then
/// any policy that samples; a trace for which none does is dropped.
package struct TailSamplingProcessor: Processor {
    private struct Entry: Sendable {
        var policy: TailPolicy
        var sampled: Counter
        var notSampled: Counter
    }

    private var entries: [Entry] = []
    private let isFirstMatch: Bool
    private let isDryRun: Bool
    private let traces: SampledTraces
    private let weight: KeyID?
    private let turningBad: Set<String>
    private let kept: Counter
    private let dropped: Counter
    private let droppedSpans: Counter
    private let late: Counter
    private let pool = EvaluationPool()
    private let now: @Sendable () -> Int64

    /// `now` gives nanoseconds for the policies with rates, the system's time when absent.
    package init(
        options: TailSamplingOptions, build: inout ProcessorBuild,
        now: (@Sendable () -> Int64)? = nil
    ) throws(ProcessorBuildFailure) {
        self.now = now ?? OTTLEffects.system.now
        isFirstMatch = options.samplesOnFirstMatch
        isDryRun = options.isDryRun
        traces = SampledTraces(
            DecisionCache.Limits(sampled: options.sampledCacheSize, dropped: options.droppedCacheSize),
            options.session, &build)
        weight = options.recordsRate ? build.keys.intern("sluice.sampling.weight") : nil
        turningBad = Set(options.session?.policies ?? [])
        let errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
        let all = "otelcol_processor_tail_sampling_global_count_traces_sampled"
        kept = build.metrics.counter(all, "Traces by decision.", build.labels + [("sampled", "true")])
        dropped = build.metrics.counter(all, "Traces by decision.", build.labels + [("sampled", "false")])
        droppedSpans = build.metrics.counter(
            "otelcol_processor_tail_sampling_count_spans_dropped", "Spans of traces that were dropped.", build.labels)
        late = build.metrics.counter(
            "otelcol_processor_tail_sampling_sampling_late_span", "Spans that followed an earlier decision.",
            build.labels)
        let each = "otelcol_processor_tail_sampling_count_traces_sampled"
        for option in options.policies {
            let labels: [(name: String, value: String)] = build.labels + [("policy", option.name)]
            let policy = try TailPolicy(option, errors: errors, &build)
            entries.append(
                Entry(
                    policy: policy,
                    sampled: build.metrics.counter(
                        each, "Traces by policy and what it said.", labels + [("sampled", "true")]),
                    notSampled: build.metrics.counter(
                        each, "Traces by policy and what it said.", labels + [("sampled", "false")])))
        }
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.liveCount > 0 else { return }
        batch.forEachTrace { batch, isAlone in sample(&batch, &context, isAlone: isAlone) }
    }

    /// Decides on one trace.
    private func sample(_ batch: inout RecordBatch, _ context: inout ProcessContext, isAlone: Bool) {
        let decision: SamplingDecision
        var rule = "late"
        var votes: [Counter] = []
        switch traces.outcome(batch, &context, isAlone: isAlone, { decide($0, &rule, &votes) }) {
        case .held: return
        case .late(let earlier):
            context.count(batch.liveCount, late)
            decision = earlier
        case .decided(let made):
            for vote in votes { context.count(vote) }
            context.count(made.isSampled ? kept : dropped)
            decision = made
        }
        if decision.isSampled, decision.probability < 1, let weight, !isDryRun {
            SamplingRecord.write(.double(1 / decision.probability), to: weight, &batch)
        }
        guard !decision.isSampled, !isDryRun else { return }
        SampledTraces.drop(&batch, &context, rule: rule, isAlone: isAlone, droppedSpans)
    }

    /// `rule` gets the name of the policy that dropped the trace, when one did, `counters` what each policy said.
    private func decide(
        _ batch: borrowing RecordBatch, _ rule: inout String, _ counters: inout [Counter]
    ) -> SampledTraces.Verdict {
        let now = self.now()
        let memory = pool.take()
        defer { pool.give(memory) }
        var votes = Votes()
        for entry in entries {
            let verdict = entry.policy.verdict(batch, &memory.state, now: now)
            counters.append(verdict.samples ? entry.sampled : entry.notSampled)
            votes.add(verdict, entry.policy, turnsBad: turnsBad(entry.policy))
            if isFirstMatch, verdict == .sampled { break }
        }
        rule = votes.dropper ?? "no policy sampled"
        return votes.verdict
    }

    private func turnsBad(_ policy: TailPolicy) -> Bool {
        turningBad.isEmpty ? !policy.isByChance : turningBad.contains(policy.name)
    }
}

/// What the policies said of one trace.
private struct Votes {
    private(set) var dropper: String?
    private var isSampled = false
    private var isInvertSampled = false
    private var isNotSampled = false
    private var turnsBad = false
    /// Probability that no policy with chance samples it, by what they hash with.
    private var misses: [[UInt8]: Double] = [:]
    private var miss = 1.0

    mutating func add(_ verdict: PolicyVerdict, _ policy: TailPolicy, turnsBad: Bool) {
        switch verdict {
        case .dropped, .invertNotSampled: dropper = dropper ?? policy.name
        case .sampled: isSampled = true
        case .invertSampled: isInvertSampled = true
        case .notSampled: isNotSampled = true
        }
        let chance = policy.probability
        if let group = policy.chanceGroup {
            // It counts where it did not sample, too: it might have.
            misses[group] = min(misses[group] ?? 1, 1 - chance)
        } else if verdict.samples {
            miss *= 1 - chance
        }
        if verdict.samples, turnsBad { self.turnsBad = true }
    }

    var verdict: SampledTraces.Verdict {
        let samples = dropper == nil && (isSampled || isInvertSampled && !isNotSampled)
        let hit = 1 - misses.values.reduce(miss, *)
        return SampledTraces.Verdict(
            decision: SamplingDecision(isSampled: samples, probability: samples ? max(hit, .leastNormalMagnitude) : 1),
            isFinal: dropper != nil, turnsBad: samples && turnsBad)
    }
}
