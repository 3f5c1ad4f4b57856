import Foundation
import Testing

/// `sluice replay` as its users call it: into a gateway, at a pace, with other times, and in CI.
@Suite(.serialized, .timeLimit(.minutes(15))) struct ReplayEndToEndTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        processors: {gen_ai_normalizer: {}, agent_findings: {wait: {idle: 300ms, after_root: 100ms}}}
        exporters: {file: {path: FOLDER/out.jsonl}, file/found: {path: FOLDER/found.jsonl}}
        service:
          telemetry:
            metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
          pipelines:
            traces: {receivers: [otlp], exporters: [file]}
            traces/found: {receivers: [otlp], processors: [gen_ai_normalizer, agent_findings], exporters: [file/found]}
        """

    /// A run whose tool comes back empty because of a space, at `start` seconds; one request per line.
    private func recording(in folder: URL, traces: Int) throws -> String {
        let lines = (1...traces).map { number -> String in
            let trace = String(repeating: "0", count: 30) + String(format: "%02x", number)
            func span(
                _ id: String, _ parent: String, _ name: String, _ offset: Int, _ attributes: [String: String]
            ) -> String {
                let list = attributes.sorted { $0.key < $1.key }.map { key, value in
                    let text = value.replacingOccurrences(of: "\"", with: "\\\"")
                    return #"{"key":"\#(key)","value":{"stringValue":"\#(text)"}}"#
                }
                let start = 1_700_000_000_000_000_000 + number * 1_000_000_000 + offset * 1_000_000
                return #"{"traceId":"\#(trace)","spanId":"\#(id)","parentSpanId":"\#(parent)","name":"\#(name)","#
                    + #""startTimeUnixNano":"\#(start)","endTimeUnixNano":"\#(start + 500_000)","#
                    + #""attributes":[\#(list.joined(separator: ","))]}"#
            }
            let spans = [
                span("00000000000000a1", "", "invoke_agent refunds", 0, ["gen_ai.operation.name": "invoke_agent"]),
                span(
                    "00000000000000a2", "00000000000000a1", "execute_tool fetch_orders", 1,
                    [
                        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "fetch_orders",
                        "gen_ai.tool.call.arguments": #"{"customer_id":" C-1"}"#, "gen_ai.tool.call.result": "[]",
                    ]),
            ]
            return #"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(spans.joined(separator: ","))]}]}]}"#
        }
        let path = folder.appending(path: "recorded.jsonl").path
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func text(_ gateway: RunningGateway, _ name: String) -> String {
        (try? String(contentsOf: gateway.folder.appending(path: name), encoding: .utf8)) ?? ""
    }

    private func count(_ word: String, in text: String) -> Int { text.components(separatedBy: word).count - 1 }

    @Test func `a recording goes into a gateway at its pace, with its times moved to now`() async throws {
        let gateway = try RunningGateway(Self.configuration)
        try await gateway.start()
        let file = try recording(in: gateway.folder, traces: 6)
        let clock = ContinuousClock()
        let began = clock.now
        let sent = try gateway.command([
            "replay", "--to", "http://127.0.0.1:\(gateway.port)", "--rate", "10", "--shift", "now", file,
        ])
        #expect(sent.status == 0 && sent.text.contains("sent 12 records in 6 requests"), "\(sent.text)")
        #expect(began.duration(to: clock.now) > .milliseconds(900), "twelve records at ten in a second")
        try await gateway.waitUntilDelivered()
        let stored = text(gateway, "out.jsonl")
        #expect(count("\"spanId\"", in: stored) == 12)
        #expect(!stored.contains("1700000"), "no time is that of the recording")
        for _ in 0..<1_200 where count("silent_empty_response", in: text(gateway, "found.jsonl")) < 6 {
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(count("\"stringValue\":\"silent_empty_response\"", in: text(gateway, "found.jsonl")) >= 6)
        #expect(gateway.end(SIGTERM) == 0)
    }

    @Test func `a stored trace is replayed by its id`() async throws {
        let configuration = Self.configuration.replacingOccurrences(
            of: "exporters: {file:", with: "exporters: {sqlite: {path: FOLDER/s.db}, file:"
        )
        .replacingOccurrences(of: "[file/found]", with: "[file/found, sqlite]")
        let gateway = try RunningGateway(configuration)
        try await gateway.start()
        let file = try recording(in: gateway.folder, traces: 1)
        _ = try gateway.command(["replay", "--to", "http://127.0.0.1:\(gateway.port)", file])
        for _ in 0..<1_200 where count("silent_empty_response", in: text(gateway, "found.jsonl")) < 1 {
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(gateway.end(SIGTERM) == 0)
        let database = gateway.folder.appending(path: "s.db").path
        let config = gateway.folder.appending(path: "replay.yaml").path
        try configuration.replacingOccurrences(of: "PORT", with: "4318")
            .replacingOccurrences(of: "METRICS", with: "8888").replacingOccurrences(of: "FOLDER", with: "/tmp")
            .write(toFile: config, atomically: true, encoding: .utf8)
        let trace = String(repeating: "0", count: 30) + "01"
        let fromFile = try gateway.command(["replay", "--config", config, file])
        let stored = try gateway.command(["replay", "--config", config, "--db", database, trace])
        #expect(stored.status == 0 && stored.text.contains("2 findings"), "\(stored.text)")
        #expect(stored.text == fromFile.text)
        func whereabouts(_ id: String) throws -> String {
            let files = gateway.folder.path
            return try gateway.command(
                ["where", "--config", files + "/config.yaml", "--data-directory", files + "/data", id]
            ).text
        }
        #expect(try whereabouts("00000000") == whereabouts(trace))
        #expect(try !whereabouts("00000000").contains("not a whole id"))
        let unknown = try gateway.command(["replay", "--config", config, "--db", database, "abcdef01"])
        #expect(unknown.status == 1 && unknown.text.contains("no trace abcdef01"), "\(unknown.text)")
    }

    @Test func `exit codes tell CI what happened`() throws {
        let gateway = try RunningGateway(Self.configuration)
        let file = try recording(in: gateway.folder, traces: 1)
        let config = gateway.folder.appending(path: "config.yaml").path
        try Self.configuration.replacingOccurrences(of: "PORT", with: "4318")
            .replacingOccurrences(of: "METRICS", with: "8888").replacingOccurrences(of: "FOLDER", with: "/tmp")
            .write(toFile: config, atomically: true, encoding: .utf8)
        func expectations(_ text: String) throws -> String {
            let path = gateway.folder.appending(path: "expect.yaml").path
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            return path
        }
        func replay(_ more: [String]) throws -> (status: Int32, text: String) {
            try gateway.command(["replay", "--config", config] + more)
        }
        let right = try expectations(
            """
            findings:
              - {pattern: silent_empty_response, span: execute_tool fetch_orders, tier: alert, count: 1}
              - {pattern: argument_anomaly, tier: hint}
            """)
        #expect(try replay(["--expect", right, file]).status == 0)
        let wrong = try replay(["--expect", try expectations("findings: [{pattern: loop}]"), file])
        #expect(wrong.status == 5 && wrong.text.contains("missing: loop"), "\(wrong.text)")
        #expect(wrong.text.contains("unexpected: "))
        #expect(try replay(["--expect", try expectations("findings: [{pattern: 7, x: y}]"), file]).status == 1)
        let missing = try replay(["/does/not/exist.pb"])
        #expect(missing.status == 1 && missing.text.contains("No such file"), "\(missing.text)")
        #expect(try replay(["--to", "http://127.0.0.1:1", file]).status == 4)
        #expect(try replay(["--rate", "5", file]).status == 64)
        #expect(try replay(["--shift", "often", file]).status == 64)
        #expect(try replay(["--to", "http://127.0.0.1:1", "--expect", right, file]).status == 64)
        let moved = try replay(["--shift", "-24h", file])
        #expect(moved.status == 0 && moved.text.contains("2 findings"), "\(moved.text)")
        let broken = try gateway.command(["replay", "--set", "processors.agent_findings.evidence=x", file])
        #expect(broken.status == 2, "\(broken.text)")
    }
}
