@testable import Exporters
import GRDB
import Pipeline
import Telemetry
import TestSupport
import Testing

/// One request with everything that databases stumble over, for every SQL exporter: none may break the batch, and each
/// value is stored by the rule that `RowBuffer` states.
@Suite(.timeLimit(.minutes(3))) struct HostileDataTests {
    private static let size = 10 << 20
    /// Replaced in the request's bytes by as many that are no UTF-8.
    private static let marker = "INVALIDUTF8"

    private var batch: ExportBatch {
        var deep = TestValue.text("bottom")
        for _ in 0..<90 { deep = .list([deep]) }
        let hostile = TestSpan(
            id: 5, name: "a\u{0}b'\";--\\\n\(Self.marker)", start: .max, end: .max,
            attributes: [
                ("gen_ai.operation.name", .text("chat")), ("gen_ai.usage.cost", .double(.nan)),
                ("gen_ai.usage.input_tokens", .double(1e300)), ("gen_ai.usage.output_tokens", .int(.min)),
                ("gen_ai.input.messages", .text(String(repeating: "x", count: Self.size))),
                ("k'\"\n\u{0}\\;--", .text("v\u{0}\\u0000")), ("inf", .double(-.infinity)), ("deep", deep),
                ("same", .int(1)), ("same", .int(2)), ("", .text("")), (Self.marker, .data([0xFF, 0])),
            ],
            events: [("e\u{0}\(Self.marker)", [("k'", .none)])], links: [1])
        var bytes = TestRequest.traces([hostile, TestSpan(id: 6)])
        let marker = Array(Self.marker.utf8)
        var at = 0
        while at + marker.count <= bytes.count {
            if bytes[at] == marker[0] && bytes[at..<at + marker.count].elementsEqual(marker) {
                for offset in marker.indices { bytes[at + offset] = 0xFE }
            }
            at += 1
        }
        return ExportBatch(signal: .traces, itemCount: 2, bytes: bytes)
    }

    private static let name =
        "a\u{FFFD}b'\";--\\\n" + String(repeating: "\u{FFFD}", count: marker.utf8.count)

    @Test func `sqlite takes all of it`() async throws {
        let directory = TemporaryDirectory()
        let exporter = SQLiteExporter(
            options: options(SQLiteOptions.self, "{path: h.db}").options,
            build: exporterBuild(directory: directory.path))
        try await exporter.start()
        for _ in 0..<2 { #expect(await exporter.export(batch) == .delivered) }
        await exporter.shutdown()
        let row = try DatabaseQueue(path: directory.file("h.db")).read {
            try Row.fetchOne(
                $0,
                sql: "SELECT name, length(input_messages) AS size, cost_usd IS NULL AND input_tokens IS NULL AS none, "
                    + "output_tokens, json_valid(attributes) AS valid, (SELECT count(*) FROM spans) AS spans, "
                    + "start_time FROM spans WHERE span_id LIKE '05%'")
        }
        #expect(row?["name"] == Self.name && row?["size"] == Self.size && row?["none"] == true)
        #expect(row?["output_tokens"] == Int64.min && row?["valid"] == true && row?["spans"] == 2)
        #expect(row?["start_time"] == Int64.max)
    }

    @Test(.enabled(if: PostgresServer.isExpected), arguments: ["none", "day"])
    func `postgres takes all of it`(_ partition: String) async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let exporter = PostgresExporter(
            options: options(
                PostgresOptions.self, "{datasource: \"\(server.datasource(database))\", partition: \(partition)}"
            ).options, build: exporterBuild())
        for _ in 0..<2 { #expect(await exporter.export(batch) == .delivered) }
        let row = try server.query(
            "SELECT name, length(input_messages), cost_usd IS NULL AND input_tokens IS NULL, output_tokens, "
                + "attributes->>'same', (SELECT count(*) FROM spans) FROM spans WHERE span_id LIKE '05%'",
            database: database
        ).first
        #expect(row == [Self.name, "\(Self.size)", "t", "\(Int64.min)", "2", "2"])
        await exporter.shutdown()
    }

    @Test(.enabled(if: SnowflakeServer.isExpected)) func `snowflake takes all of it`() async throws {
        let server = try SnowflakeServer(account: "a", user: "u")
        let read = options(
            SnowflakeOptions.self,
            "{account: a, user: u, database: D, endpoint: \"\(server.url)\", private_key_file: \(server.keyPath)}")
        let exporter = SnowflakeExporter(options: read.options, build: exporterBuild(), version: "1.0")
        try await exporter.start()
        for _ in 0..<2 { #expect(await exporter.export(batch) == .delivered) }
        let answer = await exporter.connection.run(
            "SELECT name, length(input_messages), cost_usd IS NULL AND input_tokens IS NULL, output_tokens, "
                + "(SELECT count(*) FROM spans) FROM spans WHERE span_id LIKE '05%'", document: nil)
        #expect(answer == .done([[Self.name, "\(Self.size)", "True", "\(Int64.min)", "2"]]))
    }

    @Test(.enabled(if: ClickHouseServer.python != nil), arguments: ["sluice", "collector"])
    func `clickhouse takes all of it`(_ shape: String) async throws {
        let server = try ClickHouseServer()
        let exporter = ClickHouseExporter(
            options: options(ClickHouseOptions.self, "{endpoint: \"\(server.url)\", table_shape: \(shape)}").options,
            build: exporterBuild())
        try await exporter.start()
        for _ in 0..<2 { #expect(await exporter.export(batch) == .delivered) }
        let target = try CurlTarget(CurlTargetOptions(url: server.url), engine: .shared)
        let sql =
            shape == "sluice"
            ? "SELECT count() FROM spans FINAL WHERE isValidUTF8(name)"
            : "SELECT count() FROM otel_traces WHERE isValidUTF8(SpanName)"
        let query = sql.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        guard
            case .answered(200, let body, _, _) = await CurlEngine.shared.post(
                [], to: target, url: server.url + "/?query=" + query)
        else {
            Issue.record("no answer")
            return
        }
        #expect(body == Array("2\n".utf8))
    }
}
