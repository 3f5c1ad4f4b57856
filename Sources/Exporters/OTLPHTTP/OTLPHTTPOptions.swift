package import Configuration
package import Telemetry

/// Options of `otlp_http`, under the Collector's names.
package struct OTLPHTTPOptions: ComponentOptions {
    package enum Encoding: String, CaseIterable, Sendable { case proto, json }
    package enum Compression: String, CaseIterable, Sendable { case gzip, none }

    package var helper: ExporterHelperOptions
    /// URL of each signal that has one.
    package var urls: [(signal: Signal, url: String)]
    package var encoding: Encoding
    package var compression: Compression
    /// libdeflate's level, 0 to 12.
    package var compressionLevel: Int
    package var headers: [(key: String, value: Secret)]
    package var requestBodyMax: Int
    /// Zero means no limit.
    package var connectionsMax: Int
    package var idleTimeout: Duration
    package var keepsAlive: Bool
    package var proxyURL: String
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(30))
        urls = Self.readURLs(&settings)
        encoding = settings.choice("encoding", default: .proto, "Encoding of requests: protobuf or OTLP/JSON.")
        (compression, compressionLevel) = Self.readCompression(&settings)
        headers = settings.secretMap("headers", "Headers of every request, such as authorization; never printed.")
        Self.check(headers, &settings)
        requestBodyMax = settings.bytes(
            "max_request_body_size", default: 64 << 20, in: 1_024...(1 << 30),
            "Largest request before compression; larger batches are split, and a single larger record is dropped.")
        connectionsMax = settings.int(
            "max_conns_per_host", default: 0, in: 0...1_000, unit: "connections",
            "Most connections to the endpoint at once; 0 means as many as num_consumers.")
        idleTimeout = settings.duration(
            "idle_conn_timeout", default: .seconds(90), in: .seconds(1) ... .seconds(86_400),
            "An idle connection older than this is not used again.")
        let disablesKeepAlive = settings.bool(
            "disable_keep_alives", default: false, "True opens a new connection for every request.")
        keepsAlive = !disablesKeepAlive
        proxyURL = settings.string(
            "proxy_url", default: "", "URL of a HTTP proxy; proxy variables of the environment are not used.")
        tls = settings.group("tls", "How a https endpoint is checked.") { HTTPTLSOptions(&$0) }
        for (key, sentence) in [
            ("read_buffer_size", "Answers are read as they come."),
            ("write_buffer_size", "Requests are sent from where they lie."),
            ("max_idle_conns", "At most one connection per running delivery is kept."),
            ("max_idle_conns_per_host", "At most one connection per running delivery is kept."),
        ] { settings.accepted(key, sentence) }
        if settings.value("auth", "Not supported: credentials go into headers.") != nil {
            settings.problem(
                "authenticators are not supported: remove auth and set the header itself, such as "
                    + "`headers: {authorization: \"Bearer ${env:TOKEN}\"}`", at: "auth")
        }
        if !settings.isDescribing && urls.isEmpty && !Self.endpointKeys.contains(where: settings.isPresent) {
            settings.problem("needs `endpoint`, or one of traces_endpoint, logs_endpoint, metrics_endpoint")
        }
    }

    /// Largest batch in bytes of protobuf that a worker should hand over, so that it is split rather than refused.
    package var batchBytesMax: Int {
        // JSON takes up to about three times the room: hex ids, field names, escapes.
        encoding == .json ? requestBodyMax / 3 : requestBodyMax
    }

    private static let endpointKeys = ["endpoint", "traces_endpoint", "logs_endpoint", "metrics_endpoint"]

    private static func readURLs(_ settings: inout Settings) -> [(signal: Signal, url: String)] {
        let base = settings.optionalString(
            "endpoint", "Base URL; /v1/traces, /v1/logs and /v1/metrics are added to it.")
        if let base { check(base, at: "endpoint", &settings) }
        var urls: [(signal: Signal, url: String)] = []
        for signal in Signal.allCases {
            let key = "\(signal)_endpoint"
            let own = settings.optionalString(key, "Whole URL for \(signal), instead of endpoint with /v1/\(signal).")
            if let own { check(own, at: key, &settings) }
            if let url = own ?? base.map({ HTTPEndpoint.below($0, signal: signal) }) { urls.append((signal, url)) }
        }
        return urls
    }

    private static func check(_ url: String, at key: String, _ settings: inout Settings) {
        do throws(HTTPEndpoint.Fault) { _ = try HTTPEndpoint(url) } catch { settings.problem(error.message, at: key) }
    }

    private static func readCompression(_ settings: inout Settings) -> (Compression, Int) {
        let name = settings.string(
            "compression", default: "gzip", "Compression of requests: gzip or none.")
        let compression: Compression
        switch name {
        case "gzip": compression = .gzip
        case "none", "": compression = .none
        case "zstd", "snappy", "x-snappy-framed", "zlib", "deflate", "lz4":
            settings.problem("\(name) is not supported: use gzip or none", at: "compression")
            compression = .none
        default:
            settings.problem("is not a compression: use gzip or none", at: "compression")
            compression = .none
        }
        let level = settings.group("compression_params", "How hard requests are compressed.") { params in
            params.int(
                "level", default: 1, in: -1...12,
                "gzip level: 1 is fastest, 6 is six times the work for 7 % less, 12 is smallest, 0 stores, -1 means 1.")
        }
        return (compression, level < 0 ? 1 : level)
    }

    /// Names that the exporter sets itself; a second one would make the request ambiguous.
    private static let ownHeaders = [
        "content-type", "content-encoding", "content-length", "transfer-encoding", "expect",
    ]

    private static func check(_ headers: [(key: String, value: Secret)], _ settings: inout Settings) {
        for header in headers {
            if !isToken(header.key) {
                settings.problem("a header name may hold only letters, digits and !#$%&'*+-.^_`|~", at: "headers")
            } else if ownHeaders.contains(header.key.lowercased()) {
                settings.problem("\(header.key) is set by the exporter: remove it", at: "headers")
            } else if header.value.reveal().utf8.contains(where: { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F }) {
                settings.problem(
                    "the value of \(header.key) holds a line break or control character: check the variable or file "
                        + "that it comes from", at: "headers")
            }
        }
    }

    /// A token of RFC 9110, section 5.6.2.
    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }
}
