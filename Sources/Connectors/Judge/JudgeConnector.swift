import Configuration
package import Exporters
import GenAI
import Glibc
import OTLP
import OTTL
package import Pipeline
import Synchronization
import Telemetry

/// Asks a model about traces, their tool calls and sessions, and makes log records `gen_ai.evaluation.result` of what
/// it says.
///
/// It reads its own place in the pipeline's journal, so the pipeline never waits for it. Traces that it may not, or
/// cannot in time, ask about are passed over and counted. Off-line runs never ask.
package final class JudgeConnector: Connector {
    private struct State {
        var budget: JudgeBudget
        var cache: JudgeCache
    }

    private let options: JudgeOptions
    private let build: ConnectorBuild
    private let engine: CurlEngine
    private let effects: WorkerEffects
    private let target = Mutex<CurlTarget?>(nil)
    private let state: Mutex<State>
    private let reading: Mutex<JudgeReading>
    private let counters: JudgeCounters

    package init(
        options: JudgeOptions, build: ConnectorBuild, engine: CurlEngine = .shared, effects: WorkerEffects = .system()
    ) throws {
        self.options = options
        self.build = build
        self.engine = engine
        self.effects = effects
        reading = Mutex(try JudgeReading(options))
        counters = JudgeCounters(build)
        state = Mutex(
            State(
                budget: JudgeBudget(requestsMax: options.requestsPerHour, costMax: options.costPerHour),
                cache: JudgeCache(capacity: options.cacheSize)))
    }

    deinit { state.withLock { $0.cache.close() } }

    package func start() throws(ProcessFailure) {
        guard let key = options.apiKey else {
            return build.log(.warn, "connector \(build.id): there is no api_key, so nothing is judged")
        }
        var target = CurlTargetOptions(url: options.url)
        target.timeout = options.timeout
        target.userAgent = "Sluice"
        target.keptMax = CurlTarget.answerMax
        target.headers = ["Content-Type: application/json", "Authorization: Bearer \(key.reveal())"]
        do throws(ExporterStartFailure) {
            let made = try CurlTarget(target, engine: engine)
            self.target.withLock { $0 = made }
        } catch { throw ProcessFailure(reason: error.description) }
        openCache()
    }

    private func openCache() {
        guard let root = build.dataDirectory, options.cacheSize > 0 else { return }
        let folder = root + "/judge"
        _ = mkdir(root, 0o700)
        _ = mkdir(folder, 0o700)
        let path = folder + "/" + AlertsConnector.fileName("\(build.id) \(build.input)") + ".log"
        if let reason = state.withLock({ $0.cache.open(path) }) {
            build.log(.warn, "connector \(build.id): judgements are not kept over a restart: \(reason)")
        }
    }

    /// Without a network nothing is judged.
    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] { [] }

    package func connectWaiting(_ batch: ExportBatch) async throws(ProcessFailure) -> [ConnectorDelivery] {
        guard let target = target.withLock({ $0 }) else { return [] }
        guard let questions = reading.withLock({ $0.questions(batch, options, counters) }) else {
            throw ProcessFailure(reason: "the batch cannot be read")
        }
        let answers = await ask(questions, target)
        let events = zip(questions, answers).compactMap { question, answer in answer.map { event(question, $0) } }
        guard !events.isEmpty else { return [] }
        let bytes = EventLogWriter.request(events, scope: "sluice.judge", service: "sluice")
        return build.outputs.indices.map { ConnectorDelivery(output: $0, itemCount: events.count, bytes: bytes) }
    }

    // MARK: Asking

    /// The judgements in the order of the questions; at most so many requests are under way at once.
    private func ask(_ questions: [JudgeQuestion], _ target: CurlTarget) async -> [Judgement?] {
        var answers = [Judgement?](repeating: nil, count: questions.count)
        await withTaskGroup(of: (Int, Judgement?).self) { group in
            var next = 0
            func begin(_ group: inout TaskGroup<(Int, Judgement?)>) {
                guard next < questions.count else { return }
                let (index, question) = (next, questions[next])
                group.addTask { (index, await self.ask(question, target)) }
                next += 1
            }
            for _ in 0..<options.concurrency { begin(&group) }
            while let (index, answer) = await group.next() {
                answers[index] = answer
                begin(&group)
            }
        }
        return answers
    }

    private func ask(_ question: JudgeQuestion, _ target: CurlTarget) async -> Judgement? {
        if let known = state.withLock({ $0.cache.use(question.hash) }) {
            counters.cached.add()
            return known
        }
        let body = ChatExchange.request(system: JudgeTemplate.system, user: question.words, options)
        var pause = Duration.milliseconds(500)
        for attempt in 1...options.attempts {
            let time = build.now()
            if time > question.end, time - question.end > AlertRule.nanoseconds(options.lagMax) {
                counters.late.add()
                return nil
            }
            guard state.withLock({ $0.budget.take(at: time) }) else {
                counters.overBudget.add()
                return nil
            }
            counters.requests.add()
            switch read(await engine.post(body, to: target)) {
            case .success(let judgement):
                state.withLock { $0.cache.set(question.hash, judgement) }
                return judgement
            case .failure(let fault):
                if fault.isFinal || attempt == options.attempts {
                    counters.failed.add()
                    build.log(.warn, "connector \(build.id): \(question.rule.name) is not judged: \(fault.reason)")
                    return nil
                }
                do { try await effects.sleep(max(pause, fault.after)) } catch { return nil }
                pause = min(pause * 2, .seconds(10))
            }
        }
        return nil
    }

    private struct Fault: Error {
        var reason: String
        var isFinal = false
        var after = Duration.zero
    }

    private func read(_ result: HTTPResult) -> Result<Judgement, Fault> {
        switch result {
        case .answered(let status, let body, _, let seconds):
            guard status == 200 else {
                let isPassing = status == 408 || status == 429 || status >= 500
                return .failure(
                    Fault(
                        reason: "HTTP \(status)", isFinal: !isPassing, after: .seconds(min(seconds, 60))))
            }
            guard let (words, input, output) = ChatExchange.read(body) else {
                return .failure(Fault(reason: "the answer is no chat completion"))
            }
            let price = (Double(input) * options.inputPrice + Double(output) * options.outputPrice) / 1e6
            state.withLock { $0.budget.spend(price) }
            counters.inputTokens.add(max(0, input))
            counters.outputTokens.add(max(0, output))
            guard let judgement = Judgement(words: words) else {
                return .failure(Fault(reason: "the answer is not the JSON that was asked for"))
            }
            return .success(judgement)
        case .failed(let reason): return .failure(Fault(reason: reason))
        case .unreadable(let status, let reason, _): return .failure(Fault(reason: "HTTP \(status): \(reason)"))
        case .cancelled: return .failure(Fault(reason: "stopped", isFinal: true))
        }
    }

    // MARK: Results

    private func event(_ question: JudgeQuestion, _ judgement: Judgement) -> EventLog {
        let rule = question.rule
        let isPassed = judgement.score >= rule.passScore
        counters.count(isPassed: isPassed)
        var event = EventLog(
            name: "gen_ai.evaluation.result", time: max(question.end, 1), severity: isPassed ? 9 : 13,
            body: judgement.explanation)
        event.traceID = question.traceID
        event.spanID = question.spanID
        event.attributes = [
            ("gen_ai.evaluation.name", .text(rule.name)), ("gen_ai.evaluation.score.value", .double(judgement.score)),
            ("gen_ai.evaluation.score.label", .text(isPassed ? "pass" : "fail")),
            ("gen_ai.evaluation.explanation", .text(judgement.explanation)),
            ("sluice.finding.rule", .text("judge.\(rule.template?.rawValue ?? "prompt")")),
            ("sluice.finding.version", .text(JudgeTemplate.version)),
            ("sluice.finding.evidence", .text("model=\(options.model)")),
        ]
        if !isPassed { event.attributes.append(("sluice.finding.tier", .text(rule.tier.rawValue))) }
        if !question.conversation.isEmpty {
            event.attributes.append(("gen_ai.conversation.id", .text(question.conversation)))
        }
        if !question.agent.isEmpty { event.attributes.append(("gen_ai.agent.name", .text(question.agent))) }
        return event
    }
}

/// One question about one trace.
struct JudgeQuestion: Sendable {
    var rule: JudgeRule
    var words: String
    /// Of model, question and record.
    var hash: UInt64
    var traceID: [UInt8]
    var spanID: [UInt8]
    var conversation: String
    var agent: String
    /// Unix nanoseconds.
    var end: UInt64
}

/// Metrics of the connector.
struct JudgeCounters: Sendable {
    let requests: Counter
    let cached: Counter
    let late: Counter
    let overBudget: Counter
    let failed: Counter
    let unassessable: Counter
    let inputTokens: Counter
    let outputTokens: Counter
    private let passed: Counter
    private let below: Counter

    init(_ build: ConnectorBuild) {
        func counter(_ name: String, _ help: String, _ labels: [(name: String, value: String)] = []) -> Counter {
            build.metrics.counter(name, help, build.labels + labels)
        }
        func result(_ result: String) -> Counter {
            counter("sluice_judge_results_total", "Questions by what became of them.", [("result", result)])
        }
        requests = counter("sluice_judge_requests_total", "Requests to the judging model.")
        inputTokens = counter("sluice_judge_input_tokens_total", "Tokens asked.")
        outputTokens = counter("sluice_judge_output_tokens_total", "Tokens answered.")
        cached = counter("sluice_judge_cached_total", "Judgements taken from memory.")
        late = result("late")
        overBudget = result("over_budget")
        failed = result("failed")
        unassessable = result("not_assessable")
        passed = result("pass")
        below = result("fail")
    }

    func count(isPassed: Bool) { (isPassed ? passed : below).add() }
}
