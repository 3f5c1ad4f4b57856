import Foundation
import Testing

/// No secret of the configuration is told by anything that the gateway prints, keeps or serves.
@Suite(.serialized, .timeLimit(.minutes(15))) struct SecretOutputTests {
    /// Stands in every secret of the configuration below.
    private static let mark = "c4nary"

    /// Exporters of each kind that sends credentials, to a sink that quotes all it gets and takes nothing.
    private static func configuration(_ sink: Int, badOption: String = "") -> String {
        """
        receivers:
          otlp:
            protocols:
              http: {endpoint: "127.0.0.1:PORT"}
        extensions:
          bearertokenauth: {token: c4nary-inbound-token}
          file_storage: {directory: FOLDER/journal}
        exporters:
          otlp_http/a:
            endpoint: "http://127.0.0.1:\(sink)/v1/c4naryPathDrawnAtRandom0123?api_key=c4nary-query"
            headers: {X-Team: c4nary-header-a, authorization: "Bearer c4nary-bearer"}
            retry_on_failure: {initial_interval: 50ms, max_interval: 100ms}
          otlp_http/b:
            endpoint: "http://127.0.0.1:\(sink)"
            proxy_url: "http://user:c4nary-proxy@127.0.0.1:1"
            auth: {basic: {username: u, password: c4nary-password}}
          otlp_http/c:
            endpoint: "http://127.0.0.1:\(sink)"
            auth:
              oauth2:
                client_id: me
                client_secret: c4nary-client
                token_url: "http://127.0.0.1:\(sink)/token?key=c4nary-token-url"
          http:
            endpoint: "http://127.0.0.1:\(sink)/services/c4nary-hook"
            headers: {X-Key: c4nary-header-h}
            retry_on: [503]
          clickhouse:
            endpoint: "http://127.0.0.1:\(sink)"
            password: c4nary-clickhouse
          postgres:
            datasource: "postgresql://u:c4nary-postgres@127.0.0.1:1/db"
          notify/slack: {slack: {webhook_url: "http://127.0.0.1:\(sink)/services/c4nary-slack"}}
          notify/hook: {webhook: {url: "http://127.0.0.1:\(sink)/c4nary-url", headers: {X-Key: c4nary-notify}}}
        \(badOption)
        service:
          extensions: [file_storage]
          telemetry:
            logs: {level: debug}
            metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
          pipelines:
            traces:
              receivers: [otlp]
              exporters: [otlp_http/a, otlp_http/b, otlp_http/c, http, clickhouse, postgres]
            logs: {receivers: [otlp], exporters: [notify/slack, notify/hook]}
        """
    }

    /// Names of what tells a secret, with the line.
    private func leaks(_ outputs: [(name: String, text: String)]) -> [String] {
        outputs.flatMap { name, text in
            text.split(separator: "\n").filter { $0.contains(Self.mark) }.map { "\(name): \($0)" }
        }
    }

    @Test func `printing and checking a configuration tells none`() throws {
        let gateway = try RunningGateway("")
        let file = gateway.folder.appending(path: "config.yaml")
        gateway.configure("")
        var outputs: [(name: String, text: String)] = []
        func write(_ badOption: String) throws {
            let text = Self.configuration(1, badOption: badOption)
                .replacingOccurrences(of: "PORT", with: "1").replacingOccurrences(of: "METRICS", with: "2")
                .replacingOccurrences(of: "FOLDER", with: gateway.folder.path)
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        try write("")
        let printed = try gateway.command(["print-config", "--config", file.path])
        #expect(printed.status == 0, "\(printed.text)")
        #expect(printed.text.contains("http://127.0.0.1:1/[REDACTED]"))
        #expect(printed.text.contains("[REDACTED]@127.0.0.1") || printed.text.contains("user:[REDACTED]@127.0.0.1"))
        outputs.append(("print-config", printed.text))
        for bad in [
            "  http/bad: {endpoint: \"http://h/c4nary-url\", headers: {X: c4nary-x}, timeout: c, endpont: c4nary-y}",
            "  http/bad: {endpoint: \"h/c4nary-url\"}",
            "  otlp_http/bad: {endpoint: \"ftp://u:c4nary-p@h\", headers: {content-type: c4nary-x}}",
            "  notify/bad: {slack: {webhook_url: \"hooks.slack.com/c4nary\"}, hedaers: {X: c4nary-x}}",
            "  postgres/bad: {datasource: \"c4nary-ds\"}", "  http/bad: {headers: {X: c4nary-x}, endpoint: [",
        ] {
            try write(bad)
            let checked = try gateway.command(["validate", "--config", file.path])
            #expect(checked.status == 2, "\(bad): \(checked.text)")
            outputs.append(("validate \(bad)", checked.text))
        }
        #expect(leaks(outputs) == [])
    }

    @Test func `running tells none, though sinks repeat what they were sent`() async throws {
        let sink = try FaultySink()
        defer { sink.stop() }
        sink.behave(.quote(503, Self.mark))
        let gateway = try RunningGateway(Self.configuration(sink.port))
        try await gateway.start()
        #expect(try await gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        // The words of the sink are there, without the secrets that it quotes.
        for _ in 0..<4_800 where try await !gateway.answer("/queues").contains("you sent") {
            try await Task.sleep(for: .milliseconds(25))
        }
        var outputs: [(name: String, text: String)] = []
        for path in ["/queues", "/metrics", "/drops"] { outputs.append((path, try await gateway.answer(path))) }
        #expect(outputs[0].text.contains("you sent"), "\(outputs[0].text)")
        #expect(!outputs[1].text.contains("you sent"))
        let common = [
            "--config", gateway.folder.appending(path: "config.yaml").path, "--data-directory",
            gateway.folder.appending(path: "data").path,
        ]
        let endpoint = ["--endpoint", "http://127.0.0.1:\(gateway.metricsPort)"]
        let trace = String(repeating: "a7", count: 16)
        for command in [["queue"] + common + endpoint, ["where", trace] + common + endpoint] {
            outputs.append((command[0], try gateway.command(command).text))
        }
        let asked = try gateway.command(["queue"] + common).text
        #expect(asked.contains("you sent"), "the configuration tells where to ask: \(asked)")
        // From now on it refuses for good, and its words go into dead letters.
        sink.behave(.quote(401, Self.mark))
        for _ in 0..<4_800 where !gateway.logText.contains("HTTP 401") { try await Task.sleep(for: .milliseconds(25)) }
        #expect(gateway.end(SIGTERM) == 0)
        #expect(gateway.logText.contains("you sent"), "at debug level")
        outputs.append(("dlq", try gateway.command(["dlq", "list"] + common).text))
        outputs.append(("log", gateway.logText))
        #expect(leaks(outputs) == [])
    }
}
