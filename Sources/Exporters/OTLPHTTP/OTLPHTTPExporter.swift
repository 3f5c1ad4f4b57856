import Configuration
import OTLP
package import Pipeline
import Synchronization
package import Telemetry

/// Sends batches to an OTLP/HTTP receiver.
package final class OTLPHTTPExporter: Exporter {
    package let maxConcurrency: Int
    private let options: OTLPHTTPOptions
    private let build: ExporterBuild
    private let userAgent: String
    private let engine: CurlEngine
    private let gzip: Gzip?
    /// One per signal, by `Signal.rawValue`; filled by `start`.
    private let targets = Mutex<[CurlTarget?]>([])

    /// `version` goes into the User-Agent header; tests may bring their own engine.
    package init(
        options: OTLPHTTPOptions, build: ExporterBuild, version: String, engine: CurlEngine = .shared
    ) {
        self.options = options
        self.build = build
        self.engine = engine
        userAgent = "Sluice/\(version)"
        maxConcurrency = options.connectionsMax == 0 ? Int.max : options.connectionsMax
        gzip = options.compression == .gzip ? Gzip(level: options.compressionLevel) : nil
    }

    /// Whether the configuration names an endpoint for this signal.
    package func accepts(_ signal: Signal) -> Bool { options.urls.contains { $0.signal == signal } }

    package func start() async throws {
        if let problem = options.tls.unreadableFile { throw ExporterStartFailure(problem) }
        if options.tls.skipsVerification {
            build.log(.warn, "exporter \(build.id): tls.insecure_skip_verify is on, certificates are not checked")
        }
        var made = [CurlTarget?](repeating: nil, count: Signal.allCases.count + 1)
        for (signal, url) in options.urls { made[Int(signal.rawValue)] = try target(url) }
        let ready = made
        targets.withLock { $0 = ready }
    }

    private func target(_ url: String) throws(ExporterStartFailure) -> CurlTarget {
        let endpoint: HTTPEndpoint
        do throws(HTTPEndpoint.Fault) { endpoint = try HTTPEndpoint(url) } catch {
            throw ExporterStartFailure("endpoint \(error.message)")
        }
        var target = CurlTargetOptions(url: endpoint.url)
        target.headers.append(
            options.encoding == .json ? "Content-Type: application/json" : "Content-Type: application/x-protobuf")
        if gzip != nil { target.headers.append("Content-Encoding: gzip") }
        for header in options.headers {
            let value = header.value.reveal()
            // libcurl takes a name with a colon and nothing behind it as the wish to remove the header.
            target.headers.append(value.isEmpty ? "\(header.key);" : "\(header.key): \(value)")
        }
        if let name = options.tls.serverName, endpoint.scheme == "https" {
            let override = endpoint.override(name: name)
            target.url = override.url
            target.connectTo = override.connectTo
            if !options.headers.contains(where: { $0.key.lowercased() == "host" }) {
                target.headers.append(override.hostHeader)
            }
        }
        target.userAgent = userAgent
        target.timeout = options.helper.timeout
        target.idleTimeout = options.idleTimeout
        target.keepsAlive = options.keepsAlive
        target.proxyURL = options.proxyURL
        target.tls = options.tls
        return try CurlTarget(target, engine: engine)
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let index = Int(batch.signal.rawValue)
        guard let target = targets.withLock({ $0.indices.contains(index) ? $0[index] : nil }) else {
            return .permanent(reason: "no endpoint for \(batch.signal): set endpoint or \(batch.signal)_endpoint")
        }
        let plain = options.encoding == .json ? json(batch) : batch.bytes
        guard plain.count <= options.requestBodyMax else {
            let limit = "max_request_body_size (\(options.requestBodyMax))"
            return .permanent(reason: "a request of \(plain.count) bytes is larger than \(limit)")
        }
        var body = plain
        if let gzip {
            guard let compressed = gzip.compress(plain) else {
                return .retry(reason: "no memory to compress", after: nil)
            }
            body = compressed
        }
        return OTLPAnswer.outcome(await engine.post(body, to: target), signal: batch.signal)
    }

    private func json(_ batch: ExportBatch) -> [UInt8] {
        var text = ByteColumn()
        batch.bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: batch.signal, into: &text) }
        return [UInt8](text.bytes)
    }

    package func shutdown() async { targets.withLock { $0 = [] } }
}
