@testable import Exporters
import FoundationEssentials
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// Against the SQL API's documented answers over DuckDB.
@Suite(.timeLimit(.minutes(15)), .enabled(if: SnowflakeServer.isExpected)) struct SnowflakeExporterTests {
    /// Unix seconds that a test moves.
    private final class Clock: Sendable {
        let seconds = Mutex(1_800_000_000)
    }

    private static let names = "account: my_org-acc.eu, user: writer, database: DB"

    private func exporter(
        _ server: SnowflakeServer, _ more: String = "", clock: Clock = Clock()
    ) async throws -> SnowflakeExporter {
        let read = options(
            SnowflakeOptions.self,
            "{\(Self.names), endpoint: \"\(server.url)\", private_key_file: \(server.keyPath)\(more)}")
        #expect(read.problems == [])
        let exporter = SnowflakeExporter(
            options: read.options, build: exporterBuild(), version: "1.0", effects: FlyingClock().effects(),
            clock: { clock.seconds.withLock { $0 } })
        try await exporter.start()
        return exporter
    }

    private func server() throws -> SnowflakeServer { try SnowflakeServer(account: "my_org-acc", user: "writer") }

    private func traces(_ spans: [TestSpan]) -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans))
    }

    private func ask(_ exporter: SnowflakeExporter, _ sql: String) async -> String {
        switch await exporter.connection.run(sql, document: nil) {
        case .done(let rows): rows.map { $0.map { $0 ?? "NULL" }.joined(separator: "|") }.joined(separator: "\n")
        case let answer: "\(answer)"
        }
    }

    private func test(_ server: SnowflakeServer, _ order: String? = nil) async throws -> [String: Int] {
        var target = CurlTargetOptions(url: server.url + "/test")
        if order == nil { target.method = "GET" }
        let result = await CurlEngine.shared.post(
            Array((order ?? "").utf8), to: try CurlTarget(target, engine: .shared))
        guard case .answered(200, let body, _, _) = result else { return [:] }
        struct Seen: Decodable {
            var statements, polls, retries, repeated, tokens, cancelled: Int?
        }
        let seen = try JSONDecoder().decode(Seen.self, from: Data(body))
        return [
            "statements": seen.statements ?? 0, "polls": seen.polls ?? 0, "retries": seen.retries ?? 0,
            "repeated": seen.repeated ?? 0, "tokens": seen.tokens ?? 0, "cancelled": seen.cancelled ?? 0,
        ]
    }

    private var tool: TestSpan {
        var tool = TestSpan(
            id: 2, parent: 1, name: "a'\\\n\u{0}", start: 1_700_000_000_123_456_789, end: 1_700_000_000_373_456_789,
            status: 2, events: [("gen_ai.evaluation.result", [("gen_ai.evaluation.name", .text("loop"))])], links: [9])
        tool.attributes = [
            ("gen_ai.operation.name", .text("execute_tool")), ("gen_ai.usage.cost", .double(.infinity)),
            ("gen_ai.usage.input_tokens", .int(.min)), ("gen_ai.conversation.id", .text("c")),
            ("k'\"\n\u{0}\\", .text("v")), ("nan", .double(.nan)),
        ]
        return tool
    }

    @Test func `stores every signal once, however often it comes`() async throws {
        let server = try server()
        let exporter = try await exporter(server)
        let batches = [
            traces([tool, TestSpan(id: 3, parent: 2), TestSpan(id: 3, parent: 2)]),
            ExportBatch(signal: .logs, itemCount: 3, bytes: TestRequest.logs(["same", "same", "other"])),
            ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics()),
        ]
        for _ in 0..<2 { for batch in batches { #expect(await exporter.export(batch) == .delivered) } }
        #expect(await exporter.export(traces([tool, TestSpan(id: 4, parent: 2)])) == .delivered)
        #expect(await ask(exporter, "SELECT count(*) FROM spans") == "3")
        #expect(await ask(exporter, "SELECT count(*), count(DISTINCT position) FROM logs") == "3|3")
        #expect(await ask(exporter, "SELECT count(*) FROM metric_points") == "3")
        #expect(await ask(exporter, "SELECT count(*) FROM findings") == "1")
        #expect(
            await ask(
                exporter,
                "SELECT name, duration_ms, input_tokens, cost_usd, parent_span_id IS NULL, start_time::VARCHAR "
                    + "FROM spans WHERE status_code = 'error'")
                == "a'\\\n\u{FFFD}|250.0|-9223372036854775808|inf|False|2023-11-14 22:13:20.123456789")
        let attributes = await ask(exporter, "SELECT attributes FROM spans WHERE status_code = 'error'")
        #expect(attributes.contains("nan") && attributes.contains("NaN"))
        #expect(await ask(exporter, "SELECT spans, failed_spans, tool_calls FROM traces") == "3|1|1")
        for (view, count) in [("sessions", 1), ("failed_tool_calls", 1), ("llm_calls", 0), ("retrievals", 0)] {
            #expect(await ask(exporter, "SELECT count(*) FROM \(view)") == "\(count)")
        }
        #expect(
            await ask(exporter, "SELECT value FROM metric_points WHERE name = 'tokens' ORDER BY time") == "42.0\n1.5")
        #expect(
            try await exporter.migrate()
                == SchemaChange(
                    place: server.url + "/DB.PUBLIC", from: SQLSchema.version, to: SQLSchema.version))
    }

    @Test func `asks again while a statement runs, and waits when it is told to`() async throws {
        let server = try server()
        let exporter = try await exporter(server)
        _ = try await test(server, #"{"async": 100}"#)
        #expect(await exporter.export(traces([tool])) == .delivered)
        let seen = try await test(server)
        #expect(seen["polls"] == 3 * (seen["statements"] ?? 0))
        _ = try await test(server, #"{"async": 0, "busy": 1}"#)
        #expect(
            await exporter.export(traces([tool]))
                == .retry(reason: "HTTP 429: 391908 Too many requests.", after: .seconds(1)))
        #expect(await exporter.export(traces([tool])) == .delivered)
        #expect(await ask(exporter, "SELECT count(*) FROM spans") == "1")
    }

    @Test func `renews its token before it ends and when the server does not take it`() async throws {
        let server = try server()
        let clock = Clock()
        let exporter = try await exporter(server, clock: clock)
        for id in 1...3 { #expect(await exporter.export(traces([TestSpan(id: UInt8(id))])) == .delivered) }
        #expect(try await test(server)["tokens"] == 1)
        clock.seconds.withLock { $0 += 55 * 60 }
        #expect(await exporter.export(traces([TestSpan(id: 4)])) == .delivered)
        #expect(try await test(server)["tokens"] == 2)
        clock.seconds.withLock { $0 += 1 }
        _ = try await test(server, #"{"expired": 1}"#)
        #expect(await exporter.export(traces([TestSpan(id: 5)])) == .delivered)
        #expect(try await test(server)["tokens"] == 3)
        _ = try await test(server, #"{"expired": 2}"#)
        guard case .retry(let reason, _) = await exporter.export(traces([TestSpan(id: 6)])) else {
            Issue.record("a user without a key is a passing problem")
            return
        }
        #expect(reason.contains("390144") && reason.contains("RSA_PUBLIC_KEY"))
        #expect(await ask(exporter, "SELECT count(*) FROM spans") == "5")
    }

    @Test func `leaves out alone what the database refuses`() async throws {
        let server = try server()
        let exporter = try await exporter(server)
        // A database of the user's own making: a column that takes no row of one name.
        #expect(await ask(exporter, "CREATE TABLE spans (\(Self.pickyColumns))") == "")
        let spans = (1...9).map { TestSpan(id: $0, name: $0 == 4 ? "bad" : "good") }
        guard case .refused([3], let message, _) = await exporter.export(traces(spans)) else {
            Issue.record("not refused alone")
            return
        }
        #expect(message.contains("100072") && !message.contains("bad"))
        #expect(await ask(exporter, "SELECT count(*) FROM spans") == "8")
    }

    private static let pickyColumns = SQLTable.named(.spans).columns.map { column in
        "\(column.name) \(SQLDialect.snowflake.type(column.type))"
            + (column.name == "name" ? " CHECK (name <> 'bad')" : "")
    }.joined(separator: ", ")

    @Test func `says what to change when the schema is missing or the key is none`() async throws {
        let server = try server()
        let exporter = try await exporter(server, ", create_schema: false")
        guard case .retry(let reason, _) = await exporter.export(traces([tool])) else {
            Issue.record("not a retry")
            return
        }
        #expect(reason.contains("sluice sql migrate"))
        for (key, word) in [("/nonexistent", "cannot be read"), ("/etc/passwd", "openssl")] {
            let read = options(SnowflakeOptions.self, "{\(Self.names), private_key_file: \(key)}")
            let bad = SnowflakeExporter(options: read.options, build: exporterBuild(), version: "1.0")
            await #expect { try await bad.start() } throws: { "\($0)".contains(word) }
        }
    }
}

/// What needs no server.
@Suite struct SnowflakeAnswerTests {
    private func answer(_ status: Int, _ body: String, after: Int = 0) -> SnowflakeAnswer {
        SnowflakeAnswer(
            .answered(
                status: status, body: Array(body.utf8), contentType: "application/json", retryAfterSeconds: after))
    }

    @Test func `tells data that is refused from what may work later`() {
        let body = { (code: String, state: String) in
            #"{"code": "\#(code)", "sqlState": "\#(state)", "message": "Numeric value 'secret' is not recognized"}"#
        }
        for (code, state) in [("100038", "22018"), ("100072", "22000"), ("100078", ""), ("100069", "")] {
            guard case .refused(let words) = answer(422, body(code, state)) else {
                Issue.record("\(code) is about the data")
                continue
            }
            #expect(words.contains(code) && !words.contains("secret"))
        }
        for (code, state) in [("000606", "57P03"), ("000625", "57014"), ("001003", "42000"), ("000604", "57014")] {
            guard case .failed = answer(422, body(code, state)) else {
                Issue.record("\(code) may pass")
                continue
            }
        }
        guard case .missing = answer(422, body("002003", "42S02")) else {
            Issue.record("002003 is a missing table")
            return
        }
    }

    @Test func `takes no handle that is none, and no answer for done that is another server's`() {
        for handle in ["", "../x", "a/b", String(repeating: "a", count: 65)] {
            guard case .failed = answer(202, #"{"statementHandle": "\#(handle)"}"#) else {
                Issue.record("took \(handle)")
                continue
            }
        }
        #expect(answer(202, #"{"statementHandle": "01a-9f"}"#) == .running(handle: "01a-9f"))
        #expect(answer(200, #"{"data": [["1", null]]}"#) == .done([["1", nil]]))
        for body in ["", "<html>", "[]", "{}", #"{"data": 7}"#] {
            guard case .unanswered = answer(200, body) else {
                Issue.record("took \(body)")
                continue
            }
        }
        #expect(answer(429, "", after: 7) == .busy("HTTP 429: no message", after: .seconds(7)))
        guard case .badToken = answer(401, ""), case .unanswered = answer(504, ""), case .refused = answer(413, "")
        else {
            Issue.record("401, 504 or 413")
            return
        }
    }

    @Test func `sends the same request again under its id when no answer came`() async throws {
        let urls = Mutex<[String]>([])
        let server = ScriptedServer { number, request in
            urls.withLock { $0.append(request.line) }
            return number == 0 ? .reset : .answer(200, body: Array(#"{"data": []}"#.utf8))
        }
        defer { server.stop() }
        let key = TemporaryDirectory()
        try SnowflakeServer.makeKey(at: key.file("k"))
        let read = options(
            SnowflakeOptions.self,
            "{account: a, user: u, database: D, endpoint: \"\(server.url)/\", private_key_file: \(key.file("k"))}")
        let connection = SnowflakeConnection(
            options: read.options, version: "1.0", engine: CurlEngine(), effects: FlyingClock().effects(),
            clock: { 1 })
        guard case .unanswered = await connection.run("SELECT 1", document: nil) else {
            Issue.record("a reset is no answer")
            return
        }
        #expect(await connection.run("SELECT 1", document: nil) == .done([]))
        #expect(await connection.run("SELECT 1", document: nil) == .done([]))
        let lines = urls.withLock { $0 }
        let ids = lines.map { $0.split(separator: "requestId=").last?.prefix(36) ?? "" }
        #expect(lines[1].contains("&retry=true") && ids[0] == ids[1])
        #expect(!lines[2].contains("retry") && ids[2] != ids[1])
    }

    @Test func `checks its options`() {
        let good = "account: a, user: u, database: D"
        for (more, word) in [
            ("", "private_key_file"), (", private_key_file: k, private_key: p", "private_key_file"),
            (", private_key_file: k, schema: \"x; DROP\"", "letters"), (", private_key_file: k, role: 1r", "letters"),
            (", private_key_file: k, endpoint: \"ftp://x\"", "http"),
        ] {
            let read = options(SnowflakeOptions.self, "{\(good)\(more)}")
            #expect(read.problems.contains { $0.contains(word) }, "\(more)")
        }
        #expect(
            options(SnowflakeOptions.self, "{account: Org-My_Acc, user: u, database: D, private_key_file: k}")
                .options.base == "https://org-my-acc.snowflakecomputing.com")
        #expect(SnowflakeSigner.name(of: "xy12345.eu-central-1") == "XY12345")
        #expect(SnowflakeSigner.name(of: "org-acc") == "ORG-ACC")
        #expect(SnowflakeSigner.name(of: "acc-id1.global") == "ACC")
    }
}
