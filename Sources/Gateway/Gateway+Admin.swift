import Configuration
import Exporters
import Journal
import NIOHTTP1
import NIOPosix
import Pipeline
import Synchronization

extension Gateway {
    /// Opens the listeners, unless they are open from an earlier configuration.
    func startAdmin(_ plan: GatewayPlan) async throws {
        guard parts.withLock({ $0.admin.isEmpty }) else { return }
        for address in plan.telemetry.metricsAddresses {
            try await serve(address, what: "the metrics endpoint (service.telemetry.metrics)") { [weak self] request in
                if let refusal = Self.refusal(request) { return refusal }
                if request.path == "/queues" { return self?.queues }
                if request.path == "/outcomes" { return self?.outcomes }
                if request.path == "/drops" { return self?.drops.answer }
                if request.path == "/tap" { return self?.context.tap.answer(request) }
                return request.path == "/metrics" ? self?.metricsPage : nil
            }
        }
        for check in plan.healthChecks {
            try await serve(check.address, what: "the health_check extension") { [weak self] request in
                // As with the Collector's, `/` stands for every path.
                guard request.path == check.path || check.path == "/" else { return nil }
                return self?.health
            }
        }
    }

    /// Pages that tell what destinations said, or which traces there are: for this machine only, as a tap is.
    private static let localPages: Set<String> = ["/queues", "/outcomes", "/drops"]

    /// The answer to who may not have the page; nil to all others.
    static func refusal(_ request: AdminRequest) -> AdminAnswer? {
        guard localPages.contains(request.path), !request.isLocal else { return nil }
        return AdminAnswer(
            status: .forbidden, contentType: "text/plain; charset=utf-8",
            body: "\(request.path) is for this machine only: ask where the gateway runs\n")
    }

    private func serve(
        _ address: TelemetryConfiguration.Address, what: String,
        _ routes: @escaping @Sendable (AdminRequest) -> AdminAnswer?
    ) async throws {
        let server = AdminServer(address: address, routes: routes)
        _ = try await server.start(group, what: what)
        parts.withLock { $0.admin.append(server) }
    }

    private var metricsPage: AdminAnswer {
        let series = parts.withLock { parts in
            parts.context.metrics.series + parts.receivers.flatMap(\.metrics.series)
        }
        return AdminAnswer(
            status: .ok, contentType: "text/plain; version=0.0.4; charset=utf-8", body: PrometheusText.render(series))
    }

    private var queues: AdminAnswer {
        let now = DeadLetterBox.systemTime()
        let all = parts.withLock { parts -> [ExportWorkerStatus] in
            let shown = parts.shown
            return shown.stages.map { $0.status(now: now) } + shown.workers.map { $0.status(now: now) }
                + shown.exporters.flatMap { ($0 as? FallbackExporter)?.statuses(now: now) ?? [] }
        }
        return AdminAnswer(status: .ok, contentType: "application/json", body: ExportWorkerStatus.encode(all))
    }

    private var outcomes: AdminAnswer {
        let all = parts.withLock { parts in parts.shown.workers.map(\.outcomes) }
        return AdminAnswer(status: .ok, contentType: "application/json", body: ExporterOutcomes.encode(all))
    }

    /// What the Collector's extension answers.
    static func healthy(since date: String, uptime: Duration) -> String {
        "{\"status\":\"Server available\",\"upSince\":\"\(date)\",\"uptime\":\"\(DurationText.format(uptime))\"}\n"
    }

    private var health: AdminAnswer {
        let problems = parts.withLock { parts in
            parts.journals.compactMap { open in
                (open.journal as? DiskJournal)?.problem.map { "\(open.name): \($0)" }
            }
        }
        if problems.isEmpty {
            let uptime = Duration.milliseconds(Int((SystemFacts.monotonicSeconds - startTime) * 1_000))
            return AdminAnswer(
                status: .ok, contentType: "application/json", body: Self.healthy(since: startDate, uptime: uptime))
        }
        let text = problems.joined(separator: "; ").replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return AdminAnswer(
            status: .serviceUnavailable, contentType: "application/json",
            body: "{\"status\":\"Server not available\",\"reason\":\"\(text)\"}\n")
    }
}
