@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct NotifyExporterTests {
    private func exporter(_ yaml: String) async throws -> NotifyExporter {
        let read = options(NotifyOptions.self, yaml)
        #expect(read.problems == [])
        let exporter = NotifyExporter(
            options: read.options, build: exporterBuild(), version: "1", engine: CurlEngine())
        try await exporter.start()
        return exporter
    }

    /// A log record as the `alerts` connector writes it.
    private func record(
        _ state: String, severity: String = "critical", time: Int = 1_700_000_000_123_000_000,
        name: String = "sluice.alert"
    ) -> String {
        let texts = [
            ("rule", "Empty history"), ("state", state), ("severity", severity), ("dedup_key", "sluice/alerts/e/1"),
            ("metric", "findings"), ("aggregation", "sum"), ("operator", ">"), ("group", "tenant=a<b"),
            ("message", "look & see"), ("runbook_url", "http://wiki/x"), ("example", "it was empty"),
        ]
        let attributes =
            texts.map { "{\"key\":\"sluice.alert.\($0.0)\",\"value\":{\"stringValue\":\"\($0.1)\"}}" } + [
                "{\"key\":\"sluice.alert.threshold\",\"value\":{\"doubleValue\":2}}",
                "{\"key\":\"sluice.alert.value\",\"value\":{\"doubleValue\":3.25}}",
                "{\"key\":\"sluice.alert.window_seconds\",\"value\":{\"doubleValue\":300}}",
                "{\"key\":\"sluice.alert.count\",\"value\":{\"intValue\":\"4\"}}",
                "{\"key\":\"sluice.alert.since\",\"value\":{\"intValue\":\"1699999999000000000\"}}",
                "{\"key\":\"gen_ai.conversation.id\",\"value\":{\"stringValue\":\"s1\"}}",
            ]
        return """
            {"timeUnixNano":"\(time)","eventName":"\(name)","body":{"stringValue":"Empty history: findings is 3.25"},\
            "traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef",\
            "attributes":[\(attributes.joined(separator: ","))]}
            """
    }

    private func batch(_ records: [String]) throws -> ExportBatch {
        var json = "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[\(records.joined(separator: ","))]}]}]}"
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .logs, into: &output)
        }
        return ExportBatch(signal: .logs, itemCount: records.count, bytes: [UInt8](output.bytes))
    }

    private func body(_ request: ScriptedServer.Request) -> String { String(decoding: request.body, as: UTF8.self) }

    @Test func `Slack gets a message for its incoming webhook`() async throws {
        let server = ScriptedServer { _, _ in .answer(200, body: Array("ok".utf8)) }
        defer { server.stop() }
        let exporter = try await exporter("slack: {webhook_url: \(server.url)/services/T/B/x, channel: '#agents'}")
        #expect(await exporter.export(try batch([record("open")])) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.line == "POST /services/T/B/x HTTP/1.1")
        #expect(request.headers["content-type"] == "application/json")
        #expect(
            body(request) == """
                {"attachments":[{"color":"#e01e5a","fallback":"[critical] Empty history: findings is 3.25","fields":[\
                {"short":true,"title":"rule","value":"Empty history"},\
                {"short":true,"title":"severity","value":"critical"},\
                {"short":true,"title":"metric","value":"findings (sum)"},\
                {"short":true,"title":"value","value":"3.25"},\
                {"short":true,"title":"threshold","value":"&gt; 2"},\
                {"short":true,"title":"window","value":"300 s, 4 values"},\
                {"short":true,"title":"group","value":"tenant=a&lt;b"},\
                {"short":true,"title":"example","value":"it was empty"},\
                {"short":true,"title":"trace_id","value":"0123456789abcdef0123456789abcdef"},\
                {"short":true,"title":"span_id","value":"0123456789abcdef"},\
                {"short":true,"title":"conversation_id","value":"s1"},\
                {"short":false,"title":"look","value":"sluice trace 0123456789abcdef0123456789abcdef"},\
                {"short":true,"title":"runbook","value":"http://wiki/x"}],\
                "footer":"sluice/alerts/e/1","text":"look &amp; see","ts":1700000000}],"channel":"#agents",\
                "text":"[critical] Empty history: findings is 3.25"}
                """)
    }

    @Test func `PagerDuty gets trigger and resolve of Events v2`() async throws {
        let server = ScriptedServer { _, _ in .answer(202) }
        defer { server.stop() }
        let exporter = try await exporter(
            "pagerduty: {endpoint: '\(server.url)/v2/enqueue', routing_key: k, source: shop}")
        #expect(await exporter.export(try batch([record("open"), record("resolved")])) == .delivered)
        #expect(server.requests.map(\.line) == ["POST /v2/enqueue HTTP/1.1", "POST /v2/enqueue HTTP/1.1"])
        #expect(
            server.requests.map { body($0) } == [
                """
                {"client":"Sluice","dedup_key":"sluice/alerts/e/1","event_action":"trigger",\
                "links":[{"href":"http://wiki/x","text":"runbook"}],"payload":{"class":"findings",\
                "component":"Empty history","custom_details":{"conversation_id":"s1","example":"it was empty",\
                "group":"tenant=a<b","look":"sluice trace 0123456789abcdef0123456789abcdef",\
                "message":"look & see","metric":"findings (sum)","rule":"Empty history",\
                "runbook":"http://wiki/x","severity":"critical","span_id":"0123456789abcdef","threshold":"> 2",\
                "trace_id":"0123456789abcdef0123456789abcdef","value":"3.25","window":"300 s, 4 values"},\
                "group":"tenant=a<b","severity":"critical","source":"shop",\
                "summary":"Empty history: findings is 3.25","timestamp":"2023-11-14T22:13:20.123Z"},"routing_key":"k"}
                """,
                """
                {"client":"Sluice","dedup_key":"sluice/alerts/e/1","event_action":"resolve","routing_key":"k"}
                """,
            ])
    }

    @Test func `OpsGenie gets an alert and its closing by alias`() async throws {
        let server = ScriptedServer { _, _ in .answer(202) }
        defer { server.stop() }
        let exporter = try await exporter("opsgenie: {endpoint: '\(server.url)/', api_key: k, tags: [agents]}")
        #expect(
            await exporter.export(try batch([record("open", severity: "error"), record("resolved")])) == .delivered)
        #expect(server.requests.allSatisfy { $0.headers["authorization"] == "GenieKey k" })
        #expect(
            server.requests.map(\.line) == [
                "POST /v2/alerts HTTP/1.1",
                "POST /v2/alerts/sluice%2Falerts%2Fe%2F1/close?identifierType=alias HTTP/1.1",
            ])
        #expect(
            server.requests.map { body($0) } == [
                """
                {"alias":"sluice/alerts/e/1","description":"Empty history: findings is 3.25\\nlook & see","details":{\
                "conversation_id":"s1","example":"it was empty","group":"tenant=a<b",\
                "look":"sluice trace 0123456789abcdef0123456789abcdef","message":"look & see",\
                "metric":"findings (sum)","rule":"Empty history","runbook":"http://wiki/x","severity":"error",\
                "span_id":"0123456789abcdef","threshold":"> 2","trace_id":"0123456789abcdef0123456789abcdef",\
                "value":"3.25","window":"300 s, 4 values"},"entity":"tenant=a<b",\
                "message":"Empty history: findings is 3.25","priority":"P2","source":"sluice","tags":["agents"]}
                """,
                """
                {"note":"Empty history: findings is 3.25","source":"sluice"}
                """,
            ])
    }

    @Test func `texts are cut to what a service counts, whatever their characters are made of`() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}"
        for piece in ["a", "e\u{301}", "\u{1F600}", family] {
            for limit in [130, 255, 1_024] {
                let text = String(repeating: piece, count: limit)
                let cut = NotifyBodies.cut(text, limit)
                #expect(cut.utf16.count <= limit && cut.utf16.count >= limit - 1)
                #expect(piece == "a" ? cut == text : cut.unicodeScalars.last == "…")
                #expect(text.unicodeScalars.starts(with: cut.unicodeScalars.dropLast()))
            }
        }
        #expect(NotifyBodies.cut("abcd", 3) == "ab…")
        #expect(NotifyBodies.cut("abc", 3) == "abc")
    }

    @Test func `Slack reads no markup out of a text, with marks behind it either`() {
        var notice = AlertNotice()
        notice.message = "<\u{301}!channel>\u{200D} & <@U1>"
        let body = String(decoding: NotifyBodies.slack(notice, channel: nil, username: nil), as: UTF8.self)
        #expect(body.contains("&lt;\u{301}!channel&gt;\u{200D} &amp; &lt;@U1&gt;"), "\(body)")
    }

    @Test func `a webhook gets everything as one object`() async throws {
        let server = ScriptedServer { _, _ in .answer(204) }
        defer { server.stop() }
        let exporter = try await exporter(
            "webhook: {url: '\(server.url)/a', headers: {x-key: v}, auth: {bearer: {token: t}}}")
        #expect(await exporter.export(try batch([record("reminder", severity: "info")])) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.headers["x-key"] == "v" && request.headers["authorization"] == "Bearer t")
        #expect(
            body(request) == """
                {"aggregation":"sum","conversation_id":"s1","count":4,"dedup_key":"sluice/alerts/e/1",\
                "example":"it was empty","group":"tenant=a<b","message":"look & see","metric":"findings",\
                "operator":">","rule":"Empty history","runbook_url":"http://wiki/x","severity":"info",\
                "since":"2023-11-14T22:13:19.000Z","span_id":"0123456789abcdef","state":"reminder",\
                "summary":"Empty history: findings is 3.25","threshold":2,"time":"2023-11-14T22:13:20.123Z",\
                "trace_id":"0123456789abcdef0123456789abcdef","value":3.25,"version":1,"window_seconds":300}
                """)
    }

    @Test func `what was taken is not sent again with what was not`() async throws {
        let server = ScriptedServer { index, _ in .answer([202, 429, 202][min(index, 2)], headers: ["Retry-After: 7"]) }
        defer { server.stop() }
        let exporter = try await exporter("webhook: {url: '\(server.url)/a'}")
        let two = try batch([record("open", time: 1), record("open", time: 2)])
        guard case .retry(_, .seconds(7)) = await exporter.export(two) else {
            Issue.record("a refusal that passes is no reason to wait")
            return
        }
        #expect(await exporter.export(two) == .delivered)
        #expect(server.requests.count == 3)
    }

    @Test func `only alerts are told, and a bad key is final`() async throws {
        let server = ScriptedServer { _, _ in .answer(403) }
        defer { server.stop() }
        let exporter = try await exporter("webhook: {url: '\(server.url)/a'}\nsend_resolved: false")
        guard case .partial(rejected: 1, _) = await exporter.export(try batch([record("open", name: "x")])),
            await exporter.export(try batch([record("resolved")])) == .delivered,
            case .permanent = await exporter.export(try batch([record("open")]))
        else {
            Issue.record("wrong outcomes")
            return
        }
        #expect(server.requests.count == 1)
    }

    @Test(arguments: [
        ("{}", "needs one of"), ("{slack: {webhook_url: 'http://a'}, webhook: {url: 'http://b'}}", "not 2"),
        ("slack: {}", "is required"), ("pagerduty: {}", "is required"), ("opsgenie: {}", "is required"),
        ("slack: {webhook_url: hooks.slack.com/x}", "needs a scheme"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let problems = options(NotifyOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
