@testable import Exporters
import Pipeline
import Telemetry
import TestSupport
import Testing

/// Against Debian's ClickHouse server: the HTTP interface is the real one. It is older than the types and settings of
/// our schema, so the tables hold times as the integers that they are on the wire, and inserts have no token.
@Suite(.serialized, .timeLimit(.minutes(15)), .enabled(if: DebianClickHouse.isExpected))
struct ClickHouseProtocolTests {
    private let server: DebianClickHouse

    init() async throws {
        server = try DebianClickHouse()
        try await server.ready()
    }

    private func client(_ more: String = "", password: String = DebianClickHouse.password) throws -> ClickHouseClient {
        let read = options(
            ClickHouseOptions.self, "{endpoint: \"\(server.url)\", password: \"\(password)\"\(more)}")
        #expect(read.problems == [])
        let client = ClickHouseClient(options: read.options, engine: .shared, sendsTokens: false)
        try client.start()
        return client
    }

    private func makeTables() async {
        for table in SQLTable.all {
            var sql = SQLDialect.clickhouse.create(table).replacing("DateTime64(9, 'UTC')", with: "Int64")
            if let settings = sql.firstRange(of: " SETTINGS ") { sql = String(sql[..<settings.lowerBound]) }
            #expect(await server.ask(sql) == "")
        }
    }

    private func rows(of batch: ExportBatch) throws -> BinaryRows {
        var rows = BinaryRows(sizeHint: 0)
        var scratch = RowScratch()
        try RequestRows().write(batch, blockKey: .fixed, &scratch, to: &rows)
        return rows
    }

    @Test(arguments: ["gzip", "none"]) func `takes the rows of every signal`(_ compression: String) async throws {
        await makeTables()
        let client = try client(", compress: \(compression)")
        for batch in [HostileRequest.traces, HostileRequest.logs, HostileRequest.metrics] {
            let rows = try rows(of: batch)
            for place in 0..<BinaryRows.insertCount {
                guard let insert = rows.insert(place, records: 0..<rows.records) else { continue }
                #expect(await client.insert(insert) == .done(""))
            }
        }
        #expect(await server.ask("SELECT count() FROM spans") == "4\n")
        #expect(await server.ask("SELECT count() FROM span_events") == "2\n")
        #expect(await server.ask("SELECT count(), max(severity_number) FROM logs") == "2\t255\n")
        #expect(await server.ask("SELECT count(), max(count) FROM metric_points") == "6\t\(Int64.max)\n")
        #expect(
            await server.ask(
                "SELECT start_time, length(input_messages), output_tokens, user_id, length(attributes) > 100 "
                    + "FROM spans WHERE operation = 'chat'")
                == "\(Int64.max)\t\(HostileRequest.textSize)\t\(Int64.min)\t\"/wA=\"\t1\n")
    }

    @Test func `a record between others is found in their rows`() async throws {
        await makeTables()
        let rows = try rows(of: HostileRequest.traces)
        let client = try client(", compress: none")
        for place in 0..<BinaryRows.insertCount {
            guard let insert = rows.insert(place, records: 1..<3) else { continue }
            #expect(await client.insert(insert) == .done(""))
        }
        #expect(
            await server.ask("SELECT name, kind FROM spans ORDER BY span_id")
                == "\t99\nends before it starts\tinternal\n")
        #expect(await server.ask("SELECT count() FROM span_events") == "0\n")
    }

    @Test func `its exceptions tell what to do`() async throws {
        let insert = ClickHouseInsert(
            statement: ClickHouseInsert.Statement(table: "spans", columns: "trace_id"), body: [200, 1, 2])
        guard case .retry(let missing, _) = await (try client(", compress: none")).insert(insert) else {
            Issue.record("a missing table is a passing problem")
            return
        }
        #expect(missing.contains("Code: 60") && missing.contains("sluice sql migrate"))
        await makeTables()
        guard case .refused(let torn) = await (try client(", compress: none")).insert(insert) else {
            Issue.record("rows that end early are refused for good")
            return
        }
        #expect(torn.contains("Code: 33"), "\(torn)")
        guard case .retry(let login, _) = await (try client(password: "wrong")).run("SELECT 1") else {
            Issue.record("a wrong password is a passing problem")
            return
        }
        #expect(login.contains("check username and password") && !login.contains("wrong"), "\(login)")
        guard case .retry(let coding, _) = await (try client()).insert(insert) else {
            Issue.record("a coding that the server does not know is a passing problem")
            return
        }
        #expect(coding.contains("compress: gzip"), "\(coding)")
    }
}
