package import Configuration
import GenAI
import OTTL
import Patterns
package import Pipeline

/// What an evaluator looks at.
package enum EvaluatorLevel: String, CaseIterable, Sendable { case span, trace, session }

/// One entry of `evaluators`.
struct EvaluatorOption: Sendable {
    enum Tier: String, CaseIterable, Sendable { case hint, tag, alert }
    enum Results: String, CaseIterable, Sendable { case failed, all }

    var name: String
    var level: EvaluatorLevel
    /// OTTL condition; empty for every span or trace.
    var filter: String
    var percentage: Double
    /// Nanoseconds between two evaluations, 0 for none.
    var every: UInt64
    var tier: Tier
    var results: Results
    /// What is checked: a measure or the key of an attribute.
    var subject: String
    var check: EvaluatorCheck

    init(_ settings: inout Settings) {
        name = settings.requiredString("name", "Name of the evaluation; results carry it as gen_ai.evaluation.name.")
        level = settings.choice("level", default: .span, "What is looked at: each span, each trace, or sessions.")
        filter = settings.string(
            "filter", default: "",
            "OTTL condition of the spans that are looked at; of traces and sessions those with such a span.")
        percentage = settings.double(
            "sampling_percentage", default: 100, in: 0...100, unit: "%",
            "Share that is looked at, chosen by trace id, or by session.")
        let every = settings.duration(
            "every", default: .zero, in: .zero ... .seconds(31 * 86_400),
            "Looks only at the first in each such period of the telemetry's time; 0 looks at all.")
        self.every = UInt64(max(0, every / .nanoseconds(1)))
        tier = settings.choice("tier", default: .tag, "Tier of a result that is not as wanted.")
        results = settings.choice("results", default: .failed, "Which results are written.")
        subject = settings.string(
            "of", default: "",
            "What is checked: an attribute of the span or of the trace's root; of spans also tokens, cost, latency "
                + "(seconds) and empty_results (1 when the tool came back empty, in whatever form); of traces and "
                + "sessions output, request, input, tokens, input_tokens, output_tokens, cost, latency, steps, "
                + "model_calls, tool_calls, empty_results, failed_steps, findings; of sessions turns.")
        check = EvaluatorCheck(&settings)
        guard !settings.isDescribing else { return }
        if !filter.isEmpty { settings.check(condition: filter, .span, at: "filter") }
        if subject.isEmpty, check.needsSubject {
            settings.problem("is required: what this check is about", at: "of")
        }
        if case .condition = check, level == .session {
            settings.problem(
                "a condition is about a span or a trace's root; check a measure of the session", at: "level")
        }
    }
}

/// How a value is checked.
enum EvaluatorCheck: Sendable {
    /// OTTL, which must hold.
    case condition(String)
    case schema(SchemaEvaluation)
    case pattern(CompiledPattern, isWanted: Bool)
    /// All, or none, of the texts.
    case contains([String], isWanted: Bool)
    case equals(String)
    case range(minimum: Double?, maximum: Double?)
    case baseline(BaselineOption)

    var needsSubject: Bool {
        switch self {
        case .condition, .baseline: false
        default: true
        }
    }

    /// Name of the check in `sluice.finding.rule`.
    var rule: String {
        switch self {
        case .condition: "evaluator.condition"
        case .schema: "evaluator.json_schema"
        case .pattern: "evaluator.pattern"
        case .contains: "evaluator.contains"
        case .equals: "evaluator.equals"
        case .range: "evaluator.range"
        case .baseline: "evaluator.baseline"
        }
    }

    init(_ settings: inout Settings) {
        var found: [EvaluatorCheck] = []
        let condition = settings.string(
            "condition", default: "", "OTTL condition that must hold on the span, or the trace's root.")
        if !condition.isEmpty {
            settings.check(condition: condition, .span, at: "condition")
            found.append(.condition(condition))
        }
        if let schema = EvaluatorCheck.schema(&settings) { found.append(schema) }
        found += EvaluatorCheck.patterns(&settings)
        found += EvaluatorCheck.texts(&settings)
        let minimum = EvaluatorCheck.number("min", "Least number that is wanted.", &settings)
        let maximum = EvaluatorCheck.number("max", "Greatest number that is wanted.", &settings)
        if minimum != nil || maximum != nil { found.append(.range(minimum: minimum, maximum: maximum)) }
        if let baseline = settings.optionalGroup(
            "baseline", "Compares with what is usual.", { BaselineOption(&$0) })
        {
            found.append(.baseline(baseline))
        }
        self = found.first ?? .equals("")
        if found.count != 1, !settings.isDescribing {
            settings.problem(
                "needs one check: condition, json_schema, matches, not_matches, contains, lacks, equals, min and max, "
                    + "or baseline; found \(found.count)", at: "condition")
        }
    }

    private static func schema(_ settings: inout Settings) -> EvaluatorCheck? {
        let value = settings.value(
            "json_schema",
            "Schema that the value must meet, as a mapping or as text: type, enum, const, required, properties, "
                + "additionalProperties, items, anyOf, oneOf, allOf, local $ref, bounds; the rest is not checked.")
        let text: String
        switch value {
        case nil, .null: return nil
        case .string(let string): text = string
        case .some(let other): text = EvaluatorCheck.json(other)
        }
        guard let schema = SchemaEvaluation(schema: text) else {
            settings.problem("is no JSON object", at: "json_schema")
            return nil
        }
        return .schema(schema)
    }

    private static func patterns(_ settings: inout Settings) -> [EvaluatorCheck] {
        var found: [EvaluatorCheck] = []
        for (key, isWanted) in [("matches", true), ("not_matches", false)] {
            let text = settings.string(
                key, default: "",
                isWanted ? "Regular expression that must match somewhere." : "Regular expression that must not match.")
            guard !text.isEmpty else { continue }
            let undecided = "an answer on which it could not be decided is not judged"
            if let pattern = settings.pattern(of: text, at: key, undecided: undecided) {
                found.append(.pattern(pattern, isWanted: isWanted))
            }
        }
        return found
    }

    private static func texts(_ settings: inout Settings) -> [EvaluatorCheck] {
        var found: [EvaluatorCheck] = []
        let contained = settings.strings("contains", default: [], "Texts that must all be in it; case does not matter.")
        if !contained.isEmpty { found.append(.contains(contained, isWanted: true)) }
        let lacking = settings.strings("lacks", default: [], "Texts of which none may be in it; case does not matter.")
        if !lacking.isEmpty { found.append(.contains(lacking, isWanted: false)) }
        if let text = settings.optionalString("equals", "Text that it must be.") { found.append(.equals(text)) }
        return found
    }

    private static func number(_ key: String, _ sentence: String, _ settings: inout Settings) -> Double? {
        switch settings.value(key, sentence) {
        case .int(let number): return Double(number)
        case .double(let number): return number
        case nil, .null: return nil
        default:
            settings.problem("expects a number", at: key)
            return nil
        }
    }

    private static func json(_ value: ConfigValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number): String(number)
        case .string(let text): quoted(text)
        case .list(let list): "[" + list.map(json).joined(separator: ",") + "]"
        case .map(let members): "{" + members.map { quoted($0.0) + ":" + json($0.1) }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
    }
}

/// Comparison with what was usual for an agent, a tool or a model.
struct BaselineOption: Sendable {
    enum Measure: String, CaseIterable, Sendable {
        case tokens, latency, steps, cost
        case emptyRate = "empty_rate"
    }
    enum Key: String, CaseIterable, Sendable { case agent, tool, model }

    var measure: Measure
    var key: Key
    var minimum: Int
    var deviations: Double

    init(_ settings: inout Settings) {
        let measure: Measure = settings.requiredChoice(
            "measure",
            "What is compared: of traces tokens, latency, steps and cost; of spans tokens, latency and cost; "
                + "empty_rate is the share of a tool's empty results in its last 32 calls.")
        self.measure = measure
        key = settings.choice(
            "by", default: measure == .emptyRate ? .tool : .agent, "Whose baseline it is.")
        minimum = settings.int(
            "min_samples", default: 20, in: 5...100_000, "Values to have seen before anything is unusual.")
        deviations = settings.double(
            "deviations", default: 4, in: 1...100,
            "Standard deviations above the mean, of the logarithm for measures, that are unusual.")
    }
}

/// Options of the `evaluators` processor.
package struct EvaluatorsOptions: ComponentOptions {
    package var wait: TraceWait
    var evaluators: [EvaluatorOption]
    var sessionsMax: Int
    var baselinesMax: Int

    package init(_ settings: inout Settings) {
        wait = TraceWait.read(&settings)
        sessionsMax = settings.int(
            "max_sessions", default: 4_096, in: 16...1_000_000, "Sessions whose sums are kept.")
        baselinesMax = settings.int(
            "max_baselines", default: 4_096, in: 16...1_000_000, "Agents, tools and models whose baselines are kept.")
        evaluators = settings.list("evaluators", "What is checked.") { EvaluatorOption(&$0) }
        guard !settings.isDescribing else { return }
        if evaluators.isEmpty { settings.problem("needs at least one evaluator", at: "evaluators") }
        for (index, one) in evaluators.enumerated() where evaluators[..<index].contains(where: { $0.name == one.name })
        {
            settings.problem("two evaluators are called \"\(one.name)\"", at: "evaluators")
        }
    }
}
