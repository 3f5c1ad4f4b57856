import GenAI

/// What outlives a trace: sums of sessions, baselines, when an evaluator last looked. Bounded, no content.
struct EvaluatorsMemory: Sendable {
    /// The traces of one session so far.
    struct Session: Sendable {
        /// Hashes of the traces that are in the sums, the last 64.
        var seen: [UInt64] = []
        var turns = 0.0
        var seconds = 0.0
        var inputTokens = 0.0
        var outputTokens = 0.0
        var cost = 0.0
        var steps = 0.0
        var modelCalls = 0.0
        var toolCalls = 0.0
        var emptyResults = 0.0
        var failedSteps = 0.0
        var findings = 0.0

        /// Adds a trace, unless it is in the sums: late spans bring a trace again.
        mutating func add(_ trajectory: Trajectory) {
            let hash = GenAI.ContentHash.of(trajectory.trace)
            guard !seen.contains(hash) else { return }
            seen.append(hash)
            if seen.count > 64 { seen.removeFirst() }
            turns += 1
            seconds += trajectory.seconds
            inputTokens += trajectory.inputTokens
            outputTokens += trajectory.outputTokens
            cost += trajectory.cost
            steps += Double(trajectory.steps)
            modelCalls += Double(trajectory.modelCalls)
            toolCalls += Double(trajectory.calls.count)
            emptyResults += Double(trajectory.calls.filter(\.isEmpty).count)
            failedSteps += Double(trajectory.failedSteps)
            findings += Double(trajectory.findings.filter { !$0.tier.isEmpty }.count)
        }
    }

    var sessions: BoundedMap<Session>
    var baselines: BoundedMap<Baseline>
    var drifts: BoundedMap<DriftBaseline>
    /// By evaluator: the number of the period that it last looked at.
    var periods: BoundedMap<UInt64>

    init(_ options: EvaluatorsOptions) {
        sessions = BoundedMap(capacity: options.sessionsMax, tracksChanges: true)
        baselines = BoundedMap(capacity: options.baselinesMax, tracksChanges: true)
        drifts = BoundedMap(capacity: options.baselinesMax, tracksChanges: true)
        periods = BoundedMap(capacity: 4 * options.evaluators.count, tracksChanges: true)
    }

    /// The session of a trace with the trace in its sums.
    mutating func session(_ trajectory: Trajectory) -> Session? {
        guard !trajectory.conversation.isEmpty else { return nil }
        let key = GenAI.ContentHash.of(trajectory.conversation)
        var session = sessions.use(key) ?? Session()
        session.add(trajectory)
        sessions.set(key, session)
        return session
    }
}
