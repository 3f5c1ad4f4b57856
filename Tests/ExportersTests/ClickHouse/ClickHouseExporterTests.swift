@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct ClickHouseExporterTests {
    private func exporter(_ url: String, _ more: String = "") async throws -> ClickHouseExporter {
        let read = options(ClickHouseOptions.self, "{endpoint: \"\(url)\"\(more)}")
        #expect(read.problems == [])
        let exporter = ClickHouseExporter(options: read.options, build: exporterBuild())
        try await exporter.start()
        return exporter
    }

    private func traces(_ spans: [TestSpan]) -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans))
    }

    /// Answers what the exporter asks about the schema; `insert` decides about the rest.
    private static func fake(
        _ insert: @escaping @Sendable (ScriptedServer.Request) -> ScriptedServer.Reply
    )
        -> ScriptedServer
    {
        ScriptedServer { _, request in
            if request.line.contains("system.tables") { return .answer(200, body: Array("1\n".utf8)) }
            if request.line.contains("max%28version%29") {
                return .answer(200, body: Array("\(SQLSchema.version)\n".utf8))
            }
            if request.line.contains("sluice_hash_key") { return .answer(200, body: Array("1\t-2\n".utf8)) }
            return insert(request)
        }
    }

    @Test func `posts RowBinary, one insert per table, with tokens that repeat`() async throws {
        let server = Self.fake { _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server.url, ", compress: none, username: u, password: hidden, database: d")
        let span = TestSpan(id: 7, events: [("e", [])])
        for _ in 0..<2 { #expect(await exporter.export(traces([span])) == .delivered) }
        let inserts = server.requests.filter { $0.line.contains("INSERT") }
        #expect(inserts.count == 4)
        let tokens = inserts.compactMap { $0.line.split(separator: "insert_deduplication_token=").last }
        #expect(tokens[0] == tokens[2] && tokens[1] == tokens[3] && tokens[0] != tokens[1])
        #expect(inserts[0].line.contains("span_events%20%28trace_id%2C%20span_id"))
        #expect(inserts[1].line.contains("spans%20%28") && inserts[1].line.contains("RowBinary"))
        #expect(inserts[1].headers["x-clickhouse-user"] == "u")
        #expect(inserts[1].headers["x-clickhouse-key"] == "hidden")
        #expect(inserts[1].headers["x-clickhouse-database"] == "d")
        #expect(!inserts.contains { $0.line.contains("hidden") })
        // 32 characters, then 16, then a parent that is NULL.
        #expect(inserts[1].body[0] == 32 && inserts[1].body[33] == 16 && inserts[1].body[50] == 1)
    }

    @Test func `finds the row that the server refuses and keeps the others`() async throws {
        let server = Self.fake { request in
            String(decoding: request.body, as: UTF8.self).contains("bad")
                ? .answer(500, body: Array("Code: 469. DB::Exception: Constraint violated (at row 2) bad".utf8))
                : .answer(200)
        }
        defer { server.stop() }
        let exporter = try await exporter(server.url, ", compress: none")
        let spans = (1...9).map { TestSpan(id: $0, name: $0 == 4 ? "bad" : "good") }
        guard case .refused([3], let message, _) = await exporter.export(traces(spans)) else {
            Issue.record("not refused alone")
            return
        }
        #expect(message.contains("469") && !message.contains("bad"))
    }

    @Test func `tries again when the server is busy, away or without tables`() async throws {
        let answers = Mutex(["Code: 252. DB::Exception: Too many parts", "Code: 60. DB::Exception: no table", ""])
        let server = Self.fake { _ in
            let text = answers.withLock { $0.isEmpty ? "" : $0.removeFirst() }
            return text.isEmpty ? .answer(200) : .answer(500, headers: ["Retry-After: 3"], body: Array(text.utf8))
        }
        let exporter = try await exporter(server.url)
        for word in ["min_size", "sluice sql migrate"] {
            guard case .retry(let reason, .some(.seconds(3))) = await exporter.export(traces([TestSpan()])) else {
                Issue.record("not a retry with the server's hint")
                return
            }
            #expect(reason.contains(word))
        }
        #expect(await exporter.export(traces([TestSpan()])) == .delivered)
        server.stop()
        guard case .retry = await exporter.export(traces([TestSpan()])) else {
            Issue.record("a server that is away is a passing problem")
            return
        }
    }

    @Test func `an exception behind a status of 200 is one`() {
        let late = "1\tx\nCode: 241. DB::Exception: Memory limit exceeded"
        let answer = ClickHouseAnswer(
            .answered(status: 200, body: Array(late.utf8), contentType: "", retryAfterSeconds: 0))
        guard case .retry = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(ClickHouseAnswer.code(in: late) == 241)
    }

    @Test func `a server that is too old is told as such`() {
        func words(_ text: String) -> String {
            "\(ClickHouseAnswer(.answered(status: 500, body: Array(text.utf8), contentType: "", retryAfterSeconds: 0)))"
        }
        let old = words("Code: 43, e.displayText() = DB::Exception: Cannot reinterpret, e.what() = DB::Exception")
        #expect(old.contains("ClickHouse 22.3 or later"))
        #expect(!words("Code: 43. DB::Exception: Cannot reinterpret").contains("22.3"))
    }

    @Test(.enabled(if: ClickHouseServer.isExpected))
    func `a real engine stores every signal once`() async throws {
        let server = try ClickHouseServer()
        let exporter = try await exporter(server.url)
        var tool = TestSpan(
            id: 2, parent: 1, name: "a'\\\n\u{0}", start: 1_700_000_000_123_456_789, end: 1_700_000_000_373_456_789,
            status: 2, events: [("gen_ai.evaluation.result", [("gen_ai.evaluation.name", .text("loop"))])], links: [9])
        tool.attributes = [
            ("gen_ai.operation.name", .text("execute_tool")), ("gen_ai.usage.cost", .double(.infinity)),
            ("gen_ai.usage.input_tokens", .int(.min)), ("gen_ai.conversation.id", .text("c")),
            ("gen_ai.input.messages", .text(String(repeating: "ä", count: 5 << 20))),
        ]
        let batches = [
            traces([tool, TestSpan(id: 3, parent: 2)]),
            ExportBatch(signal: .logs, itemCount: 3, bytes: TestRequest.logs(["same", "same", "other"])),
            ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics()),
        ]
        for _ in 0..<2 { for batch in batches { #expect(await exporter.export(batch) == .delivered) } }
        // In other company the tokens differ, and the keys decide.
        #expect(await exporter.export(traces([tool, TestSpan(id: 4, parent: 2)])) == .delivered)
        let reader = { (sql: String) in String(await server.ask(sql).dropLast()) }
        #expect(await reader("SELECT count() FROM spans FINAL") == "3")
        #expect(await reader("SELECT count() FROM logs") == "3")
        #expect(await reader("SELECT count() FROM metric_points") == "3")
        #expect(await reader("SELECT count() FROM findings FINAL") == "1")
        #expect(
            await reader(
                "SELECT toUnixTimestamp64Nano(start_time), duration_ms, input_tokens, isInfinite(cost_usd), "
                    + "lengthUTF8(input_messages) FROM spans FINAL WHERE status_code = 'error'")
                == "1700000000123456789\t250\t-9223372036854775808\t1\t\(5 << 20)")
        #expect(await reader("SELECT spans, failed_spans, duration_ms FROM traces") == "3\t1\t1699999999373.4568")
        #expect(await reader("SELECT count() FROM sessions") == "1")
        #expect(await reader("SELECT count() FROM failed_tool_calls") == "1")
        #expect(await reader("SELECT count() FROM llm_calls") == "0")
        #expect(await reader("SELECT count() FROM retrievals") == "0")
        #expect(await reader("SELECT value FROM metric_points WHERE name = 'tokens' ORDER BY time LIMIT 1") == "42")
        #expect(try await exporter.migrate().from == SQLSchema.version)
    }

    @Test(.enabled(if: ClickHouseServer.isExpected))
    func `a real engine takes the Collector's tables, and each insert once`() async throws {
        let server = try ClickHouseServer()
        let exporter = try await exporter(server.url, ", table_shape: collector")
        var tool = TestSpan(
            id: 2, parent: 1, name: "a'\\\n\u{0}", start: 1_700_000_000_123_456_789, end: 1_700_000_000_373_456_789,
            status: 2, message: "late", events: [("e", [("k", .int(7))]), ("f", [])], links: [9])
        tool.attributes = [
            ("gen_ai.operation.name", .text("execute_tool")), ("nan", .double(.nan)), ("n", .int(.min)),
            ("k'\"\n", .list([.text("a"), .flag(true)])), ("big", .text(String(repeating: "ä", count: 5 << 20))),
        ]
        let logs = ExportBatch(signal: .logs, itemCount: 2, bytes: TestRequest.logs(["same", "same"]))
        for _ in 0..<2 {
            #expect(await exporter.export(traces([tool, TestSpan(id: 3, parent: 2)])) == .delivered)
            #expect(await exporter.export(logs) == .delivered)
        }
        let metrics = ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics())
        #expect(await exporter.export(metrics) == .delivered)
        let reader = { (sql: String) in String(await server.ask(sql).dropLast()) }
        #expect(await reader("SELECT count() FROM metric_points") == "3")
        #expect(await reader("SELECT count() FROM otel_traces") == "2")
        #expect(
            await reader(
                "SELECT toUnixTimestamp64Nano(Timestamp), Duration, SpanKind, StatusCode, StatusMessage, ServiceName, "
                    + "ScopeName, Events.Name, Events.Attributes[1]['k'], length(Links.TraceId), length(TraceId) "
                    + "FROM otel_traces WHERE StatusCode = 'Error'")
                == "1700000000123456789\t250000000\tInternal\tError\tlate\tagent\ttests\t['e','f']\t7\t1\t32")
        #expect(
            await reader(
                "SELECT SpanAttributes['nan'], SpanAttributes['n'], lengthUTF8(SpanAttributes['big']), "
                    + "length(SpanAttributes), SpanAttributes['k\\'\"\\n'] FROM otel_traces WHERE StatusCode = 'Error'")
                == "NaN\t-9223372036854775808\t\(5 << 20)\t5\t[\"a\",true]")
        #expect(
            await reader("SELECT count(), any(Body), any(SeverityText), any(LogAttributes['k']) FROM otel_logs")
                == "2\tsame\tINFO\t1")
        #expect(await reader("SELECT count(DISTINCT TraceId) FROM otel_traces_trace_id_ts") == "1")
        #expect(try await exporter.migrate().from == SQLSchema.version)
    }
}
