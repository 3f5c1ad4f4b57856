import CSupport
import Exporters
import Logging
import NIOCore
import NIOPosix
import Pipeline
import Processors
import Receivers
import Synchronization

extension Gateway {
    /// Makes and starts what the configuration in force asks for, beside what is there of it. When it throws, what was
    /// started is in `parts`. Gives the ports of the receivers.
    func bringUp(_ inherited: Inheritance, isWayBack: Bool = false) async throws -> [Int] {
        let context = context
        registerProcessMetrics(context.metrics)
        var builder = GraphBuilder(context, inherited)
        let graph = try builder.build()
        for open in inherited.journals where !graph.journals.contains(where: { $0.key == open.key }) {
            open.journal.close()
        }
        parts.withLock { parts in
            parts.journals = graph.journals
            parts.exporters = graph.exporters
            parts.watches = graph.watches
        }
        // Who sends to a receiver that takes another one's place waits, rather than being refused meanwhile.
        let retiring = Set(parts.withLock { $0.retiring.map(\.id) })
        let authenticators = try makeAuthenticators(context)
        _ = try await startReceivers(context, authenticators) { retiring.contains($0) }
        try await start(graph, builder, within: inherited.startTime) {
            isWayBack || inherited.mayWait.contains($0)
        }
        try await startAdmin(context.plan)
        if let shares = context.shares { watchMemory(shares, context) }
        giveBackWhenQuiet(context.budget)
        let ports = try await startReceivers(context, authenticators) { _ in true }
        builder.forgetRemoved(graph)
        parts.withLock { $0.forgetLeaving() }
        let loops = group.makeIterator().reduce(0) { count, _ in count + 1 }
        let kept = WorkspacePool.keptBytesMax
        let pool = WorkspacePool(keptBytes: context.shares?.workspace(kept, loops: loops) ?? kept)
        for running in parts.withLock({ $0.receivers + $0.retiring }) { running.release(to: graph, context, pool) }
        return ports
    }

    /// `mayWait` tells of exporters that start later when they cannot now. Those that take longer than `time` start
    /// later too; without one, exporters start one after the other, and none later.
    private func start(
        _ graph: GatewayGraph, _ builder: GraphBuilder, within time: Duration?, mayWait: (_ exporter: String) -> Bool
    ) async throws {
        for box in graph.deadLetters { await box.start() }
        if let time {
            try await start(graph.exporters, within: time, mayWait: mayWait)
        } else {
            try await startInTurn(graph.exporters)
        }
        builder.tellOfUnread()
        let keys = graph.keys
        for (pipeline, stage) in graph.stages {
            let lanes = stage.setup.chain.waitsForDisk ? DiskLanes() : nil
            let task = Task(executorPreference: lanes) { await stage.run(keys: keys) }
            parts.withLock { $0.stages.append((pipeline, stage, task)) }
        }
        for (pipeline, worker) in graph.workers {
            let task = Task { await worker.run() }
            parts.withLock { $0.workers.append((pipeline, worker, task)) }
        }
    }

    private func startInTurn(_ exporters: [(id: String, exporter: any Exporter)]) async throws {
        let waits = Waits(log: context.log)
        for (id, exporter) in exporters {
            let attempt = Task { try await exporter.start() }
            await waits.telling(Self.startAttempt(of: id), after: .zero) { _ = await attempt.result }
            do { try await attempt.value } catch { throw GatewayStartFailure("exporter \(id): \(error)") }
        }
    }

    /// Starts exporters at the same time. Those that take longer than `time` start later, whatever comes of it, and of
    /// those that cannot start the ones that may wait.
    private func start(
        _ exporters: [(id: String, exporter: any Exporter)], within time: Duration,
        mayWait: (_ exporter: String) -> Bool
    ) async throws {
        let waits = Waits(log: context.log)
        let attempts = exporters.map { _, exporter in Task { try await exporter.start() } }
        let ended = await withTaskGroup(of: Int?.self) { tasks in
            for (index, attempt) in attempts.enumerated() {
                // A connector keeps what it has seen, so it must not see anything before.
                let time = exporters[index].exporter is ConnectorExporter ? nil : time
                tasks.addTask {
                    let hasEnded = await waits.isDone(within: time) { _ = await attempt.result }
                    return hasEnded ? index : nil
                }
            }
            var ended: Set<Int> = []
            for await case let index? in tasks { ended.insert(index) }
            return ended
        }
        var failure: GatewayStartFailure?
        for (index, (id, exporter)) in exporters.enumerated() {
            let attempt = attempts[index]
            guard ended.contains(index) else {
                waits.log.warning("exporter \(id) takes long to start: the reload goes on without waiting for it")
                startLater(id, exporter, attempt)
                continue
            }
            guard case .failure(let error) = await attempt.result else { continue }
            if mayWait(id), !(exporter is ConnectorExporter) {
                startLater(id, exporter, attempt)
            } else {
                failure = failure ?? GatewayStartFailure("exporter \(id): \(error)")
            }
        }
        // What goes on is known by now to whoever goes back.
        if let failure { throw failure }
    }

    /// Has an exporter start when it can: one that worked before, or one of which the one before still has something
    /// open or has not started either. Its outage is no reason to end that of all others. `first` is the attempt that
    /// failed, or is under way.
    private func startLater(_ id: String, _ exporter: any Exporter, _ first: Task<Void, any Error>) {
        let log = context.log
        let task = Task { () -> Bool in
            var attempt = first
            var isTold = false
            while true {
                let current = attempt
                let result = await withTaskCancellationHandler {
                    await current.result
                } onCancel: {
                    current.cancel()
                }
                switch result {
                case .success:
                    log.info("exporter \(id): started")
                    return true
                case .failure(let failure) where !isTold && !Task.isCancelled:
                    isTold = true
                    log.error(
                        "exporter \(id): \(failure); it delivers nothing until it can start, which is tried again")
                case .failure: break
                }
                do { try await WorkerEffects.system().sleep(Self.startInterval) } catch { return false }
                // What of it has started, if it is made of several.
                await exporter.shutdown()
                attempt = Task { try await exporter.start() }
            }
        }
        parts.withLock { $0.starts.append((id, task)) }
    }

    /// Time between two attempts.
    private static let startInterval = Duration.seconds(1)

    /// Lets the receivers listen that do not yet. Requests wait until they are released.
    private func startReceivers(
        _ context: GraphContext, _ authenticators: [String: any RequestAuthenticator], where isMeant: (String) -> Bool
    ) async throws -> [Int] {
        var ports: [Int] = []
        for (id, options) in context.plan.receivers where isMeant(id) {
            if let running = parts.withLock({ $0.receivers.first { $0.id == id } }) {
                ports += running.ports
                continue
            }
            let (metrics, signals) = (SelfMetrics(), context.plan.signals(of: id))
            let (http, grpc) = (SwitchedIngest(signals), SwitchedIngest(signals))
            let receiver = OTLPReceiver(
                options: options,
                context: OTLPReceiver.Context(
                    ingest: http, grpcIngest: grpc, metrics: metrics, group: group, budget: context.budget,
                    log: context.log, authenticators: authenticators), id: id)
            let addresses = try await receiver.start()
            var running = RunningReceiver(
                id: id, traits: context.plan.receiverTraits[id] ?? "", budget: context.budget, receiver: receiver,
                http: http, grpc: grpc, metrics: metrics)
            running.ports = [addresses.http.first, addresses.grpc.first].compactMap { $0?.port }
            ports += running.ports
            parts.withLock { [running] in $0.receivers.append(running) }
        }
        return ports
    }

    private func makeAuthenticators(_ context: GraphContext) throws -> [String: any RequestAuthenticator] {
        var made: [String: any RequestAuthenticator] = [:]
        for (name, make) in context.plan.authenticators {
            do {
                made[name] = try make(context.log)
            } catch {
                throw GatewayStartFailure("extension \(name): \(error)")
            }
        }
        return made
    }

    /// Lets a memory_limiter refuse by what the gateway really holds: all that is resident, and of that requests,
    /// traces that are not complete or wait for their session, and journals in memory.
    private func watchMemory(_ shares: MemoryShares, _ context: GraphContext) {
        if let limit = context.plan.softLimit, limit < shares.soft {
            context.log.warning(
                """
                memory_limiter allows \(limit >> 20) MiB before requests are refused, and the gateway takes \
                \(shares.baseline >> 20) MiB by itself: it works with \(shares.soft >> 20) MiB; raise the limit
                """)
        }
        let interval = context.plan.memoryLimits.map(\.checkInterval).filter { $0 > .zero }.min() ?? .zero
        let watch = MemoryWatch(shares, interval: interval, budget: context.budget, resident: resident)
        let task = Task { [weak self] in await watch.run { [weak self] in self?.heldBytes } }
        parts.withLock { $0.tasks.append(task) }
        let budget = context.budget
        context.metrics.gauge("sluice_memory_held_bytes", "Bytes that count towards memory_limiter's limit.") {
            [weak self] in Double(self.map { budget.used + $0.heldBytes } ?? 0)
        }
    }

    /// Gives back what a burst has left, also without a memory_limiter.
    private func giveBackWhenQuiet(_ budget: AdmissionBudget) {
        let task = Task {
            var memory = IdleMemory()
            let effects = WorkerEffects.system()
            while (try? await effects.sleep(IdleMemory.interval)) != nil {
                let givesBack = memory.givesBack(released: budget.releasedTotal, reserved: budget.used)
                // Walking through all free memory takes milliseconds, which nobody waits for now.
                if givesBack { sluice_trim_memory() }
            }
        }
        parts.withLock { $0.tasks.append(task) }
    }

    private var heldBytes: Int { parts.withLock { $0.heldBytes } }
}
