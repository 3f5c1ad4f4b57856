/// Thresholds of all detectors. The defaults come from measurements on labelled agent traces.
package struct FindingsOptions: Sendable {
    /// Patterns that are looked for.
    package var enabled = Set(FindingPattern.allCases)
    /// Whether evidence may quote arguments, results and messages.
    package var evidenceContent = false
    /// Longest attribute that is read; a longer one makes its check not assessable.
    package var maxValueBytes = 256 << 10
    /// Most bytes of content that are read per trace.
    package var maxTraceBytes = 16 << 20
    /// Calls per trace that are looked at, the latest ones; the checks of those before are not assessable.
    package var maxCalls = 2_048
    /// Findings that are written per trace; the rest is counted.
    package var maxFindings = 64

    // MARK: Repeats

    /// Calls that are looked back at.
    package var repeatWindow = 12
    package var repeatTag = 2
    package var repeatAlert = 3
    package var nearRepeatTag = 3
    package var nearRepeatAlert = 4
    /// Least share of common words of two nearly equal calls.
    package var nearRepeatSimilarity = 0.6
    /// Calls of one session, across traces, that make a tag.
    package var sessionRepeatTag = 3
    package var sessionRepeatAlert = 4
    /// Between two calls that count together across traces, in nanoseconds. One that looks again later, as every
    /// morning, is not stuck.
    package var sessionRepeatTime: UInt64 = 600_000_000_000
    /// Parts of tool names that may repeat while they succeed: waiting and polling.
    package var repeatableTools = ["poll", "wait", "sleep", "heartbeat", "status", "think"]

    // MARK: Results

    /// Calls after which a tool that is nearly always empty counts as void by design.
    package var voidToolCalls = 5
    package var voidToolShare = 0.9

    // MARK: Retrieval

    package var retrievalCoverage = 0.25
    /// Least score of the best document; nil does not look at scores.
    package var retrievalMinScore: Double?

    // MARK: Handoffs

    /// Below this share of the request's entities a handoff is an alert.
    package var handoffShare = 0.3
    /// Up to this share missing ids make a tag.
    package var handoffPartialShare = 0.5

    // MARK: Tools

    /// Names that are no tools of the agent's own: answers and handoffs in tool form.
    package var ignoredTools = ["final_answer", "final_result", "structured_output"]

    // MARK: Budgets, nil for none

    package var maxSteps: Int? = 100
    package var maxTokens: Int?
    package var maxCost: Double?
    /// Durations seen before one can be an outlier.
    package var latencyMinimum = 20
    /// Standard deviations of the logarithm.
    package var latencyDeviations = 4.0

    /// Declared rules for `context_loss`.
    package var rules: [ContextRule] = []

    package init() {}
}

/// A rule that an agent was told to keep and that a program can check.
package struct ContextRule: Sendable {
    /// What has to be so in a trace. Tools go by their names.
    package enum Demand: Sendable {
        /// The tool has to be called in a trace that calls `trigger` (any trace when nil).
        case must(tool: String, trigger: String?)
        /// The tool must not be called; with a condition only calls that fulfil it.
        case mustNot(tool: String, condition: ArgumentCondition?)
        /// `first` has to come before `second`, in the trace or the session.
        case order(first: String, second: String)
        /// The user has to agree, in the last message before the call.
        case confirmBefore(tool: String)
        /// Every call's argument has to fulfil the condition.
        case value(tool: String, condition: ArgumentCondition)
        /// The answer must not hold any of the texts, ASCII case ignored.
        case forbidden(texts: [String])
        /// The answer has to begin with the text.
        case startsWith(String)
        /// The answer's greatest length in characters.
        case maxCharacters(Int)
        /// The answer has to be a JSON document.
        case json
    }

    package var name: String
    /// Agent that the rule binds; nil for every agent.
    package var agent: String?
    package var tier: FindingTier
    package var demand: Demand

    package init(name: String, agent: String? = nil, tier: FindingTier = .tag, demand: Demand) {
        self.name = name
        self.agent = agent
        self.tier = tier
        self.demand = demand
    }
}

/// A test of one argument of a tool call.
package struct ArgumentCondition: Sendable {
    /// Dotted path in the arguments.
    package var argument: String
    /// Values that fulfil it; empty for any.
    package var oneOf: [String] = []
    package var minimum: Double?
    package var maximum: Double?

    package init(argument: String, oneOf: [String] = [], minimum: Double? = nil, maximum: Double? = nil) {
        self.argument = argument
        self.oneOf = oneOf
        self.minimum = minimum
        self.maximum = maximum
    }
}
