import Foundation
import Testing

/// Two sinks behind a `fallback` exporter.
@Suite(.serialized, .timeLimit(.minutes(15))) struct FallbackTests {
    private func gateway(_ sinks: TwoSinks, switchAfter: String) throws -> RunningGateway {
        try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters:
            \(sinks.exporters)
              fallback:
                exporters: [otlp_http/first, otlp_http/second]
                switch_after: \(switchAfter)
                retry_interval: 300ms
                retry_on_failure: {initial_interval: 50ms, max_interval: 100ms}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], exporters: [fallback]}
            """)
    }

    @Test func `the first sink gets what it missed, a kill in between notwithstanding`() async throws {
        let sinks = try TwoSinks()
        defer { sinks.stop() }
        let (first, second) = (sinks.first, sinks.second)
        let gateway = try gateway(sinks, switchAfter: "100ms")
        try await gateway.start()
        let ledger = AcceptedLedger(gateway.folder.appending(path: "accepted.txt").path)
        let clients = LoadClients(2, port: gateway.port, ledger: ledger, persistent: true, pause: 5_000)
        try await Task.sleep(for: .milliseconds(200))
        #expect(second.received.isEmpty)
        first.behave(.status(503))
        for _ in 0..<4_800 where second.received.count < 500 { try await Task.sleep(for: .milliseconds(25)) }
        #expect(second.received.count >= 500)
        // Back for a moment, and away again.
        first.behave(.accept)
        for _ in 0..<4_800 where !gateway.logText.contains("otlp_http/first works again") {
            try await Task.sleep(for: .milliseconds(25))
        }
        #expect(gateway.logText.contains("otlp_http/first works again"))
        first.behave(.status(503))
        let seen = second.received.count
        for _ in 0..<4_800 where second.received.count < seen + 100 { try await Task.sleep(for: .milliseconds(25)) }
        _ = gateway.end(SIGKILL)
        await clients.stop()
        try await gateway.start()
        first.behave(.accept)
        #expect(try await first.wait(for: ledger.all).isEmpty)
        // The first one has the data again.
        let before = second.received.count
        #expect(try await gateway.post(NumberedSpans.request(1_000_001), path: "/v1/traces") == 200)
        #expect(try await first.wait(for: Set(1_000_001...1_000_010)).isEmpty)
        #expect(second.received.count == before)
        #expect(!gateway.logText.contains("not in the configuration"), "its own journal is nobody's leftover")
        #expect(gateway.end(SIGTERM) == 0)
    }

    @Test func `a letter of what the first sink has missed is replayed to that sink alone`() async throws {
        let sinks = try TwoSinks()
        defer { sinks.stop() }
        let (first, second) = (sinks.first, sinks.second)
        let gateway = try gateway(sinks, switchAfter: "0s")
        first.behave(.status(503))
        try await gateway.start()
        #expect(try await gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        #expect(try await second.wait(for: Set(1...10)).isEmpty)
        first.behave(.status(400))
        let data = ["--data-directory", gateway.folder.appending(path: "data").path]
        for _ in 0..<2_400 where try gateway.command(["dlq", "list"] + data).text.contains("no dead letters") {
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(try gateway.command(["dlq", "list"] + data).text.contains("otlp_http/first"))
        first.behave(.accept)
        let requests = second.requests
        let replay = try gateway.command(
            ["dlq", "replay", "--all", "--config", gateway.folder.appending(path: "config.yaml").path] + data)
        #expect(replay.status == 0, "\(replay.text)")
        #expect(Set(first.received.keys) == Set(1...10))
        #expect(second.requests == requests)
        #expect(gateway.end(SIGTERM) == 0)
    }
}
