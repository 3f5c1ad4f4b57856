package import Pipeline
package import Telemetry

/// Removes attributes that are not allowed and masks secrets and personal data everywhere in a request.
///
/// Values of every kind and depth are searched: attributes of resources, scopes, spans, events, links, logs, metrics
/// and points, span and event names, status messages and log bodies. It fails closed: what cannot be looked into is
/// withheld.
package struct RedactionProcessor: Processor {
    private let policy: RedactionPolicy
    private let pool = RedactionPool()
    /// By tag number.
    private let counters: [Counter?]

    /// Registers one counter per detector and reason.
    package init(options: RedactionOptions, build: inout ProcessorBuild) {
        policy = RedactionPolicy(options, &build.keys)
        var counters = [Counter?](repeating: nil, count: 64)
        func register(_ tag: MatchTag, _ name: String, _ build: ProcessorBuild) {
            counters[Int(tag.rawValue)] = build.metrics.counter(
                "sluice_redaction_matches_total",
                "Places in telemetry that were masked, or would be but for dry_run, by what was found there.",
                [("detector", name), ("dry_run", options.isDryRun ? "true" : "false")] + build.labels)
        }
        for detector in options.detectors.members {
            register(detector.tag, detector.rawValue, build)
        }
        if !options.blockedValues.isEmpty { register(.blockedValue, "blocked_values", build) }
        if !options.blockedKeyPatterns.isEmpty { register(.blockedKey, "blocked_key_patterns", build) }
        if !options.allowAllKeys { register(.removedKey, "allowed_keys", build) }
        register(.tooDeep, "too_deep", build)
        register(.undecided, "undecided", build)
        self.counters = counters
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let scratch = pool.take()
        policy.redact(&batch, &scratch.state)
        for index in counters.indices where scratch.state.counts[index] > 0 {
            counters[index]?.add(scratch.state.counts[index])
            scratch.state.counts[index] = 0
        }
        scratch.state.finish()
        pool.give(scratch)
    }
}
