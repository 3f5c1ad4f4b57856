@testable import Exporters
import Foundation
import GRDB
import Pipeline
import Telemetry
import TestSupport
import Testing

/// The question of docs/sql.md, in the words that stand there, on each database.
@Suite(.serialized, .timeLimit(.minutes(15))) struct FailedToolCallsTests {
    private let directory = TemporaryDirectory()

    private func question(_ dialect: String) throws -> String {
        let page = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../docs/sql.md")
        let text = try String(contentsOf: page.standardizedFileURL, encoding: .utf8)
        let start = try #require(text.range(of: "```\(dialect)\n")?.upperBound)
        let end = try #require(text.range(of: "\n```", range: start..<text.endIndex)?.lowerBound)
        return String(text[start..<end])
    }

    /// Failed calls: of a session named on the root only with a customer, of a user alone, of two days ago; and one
    /// that did not fail.
    private var batch: ExportBatch {
        let now = UInt64(Date().timeIntervalSince1970) * 1_000_000_000
        let hour: UInt64 = 3_600_000_000_000
        func call(_ trace: UInt8, _ tool: String, _ start: UInt64, _ more: [(String, TestValue)]) -> TestSpan {
            TestSpan(
                trace: trace, id: 2, parent: 1, name: "execute_tool", start: start, end: start + 1,
                attributes: [
                    ("gen_ai.operation.name", .text("execute_tool")), ("gen_ai.tool.name", .text(tool)),
                ] + more)
        }
        let failed: [(String, TestValue)] = [("error.type", .text("timeout"))]
        let spans = [
            TestSpan(
                trace: 1, id: 1, start: now - hour, end: now,
                attributes: [
                    ("gen_ai.conversation.id", .text("c1")), ("user.id", .text("u1")), ("customer.id", .text("acme")),
                ]),
            call(1, "search", now - hour, failed),
            call(2, "refund", now - 2 * hour, failed + [("user.id", .text("u2"))]),
            call(3, "old", now - 48 * hour, failed), call(4, "good", now - hour, []),
        ]
        return ExportBatch(signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans))
    }

    /// Without the time.
    private let answer = [["search", "timeout", "c1", "acme"], ["refund", "timeout", "", "u2"]]

    @Test func `sqlite tells sessions and customers`() async throws {
        let exporter = SQLiteExporter(
            options: options(SQLiteOptions.self, "{path: q.db}").options,
            build: exporterBuild(directory: directory.path))
        try await exporter.start()
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
        let sql = try question("sqlite")
        let rows = try await DatabaseQueue(path: directory.file("q.db")).read {
            try Row.fetchAll($0, sql: sql).map { row in
                row.databaseValues.dropFirst().map { String.fromDatabaseValue($0) ?? "" }
            }
        }
        #expect(rows == answer)
    }

    @Test(.enabled(if: PostgresServer.isExpected)) func `postgres tells sessions and customers`() async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let exporter = PostgresExporter(
            options: options(PostgresOptions.self, "{datasource: \"\(server.datasource(database))\"}").options,
            build: exporterBuild())
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
        let rows = try server.query(try question("postgres") + ";", database: database)
        #expect(rows.map { Array($0.dropFirst()) } == answer)
    }

    @Test(.enabled(if: ClickHouseServer.isExpected)) func `clickhouse tells sessions and customers`() async throws {
        let server = try ClickHouseServer()
        let exporter = ClickHouseExporter(
            options: options(ClickHouseOptions.self, "{endpoint: \"\(server.url)\"}").options, build: exporterBuild())
        try await exporter.start()
        #expect(await exporter.export(batch) == .delivered)
        let rows = await server.ask(try question("clickhouse")).split(separator: "\n").map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).dropFirst().map {
                $0 == "\\N" ? "" : String($0)
            }
        }
        #expect(rows == answer)
    }
}
