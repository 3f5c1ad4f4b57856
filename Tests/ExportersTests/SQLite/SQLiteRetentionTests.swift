@testable import Exporters
import GRDB
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct SQLiteRetentionTests {
    private let directory = TemporaryDirectory()
    private var path: String { directory.file("sluice.db") }
    private let second: UInt64 = 1_000_000_000

    private func start(_ retention: String, now: Int64 = 0) async throws -> SQLiteExporter {
        let read = options(SQLiteOptions.self, "{retention: \(retention)}")
        #expect(read.problems == [])
        let exporter = SQLiteExporter(
            options: read.options, build: exporterBuild(directory: directory.path), wallClock: { now * 1_000 })
        try await exporter.start()
        return exporter
    }

    private func value(_ sql: String) throws -> Int {
        try DatabaseQueue(path: path).read { try Int.fetchOne($0, sql: sql) ?? -1 }
    }

    private func wait(_ condition: () throws -> Bool) async throws {
        for _ in 0..<3_000 {
            if try condition() { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("not within a minute")
    }

    private func span(_ trace: UInt8, _ id: UInt8, at time: UInt64, text: Int = 1) -> TestSpan {
        TestSpan(
            trace: trace, id: id, start: time * second, end: time * second,
            attributes: [("gen_ai.tool.call.result", .text(String(repeating: "x", count: text)))],
            events: [("gen_ai.evaluation.result", [("gen_ai.evaluation.name", .text("p"))])], links: [9])
    }

    private func write(_ spans: [TestSpan], _ exporter: SQLiteExporter) async {
        let bytes = TestRequest.traces(spans)
        #expect(await exporter.export(ExportBatch(signal: .traces, itemCount: spans.count, bytes: bytes)) == .delivered)
    }

    @Test func `deletes what is too old, with all that belongs to it`() async throws {
        let exporter = try await start("{max_age: 100s, interval: 20ms}", now: 1_000)
        await write((1...250).map { span(1, $0, at: 800) } + [span(2, 1, at: 950), span(2, 2, at: 1_100)], exporter)
        let logs = ExportBatch(signal: .logs, itemCount: 1, bytes: TestRequest.logs(["old"]))
        #expect(await exporter.export(logs) == .delivered)
        try await wait { try value("SELECT count(*) FROM spans") == 2 && value("SELECT count(*) FROM logs") == 0 }
        for table in ["span_events", "span_links", "findings"] {
            #expect(try value("SELECT count(*) FROM \(table)") == 2, "\(table)")
        }
        await exporter.shutdown()
    }

    @Test func `what has no time has no age, and what was only observed is as old as that`() async throws {
        let exporter = try await start("{max_age: 100s, interval: 20ms}", now: 1_000)
        await write([span(1, 1, at: 0), span(2, 1, at: 800)], exporter)
        for batch in TestRequest.timeless(observed: 800 * second) {
            #expect(await exporter.export(batch) == .delivered)
        }
        try await wait { try value("SELECT count(*) FROM spans") == 1 }
        try await wait { try value("SELECT count(*) FROM logs") == 1 }
        try await wait { try value("SELECT count(*) FROM metric_points") == 1 }
        for table in ["spans", "span_events", "span_links", "findings", "logs", "metric_points"] {
            #expect(try value("SELECT count(*) FROM \(table)") == 1, "\(table)")
        }
        await exporter.shutdown()
        let keeping = try await start("{}")
        #expect(await keeping.export(TestRequest.timeless(observed: 950 * second)[0]) == .delivered)
        #expect(try value("SELECT max(time) / 1000000000 FROM logs") == 950)
        await keeping.shutdown()
    }

    @Test func `keeps the newest within the size and gives the room back`() async throws {
        let exporter = try await start("{max_size: 4MiB, interval: 20ms}")
        for trace in UInt8(1)...20 {
            await write((1...200).map { span(trace, $0, at: UInt64(trace) * 100, text: 2_000) }, exporter)
        }
        let used =
            "SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)"
        let page = try value("PRAGMA page_size")
        try await wait { try value(used) * page <= 4 << 20 }
        try await wait { try value("SELECT page_count FROM pragma_page_count") * page < 5_000_000 }
        #expect(try value("SELECT count(*) FROM spans") > 100)
        #expect(try value("SELECT max(start_time) / 1000000000 FROM spans") == 2_000)
        #expect(try value("SELECT count(*) FROM spans WHERE start_time < 500000000000") == 0)
        await exporter.shutdown()
    }

    @Test func `takes no size that the tables alone would fill`() {
        #expect(options(SQLiteOptions.self, "{retention: {max_size: 1MiB}}").problems.contains { $0.contains("4MiB") })
    }

    @Test func `is whole after writing, deleting and reading at once`() async throws {
        let exporter = try await start("{max_size: 4MiB, interval: 10ms}")
        let path = path
        let stop = StopFlag()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var configuration = Configuration()
                    configuration.readonly = true
                    configuration.busyMode = .timeout(5)
                    guard let reader = try? DatabaseQueue(path: path, configuration: configuration) else {
                        Issue.record("no reader")
                        return
                    }
                    while !stop.isSet {
                        // In one snapshot nothing may be half there.
                        let lonely = try? await reader.read {
                            try Int.fetchOne(
                                $0,
                                sql: "SELECT count(*) FROM span_events AS e WHERE NOT EXISTS (SELECT 1 FROM spans "
                                    + "AS s WHERE s.trace_id = e.trace_id AND s.span_id = e.span_id)")
                        }
                        if lonely != 0 { Issue.record("\(lonely ?? -1) events without their span") }
                    }
                }
            }
            for trace in UInt8(1)...30 {
                await write((1...100).map { span(trace, $0, at: UInt64(trace), text: 4_000) }, exporter)
            }
            stop.set()
        }
        await exporter.shutdown()
        let verdict = try await DatabaseQueue(path: path).read {
            try String.fetchAll($0, sql: "PRAGMA integrity_check")
        }
        #expect(verdict == ["ok"])
    }
}

/// Tells tasks that run side by side to end.
private final class StopFlag: Sendable {
    private let storage = Atomic<Bool>(false)

    func set() { storage.store(true, ordering: .relaxed) }
    var isSet: Bool { storage.load(ordering: .relaxed) }
}
