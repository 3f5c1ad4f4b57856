@testable import Exporters
import Foundation
import GRDB
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// The same hostile requests for every destination with rows or files: none breaks a batch, and each value is stored by
/// the rules of docs/sql.md.
@Suite(.serialized, .timeLimit(.minutes(15))) struct HostileDataTests {
    private let directory = TemporaryDirectory()
    private let sqliteQuestion = HostileRequest.select(text: "TEXT", integer: "INTEGER")
    private let counts =
        "SELECT (SELECT count(*) FROM spans), (SELECT count(*) FROM span_events), (SELECT count(*) FROM span_links), "
        + "(SELECT count(*) FROM logs), (SELECT count(*) FROM metric_points)"

    /// Everything twice: nothing is there twice afterwards.
    private func deliver(
        to exporter: any Exporter, hasMetrics: Bool = true, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        try await exporter.start()
        for _ in 0..<2 {
            for batch in [HostileRequest.traces, HostileRequest.logs] + (hasMetrics ? [HostileRequest.metrics] : []) {
                let outcome = await exporter.export(batch)
                #expect(outcome == .delivered, sourceLocation: sourceLocation)
            }
        }
    }

    private func expectRefusal(_ exporter: any Exporter, sourceLocation: SourceLocation = #_sourceLocation) async {
        guard case .permanent(let reason) = await exporter.export(HostileRequest.broken) else {
            Issue.record("broken UTF-8 is not refused for good", sourceLocation: sourceLocation)
            return
        }
        #expect(reason.contains("UTF-8"), sourceLocation: sourceLocation)
    }

    // MARK: SQLite

    private func read(_ path: String, _ sql: String) throws -> [[String]] {
        try DatabaseQueue(path: path).read { database in
            try Row.fetchAll(database, sql: sql).map { row in
                row.databaseValues.map { String.fromDatabaseValue($0) ?? $0.description }
            }
        }
    }

    private func expectSQLite(_ path: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try read(path, sqliteQuestion) == HostileRequest.stored, sourceLocation: sourceLocation)
        #expect(try read(path, counts) == [["4", "2", "1", "2", "6"]], sourceLocation: sourceLocation)
        let first = try read(
            path,
            "SELECT start_time, cost_usd IS NULL, input_tokens IS NULL, reasoning_tokens IS NULL, tool_name IS NULL, "
                + "user_id, json_valid(attributes), json_extract(attributes, '$.inf'), "
                + "json_extract(attributes, '$.map.a') IS NULL, json_type(tool_arguments), tenant, "
                + "(SELECT count(*) FROM json_each(attributes) WHERE key = 'same') FROM spans WHERE span_id LIKE '05%'")
        #expect(
            first.first?.prefix(11) == [
                "\(Int64.max)", "1", "1", "1", "1", "\"/wA=\"", "1", "-Infinity", "1", "array", "o'neil",
            ], sourceLocation: sourceLocation)
        #expect(
            try read(path, "SELECT count(*), sum(json_valid(attributes)), max(severity_number) FROM logs")
                == [["2", "2", "255"]], sourceLocation: sourceLocation)
        #expect(
            try read(path, "SELECT count(value), max(count), sum(sum IS NULL) FROM metric_points")
                == [["4", "\(Int64.max)", "6"]], sourceLocation: sourceLocation)
    }

    @Test func `sqlite stores all of it`() async throws {
        let exporter = SQLiteExporter(
            options: options(SQLiteOptions.self, "{path: h.db}").options,
            build: exporterBuild(directory: directory.path))
        try await deliver(to: exporter)
        await expectRefusal(exporter)
        await exporter.shutdown()
        try expectSQLite(directory.file("h.db"))
    }

    @Test func `sqlite3 reads all of it from SQL files`() async throws {
        let path = directory.file("h.sql")
        let exporter = SQLFileExporter(
            options: options(SQLFileOptions.self, "{path: \(path)}").options, build: exporterBuild())
        try await deliver(to: exporter)
        await expectRefusal(exporter)
        await exporter.shutdown()
        let outcome = try ChildProcess.runBlocking(
            "sqlite3", ["-bail", directory.file("h.db")], input: .file(path))
        #expect(outcome.status == 0, "\(outcome.errors)")
        try expectSQLite(directory.file("h.db"))
    }

    // MARK: PostgreSQL

    private func expectPostgres(
        _ server: PostgresServer, _ database: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        // psql splits at line breaks, so names are read as JSON.
        let question = HostileRequest.select(text: "text", integer: "bigint").replacing(
            "SELECT name,", with: "SELECT to_json(name),")
        var rows = try server.query(question, database: database)
        for index in rows.indices {
            rows[index][0] = try JSONDecoder().decode([String].self, from: Data("[\(rows[index][0])]".utf8))[0]
        }
        #expect(rows == HostileRequest.stored, sourceLocation: sourceLocation)
        #expect(
            try server.query(counts, database: database) == [["4", "2", "1", "2", "6"]],
            sourceLocation: sourceLocation)
        let first = try server.query(
            "SELECT extract(year FROM start_time), cost_usd IS NULL, input_tokens IS NULL, reasoning_tokens IS NULL, "
                + "tool_name IS NULL, user_id, attributes->>'inf', attributes->>'same', tenant, "
                + "attributes->E'k\\'\"\\n\u{FFFD}\\\\;--' FROM spans WHERE span_id LIKE '05%'", database: database)
        #expect(
            first == [["2262", "t", "t", "t", "t", "\"/wA=\"", "-Infinity", "2", "o'neil", #""v�\\u0000""#]],
            sourceLocation: sourceLocation)
        #expect(
            try server.query(
                "SELECT count(*), count(*) FILTER (WHERE value = 'Infinity'), max(count) FROM metric_points",
                database: database) == [["6", "1", "\(Int64.max)"]], sourceLocation: sourceLocation)
    }

    @Test(
        .enabled(if: PostgresServer.isExpected),
        arguments: ["", ", insert_method: insert", ", partition: day"])
    func `postgres stores all of it`(_ more: String) async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let exporter = PostgresExporter(
            options: options(PostgresOptions.self, "{datasource: \"\(server.datasource(database))\"\(more)}").options,
            build: exporterBuild())
        try await deliver(to: exporter)
        await expectRefusal(exporter)
        await exporter.shutdown()
        try expectPostgres(server, database)
    }

    @Test(.enabled(if: PostgresServer.isExpected))
    func `psql reads all of it from SQL files`() async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let path = directory.file("h.sql")
        let exporter = SQLFileExporter(
            options: options(SQLFileOptions.self, "{path: \(path), dialect: postgres}").options,
            build: exporterBuild())
        try await deliver(to: exporter)
        await exporter.shutdown()
        try server.run(file: path, database: database)
        try expectPostgres(server, database)
    }

    // MARK: ClickHouse

    /// Rows of an answer of ClickHouse, whose names are asked for in hexadecimal digits.
    private func rows(_ text: String) -> [[String]] {
        text.split(separator: "\n").map { line in
            var cells = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            let digits = Array(cells[0].utf8)
            let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
            }
            cells[0] = String(decoding: bytes, as: UTF8.self)
            return cells
        }
    }

    private var clickHouseQuestion: String {
        HostileRequest.select(text: "Nullable(String)", integer: "Nullable(Int64)", length: "length")
            .replacing("SELECT name,", with: "SELECT hex(name),").replacing("FROM spans", with: "FROM spans FINAL")
    }

    @Test(.enabled(if: ClickHouseServer.isExpected), arguments: ["lz4", "zstd", "gzip", "none"])
    func `clickhouse stores all of it`(_ compression: String) async throws {
        let server = try ClickHouseServer()
        let exporter = ClickHouseExporter(
            options: options(ClickHouseOptions.self, "{endpoint: \"\(server.url)\", compress: \(compression)}").options,
            build: exporterBuild())
        try await deliver(to: exporter)
        await expectRefusal(exporter)
        #expect(rows(await server.ask(clickHouseQuestion)) == HostileRequest.stored)
        #expect(
            await server.ask(counts.replacing("FROM spans)", with: "FROM spans FINAL)")) == "4\t2\t1\t2\t6\n")
        #expect(
            await server.ask(
                "SELECT toUnixTimestamp64Nano(start_time), isNull(cost_usd), isNull(input_tokens), user_id, "
                    + "JSONExtractString(attributes, 'inf'), isValidJSON(attributes) FROM spans FINAL "
                    + "WHERE startsWith(span_id, '05')") == "\(Int64.max)\t1\t1\t\"/wA=\"\t-Infinity\t1\n")
    }

    @Test(.enabled(if: ClickHouseServer.isExpected))
    func `clickhouse stores all of it in the Collector's tables`() async throws {
        let server = try ClickHouseServer()
        let exporter = ClickHouseExporter(
            options: options(ClickHouseOptions.self, "{endpoint: \"\(server.url)\", table_shape: collector}").options,
            build: exporterBuild())
        try await deliver(to: exporter, hasMetrics: false)
        await expectRefusal(exporter)
        let names = rows(await server.ask("SELECT hex(SpanName), StatusCode FROM otel_traces ORDER BY SpanId"))
        #expect(names.map { $0[0] } == HostileRequest.stored.map { $0[0] })
        #expect(names.map { $0[1] } == ["Unset", "Unset", "Error", "Unset"])
        #expect(await server.ask("SELECT count(), max(SeverityNumber) FROM otel_logs") == "2\t255\n")
    }

    // MARK: Snowflake

    @Test(.enabled(if: SnowflakeServer.isExpected))
    func `snowflake stores all of it`() async throws {
        let server = try SnowflakeServer(account: "a", user: "u")
        let exporter = SnowflakeExporter(
            options: options(
                SnowflakeOptions.self,
                "{account: a, user: u, database: D, endpoint: \"\(server.url)\", "
                    + "private_key_file: \(server.keyPath)}"
            ).options, build: exporterBuild(), version: "1.0")
        try await deliver(to: exporter)
        await expectRefusal(exporter)
        #expect(
            await rows(exporter, HostileRequest.select(text: "VARCHAR", integer: "NUMBER(38, 0)"))
                == HostileRequest.stored)
        #expect(await rows(exporter, "SELECT * FROM (\(counts))") == [["4", "2", "1", "2", "6"]])
    }

    private func rows(_ exporter: SnowflakeExporter, _ sql: String) async -> [[String]] {
        switch await exporter.connection.run(sql, document: nil) {
        case .done(let rows): rows.map { $0.map { $0 ?? "NULL" } }
        case let answer: [["\(answer)"]]
        }
    }

    // MARK: Files

    /// Names of the spans in a line of OTLP/JSON, read by Foundation.
    private func names(_ line: Substring) throws -> [String] {
        struct Request: Decodable {
            struct Resource: Decodable { var scopeSpans: [Scope] }
            struct Scope: Decodable { var spans: [Span] }
            struct Span: Decodable { var name: String? }
            var resourceSpans: [Resource]
        }
        return try JSONDecoder().decode(Request.self, from: Data(line.utf8)).resourceSpans
            .flatMap(\.scopeSpans).flatMap(\.spans).map { $0.name ?? "" }
    }

    @Test func `file holds all of it, NUL too, in lines that are JSON`() async throws {
        let exporter = FileExporter(
            options: options(FileOptions.self, "path: \(directory.file("h.json"))\n").options, build: exporterBuild())
        try await deliver(to: exporter)
        await exporter.shutdown()
        let lines = directory.contents("h.json").split(separator: "\n")
        #expect(lines.count == 6)
        for line in lines { _ = try JSONSerialization.jsonObject(with: Data(line.utf8)) }
        #expect(try names(lines[0]) == [HostileRequest.name, "", "ends before it starts", "good"])
    }

    @Test func `S3 objects hold all of it, NUL too`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let read = options(
            S3Options.self,
            """
            s3uploader:
              {endpoint: '\(server.url)', s3_bucket: b, s3_force_path_style: true, access_key_id: AK,
               secret_access_key: SK, compression: none}
            """)
        #expect(read.problems == [])
        let exporter = S3Exporter(options: read.options, build: exporterBuild(), now: { 1_369_353_600 })
        try await deliver(to: exporter)
        let bodies = server.requests.map { String(decoding: $0.body, as: UTF8.self) }
        #expect(bodies.count == 6)
        for body in bodies { _ = try JSONSerialization.jsonObject(with: Data(body.utf8)) }
        let first = try #require(bodies.first)
        #expect(try names(first[...]).first == HostileRequest.name)
    }
}
