package import Configuration

/// Options of the `otlp` receiver, named as the Collector's.
package struct OTLPReceiverOptions: ComponentOptions {
    /// OTLP over HTTP/1.1.
    package var http: OTLPHTTPOptions

    /// Reads and declares the options. OTLP over gRPC is refused, so that nobody believes it is served.
    package init(_ settings: inout Settings) {
        http = settings.group("protocols", "The protocols to serve; HTTP with its defaults when nothing is given.") {
            protocols in
            _ = protocols.value("grpc", "OTLP over gRPC; it is not served in this version and refused when given.")
            if protocols.isPresent("grpc") {
                let rest = protocols.isPresent("http") ? "remove `grpc`" : "write `http:` in place of `grpc:`"
                protocols.problem(
                    "OTLP over gRPC is not served in this version; \(rest) and let senders use "
                        + "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf on the HTTP port (4318)", at: "grpc")
            }
            return protocols.group("http", "OTLP over HTTP/1.1 with protobuf or JSON bodies.") { OTLPHTTPOptions(&$0) }
        }
    }
}

/// Options under `protocols.http`.
package struct OTLPHTTPOptions: ComponentOptions {
    package var endpoint: ListenEndpoint
    package var paths: RequestPaths
    /// Bytes of one body, as sent and after inflating.
    package var bodySizeMax: Int
    package var codings: [String]
    package var timeouts: ConnectionTimeouts
    package var keepsAlive: Bool
    package var connectionsMax: Int
    package var cors: CORSPolicy?
    /// Headers that every answer carries.
    package var responseHeaders: [(name: String, value: String)]

    package init(_ settings: inout Settings) {
        endpoint = Self.endpoint(&settings)
        paths = Self.paths(&settings)
        bodySizeMax = settings.bytes(
            "max_request_body_size", default: 64 << 20, in: 1...(1 << 30),
            "Largest request body, as sent and again after inflating; a larger one is answered with 413.")
        codings = Self.codings(&settings)
        timeouts = ConnectionTimeouts(&settings)
        keepsAlive = settings.bool(
            "keep_alives_enabled", default: true, "Whether a connection may carry more than one request.")
        connectionsMax = settings.int(
            "max_connections", default: 1024, in: 1...100_000,
            "Connections that may be open at once; further ones are answered with 503.")
        cors = Self.cors(&settings)
        responseHeaders = Self.responseHeaders(&settings)
        settings.accepted(
            "include_metadata", "Request headers are not handed on to the pipeline in this version.")
        Self.refuseUnsupported(&settings)
    }

    private static func endpoint(_ settings: inout Settings) -> ListenEndpoint {
        let text = settings.string(
            "endpoint", default: "127.0.0.1:4318",
            "Address to listen on, host:port; 0.0.0.0:4318 listens on all addresses of the machine.")
        do {
            return try ListenEndpoint(parsing: text)
        } catch {
            settings.problem(error.description, at: "endpoint")
            return ListenEndpoint(host: .named("127.0.0.1"), port: 4318)
        }
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

    private static func codings(_ settings: inout Settings) -> [String] {
        let known = ["", "gzip", "x-gzip", "deflate", "zlib"]
        let elsewhere = ["zstd", "snappy", "x-snappy-framed", "lz4"]
        let names = settings.strings(
            "compression_algorithms", default: ["", "gzip", "zlib", "deflate"],
            "Content codings to let in; the empty string stands for uncompressed bodies.")
        for name in names where !known.contains(name) {
            let what = elsewhere.contains(name) ? "is not supported in this version" : "is unknown"
            settings.problem(
                "\"\(PlainText.shown(name))\" \(what); remove it, known are \"\", gzip, zlib and deflate",
                at: "compression_algorithms")
        }
        return names
    }

    /// The codings as the head check wants them; an empty list lets in uncompressed bodies only.
    var codingSet: HeadCheck.CodingSet {
        HeadCheck.CodingSet(
            identity: codings.isEmpty || codings.contains(""),
            gzip: codings.contains("gzip") || codings.contains("x-gzip"),
            zlib: codings.contains("zlib") || codings.contains("deflate"))
    }

    private static func cors(_ settings: inout Settings) -> CORSPolicy? {
        settings.optionalGroup("cors", "Web pages that may send telemetry from a browser; none when left out.") {
            cors in
            let origins = cors.strings(
                "allowed_origins", default: [],
                "Origins such as https://app.example.com; * stands for any text, alone for any origin.")
            let headers = cors.strings(
                "allowed_headers", default: [], "Request headers to allow beyond the usual ones; * allows any.")
            let maxAge = cors.int(
                "max_age", default: 0, in: 0...86_400, unit: "s",
                "Seconds a browser may remember a preflight; 0 leaves it to the browser.")
            for origin in origins where origin.filter({ $0 == "*" }).count > 1 {
                cors.problem("an origin holds at most one *: \(PlainText.shown(origin))", at: "allowed_origins")
            }
            return CORSPolicy(allowedOrigins: origins, allowedHeaders: headers, maxAge: maxAge)
        }
    }

    private static func responseHeaders(_ settings: inout Settings) -> [(name: String, value: String)] {
        let given = settings.secretMap("response_headers", "Headers that every answer carries.")
        let own = ["content-length", "content-type", "connection", "transfer-encoding", "retry-after"]
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

    /// Options whose silent loss would open what the user meant to close.
    private static func refuseUnsupported(_ settings: inout Settings) {
        let unsupported = [
            ("tls", "TLS", "end TLS in front of it, for example in nginx, and listen on 127.0.0.1"),
            ("auth", "Authentication", "listen on 127.0.0.1 and let a proxy in front check who sends"),
            ("middlewares", "Middleware", "remove it"),
        ]
        for (key, name, fix) in unsupported {
            let value = settings.value(
                key, "\(name) of the Collector; not supported in this version, refused when given.")
            if value != nil { settings.problem("\(name) is not supported in this version; \(fix)", at: key) }
        }
    }
}
