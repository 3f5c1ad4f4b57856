import OTTL
package import Pipeline
package import Telemetry

/// Keeps or drops whole traces by rules with rates that follow the traffic: the Collector's `adaptive_tail_sampling`.
///
/// It runs on batches that hold one trace each. A rule only says a rate; the trace is sampled when its randomness is at
/// least the threshold of that rate, so every sampled span carries in its tracestate how many it stands for.
package struct AdaptiveTailSamplingProcessor: Processor {
    private let rules: [AdaptiveRule]
    private let traces: SampledTraces
    private let eviction: SamplingThreshold?
    private let recorded: AdaptiveTailSamplingOptions.RecordedFingerprint
    private let isDryRun: Bool
    private let ruleKey, triggerKey, fingerprintKey: KeyID
    private let turningBad: Set<String>
    private let counters: Counters
    private let pool = EvaluationPool()
    private let now: @Sendable () -> Int64

    private struct Counters: Sendable {
        /// By rule; the last one is for traces that no rule matched, the one before for evicted ones.
        var sampled: [Counter] = []
        var dropped: [Counter] = []
        var droppedSpans: Counter
        var triggers: [GatheredTrace.Reason: Counter] = [:]
    }

    /// What was decided, and with what.
    private struct Choice {
        var rule: Int
        var threshold: SamplingThreshold
        var fingerprint = ""
    }

    /// `now` gives nanoseconds, the system's time when absent.
    package init(
        options: AdaptiveTailSamplingOptions, build: inout ProcessorBuild, now: (@Sendable () -> Int64)? = nil
    ) throws(ProcessorBuildFailure) {
        self.now = now ?? OTTLEffects.system.now
        var rules: [AdaptiveRule] = []
        for option in options.rules { rules.append(try AdaptiveRule(option, &build)) }
        self.rules = rules
        traces = SampledTraces(
            DecisionCache.Limits(sampled: options.sampledCacheSize, dropped: options.droppedCacheSize),
            options.session, &build)
        eviction = options.evictionPercentage.map { SamplingThreshold(probability: $0 / 100, precision: 14) }
        recorded = options.recorded
        isDryRun = options.isDryRun
        let prefix = "otelcol.processor.adaptive_tail_sampling."
        ruleKey = build.keys.intern(prefix + "rule")
        triggerKey = build.keys.intern(prefix + "trigger")
        fingerprintKey = build.keys.intern(prefix + "fingerprint")
        turningBad = Set(options.session?.policies ?? [])
        counters = AdaptiveTailSamplingProcessor.makeCounters(rules.map(\.name), build)
    }

    private static func makeCounters(_ rules: [String], _ build: ProcessorBuild) -> Counters {
        var counters = Counters(
            droppedSpans: build.metrics.counter(
                "otelcol_processor_adaptive_tail_sampling_spans_dropped", "Spans of traces that were dropped.",
                build.labels))
        for name in rules + ["_eviction", "_unmatched"] {
            let labels: [(name: String, value: String)] = build.labels + [("rule", name)]
            counters.sampled.append(
                build.metrics.counter(
                    "otelcol_processor_adaptive_tail_sampling_traces_sampled", "Traces kept, by rule.", labels))
            counters.dropped.append(
                build.metrics.counter(
                    "otelcol_processor_adaptive_tail_sampling_traces_dropped", "Traces dropped, by rule.", labels))
        }
        for reason in GatheredTrace.Reason.allCases {
            counters.triggers[reason] = build.metrics.counter(
                "otelcol_processor_adaptive_tail_sampling_decision_triggers",
                "Decisions by what made the trace complete.",
                build.labels + [("trigger", trigger(reason)), ("reason", reason.rawValue)])
        }
        return counters
    }

    /// The Collector's word for why a trace was taken as complete.
    private static func trigger(_ reason: GatheredTrace.Reason) -> String {
        switch reason {
        case .root: "root_span"
        case .idle, .age: "trace_timeout"
        case .size: "span_limit"
        case .full: "eviction"
        case .shutdown: "shutdown"
        }
    }

    // MARK: Deciding

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.liveCount > 0 else { return }
        batch.forEachTrace { batch, isAlone in sample(&batch, &context, isAlone: isAlone) }
    }

    /// Decides on one trace.
    private func sample(_ batch: inout RecordBatch, _ context: inout ProcessContext, isAlone: Bool) {
        let reason = context.trace?.reason ?? .root
        var choice = Choice(rule: -1, threshold: .always)
        let decision: SamplingDecision
        switch traces.outcome(batch, &context, isAlone: isAlone, { decide($0, reason, &choice) }) {
        case .held: return
        case .late(let earlier):
            decision = earlier
            choice.rule = earlier.rule
        case .decided(let made):
            decision = made
            if let trigger = counters.triggers[reason] { context.count(trigger) }
            context.count((made.isSampled ? counters.sampled : counters.dropped)[choice.rule])
        }
        if isDryRun { return }
        if decision.isSampled {
            mark(&batch, decision, choice, reason)
        } else {
            let rule = choice.rule < 0 ? "late" : ruleName(choice.rule)
            SampledTraces.drop(&batch, &context, rule: rule, isAlone: isAlone, counters.droppedSpans)
        }
    }

    private func decide(
        _ batch: borrowing RecordBatch, _ reason: GatheredTrace.Reason, _ choice: inout Choice
    ) -> SampledTraces.Verdict {
        let randomness = self.randomness(of: batch)
        if reason == .full, let eviction {
            choice = Choice(rule: rules.count, threshold: eviction)
        } else {
            let memory = pool.take()
            defer { pool.give(memory) }
            choice = Choice(rule: rules.count + 1, threshold: .never)
            for (index, rule) in rules.enumerated() where rule.matches(batch, &memory.state) {
                let (rate, fingerprint) = rule.rate(of: batch, now: now())
                choice.rule = index
                choice.threshold = SamplingThreshold(probability: 1 / rate, precision: SamplingThreshold.digits)
                choice.fingerprint = fingerprint
                break
            }
        }
        let isSampled = choice.threshold.keeps(randomness)
        return SampledTraces.Verdict(
            decision: SamplingDecision(
                isSampled: isSampled, probability: isSampled ? choice.threshold.probability : 1, rule: choice.rule),
            turnsBad: isSampled && turnsBad(choice.rule))
    }

    private func turnsBad(_ rule: Int) -> Bool {
        guard rule < rules.count else { return false }
        return turningBad.isEmpty ? rules[rule].isDeliberate : turningBad.contains(rules[rule].name)
    }

    /// Explicit randomness of a span, or else that of the trace id.
    private func randomness(of batch: borrowing RecordBatch) -> UInt64 {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let text = batch.text(batch.spans[index].traceState)
            if !text.isEmpty, let value = TraceState(text)?.randomness { return value }
        }
        return SamplerRule.randomness(ofTraceID: TraceShape.identifier(of: batch)) ?? SamplingThreshold.range - 1
    }

    // MARK: Results

    private func mark(
        _ batch: inout RecordBatch, _ decision: SamplingDecision, _ choice: Choice, _ reason: GatheredTrace.Reason
    ) {
        SamplingRecord.write(
            SamplingThreshold(probability: decision.probability, precision: SamplingThreshold.digits), &batch)
        if decision.rule >= 0 {
            let name = ruleName(decision.rule)
            let text = batch.buildText { $0.append(string: name) }
            SamplingRecord.write(.string(text), to: ruleKey, &batch)
        }
        let trigger = batch.buildText { $0.append(string: AdaptiveTailSamplingProcessor.trigger(reason)) }
        SamplingRecord.write(.string(trigger), to: triggerKey, &batch)
        guard recorded != .none, !choice.fingerprint.isEmpty else { return }
        let value = recorded == .hash ? Fingerprint.hash(choice.fingerprint) : choice.fingerprint
        let text = batch.buildText { $0.append(string: value) }
        SamplingRecord.write(.string(text), to: fingerprintKey, &batch)
    }

    private func ruleName(_ rule: Int) -> String {
        if rule < rules.count { return rules[rule].name }
        return rule == rules.count ? "_eviction" : "_unmatched"
    }
}

/// One rule with its conditions compiled.
struct AdaptiveRule: Sendable {
    let name: String
    /// Its conditions say what is kept, and no chance.
    let isDeliberate: Bool
    private let conditions: [RuleSet]
    private let match: AdaptiveRuleOption.Match
    private let fingerprint: Fingerprint
    private let fixedRate: Double?
    private let rates: AdaptiveRates?

    init(_ option: AdaptiveRuleOption, _ build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        name = option.name
        isDeliberate = option.sampler == .alwaysSample && !option.conditions.isEmpty
        match = option.match
        let errors = build.metrics.counter(
            "otelcol_processor_adaptive_tail_sampling_ottl_eval_errors", "Spans on which a condition failed.",
            build.labels + [("rule", option.name)])
        var conditions: [RuleSet] = []
        for condition in option.conditions {
            conditions.append(try RuleSet([condition], .span, errors: errors, &build))
        }
        self.conditions = conditions
        fingerprint = Fingerprint(option.fingerprint, &build.keys)
        switch option.sampler {
        case .alwaysSample: (fixedRate, rates) = (1, nil)
        case .probabilistic: (fixedRate, rates) = (100 / option.percentage, nil)
        case .adaptivePercentage:
            fixedRate = nil
            rates = AdaptiveRates(
                .percentage(goalRate: 100 / option.goalPercentage, weight: option.weight),
                interval: option.interval.wholeNanoseconds, keysMax: option.keysMax)
        case .adaptiveThroughput where option.isWindowed:
            fixedRate = nil
            rates = AdaptiveRates(
                .windowed(goal: option.goalThroughput, lookback: option.lookback.wholeNanoseconds),
                interval: option.updateInterval.wholeNanoseconds, keysMax: option.keysMax)
        case .adaptiveThroughput:
            fixedRate = nil
            rates = AdaptiveRates(
                .throughput(goal: option.goalThroughput, weight: option.weight),
                interval: option.interval.wholeNanoseconds, keysMax: option.keysMax)
        }
    }

    func matches(_ batch: borrowing RecordBatch, _ state: inout EvaluationState) -> Bool {
        switch match {
        case .anySpan:
            for condition in conditions {
                var isMet = false
                for index in batch.spans.indices where !batch.isRemoved(span: index) {
                    isMet = condition.holds(batch, at: Place(span: index, batch), &state)
                    if isMet { break }
                }
                if !isMet { return false }
            }
            return true
        case .sameSpan:
            if conditions.isEmpty { return true }
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                var isMet = true
                for condition in conditions where isMet {
                    isMet = condition.holds(batch, at: Place(span: index, batch), &state)
                }
                if isMet { return true }
            }
            return false
        }
    }

    /// One in how many traces like this is kept, and the fingerprint, empty when none was needed.
    func rate(of batch: borrowing RecordBatch, now: Int64) -> (Double, String) {
        if let fixedRate { return (fixedRate, "") }
        guard let rates else { return (1, "") }
        let text = fingerprint.text(of: batch)
        return (rates.rate(of: text, spans: batch.liveCount, now: now), text)
    }
}

extension Duration {
    /// Nanoseconds, at most what 64 bits hold.
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds > Int64.max / 2_000_000_000 ? .max : seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
