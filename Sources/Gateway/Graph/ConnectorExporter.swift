import Configuration
import Exporters
import Pipeline
import Synchronization
import Telemetry

/// Carries what a connector makes of a pipeline's batches into the pipelines that read from it: runs their chains and
/// appends to their journals. A batch is delivered when all of them have stored their part; after a refusal for now the
/// batch comes again, and only the pipelines that have not stored it get it. After a restart all of them do, once more.
/// What a pipeline refuses for good costs that pipeline alone (`ConnectorLosses`).
///
/// There is one for each worker, and so for each pipeline that writes to the connector. Where they share the connector
/// (`ConnectorPlan.isShared`), only the first of them is started and shut down.
final class ConnectorExporter: Exporter {
    private struct Link {
        var pipelines: [PipelineIntake]
        var keys: KeyTable
        /// Where chains run when one of them waits for a disk.
        var lanes: DiskLanes?
    }

    /// How often it is asked whether the batch of another pipeline is stored, which this one's wait for.
    private static let turnPause = Duration.milliseconds(100)
    /// One at a time keeps the order.
    let maxConcurrency = 1
    private let seat: ConnectorSeat
    private let id: String
    /// The pipeline whose batches it gets.
    private let pipeline: String
    private let outputs: [ConnectorOutput]
    private let losses: ConnectorLosses
    private let effects: WorkerEffects
    private let pool = WorkspacePool()
    private let links = Mutex<Link?>(nil)
    private let unfinished = Mutex(UnfinishedBatch())
    private let ticker = Mutex<Task<Void, Never>?>(nil)

    init(
        _ seat: ConnectorSeat, id: String, pipeline: String, outputs: [ConnectorOutput], losses: ConnectorLosses,
        effects: WorkerEffects = .system()
    ) {
        self.seat = seat
        self.id = id
        self.pipeline = pipeline
        self.outputs = outputs
        self.losses = losses
        self.effects = effects
    }

    /// A connector has no queue options of its own: what it could not hand on is tried again for ever.
    static func helperOptions(gather: Duration?) -> ExporterHelperOptions {
        var problems = ConfigProblems()
        var options = readOptions(
            ExporterHelperOptions.self, node: .emptyMap(at: .nowhere), path: "connectors", problems: &problems)
        options.queue.batch = gather.map { BatchOptions(flushTimeout: $0, minSize: Int.max, maxSize: 0) }
        options.retry.maxElapsedTime = .zero
        return options
    }

    /// Tells where the outputs are, once all pipelines are made.
    func link(_ graph: GatewayGraph) throws {
        var pipelines: [PipelineIntake] = []
        for output in outputs {
            guard let pipeline = graph.pipelines.first(where: { $0.id == output.pipeline }) else {
                throw GatewayStartFailure("connector \(id): there is no pipeline \(output.pipeline)")
            }
            pipelines.append(pipeline)
        }
        let lanes = pipelines.contains(where: \.chain.waitsForDisk) ? DiskLanes() : nil
        let link = Link(pipelines: pipelines, keys: graph.keys, lanes: lanes)
        links.withLock { $0 = link }
    }

    /// Starts the connector, and its clock when it has one.
    func start() async throws {
        do throws(ProcessFailure) { try seat.connector.start() } catch { throw ExporterStartFailure(error.reason) }
        guard let interval = seat.connector.tickInterval else { return }
        let task = Task { [weak self] in
            while !Task.isCancelled {
                guard let effects = self?.effects else { return }
                do { try await effects.sleep(interval) } catch { return }
                await self?.tick()
            }
        }
        ticker.withLock { $0 = task }
    }

    func export(_ batch: ExportBatch) async -> ExportOutcome {
        guard let link = links.withLock({ $0 }) else { return .retry(reason: "the gateway is not built", after: nil) }
        await seat.enter()
        defer { seat.leave() }
        if let other = seat.pipelineAhead(of: pipeline) {
            return .notYet(reason: "a batch of pipeline \(other) is to be stored first", after: Self.turnPause)
        }
        let deliveries: [ConnectorDelivery]
        do throws(ProcessFailure) { deliveries = try await due(batch) } catch {
            seat.note(pipeline, comesAgain: false, hasStored: false)
            return .unprocessed(message: error.reason)
        }
        // What a connector could not ask for is not asked for in vain when the worker ends: the batch comes again.
        if Task.isCancelled { return .retry(reason: "the gateway ends", after: nil) }
        let round = await deliver(deliveries, of: batch.origin, link)
        let comesAgain = round.refusal != nil
        seat.note(pipeline, comesAgain: comesAgain, hasStored: round.done > 0)
        let isTimed = seat.connector.tickInterval != nil
        unfinished.withLock { unfinished in
            if comesAgain {
                unfinished.note(batch, round.deliveries, done: round.done, isTimed: isTimed)
            } else {
                unfinished = UnfinishedBatch()
            }
        }
        if let refusal = round.refusal { return refusal }
        seat.connector.stored()
        return .delivered
    }

    /// What is to be stored of a batch: of one that comes again only what its outputs do not have.
    private func due(_ batch: ExportBatch) async throws(ProcessFailure) -> [ConnectorDelivery] {
        if let rest = unfinished.withLock({ $0.rest(of: batch) }) { return rest }
        let made = try await seat.connector.connectWaiting(batch)
        return unfinished.withLock { $0.open(made) }
    }

    private func tick() async {
        guard let link = links.withLock({ $0 }) else { return }
        await seat.enter()
        defer { seat.leave() }
        let made = seat.connector.tick()
        let deliveries = unfinished.withLock { $0.open(made) }
        let round = await deliver(deliveries, of: RequestOrigin(), link)
        // What cannot be stored now is due again at the next tick.
        guard round.refusal == nil else { return unfinished.withLock { $0.note(round.deliveries[..<round.done]) } }
        unfinished.withLock { $0.settle(made) }
        seat.connector.stored()
    }

    /// Stores deliveries one after the other, up to the first that is refused for now. What an output never takes is
    /// halved, down to single records, which are kept and counted for that output alone.
    private func deliver(
        _ deliveries: [ConnectorDelivery], of origin: RequestOrigin, _ link: Link
    ) async -> ConnectorRound {
        var round = ConnectorRound(deliveries)
        while let delivery = round.next {
            let pipeline = link.pipelines[delivery.output]
            switch await store(delivery, of: origin, pipeline, link) {
            case .stored: round.stored()
            case .later(let reason, let pause):
                round.refusal = .retry(reason: "pipeline \(pipeline.id): \(reason)", after: pause)
            case .never(let cause, let reason):
                if round.halve(pipeline.signal) { continue }
                if !round.joins(cause) { await settleRefused(&round, origin, link) }
                round.refuse(cause, reason)
            }
        }
        await settleRefused(&round, origin, link)
        return round
    }

    private func settleRefused(_ round: inout ConnectorRound, _ origin: RequestOrigin, _ link: Link) async {
        guard let refused = round.refused else { return }
        if let reason = await losses.settle(refused, of: link.pipelines[refused.output], origin) {
            round.returnRefused(reason)
        } else {
            round.settleRefused()
        }
    }

    /// How it ended to store a delivery.
    private enum Storing {
        case stored
        case later(reason: String, pause: Duration)
        /// The output does not take it, whenever it is tried; it may take less.
        case never(DeadLetter.Cause, reason: String)
    }

    private func store(
        _ delivery: ConnectorDelivery, of origin: RequestOrigin, _ pipeline: PipelineIntake, _ link: Link
    ) async -> Storing {
        switch await prepare(delivery, of: origin, pipeline, link) {
        case .held: return .stored
        case .empty(let filtered, let actions):
            pipeline.settleEmpty(filtered, actions)
            return .stored
        case .stepFailed(let message): return .never(.processorFailed, reason: message)
        case .failed(.tooLarge(let message)): return .never(.tooLarge, reason: message)
        case .failed(let reply): return .never(.rejected, reason: reply.message)
        case .frame(let frame, let filtered):
            switch await append(frame, filtered, to: pipeline) {
            case .stored: return .stored
            case .refused(let reason, let pause, let isFinal):
                return isFinal ? .never(.tooLarge, reason: reason) : .later(reason: reason, pause: pause)
            }
        }
    }

    private func prepare(
        _ delivery: ConnectorDelivery, of origin: RequestOrigin, _ pipeline: PipelineIntake, _ link: Link
    ) async -> ChainResult {
        await withTaskExecutorPreference(link.lanes) {
            pipeline.chain.prepare(delivery.bytes, origin: origin, keys: link.keys, pool)
        }
    }

    private func append(_ frame: Frame, _ filtered: Int, to pipeline: PipelineIntake) async -> AppendResult {
        await withCheckedContinuation { continuation in
            pipeline.append(frame, filtered: filtered) { continuation.resume(returning: $0) }
        }
    }

    func shutdown() async {
        let task = ticker.withLock { ticker in
            defer { ticker = nil }
            return ticker
        }
        task?.cancel()
        await task?.value
    }
}
