import OTLP
import Pipeline
import Telemetry

/// What the tail samplers share: earlier decisions, sessions, and holding traces back for them.
struct SampledTraces: Sendable {
    private let cache: DecisionCache
    private let sessionKeys: [KeyID]
    private let holds: Bool
    private let promoted: Counter?

    init(_ limits: DecisionCache.Limits, _ sessions: SessionOptions?, _ build: inout ProcessorBuild) {
        var limits = limits
        limits.sessions = sessions?.maxSessions ?? 0
        cache = DecisionCache(
            limits,
            log: DecisionLog.make(
                for: DecisionLog.ProcessorPlace(
                    stateDirectory: build.stateDirectory, pipeline: build.pipeline, id: build.id)))
        var keys: [KeyID] = []
        for name in sessions?.keys ?? [] { keys.append(build.keys.intern(name)) }
        sessionKeys = keys
        holds = sessions.map { $0.hold > .zero } ?? false
        promoted = sessions.map { _ in
            build.metrics.counter(
                "sluice_sampling_session_promoted_traces_total",
                "Traces that were sampled because another trace of their session was bad.", build.labels)
        }
    }

    /// What a sampler made of a trace by itself.
    struct Verdict {
        var decision: SamplingDecision
        /// The trace goes, whatever its session is.
        var isFinal = false
        /// The session of the trace turns bad by it.
        var turnsBad = false
    }

    enum Outcome {
        case late(SamplingDecision)
        case decided(SamplingDecision)
        /// The context was told to hold the trace.
        case held
    }

    /// Takes the trace in `batch` out. What of a batch is dropped by one rule is told once, else for each span.
    static func drop(
        _ batch: inout RecordBatch, _ context: inout ProcessContext, rule: String, isAlone: Bool, _ counter: Counter
    ) {
        let before = batch.liveCount
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            batch.removeSpan(index)
            if !isAlone { context.dropping(index, by: rule) }
        }
        if isAlone { context.dropRule = rule }
        context.dropped(before - batch.liveCount, counter)
    }

    /// Decides on the trace in `batch`: as before, or by `decide` and the session. It is held back only where the batch
    /// is of this trace alone.
    func outcome(
        _ batch: borrowing RecordBatch, _ context: inout ProcessContext, isAlone: Bool,
        _ decide: (borrowing RecordBatch) -> Verdict
    ) -> Outcome {
        let key = DecisionCache.Key(trace: TraceID(TraceShape.identifier(of: batch)), tenant: context.tenant)
        if let earlier = cache.decision(of: key) { return .late(earlier) }
        let verdict = decide(batch)
        var decision = verdict.decision
        if let session = session(of: batch, context.tenant) {
            if verdict.turnsBad {
                cache.turnBad(session)
                context.release(session.name)
            }
            if !decision.isSampled, !verdict.isFinal {
                if cache.isBad(session) {
                    // No chance is left: every trace of a bad session is sampled.
                    decision = SamplingDecision(isSampled: true, rule: decision.rule)
                    if let promoted { context.count(promoted) }
                } else if holds, isAlone, context.trace?.canHold == true {
                    context.hold(for: session.name)
                    return .held
                }
            } else if decision.isSampled, cache.isBad(session) {
                decision.probability = 1
            }
        }
        cache.remember(key, decision)
        return .decided(decision)
    }

    /// The session of a trace by the first key that names one. Spans may differ: then that of the root counts, else the
    /// first in the order of texts, so that it does not matter which span came first.
    private func session(of batch: borrowing RecordBatch, _ tenant: String) -> DecisionCache.Session? {
        for key in sessionKeys {
            var name: String?
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                guard let text = batch.string(key, in: batch.spans[index].set), !text.isEmpty else { continue }
                if batch.spans[index].parentID.isEmpty {
                    return DecisionCache.Session(name: text.string, tenant: tenant)
                }
                name = min(name ?? text.string, text.string)
            }
            if let name { return DecisionCache.Session(name: name, tenant: tenant) }
            var last = -1
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                let resource = batch.resource(ofScope: batch.spans[index].scope)
                if resource == last { continue }
                last = resource
                guard let text = batch.string(key, in: batch.resources[resource].set), !text.isEmpty else { continue }
                name = min(name ?? text.string, text.string)
            }
            if let name { return DecisionCache.Session(name: name, tenant: tenant) }
        }
        return nil
    }
}

/// Writes how likely it was that a span was sampled, so that counts can be weighted.
enum SamplingRecord {
    /// Raises the threshold in the tracestate of every span; one that is higher already stays. For decisions that
    /// compared the randomness of the trace with the threshold.
    static func write(_ threshold: SamplingThreshold, _ batch: inout RecordBatch) {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let old = batch.text(batch.spans[index].traceState)
            guard var state = TraceState(old) else { continue }
            state.update(threshold)
            var written = ByteColumn(capacity: 128)
            state.write(to: &written)
            if !(written.text == batch.text(batch.spans[index].traceState)) {
                batch.setTraceState(batch.addText(written.text), ofSpan: index)
            }
        }
    }

    /// Sets an attribute of every span.
    static func write(_ value: AttributeValue, to key: KeyID, _ batch: inout RecordBatch) {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            batch.upsert(key, value, in: batch.spans[index].set)
        }
    }
}
