import Foundation
import Synchronization
import TestSupport
import Testing

/// Slack's incoming webhook on loopback: keeps the bodies, answers as it is told.
private final class Hook: Sendable {
    private final class State: Sendable {
        let answers = Mutex<(bodies: [String], status: Int)>(([], 200))
    }

    private let state = State()
    private let listener: LoopbackListener

    init() throws {
        listener = try LoopbackListener { [state] connection in
            var pending: [UInt8] = []
            while let (_, body) = RawHTTP.read(connection, &pending) {
                let status = state.answers.withLock { state in
                    if state.status == 200 { state.bodies.append(String(decoding: body, as: UTF8.self)) }
                    return state.status
                }
                let answer = "HTTP/1.1 \(status) X\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nok"
                guard RawHTTP.send(connection, Array(answer.utf8)) else { return }
            }
        }
    }

    var port: Int { listener.port }
    var bodies: [String] { state.answers.withLock { $0.bodies } }
    func answer(_ status: Int) { state.answers.withLock { $0.status = status } }
    func stop() { listener.stop() }
}

/// The refund agent of `sluice demo`, from the first failing run to the clean replay of the mended agent.
@Suite(.serialized, .timeLimit(.minutes(15))) struct WorkedExampleTests {
    private static let evaluator = """
        evaluators:
          wait: {idle: 500ms, after_root: 200ms}
          evaluators:
            - name: history_found
              filter: attributes["gen_ai.tool.name"] == "fetch_order_history"
              of: empty_results
              max: 0
              tier: alert
        """

    /// `extra` stands behind `agent_findings`.
    private static func configuration(hook: Int, extra: String) -> String {
        """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        processors:
          gen_ai_normalizer: {}
          agent_findings: {wait: {idle: 500ms, after_root: 200ms}}
          \(evaluator.replacingOccurrences(of: "\n", with: "\n  "))
        connectors:
          alerts:
            evaluation_interval: 200ms
            rules:
              - {name: Silent failures, metric: findings, evaluations: [silent_empty_response], tiers: [alert],
                 severity: critical, window: 1h, group_by: [service.name]}
              - {name: History is missing, metric: findings, evaluations: [history_found], window: 1h}
        exporters:
          sqlite: {path: FOLDER/sluice.db}
          dataset: {path: FOLDER/failures.jsonl}
          file/raw: {path: FOLDER/raw.jsonl}
          notify/slack:
            slack: {webhook_url: "http://127.0.0.1:\(hook)/services/T/B/x"}
            retry_on_failure: {initial_interval: 100ms, max_interval: 200ms}
        service:
          telemetry:
            metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
          pipelines:
            traces:
              receivers: [otlp]
              processors: [gen_ai_normalizer, agent_findings\(extra)]
              exporters: [sqlite, dataset, alerts]
            traces/raw: {receivers: [otlp], exporters: [file/raw]}
            logs/alerts: {receivers: [alerts], exporters: [notify/slack, sqlite]}
        """
    }

    private func wait(_ what: String, _ condition: () throws -> Bool) async throws {
        for _ in 0..<1_200 {
            if try condition() { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("\(what) did not happen within two minutes")
    }

    private func file(_ gateway: RunningGateway, _ name: String) -> String { gateway.folder.appending(path: name).path }

    private func lines(_ gateway: RunningGateway, _ name: String) -> [String] {
        let text = (try? String(contentsOf: gateway.folder.appending(path: name), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    private func demo(_ gateway: RunningGateway, healthy: Int, failing: Int) throws -> String {
        let demo = try gateway.command([
            "demo", "--endpoint", "http://127.0.0.1:\(gateway.port)", "--healthy", "\(healthy)", "--failing",
            "\(failing)",
        ])
        #expect(demo.status == 0, "\(demo.text)")
        return demo.text
    }

    private func findings(_ gateway: RunningGateway, _ pattern: String) throws -> [String] {
        let answer = try gateway.command([
            "findings", "--db", file(gateway, "sluice.db"), "--pattern", pattern, "--format", "csv", "--limit", "0",
        ])
        return answer.status == 0 ? answer.text.split(whereSeparator: \.isNewline).dropFirst().map(String.init) : []
    }

    @Test func `a silent failure is found, told, kept as an example, watched, mended and replayed`() async throws {
        let hook = try Hook()
        defer { hook.stop() }
        let gateway = try RunningGateway(Self.configuration(hook: hook.port, extra: ""))
        // The webhook is down at first: the alert waits in the journal, also while the gateway is dead.
        hook.answer(503)
        try await gateway.start()
        let text = try demo(gateway, healthy: 1, failing: 1)
        let session = try #require(text.firstMatch(of: /(demo-\S+) +trace ([0-9a-f]{32})/)).output
        // Killed before the traces are complete: nothing of what was answered 200 may be missing.
        _ = gateway.end(SIGKILL)
        try await gateway.start()
        try await wait("the finding") { try findings(gateway, "silent_empty_response").count == 3 }
        try await wait("the example") { lines(gateway, "failures.jsonl").count == 3 }
        _ = gateway.end(SIGKILL)
        #expect(hook.bodies.isEmpty)
        hook.answer(200)
        try await gateway.start()
        try await wait("the alert") { !hook.bodies.isEmpty }
        try checkDeterminism(gateway)
        try checkWhatIsShown(gateway, session: String(session.1), trace: String(session.2))
        try checkAlert(hook.bodies[0])
        try checkExample(gateway)

        // An evaluator on the tool flags the next run, and the alert behind it comes.
        try await gateway.waitUntilDelivered()
        #expect(gateway.end(SIGTERM) == 0)
        #expect(try findings(gateway, "history_found").isEmpty)
        gateway.configure(Self.configuration(hook: hook.port, extra: ", evaluators"))
        try await gateway.start()
        _ = try demo(gateway, healthy: 1, failing: 1)
        try await wait("the evaluator's result") { try findings(gateway, "history_found").count == 3 }
        try await wait("its alert") { hook.bodies.contains { $0.contains("History is missing") } }
        #expect(hook.bodies.filter { $0.contains("Silent failures") }.count == 1, "the open alert is not told twice")
        #expect(gateway.end(SIGTERM) == 0)
        try checkReplay(gateway)
    }

    private func checkWhatIsShown(_ gateway: RunningGateway, session: String, trace: String) throws {
        for command in [["trace", trace], ["session", session]] {
            let shown = try gateway.command(command + ["--db", file(gateway, "sluice.db")])
            #expect(shown.status == 0 && shown.text.contains("silent_empty_response"), "\(shown.text)")
            #expect(shown.text.contains("fetch_order_history"), "\(shown.text)")
            // The cause: white space and quotes in the argument.
            #expect(shown.text.contains("leading_space") || shown.text.contains("space"), "\(shown.text)")
        }
        let rows = try findings(gateway, "silent_empty_response")
        #expect(rows.allSatisfy { $0.contains("leading_space") }, "\(rows)")
        #expect(rows.contains { $0.contains(trace) }, "\(rows)")
    }

    /// What the killed gateway has found is what an undisturbed run over the recording finds.
    private func checkDeterminism(_ gateway: RunningGateway) throws {
        let stored = try gateway.command([
            "query", "sql", "--db", file(gateway, "sluice.db"), "--format", "csv", "--limit", "0",
            "SELECT trace_id || ' ' || span_id || ' ' || pattern || ' (' || tier || ')' AS finding FROM findings",
        ])
        let found = stored.text.split(whereSeparator: \.isNewline).dropFirst().map(String.init)
        let replay = try gateway.command([
            "replay", "--config", file(gateway, "config.yaml"), file(gateway, "raw.jsonl"),
        ])
        let replayed = replay.text.split(whereSeparator: \.isNewline).compactMap { line in
            line.range(of: ") on ").map { String(line[..<line.index(after: $0.lowerBound)]) }
        }
        #expect(found.count >= 3 && found.sorted() == replayed.sorted(), "\(stored.text) \(replay.text)")
    }

    private func checkAlert(_ body: String) throws {
        let root = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
        #expect((root["text"] as? String)?.hasPrefix("[critical] Silent failures for service.name=") == true, "\(body)")
        let attachment = try #require((root["attachments"] as? [[String: Any]])?.first)
        let fields = try #require(attachment["fields"] as? [[String: Any]])
        let names = fields.compactMap { $0["title"] as? String }
        #expect(names.contains("trace_id") && names.contains("conversation_id") && names.contains("example"))
    }

    private func checkExample(_ gateway: RunningGateway) throws {
        for line in lines(gateway, "failures.jsonl") {
            let root = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let calls = try #require(root["calls"] as? [[String: Any]])
            #expect(calls.map { $0["name"] as? String } == ["lookup_customer", "fetch_order_history"])
            #expect(
                (root["findings"] as? [[String: Any]])?.contains { $0["name"] as? String == "silent_empty_response" }
                    == true)
            #expect(
                !(root["input"] as? [Any] ?? []).isEmpty && (root["output"] as? String)?.contains("no orders") == true)
        }
        let dataset = file(gateway, "refunds")
        let build = try gateway.command(["dataset", "build", "--output", dataset, file(gateway, "failures.jsonl")])
        #expect(build.status == 0 && build.text.contains("v1: 3 examples"), "\(build.text)")
        let stats = try gateway.command(["dataset", "stats", dataset])
        #expect(stats.text.contains("3  silent_empty_response"), "\(stats.text)")
        let same = try gateway.command(["dataset", "diff", dataset, file(gateway, "failures.jsonl")])
        #expect(same.text.contains("0 added, 0 removed"), "\(same.text)")
    }

    /// The recording of the failing agent has the findings that are expected of it, that of the mended one has none.
    private func checkReplay(_ gateway: RunningGateway) throws {
        let config = file(gateway, "config.yaml")
        let none = file(gateway, "none.yaml")
        try "findings: []\n".write(toFile: none, atomically: true, encoding: .utf8)
        let failing = try gateway.command(["replay", "--config", config, "--expect", none, file(gateway, "raw.jsonl")])
        #expect(failing.status == 5 && failing.text.contains("unexpected: "), "\(failing.text)")
        let mended = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters: {file: {path: FOLDER/mended.jsonl}}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines: {traces: {receivers: [otlp], exporters: [file]}}
            """)
        try mended.launch()
        try waitForPort(mended)
        _ = try demo(mended, healthy: 2, failing: 0)
        #expect(mended.end(SIGTERM) == 0)
        let clean = try gateway.command(["replay", "--config", config, "--expect", none, file(mended, "mended.jsonl")])
        #expect(clean.status == 0 && clean.text.contains("0 findings"), "\(clean.text)")
        let alerts = try gateway.command(["alerts", "test", "--config", config, file(gateway, "raw.jsonl")])
        #expect(alerts.status == 0 && alerts.text.contains("Silent failures for service.name="), "\(alerts.text)")
        let quiet = try gateway.command(["alerts", "test", "--config", config, file(mended, "mended.jsonl")])
        #expect(quiet.text == "0 alerts\n")
    }

    private func waitForPort(_ gateway: RunningGateway) throws {
        for _ in 0..<200 {
            let probe = try gateway.command([
                "demo", "--endpoint", "http://127.0.0.1:\(gateway.port)", "--healthy", "1", "--failing", "0",
            ])
            if probe.status == 0 { return }
            usleep(50_000)
        }
    }
}
