import Foundation
import Testing

/// `sluice queue`, beside a running gateway and behind one that was killed.
@Suite(.serialized, .timeLimit(.minutes(15))) struct QueueTests {
    @Test func `tells what is gathered and what a fallback keeps, whether or not the gateway runs`() async throws {
        let sinks = try TwoSinks()
        defer { sinks.stop() }
        let gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            processors: {tail_sampling: {decision_wait: 600s, policies: [{name: all, type: always_sample}]}}
            exporters:
            \(sinks.exporters)
              fallback:
                exporters: [otlp_http/first, otlp_http/second]
                switch_after: 0s
                retry_interval: 600s
                sending_queue: {storage: file_storage}
            extensions: {file_storage: {directory: FOLDER/journal}}
            service:
              extensions: [file_storage]
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], exporters: [fallback]}
                traces/whole: {receivers: [otlp], processors: [tail_sampling], exporters: [fallback]}
            """)
        sinks.first.behave(.status(503))
        try await gateway.start()
        #expect(try await gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        #expect(try await sinks.second.wait(for: Set(1...10)).isEmpty)
        let lines = [
            "gathering of traces/whole: 10 records in 1 requests",
            "fallback to otlp_http/first of missed: 10 records in 1 requests",
            "fallback of traces: 0 records", "fallback of traces/whole: 0 records",
        ]
        var text = ""
        for _ in 0..<2_400 {
            text = try ask(gateway)
            if lines.allSatisfy(text.contains) { break }
            try await Task.sleep(for: .milliseconds(25))
        }
        for line in lines { #expect(text.contains(line), "\(text)") }
        #expect(gateway.end(SIGKILL) != 0)
        let after = try ask(gateway)
        for line in lines { #expect(after.components(separatedBy: line).count == 2, "\(after)") }
        // Looking has removed nothing.
        let again = try ask(gateway)
        for line in lines { #expect(again.contains(line), "\(again)") }
    }

    @Test func `an exporter that leaves gives up its backlog, counted, and one under a new name gets it`() async throws
    {
        let bench = try FaultBench()
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        #expect(bench.gateway.end(SIGKILL) != 0)
        bench.gateway.replace("  otlp_http:\n", with: "  otlp_http/new:\n")
        bench.gateway.replace("exporters: [otlp_http]", with: "exporters: [otlp_http/new]")
        bench.sink.behave(.accept)
        try await bench.gateway.start()
        #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
        #expect(try await bench.gateway.metric("sluice_exporter_dropped_items_total") == 10)
        let log = bench.gateway.logText
        #expect(log.contains("otlp_http reads this journal no longer, and gives up 10 records"), "\(log)")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `without a configuration only exporters that have read are told`() async throws {
        let gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters: {file: {path: FOLDER/out.jsonl}}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines: {traces: {receivers: [otlp], exporters: [file]}}
            """)
        try await gateway.start()
        #expect(try await gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await gateway.waitUntilDelivered()
        #expect(gateway.end(SIGTERM) == 0)
        let told = try gateway.command([
            "queue", "--data-directory", gateway.folder.appending(path: "data").path, "--endpoint",
            "http://127.0.0.1:1",
        ])
        #expect(told.status == 0 && told.text.contains("file of traces: 0 records"), "\(told.text)")
        #expect(!told.text.contains("sqlite"), "\(told.text)")
    }

    private func ask(_ gateway: RunningGateway) throws -> String {
        try gateway.command([
            "queue", "--config", gateway.folder.appending(path: "config.yaml").path, "--data-directory",
            gateway.folder.appending(path: "data").path, "--endpoint", "http://127.0.0.1:\(gateway.metricsPort)",
        ]).text
    }
}
