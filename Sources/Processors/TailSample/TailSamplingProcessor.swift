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
    private let cache: DecisionCache
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
        cache = DecisionCache(sampled: options.sampledCacheSize, dropped: options.droppedCacheSize)
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
        let trace = DecisionCache.Key(trace: TraceID(TraceShape.identifier(of: batch)), tenant: context.tenant)
        let isSampled: Bool
        if let earlier = cache.decision(of: trace) {
            late.add(batch.liveCount)
            isSampled = earlier
        } else {
            isSampled = decide(batch)
            (isSampled ? kept : dropped).add()
            cache.remember(trace, isSampled: isSampled)
        }
        guard !isSampled, !isDryRun else { return }
        let before = batch.liveCount
        for index in batch.spans.indices { batch.removeSpan(index) }
        context.dropped(before - batch.liveCount, droppedSpans)
    }

    private func decide(_ batch: borrowing RecordBatch) -> Bool {
        let now = self.now()
        let memory = pool.take()
        defer { pool.give(memory) }
        var isDropped = false
        var isSampled = false
        var isInvertSampled = false
        var isNotSampled = false
        for entry in entries {
            let verdict = entry.policy.verdict(batch, &memory.state, now: now)
            (verdict.samples ? entry.sampled : entry.notSampled).add()
            switch verdict {
            case .dropped, .invertNotSampled: isDropped = true
            case .sampled: isSampled = true
            case .invertSampled: isInvertSampled = true
            case .notSampled: isNotSampled = true
            }
            if isFirstMatch, verdict == .sampled { return true }
        }
        if isDropped { return false }
        return isSampled || isInvertSampled && !isNotSampled
    }
}
