package import Configuration
package import Pipeline

/// How long `tail_sampling` waits for a trace: named as in the Collector.
package enum SamplingStrategy: String, CaseIterable, Sendable {
    case traceComplete = "trace-complete"
    case spanIngest = "span-ingest"
}

/// Options of the `tail_sampling` processor.
package struct TailSamplingOptions: ComponentOptions {
    package var wait: TraceWait
    package var policies: [PolicyOption]
    package var samplesOnFirstMatch: Bool
    package var sampledCacheSize: Int
    package var droppedCacheSize: Int
    package var isDryRun: Bool
    package var recordsRate: Bool
    /// Nil when sessions are not looked at.
    package var session: SessionOptions?

    package init(_ settings: inout Settings) {
        let hour = Duration.seconds(3_600)
        let decision = settings.duration(
            "decision_wait", default: .seconds(30), in: .milliseconds(1)...hour,
            "Time from a trace's first span to its decision; longer than runs take where no_final_answer is looked "
                + "for, which a piece of a trace does not tell.")
        let afterRoot = settings.duration(
            "decision_wait_after_root_received", default: .zero, in: .zero...hour,
            "Quiet time after the root span to an earlier decision; 0s waits as for other traces.")
        let traces = settings.int(
            "num_traces", default: 50_000, in: 1...10_000_000, unit: "traces",
            "Traces held at once; beyond it the oldest are decided early.")
        let traceBytes = settings.bytes(
            "maximum_trace_size_bytes", default: 0, in: 0...(1 << 30),
            "Encoded size at which a trace is decided without waiting; 0 means 32MiB.")
        let bytes = settings.bytes(
            "maximum_buffer_size_bytes", default: 256 << 20, in: (1 << 20)...(1 << 40),
            "Memory for all traces held; beyond it the oldest are decided early. With a journal on disk the spans "
                + "stay there, and a span costs some 30 bytes and a trace 320; without, the spans' bytes count too.")
        wait = TraceWait(
            idle: decision, afterRoot: afterRoot == .zero ? decision : afterRoot, maxAge: decision, maxTraces: traces,
            maxBytes: bytes, maxTraceBytes: traceBytes == 0 ? 32 << 20 : traceBytes)
        (sampledCacheSize, droppedCacheSize) = settings.group(
            "decision_cache", "Decisions that are remembered, so that late spans follow them."
        ) {
            let range = 0...10_000_000
            return (
                $0.int("sampled_cache_size", default: 100_000, in: range, unit: "traces", "Sampled traces remembered."),
                $0.int(
                    "non_sampled_cache_size", default: 100_000, in: range, unit: "traces", "Dropped traces remembered.")
            )
        }
        samplesOnFirstMatch = settings.bool(
            "sample_on_first_match", default: false, "Samples as soon as one policy does; the others are not asked.")
        isDryRun = settings.bool(
            "dry_run", default: false, "Counts the decisions of every policy and keeps all traces.")
        recordsRate = settings.bool(
            "record_rate", default: true,
            "Writes sluice.sampling.weight onto spans of traces that only a probabilistic policy sampled: how many "
                + "traces each stands for.")
        session = settings.optionalGroup(
            "session", "Keeps all traces of a conversation once one of them is bad; `session: {}` for the defaults."
        ) { SessionOptions(&$0) }
        if let session { wait = session.added(to: wait) }
        policies = settings.list("policies", "What is looked for. A drop decides, then any policy that samples.") {
            PolicyOption(&$0)
        }
        let strategy = settings.choice(
            "sampling_strategy", default: SamplingStrategy.traceComplete, "When traces are decided on.")
        if strategy == .spanIngest {
            settings.problem("span-ingest is not known here: traces are decided when complete", at: "sampling_strategy")
        }
        settings.accepted("expected_new_traces_per_sec", "memory grows as it is needed")
        settings.accepted("block_on_overflow", "the oldest traces are decided early instead")
        settings.accepted("num_shards", "a pipeline's traces are decided in one place")
        settings.accepted("tail_storage", "spans wait in the journal")
        settings.accepted(
            "drop_pending_traces_on_shutdown", "traces that are not complete wait in the journal for the next start")
        if policies.isEmpty, !settings.isDescribing { settings.problem("needs at least one policy", at: "policies") }
        let names = policies.map(\.name)
        session?.check(names, &settings)
        if samplesOnFirstMatch, let first = policies.firstIndex(where: \.isAlways), first + 1 < policies.count {
            settings.warning(
                "policies behind \(policies[first].name) are never asked: it samples every trace, and "
                    + "sample_on_first_match is set", fix: "name it last", at: "policies")
        }
        for name in Set(names) where names.filter({ $0 == name }).count > 1 {
            settings.problem("two policies are called \(name)", at: "policies")
        }
    }
}
