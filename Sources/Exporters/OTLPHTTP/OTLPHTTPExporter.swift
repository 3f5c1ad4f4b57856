import OTLP
package import Pipeline
import Synchronization
package import Telemetry

/// Sends batches to an OTLP/HTTP receiver.
package final class OTLPHTTPExporter: Exporter {
    package let maxConcurrency: Int
    private let options: OTLPHTTPOptions
    private let compression: BodyCompression
    private let destination: HTTPDestination
    private let leftOut: Counter
    private let rendering: DialectRendering?
    private let leftOutSpans = Mutex(LeftOutSpans())
    private let now: @Sendable () -> Duration
    private let earlyEnds = EarlyEnds()

    /// `version` goes into the User-Agent header; tests may bring their own engine and clock.
    package init(
        options: OTLPHTTPOptions, build: ExporterBuild, version: String, engine: CurlEngine = .shared,
        effects: WorkerEffects = .system()
    ) {
        self.options = options
        now = effects.now
        leftOut = build.metrics.counter(
            "sluice_exporter_ai_only_left_out_spans",
            "Spans that ai_only left out of a request, again with each attempt; they count as sent.",
            [("exporter", build.id)])
        rendering = DialectRendering(options.dialect)
        maxConcurrency = options.connectionsMax == 0 ? Int.max : options.connectionsMax
        compression = BodyCompression(options.compression, level: options.compressionLevel)
        let type = options.encoding == .json ? "application/json" : "application/x-protobuf"
        let plan = HTTPDestination.Plan(
            connection: Self.connection(options, version), urls: options.urls.map(\.url),
            ownHeaders: ["Content-Type: \(type)"] + (compression.name.map { ["Content-Encoding: \($0)"] } ?? []),
            headers: options.headers, credentials: options.credentials, oauth2: options.oauth2,
            signing: options.signing, headerActions: options.headerActions)
        destination = HTTPDestination(plan, build: build, engine: engine, now: effects.now)
    }

    private static func connection(_ options: OTLPHTTPOptions, _ version: String) -> CurlTargetOptions {
        var connection = CurlTargetOptions(url: "")
        connection.userAgent = "Sluice/\(version)"
        connection.timeout = options.helper.timeout
        connection.idleTimeout = options.idleTimeout
        connection.maxConnectionAge = options.maxConnectionAge
        connection.keepsAlive = options.keepsAlive
        connection.speaksHTTP2 = options.speaksHTTP2
        connection.proxyURL = options.proxyURL
        connection.tls = options.tls
        return connection
    }

    /// Whether the configuration names an endpoint for this signal.
    package func accepts(_ signal: Signal) -> Bool { options.urls.contains { $0.signal == signal } }

    /// Starting sends nothing.
    package func check() throws { try destination.start() }

    package func start() async throws { try destination.start() }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        guard let index = options.urls.firstIndex(where: { $0.signal == batch.signal }) else {
            return .permanent(reason: "no endpoint for \(batch.signal): set endpoint or \(batch.signal)_endpoint")
        }
        var batch = batch
        if options.aiOnly, batch.signal == .traces,
            let filtered = leftOutSpans.withLock({ AISpanFilter.filter(batch.bytes, &$0, now: now()) })
        {
            leftOut.add(filtered.leftOut)
            if filtered.kept == 0 { return .delivered }
            batch.bytes = filtered.bytes
            batch.itemCount = filtered.kept
        }
        if let rendering, batch.signal == .traces { batch.bytes = rendering.render(batch.bytes) }
        let plain = options.encoding == .json ? [json(batch)] : batch.pieces
        let size = plain.reduce(0) { $0 + $1.count }
        guard size <= options.requestBodyMax else {
            let limit = "max_request_body_size (\(options.requestBodyMax))"
            return .tooLarge(reason: "a request of \(size) bytes is larger than \(limit)")
        }
        guard let body = compression.compress(plain) else {
            return .retry(reason: "no memory to compress", after: nil)
        }
        switch await destination.exchange(body, with: index, origin: batch.origin) {
        case .failure(let failure): return .retry(reason: failure.reason, after: nil)
        case .success(let exchange):
            if exchange.isCutShort { return earlyEnds.outcome(of: batch) }
            let outcome = OTLPAnswer.outcome(exchange.result, signal: batch.signal, retryOn: options.retryOn)
            if options.speaksHTTP2 { earlyEnds.note(outcome, of: batch) }
            return outcome
        }
    }

    private func json(_ batch: ExportBatch) -> [UInt8] {
        var text = ByteColumn()
        batch.bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: batch.signal, into: &text) }
        return [UInt8](text.bytes)
    }

    package func shutdown() async { destination.close() }
}
