import Foundation
import Testing

/// Destinations that are down, slow, cut connections, lie, or answer whatever HTTP has.
@Suite(.serialized, .timeLimit(.minutes(15))) struct SinkFaultTests {
    @Test(arguments: ["reset", "lie", "garbage", "slow", "429", "502", "503", "504"])
    func `delivers all that was answered 200 after a sink that misbehaves`(_ kind: String) async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let clients = bench.load()
        try await bench.wait("some load") { bench.ledger.all.count > 20 }
        let behaviour: FaultySink.Behaviour =
            switch kind {
            case "reset": .reset
            case "lie": .lie
            case "garbage": .garbage
            case "slow": .slow(100)
            default: .status(Int(kind) ?? 503)
            }
        bench.sink.behave(behaviour)
        let before = bench.sink.requests
        try await bench.wait("deliveries") { bench.sink.requests > before + 5 }
        try await Task.sleep(for: .milliseconds(300))
        #expect(clients.statuses.keys.filter { $0 != 200 }.isEmpty, "a sick sink is no reason to refuse")
        await clients.stop()
        try await bench.expectNothingLost(restart: false, kind)
        if kind == "slow" || kind == "garbage" { #expect(bench.sink.duplicates == 0) }
        #expect(bench.gateway.end(SIGTERM) == 0)
        let letters = try bench.gateway.command(["dlq", "list"] + dataOf(bench)).text
        #expect(letters.contains("no dead letters"), "\(letters)")
    }

    @Test func `keeps what a sink that is not there should have, and delivers it when it is`() async throws {
        let bench = try FaultBench()
        bench.sink.stop()
        try await bench.gateway.start()
        let clients = bench.load()
        try await bench.wait("some load") { bench.ledger.all.count > 500 }
        await clients.stop()
        let back = try FaultySink(port: bench.sink.port)
        defer { back.stop() }
        #expect(try await back.wait(for: bench.ledger.all).isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `keeps what any final status refuses, and replays it`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        guard let connection = LoopbackConnection(port: bench.gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        let final = (300...599).filter { ![429, 502, 503, 504].contains($0) }
        for status in final {
            bench.sink.behave(.status(status))
            let first = bench.ledger.reserve()
            #expect(connection.post(NumberedSpans.request(first)) == 200)
            bench.ledger.accepted(first)
            // One after the other, so that each status has its request.
            try await bench.wait("status \(status)") {
                try await bench.gateway.metric("sluice_exporter_held_items") == 0
            }
        }
        #expect(bench.sink.received.isEmpty)
        #expect(bench.gateway.end(SIGTERM) == 0)
        bench.sink.behave(.accept)
        let file = bench.gateway.folder.appending(path: "config.yaml").path
        let replay = try bench.gateway.command(["dlq", "replay", "--all", "--config", file] + dataOf(bench))
        #expect(replay.status == 0, "\(replay.text)")
        #expect(bench.ledger.all == Set(bench.sink.received.keys) && bench.sink.duplicates == 0)
    }

    @Test func `replays what a connector kept through the pipeline that has not taken it`() async throws {
        let statements = "[{context: span, statements: ['set(attributes[\"x\"], name - 1)']}]"
        let bench = try FaultBench(
            processors: ["transform: {error_mode: propagate, trace_statements: \(statements)}"])
        let path = bench.gateway.folder.appending(path: "out.jsonl").path
        bench.addExporter("file", "{path: \"\(path)\"}")
        bench.gateway.replace(
            "traces: {receivers: [otlp], ",
            with: "traces/in: {receivers: [otlp], exporters: [forward]}\n    traces: {receivers: [forward], ")
        bench.gateway.replace("exporters:\n  file", with: "connectors: {forward: {}}\nexporters:\n  file")
        try await bench.gateway.start()
        #expect(LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(1)) == 200)
        try await bench.wait("a letter") {
            try bench.gateway.command(["dlq", "list"] + dataOf(bench)).text.contains("  forward  10 spans  ")
        }
        #expect(bench.gateway.end(SIGTERM) == 0)
        let file = bench.gateway.folder.appending(path: "config.yaml")
        func replay() throws -> (status: Int32, text: String) {
            try bench.gateway.command(["dlq", "replay", "--all", "--config", file.path] + dataOf(bench))
        }
        let failing = try replay()
        #expect(failing.status == 4 && failing.text.contains("pipeline traces: transform: "), "\(failing.text)")
        let mended = try String(contentsOf: file, encoding: .utf8).replacingOccurrences(of: "name - 1", with: "name")
        try mended.write(to: file, atomically: true, encoding: .utf8)
        bench.sink.behave(.status(503))
        let partly = try replay()
        #expect(partly.status == 4 && partly.text.contains("10 spans for otlp_http stay: "), "\(partly.text)")
        let list = try bench.gateway.command(["dlq", "list"] + dataOf(bench)).text
        #expect(list.contains("  otlp_http  10 spans  ") && !list.contains("  forward  "), "\(list)")
        bench.sink.behave(.accept)
        let rest = try replay()
        #expect(rest.status == 0 && rest.text.contains(": delivered"), "\(rest.text)")
        #expect(bench.sink.received.count == 10 && bench.sink.duplicates == 0)
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.count == 1)
    }

    private func dataOf(_ bench: FaultBench) -> [String] {
        ["--data-directory", bench.gateway.folder.appending(path: "data").path]
    }
}
