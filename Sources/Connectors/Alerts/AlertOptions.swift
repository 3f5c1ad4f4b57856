package import Configuration
import OTTL
import Telemetry

/// What an alert rule measures.
package enum AlertMetric: String, CaseIterable, Sendable, Codable {
    case tokens
    case inputTokens = "input_tokens"
    case outputTokens = "output_tokens"
    case cost
    /// Seconds from begin to end of a span.
    case latency
    /// 1 for a failed span, 0 for another.
    case errorRate = "error_rate"
    /// 1 for a trace with a finding, 0 for another.
    case findingRate = "finding_rate"
    /// One for every finding.
    case findings
    /// Score of evaluation results.
    case score
    /// Spans or log records.
    case throughput

    var usualAggregation: AlertAggregation {
        switch self {
        case .tokens, .inputTokens, .outputTokens, .cost, .findings: .sum
        case .latency: .p95
        case .errorRate, .findingRate, .score: .average
        case .throughput: .perSecond
        }
    }
}

/// How the values within the window become one.
package enum AlertAggregation: String, CaseIterable, Sendable, Codable {
    case sum, count, min, max
    case average = "avg"
    case p50, p90, p95, p99
    case perSecond = "per_second"

    var quantile: Double? {
        switch self {
        case .p50: 0.5
        case .p90: 0.9
        case .p95: 0.95
        case .p99: 0.99
        default: nil
        }
    }
}

/// How the value of a window is compared with the threshold of a rule.
package enum AlertOperator: String, CaseIterable, Sendable, Codable {
    case above = ">"
    case atLeast = ">="
    case below = "<"
    case atMost = "<="
    case equal = "=="
    case unequal = "!="

    func holds(_ value: Double, _ threshold: Double) -> Bool {
        switch self {
        case .above: value > threshold
        case .atLeast: value >= threshold
        case .below: value < threshold
        case .atMost: value <= threshold
        case .equal: value == threshold
        case .unequal: value != threshold
        }
    }
}

/// How grave an alert is; `number` maps it to INFO, WARN, ERROR and FATAL of the logs data model.
package enum AlertSeverity: String, CaseIterable, Sendable, Codable {
    case info, warning, error, critical

    /// Severity number of log records.
    var number: Int {
        switch self {
        case .info: 9
        case .warning: 13
        case .error: 17
        case .critical: 21
        }
    }
}

/// One entry of `rules`.
package struct AlertRule: Sendable, Equatable {
    package var name: String
    package var metric: AlertMetric
    package var aggregation: AlertAggregation
    package var comparison: AlertOperator
    package var threshold: Double
    /// Nanoseconds.
    package var window: UInt64
    package var minOccurrences: Int
    package var groupBy: [String]
    package var groupsMax: Int
    package var severity: AlertSeverity
    package var isPaused: Bool
    package var resolves: Bool
    /// Nanoseconds for which the condition must not hold before an alert ends.
    package var resolveAfter: UInt64
    /// Nanoseconds between two alerts of one group.
    package var coolDown: UInt64
    /// Nanoseconds between reminders while it lasts, 0 for none.
    package var remindEvery: UInt64
    /// OTTL condition; empty for every record.
    package var filter: String
    /// Names of evaluations, for findings and scores; all when empty.
    package var evaluations: [String]
    package var tiers: [String]
    package var message: String
    package var runbook: String

    package init(_ settings: inout Settings) {
        name = settings.requiredString("name", "Name of the rule; notifications and de-duplication keys carry it.")
        metric = settings.requiredChoice(
            "metric",
            "What is measured: tokens, cost, latency (seconds) and error_rate per span, finding_rate per trace, "
                + "findings and score per evaluation result, throughput.")
        let metric = metric
        aggregation = settings.choice(
            "aggregation", default: metric.usualAggregation,
            "How the values within the window become one; by default sum for tokens, cost and findings, p95 for "
                + "latency, avg for rates and scores, per_second for throughput. Percentiles are within 2 %.")
        comparison = settings.choice("operator", default: .above, "How the value is compared with the threshold.")
        threshold = settings.double(
            "threshold", default: 0, in: -1e15...1e15, "What it is compared with; rates are shares from 0 to 1.")
        window = Self.nanoseconds(
            settings.duration(
                "window", default: .seconds(300), in: .seconds(1) ... .seconds(86_400),
                "How far back values count, by the time they came in; it moves in thirtieths."))
        minOccurrences = settings.int(
            "min_occurrences", default: 1, in: 0...1_000_000_000, unit: "values",
            "Fewer values in the window raise no alert; 0 lets an empty window count as 0.")
        groupBy = settings.strings(
            "group_by", default: [],
            "Attributes of the record or its resource, at most 4; each combination of values is watched by itself.")
        groupsMax = settings.int(
            "max_groups", default: 1_000, in: 1...100_000, unit: "groups",
            "Combinations watched at once; what is beyond counts together as (other).")
        severity = settings.choice("severity", default: .warning, "How urgent it is.")
        filter = settings.string(
            "filter", default: "", "OTTL condition of the spans, or log records, that count; every one when empty.")
        evaluations = settings.strings(
            "evaluations", default: [],
            "Names of findings or evaluators (gen_ai.evaluation.name) that count; all when empty.")
        tiers = settings.strings(
            "tiers", default: metric == .score ? [] : ["tag", "alert"],
            "Tiers of findings that count (hint, tag, alert); results without a tier always do.")
        isPaused = settings.bool("paused", default: false, "Goes on measuring, ends its open alerts and raises none.")
        message = settings.string("message", default: "", "A sentence for those who get the alert.")
        runbook = settings.string("runbook_url", default: "", "Where they find what to do.")
        (resolves, resolveAfter, coolDown, remindEvery) = Self.life(&settings)
        check(&settings)
    }

    private static func life(_ settings: inout Settings) -> (Bool, UInt64, UInt64, UInt64) {
        let day = Duration.seconds(86_400)
        return (
            settings.bool("resolve", default: true, "Tells when the alert is over."),
            nanoseconds(
                settings.duration(
                    "resolve_after", default: .zero, in: .zero...day,
                    "How long the condition must not hold before the alert is over.")),
            nanoseconds(
                settings.duration(
                    "cool_down", default: .seconds(300), in: .zero...day,
                    "Least time between two alerts of one group.")),
            nanoseconds(
                settings.duration(
                    "remind_every", default: .zero, in: .zero...day,
                    "Tells again while the alert lasts; 0 never does."))
        )
    }

    private func check(_ settings: inout Settings) {
        guard !settings.isDescribing else { return }
        if groupBy.count > 4 { settings.problem("takes at most 4 attributes", at: "group_by") }
        for tier in tiers where !["hint", "tag", "alert"].contains(tier) {
            settings.problem("\"\(tier)\" is no tier: hint, tag or alert", at: "tiers")
        }
        guard !filter.isEmpty else { return }
        // Which signal it is about is known with the pipeline; a condition about either is right here.
        if !AlertFilter.fits(filter, .span), !AlertFilter.fits(filter, .log) {
            settings.check(condition: filter, .span, at: "filter")
        }
    }

    static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(0, seconds)) * 1_000_000_000 + UInt64(max(0, attoseconds)) / 1_000_000_000
    }
}

/// Options of the `alerts` connector.
package struct AlertsOptions: ComponentOptions {
    package var rules: [AlertRule]
    /// How often windows are looked at when nothing comes.
    package var interval: Duration

    package init(_ settings: inout Settings) {
        interval = settings.duration(
            "evaluation_interval", default: .seconds(10), in: .milliseconds(100) ... .seconds(3_600),
            "How often windows are looked at when nothing comes in; with each batch they are in any case.")
        rules = settings.list("rules", "What is watched.") { AlertRule(&$0) }
        guard !settings.isDescribing else { return }
        if rules.isEmpty { settings.problem("needs at least one rule", at: "rules") }
        for (index, rule) in rules.enumerated() where rules[..<index].contains(where: { $0.name == rule.name }) {
            settings.problem(
                "two rules are called \"\(rule.name)\": de-duplication keys need one name each", at: "rules")
        }
    }
}

enum AlertFilter {
    /// Whether a condition can be read in a context.
    static func fits(_ text: String, _ context: OTTLContext) -> Bool {
        var keys = KeyTable.Builder()
        return (try? OTTLCondition(text, context: context, keys: &keys)) != nil
    }
}
