package import Telemetry

/// Finds agent failures in one trace.
///
/// Working memory is kept between traces; what later traces need to know is in `FindingsMemory`. The same spans in any
/// order give the same findings. Not for use by two threads at once.
package struct TraceAnalyzer: ~Copyable {
    package let options: FindingsOptions
    /// What was found, in the order of the trace.
    package internal(set) var findings: [Finding] = []
    /// Per pattern: things that could and could not be assessed.
    package internal(set) var assessed: [Int]
    package internal(set) var unassessable: [Int]
    /// Findings over the limit of one trace.
    package internal(set) var omitted = 0
    var keys: FindingKeys
    var trace = TraceSteps()
    var tree: JSONTree
    var turns = Column<ModelTurn>()
    var calls = Column<ToolCall>()
    /// By hash of a call's id: the first call that has it.
    var callsByID: [UInt64: Int] = [:]
    /// Calls before the latest `maxCalls` that are still to be passed over.
    var skippedCalls = 0
    var definitionSets = Column<DefinitionSet>()
    var definitions = Column<ToolDefinition>()
    /// Bytes of content read so far in this trace.
    var readBytes = 0
    /// Pairs of calls of this trace whose arguments were compared one by one.
    var comparedPairs = 0
    var scratch = ByteColumn()
    /// What the trace shares with others of its session.
    var sessionKey: UInt64 = 0
    var traceKey: UInt64 = 0
    let ignoredTools: [UInt64]

    package init(options: FindingsOptions) {
        self.options = options
        assessed = [Int](repeating: 0, count: FindingPattern.allCases.count)
        unassessable = assessed
        keys = FindingKeys(.empty)
        var limits = JSONLimits(bytes: options.maxValueBytes, depth: 64)
        limits.nodes = 400_000
        tree = JSONTree(limits: limits)
        ignoredTools = options.ignoredTools.map { ContentHash.of($0) }
    }

    /// The session of the trace that was analyzed last; empty when it names none.
    package var conversation: Text { trace.conversation }

    /// The analyzed trace's first step without a parent, by index in the batch.
    package var rootSpan: Int? {
        for index in trace.nodes.indices where trace.nodes[index].parent < 0 && trace.nodes[index].parentID == 0 {
            return Int(trace.nodes[index].span)
        }
        return trace.steps.count > 0 ? Int(trace.steps[0].span) : nil
    }

    /// Looks for failures among the spans of one trace. Nothing is found in a trace without GenAI spans, at the cost of
    /// one look at each attribute's key.
    package mutating func analyze(
        _ batch: borrowing RecordBatch, spans: some Collection<Int>, keys: FindingKeys, memory: inout FindingsMemory
    ) {
        findings.removeAll(keepingCapacity: true)
        omitted = 0
        for index in assessed.indices {
            assessed[index] = 0
            unassessable[index] = 0
        }
        self.keys = keys
        trace.build(batch, spans: spans, keys: keys)
        guard trace.steps.count > 0 else { return }
        tree.reset()
        turns.removeAll()
        calls.removeAll()
        callsByID.removeAll(keepingCapacity: true)
        definitionSets.removeAll()
        definitions.removeAll()
        readBytes = 0
        comparedPairs = 0
        joinSession(batch, &memory)
        readTurns(batch)
        recallDefinitions(&memory)
        collectCalls(batch)
        detect(batch, &memory)
        chain(batch)
        remember(batch, &memory)
    }

    private mutating func detect(_ batch: borrowing RecordBatch, _ memory: inout FindingsMemory) {
        checkTools(batch)
        checkChoices(batch)
        checkArguments(batch)
        checkArgumentShapes(batch)
        checkResults(memory)
        checkRetrievals(batch)
        checkRepeats(batch, memory)
        checkHandoffs(batch)
        checkProhibitions(batch, &memory)
        checkAnswer(batch)
        checkBudgets(batch)
        checkDurations(batch, memory)
        checkRules(batch, memory)
    }

    // MARK: Reporting

    mutating func report(_ finding: Finding) {
        guard options.enabled.contains(finding.pattern) else { return }
        guard findings.count < options.maxFindings else {
            omitted += 1
            return
        }
        findings.append(finding)
    }

    mutating func note(_ pattern: FindingPattern, isAssessable: Bool) {
        if isAssessable { assessed[pattern.index] += 1 } else { unassessable[pattern.index] += 1 }
    }

    /// Span that a call's finding belongs to: the one that ran it, else the model call that asked for it.
    func span(of call: ToolCall) -> Int {
        let step = call.step >= 0 ? call.step : call.model
        return step >= 0 ? Int(trace.steps[Int(step)].span) : 0
    }

    /// Span of the model call that asked for a call, nil when unknown.
    func cause(of call: ToolCall) -> Int? {
        call.model >= 0 ? Int(trace.steps[Int(call.model)].span) : nil
    }

    /// A piece of content for the evidence, where it is allowed.
    func quoted(_ text: Text) -> String {
        let cut = text.capped(120)
        return cut.string.replacing("\n", with: " ") + (cut.count < text.count ? "..." : "")
    }
}
