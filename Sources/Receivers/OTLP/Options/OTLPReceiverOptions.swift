package import Configuration

/// Options of the `otlp` receiver, named as the Collector's.
package struct OTLPReceiverOptions: ComponentOptions {
    /// OTLP over HTTP, nil when only gRPC is to be served.
    package var http: OTLPHTTPOptions?
    /// OTLP over gRPC, nil when it is not to be served.
    package var grpc: GRPCOptions?

    /// Reads and declares the options.
    package init(_ settings: inout Settings) {
        (http, grpc) = settings.group(
            "protocols", "The protocols to serve, http and grpc; HTTP with its defaults when nothing is given."
        ) { (protocols: inout Settings) -> (OTLPHTTPOptions?, GRPCOptions?) in
            let servesHTTP = protocols.isPresent("http") || !protocols.isPresent("grpc")
            let grpc = protocols.optionalGroup("grpc", "OTLP over gRPC; not served when left out.") { GRPCOptions(&$0) }
            guard servesHTTP else { return (nil, grpc) }
            let http = protocols.group("http", "OTLP over HTTP/1.1 and HTTP/2 with protobuf or JSON bodies.") {
                OTLPHTTPOptions(&$0)
            }
            return (http, grpc)
        }
        if let grpc, let http, grpc.endpoint == http.endpoint, grpc.endpoint.port != 0 {
            settings.problem("grpc and http listen on the same address; give each its own endpoint", at: "protocols")
        }
    }

    /// Where the receiver listens.
    package var endpoints: [ListenEndpoint] { [http?.endpoint, grpc?.endpoint].compactMap(\.self) }

    /// Whether headers go on to the pipeline, by one of its protocols at least.
    package var keepsMetadata: Bool { http?.keepsMetadata ?? false || grpc?.keepsMetadata ?? false }

    /// Names of the authentication extensions that it needs.
    package var authenticators: [String] { [http?.authenticator, grpc?.authenticator].compactMap(\.self) }
}

/// Options under `protocols.http`.
package struct OTLPHTTPOptions: ComponentOptions {
    package var endpoint: ListenEndpoint
    package var paths: RequestPaths
    /// Bytes of one body, as sent and after inflating.
    package var bodySizeMax: Int
    private static let bodySizeDefault = 64 << 20
    var codings: CodingSet
    package var timeouts: ConnectionTimeouts
    package var keepsAlive: Bool
    package var connections: ConnectionLimits
    package var cors: CORSPolicy?
    /// Headers that every answer carries.
    package var responseHeaders: [(name: String, value: String)]
    package var tls: ReceiverTLSOptions?
    /// Name of the authentication extension; everybody may send when nil.
    package var authenticator: String?
    /// Whether headers go on to the pipeline.
    package var keepsMetadata: Bool

    package init(_ settings: inout Settings) {
        endpoint = ListenEndpoint.read(&settings, port: 4318)
        paths = Self.paths(&settings)
        let bodySize = settings.bytes(
            "max_request_body_size", default: Self.bodySizeDefault, in: 0...(1 << 30),
            "Largest request body, as sent and again after inflating; a larger one is answered with 413. "
                + "0 stands for the default.")
        bodySizeMax = bodySize == 0 ? Self.bodySizeDefault : bodySize
        codings = Self.codings(&settings)
        timeouts = ConnectionTimeouts(&settings)
        keepsAlive = settings.bool(
            "keep_alives_enabled", default: true, "Whether a connection may carry more than one request.")
        connections = ConnectionLimits(&settings, beyond: "answered with 503, 64 at a time, or closed")
        cors = Self.cors(&settings)
        responseHeaders = Self.responseHeaders(&settings)
        keepsMetadata = MetadataOption.read(&settings)
        tls = ReceiverTLSOptions.read(&settings)
        authenticator = AuthOption.read(&settings)
        TransportOption.read(&settings)
        for key in ["read_buffer_size", "write_buffer_size", "profiles_url_path"] {
            settings.accepted(key, "Buffers grow with what comes, and profiles are not taken.")
        }
        Middlewares.refuse(&settings)
    }

    private static func paths(_ settings: inout Settings) -> RequestPaths {
        let traces = settings.string("traces_url_path", default: "/v1/traces", "Path that takes traces.")
        let logs = settings.string("logs_url_path", default: "/v1/logs", "Path that takes logs.")
        let metrics = settings.string("metrics_url_path", default: "/v1/metrics", "Path that takes metrics.")
        let paths = RequestPaths(traces: traces, logs: logs, metrics: metrics)
        let all = [
            ("traces_url_path", paths.traces), ("logs_url_path", paths.logs), ("metrics_url_path", paths.metrics),
        ]
        for (index, (key, path)) in all.enumerated() {
            if path.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "?") }) {
                settings.problem("a path holds no spaces, control characters or query", at: key)
            }
            if let other = all[..<index].first(where: { $0.1 == path }) {
                settings.problem("is the same path as \(other.0); each signal needs its own", at: key)
            }
        }
        return paths
    }

    private static func codings(_ settings: inout Settings) -> CodingSet {
        let names = settings.strings(
            "compression_algorithms", default: ["", "gzip", "zstd", "zlib", "snappy", "deflate", "lz4"],
            "Content codings to let in; the empty string stands for uncompressed bodies.")
        var codings: [ContentCoding] = []
        for name in names {
            if let known = ContentCoding.names.first(where: { $0.name == name }) {
                codings.append(known.coding)
            } else {
                let known = ContentCoding.names.map { $0.name.isEmpty ? "\"\"" : $0.name }.joined(separator: ", ")
                settings.problem(
                    "\"\(PlainText.shown(name))\" is unknown; known are \(known)", at: "compression_algorithms")
            }
        }
        // Older Collectors call the framed form by the short name.
        if codings.contains(.snappy) { codings.append(.snappyFramed) }
        return CodingSet(codings.isEmpty ? [.identity] : codings)
    }

    private static func cors(_ settings: inout Settings) -> CORSPolicy? {
        settings.optionalGroup("cors", "Web pages that may send telemetry from a browser; none when left out.") {
            cors in
            let origins = cors.strings(
                "allowed_origins", default: [],
                "Origins such as https://app.example.com; * stands for any text, alone for any origin.")
            let headers = cors.strings(
                "allowed_headers", default: [], "Request headers to allow beyond the usual ones; * allows any.")
            let exposed = cors.strings(
                "exposed_headers", default: [], "Headers of answers that pages may read beyond the usual ones.")
            for name in exposed where name != "*" && !ASCII.isToken(name) {
                cors.problem("\(PlainText.shown(name)) is no name of a header", at: "exposed_headers")
            }
            let maxAge = cors.int(
                "max_age", default: 0, in: 0...86_400, unit: "s",
                "Seconds a browser may remember a preflight; 0 leaves it to the browser.")
            for origin in origins where origin.filter({ $0 == "*" }).count > 1 {
                cors.problem("an origin holds at most one *: \(PlainText.shown(origin))", at: "allowed_origins")
            }
            var policy = CORSPolicy(allowedOrigins: origins, allowedHeaders: headers, maxAge: maxAge)
            policy.exposedHeaders = exposed
            return policy
        }
    }

    private static func responseHeaders(_ settings: inout Settings) -> [(name: String, value: String)] {
        let given = settings.secretMap("response_headers", "Headers that every answer carries.")
        let own = ["content-length", "content-type", "connection", "transfer-encoding", "retry-after", "date"]
        var headers: [(name: String, value: String)] = []
        for (name, secret) in given {
            let value = secret.reveal()
            if !ASCII.isToken(name) || !ASCII.isFieldValue(value) {
                settings.problem("\(PlainText.shown(name)) is no valid header", at: "response_headers")
            } else if own.contains(ASCII.lowercased(name)) {
                settings.problem("\(name) is set by the receiver itself; remove it", at: "response_headers")
            } else {
                headers.append((name, value))
            }
        }
        return headers
    }
}
