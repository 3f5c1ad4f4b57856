@testable import Exporters
import FoundationEssentials
import Pipeline
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct HTTPExporterTests {
    private func exporter(_ server: ScriptedServer, _ more: String = "") async throws -> HTTPExporter {
        let read = options(HTTPOptions.self, "endpoint: \(server.url)/hook?a=b\n" + more)
        #expect(read.problems == [])
        let exporter = HTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        try await exporter.start()
        return exporter
    }

    private let batch = ExportBatch(
        signal: .traces, itemCount: 2, bytes: TestRequest.traces([TestSpan(id: 1), TestSpan(id: 2, name: "a\"b")]),
        tenant: "te\"am")

    /// Span ids of one OTLP/JSON request.
    private func ids(_ text: some StringProtocol) -> [String] {
        text.split(separator: "\"spanId\":\"").dropFirst().map { String($0.prefix(16)) }
    }

    @Test func `sends one record per line`() async throws {
        let server = ScriptedServer { _, _ in .answer(202) }
        defer { server.stop() }
        let exporter = try await exporter(server, "headers: {x-key: k}\nauth: {bearer: {token: t}}\n")
        #expect(await exporter.export(batch) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.line == "POST /hook?a=b HTTP/1.1")
        #expect(request.headers["content-type"] == "application/x-ndjson")
        #expect(request.headers["x-key"] == "k" && request.headers["authorization"] == "Bearer t")
        let lines = String(decoding: request.body, as: UTF8.self).split(separator: "\n")
        #expect(lines.map { ids($0) } == [["0101010101010101"], ["0202020202020202"]])
        #expect(lines.allSatisfy { $0.hasPrefix("{\"resourceSpans\":") && $0.contains("service.name") })
    }

    private struct Hook: Decodable {
        var text: String
        var count: Int
        var from: String
        var tenant: String
        var spans: [Spans]
        struct Spans: Decodable { var resourceSpans: [Empty] }
        struct Empty: Decodable {}
    }

    @Test func `fills a template that stays valid JSON`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(
            server,
            """
            method: PUT
            format: array
            template: '{"text": {{records_string}}, "count": {{count}}, "from": "{{ exporter }} {{signal}}",
              "tenant": "{{tenant}}", "spans": {{records}}}'
            """)
        #expect(await exporter.export(batch) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.line.hasPrefix("PUT ") && request.headers["content-type"] == "application/json")
        let hook = try JSONDecoder().decode(Hook.self, from: Data(request.body))
        #expect(hook.count == 2 && hook.from == "test traces" && hook.tenant == "te\"am" && hook.spans.count == 2)
        #expect(ids(hook.text).count == 2)
    }

    @Test func `halves what is too large, retries what may pass, refuses the rest`() async throws {
        let server = ScriptedServer { index, _ in .answer([413, 500, 404][min(index, 2)]) }
        defer { server.stop() }
        let exporter = try await exporter(server, "format: otlp_proto\n")
        guard case .tooLarge = await exporter.export(batch), case .retry = await exporter.export(batch),
            case .permanent = await exporter.export(batch)
        else {
            Issue.record("wrong outcomes")
            return
        }
        #expect(server.requests[0].body == batch.bytes)
        let small = try await self.exporter(server, "max_request_body_size: 1KiB\n")
        var large = batch
        large.bytes = TestRequest.traces((1...20).map { TestSpan(id: UInt8($0)) })
        guard case .tooLarge = await small.export(large) else {
            Issue.record("too large and sent")
            return
        }
        #expect(server.requests.count == 3)
    }

    @Test(arguments: [
        ("template: '{\"events\": {{records}}}'", 1), ("format: ndjson, template: '[{{ records }}]'", 1),
        ("format: array, template: '{{records}}'", 0), ("format: otlp_json, template: '{{records}}'", 0),
        ("template: '{\"text\": {{records_string}}}'", 0), ("template: '{{records}}', content_type: text/plain", 0),
        ("format: ndjson", 0),
    ]) func `warns of lines within JSON`(yaml: String, count: Int) {
        let warnings = optionWarnings(HTTPOptions.self, "{endpoint: 'https://h', \(yaml)}")
        #expect(warnings.count == count, "\(warnings)")
        #expect(warnings.allSatisfy { $0.contains("format: array") }, "\(warnings)")
    }

    @Test(arguments: [
        ("{}", "required"),
        ("{endpoint: 'http://h', template: '{{recrods}}'}", "names {{recrods}}"),
        ("{endpoint: 'http://h', template: 'a {{b'}", "without }}"),
        ("{endpoint: 'http://h', template: ''}", "nothing would be sent"),
        ("{endpoint: 'http://h', headers: {content-type: a}}", "set by the exporter"),
        ("{endpoint: 'h'}", "needs a scheme"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let problems = options(HTTPOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
