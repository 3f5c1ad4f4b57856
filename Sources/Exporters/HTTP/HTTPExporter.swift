package import Configuration
package import Pipeline
import Telemetry

/// Options of `http`, a webhook.
package struct HTTPOptions: ComponentOptions {
    package enum Method: String, CaseIterable, Sendable { case post = "POST", put = "PUT", patch = "PATCH" }

    package var helper: ExporterHelperOptions
    package var endpoint: String
    package var method: Method
    package var format: HTTPBodyFormat
    /// Nil sends the records alone.
    var template: HTTPBodyTemplate?
    package var contentType: String
    package var headers: [(key: String, value: Secret)]
    package var credentials: [HTTPCredential]
    package var oauth2: OAuth2Options?
    package var signing: AWSSigningOptions?
    package var retryOn: Set<Int>
    package var compression: OTLPHTTPOptions.Compression
    package var requestBodyMax: Int
    package var proxyURL: String
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(30))
        endpoint = settings.requiredSecretURL("endpoint", "URL that every batch goes to.")
        method = settings.choice("method", default: .post, "Method of requests.")
        format = settings.choice(
            "format", default: .ndjson,
            "ndjson: a line per record, of metrics per data point; array: a JSON array of them; otlp_json and "
                + "otlp_proto: one request.")
        let text = settings.optionalString(
            "template",
            "Body around the records, with {{records}}, {{records_string}}, {{count}}, {{signal}}, {{exporter}} and "
                + "{{tenant}} in it.")
        if text?.isEmpty == true, !settings.isDescribing {
            settings.problem(
                "is empty, so that nothing would be sent: write {{records}} in it, or leave it out", at: "template")
        } else if let text {
            do throws(HTTPBodyTemplate.Fault) { template = try HTTPBodyTemplate(text) } catch {
                settings.problem(error.message, at: "template")
            }
        }
        contentType = settings.string(
            "content_type", default: "",
            "Content-Type of requests; by default that of the format, or JSON with a template.")
        if format == .ndjson, contentType.isEmpty, template?.holdsRecords == true {
            settings.warning(
                "is sent as application/json, and {{records}} are lines, which is no JSON",
                fix: "write `format: array`, {{records_string}}, or the content_type that it is", at: "template")
        }
        headers = settings.secretMap("headers", "Headers of every request; never printed.")
        let auth = HTTPAuthOptions(&settings)
        credentials = auth.credentials
        oauth2 = auth.oauth2
        signing = auth.signing
        retryOn = Set(
            settings.ints(
                "retry_on", default: [408, 429, 500, 502, 503, 504], in: 400...599,
                "HTTP statuses after which a batch is sent again; all others but 2xx and 413 are final."))
        compression = settings.choice("compression", default: .none, "Compression of requests.")
        requestBodyMax = settings.bytes(
            "max_request_body_size", default: 16 << 20, in: 1_024...(1 << 30),
            "Largest request before compression; larger batches are halved.")
        proxyURL = OTLPHTTPOptions.readProxy(&settings)
        tls = settings.group("tls", "How a https endpoint is checked.") { HTTPTLSOptions(&$0) }
        OTLPHTTPOptions.check(headers, credentials, &settings)
        if HTTPHeaderCheck.holdsControl(contentType) { settings.problem("holds a line break", at: "content_type") }
        if !endpoint.isEmpty { OTLPHTTPOptions.check(endpoint, at: "endpoint", &settings) }
    }
}

/// Sends batches to any HTTP endpoint: a webhook, a log intake, a function.
package final class HTTPExporter: Exporter {
    package let maxConcurrency = Int.max
    private let options: HTTPOptions
    private let id: String
    private let compression: BodyCompression
    private let destination: HTTPDestination

    /// `version` goes into the User-Agent header.
    package init(
        options: HTTPOptions, build: ExporterBuild, version: String, engine: CurlEngine = .shared,
        effects: WorkerEffects = .system()
    ) {
        self.options = options
        id = build.id
        compression = BodyCompression(options.compression, level: 1)
        var connection = CurlTargetOptions(url: "")
        connection.method = options.method.rawValue
        connection.userAgent = "Sluice/\(version)"
        connection.timeout = options.helper.timeout
        connection.proxyURL = options.proxyURL
        connection.tls = options.tls
        connection.hidesPath = true
        let usual = options.template == nil ? options.format.contentType : "application/json"
        let type = options.contentType.isEmpty ? usual : options.contentType
        let plan = HTTPDestination.Plan(
            connection: connection, urls: [options.endpoint],
            ownHeaders: ["Content-Type: \(type)"] + (compression.name.map { ["Content-Encoding: \($0)"] } ?? []),
            headers: options.headers, credentials: options.credentials, oauth2: options.oauth2,
            signing: options.signing)
        destination = HTTPDestination(plan, build: build, engine: engine, now: effects.now)
    }

    /// Starting sends nothing.
    package func check() throws { try destination.start() }

    package func start() async throws { try destination.start() }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let records = options.format.records(batch)
        let plain = options.template?.fill(records, batch: batch, exporter: id) ?? records
        guard plain.count <= options.requestBodyMax else {
            return .tooLarge(reason: "a request of \(plain.count) bytes is larger than max_request_body_size")
        }
        guard let body = compression.compress(plain) else {
            return .retry(reason: "no memory to compress", after: nil)
        }
        let exchange: HTTPResult
        switch await destination.post(pieces: [body], to: 0) {
        case .failure(let failure): return .retry(reason: failure.reason, after: nil)
        case .success(let result): exchange = result
        }
        switch OTLPAnswer.outcome(exchange, signal: batch.signal, retryOn: options.retryOn) {
        // Only OTLP receivers answer with a partial success; for all others the body means something else.
        case .partial: return .delivered
        case let outcome: return outcome
        }
    }

    package func shutdown() async { destination.close() }
}
