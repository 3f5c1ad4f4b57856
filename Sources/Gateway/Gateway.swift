import CSupport
import Configuration
import Exporters
import Journal
package import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Pipeline
import Processors
import Receivers
import Synchronization
import Telemetry

/// The gateway cannot start; says what to change.
package struct GatewayStartFailure: Error, CustomStringConvertible {
    package var description: String

    init(_ description: String) { self.description = description }
}

/// A running gateway: receivers, pipelines with their journals, exporters and the admin listeners of one plan.
///
/// Life: `start`, then `shutdown`. Start goes from the exporters to the receivers, shutdown the other way, so that
/// nothing is taken in that has nowhere to go.
package final class Gateway: Sendable {
    private struct Parts {
        var receivers: [OTLPReceiver] = []
        var workers: [(pipeline: String, worker: ExportWorker, task: Task<Void, Never>)] = []
        var stages: [(pipeline: String, stage: TraceStage, task: Task<Void, Never>)] = []
        var exporters: [any Exporter] = []
        var journals: [(pipeline: String, journal: any FrameLog)] = []
        var admin: [AdminServer] = []
        var watch: Task<Void, Never>?
        var idle: Task<Void, Never>?
    }

    let plan: GatewayPlan
    let dataDirectory: String
    let log: Logger
    let metrics = SelfMetrics()
    let drops = DropLedger()
    let tap: TapHub
    let group: MultiThreadedEventLoopGroup
    let budget: AdmissionBudget
    /// How memory is shared out; nil without a memory_limiter.
    let shares: MemoryShares?
    private let resident = ResidentMemory()
    private let parts = Mutex(Parts())
    private let startTime = SystemFacts.monotonicSeconds

    /// Bytes of requests in memory when no memory_limiter says otherwise: a quarter of the memory, at most 1 GiB.
    private static var defaultBudget: Int { min(1 << 30, max(128 << 20, SystemFacts.memoryTotal / 4)) }

    package init(plan: GatewayPlan, dataDirectory: String, log: Logger) {
        self.plan = plan
        self.dataDirectory = dataDirectory
        self.log = log
        SharedTypes.prepare()
        group = MultiThreadedEventLoopGroup(numberOfThreads: SystemFacts.usableCores(of: System.coreCount))
        tap = TapHub(plan.telemetry.tap)
        shares = plan.memoryShares(resident: resident.bytes ?? 0)
        budget = AdmissionBudget(limitBytes: shares?.requests ?? Gateway.defaultBudget)
    }

    /// Ports that the receivers listen on, in the order of the file; for tests and the start message.
    package func start() async throws -> [Int] {
        do {
            return try await startParts()
        } catch {
            await shutdown(deadline: .zero)
            throw error
        }
    }

    private func startParts() async throws -> [Int] {
        registerProcessMetrics()
        if let failure = SystemFacts.makeDirectory(dataDirectory) {
            throw GatewayStartFailure("the data directory \(dataDirectory) cannot be made: \(failure)")
        }
        var builder = GraphBuilder(gateway: self)
        let graph = try builder.build()
        parts.withLock { parts in
            parts.journals = graph.journals
            parts.exporters = graph.exporters.map(\.exporter)
        }
        for box in graph.deadLetters { await box.start() }
        for (id, exporter) in graph.exporters {
            do {
                try await exporter.start()
            } catch {
                throw GatewayStartFailure("exporter \(id): \(error)")
            }
        }
        builder.tellOfUnread()
        for (pipeline, worker) in graph.workers {
            let task = Task { await worker.run() }
            parts.withLock { $0.workers.append((pipeline, worker, task)) }
        }
        let keys = graph.keys
        for (pipeline, stage) in graph.stages {
            let task = Task { await stage.run(keys: keys) }
            parts.withLock { $0.stages.append((pipeline, stage, task)) }
        }
        try await startAdmin()
        if let shares { watchMemory(shares) }
        giveBackWhenQuiet()
        var ports: [Int] = []
        let loops = group.makeIterator().reduce(0) { count, _ in count + 1 }
        let kept = WorkspacePool.keptBytesMax
        let pool = WorkspacePool(keptBytes: shares?.workspace(kept, loops: loops) ?? kept)
        let authenticators = try makeAuthenticators()
        for (id, options) in plan.receivers {
            func intake(_ transport: String) -> ReceiverIntake {
                ReceiverIntake(
                    receiver: id, transport: transport, pipelines: graph.intakes(of: id, plan), keys: graph.keys,
                    pool: pool, metrics: metrics, tap: tap)
            }
            let http = intake("http")
            let receiver = OTLPReceiver(
                options: options,
                context: OTLPReceiver.Context(
                    ingest: http, grpcIngest: options.grpc == nil ? http : intake("grpc"), metrics: metrics,
                    group: group, budget: budget, log: log, authenticators: authenticators), id: id)
            let addresses = try await receiver.start()
            parts.withLock { $0.receivers.append(receiver) }
            ports += [addresses.http.first, addresses.grpc.first].compactMap { $0?.port }
        }
        return ports
    }

    /// Lets a memory_limiter refuse by what the gateway really holds: all that is resident, and of that requests,
    /// traces that are not complete or wait for their session, and journals in memory.
    private func watchMemory(_ shares: MemoryShares) {
        if let limit = plan.softLimit, limit < shares.soft {
            log.warning(
                """
                memory_limiter allows \(limit >> 20) MiB before requests are refused, and the gateway takes \
                \(shares.baseline >> 20) MiB by itself: it works with \(shares.soft >> 20) MiB; raise the limit
                """)
        }
        let interval = plan.memoryLimits.map(\.checkInterval).filter { $0 > .zero }.min() ?? .zero
        let watch = MemoryWatch(shares, interval: interval, budget: budget, resident: resident)
        let task = Task { [weak self] in await watch.run { [weak self] in self?.heldBytes } }
        parts.withLock { $0.watch = task }
        metrics.gauge("sluice_memory_held_bytes", "Bytes that count towards memory_limiter's limit.") { [weak self] in
            Double(self.map { $0.budget.used + $0.heldBytes } ?? 0)
        }
    }

    /// Gives back what a burst has left, also without a memory_limiter.
    private func giveBackWhenQuiet() {
        let budget = budget
        let task = Task {
            var memory = IdleMemory()
            let effects = WorkerEffects.system()
            while (try? await effects.sleep(IdleMemory.interval)) != nil {
                let givesBack = memory.givesBack(released: budget.releasedTotal, reserved: budget.used)
                // Walking through all free memory takes milliseconds, which nobody waits for now.
                if givesBack { sluice_trim_memory() }
            }
        }
        parts.withLock { $0.idle = task }
    }

    private var heldBytes: Int {
        parts.withLock { parts in
            parts.stages.reduce(0) { $0 + $1.stage.heldBytes }
                + parts.journals.reduce(0) { $0 + (($1.journal as? MemoryJournal)?.held.bytes ?? 0) }
        }
    }

    private func makeAuthenticators() throws -> [String: any RequestAuthenticator] {
        var made: [String: any RequestAuthenticator] = [:]
        for (name, make) in plan.authenticators {
            do {
                made[name] = try make(log)
            } catch {
                throw GatewayStartFailure("extension \(name): \(error)")
            }
        }
        return made
    }

    /// Stops intake, delivers what is held until the deadline, closes everything. Safe to call twice.
    package func shutdown(deadline: Duration) async {
        let parts = parts.withLock { parts in
            defer { parts = Parts() }
            return parts
        }
        parts.watch?.cancel()
        parts.idle?.cancel()
        for receiver in parts.receivers { await receiver.shutdown(deadline: deadline) }
        let start = SystemFacts.monotonicSeconds
        // What one pipeline still holds may have to go through those behind it: the ones in front end first.
        for depth in Set(plan.pipelines.map(\.depth)).sorted() {
            let left = deadline - .seconds(SystemFacts.monotonicSeconds - start)
            await drain(Set(plan.pipelines.filter { $0.depth == depth }.map(\.id)), of: parts, within: max(left, .zero))
        }
        for exporter in parts.exporters { await exporter.shutdown() }
        for (_, journal) in parts.journals { journal.close() }
        for server in parts.admin { await server.stop() }
        try? await group.shutdownGracefully()
    }

    private func drain(_ pipelines: Set<String>, of parts: Parts, within deadline: Duration) async {
        let start = SystemFacts.monotonicSeconds
        await withTaskGroup(of: Void.self) { tasks in
            for (pipeline, stage, task) in parts.stages where pipelines.contains(pipeline) {
                tasks.addTask {
                    stage.drain()
                    let limit = Task {
                        do { try await WorkerEffects.system().sleep(deadline) } catch { return }
                        task.cancel()
                    }
                    await task.value
                    limit.cancel()
                }
            }
        }
        let left = max(deadline - .seconds(SystemFacts.monotonicSeconds - start), .zero)
        await withTaskGroup(of: Void.self) { tasks in
            for (pipeline, worker, _) in parts.workers where pipelines.contains(pipeline) {
                tasks.addTask { await worker.drain(deadline: left) }
            }
        }
        for (pipeline, _, task) in parts.workers where pipelines.contains(pipeline) { await task.value }
    }

    // MARK: Admin

    private func startAdmin() async throws {
        for address in plan.telemetry.metricsAddresses {
            let metrics = metrics
            try await serve(address, what: "the metrics endpoint (service.telemetry.metrics)") { [weak self] request in
                if request.path == "/queues" { return self?.queues }
                if request.path == "/outcomes" { return self?.outcomes }
                if request.path == "/drops" { return self?.drops.answer }
                if request.path == "/tap" { return self?.tap.answer(request) }
                guard request.path == "/metrics" else { return nil }
                return AdminAnswer(
                    status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8",
                    body: PrometheusText.render(metrics.series))
            }
        }
        for check in plan.healthChecks {
            try await serve(check.address, what: "the health_check extension") { [weak self] request in
                guard request.path == check.path else { return nil }
                return self?.health
            }
        }
    }

    private func serve(
        _ address: TelemetryConfiguration.Address, what: String,
        _ routes: @escaping @Sendable (AdminRequest) -> AdminAnswer?
    ) async throws {
        let server = AdminServer(address: address, routes: routes)
        _ = try await server.start(group, what: what)
        parts.withLock { $0.admin.append(server) }
    }

    private var queues: AdminAnswer {
        let now = DeadLetterBox.systemTime()
        let all = parts.withLock { parts in
            parts.stages.map { $0.stage.status(now: now) } + parts.workers.map { $0.worker.status(now: now) }
                + parts.exporters.compactMap { ($0 as? FallbackExporter)?.status(now: now) }
        }
        return AdminAnswer(status: .ok, contentType: "application/json", body: ExportWorkerStatus.encode(all))
    }

    private var outcomes: AdminAnswer {
        let all = parts.withLock { parts in parts.workers.map { $0.worker.outcomes } }
        return AdminAnswer(status: .ok, contentType: "application/json", body: ExporterOutcomes.encode(all))
    }

    private var health: AdminAnswer {
        let problems = parts.withLock { parts in
            parts.journals.compactMap { pipeline, journal in
                (journal as? DiskJournal)?.problem.map { "\(pipeline): \($0)" }
            }
        }
        if problems.isEmpty {
            return AdminAnswer(
                status: .ok, contentType: "application/json", body: "{\"status\":\"Server available\"}\n")
        }
        let text = problems.joined(separator: "; ").replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return AdminAnswer(
            status: .serviceUnavailable, contentType: "application/json",
            body: "{\"status\":\"Server not available\",\"reason\":\"\(text)\"}\n")
    }

    private func registerProcessMetrics() {
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
    }
}
