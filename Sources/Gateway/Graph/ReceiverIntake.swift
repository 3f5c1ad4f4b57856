import OTLP
import Pipeline
import Synchronization
import Telemetry

/// Takes a receiver's requests to all pipelines that read from it, and answers when all journals have.
final class ReceiverIntake: Ingest {
    private let pipelines: [PipelineIntake]
    private let keys: KeyTable
    private let pool: WorkspacePool
    private let tap: TapHub?
    private let accepted: [Counter]
    private let refused: [Counter]
    /// By signal: whether a chain waits for a disk.
    private let waits: [Bool]

    init(
        receiver: String, transport: String, pipelines: [PipelineIntake], keys: KeyTable, pool: WorkspacePool,
        metrics: SelfMetrics, tap: TapHub? = nil
    ) {
        self.tap = tap
        self.pipelines = pipelines
        self.keys = keys
        self.pool = pool
        waits = Signal.allCases.map { signal in
            pipelines.contains { $0.signal == signal && $0.chain.waitsForDisk }
        }
        let labels = [(name: "receiver", value: receiver), (name: "transport", value: transport)]
        accepted = Signal.allCases.map {
            metrics.counter(
                "otelcol_receiver_accepted_\($0.itemName)", "Records that senders were told are taken.", labels)
        }
        refused = Signal.allCases.map {
            metrics.counter(
                "otelcol_receiver_refused_\($0.itemName)", "Records that could not be taken; senders were told.",
                labels)
        }
    }

    func accepts(_ signal: Signal) -> Bool { pipelines.contains { $0.signal == signal } }

    func waitsForDisk(_ signal: Signal) -> Bool { waits[Int(signal.rawValue) - 1] }

    func flush() {
        for pipeline in pipelines { pipeline.journal.flush() }
    }

    func ingest(_ request: IngestRequest, reply: @escaping @Sendable (IngestReply) -> Void) {
        let appends: Appends? = pool.withWorkspace { workspace in
            prepare(request, workspace, reply)
        }
        guard let appends else { return }
        let signal = Int(request.signal.rawValue) - 1
        let gathering = Gathering(
            waiting: appends.frames.count, rejected: appends.summary, items: appends.items,
            accepted: accepted[signal], refused: refused[signal], reply: reply)
        for (pipeline, frame, filtered) in appends.frames {
            pipeline.receive(frame, filtered: filtered) { gathering.finish($0) }
        }
    }

    private struct Appends {
        var frames: [(pipeline: PipelineIntake, frame: Frame, filtered: Int)] = []
        /// Pipelines that filtered all of it.
        var filtered: [(pipeline: PipelineIntake, items: Int, actions: [@Sendable () -> Void])] = []
        var summary = ReadSummary()
        /// Records of the request that were not rejected.
        var items = 0
    }

    /// Runs the chains. Answers at once, and returns nil, when nothing has to be stored.
    private func prepare(
        _ request: IngestRequest, _ workspace: Workspace, _ reply: (IngestReply) -> Void
    ) -> Appends? {
        var body = Text(request.body)
        var warning = ""
        if request.encoding == .json {
            workspace.transcoded.removeAll()
            do throws(DecodeFailure) {
                try OTLPJSONReader.transcode(
                    body, signal: request.signal, into: &workspace.transcoded, warning: &warning)
            } catch {
                reply(
                    error.reason == .tooManyElements
                        ? .tooLarge(message: error.message)
                        : .invalid(message: "the request is not valid OTLP/JSON: \(error.message)"))
                return nil
            }
            body = workspace.transcoded.text
        }
        var appends = Appends()
        let index = Int(request.signal.rawValue) - 1
        for pipeline in pipelines where pipeline.signal == request.signal {
            tap?.offer(raw: body, of: pipeline.id, signal: request.signal)
            let result = pipeline.chain.prepare(
                body, whole: request.encoding == .json ? nil : request.whole,
                origin: RequestOrigin(tenant: request.tenant, metadata: request.metadata), keys: keys, workspace,
                &appends.summary)
            switch result {
            case .frame(let frame, let filtered):
                appends.frames.append((pipeline, frame, filtered))
                appends.items = Int(frame.header.itemCount) + filtered
            case .empty(let filtered, let actions):
                appends.filtered.append((pipeline, filtered, actions))
                appends.items = filtered
            case .held: continue
            case .failed(let answer): return refuse(answer, workspace.batch.liveCount, request.signal, reply)
            case .stepFailed(let message):
                // The sender still has it, and whoever mends the step can have it come again.
                let answer = IngestReply.unavailable(message: message, retryAfter: Self.failedStepPause)
                return refuse(answer, workspace.batch.liveCount, request.signal, reply)
            }
        }
        // Not before all have had it: what one of them fails comes again.
        for (pipeline, filtered, actions) in appends.filtered { pipeline.settleEmpty(filtered, actions) }
        if appends.summary.rejectedMessage.isEmpty { appends.summary.rejectedMessage = warning }
        if appends.frames.isEmpty {
            accepted[index].add(appends.items)
            refused[index].add(appends.summary.rejected)
            reply(appends.summary.answer)
            return nil
        }
        return appends
    }

    /// When a sender is to try again what a processor fails on.
    private static let failedStepPause = Duration.seconds(5)

    private func refuse(
        _ answer: IngestReply, _ items: Int, _ signal: Signal, _ reply: (IngestReply) -> Void
    ) -> Appends? {
        refused[Int(signal.rawValue) - 1].add(items)
        reply(answer)
        return nil
    }
}

extension ReadSummary {
    /// The answer to a request that was taken but for what this summary counts. A message alone is a warning.
    fileprivate var answer: IngestReply {
        rejectedMessage.isEmpty ? .accepted : .partial(rejected: Int64(rejected), message: rejectedMessage)
    }
}

/// Waits for all journals of one request; the worst result is the answer.
private final class Gathering: Sendable {
    private struct State {
        var waiting: Int
        /// A passing one if there is any: what is sent again for it reaches the pipelines that it can reach.
        var refusal: IngestReply?
        /// Records that did not reach every exporter.
        var undelivered = 0
        var undeliveredReason = ""
    }

    private let state: Mutex<State>
    private let rejected: ReadSummary
    private let items: Int
    private let accepted: Counter
    private let refused: Counter
    private let reply: @Sendable (IngestReply) -> Void

    init(
        waiting: Int, rejected: ReadSummary, items: Int, accepted: Counter, refused: Counter,
        reply: @escaping @Sendable (IngestReply) -> Void
    ) {
        state = Mutex(State(waiting: waiting))
        self.rejected = rejected
        self.items = items
        self.accepted = accepted
        self.refused = refused
        self.reply = reply
    }

    func finish(_ result: Reception) {
        let last: State? = state.withLock { state in
            state.waiting -= 1
            switch result {
            case .taken: break
            case .refused(let reason, let retryAfter, let isFinal):
                if isFinal, state.refusal != nil { break }
                let reply: IngestReply =
                    isFinal ? .tooLarge(message: reason) : .unavailable(message: reason, retryAfter: retryAfter)
                state.refusal = reply
            case .undelivered(let count, let reason):
                state.undelivered = max(state.undelivered, count)
                state.undeliveredReason = reason
            }
            return state.waiting == 0 ? state : nil
        }
        guard let last else { return }
        if let refusal = last.refusal {
            refused.add(items)
            reply(refusal)
        } else {
            accepted.add(items)
            refused.add(rejected.rejected)
            guard last.undelivered > 0 else { return reply(rejected.answer) }
            let count = Int64(last.undelivered + rejected.rejected)
            reply(.partial(rejected: count, message: "not delivered: \(last.undeliveredReason)"))
        }
    }
}
