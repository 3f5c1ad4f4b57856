import Configuration
import GenAI

/// One entry of `rules` in the options of `agent_findings`.
struct DeclaredRule {
    var rule: ContextRule

    private enum Kind: String, CaseIterable {
        case must
        case mustNot = "must_not"
        case order
        case confirmBefore = "confirm_before"
        case value, forbidden
        case startsWith = "starts_with"
        case maxCharacters = "max_characters"
        case json
    }

    private enum Tier: String, CaseIterable { case hint, tag, alert }

    init(_ settings: inout Settings) {
        let name = settings.requiredString("name", "Name of the rule; findings carry it.")
        let agent = settings.optionalString("agent", "Agent that the rule binds; every agent when absent.")
        let tier = settings.choice("tier", default: Tier.tag, "Tier of a breach.")
        let demand = DeclaredRule.demand(&settings)
        let level: FindingTier = tier == .alert ? .alert : tier == .tag ? .tag : .hint
        rule = ContextRule(name: name, agent: agent, tier: level, demand: demand)
    }

    private static func demand(_ settings: inout Settings) -> ContextRule.Demand {
        let kind: Kind = settings.requiredChoice("kind", "What the rule demands.")
        let tool = settings.string("tool", default: "", "Tool that the rule is about.")
        let trigger = settings.optionalString("when", "must: only in traces that call this tool.")
        let before = settings.string("before", default: "", "order: the tool that `tool` has to come before.")
        let condition = DeclaredRule.condition(&settings)
        let texts = settings.strings("texts", default: [], "forbidden: texts that no answer may hold.")
        let text = settings.string("text", default: "", "starts_with: how every answer has to begin.")
        let characters = settings.int(
            "characters", default: 0, in: 0...1_000_000, "max_characters: greatest length of an answer.")
        func need(_ key: String, _ isThere: Bool) {
            if !isThere { settings.problem("kind: \(kind.rawValue) needs \(key)", at: key) }
        }
        switch kind {
        case .must, .mustNot, .confirmBefore: need("tool", !tool.isEmpty)
        case .order:
            need("tool", !tool.isEmpty)
            need("before", !before.isEmpty)
        case .value:
            need("tool", !tool.isEmpty)
            need("argument", !condition.argument.isEmpty)
        case .forbidden: need("texts", !texts.isEmpty)
        case .startsWith: need("text", !text.isEmpty)
        case .maxCharacters: need("characters", characters > 0)
        case .json: break
        }
        return switch kind {
        case .must: .must(tool: tool, trigger: trigger)
        case .mustNot: .mustNot(tool: tool, condition: condition.argument.isEmpty ? nil : condition)
        case .order: .order(first: tool, second: before)
        case .confirmBefore: .confirmBefore(tool: tool)
        case .value: .value(tool: tool, condition: condition)
        case .forbidden: .forbidden(texts: texts)
        case .startsWith: .startsWith(text)
        case .maxCharacters: .maxCharacters(characters)
        case .json: .json
        }
    }

    private static func condition(_ settings: inout Settings) -> ArgumentCondition {
        var condition = ArgumentCondition(
            argument: settings.string("argument", default: "", "value, must_not: dotted path of the argument."))
        condition.oneOf = settings.strings("one_of", default: [], "value, must_not: the values that are meant.")
        condition.minimum = number("min", "value, must_not: least number that is meant.", &settings)
        condition.maximum = number("max", "value, must_not: greatest number that is meant.", &settings)
        return condition
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
}
