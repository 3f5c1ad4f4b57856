package import Configuration
import Exporters
import OTTL

/// One entry of `judges`.
package struct JudgeRule: Sendable {
    enum Tier: String, CaseIterable, Sendable { case hint, tag, alert }
    /// What one question is about.
    package enum Level: String, CaseIterable, Sendable { case span, trace, session }

    package var name: String
    /// Nil with a prompt of one's own.
    package var template: JudgeTemplate?
    package var prompt: String
    package var level: Level
    package var filter: String
    package var percentage: Double
    package var passScore: Double
    var tier: Tier

    init(_ settings: inout Settings) {
        prompt = settings.string(
            "prompt", default: "", "A question of one's own about the run, instead of a template; 1 is the best answer."
        )
        let kind = settings.choice("template", default: JudgeTemplate.taskSuccess, "The question.")
        let hasPrompt = !prompt.isEmpty
        template = hasPrompt ? nil : kind
        name = settings.string(
            "name", default: "", "Name of the evaluation; that of the template when empty.")
        level = settings.choice(
            "level", default: .trace,
            "span: each tool call; trace: the run; session: the run together with the session's earlier ones.")
        filter = settings.string(
            "filter", default: "", "OTTL condition; traces with such a span are judged, at level span such spans.")
        percentage = settings.double(
            "sampling_percentage", default: 10, in: 0...100, unit: "%",
            "Share of traces, chosen by trace id; at level session of sessions.")
        passScore = settings.double(
            "pass_score", default: 0.5, in: 0...1, "Least score that is as wanted; below it the result is a finding.")
        tier = settings.choice("tier", default: .tag, "Tier of such findings.")
        guard !settings.isDescribing else { return }
        if name.isEmpty {
            name = kind.rawValue
            if hasPrompt { settings.problem("is required with a prompt of one's own", at: "name") }
        }
        if hasPrompt && settings.isPresent("template") {
            settings.problem("a judge has a template or a prompt, not both", at: "prompt")
        }
        if !filter.isEmpty { settings.check(condition: filter, .span, at: "filter") }
    }
}

/// Options of the `judge` connector.
package struct JudgeOptions: ComponentOptions {
    /// The `response_format` of requests; `none` sends no such member.
    package enum AnswerFormat: String, CaseIterable, Sendable { case none, jsonObject = "json_object" }

    package var url: String
    /// Nil turns the judge off.
    package var apiKey: Secret?
    package var model: String
    package var answerFormat: AnswerFormat
    package var timeout: Duration
    package var concurrency: Int
    package var attempts: Int
    package var tokensMax: Int
    package var charactersMax: Int
    package var requestsPerHour: Int
    package var costPerHour: Double
    package var inputPrice: Double
    package var outputPrice: Double
    package var lagMax: Duration
    package var cacheSize: Int
    package var rules: [JudgeRule]

    package init(_ settings: inout Settings) {
        let base = settings.string(
            "endpoint", default: "https://api.openai.com/v1",
            "Base URL of an OpenAI-compatible service; /chat/completions is added.")
        url = (base.hasSuffix("/") ? String(base.dropLast()) : base) + "/chat/completions"
        apiKey = settings.secret("api_key", "Key of the service; without one nothing is judged.").flatMap {
            $0.reveal().isEmpty ? nil : $0
        }
        model = settings.requiredString("model", "Model that judges.")
        answerFormat = settings.choice(
            "response_format", default: .jsonObject, "Asks the service for JSON; none for those that do not know it.")
        timeout = settings.duration(
            "timeout", default: .seconds(60), in: .seconds(1) ... .seconds(600), "Longest time for one answer.")
        concurrency = settings.int(
            "max_concurrency", default: 4, in: 1...64, unit: "requests", "Most requests under way at once.")
        attempts = settings.int(
            "max_attempts", default: 3, in: 1...10,
            "Requests for one judgement, failures and unreadable answers included.")
        tokensMax = settings.int("max_tokens", default: 400, in: 50...8_192, unit: "tokens", "Longest answer.")
        charactersMax = settings.int(
            "max_input_characters", default: 40_000, in: 1_000...1_000_000,
            "Longest record of a run; the middle is cut.")
        requestsPerHour = settings.int(
            "max_requests_per_hour", default: 600, in: 0...1_000_000, unit: "requests",
            "Beyond it traces go unjudged, counted; 0 is no limit.")
        costPerHour = settings.double(
            "max_cost_per_hour", default: 0, in: 0...1e6, "The same for costs by the prices below; 0 is no limit.")
        inputPrice = settings.double("input_price", default: 0, in: 0...1e6, "Price of a million tokens asked.")
        outputPrice = settings.double("output_price", default: 0, in: 0...1e6, "Price of a million tokens answered.")
        lagMax = settings.duration(
            "max_lag", default: .seconds(900), in: .seconds(1) ... .seconds(7 * 86_400),
            "Traces that ended longer ago go unjudged, so that a slow judge does not fall behind for ever.")
        cacheSize = settings.int(
            "cache_size", default: 10_000, in: 0...1_000_000,
            "Judgements that are kept for equal runs, in memory and in the data directory.")
        rules = settings.list("judges", "What is judged.") { JudgeRule(&$0) }
        guard !settings.isDescribing else { return }
        if rules.isEmpty { settings.problem("needs at least one judge", at: "judges") }
        for (index, one) in rules.enumerated() where rules[..<index].contains(where: { $0.name == one.name }) {
            settings.problem("two judges are called \"\(one.name)\"", at: "judges")
        }
        if costPerHour > 0 && inputPrice == 0 && outputPrice == 0 {
            settings.problem("needs input_price and output_price to count costs", at: "max_cost_per_hour")
        }
        OTLPHTTPOptions.check(base, at: "endpoint", &settings)
    }
}
