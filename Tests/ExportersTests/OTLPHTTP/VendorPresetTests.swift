import Configuration
@testable import Exporters
import GenAI
import OTLP
import Pipeline
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct VendorPresetTests {
    private func urls(_ options: OTLPHTTPOptions) -> [String] { options.urls.map { "\($0.signal) \($0.url)" } }

    private func header(_ options: OTLPHTTPOptions, _ name: String) -> String? {
        let given = options.headers.first { $0.key.lowercased() == name }?.value.reveal()
        guard let credential = options.credentials.first(where: { $0.name.lowercased() == name }),
            case .success(let value) = credential.value()
        else { return given }
        return value
    }

    @Test func `sets URL, credential, compression and limits of a vendor`() {
        let (newrelic, problems) = options(OTLPHTTPOptions.self, "{preset: newrelic, api_key: KEY}")
        #expect(problems == [])
        #expect(urls(newrelic).contains("logs https://otlp.nr-data.net/v1/logs"))
        #expect(header(newrelic, "api-key") == "KEY")
        #expect(newrelic.compression == .zstd && newrelic.requestBodyMax == 1_000_000 && !newrelic.aiOnly)
        let langfuse = options(OTLPHTTPOptions.self, "{preset: langfuse, region: us.cloud, api_key: 'pk:sk'}")
        #expect(langfuse.problems == [])
        #expect(urls(langfuse.options) == ["traces https://us.cloud.langfuse.com/api/public/otel/v1/traces"])
        #expect(header(langfuse.options, "authorization") == "Basic cGs6c2s=")
        #expect(header(langfuse.options, "x-langfuse-ingestion-version") == "4")
        #expect(langfuse.options.aiOnly && langfuse.options.dialect == .langfuse)
        #expect(newrelic.dialect == .genAI)
        let dynatrace = options(OTLPHTTPOptions.self, "{preset: dynatrace, region: abc, api_key: T}").options
        #expect(header(dynatrace, "authorization") == "Api-Token T")
        #expect(dynatrace.helper.queue.maxAge == .seconds(3_600))
        let older = options(
            OTLPHTTPOptions.self, "{preset: dynatrace, region: abc, api_key: T, sending_queue: {max_age: 2h}}"
        ).options
        #expect(older.helper.queue.maxAge == .seconds(7_200))
    }

    @Test func `every preset's dialect is one that can be rendered`() {
        for preset in VendorPreset.all { #expect(ExportDialect(rawValue: preset.dialect) != nil, "\(preset.name)") }
        let plain = options(OTLPHTTPOptions.self, "{preset: langfuse, api_key: 'a:b', dialect: gen_ai}")
        #expect(plain.options.dialect == .genAI)
    }

    @Test func `a request is rendered, and one that cannot be read goes as it is`() throws {
        let rendering = try #require(DialectRendering(.openinference))
        #expect(DialectRendering(.genAI) == nil)
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
        let attribute = field(1, Array("gen_ai.operation.name".utf8)) + field(2, field(1, Array("chat".utf8)))
        let ids = field(1, [UInt8](repeating: 1, count: 16)) + field(2, [UInt8](repeating: 2, count: 8))
        let request = field(1, field(2, field(2, ids + field(9, attribute))))
        let rendered = rendering.render(request)
        #expect(rendered.count > request.count, "\(rendered)")
        #expect(rendering.render([1, 2, 3]) == [1, 2, 3])
        #expect(rendering.render([]) == [])
    }

    @Test func `a host alone is told where a preset takes whole URLs`() throws {
        func fixes(_ endpoint: String) throws -> [String] {
            var problems = ConfigProblems()
            let yaml = "{preset: phoenix, endpoint: '\(endpoint)', api_key: k}"
            let node = try #require(YAMLReader.read(yaml, file: "t.yaml", problems: &problems))
            _ = readOptions(OTLPHTTPOptions.self, node: node, path: "exporters.x", problems: &problems)
            return problems.warnings.compactMap(\.fix)
        }
        #expect(
            try fixes("http://127.0.0.1:6006/") == ["add the path, such as http://127.0.0.1:6006/v1/traces"])
        #expect(try fixes("http://127.0.0.1:6006") == ["add the path, such as http://127.0.0.1:6006/v1/traces"])
        #expect(try fixes("http://127.0.0.1:6006/v1/traces").isEmpty)
    }

    @Test func `lets every value be overridden`() {
        let (changed, problems) = options(
            OTLPHTTPOptions.self,
            """
            {preset: maxim, endpoint: 'https://proxy.example/otel', api_key: K, ai_only: false, compression: none,
             max_request_body_size: 2MiB, encoding: json, headers: {X-Maxim-Repo-Id: r}, retry_on: [403]}
            """)
        #expect(problems == [])
        #expect(urls(changed) == ["traces https://proxy.example/otel"], "the preset takes whole URLs")
        #expect(changed.compression == .none && changed.requestBodyMax == 2 << 20 && !changed.aiOnly)
        #expect(changed.retryOn == [403] && changed.encoding == .json)
        let own = options(
            OTLPHTTPOptions.self,
            "{preset: langfuse, headers: {authorization: mine, x-langfuse-ingestion-version: '5'}}")
        #expect(own.problems == [])
        #expect(header(own.options, "authorization") == "mine")
        #expect(header(own.options, "x-langfuse-ingestion-version") == "5")
    }

    @Test(arguments: [
        ("{preset: observe, region: '1', encoding: json, api_key: a}", "takes no json"),
        ("{preset: langfus, api_key: a}", "did you mean langfuse?"),
        ("{preset: maxim, api_key: a}", "needs the header x-maxim-repo-id"),
        ("{preset: dynatrace, api_key: a}", "needs region"),
        ("{preset: dash0, api_key: a}", "needs endpoint"),
        ("{preset: dynatrace, api_key: a, region: 'a/b@c'}", "only letters, digits"),
        ("{endpoint: 'https://h', region: us}", "only with a preset"),
        ("{endpoint: 'https://h', api_key: a}", "needs a preset"),
        ("{preset: logfire, api_key: a, headers: {authorization: b}}", "is given too"),
        ("{preset: logfire, api_key: a, api_key_file: /f}", "either api_key or api_key_file"),
    ]) func `says what a preset lacks`(yaml: String, words: String) {
        let problems = options(OTLPHTTPOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }

    @Test func `warns of a credential without a colon where the vendor wants a pair, and does not print it`() {
        let told = optionWarnings(OTLPHTTPOptions.self, "{preset: langfuse, api_key: sk-lf-1234}")
        #expect(told.count == 1 && told[0].hasPrefix("exporters.test.api_key: "), "\(told)")
        #expect(told[0].hasSuffix("write <public key>:<secret key>") && !told[0].contains("1234"), "\(told)")
        for good in ["preset: langfuse, api_key: 'pk:sk'", "preset: logfire, api_key: a"] {
            #expect(optionWarnings(OTLPHTTPOptions.self, "{\(good)}") == [])
        }
    }

    @Test func `has a table without contradictions`() throws {
        let names = VendorPreset.all.map(\.name)
        #expect(Set(names).count == names.count)
        for name in ["langfuse", "langsmith", "phoenix", "braintrust", "maxim", "newrelic", "datadog", "honeycomb"] {
            #expect(names.contains(name))
        }
        for preset in VendorPreset.all {
            #expect(!preset.signals.isEmpty && !preset.source.isEmpty, "\(preset.name)")
            for signal in preset.signals where preset.address != nil {
                let url = try #require(preset.url(for: signal, endpoint: nil, region: "r"), "\(preset.name)")
                let endpoint = try HTTPEndpoint(url)
                #expect(endpoint.scheme == "https" || preset.name == "phoenix")
            }
            #expect(HTTPHeaderCheck.isToken(preset.authorization.header))
            for header in preset.requiredHeaders { #expect(HTTPHeaderCheck.isToken(header.name)) }
        }
    }

    // MARK: ai_only

    /// Ids, parents and names of what a filtered request holds.
    private func tree(_ bytes: [UInt8]) throws -> [UInt8: UInt8?] {
        var batch = RecordBatch()
        return try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: .empty, into: &batch)
            var result: [UInt8: UInt8?] = [:]
            for index in batch.spans.indices {
                let parent = batch.text(batch.spans[index].parentID)
                result[batch.text(batch.spans[index].spanID)[0]] = .some(parent.isEmpty ? nil : parent[0])
            }
            return result
        }
    }

    private func span(_ id: UInt8, _ parent: UInt8?, ai: Bool) -> TestSpan {
        TestSpan(
            id: id, parent: parent,
            attributes: [("http.route", .text("/")), (ai ? "gen_ai.operation.name" : "ai", .text("chat"))])
    }

    @Test func `leaves out spans without AI and hangs their children higher`() throws {
        // 1 http > 2 agent > 3 http > 4 db > 5 llm; 6 http (parent 9 elsewhere) > 7 tool; 8 http > nobody
        let request = TestRequest.traces([
            span(1, nil, ai: false), span(2, 1, ai: true), span(3, 2, ai: false), span(4, 3, ai: false),
            span(5, 4, ai: true), span(6, 9, ai: false), span(7, 6, ai: true), span(8, 2, ai: false),
        ])
        let result = try #require(filter(request))
        #expect(result.kept == 3 && result.leftOut == 5)
        let shape = try tree(result.bytes)
        #expect(shape.count == 3)
        #expect(shape[2] == .some(nil), "its parent is gone, so it is the root")
        #expect(shape[5] == 2)
        #expect(shape[7] == 9, "the way up goes on in another request")
    }

    @Test func `sends a request as it is when all of it is AI, and survives a circle`() {
        #expect(filter(TestRequest.traces([span(1, nil, ai: true), span(2, 1, ai: true)])) == nil)
        let circle = TestRequest.traces([span(1, 2, ai: false), span(2, 1, ai: false), span(3, 1, ai: true)])
        #expect(filter(circle)?.kept == 1)
        #expect(filter(TestRequest.traces([span(1, nil, ai: false)]))?.bytes == [])
        #expect(filter([0xFF, 0xFF])?.kept == nil)
    }

    @Test func `a group that nobody knows hides no span behind it`() throws {
        let group = WireWalkerTests.group
        let (first, second) = (
            TestRequest.traces([span(1, nil, ai: false)]), TestRequest.traces([span(2, nil, ai: true)])
        )
        let result = try #require(filter(first + group + second))
        #expect(result.bytes == group + second)
        #expect(result.kept == 1 && result.leftOut == 1)
        let behind = try #require(filter(second + group + first))
        #expect(behind.bytes == second + group)
    }

    private func filter(_ request: [UInt8]) -> AISpanFilter.Result? {
        var memory = LeftOutSpans()
        return AISpanFilter.filter(request, &memory, now: .zero)
    }

    @Test func `hangs spans under ancestors of earlier requests, for a while`() throws {
        var memory = LeftOutSpans()
        func send(_ spans: [TestSpan], at seconds: Int = 0) throws -> [UInt8: UInt8?] {
            let request = TestRequest.traces(spans)
            let result = AISpanFilter.filter(request, &memory, now: .seconds(seconds))
            return try tree(result?.bytes ?? request)
        }
        // 1 http > 2 agent > 3 http > 4 db > 5 llm, one a request; 6 is under 7, which comes later.
        #expect(try send([span(1, nil, ai: false)]).isEmpty)
        #expect(try send([span(2, 1, ai: true)]) == ([2: nil] as [UInt8: UInt8?]))
        #expect(try send([span(3, 2, ai: false)]).isEmpty)
        #expect(try send([span(6, 7, ai: true), span(4, 3, ai: false)]) == [6: 7])
        #expect(try send([span(7, 1, ai: false)]).isEmpty)
        #expect(try send([span(5, 4, ai: true)], at: 299) == [5: 2])
        #expect(try send([span(5, 4, ai: true)], at: 599) == [5: 2], "again with the next attempt")
        #expect(try send([span(5, 4, ai: true)], at: 900) == [5: 4], "forgotten")
    }

    @Test func `remembers so many spans and no more, and follows no circle for ever`() throws {
        var memory = LeftOutSpans()
        let trace = [UInt8](repeating: 7, count: 16)
        func id(_ number: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
        for number in 1...4 * LeftOutSpans.generationMax {
            memory.add(trace: trace, span: id(number), parent: id(number + 1), now: .zero)
        }
        #expect(memory.count <= 2 * LeftOutSpans.generationMax)
        #expect(memory.parent(trace: trace, span: id(4 * LeftOutSpans.generationMax)) != nil)
        #expect(memory.parent(trace: trace, span: id(1)) == nil)
        var circle = LeftOutSpans()
        _ = AISpanFilter.filter(TestRequest.traces([span(1, 2, ai: false)]), &circle, now: .zero)
        _ = AISpanFilter.filter(TestRequest.traces([span(2, 1, ai: false)]), &circle, now: .zero)
        let last = AISpanFilter.filter(TestRequest.traces([span(3, 1, ai: true)]), &circle, now: .zero)
        #expect(try tree(last?.bytes ?? []) == ([3: nil] as [UInt8: UInt8?]))
    }

    @Test func `refuses what a vendor or a proxy does not take`() {
        func problems(_ text: String) -> String {
            options(OTLPHTTPOptions.self, text).problems.map { "\($0)" }.joined()
        }
        let langfuse = "{preset: langfuse, api_key: \"a:b\", compression: "
        #expect(problems(langfuse + "zstd}").contains("the preset langfuse takes no zstd: use one of gzip, none"))
        #expect(problems(langfuse + "none}").isEmpty && problems(langfuse + "gzip}").isEmpty)
        func proxy(_ url: String) -> String {
            problems("{endpoint: \"https://a.test\", proxy_url: \"\(url)\"}")
        }
        #expect(proxy("ftp://p:1").contains("ftp:// is no proxy: write http://, https://, socks5:// or socks5h://"))
        for url in ["http://p:1", "HTTPS://p:1", "socks5h://p:1", "p:1", ""] { #expect(proxy(url).isEmpty, "\(url)") }
    }

    @Test func `sends only AI spans and nothing when there are none`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let read = options(OTLPHTTPOptions.self, "{endpoint: '\(server.url)', ai_only: true, compression: none}")
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        try await exporter.start()
        let none = TestRequest.traces([span(1, nil, ai: false)])
        #expect(await exporter.export(ExportBatch(signal: .traces, itemCount: 1, bytes: none)) == .delivered)
        #expect(server.requests.isEmpty)
        let mixed = TestRequest.traces([span(1, nil, ai: false), span(2, 1, ai: true)])
        #expect(await exporter.export(ExportBatch(signal: .traces, itemCount: 2, bytes: mixed)) == .delivered)
        #expect(try tree(try #require(server.requests.first).body) == [2: nil])
    }
}
