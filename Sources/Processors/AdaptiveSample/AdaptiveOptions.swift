package import Configuration
import OTTL
package import Pipeline

/// How a rule samples the traces it matches.
package enum RuleSampler: String, CaseIterable, Sendable {
    case alwaysSample = "always_sample"
    case probabilistic
    case adaptivePercentage = "adaptive_percentage"
    case adaptiveThroughput = "adaptive_throughput"
}

/// What a fingerprint is made of: a scope and the attribute.
package struct FingerprintPart: Sendable, Equatable {
    package enum Scope: String, CaseIterable, Sendable { case resource, scope, span, root, any }

    package var scope: Scope
    package var attribute: String

    /// Reads `span.attributes["name"]`; nil for anything else.
    init?(_ text: String) {
        guard let dot = text.firstIndex(of: "."), let scope = Scope(rawValue: String(text[..<dot])) else { return nil }
        let rest = text[text.index(after: dot)...]
        guard rest.hasPrefix("attributes[\""), rest.hasSuffix("\"]"), rest.count > 14 else { return nil }
        self.scope = scope
        attribute = String(rest.dropFirst(12).dropLast(2))
    }
}

/// One rule: the first whose conditions match decides.
package struct AdaptiveRuleOption: Sendable {
    /// How several conditions go together.
    package enum Match: String, CaseIterable, Sendable {
        case anySpan = "any_span"
        case sameSpan = "same_span"
    }

    package var name: String
    package var conditions: [ConditionOption]
    package var match: Match
    package var sampler: RuleSampler
    package var percentage: Double
    package var goalPercentage: Double
    package var goalThroughput: Double
    package var fingerprint: [FingerprintPart]
    package var isWindowed: Bool
    package var interval: Duration
    package var weight: Double
    package var updateInterval: Duration
    package var lookback: Duration
    package var keysMax: Int

    init(_ settings: inout Settings) {
        name = settings.requiredString("name", "Name of the rule, written onto the spans it samples.")
        conditions = settings.conditions(
            "conditions", .span, label: "conditions", .ignore,
            "OTTL conditions on spans; without any, all traces match.")
        match = settings.choice(
            "match", default: Match.anySpan,
            "Whether each condition may be met by a span of its own, or one span must meet all.")
        (sampler, percentage, goalPercentage, goalThroughput, fingerprint) = (.alwaysSample, 0, 0, 0, [])
        (isWindowed, weight, keysMax) = (false, 0.5, 500)
        (interval, updateInterval, lookback) = (.seconds(15), .seconds(1), .seconds(30))
        let hasMatch = settings.isPresent("match")
        if name.hasPrefix("_") { settings.problem("names that begin with _ are the processor's own", at: "name") }
        if conditions.isEmpty, hasMatch { settings.problem("needs conditions to go together", at: "match") }
        var sampler = self
        settings.group("sampler", "How the traces of the rule are sampled.") { sampler.readSampler(&$0) }
        self = sampler
    }

    private mutating func readSampler(_ settings: inout Settings) {
        sampler = settings.requiredChoice("type", "How rates are found.")
        percentage = settings.double(
            "sampling_percentage", default: 0, in: 0...100, unit: "%", "Share of traces, for probabilistic.")
        goalPercentage = settings.double(
            "goal_percentage", default: 0, in: 0...100, unit: "%", "Share of spans over all fingerprints.")
        goalThroughput = settings.double(
            "goal_throughput", default: 0, in: 0...1e12, unit: "spans/s", "Spans per second over all fingerprints.")
        let parts = settings.strings(
            "fingerprint_attributes", default: [],
            "What tells kinds of traces apart, such as span.attributes[\"http.route\"]; the scope is resource, scope, "
                + "span, root or any.")
        fingerprint = parts.compactMap { FingerprintPart($0) }
        isWindowed =
            settings.choice("algorithm", default: RateAlgorithm.ema, "ema smooths, windowed follows faster.")
            == .windowed
        interval = settings.duration(
            "adjustment_interval", default: .seconds(15), in: .milliseconds(1) ... .seconds(86_400),
            "How often ema changes the rates.")
        weight = settings.double(
            "weight", default: 0.5, in: 0...0.999_999, "How much the last interval counts; 0 means 0.5.")
        updateInterval = settings.duration(
            "update_frequency", default: .seconds(1), in: .zero ... .seconds(3_600),
            "How often windowed changes the rates; 0 means 1s.")
        lookback = settings.duration(
            "lookback_frequency", default: .seconds(30), in: .zero ... .seconds(3_600),
            "How far windowed looks back; 0 means 30s.")
        keysMax = settings.int(
            "max_keys", default: 500, in: 0...1_000_000, unit: "fingerprints",
            "Fingerprints with a rate of their own; others get one in ten. 0 means no limit.")
        settings.accepted("shared_counters", "rates are those of this process")
        guard !settings.isDescribing else { return }
        if fingerprint.count < parts.count {
            settings.problem(
                "expects entries such as resource.attributes[\"service.name\"]", at: "fingerprint_attributes")
        }
        check(&settings)
    }

    private mutating func check(_ settings: inout Settings) {
        if weight == 0 { weight = 0.5 }
        if updateInterval == .zero { updateInterval = .seconds(1) }
        if lookback == .zero { lookback = .seconds(30) }
        switch sampler {
        case .alwaysSample: break
        case .probabilistic:
            if percentage <= 0 { settings.problem("needs a share above 0", at: "sampling_percentage") }
        case .adaptivePercentage:
            if goalPercentage <= 0 { settings.problem("needs a share above 0", at: "goal_percentage") }
            if isWindowed { settings.problem("windowed is for adaptive_throughput", at: "algorithm") }
        case .adaptiveThroughput:
            if goalThroughput <= 0 { settings.problem("needs a goal above 0", at: "goal_throughput") }
        }
        if sampler == .adaptivePercentage || sampler == .adaptiveThroughput, fingerprint.isEmpty {
            settings.problem("needs what tells kinds of traces apart", at: "fingerprint_attributes")
        }
    }
}

/// How rates follow the traffic.
enum RateAlgorithm: String, CaseIterable, Sendable { case ema, windowed }

/// Options of the `adaptive_tail_sampling` processor, named as in the Collector.
package struct AdaptiveTailSamplingOptions: ComponentOptions {
    /// What decides on a trace that has to go early.
    package enum EvictionPolicy: String, CaseIterable, Sendable { case evaluate, probabilistic }

    /// What of the fingerprint is written onto spans.
    package enum RecordedFingerprint: String, CaseIterable, Sendable { case none, value, hash }

    package var wait: TraceWait
    package var rules: [AdaptiveRuleOption]
    package var sampledCacheSize: Int
    package var droppedCacheSize: Int
    /// Share of traces sampled when they have to go early; nil asks the rules.
    package var evictionPercentage: Double?
    package var recorded: RecordedFingerprint
    package var session: SessionOptions?
    package var isDryRun: Bool

    package init(_ settings: inout Settings) {
        let hour = Duration.seconds(3_600)
        let timeout = settings.duration(
            "trace_timeout", default: .seconds(30), in: .milliseconds(1)...hour,
            "Age at which a trace is decided on, whatever still comes.")
        let delay = settings.duration(
            "decision_delay", default: .seconds(2), in: .zero...hour,
            "Quiet time after the root span to the decision.")
        let traces = settings.int(
            "num_traces", default: 50_000, in: 1...10_000_000, unit: "traces",
            "Traces held at once; beyond it the oldest are decided early.")
        let spans = settings.int(
            "span_limit", default: 10_000, in: 0...1_000_000_000, unit: "spans",
            "Spans at which a trace is decided without waiting; 0 means no limit but in bytes.")
        let bytes = settings.bytes(
            "maximum_buffer_size_bytes", default: 256 << 20, in: (1 << 20)...(1 << 40),
            "Memory for all traces held; beyond it the oldest are decided early. With a journal on disk the spans "
                + "stay there, and a span costs some 30 bytes and a trace 320; without, the spans' bytes count too.")
        wait = TraceWait(
            idle: timeout, afterRoot: delay, maxAge: timeout + delay, maxTraces: traces, maxBytes: bytes)
        wait.maxTraceSpans = spans == 0 ? .max : spans
        (sampledCacheSize, droppedCacheSize) = settings.group(
            "decision_cache", "Decisions that are remembered, so that late spans follow them."
        ) {
            let range = 0...10_000_000
            return (
                $0.int("sampled_cache_size", default: 10_000, in: range, unit: "traces", "Sampled traces remembered."),
                $0.int(
                    "non_sampled_cache_size", default: 10_000, in: range, unit: "traces", "Dropped traces remembered.")
            )
        }
        evictionPercentage = settings.group("eviction", "What decides on traces that have to go early.") { inner in
            let policy = inner.choice("policy", default: EvictionPolicy.evaluate, "The rules, or a fixed share.")
            let share = inner.double(
                "sampling_percentage", default: 0, in: 0...100, unit: "%", "The share, for probabilistic.")
            if policy == .probabilistic, share <= 0 {
                inner.problem("needs a share above 0", at: "sampling_percentage")
            }
            return policy == .probabilistic ? share : nil
        }
        recorded = settings.choice(
            "record_fingerprint", default: RecordedFingerprint.none, "What of the fingerprint is written onto spans.")
        isDryRun = settings.bool(
            "dry_run", default: false, "Counts the decisions of every rule and keeps all traces as they are.")
        session = settings.optionalGroup(
            "session", "Keeps all traces of a conversation once one of them is bad; `session: {}` for the defaults."
        ) { SessionOptions(&$0) }
        if let session { wait = session.added(to: wait) }
        rules = settings.list("rules", "Rules in order; the first whose conditions match decides.") {
            AdaptiveRuleOption(&$0)
        }
        settings.accepted("root_span_condition", "the root of a trace is its span without a parent")
        if !settings.isDescribing { check(&settings) }
    }

    private func check(_ settings: inout Settings) {
        if rules.isEmpty { settings.problem("needs at least one rule", at: "rules") }
        let names = rules.map(\.name)
        for name in Set(names) where names.filter({ $0 == name }).count > 1 {
            settings.problem("two rules are called \(name)", at: "rules")
        }
        session?.check(names, &settings)
        if let all = rules.firstIndex(where: \.conditions.isEmpty), all + 1 < rules.count {
            settings.warning(
                "rules behind \(rules[all].name) are never asked: it has no conditions", fix: "name it last",
                at: "rules")
        }
    }
}
