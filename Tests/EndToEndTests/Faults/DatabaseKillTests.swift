import Foundation
import TestSupport
import Testing

/// SIGKILL at any moment of a gateway that writes to a database: what was answered 200 is there, and once. Spans are
/// known by their ids; log records have none, so theirs is the harder case, above all where they are equal byte for
/// byte and each start cuts them into other deliveries.
@Suite(.serialized, .timeLimit(.minutes(60))) struct DatabaseKillTests {
    @Test func `sqlite neither loses nor doubles a row when the gateway is killed at any moment`() async throws {
        let run = try Run(exporter: "sqlite: {path: FOLDER/rows.db")
        try await run.kill {}
        let path = run.gateway.folder.appending(path: "rows.db").path
        try run.expectAll { sql in try Self.sqlite(path, sql) }
        #expect(try Self.sqlite(path, "PRAGMA integrity_check") == ["ok"])
    }

    @Test(.enabled(if: PostgresServer.isExpected), arguments: ["copy", "insert"])
    func `postgres neither loses nor doubles a row when the gateway is killed at any moment`(
        _ method: String
    ) async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let run = try Run(
            exporter: "postgres: {datasource: '\(server.datasource(database))', insert_method: \(method)")
        // Now and then the server ends the connections too.
        try await run.kill {
            _ = try? server.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' "
                    + "AND datname = '\(database)'", database: "postgres")
        }
        try run.expectAll { sql in try server.query(sql, database: database).map { $0[0] } }
    }

    private static func sqlite(_ path: String, _ sql: String) throws -> [String] {
        let outcome = try ChildProcess.runBlocking("sqlite3", [path, sql])
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.output.split(separator: "\n").map(String.init)
    }

    /// A gateway, and ledgers of what it has answered 200.
    private final class Run {
        let gateway: RunningGateway
        private let spans: AcceptedLedger
        private let logs: AcceptedLedger
        private let equals: AcceptedLedger
        private let exporter: String
        private let seed = FaultRounds.seed

        /// `exporter` without its closing brace.
        init(exporter: String) throws {
            self.exporter = exporter
            gateway = try RunningGateway(Self.configuration(exporter, maxSize: 0))
            spans = AcceptedLedger(gateway.folder.appending(path: "spans.txt").path)
            logs = AcceptedLedger(gateway.folder.appending(path: "logs.txt").path)
            equals = AcceptedLedger(gateway.folder.appending(path: "equals.txt").path)
        }

        /// With deliveries of at most `maxSize` records; 0 for those that came.
        private static func configuration(_ exporter: String, maxSize: Int) -> String {
            let batch =
                maxSize == 0 ? "" : ", batch: {min_size: \(maxSize), max_size: \(maxSize), flush_timeout: 20ms}"
            return """
                receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
                exporters:
                  \(exporter), retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}, \
                sending_queue: {storage: file_storage\(batch)}}
                extensions:
                  health_check: {endpoint: "127.0.0.1:CALLS"}
                  file_storage: {directory: FOLDER/journal, segment_size: 1MiB}
                service:
                  extensions: [health_check, file_storage]
                  telemetry:
                    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
                  pipelines:
                    traces: {receivers: [otlp], exporters: [\(exporter.prefix { $0 != ":" })]}
                    logs: {receivers: [otlp], exporters: [\(exporter.prefix { $0 != ":" })]}
                """
        }

        /// Records of the kind of which least were accepted.
        private var least: Int { min(spans.all.count, logs.all.count, equals.all.count) }

        /// Starts the gateway under load and kills it, round after round, then lets it finish.
        func kill(_ disturb: () -> Void) async throws {
            var random = SeededRandom(seed)
            let clients = [
                LoadClients(2, port: gateway.port, ledger: spans, persistent: true),
                LoadClients(
                    2, port: gateway.port, ledger: logs, persistent: true, path: "/v1/logs",
                    request: { first, _ in NumberedSpans.logs(first) }),
                LoadClients(
                    2, port: gateway.port, ledger: equals, persistent: true, path: "/v1/logs",
                    request: { first, _ in NumberedSpans.equalLogs(first) }),
            ]
            for round in 0..<FaultRounds.count {
                gateway.configure(Self.configuration(exporter, maxSize: [0, 3, 4, 7][round % 4]))
                let before = least
                try gateway.launch()
                // Every other one while it starts, the rest under load.
                if round % 2 == 1 { try await gateway.wait("some load") { least > before + 20 } }
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...500, using: &random)))
                if round % 7 == 3 { disturb() }
                _ = gateway.end(SIGKILL)
            }
            for each in clients { await each.stop() }
            try await gateway.start()
            // Single inserts of what a hundred rounds have left take a while.
            for _ in 0..<10 where (try? await gateway.waitUntilDelivered()) != nil { break }
            try await gateway.waitUntilDelivered()
            #expect(gateway.end(SIGTERM) == 0)
        }

        /// Of each request with equal records all or none are there, and all where it was answered 200.
        private func expectEquals(_ query: (String) throws -> [String]) throws {
            let request = Int(NumberedSpans.perRequest)
            let counts = try query("SELECT body || ' ' || count(*) FROM logs WHERE body LIKE 'equal %' GROUP BY body")
            let stored = Dictionary(
                uniqueKeysWithValues: counts.map { line in
                    let words = line.split(separator: " ").compactMap { Int($0) }
                    return (UInt64(words[0]), words[1])
                })
            let accepted = Set(equals.all.map { $0 - ($0 - 1) % NumberedSpans.perRequest })
            let lost = accepted.reduce(0) { $0 + max(0, request - (stored[$1] ?? 0)) }
            let twice = stored.values.reduce(0) { $0 + max(0, $1 - request) }
            let torn = stored.values.filter { $0 < request }.count
            #expect(
                lost == 0 && twice == 0 && torn == 0,
                "of equal records \(lost) lost, \(twice) twice, \(torn) requests in part (seed \(seed))")
            #expect(accepted.count > FaultRounds.count)
            print("\(accepted.count) requests of \(request) equal records, \(lost) lost, \(twice) twice")
        }

        func expectAll(_ query: (String) throws -> [String]) throws {
            let ids = try query("SELECT span_id FROM spans")
            let bodies = try query("SELECT body FROM logs WHERE body LIKE 'record %'")
            try expectEquals(query)
            let wantedIDs = Set(spans.all.map { String(format: "%016lx", $0) })
            let wantedBodies = Set(logs.all.map { "record \($0)" })
            let lost = wantedIDs.subtracting(ids).count + wantedBodies.subtracting(bodies).count
            let twice = ids.count - Set(ids).count + bodies.count - Set(bodies).count
            #expect(lost == 0 && twice == 0, "\(lost) rows lost, \(twice) rows twice (seed \(seed))")
            #expect(wantedIDs.count > FaultRounds.count * 10 && wantedBodies.count > FaultRounds.count * 10)
            print(
                "\(FaultRounds.count) kills: \(wantedIDs.count) spans and \(wantedBodies.count) log records accepted, "
                    + "\(lost) lost, \(twice) twice")
        }
    }
}
