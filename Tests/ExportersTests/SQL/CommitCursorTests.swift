@testable import Exporters
import Foundation
import GRDB
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// A destination whose transactions remember what they have committed, and the rows that it has.
private protocol RememberingDatabase: Sendable {
    func exporter() throws -> any Exporter
    func values(_ sql: String) throws -> [String]
    func execute(_ sql: String) throws
}

private final class SQLiteDatabase: RememberingDatabase {
    private let directory = TemporaryDirectory()

    func exporter() throws -> any Exporter {
        SQLiteExporter(
            options: options(SQLiteOptions.self, "{}").options, build: exporterBuild(directory: directory.path))
    }

    func values(_ sql: String) throws -> [String] {
        try DatabaseQueue(path: directory.file("sluice.db")).read { database in
            try Row.fetchAll(database, sql: sql).map { $0[0] as String }
        }
    }

    func execute(_ sql: String) throws {
        try DatabaseQueue(path: directory.file("sluice.db")).write { try $0.execute(sql: sql) }
    }
}

private final class PostgresDatabase: RememberingDatabase {
    private let server: PostgresServer
    private let name: String
    private let method: String

    init(_ method: String) throws {
        server = try PostgresServer.shared.get()
        name = try server.makeDatabase()
        self.method = method
    }

    func exporter() throws -> any Exporter {
        let read = options(
            PostgresOptions.self, "{datasource: \"\(server.datasource(name))\", insert_method: \(method)}")
        return PostgresExporter(options: read.options, build: exporterBuild())
    }

    func values(_ sql: String) throws -> [String] { try server.query(sql, database: name).map { $0[0] } }
    func execute(_ sql: String) throws { try server.query(sql, database: name) }
}

/// Takes the given number of batches and then, as if the gateway were killed, nothing any more.
private final class DyingExporter: Exporter {
    private let base: any Exporter
    private let left: Mutex<Int>

    init(_ base: any Exporter, batches: Int) {
        self.base = base
        left = Mutex(batches)
    }

    var maxConcurrency: Int { 1 }
    var recordsCommits: Bool { true }
    func start() async throws { try await base.start() }
    func shutdown() async { await base.shutdown() }

    func export(_ batch: ExportBatch) async -> ExportOutcome {
        let isAlive = left.withLock { left in
            defer { left -= 1 }
            return left > 0
        }
        if isAlive { return await base.export(batch) }
        return .retry(reason: "killed", after: nil)
    }
}

/// The cursor row: what was committed is passed over when the journal gives it again.
@Suite(.timeLimit(.minutes(15))) struct CommitCursorTests {
    static let kinds = PostgresServer.isExpected ? ["sqlite", "copy", "insert"] : ["sqlite"]

    private static func database(_ kind: String) throws -> any RememberingDatabase {
        kind == "sqlite" ? SQLiteDatabase() : try PostgresDatabase(kind)
    }

    private func logs(_ bodies: [String]) -> Frame {
        Frame(
            header: FrameHeader(signal: .logs, itemCount: UInt32(bodies.count)), bytes: TestRequest.logs(bodies))
    }

    /// Delivers the frames of a journal from its beginning, in deliveries of at most `maxSize` records, and takes
    /// `batches` of them. Gives how many records were known to the database.
    @discardableResult
    private func deliver(
        _ frames: [Frame], to exporter: any Exporter, maxSize: Int, batches: Int = .max, journal: String? = "aa"
    ) async throws -> Int {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for frame in frames { cursor.append(frame) }
        let metrics = SelfMetrics()
        let yaml =
            "{retry_on_failure: {max_elapsed_time: 5s}, sending_queue: {num_consumers: 1, "
            + "batch: {min_size: \(maxSize), max_size: \(maxSize), flush_timeout: 10ms}}}"
        var setup = ExportWorkerSetup(
            exporterID: "sql", pipelineID: "logs", options: options(ExporterHelperOptions.self, yaml).options,
            isDurable: true, effects: clock.effects())
        setup.journal = journal
        let dying = DyingExporter(exporter, batches: batches)
        try await dying.start()
        let worker = ExportWorker(cursor: cursor, exporter: dying, metrics: metrics, setup: setup)
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
        await dying.shutdown()
        let known = metrics.series.first { $0.name == "sluice_exporter_already_committed_items_total" }
        return known.map { Int($0.read()) } ?? -1
    }

    @Test(arguments: kinds) func `equal records count, each once, however the journal is cut after a kill`(
        _ kind: String
    ) async throws {
        let database = try Self.database(kind)
        // Ten equal records in a frame, twice: what a sender means, not what is delivered twice.
        let frames = [logs((0..<10).map { _ in "same" }), logs((0..<9).map { _ in "other" }), logs(["a", "b"])]
        try await deliver(frames, to: database.exporter(), maxSize: 4, batches: 2)
        #expect(try database.values("SELECT body FROM logs").count == 8, "two deliveries of four")
        let known = try await deliver(frames, to: database.exporter(), maxSize: 3, batches: 2)
        #expect(known > 0)
        try await deliver(frames, to: database.exporter(), maxSize: 7, batches: 3)
        try await deliver(frames, to: database.exporter(), maxSize: 5)
        let counts = try ["same", "other", "a", "b"].map {
            try database.values("SELECT body FROM logs WHERE body = '\($0)'").count
        }
        #expect(counts == [10, 9, 1, 1])
        #expect(try await deliver(frames, to: database.exporter(), maxSize: 2) == 21, "all is known now")
        #expect(try database.values("SELECT body FROM logs").count == 21)
    }

    @Test(arguments: kinds) func `another journal with the same sequences loses nothing`(_ kind: String) async throws {
        let database = try Self.database(kind)
        try await deliver([logs(["a", "b"])], to: database.exporter(), maxSize: 100)
        #expect(try await deliver([logs(["c", "d"])], to: database.exporter(), maxSize: 100, journal: "bb") == 0)
        // The same journal that has lost its end and given the sequences to other frames.
        #expect(try await deliver([logs(["e", "f"])], to: database.exporter(), maxSize: 100) == 0)
        #expect(try await deliver([logs(["g", "h"])], to: database.exporter(), maxSize: 100, journal: nil) == -1)
        #expect(try database.values("SELECT body FROM logs").sorted() == ["a", "b", "c", "d", "e", "f", "g", "h"])
        let journals = try database.values("SELECT journal FROM sluice_cursor").map { String($0.prefix(3)) }
        #expect(Set(journals) == ["aa-", "bb-"])
    }

    @Test(arguments: kinds) func `a record that was refused is not taken for committed`(_ kind: String) async throws {
        let database = try Self.database(kind)
        try await deliver([logs(["first"])], to: database.exporter(), maxSize: 100)
        try database.execute(
            kind == "sqlite"
                ? "CREATE TRIGGER picky BEFORE INSERT ON logs WHEN new.body LIKE 'bad%' "
                    + "BEGIN SELECT raise(ABORT, 'bad'); END"
                : "ALTER TABLE logs ADD CONSTRAINT picky CHECK (body NOT LIKE 'bad%')")
        let frames = [logs(["first"]), logs(["good 1", "bad 2", "good 3", "bad 4"])]
        #expect(try await deliver(frames, to: database.exporter(), maxSize: 100) == 1)
        #expect(try database.values("SELECT body FROM logs").sorted() == ["first", "good 1", "good 3"])
        try database.execute(kind == "sqlite" ? "DROP TRIGGER picky" : "ALTER TABLE logs DROP CONSTRAINT picky")
        // As after a kill between the commit and the dead letter: only what is missing is written.
        #expect(try await deliver(frames, to: database.exporter(), maxSize: 100) == 3)
        #expect(
            try database.values("SELECT body FROM logs").sorted() == ["bad 2", "bad 4", "first", "good 1", "good 3"])
    }

    @Test(arguments: kinds) func `of a batch that processors have changed all or nothing is stored`(
        _ kind: String
    ) async throws {
        let database = try Self.database(kind)
        let exporter = try database.exporter()
        try await exporter.start()
        func batch(_ bodies: [String]) -> ExportBatch {
            var batch = ExportBatch(signal: .logs, itemCount: bodies.count, bytes: TestRequest.logs(bodies))
            batch.isIndivisible = true
            return batch
        }
        #expect(await exporter.export(batch(["first"])) == .delivered)
        try database.execute(
            kind == "sqlite"
                ? "CREATE TRIGGER picky BEFORE INSERT ON logs WHEN new.body LIKE 'bad%' "
                    + "BEGIN SELECT raise(ABORT, 'bad'); END"
                : "ALTER TABLE logs ADD CONSTRAINT picky CHECK (body NOT LIKE 'bad%')")
        async let one = exporter.export(batch(["a", "b", "c"]))
        async let two = exporter.export(batch(["d", "bad", "e", "f"]))
        async let three = exporter.export(batch(["g", "h"]))
        let outcomes = await (one, two, three)
        #expect(outcomes.0 == .delivered && outcomes.2 == .delivered)
        guard case .refused = outcomes.1 else {
            Issue.record("not refused: \(outcomes.1)")
            return
        }
        #expect(try database.values("SELECT body FROM logs").sorted() == ["a", "b", "c", "first", "g", "h"])
        await exporter.shutdown()
    }

    @Test(arguments: kinds) func `rows go when the journal has let go of their frames, or after a month`(
        _ kind: String
    ) async throws {
        let database = try Self.database(kind)
        let exporter = try database.exporter()
        try await exporter.start()
        func batch(_ frame: UInt64, durable: UInt64, journal: String = "aa") -> ExportBatch {
            var batch = ExportBatch(
                signal: .logs, itemCount: 2, bytes: TestRequest.logs(["\(frame) one", "\(frame) two"]))
            batch.journaled = JournaledRecords(
                lane: CommitLane(journal: journal, exporter: "sql"), durable: durable,
                parts: [JournaledRecords.Part(frame: frame, checksum: 1, records: 0..<2)])
            return batch
        }
        for frame: UInt64 in [0, 2, 4] { #expect(await exporter.export(batch(frame, durable: 0)) == .delivered) }
        #expect(await exporter.export(batch(0, durable: 0, journal: "bb")) == .delivered)
        #expect(await exporter.export(batch(6, durable: 4)) == .delivered)
        let rows = "SELECT substr(journal, 1, 2) || ' ' || first_record FROM sluice_cursor ORDER BY 1"
        #expect(try database.values(rows) == ["aa 4", "aa 6", "bb 0"])
        #expect(await exporter.export(batch(6, durable: 4)) == .delivered, "this life's own need no look")
        try database.execute(
            kind == "sqlite"
                ? "UPDATE sluice_cursor SET committed_at = committed_at - 31 * 86400 WHERE journal LIKE 'bb-%'"
                : "UPDATE sluice_cursor SET committed_at = committed_at - interval '31 days' WHERE journal LIKE 'bb-%'")
        await exporter.shutdown()
        let next = try database.exporter()
        try await next.start()
        let again = await next.export(batch(6, durable: 4))
        #expect(again == .committed([JournaledRecords.Part(frame: 6, checksum: 1, records: 0..<2)]))
        #expect(try database.values(rows) == ["aa 4", "aa 6"])
        #expect(try database.values("SELECT body FROM logs").count == 8)
        await next.shutdown()
    }

    @Test(arguments: kinds) func `gateways on copies of one data directory leave each other's rows alone`(
        _ kind: String
    ) async throws {
        let database = try Self.database(kind)
        func batch(_ frame: UInt64, _ text: String, checksum: UInt32, durable: UInt64 = 0) -> ExportBatch {
            var batch = ExportBatch(signal: .logs, itemCount: 2, bytes: TestRequest.logs([text, text]))
            batch.journaled = JournaledRecords(
                lane: CommitLane(journal: "aa", exporter: "sql"), durable: durable,
                parts: [JournaledRecords.Part(frame: frame, checksum: checksum, records: 0..<2)])
            return batch
        }
        let (one, two) = try (database.exporter(), database.exporter())
        try await one.start()
        #expect(await one.export(batch(0, "both", checksum: 1)) == .delivered)
        try await two.start()
        let common = [JournaledRecords.Part(frame: 0, checksum: 1, records: 0..<2)]
        #expect(await two.export(batch(0, "both", checksum: 1)) == .committed(common), "written before the copy")
        // From here on the same places hold what each has got.
        #expect(await one.export(batch(2, "one", checksum: 2)) == .delivered)
        #expect(await two.export(batch(2, "two", checksum: 3)) == .delivered)
        #expect(await two.export(batch(4, "more", checksum: 4, durable: 4)) == .delivered)
        await one.shutdown()
        await two.shutdown()
        let again = try database.exporter()
        try await again.start()
        let kept = [JournaledRecords.Part(frame: 2, checksum: 2, records: 0..<2)]
        #expect(await again.export(batch(2, "one", checksum: 2)) == .committed(kept))
        #expect(await again.export(batch(6, "late", checksum: 5, durable: 6)) == .delivered)
        #expect(try database.values("SELECT body FROM logs").count == 10)
        try database.execute(
            kind == "sqlite"
                ? "UPDATE sluice_cursor SET committed_at = committed_at - 2 * 86400"
                : "UPDATE sluice_cursor SET committed_at = committed_at - interval '2 days'")
        #expect(await again.export(batch(8, "end", checksum: 6, durable: 8)) == .delivered)
        let left = try database.values("SELECT CAST(first_record AS text) FROM sluice_cursor")
        #expect(left == ["8"], "what all are past goes after a day")
        await again.shutdown()
    }

    /// Gauges by name, each with points of these values.
    private func metrics(_ gauges: [(name: String, values: [UInt64])]) -> Frame {
        let bytes = TestRequest.request("agent") { scope in
            for gauge in gauges {
                scope.message(2) { metric in
                    metric.text(1, gauge.name)
                    metric.message(5) { body in
                        for value in gauge.values {
                            body.message(1) { point in
                                point.fixed64(3, 7)
                                point.fixed64(6, value)
                            }
                        }
                    }
                }
            }
        }
        let count = gauges.reduce(0) { $0 + $1.values.count }
        return Frame(header: FrameHeader(signal: .metrics, itemCount: UInt32(count)), bytes: bytes)
    }

    @Test(arguments: kinds) func `a metric that was cut off has its good points once, whatever is refused of it`(
        _ kind: String
    ) async throws {
        let database = try Self.database(kind)
        try await deliver([metrics([("warm", [1])])], to: database.exporter(), maxSize: 100)
        try database.execute(
            kind == "sqlite"
                ? "CREATE TRIGGER picky BEFORE INSERT ON metric_points WHEN new.value > 90 "
                    + "BEGIN SELECT raise(ABORT, 'bad'); END"
                : "ALTER TABLE metric_points ADD CONSTRAINT picky CHECK (value <= 90)")
        let frames = [metrics([("a", [1, 2]), ("b", [3, 99, 5, 5]), ("c", [7, 98])])]
        try await deliver(frames, to: database.exporter(), maxSize: 3)
        let all =
            "SELECT name || CAST(CAST(value AS integer) AS text) FROM metric_points WHERE name <> 'warm' ORDER BY 1"
        #expect(try database.values(all) == ["a1", "a2", "b3", "b5", "b5", "c7"])
        // As after a kill before the journal has let go.
        #expect(try await deliver(frames, to: database.exporter(), maxSize: 3) == 6)
        #expect(try database.values(all) == ["a1", "a2", "b3", "b5", "b5", "c7"])
        #expect(try await deliver(frames, to: database.exporter(), maxSize: 100) == 6)
        #expect(try database.values(all) == ["a1", "a2", "b3", "b5", "b5", "c7"])
    }

    @Test(.enabled(if: PostgresServer.isExpected))
    func `a user who may not write the cursor is served by keys alone`() async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let read = options(PostgresOptions.self, "{datasource: \"\(server.datasource(database))\"}")
        let owner = PostgresExporter(options: read.options, build: exporterBuild())
        _ = try await owner.migrate()
        let user = "reader_\(database)"
        try server.query("CREATE ROLE \(user) LOGIN PASSWORD 'secret'", database: database)
        try server.query("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO \(user)", database: database)
        let limited = options(
            PostgresOptions.self,
            "{create_schema: false, password: secret, parameters: {host: 127.0.0.1, port: \"\(server.port)\", "
                + "dbname: \(database), user: \(user)}}")
        #expect(limited.problems == [])
        let exporter = PostgresExporter(options: limited.options, build: exporterBuild())
        for _ in 0..<2 { try await deliver([logs(["a", "b"])], to: exporter, maxSize: 100) }
        #expect(try server.query("SELECT count(*) FROM logs", database: database) == [["2"]])
        #expect(try server.query("SELECT count(*) FROM sluice_cursor", database: database) == [["0"]])
    }
}
