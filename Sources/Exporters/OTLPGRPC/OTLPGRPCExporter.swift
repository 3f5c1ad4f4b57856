import Configuration
package import Pipeline
import Telemetry

/// Calls the Export methods of an OTLP/gRPC receiver.
package final class OTLPGRPCExporter: Exporter {
    package let maxConcurrency = Int.max
    private let options: OTLPGRPCOptions
    private let compression: BodyCompression
    private let destination: HTTPDestination
    private let earlyEnds = EarlyEnds()

    /// `version` goes into the User-Agent header; tests may bring their own engine and clock.
    package init(
        options: OTLPGRPCOptions, build: ExporterBuild, version: String, engine: CurlEngine = .shared,
        effects: WorkerEffects = .system()
    ) {
        self.options = options
        // What gRPC calls snappy is the framed form.
        compression = BodyCompression(
            options.compression == .snappy ? .framedSnappy : options.compression, level: options.compressionLevel)
        var headers = options.headers
        if !options.authority.isEmpty { headers.append(("Host", .init(options.authority))) }
        let plan = HTTPDestination.Plan(
            connection: Self.connection(options, version),
            urls: Signal.allCases.map { options.target?.url($0) ?? "" },
            ownHeaders: Self.ownHeaders(options), headers: headers, credentials: options.auth.credentials,
            oauth2: options.auth.oauth2, signing: nil, headerActions: options.headerActions, encodesBinary: true)
        destination = HTTPDestination(plan, build: build, engine: engine, now: effects.now)
    }

    private static func connection(_ options: OTLPGRPCOptions, _ version: String) -> CurlTargetOptions {
        var connection = CurlTargetOptions(url: "")
        connection.userAgent = "Sluice/\(version)"
        connection.timeout = options.helper.timeout
        connection.maxConnectionAge = options.maxConnectionAge
        connection.speaksHTTP2 = true
        connection.keptFields = GRPCAnswer.fields
        connection.tls = options.tls
        return connection
    }

    /// gRPC over HTTP/2, "Requests".
    private static func ownHeaders(_ options: OTLPGRPCOptions) -> [String] {
        var lines = ["Content-Type: application/grpc", "TE: trailers", "Accept:"]
        let milliseconds = options.helper.timeout.wholeMilliseconds
        // At most eight digits.
        if milliseconds > 0 {
            lines.append("grpc-timeout: " + (milliseconds < 100_000_000 ? "\(milliseconds)m" : "99999999m"))
        }
        if options.compression != .none { lines.append("grpc-encoding: \(options.compression.rawValue)") }
        return lines
    }

    /// Starting sends nothing.
    package func check() throws { try destination.start() }

    package func start() async throws { try destination.start() }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let size = batch.byteCount
        guard size <= options.messageMax || batch.itemCount == 1 else {
            let limit = "max_request_body_size (\(options.messageMax))"
            return .tooLarge(reason: "a message of \(size) bytes is larger than \(limit)")
        }
        guard let message = compression.compress(batch.pieces) else {
            return .retry(reason: "no memory to compress", after: nil)
        }
        let length = message.reduce(0) { $0 + $1.count }
        guard let length = UInt32(exactly: length), let index = Signal.allCases.firstIndex(of: batch.signal) else {
            return .tooLarge(reason: "a message of \(length) bytes has no length in gRPC")
        }
        var prefix: [UInt8] = [compression.name == nil ? 0 : 1]
        for shift in [24, 16, 8, 0] as [UInt32] { prefix.append(UInt8(truncatingIfNeeded: length >> shift)) }
        switch await destination.exchange(
            [prefix] + message, with: index, origin: batch.origin,
            unauthorized: { GRPCAnswer($0).isUnauthorized })
        {
        case .failure(let failure): return .retry(reason: failure.reason, after: nil)
        case .success(let exchange):
            if exchange.isCutShort { return earlyEnds.outcome(of: batch) }
            let outcome = GRPCAnswer(exchange).outcome(signal: batch.signal)
            earlyEnds.note(outcome, of: batch)
            return outcome
        }
    }

    package func shutdown() async { destination.close() }
}
