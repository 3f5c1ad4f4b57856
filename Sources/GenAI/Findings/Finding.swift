/// What went wrong in a trace. The raw values are a contract: event names, rows and metrics carry them.
package enum FindingPattern: String, CaseIterable, Sendable {
    case wrongToolSelection = "wrong_tool_selection"
    case malformedToolArguments = "malformed_tool_arguments"
    case argumentAnomaly = "argument_anomaly"
    case silentEmptyResponse = "silent_empty_response"
    case softError = "soft_error"
    case retrievalPollution = "retrieval_pollution"
    case loop
    case retryStorm = "retry_storm"
    case contextLoss = "context_loss"
    case handoffDrop = "handoff_drop"
    case noFinalAnswer = "no_final_answer"
    case truncatedAnswer = "truncated_answer"
    case stepBudget = "step_budget"
    case tokenBudget = "token_budget"
    case costBudget = "cost_budget"
    case latencyOutlier = "latency_outlier"

    /// Place in `allCases`, for tables of counters.
    package var index: Int {
        switch self {
        case .wrongToolSelection: 0
        case .malformedToolArguments: 1
        case .argumentAnomaly: 2
        case .silentEmptyResponse: 3
        case .softError: 4
        case .retrievalPollution: 5
        case .loop: 6
        case .retryStorm: 7
        case .contextLoss: 8
        case .handoffDrop: 9
        case .noFinalAnswer: 10
        case .truncatedAnswer: 11
        case .stepBudget: 12
        case .tokenBudget: 13
        case .costBudget: 14
        case .latencyOutlier: 15
        }
    }
}

/// How sure a finding is: a hint explains other findings, a tag marks a trace for a closer look, an alert may wake
/// somebody.
package enum FindingTier: UInt8, Comparable, CaseIterable, Sendable {
    case hint = 1
    case tag, alert

    package var name: String {
        switch self {
        case .hint: "hint"
        case .tag: "tag"
        case .alert: "alert"
        }
    }

    /// Value of `gen_ai.evaluation.score.value`: 0 would be no finding, 1 is the worst.
    package var severity: Double {
        switch self {
        case .hint: 0.25
        case .tag: 0.5
        case .alert: 1
        }
    }

    package static func < (left: FindingTier, right: FindingTier) -> Bool { left.rawValue < right.rawValue }
}

/// One check, with the pattern that it reports. Raw values are written to `sluice.finding.rule`.
package enum FindingRule: String, CaseIterable, Sendable {
    case toolUnknown = "tool.unknown"
    case toolNeverCalled = "tool.never_called"
    case toolExcluded = "tool.excluded_purpose"
    case toolOther = "tool.other_than_announced"
    case argumentsSchema = "arguments.schema"
    case argumentsUnparsable = "arguments.unparsable"
    case argumentsCutOff = "arguments.cut_off"
    case argumentsRefused = "arguments.refused"
    case argumentsUnreadable = "arguments.unreadable_call"
    case argumentShape = "argument.shape"
    case emptyResult = "result.empty"
    case softError = "result.soft_error"
    case retrievalCoverage = "retrieval.coverage"
    case retrievalContradiction = "retrieval.contradiction"
    case retrievalScore = "retrieval.score"
    case repeatedCall = "repeat.identical"
    case repeatedError = "repeat.error"
    case repeatedNearly = "repeat.near_equal"
    case repeatedAnswer = "repeat.answer"
    case declaredRule = "context.declared"
    case prohibitedValue = "context.prohibited_value"
    case handoffEntities = "handoff.entities"
    case handoffOther = "handoff.other_entity"
    case answerMissing = "answer.missing"
    case answerFailed = "answer.failed"
    case answerCut = "answer.cut"
    case budgetSteps = "budget.steps"
    case budgetTokens = "budget.tokens"
    case budgetCost = "budget.cost"
    case latencyTrace = "latency.trace"
    case latencyTool = "latency.tool"

    /// Raised whenever the same input can give another finding.
    package var version: String {
        switch self {
        case .repeatedCall: "7"
        case .repeatedNearly: "6"
        case .emptyResult: "5"
        case .handoffEntities: "4"
        case .repeatedError, .toolNeverCalled, .prohibitedValue, .answerMissing, .argumentsRefused, .softError,
            .retrievalCoverage, .retrievalContradiction, .retrievalScore, .handoffOther:
            "3"
        case .repeatedAnswer, .toolExcluded, .answerFailed, .argumentShape:
            "2"
        default: "1"
        }
    }
}

/// What a detector says about one thing that it could look at.
package enum Answer: Sendable {
    case flagged, clean
    /// The definitions, the content or the baseline that the check needs are not in the telemetry.
    case notAssessable
}

/// A failure that was found in a trace.
package struct Finding: Sendable, Equatable {
    package var pattern: FindingPattern
    package var rule: FindingRule
    /// The name of a declared rule; the rule's own name otherwise.
    package var ruleName: String
    package var tier: FindingTier
    /// Index of the flagged span in the batch.
    package var span: Int
    /// Index of the span that probably caused it, nil when none is known.
    package var cause: Int?
    /// `key=value` pairs: counts, names, paths, hashes. Content only where it is allowed.
    package var evidence: String
    /// One sentence for people, without content unless it is allowed.
    package var explanation: String
    /// Whether this is where the trace first went wrong.
    package var isFirstBadStep = false
    /// Later steps of the trace that came after the first bad one.
    package var stepsAfter = 0
    /// Name of the agent that the flagged step belongs to, where its span does not say so itself.
    package var agent = ""
    /// Call that the finding is about, by index in the analysis; -1 for none.
    var call = -1

    init(
        _ pattern: FindingPattern, _ rule: FindingRule, _ tier: FindingTier, span: Int, cause: Int? = nil,
        call: Int = -1, evidence: String, _ explanation: String
    ) {
        self.pattern = pattern
        self.rule = rule
        ruleName = rule.rawValue
        self.tier = tier
        self.span = span
        self.cause = cause
        self.call = call
        self.evidence = evidence
        self.explanation = explanation
    }
}
