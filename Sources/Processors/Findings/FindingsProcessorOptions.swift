package import Configuration
package import GenAI
package import Pipeline

/// Options of the `agent_findings` processor.
package struct FindingsProcessorOptions: ComponentOptions {
    package var engine = FindingsOptions()
    package var sessionsMax: Int
    package var toolsMax: Int
    /// How long the spans of a trace are gathered.
    package var wait = TraceWait()

    package init(_ settings: inout Settings) {
        let defaults = FindingsOptions()
        let all = FindingPattern.allCases.map(\.rawValue)
        let names = settings.strings(
            "patterns", default: [], "Patterns that are looked for, by name; all of them when the list is empty.")
        for name in names where !all.contains(name) && !settings.isDescribing {
            let fix = Suggestion.fix(for: name, among: all, noun: "patterns") ?? ""
            settings.problem("\"\(name)\" is no pattern; \(fix)", at: "patterns")
        }
        if !names.isEmpty { engine.enabled = Set(names.compactMap { FindingPattern(rawValue: $0) }) }
        engine.evidenceContent = settings.bool(
            "evidence_content", default: false,
            "Lets evidence quote arguments, results and messages; otherwise it holds counts, names and hashes.")
        engine.maxValueBytes = settings.bytes(
            "max_value_bytes", default: defaults.maxValueBytes, in: 1 << 10...16 << 20,
            "Longest attribute that is read; checks that need a longer one are not assessable.")
        engine.maxTraceBytes = settings.bytes(
            "max_trace_bytes", default: defaults.maxTraceBytes, in: 1 << 16...256 << 20,
            "Most bytes of content that are read per trace.")
        engine.maxFindings = settings.int(
            "max_findings", default: defaults.maxFindings, in: 1...1_000,
            "Findings that are written per trace; more are only counted.")
        engine.ignoredTools = settings.strings(
            "ignored_tools", default: defaults.ignoredTools,
            "Names in tool calls that are no tools: answers in the form of a call.")
        sessionsMax = settings.int(
            "max_sessions", default: 4_096, in: 16...1_000_000,
            "Sessions whose last calls are remembered for repeats and rules across traces.")
        toolsMax = settings.int(
            "max_tools", default: 4_096, in: 16...1_000_000,
            "Tools and agents whose usual emptiness and duration are remembered.")
        wait = TraceWait.read(&settings)
        readRepeats(&settings, defaults)
        readThresholds(&settings, defaults)
        engine.rules = settings.list("rules", "Rules that agents were told to keep, for context_loss.") {
            DeclaredRule(&$0).rule
        }
    }

    private mutating func readRepeats(_ settings: inout Settings, _ defaults: FindingsOptions) {
        var engine = engine
        settings.group("repeats", "When repeated tool calls are a loop or a retry storm.") { group in
            engine.repeatWindow = group.int(
                "window", default: defaults.repeatWindow, in: 2...64, unit: "calls", "Calls that are looked back at.")
            engine.repeatTag = group.int(
                "tag", default: defaults.repeatTag, in: 2...64, "Equal or equally failing calls that make a tag.")
            engine.repeatAlert = group.int(
                "alert", default: defaults.repeatAlert, in: 2...64, "The same for an alert.")
            engine.nearRepeatTag = group.int(
                "near_tag", default: defaults.nearRepeatTag, in: 2...64, "Nearly equal calls that make a tag.")
            engine.nearRepeatAlert = group.int(
                "near_alert", default: defaults.nearRepeatAlert, in: 2...64, "The same for an alert.")
            engine.nearRepeatSimilarity = group.double(
                "near_similarity", default: defaults.nearRepeatSimilarity, in: 0.1...1,
                "Share of common words that makes two calls nearly equal.")
            engine.repeatableTools = group.strings(
                "allow", default: defaults.repeatableTools,
                "Parts of names of tools that may be called again and again while they succeed.")
        }
        self.engine = engine
    }

    private mutating func readThresholds(_ settings: inout Settings, _ defaults: FindingsOptions) {
        var engine = engine
        settings.group("empty_results", "When a tool counts as one that never answers anything.") { group in
            engine.voidToolCalls = group.int(
                "void_after_calls", default: defaults.voidToolCalls, in: 1...1_000, "Least calls to judge a tool by.")
            engine.voidToolShare = group.double(
                "void_share", default: defaults.voidToolShare, in: 0...1, "Share of empty answers above which it does.")
        }
        settings.group("retrieval", "When retrieved documents do not answer the question.") { group in
            engine.retrievalCoverage = group.double(
                "min_coverage", default: defaults.retrievalCoverage, in: 0...1,
                "Least share of the question's words, weighted by rarity, that the best document must have.")
            let score = group.double(
                "min_score", default: 0, in: 0...1_000_000, "Least score of the best document; 0 does not look.")
            engine.retrievalMinScore = score > 0 ? score : nil
        }
        settings.group("handoffs", "When a request got lost on its way to a sub-agent.") { group in
            engine.handoffShare = group.double(
                "min_share", default: defaults.handoffShare, in: 0...1,
                "Share of the request's figures, ids and names below which it is an alert.")
            engine.handoffPartialShare = group.double(
                "partial_share", default: defaults.handoffPartialShare, in: 0...1,
                "Share up to which missing ids make a tag.")
        }
        settings.group("budgets", "Limits of one trace; 0 is no limit.") { group in
            let steps = group.int(
                "steps", default: defaults.maxSteps ?? 0, in: 0...1_000_000, "Model calls and tool calls.")
            let tokens = group.int("tokens", default: 0, in: 0...Int.max, "Input and output tokens.")
            let cost = group.double("cost", default: 0, in: 0...1_000_000_000, "Cost in the unit of the telemetry.")
            engine.maxSteps = steps > 0 ? steps : nil
            engine.maxTokens = tokens > 0 ? tokens : nil
            engine.maxCost = cost > 0 ? cost : nil
        }
        settings.group("latency", "When a trace or a tool call took unusually long.") { group in
            engine.latencyMinimum = group.int(
                "min_samples", default: defaults.latencyMinimum, in: 5...100_000, "Durations to have seen before.")
            engine.latencyDeviations = group.double(
                "deviations", default: defaults.latencyDeviations, in: 1...100,
                "Standard deviations of the logarithm above the mean.")
        }
        self.engine = engine
    }
}
