package import Pipeline
import Synchronization

/// Where an exporter's page is served; the gateway has the HTTP server.
package protocol PageListener: Sendable {
    /// Listens, and answers `GET /metrics` with what `page` makes of the Accept header. Throws when it cannot listen.
    func start(_ page: @escaping @Sendable (_ accept: String) -> (contentType: String, body: String)) async throws
    func stop() async
}

/// Holds the last value of each series for scrapers, as the Collector's `prometheus` exporter.
package final class PrometheusExporter: Exporter {
    package let maxConcurrency = 1
    private let options: PrometheusOptions
    private let reader: PrometheusReader
    private let store: Mutex<PrometheusStore>
    private let listener: any PageListener
    private let now: @Sendable () -> Duration

    /// `now` is for tests.
    package init(
        options: PrometheusOptions, build: ExporterBuild, listener: any PageListener,
        now: @escaping @Sendable () -> Duration = WorkerEffects.system().now
    ) {
        self.options = options
        self.listener = listener
        self.now = now
        reader = PrometheusReader(options)
        store = Mutex(PrometheusStore(seriesMax: options.seriesMax, expiration: options.expiration))
        build.metrics.gauge(
            "sluice_prometheus_series", "Series on the page of a prometheus exporter.", [("exporter", build.id)]
        ) { [weak self] in Double(self?.store.withLock { $0.seriesCount } ?? 0) }
    }

    package func start() async throws {
        do {
            try await listener.start { [weak self] accept in self?.page(accept: accept) ?? ("text/plain", "") }
        } catch {
            throw ExporterStartFailure("\(error)")
        }
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let time = now()
        do {
            let refusals = try store.withLock { store in
                if store.seriesCount >= options.seriesMax { store.expire(now: time) }
                return try reader.read(batch, into: &store, now: time)
            }
            guard !refusals.isEmpty else { return .delivered }
            let message = refusals.keys.map(\.rawValue).sorted().joined(separator: "; ")
            return .partial(rejected: refusals.values.reduce(0, +), message: message)
        } catch {
            return .permanent(reason: "not a valid request: \(error)")
        }
    }

    package func shutdown() async { await listener.stop() }

    /// The page for a scraper with this Accept header.
    func page(accept: String) -> (contentType: String, body: String) {
        let wantsOpenMetrics = options.offersOpenMetrics && accept.contains("application/openmetrics-text")
        let format: PrometheusPage.Format = wantsOpenMetrics ? .openMetrics : .text
        let time = now()
        let held = store.withLock { store in
            store.expire(now: time)
            return store
        }
        return (
            format.contentType, PrometheusPage.render(held, format: format, sendsTimestamps: options.sendsTimestamps)
        )
    }
}
