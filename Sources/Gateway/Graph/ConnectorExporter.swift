import Configuration
import Exporters
import OTLP
import Pipeline
import Synchronization
import Telemetry

/// Carries what a connector makes of a pipeline's batches into the pipelines that read from it: runs their chains and
/// appends to their journals. A batch is delivered when all of them have stored their part; after a refusal the batch
/// comes again, and only the pipelines that have not stored it get it. After a restart all of them do, once more.
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
    private let effects: WorkerEffects
    private let pool = WorkspacePool()
    private let links = Mutex<Link?>(nil)
    private let unfinished = Mutex(UnfinishedBatch())
    private let ticker = Mutex<Task<Void, Never>?>(nil)

    init(
        _ seat: ConnectorSeat, id: String, pipeline: String, outputs: [ConnectorOutput],
        effects: WorkerEffects = .system()
    ) {
        self.seat = seat
        self.id = id
        self.pipeline = pipeline
        self.outputs = outputs
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
            return .permanent(reason: error.reason)
        }
        // What a connector could not ask for is not asked for in vain when the worker ends: the batch comes again.
        if Task.isCancelled { return .retry(reason: "the gateway ends", after: nil) }
        let (refusal, done) = await deliver(deliveries, of: batch.origin, link)
        var comesAgain = false
        if case .retry? = refusal { comesAgain = true }
        seat.note(pipeline, comesAgain: comesAgain, hasStored: done > 0)
        let isTimed = seat.connector.tickInterval != nil
        unfinished.withLock { unfinished in
            if comesAgain {
                unfinished.note(batch, deliveries, done: done, isTimed: isTimed)
            } else {
                unfinished = UnfinishedBatch()
            }
        }
        if let refusal { return refusal }
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
        let (refusal, done) = await deliver(deliveries, of: RequestOrigin(), link)
        // What cannot be stored now is due again at the next tick.
        guard refusal == nil else { return unfinished.withLock { $0.note(deliveries[..<done]) } }
        unfinished.withLock { $0.settle(made) }
        seat.connector.stored()
    }

    /// Stores deliveries one after the other, up to the first that is refused. Tells why that was, nil when none was,
    /// and how many are done with.
    private func deliver(
        _ deliveries: [ConnectorDelivery], of origin: RequestOrigin, _ link: Link
    ) async -> (refusal: ExportOutcome?, done: Int) {
        for (index, delivery) in deliveries.enumerated() {
            let pipeline = link.pipelines[delivery.output]
            switch await prepare(delivery, of: origin, pipeline, link) {
            case .held: continue
            case .empty(let filtered, let actions): pipeline.settleEmpty(filtered, actions)
            case .stepFailed(let message):
                return (.permanent(reason: "pipeline \(pipeline.id): \(message)"), index)
            case .failed(let reply): return (.permanent(reason: "pipeline \(pipeline.id): \(reply.message)"), index)
            case .frame(let frame, let filtered):
                let result = await append(frame, filtered, to: pipeline)
                if case .refused(let reason, let retryAfter, let isFinal) = result {
                    let told = "pipeline \(pipeline.id): \(reason)"
                    if isFinal { return (.permanent(reason: told), index) }
                    return (.retry(reason: told, after: retryAfter), index)
                }
            }
        }
        return (nil, deliveries.count)
    }

    private func prepare(
        _ delivery: ConnectorDelivery, of origin: RequestOrigin, _ pipeline: PipelineIntake, _ link: Link
    ) async -> ChainResult {
        await withTaskExecutorPreference(link.lanes) {
            pool.withWorkspace { workspace in
                delivery.bytes.withUnsafeBytes { bytes in
                    var summary = ReadSummary()
                    return pipeline.chain.prepare(
                        Text(bytes), whole: delivery.bytes, origin: origin, keys: link.keys, workspace, &summary)
                }
            }
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
