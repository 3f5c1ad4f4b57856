import Foundation
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The `prometheus` exporter as a scraper sees it: metrics computed from spans, over HTTP.
@Suite(.timeLimit(.minutes(15))) struct PrometheusEndToEndTests {
    @Test func `a scraper reads what a connector made of spans`() async throws {
        let gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            connectors: {spanmetrics: {namespace: calls, metrics_flush_interval: 100ms}}
            exporters: {prometheus: {endpoint: "127.0.0.1:CALLS", enable_open_metrics: true}}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], exporters: [spanmetrics]}
                metrics: {receivers: [spanmetrics], exporters: [prometheus]}
            """)
        try await gateway.start()
        #expect(try await gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        var page = ""
        while !page.contains("_total{") {
            try await Task.sleep(for: .milliseconds(50))
            page = try await read(gateway.grpcPort, accept: "text/plain").body
        }
        #expect(page.contains("# TYPE calls_calls_total counter\n"))
        #expect(page.contains("_bucket{") && page.contains("le=\"+Inf\"} "))
        let open = try await read(gateway.grpcPort, accept: "application/openmetrics-text;version=1.0.0")
        #expect(open.type.hasPrefix("application/openmetrics-text; version=1.0.0"))
        #expect(open.body.hasSuffix("# EOF\n"))
        #expect(gateway.end(SIGTERM) == 0)
    }

    private func read(_ port: Int, accept: String) async throws -> (type: String, body: String) {
        var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)/metrics")!)
        request.setValue(accept, forHTTPHeaderField: "accept")
        let (data, answer) = try await URLSession.shared.data(for: request)
        let type = (answer as? HTTPURLResponse)?.value(forHTTPHeaderField: "content-type") ?? ""
        return (type, String(decoding: data, as: UTF8.self))
    }
}
