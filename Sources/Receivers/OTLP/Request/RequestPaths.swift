package import Telemetry

/// The paths that the receiver serves, one for each signal.
package struct RequestPaths: Sendable, Equatable {
    package var traces: String
    package var logs: String
    package var metrics: String

    /// Paths as configured; a missing slash in front is added, as the Collector does.
    package init(traces: String = "/v1/traces", logs: String = "/v1/logs", metrics: String = "/v1/metrics") {
        self.traces = Self.rooted(traces)
        self.logs = Self.rooted(logs)
        self.metrics = Self.rooted(metrics)
    }

    private static func rooted(_ path: String) -> String { path.hasPrefix("/") ? path : "/" + path }

    /// The path of a signal.
    package subscript(signal: Signal) -> String {
        switch signal {
        case .traces: traces
        case .logs: logs
        case .metrics: metrics
        }
    }

    /// The signal that a request target asks for, nil when it names no served path.
    func signal(target: String) -> Signal? {
        guard let path = Self.path(of: target) else { return nil }
        return Signal.allCases.first { path.elementsEqual(self[$0].utf8) }
    }

    /// The path of a request target in origin form or absolute form (RFC 9112, 3.2), without the query; nil for other
    /// forms, which those with a fragment or a user are as well.
    static func path(of target: String) -> Substring.UTF8View? {
        var rest = Substring(target).utf8
        if rest.contains(UInt8(ascii: "#")) { return nil }
        if rest.first != UInt8(ascii: "/") {
            guard let scheme = rest.firstIndex(of: UInt8(ascii: ":")),
                ASCII.equal(rest[..<scheme], "http") || ASCII.equal(rest[..<scheme], "https"),
                rest[scheme...].starts(with: "://".utf8)
            else { return nil }
            let authority = rest[scheme...].dropFirst(3)
            guard let slash = authority.firstIndex(of: UInt8(ascii: "/")), ASCII.isAuthority(authority[..<slash])
            else { return nil }
            rest = authority[slash...]
        }
        guard let end = rest.firstIndex(of: UInt8(ascii: "?")) else { return rest }
        return rest[..<end]
    }

    /// Tells where to post, for a 404.
    var directions: String {
        "post traces to \(traces), logs to \(logs), metrics to \(metrics); "
            + "OTEL_EXPORTER_OTLP_ENDPOINT takes the address without a path, "
            + "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and its like take it with the path"
    }
}
