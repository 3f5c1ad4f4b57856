@testable import Exporters
import Foundation
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct SQLFileExporterTests {
    private let directory = TemporaryDirectory()

    private func start(_ yaml: String) async throws -> SQLFileExporter {
        let read = options(SQLFileOptions.self, "{path: \(directory.file("out.sql"))\(yaml)}")
        #expect(read.problems == [])
        let exporter = SQLFileExporter(options: read.options, build: exporterBuild())
        try await exporter.start()
        return exporter
    }

    /// Texts that break naive quoting, and numbers at the ends of their ranges.
    private var hostile: [TestSpan] {
        let texts = [
            "it's; DROP TABLE spans; --", "a\nb", "a\r\nb\\n", "\\", "\\'", "''", "\"", "$$", ":name :'name' @x ?1",
            ".quit", "\n.quit\n", "\\! ls\n\\q", "-- end of request\n-- end of request", "tab\t\u{1}\u{7F}\u{9B}",
            "\u{1F600}\u{202E}", "E'\\x41'", "{\"a\": \"\\u0000\"}", "", String(repeating: "line\n", count: 3_000),
            String(repeating: "'", count: 5_000), "\\\\n\r", "ends in \\",
        ]
        let random = SeededRandom(7)
        let alphabet = Array("'\"\\\n\r;-$:.E{}xu0\t ä\u{1F600}")
        let drawn = (0..<60).map { _ in
            String((0..<Int(random.next() % 30)).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] })
        }
        return (texts + drawn).enumerated().map { index, text in
            TestSpan(
                trace: UInt8(1 + index / 200), id: UInt8(1 + index % 200), name: text,
                start: 1_700_000_000_123_456_789, end: 1_700_000_000_123_456_789,
                attributes: [
                    ("gen_ai.tool.call.result", .text(text)), (text + "k", .text(text)),
                    ("gen_ai.usage.cost", .double([0.1, -.infinity, 1e300, .leastNonzeroMagnitude][index % 4])),
                    ("gen_ai.usage.input_tokens", .int([.max, .min, 0, -1][index % 4])),
                ], events: [("gen_ai.evaluation.result", [("gen_ai.evaluation.explanation", .text(text))])])
        }
    }

    private func write(_ exporter: SQLFileExporter) async throws {
        let spans = hostile
        let batches = [
            ExportBatch(signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans), tenant: "o'neil"),
            ExportBatch(signal: .logs, itemCount: 2, bytes: TestRequest.logs(["a'b\n", "c"])),
            ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics()),
        ]
        for batch in batches { #expect(await exporter.export(batch) == .delivered) }
        let bad = ExportBatch(signal: .traces, itemCount: 1, bytes: [0x0A, 0xFF])
        guard case .permanent = await exporter.export(bad) else {
            Issue.record("not permanent")
            return
        }
        await exporter.shutdown()
    }

    private func run(_ program: String, _ arguments: [String], input: String? = nil) throws -> String {
        let outcome = try ChildProcess.runBlocking(
            program, arguments, input: input.map { .file($0) } ?? .nothing)
        #expect(outcome.status == 0 && outcome.errors == "", "\(outcome.errors)")
        return outcome.output
    }

    @Test func `sqlite3 reads back what was written, byte for byte`() async throws {
        try await write(start(""))
        for _ in 0..<2 { _ = try run("sqlite3", ["-bail", directory.file("t.db")], input: directory.file("out.sql")) }
        let columns = "hex(name), hex(tool_result), hex(attributes), input_tokens, cost_usd, start_time, tenant"
        let loaded = try run("sqlite3", [directory.file("t.db"), "SELECT \(columns) FROM spans ORDER BY 1, 2, 3, 4"])
        let live = SQLiteExporter(
            options: options(SQLiteOptions.self, "{path: live.db}").options,
            build: exporterBuild(directory: directory.path))
        try await live.start()
        let spans = hostile
        let batch = ExportBatch(
            signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans), tenant: "o'neil")
        #expect(await live.export(batch) == .delivered)
        await live.shutdown()
        let stored = try run(
            "sqlite3", [directory.file("live.db"), "SELECT \(columns) FROM spans ORDER BY 1, 2, 3, 4"])
        #expect(loaded == stored)
        #expect(loaded.split(separator: "\n").count == spans.count)
        let counts =
            "SELECT (SELECT count(*) FROM logs), (SELECT count(*) FROM metric_points), "
            + "(SELECT count(*) FROM findings)"
        #expect(try run("sqlite3", [directory.file("t.db"), counts]) == "2|3|\(spans.count)\n")
    }

    @Test(.enabled(if: PostgresServer.isExpected))
    func `psql reads back what COPY stores`() async throws {
        try await write(start(", dialect: postgres"))
        let server = try PostgresServer.shared.get()
        let (file, live) = (try server.makeDatabase(), try server.makeDatabase())
        for _ in 0..<2 { try server.run(file: directory.file("out.sql"), database: file) }
        let exporter = PostgresExporter(
            options: options(PostgresOptions.self, "{datasource: \"\(server.datasource(live))\"}").options,
            build: exporterBuild())
        let spans = hostile
        let batch = ExportBatch(
            signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans), tenant: "o'neil")
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
        let sql = "SELECT to_jsonb(s) FROM spans AS s ORDER BY trace_id, span_id"
        let (loaded, stored) = (try server.query(sql, database: file), try server.query(sql, database: live))
        #expect(loaded == stored)
        #expect(loaded.count == spans.count)
        #expect(try server.query("SELECT count(*) FROM logs", database: file) == [["2"]])
    }

    @Test func `CSV holds the rows of one table`() async throws {
        try await write(start(", format: csv, table: logs"))
        let text = directory.contents("out.sql")
        #expect(text.hasPrefix("block,position,time,"))
        #expect(text.contains(",\"a'b\n\",\"agent\","))
        let script =
            "import csv,sys; rows=list(csv.DictReader(open(sys.argv[1], newline=''))); "
            + "print(len(rows), rows[1]['body'], rows[0]['event_name'] == '', rows[0]['time'])"
        #expect(
            try run("python3", ["-c", script, directory.file("out.sql")]) == "2 c True 1970-01-01 00:00:00.000000005\n")
    }

    @Test func `goes on behind the last whole request, and in new files when one is full`() async throws {
        let exporter = try await start(", create_schema: false, rotation: {max_megabytes: 1}")
        let one = ExportBatch(
            signal: .logs, itemCount: 1, bytes: TestRequest.logs([String(repeating: "y", count: 400_000)]))
        #expect(await exporter.export(one) == .delivered)
        let whole = directory.contents("out.sql")
        await exporter.shutdown()
        let handle = try FileHandle(forWritingTo: URL(filePath: directory.file("out.sql")))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("BEGIN;\nINSERT INTO logs (block) VALUES ('torn".utf8))
        try handle.close()
        let again = try await start(", create_schema: false, rotation: {max_megabytes: 1}")
        #expect(directory.contents("out.sql") == whole)
        for _ in 0..<4 { #expect(await again.export(one) == .delivered) }
        let files = directory.names.filter { $0.hasSuffix(".sql") }
        #expect(files.count == 3)
        for file in files {
            let text = directory.contents(file)
            #expect(text.hasPrefix("-- Sluice") && text.hasSuffix("-- end of request\n"))
        }
        await again.shutdown()
        try Data("something else".utf8).write(to: URL(filePath: directory.file("out.sql")))
        await #expect(throws: ExporterStartFailure.self) { _ = try await start("") }
    }
}
