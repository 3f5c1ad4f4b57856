import Configuration
import OTTL
package import Patterns
import Telemetry

/// The policies of `tail_sampling`, the Collector's and those for agents.
package enum PolicyType: String, CaseIterable, Sendable {
    case alwaysSample = "always_sample"
    case latency
    case numericAttribute = "numeric_attribute"
    case stringAttribute = "string_attribute"
    case booleanAttribute = "boolean_attribute"
    case probabilistic
    case statusCode = "status_code"
    case rateLimiting = "rate_limiting"
    case bytesLimiting = "bytes_limiting"
    case spanCount = "span_count"
    case traceState = "trace_state"
    case traceFlags = "trace_flags"
    case ottlCondition = "ottl_condition"
    case and, not, drop, composite
    case toolError = "tool_error"
    case toolEmptyResult = "tool_empty_result"
    case loop
    case costAbove = "cost_above"
    case tokensAbove = "tokens_above"
    case finishReason = "finish_reason"
    case noFinalAnswer = "no_final_answer"
    case finding

    /// Whether it looks at attributes that spans of other dialects have under these names only after normalization.
    package var readsConventions: Bool {
        switch self {
        case .toolError, .toolEmptyResult, .loop, .costAbove, .tokensAbove, .finishReason, .noFinalAnswer: true
        default: false
        }
    }
}

/// What a policy looks for.
package indirect enum PolicyRule: Sendable {
    case alwaysSample
    /// Milliseconds; above the first, and at most the second unless it is 0.
    case latency(above: Int, most: Int)
    case numeric(key: String, range: ClosedRange<Double>, isInverted: Bool)
    case string(key: String, values: [String], patterns: [CompiledPattern], isInverted: Bool)
    case boolean(key: String, value: Bool, isInverted: Bool)
    case probabilistic(salt: String, percentage: Double)
    case status([Int32])
    case spansPerSecond(Int, burst: Int)
    case bytesPerSecond(Int, burst: Int)
    /// No upper bound when the second is 0.
    case spanCount(least: Int, most: Int)
    case traceState(key: String, values: [String])
    case traceFlags
    case condition([ConditionOption])
    case and([PolicyOption])
    case not(PolicyOption)
    case drop([PolicyOption])
    case composite(CompositeOption)
    case toolError(tools: [String])
    case toolEmptyResult(tools: [String])
    case loop(repeats: Int)
    case sum(keys: [String], above: Double)
    case finishReason([String])
    case noFinalAnswer
    case finding(names: [String], labels: [String])
}

/// Policies in order that share a rate.
package struct CompositeOption: Sendable {
    package var spansPerSecond: Int
    package var order: [String]
    package var policies: [PolicyOption]
    /// Percent of the rate by policy; 0 and missing mean an equal share.
    package var percents: [(policy: String, percent: Int)]
}

/// One entry of `policies`.
package struct PolicyOption: Sendable {
    package var name: String
    package var rule: PolicyRule

    /// Policies inside policies inside policies are as deep as it goes.
    private static let depthMax = 3

    init(_ settings: inout Settings, depth: Int = 0) {
        name = settings.requiredString("name", "Name of the policy, for metrics.")
        let type: PolicyType = settings.requiredChoice("type", "What it looks for.")
        rule = .alwaysSample
        // The options of policies inside others are those described once, at the top.
        if settings.isDescribing && depth > 0 { return }
        let attribute = AttributePolicies(&settings)
        let limits = LimitPolicies(&settings)
        let agents = AgentPolicies(&settings)
        let nested = NestedPolicies(&settings, depth: depth)
        let condition = PolicyOption.condition(&settings)
        let found = attribute.rule(type) ?? limits.rule(type) ?? agents.rule(type) ?? nested.rule(type)
        switch type {
        case .alwaysSample: rule = .alwaysSample
        case .traceFlags: rule = .traceFlags
        case .noFinalAnswer: rule = .noFinalAnswer
        case .ottlCondition where !condition.isEmpty: rule = .condition(condition)
        default:
            if let found {
                rule = found
            } else {
                settings.problem("needs its own options under \(type.rawValue)", at: "type")
            }
        }
        if case .composite(let option) = rule { option.check(&settings) }
    }

    /// Whether it samples every trace.
    var isAlways: Bool {
        if case .alwaysSample = rule { true } else { false }
    }

    private static func condition(_ settings: inout Settings) -> [ConditionOption] {
        settings.optionalGroup("ottl_condition", "Traces in which a condition holds for a span or a span event.") {
            let mode = $0.choice(
                "error_mode", default: OTTLErrorMode.propagate,
                "What a condition that fails does; a trace is never refused, it counts as not met.")
            return $0.conditions("span", .span, label: "span", mode, "Conditions on spans.")
                + $0.conditions("spanevent", .spanevent, label: "spanevent", mode, "Conditions on span events.")
        } ?? []
    }

    /// Reads the list of a container.
    fileprivate static func list(
        _ key: String, _ settings: inout Settings, _ depth: Int, _ sentence: String
    ) -> [PolicyOption] {
        guard depth < depthMax else { return [] }
        return settings.list(key, sentence) { PolicyOption(&$0, depth: depth + 1) }
    }

    fileprivate static func one(
        _ key: String, _ settings: inout Settings, _ depth: Int, _ sentence: String
    ) -> PolicyOption? {
        guard depth < depthMax else { return nil }
        return settings.group(key, sentence) { PolicyOption(&$0, depth: depth + 1) }
    }
}

/// Policies that hold other policies.
private struct NestedPolicies {
    private var and: [PolicyOption]?
    private var not: PolicyOption?
    private var drop: [PolicyOption]?
    private var composite: CompositeOption?

    init(_ settings: inout Settings, depth: Int) {
        and = settings.optionalGroup("and", "Traces that all of its policies sample.") {
            PolicyOption.list("and_sub_policy", &$0, depth, "Policies of which all must sample; options as above.")
        }
        not = settings.optionalGroup("not", "Traces that its policy does not sample.") {
            PolicyOption.one("not_sub_policy", &$0, depth, "The policy; options as above.")
        }.flatMap { $0 }
        drop = settings.optionalGroup(
            "drop", "Traces that all of its policies sample are dropped, whatever others say."
        ) {
            PolicyOption.list("drop_sub_policy", &$0, depth, "Policies of which all must sample; options as above.")
        }
        composite = settings.optionalGroup("composite", "Policies in order, each with its share of a rate.") { inner in
            let rate = inner.int(
                "max_total_spans_per_second", default: 0, in: 0...Int(Int32.max), unit: "spans/s",
                "Rate that the policies share.")
            let order = inner.strings("policy_order", default: [], "Names of the policies in the order they are asked.")
            let policies = PolicyOption.list("composite_sub_policy", &inner, depth, "The policies; options as above.")
            let percents = inner.list("rate_allocation", "Shares of the rate; an equal one for policies without.") {
                (
                    policy: $0.requiredString("policy", "Name of the policy."),
                    percent: $0.int("percent", default: 0, in: 0...100, unit: "%", "Its share.")
                )
            }
            return CompositeOption(spansPerSecond: rate, order: order, policies: policies, percents: percents)
        }
    }

    func rule(_ type: PolicyType) -> PolicyRule? {
        switch type {
        case .and: and.flatMap { $0.isEmpty ? nil : .and($0) }
        case .not: not.map { .not($0) }
        case .drop: drop.flatMap { $0.isEmpty ? nil : .drop($0) }
        case .composite: composite.map { .composite($0) }
        default: nil
        }
    }
}

extension CompositeOption {
    fileprivate func check(_ settings: inout Settings) {
        for name in order where !policies.contains(where: { $0.name == name }) {
            settings.problem("policy_order names \(name), which is none of its policies", at: "composite")
        }
        for policy in policies where !order.contains(policy.name) {
            settings.warning(
                "policy_order does not name \(policy.name), so it is never asked", fix: "add it to policy_order",
                at: "composite")
        }
        if spansPerSecond == 0 { settings.problem("needs max_total_spans_per_second", at: "composite") }
    }
}

/// Policies on attributes of spans and resources.
private struct AttributePolicies {
    private var numeric: PolicyRule?
    private var string: PolicyRule?
    private var boolean: PolicyRule?
    private var status: PolicyRule?
    private var state: PolicyRule?

    init(_ settings: inout Settings) {
        numeric = settings.optionalGroup("numeric_attribute", "Traces with a number in a range.") {
            let key = $0.requiredString("key", "Attribute of a span or resource.")
            let least = $0.double("min_value", default: -1e300, in: -1e300...1e300, "Least value.")
            let most = $0.double("max_value", default: 1e300, in: -1e300...1e300, "Largest value.")
            let isInverted = $0.bool("invert_match", default: false, "Traces without such a number instead.")
            if least > most { $0.problem("is above max_value", at: "min_value") }
            return .numeric(key: key, range: least...max(least, most), isInverted: isInverted)
        }
        string = settings.optionalGroup("string_attribute", "Traces with one of some texts.") {
            let key = $0.requiredString("key", "Attribute of a span or resource.")
            let values = $0.strings("values", default: [], "Texts, of which one must match.")
            let isPattern = $0.bool("enabled_regex_matching", default: false, "Whether the texts are patterns.")
            $0.accepted("cache_max_size", "matches are not cached, the patterns are compiled")
            let isInverted = $0.bool("invert_match", default: false, "Traces without such a text instead.")
            var patterns: [CompiledPattern] = []
            if isPattern {
                for value in values {
                    if let pattern = $0.pattern(of: value, at: "values") { patterns.append(pattern) }
                }
            }
            return .string(key: key, values: isPattern ? [] : values, patterns: patterns, isInverted: isInverted)
        }
        boolean = settings.optionalGroup("boolean_attribute", "Traces with a flag.") {
            let key = $0.requiredString("key", "Attribute of a span or resource.")
            let value = $0.bool("value", default: false, "Its value.")
            let isInverted = $0.bool("invert_match", default: false, "Traces without such a flag instead.")
            return .boolean(key: key, value: value, isInverted: isInverted)
        }
        status = settings.optionalGroup("status_code", "Traces with a span of some status.") {
            let names = $0.strings("status_codes", default: [], "Of OK, ERROR and UNSET.")
            let codes: [Int32] = names.compactMap { ["UNSET": 0, "OK": 1, "ERROR": 2][$0.uppercased()] }
            if codes.count < names.count || names.isEmpty {
                $0.problem("expects some of OK, ERROR and UNSET", at: "status_codes")
            }
            return .status(codes)
        }
        state = settings.optionalGroup("trace_state", "Traces with a member of tracestate.") {
            let key = $0.requiredString("key", "Key of the member.")
            return .traceState(key: key, values: $0.strings("values", default: [], "Values, of which one must match."))
        }
    }

    func rule(_ type: PolicyType) -> PolicyRule? {
        switch type {
        case .numericAttribute: numeric
        case .stringAttribute: string
        case .booleanAttribute: boolean
        case .statusCode: status
        case .traceState: state
        default: nil
        }
    }
}

/// Policies on amounts.
private struct LimitPolicies {
    private var latency: PolicyRule?
    private var probabilistic: PolicyRule?
    private var rate: PolicyRule?
    private var bytes: PolicyRule?
    private var count: PolicyRule?

    init(_ settings: inout Settings) {
        latency = settings.optionalGroup("latency", "Traces that took long, from the first start to the last end.") {
            let above = $0.int(
                "threshold_ms", default: 0, in: 0...Int.max, unit: "ms",
                "As long as this or longer; beside an upper threshold only longer.")
            let most = $0.int("upper_threshold_ms", default: 0, in: 0...Int.max, unit: "ms", "At most this; 0: any.")
            return .latency(above: above, most: most)
        }
        probabilistic = settings.optionalGroup("probabilistic", "A share of traces, chosen by trace id.") {
            let salt = $0.string("hash_salt", default: "default-hash-seed", "Text that is hashed before the trace id.")
            let share = $0.double("sampling_percentage", default: 0, in: 0...100, unit: "%", "Share of traces.")
            return .probabilistic(salt: salt.isEmpty ? "default-hash-seed" : salt, percentage: share)
        }
        rate = settings.optionalGroup("rate_limiting", "As many traces as fit into a rate of spans.") {
            let rate = $0.int(
                "spans_per_second", default: 0, in: 0...Int(Int32.max), unit: "spans/s", "Spans per second.")
            let burst = $0.int(
                "burst_capacity", default: 0, in: 0...(1 << 40), unit: "spans", "Spans at once; 0: twice the rate.")
            return .spansPerSecond(rate, burst: burst == 0 ? rate * 2 : burst)
        }
        bytes = settings.optionalGroup("bytes_limiting", "As many traces as fit into a rate of encoded bytes.") {
            let rate = $0.int("bytes_per_second", default: 0, in: 0...(1 << 40), unit: "bytes/s", "Bytes per second.")
            let burst = $0.int(
                "burst_capacity", default: 0, in: 0...(1 << 40), unit: "bytes", "Bytes at once; 0: twice the rate.")
            return .bytesPerSecond(rate, burst: burst == 0 ? rate * 2 : burst)
        }
        count = settings.optionalGroup("span_count", "Traces with so many spans.") {
            let least = $0.int("min_spans", default: 0, in: 0...Int.max, unit: "spans", "At least.")
            return .spanCount(
                least: least, most: $0.int("max_spans", default: 0, in: 0...Int.max, unit: "spans", "At most; 0: any."))
        }
    }

    func rule(_ type: PolicyType) -> PolicyRule? {
        switch type {
        case .latency: latency
        case .probabilistic: probabilistic
        case .rateLimiting: rate
        case .bytesLimiting: bytes
        case .spanCount: count
        default: nil
        }
    }
}

/// Policies on what agents do, by the GenAI conventions.
private struct AgentPolicies {
    private var toolError: PolicyRule
    private var toolEmpty: PolicyRule
    private var loop: PolicyRule
    private var cost: PolicyRule?
    private var tokens: PolicyRule?
    private var reason: PolicyRule
    private var finding: PolicyRule

    init(_ settings: inout Settings) {
        toolError = settings.group("tool_error", "Traces in which a tool failed.") {
            .toolError(tools: $0.strings("tools", default: [], "Names of tools; all when empty."))
        }
        toolEmpty = settings.group("tool_empty_result", "Traces in which a tool succeeded with nothing to show.") {
            .toolEmptyResult(tools: $0.strings("tools", default: [], "Names of tools; all when empty."))
        }
        loop = settings.group("loop", "Traces in which a tool is called again and again with the same arguments.") {
            .loop(repeats: $0.int("repeats", default: 3, in: 2...10_000, unit: "calls", "Equal calls of one tool."))
        }
        cost = settings.optionalGroup("cost_above", "Traces whose model calls cost more.") {
            let limit = $0.double("usd", default: 0, in: 0...1e9, unit: "USD", "Sum over the trace.")
            return .sum(
                keys: $0.strings("keys", default: ["gen_ai.usage.cost"], "Attributes with costs."), above: limit)
        }
        tokens = settings.optionalGroup("tokens_above", "Traces whose model calls used more tokens.") {
            let limit = $0.int("tokens", default: 0, in: 0...Int(Int32.max), unit: "tokens", "Sum over the trace.")
            return .sum(
                keys: $0.strings(
                    "keys", default: ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"],
                    "Attributes with token counts."), above: Double(limit))
        }
        reason = settings.group("finish_reason", "Traces in which a model stopped for a reason.") {
            .finishReason(
                $0.strings(
                    "values", default: ["length", "content_filter", "error"],
                    "Values of gen_ai.response.finish_reasons."))
        }
        finding = settings.group("finding", "Traces with an evaluation result, as agent findings write them.") {
            let names = $0.strings("names", default: [], "Values of gen_ai.evaluation.name; all when empty.")
            return .finding(
                names: names,
                labels: $0.strings(
                    "labels", default: [], "Values of gen_ai.evaluation.score.label; all when empty."))
        }
    }

    func rule(_ type: PolicyType) -> PolicyRule? {
        switch type {
        case .toolError: toolError
        case .toolEmptyResult: toolEmpty
        case .loop: loop
        case .costAbove: cost
        case .tokensAbove: tokens
        case .finishReason: reason
        case .finding: finding
        default: nil
        }
    }
}
