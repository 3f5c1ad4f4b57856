import Configuration
import Exporters
package import Logging
import NIOCore
import NIOPosix
import Pipeline
import Receivers
import Synchronization

/// The gateway cannot start; says what to change.
package struct GatewayStartFailure: Error, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}

/// A running gateway: receivers, pipelines with their journals, exporters and the admin listeners of one plan.
///
/// Life: `start`, any number of `reload`, then `shutdown`, one call at a time. Start goes from the exporters to the
/// receivers, shutdown the other way, so that nothing is taken in that has nowhere to go.
package final class Gateway: Sendable {
    let dataDirectory: String
    let drops = DropLedger()
    let group: MultiThreadedEventLoopGroup
    let resident = ResidentMemory()
    let parts: Mutex<GatewayParts>
    let lastReload = Atomic(true)
    /// Bytes of the process before anything of a plan is made.
    private let baseline: Int
    let startTime = SystemFacts.monotonicSeconds
    /// The same for people.
    let startDate = GatewayLogHandler.timestamp()

    package init(plan: GatewayPlan, dataDirectory: String, log: Logger) {
        self.dataDirectory = dataDirectory
        SharedTypes.prepare()
        group = MultiThreadedEventLoopGroup(numberOfThreads: SystemFacts.usableCores(of: System.coreCount))
        baseline = resident.bytes ?? 0
        let context = GraphContext(plan, dataDirectory: dataDirectory, log: log, drops: drops, baseline: baseline)
        parts = Mutex(GatewayParts(context))
    }

    /// What parts of `plan` are made with when it takes the place of `earlier`.
    func context(of plan: GatewayPlan, _ log: Logger, behind earlier: GraphContext) -> GraphContext {
        GraphContext(
            plan, dataDirectory: dataDirectory, log: log, drops: drops, baseline: baseline, behind: earlier)
    }

    var context: GraphContext { parts.withLock { $0.context } }

    /// Ports that the receivers listen on, in the order of the file; for tests and the start message.
    package func start() async throws -> [Int] {
        do {
            if let failure = SystemFacts.makeDirectory(dataDirectory) {
                throw GatewayStartFailure("the data directory \(dataDirectory) cannot be made: \(failure)")
            }
            return try await bringUp(Inheritance())
        } catch {
            await shutdown(deadline: .zero)
            throw error
        }
    }

    /// Stops intake, delivers what is held until the deadline, closes everything. Safe to call twice.
    ///
    /// Senders whose requests are under way have three quarters of the time, and those that wait for a delivery or for
    /// room half of it: what they have sent goes on in the rest.
    package func shutdown(deadline: Duration) async {
        let start = SystemFacts.monotonicSeconds
        let parts = parts.withLock { parts in
            defer { parts = GatewayParts(parts.context) }
            return parts
        }
        let waits = Waits(log: parts.context.log, isEnd: true)
        func left(of time: Duration) -> Duration { max(time - .seconds(SystemFacts.monotonicSeconds - start), .zero) }
        for task in parts.tasks { task.cancel() }
        // Senders may wait for these, and with them their receivers.
        if deadline > .zero { for (_, worker, _) in parts.workers { worker.tryAgain(before: deadline) } }
        let limit = Task {
            do { try await WorkerEffects.system().sleep(deadline / 2) } catch { return }
            for watch in Array(parts.watches.values) + parts.earlierWatches.map(\.watch) { watch.turnAway() }
            for (_, worker, _) in parts.workers { worker.turnSendersAway() }
        }
        await withTaskGroup(of: Void.self) { tasks in
            for running in parts.receivers + parts.retiring {
                tasks.addTask { await running.receiver.shutdown(deadline: deadline * 3 / 4) }
            }
        }
        limit.cancel()
        let pipelines = Set(parts.context.plan.pipelines.map(\.id))
        var late = await drain(parts, within: left(of: deadline), pipelines, waits, leaves: { _ in false })
        late += await Self.end(parts.late, waits, within: left(of: deadline))
        noteLate(late, parts, waits)
        for (pipeline, worker, _) in parts.workers { late.giveUp(worker, of: pipeline) }
        let time = max(left(of: deadline + Waits.endTime), Waits.patience)
        _ = await closeExporters(of: parts, waits, late, within: time) { _ in true }
        for open in parts.journals + parts.emptied.map(\.open) { open.journal.close() }
        for server in parts.admin { await server.stop() }
        try? await group.shutdownGracefully()
    }

    /// Delivers what is held by those pipelines. What one pipeline still holds may have to go through those behind it:
    /// the ones in front end first. Workers that leave let others go on with what they have not delivered.
    ///
    /// It waits for no exporter much longer than that, and gives those whose attempts have not ended; at the end of the
    /// gateway for no connector either. What is left is not given up yet.
    func drain(
        _ parts: GatewayParts, within deadline: Duration, _ meant: Set<String>, _ waits: Waits,
        leaves: (String) -> Bool
    ) async -> [LateWorker] {
        var late: [LateWorker] = []
        let start = SystemFacts.monotonicSeconds
        let pipelines = parts.context.plan.pipelines.filter { meant.contains($0.id) }
        for depth in Set(pipelines.map(\.depth)).sorted() {
            let left = deadline - .seconds(SystemFacts.monotonicSeconds - start)
            let ids = Set(pipelines.filter { $0.depth == depth }.map(\.id))
            late += await drain(ids, of: parts, within: max(left, .zero), waits, leaving: ids.filter(leaves))
        }
        return late
    }

    private func drain(
        _ pipelines: Set<String>, of parts: GatewayParts, within deadline: Duration, _ waits: Waits,
        leaving: Set<String>
    ) async -> [LateWorker] {
        let start = SystemFacts.monotonicSeconds
        await withTaskGroup(of: Void.self) { tasks in
            for (pipeline, stage, task) in parts.stages where pipelines.contains(pipeline) {
                tasks.addTask {
                    if leaving.contains(pipeline), stage.setup.isDurable { stage.leave() } else { stage.drain() }
                    await Self.wait(for: task, atMost: deadline)
                }
            }
        }
        let left = max(deadline - .seconds(SystemFacts.monotonicSeconds - start), .zero)
        let workers = parts.workers.filter { pipelines.contains($0.pipeline) }
        return await Self.end(
            workers, waits, within: left + Waits.patience,
            orLonger: { worker, pipeline in !waits.isEnd && parts.isConnector(worker, in: pipeline) }
        ) { worker, pipeline in
            await waits.telling(Self.delivery(of: worker, pipeline), after: left) {
                if leaving.contains(pipeline) {
                    await worker.leave(deadline: left)
                } else {
                    await worker.drain(deadline: left, mayGoOn: true)
                }
            }
        }
    }

    /// Has workers end by `work`. Gives those that have not within `time`, but for those that are waited for however
    /// long they take; they do so by themselves.
    static func end(
        _ workers: [(pipeline: String, worker: ExportWorker, task: Task<Void, Never>)], _ waits: Waits,
        within time: Duration, orLonger isAwaited: (ExportWorker, _ pipeline: String) -> Bool = { _, _ in false },
        _ work: @escaping @Sendable (ExportWorker, _ pipeline: String) async -> Void
    ) async -> [LateWorker] {
        await withTaskGroup(of: LateWorker?.self) { tasks in
            for (pipeline, worker, task) in workers {
                let time = isAwaited(worker, pipeline) ? nil : time
                tasks.addTask {
                    if await waits.isDone(within: time, { await work(worker, pipeline) }) { return nil }
                    let seat = WorkerSeat(pipeline: pipeline, exporter: worker.exporterID)
                    return LateWorker(seat: seat, worker: worker, task: task)
                }
            }
            var late: [LateWorker] = []
            for await case let one? in tasks { late.append(one) }
            return late
        }
    }

    /// Waits for workers of configurations before, and cuts their attempts off when the time is over. Gives those that
    /// have not ended then.
    private static func end(_ late: [LateWorker], _ waits: Waits, within time: Duration) async -> [LateWorker] {
        await withTaskGroup(of: LateWorker?.self) { tasks in
            for one in late {
                tasks.addTask {
                    if await waits.isDone(within: time, { await one.task.value }) { return nil }
                    one.task.cancel()
                    return await waits.isDone(within: Waits.patience, { await one.task.value }) ? nil : one
                }
            }
            var left: [LateWorker] = []
            for await case let one? in tasks { left.append(one) }
            return left
        }
    }

    /// Who is waited for while an attempt to deliver does not end.
    static func delivery(of worker: ExportWorker, _ pipeline: String) -> String {
        "exporter \(worker.exporterID) of pipeline \(pipeline), which does not end its attempt to deliver"
    }

    /// The same for an attempt to start.
    static func startAttempt(of exporter: String) -> String {
        "exporter \(exporter), which does not end its attempt to start"
    }

    /// Ends attempts to start: one that succeeds behind the end of its exporter would hold its file or its port. Gives
    /// the names of those that have not started, or have not ended within `time`.
    @discardableResult
    static func end(
        _ starts: [(id: String, task: Task<Bool, Never>)], _ waits: Waits, within time: Duration? = nil
    ) async -> Set<String> {
        for (_, task) in starts { task.cancel() }
        return await withTaskGroup(of: String?.self) { tasks in
            for (id, task) in starts {
                tasks.addTask {
                    let hasEnded = await waits.isDone(within: time) {
                        await waits.telling(startAttempt(of: id), after: .zero) {
                            _ = await task.value
                        }
                    }
                    guard hasEnded else { return id }
                    return await task.value ? nil : id
                }
            }
            var waiting: Set<String> = []
            for await case let id? in tasks { waiting.insert(id) }
            return waiting
        }
    }

    /// Waits for a task's end, which it is told to hasten at the deadline.
    static func wait(for task: Task<Void, Never>, atMost deadline: Duration) async {
        let limit = Task {
            do { try await WorkerEffects.system().sleep(deadline) } catch { return }
            task.cancel()
        }
        await task.value
        limit.cancel()
    }

    /// How often SIGHUP was followed by a new configuration, or not.
    func reloads(_ result: ReloadResult, _ metrics: SelfMetrics) -> Counter {
        metrics.counter(
            "sluice_config_reloads_total", "Configurations that SIGHUP asked for, by what became of them.",
            [(name: "result", value: result.rawValue)])
    }

    func registerProcessMetrics(_ metrics: SelfMetrics) {
        let start = startTime
        metrics.gauge("otelcol_process_uptime", "Seconds since the start.") { SystemFacts.monotonicSeconds - start }
        metrics.gauge("otelcol_process_memory_rss", "Resident memory in bytes.") { [resident] in
            Double(resident.bytes ?? 0)
        }
        metrics.gauge("sluice_log_lost_lines", "Lines of the log since the start that nobody was there to read.") {
            Double(LogWriter.standardError.lostLines)
        }
        metrics.gauge("otelcol_process_cpu_seconds", "CPU seconds, user and system.") {
            SystemFacts.processorSeconds
        }
        for result in ReloadResult.allCases { _ = reloads(result, metrics) }
        metrics.gauge(
            "sluice_config_last_reload_successful", "1 when the last SIGHUP was followed by its configuration."
        ) { [weak self] in self?.lastReload.load(ordering: .relaxed) ?? true ? 1 : 0 }
    }
}
