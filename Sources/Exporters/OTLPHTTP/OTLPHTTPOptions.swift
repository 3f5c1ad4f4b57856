package import Configuration
package import GenAI
package import Telemetry

/// Options of `otlp_http`, under the Collector's names.
package struct OTLPHTTPOptions: ComponentOptions {
    package enum Encoding: String, CaseIterable, Sendable { case proto, json }
    package enum HTTPVersion: String, CaseIterable, Sendable { case one = "1.1", two = "2" }
    package enum Compression: String, CaseIterable, Sendable {
        case gzip, zstd, snappy
        case framedSnappy = "x-snappy-framed"
        case lz4, zlib, deflate, none
    }

    package var helper: ExporterHelperOptions
    package var preset: VendorPreset?
    /// Whether spans that have nothing to do with AI are left out.
    package var aiOnly: Bool
    /// Vocabulary that GenAI spans are rendered in.
    package var dialect: ExportDialect
    /// URL of each signal that has one.
    package var urls: [(signal: Signal, url: String)]
    package var encoding: Encoding
    package var compression: Compression
    /// The level of `Deflate`, 0 to 12, or of libzstd, 1 to 22.
    package var compressionLevel: Int
    package var headers: [(key: String, value: Secret)]
    /// Further headers: from files, tokens, passwords.
    package var credentials: [HTTPCredential]
    package var oauth2: OAuth2Options?
    package var signing: AWSSigningOptions?
    /// Id of the extension that has the credentials.
    package var authenticator: String?
    var headerActions: [HeaderAction] = []
    /// Statuses after which a batch is sent again.
    package var retryOn: Set<Int>
    package var requestBodyMax: Int
    /// Zero means no limit.
    package var connectionsMax: Int
    package var idleTimeout: Duration
    package var maxConnectionAge: Duration
    package var keepsAlive: Bool
    package var speaksHTTP2: Bool
    package var proxyURL: String
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(30))
        let vendor = PresetOptions(&settings)
        preset = vendor.preset
        if let maxAge = preset?.maxAge, helper.queue.maxAge == nil { helper.queue.maxAge = maxAge }
        aiOnly = settings.bool(
            "ai_only", default: vendor.preset?.aiOnly ?? false,
            "Sends only spans of AI instrumentations; their children hang under the nearest ancestor that is sent. "
                + "What is left out is remembered for some minutes, up to 100000 spans; a span that is sent before its "
                + "parent has come keeps its parent's id.")
        dialect = settings.choice(
            "dialect", default: vendor.preset.flatMap { ExportDialect(rawValue: $0.dialect) } ?? .genAI,
            "Names in which GenAI spans are sent: the conventions' own, or those that the backend shows best. Needs "
                + "spans that gen_ai_normalizer has rewritten.")
        urls = Self.readURLs(vendor, &settings)
        encoding = settings.choice(
            "encoding", default: preset?.encodings.first ?? .proto, "Encoding of requests: protobuf or OTLP/JSON.")
        if let preset, !preset.encodings.contains(encoding) {
            settings.problem("the preset \(preset.name) takes no \(encoding.rawValue)", at: "encoding")
        }
        (compression, compressionLevel) = Self.readCompression(preset?.compression ?? .gzip, &settings)
        if let preset, let known = preset.compressions, !known.contains(compression) {
            settings.problem(
                "the preset \(preset.name) takes no \(compression.rawValue): use one of "
                    + known.map(\.rawValue).joined(separator: ", "), at: "compression")
        }
        headers = settings.secretMap("headers", "Headers of every request, such as authorization; never printed.")
        Self.dropOwnType(&headers, encoding, &settings)
        let auth = HTTPAuthOptions(&settings, takesExtension: true)
        authenticator = auth.authenticator
        credentials = auth.credentials
        oauth2 = auth.oauth2
        signing = auth.signing
        Self.check(headers, credentials, &settings)
        Self.add(vendor, &headers, &credentials, &settings)
        retryOn = Set(
            settings.ints(
                "retry_on", default: preset?.retryOn ?? OTLPAnswer.retryable, in: 400...599,
                "HTTP statuses after which a batch is sent again; all others but 2xx and 413 are final. Add 401 and "
                    + "403 to wait for repaired credentials, 408 for proxies that answer it; with 413 batches are no "
                    + "longer halved."))
        requestBodyMax = settings.bytes(
            "max_request_body_size", default: preset?.requestBodyMax ?? 64 << 20, in: 1_024...(1 << 30),
            "Largest request before compression; larger batches are split, and a single larger record is a dead "
                + "letter.")
        connectionsMax = settings.int(
            "max_conns_per_host", default: 0, in: 0...1_000, unit: "connections",
            "Most connections to the endpoint at once; 0 means as many as num_consumers.")
        (idleTimeout, maxConnectionAge) = Self.readLifetime(&settings)
        let disablesKeepAlive = settings.bool(
            "disable_keep_alives", default: false, "True opens a new connection for every request.")
        keepsAlive = !disablesKeepAlive
        speaksHTTP2 =
            settings.choice(
                "http_version", default: HTTPVersion.one,
                "Newest version of HTTP that is spoken. 2 is agreed upon over TLS, and then all deliveries share one "
                    + "connection; it costs more per byte than several connections of 1.1.") == .two
        if speaksHTTP2, let plain = urls.first(where: { !$0.url.lowercased().hasPrefix("https://") }) {
            settings.problem("HTTP/2 is spoken over TLS only, and \(plain.url) is not https", at: "http_version")
        }
        proxyURL = Self.readProxy(&settings)
        tls = settings.group("tls", "How a https endpoint is checked.") { HTTPTLSOptions(&$0) }
        Self.acceptOthers(&settings)
        if !settings.isDescribing && preset == nil && urls.isEmpty
            && !Self.endpointKeys.contains(where: settings.isPresent)
        {
            settings.problem("needs `endpoint`, or one of traces_endpoint, logs_endpoint, metrics_endpoint")
        }
    }

    private static func acceptOthers(_ settings: inout Settings) {
        for (key, sentence) in [
            ("read_buffer_size", "Answers are read as they come."),
            ("write_buffer_size", "Requests are sent from where they lie."),
            ("max_idle_conns", "At most one connection per running delivery is kept."),
            ("max_idle_conns_per_host", "At most one connection per running delivery is kept."),
            ("force_attempt_http2", "http_version says which HTTP is spoken."),
            ("http2_read_idle_timeout", "A request's timeout finds dead connections."),
            ("http2_ping_timeout", "A request's timeout finds dead connections."),
            ("cookies", "Cookies are not kept: each request stands for itself."),
            ("profiles_endpoint", "There are no profiles here."),
        ] { settings.accepted(key, sentence) }
    }

    /// Largest batch in bytes of protobuf that a worker should hand over, so that it is split rather than refused.
    package var batchBytesMax: Int {
        // JSON takes up to about three times the room: hex ids, field names, escapes.
        encoding == .json ? requestBodyMax / 3 : requestBodyMax
    }

    /// Names in lowercase of the request headers that go on with batches.
    package var contextKeys: [String] { headerActions.compactMap(\.metadataKey) }

    /// The same with what an authenticator extension adds; its headers take the place of those of the same name.
    package func with(_ auth: ClientAuth) -> OTLPHTTPOptions {
        var options = self
        let names = Set(auth.credentials.map { $0.name.lowercased() })
        options.headers.removeAll { names.contains($0.key.lowercased()) }
        options.credentials.removeAll { names.contains($0.name.lowercased()) }
        options.credentials += auth.credentials
        options.oauth2 = auth.oauth2
        options.signing = auth.signing
        options.headerActions = auth.headerActions
        return options
    }

    private static func readLifetime(_ settings: inout Settings) -> (idle: Duration, age: Duration) {
        let range: ClosedRange<Duration> = .seconds(1) ... .seconds(86_400)
        let idle = settings.duration(
            "idle_conn_timeout", default: .seconds(90), in: range,
            "An idle connection older than this is not used again.")
        let age = settings.duration(
            "max_connection_age", default: .seconds(600), in: range,
            "A connection older than this is not used again, so that a changed DNS entry is followed.")
        return (idle, age)
    }

    private static let endpointKeys = ["endpoint", "traces_endpoint", "logs_endpoint", "metrics_endpoint"]

    private static func readURLs(
        _ vendor: PresetOptions, _ settings: inout Settings
    ) -> [(signal: Signal, url: String)] {
        let base = settings.optionalString(
            "endpoint",
            "Base URL; /v1/traces, /v1/logs and /v1/metrics are added to it, unless the preset takes whole URLs.")
        if let base {
            check(base, at: "endpoint", &settings)
            warnOfBarePath(base, vendor, &settings)
        }
        var urls: [(signal: Signal, url: String)] = []
        var usesBase = false
        for signal in Signal.allCases {
            let key = "\(signal)_endpoint"
            var own = settings.optionalString(key, "Whole URL for \(signal), instead of endpoint with /v1/\(signal).")
            // As in the Collector, an empty one is as good as none.
            if own?.isEmpty == true { own = nil }
            if let own { check(own, at: key, &settings) }
            let common =
                if let preset = vendor.preset {
                    preset.url(for: signal, endpoint: base, region: vendor.region)
                } else {
                    base.map { HTTPEndpoint.below($0, signal: signal) }
                }
            if let url = own ?? common { urls.append((signal, url)) }
            usesBase = usesBase || own == nil
        }
        if let base, usesBase { warnOfQuery(base, vendor, &settings) }
        return urls
    }

    /// A host alone where the preset takes whole URLs is hardly meant.
    private static func warnOfBarePath(_ base: String, _ vendor: PresetOptions, _ settings: inout Settings) {
        guard let preset = vendor.preset, case .full(let whole)? = preset.address, let url = whole.first?.url,
            let known = try? HTTPEndpoint(url.replacing("{region}", with: "region")), known.path.count > 1,
            let given = try? HTTPEndpoint(base), given.path.isEmpty || given.path == "/"
        else { return }
        settings.warning(
            "is posted to as it is, since \(preset.name) takes whole URLs",
            fix: "add the path, such as \(base.hasSuffix("/") ? String(base.dropLast()) : base)\(known.path)",
            at: "endpoint")
    }

    /// What is added to a base URL comes behind its query, where no server looks for a path.
    private static func warnOfQuery(_ base: String, _ vendor: PresetOptions, _ settings: inout Settings) {
        if case .full? = vendor.preset?.address { return }
        guard base.contains("?") else { return }
        settings.warning(
            "has a query, and /v1/traces and its like are added behind it",
            fix: "write whole URLs: traces_endpoint, logs_endpoint, metrics_endpoint", at: "endpoint")
    }

    /// Adds the preset's headers where the file has none of that name, and checks that nothing is missing.
    private static func add(
        _ vendor: PresetOptions, _ headers: inout [(key: String, value: Secret)],
        _ credentials: inout [HTTPCredential], _ settings: inout Settings
    ) {
        var names = Set((headers.map(\.key) + credentials.map(\.name)).map { $0.lowercased() })
        if let credential = vendor.credential {
            if names.insert(credential.name.lowercased()).inserted {
                credentials.append(credential)
            } else {
                settings.problem("the header \(credential.name) is given too: keep one of them", at: "api_key")
            }
        }
        for header in vendor.preset?.fixedHeaders ?? [] where names.insert(header.name.lowercased()).inserted {
            headers.append((header.name, Secret(header.value)))
        }
        guard !settings.isDescribing else { return }
        vendor.check(headers: names, hasEndpoint: endpointKeys.contains(where: settings.isPresent), &settings)
    }

    /// Checks a URL; warns of one that sends unencrypted to another machine.
    package static func check(_ url: String, at key: String, _ settings: inout Settings) {
        do throws(HTTPEndpoint.Fault) { try HTTPEndpoint(url).warnOfPlain(at: key, &settings) } catch {
            settings.problem(error.message, at: key)
        }
    }

    /// `proxy_url`.
    static func readProxy(_ settings: inout Settings) -> String {
        let url = settings.string(
            "proxy_url", default: "",
            "URL of a proxy: http, https, socks5 or socks5h; without it HTTP_PROXY, HTTPS_PROXY and NO_PROXY count.")
        if let end = url.firstRange(of: "://")?.lowerBound,
            !["http", "https", "socks5", "socks5h"].contains(url[..<end].lowercased())
        {
            settings.problem(
                "\(url[..<end]):// is no proxy: write http://, https://, socks5:// or socks5h://", at: "proxy_url")
        }
        return url
    }

    /// `compression` and its parameters, of those that are `allowed`.
    static func readCompression(
        _ usual: Compression, _ settings: inout Settings,
        allowed: [Compression] = Compression.allCases
    ) -> (Compression, Int) {
        let names = allowed.map(\.rawValue).joined(separator: ", ")
        let name = settings.string("compression", default: usual.rawValue, "Compression of requests: \(names).")
        let compression = name.isEmpty ? Compression.none : allowed.first { $0.rawValue == name }
        if compression == nil {
            let isKnown = Compression(rawValue: name) != nil
            let fault = isKnown ? "\(name) is not supported" : "is not a compression"
            settings.problem("\(fault): use one of \(names)", at: "compression")
        }
        let isZstd = compression == .zstd
        let level = settings.group("compression_params", "How hard requests are compressed.") { params in
            let level = params.int(
                "level", default: 1, in: -1...22,
                "1 is fastest. gzip, zlib and deflate: 6 is seven times the work for a tenth less, 12 is smallest, "
                    + "0 stores. zstd: 3 is its own default, 22 is smallest. -1 means 1; snappy and lz4 have one "
                    + "level.")
            if !isZstd && level > 12 { params.problem("gzip knows levels up to 12", at: "level") }
            if isZstd && level == 0 { params.problem("zstd knows levels from 1", at: "level") }
            return level
        }
        return (compression ?? .none, level < 0 ? 1 : level)
    }

    /// Takes out a Content-Type that says what the exporter says itself, as guides for vendors often have it.
    private static func dropOwnType(
        _ headers: inout [(key: String, value: Secret)], _ encoding: Encoding, _ settings: inout Settings
    ) {
        let own = encoding == .json ? "application/json" : "application/x-protobuf"
        let before = headers.count
        headers.removeAll { $0.key.lowercased() == "content-type" && $0.value.reveal().lowercased() == own }
        if headers.count < before {
            settings.warning("Content-Type is set by the exporter in any case", fix: "remove it", at: "headers")
        }
        if let other = headers.first(where: { $0.key.lowercased() == "content-type" })?.value.reveal().lowercased(),
            ["application/json", "application/x-protobuf"].contains(other)
        {
            headers.removeAll { $0.key.lowercased() == "content-type" }
            settings.problem(
                "Content-Type is \(other), but the encoding is \(encoding.rawValue): write "
                    + "`encoding: \(encoding == .json ? "proto" : "json")` instead", at: "headers")
        }
    }

    /// Names that the exporter sets itself; a second one would make the request ambiguous.
    private static let ownHeaders = [
        "content-type", "content-encoding", "content-length", "transfer-encoding", "expect",
    ]

    /// Checks names and values, and that none is given twice or set by the exporter itself.
    static func check(
        _ headers: [(key: String, value: Secret)], _ credentials: [HTTPCredential], _ settings: inout Settings
    ) {
        var seen: Set<String> = []
        for header in headers {
            seen.insert(header.key.lowercased())
            if !HTTPHeaderCheck.isToken(header.key) {
                settings.problem("a header name may hold only letters, digits and !#$%&'*+-.^_`|~", at: "headers")
            } else if ownHeaders.contains(header.key.lowercased()) {
                settings.problem("\(header.key) is set by the exporter: remove it", at: "headers")
            } else if HTTPHeaderCheck.holdsControl(header.value.reveal()) {
                settings.problem(
                    "the value of \(header.key) holds a line break or control character: check the variable or file "
                        + "that it comes from", at: "headers")
            }
        }
        for name in credentials.map(\.name) {
            if ownHeaders.contains(name.lowercased()) {
                settings.problem("\(name) is set by the exporter: remove it", at: "header_files")
            } else if !seen.insert(name.lowercased()).inserted {
                settings.problem("the header \(name) is given twice: keep one of headers, header_files and auth")
            }
        }
    }
}
