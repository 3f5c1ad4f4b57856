import Telemetry

/// A checked gRPC target: `host:port`, with or without a scheme or the prefix of a resolver.
struct GRPCTarget: Equatable, Sendable {
    /// `http://host:port` or `https://host:port`.
    let base: String
    let isLoopback: Bool

    /// `isInsecure` turns TLS off unless the scheme is https.
    init(_ text: String, isInsecure: Bool) throws(HTTPEndpoint.Fault) {
        var rest = Substring(text)
        for prefix in ["dns:///", "dns://", "dns:", "passthrough:///", "passthrough:"] where rest.hasPrefix(prefix) {
            rest = rest.dropFirst(prefix.count)
            break
        }
        if rest.hasPrefix("unix:") {
            throw HTTPEndpoint.Fault(message: "names a socket file: only host:port is spoken")
        }
        let lowercased = rest.lowercased()
        let wantsTLS = lowercased.hasPrefix("https://")
        for scheme in ["http://", "https://"] where lowercased.hasPrefix(scheme) {
            rest = rest.dropFirst(scheme.count)
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.contains("/") else {
            throw HTTPEndpoint.Fault(
                message: "holds a path, which gRPC does not have: write host:port, or use otlp_http for a URL")
        }
        let isPlain = isInsecure && !wantsTLS
        let endpoint = try HTTPEndpoint("\(isPlain ? "http" : "https")://\(rest)")
        let afterBracket = rest.lastIndex(of: "]") ?? rest.startIndex
        guard rest[afterBracket...].contains(":") || wantsTLS else {
            throw HTTPEndpoint.Fault(message: "has no port: write \(rest):4317")
        }
        base = endpoint.url
        isLoopback = endpoint.isLoopback
    }

    /// Whether the text has a scheme that looks as if it turned TLS off.
    static func hasPlainScheme(_ text: String) -> Bool { text.lowercased().hasPrefix("http://") }

    /// The URL of a signal's one method (opentelemetry-proto, collector/*/v1).
    func url(_ signal: Signal) -> String {
        switch signal {
        case .traces: base + "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        case .logs: base + "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        case .metrics: base + "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
        }
    }
}
