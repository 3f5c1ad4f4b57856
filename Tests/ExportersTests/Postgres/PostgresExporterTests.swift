@testable import Exporters
import Foundation
import Glibc
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15)), .enabled(if: PostgresServer.isExpected)) struct PostgresExporterTests {
    private let server: PostgresServer
    private let database: String

    init() throws {
        server = try PostgresServer.shared.get()
        database = try server.makeDatabase()
    }

    private func exporter(_ more: String = "") -> PostgresExporter {
        let read = options(PostgresOptions.self, "{datasource: \"\(server.datasource(database))\"\(more)}")
        #expect(read.problems == [])
        return PostgresExporter(options: read.options, build: exporterBuild())
    }

    @discardableResult
    private func rows(_ sql: String) throws -> [[String]] { try server.query(sql, database: database) }

    private func value(_ sql: String) throws -> String { try rows(sql).first?.first ?? "" }

    private func traces(_ spans: [TestSpan], tenant: String = "") -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans), tenant: tenant)
    }

    private let tool = TestSpan(
        id: 2, parent: 1, name: "execute_tool search", start: 1_700_000_000_123_456_789, end: 1_700_000_000_373_456_789,
        status: 2, message: "timed out",
        attributes: [
            ("gen_ai.operation.name", .text("execute_tool")), ("gen_ai.tool.name", .text("search")),
            ("gen_ai.usage.input_tokens", .int(-7)), ("gen_ai.usage.cost", .double(0.25)),
            ("gen_ai.conversation.id", .text(String(repeating: "c", count: 9_000))),
            ("custom", .list([.int(1), .double(.nan), .data([1, 2]), .none])),
        ],
        events: [
            ("exception", [("exception.message", .text("slow"))]),
            ("gen_ai.evaluation.result", [("gen_ai.evaluation.name", .text("loop"))]),
        ], links: [9])

    private func span(_ id: UInt8, _ name: String = "step") -> TestSpan { TestSpan(id: id, name: name) }

    @Test(arguments: ["copy", "insert"]) func `stores every signal once however often it comes`(
        _ method: String
    ) async throws {
        let exporter = exporter(", insert_method: \(method)")
        let points = ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics())
        let logs = ExportBatch(signal: .logs, itemCount: 3, bytes: TestRequest.logs(["same", "same", "other"]))
        for _ in 0..<3 {
            #expect(await exporter.export(traces([tool, span(3)], tenant: "acme")) == .delivered)
            #expect(await exporter.export(points) == .delivered)
            #expect(await exporter.export(logs) == .delivered)
        }
        let counts = try ["spans", "span_events", "span_links", "findings", "logs", "metric_points"].map {
            try value("SELECT count(*) FROM \($0)")
        }
        #expect(counts == ["2", "2", "1", "1", "3", "3"])
        let row = try rows(
            """
            SELECT trace_id, parent_span_id, start_time AT TIME ZONE 'UTC', duration_ms, status_code, tenant,
                input_tokens, cost_usd, length(conversation_id), attributes, resource->>'service.name', flags
            FROM spans WHERE operation = 'execute_tool'
            """)
        #expect(
            row == [
                [
                    "01010101010101010101010101010101", "0101010101010101", "2023-11-14 22:13:20.123456", "250",
                    "error", "acme", "-7", "0.25", "9000", #"{"custom": [1, "NaN", "AQI=", null]}"#, "agent", "0",
                ]
            ])
        #expect(try value("SELECT tool_name FROM failed_tool_calls") == "search")
        #expect(try rows("SELECT spans, failed_spans, duration_ms > 0 FROM traces") == [["2", "1", "t"]])
        let tokens = try rows("SELECT value = 42 FROM metric_points WHERE name = 'tokens'")
        #expect(tokens.contains(["t"]), "\(tokens)")
        #expect(try value("SELECT point->'bucket_counts' FROM metric_points WHERE type = 'histogram'") == "[1, 2]")
        #expect(try value("SELECT octet_length(block) FROM logs LIMIT 1") == "16")
    }

    @Test(arguments: ["copy", "insert"]) func `stores hostile values by its rules`(_ method: String) async throws {
        let exporter = exporter(", insert_method: \(method)")
        var hostile = TestSpan(id: 5, name: "a\u{0}b'\";--\u{1F600}", start: .max, end: 1)
        let long = String(repeating: "ä", count: 5 << 20)
        hostile.attributes = [
            ("gen_ai.usage.cost", .double(.nan)), ("gen_ai.usage.input_tokens", .double(1e300)),
            ("k'\"\n\u{0}\\", .text("v\u{0}\\u0000")), ("inf", .double(-.infinity)),
            ("gen_ai.input.messages", .text(long)),
        ]
        var deep = TestValue.text("end")
        for _ in 0..<60 { deep = .list([deep]) }
        hostile.attributes.append(("deep", deep))
        #expect(await exporter.export(traces([hostile, span(6)])) == .delivered)
        #expect(try value("SELECT name FROM spans WHERE span_id LIKE '05%'") == "a\u{FFFD}b'\";--\u{1F600}")
        #expect(try value("SELECT extract(year FROM start_time) FROM spans WHERE span_id LIKE '05%'") == "2262")
        #expect(try value("SELECT length(input_messages) FROM spans WHERE span_id LIKE '05%'") == "\(5 << 20)")
        #expect(
            try value("SELECT cost_usd IS NULL AND input_tokens IS NULL FROM spans WHERE span_id LIKE '05%'") == "t")
        let kept = try value("SELECT attributes->>(E'k\\'\"\\n\u{FFFD}\\\\') FROM spans WHERE span_id LIKE '05%'")
        #expect(kept == "v\u{FFFD}\\u0000", "a NUL becomes U+FFFD, text that only looks like one stays")
        #expect(try value("SELECT attributes->>'inf' FROM spans WHERE span_id LIKE '05%'") == "-Infinity")
    }

    @Test func `drops alone what the database refuses, and keeps the rest of the batch`() async throws {
        let exporter = exporter()
        #expect(await exporter.export(traces([span(1)])) == .delivered)
        try rows("ALTER TABLE spans ADD CONSTRAINT picky CHECK (name NOT LIKE 'bad%' AND length(name) < 1000)")
        let batch = traces((1...40).map { span(UInt8($0), [7, 8, 33].contains($0) ? "bad \($0)" : "good") })
        let outcome = await exporter.export(batch)
        guard case .refused(let records, let message, _) = outcome else {
            Issue.record("not refused alone: \(outcome)")
            return
        }
        #expect(records.sorted() == [6, 7, 32])
        #expect(message.contains("23514") && !message.contains("bad"), "the row's values stay out of messages")
        #expect(try value("SELECT count(*) FROM spans") == "37")
        // Together with others in one group, only the bad batch is partial.
        let (first, second, third) = (
            traces([span(50)]), traces([span(51, "bad"), span(52)]),
            ExportBatch(signal: .traces, itemCount: 1, bytes: [0x0A, 0xFF])
        )
        async let one = exporter.export(first)
        async let two = exporter.export(second)
        async let three = exporter.export(third)
        let outcomes = await (one, two, three)
        #expect(outcomes.0 == .delivered)
        guard case .refused([0], _, _) = outcomes.1, case .permanent = outcomes.2 else {
            Issue.record("\(outcomes)")
            return
        }
        #expect(try value("SELECT count(*) FROM spans") == "39")
    }

    @Test(arguments: ["copy", "insert"])
    func `finds many refused records in one transaction, whatever refuses them`(_ method: String) async throws {
        let exporter = exporter(", insert_method: \(method)")
        #expect(await exporter.export(traces([span(1)])) == .delivered)
        try rows("ALTER TABLE spans ADD CONSTRAINT picky CHECK (name <> 'bad')")
        try rows("ALTER TABLE span_events ADD CONSTRAINT eventful CHECK (name <> 'bad')")
        try rows(
            "CREATE FUNCTION complain() RETURNS trigger AS $$ BEGIN IF new.name = 'late' THEN RAISE 'late'; END IF; "
                + "RETURN NULL; END $$ LANGUAGE plpgsql")
        try rows(
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON spans DEFERRABLE INITIALLY DEFERRED "
                + "FOR EACH ROW EXECUTE FUNCTION complain()")
        let spans = (2...201).map { id -> TestSpan in
            var span = span(UInt8(id), id == 99 ? "late" : id % 20 == 0 ? "bad" : "good")
            if id % 50 == 7 { span.events = [("good", []), ("bad", [])] }
            return span
        }
        let outcome = await exporter.export(traces(spans))
        guard case .refused(let records, _, _) = outcome else {
            Issue.record("not refused alone: \(outcome)")
            return
        }
        let wanted = (2...201).filter { $0 % 20 == 0 || $0 % 50 == 7 || $0 == 99 }.map { $0 - 2 }
        #expect(records.sorted() == wanted)
        #expect(try value("SELECT count(*) FROM spans") == "\(201 - wanted.count)")
        #expect(try value("SELECT count(*) FROM span_events") == "0")
        // Nothing of it is left where rows wait for their insert.
        #expect(await exporter.export(traces([span(220, "bad")])) != .delivered)
        #expect(await exporter.export(traces([span(221)])) == .delivered)
        #expect(try value("SELECT count(*) FROM spans") == "\(202 - wanted.count)")
    }

    @Test func `refused log records and points come back as the rows that they would have been`() async throws {
        let exporter = exporter()
        #expect(await exporter.export(traces([span(1)])) == .delivered)
        try rows("ALTER TABLE logs ADD CONSTRAINT picky CHECK (body <> 'bad')")
        try rows("ALTER TABLE metric_points ADD CONSTRAINT picky CHECK (name <> 'tokens')")
        let logs = ExportBatch(
            signal: .logs, itemCount: 5, bytes: TestRequest.logs(["same", "bad", "same", "bad", "bad"]))
        let points = ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics())
        var letters: [ExportBatch] = []
        for batch in [logs, points] {
            guard case .refused(let records, _, let places) = await exporter.export(batch) else {
                Issue.record("not refused")
                return
            }
            letters += FrameSplit.records(Set(records), of: batch, places: places)
        }
        try rows("ALTER TABLE logs DROP CONSTRAINT picky")
        try rows("ALTER TABLE metric_points DROP CONSTRAINT picky")
        for letter in letters + letters + [logs, points] { #expect(await exporter.export(letter) == .delivered) }
        #expect(try value("SELECT count(*) FROM logs") == "5")
        #expect(try value("SELECT sum(position) FROM logs WHERE body = 'bad'") == "8")
        #expect(try rows("SELECT count(*), count(DISTINCT block) FROM metric_points") == [["3", "1"]])
    }

    private func wait(_ sql: String, _ wanted: String) async throws {
        for _ in 0..<1_200 {
            if try value(sql) == wanted { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        Issue.record("not within a minute: \(sql)")
    }

    private func isRetry(_ outcome: ExportOutcome, _ word: String = "") -> Bool {
        if case .retry(let reason, _) = outcome { return word.isEmpty || reason.contains(word) }
        return false
    }

    @Test func `comes back after lost connections, a standby and a lock`() async throws {
        let exporter = exporter()
        #expect(await exporter.export(traces([span(1)])) == .delivered)
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(database)' AND pid <> "
        try rows(end + "pg_backend_pid()")
        #expect(isRetry(await exporter.export(traces([span(2)]))))
        #expect(await exporter.export(traces([span(2)])) == .delivered)
        try rows("ALTER DATABASE \(database) SET default_transaction_read_only = on")
        try server.query(end + "pg_backend_pid()", database: "postgres")
        for _ in 0..<2 { #expect(isRetry(await exporter.export(traces([span(3)])))) }
        #expect(isRetry(await exporter.export(traces([span(3)])), "read-only"))
        try server.query(
            "ALTER DATABASE \(database) SET default_transaction_read_only = off", database: "postgres")
        #expect(await exporter.export(traces([span(3)])) == .delivered)
        let hasty = self.exporter(", timeout: 3s")
        let session = try await server.lock("spans", database: database)
        #expect(isRetry(await hasty.export(traces([span(4)])), "timeout"))
        try await server.unlock(session, database: database)
        await hasty.shutdown()
        #expect(await exporter.export(traces([span(4)])) == .delivered)
        #expect(try value("SELECT count(*) FROM spans") == "4")
        try rows("DROP TABLE span_links, spans CASCADE")
        #expect(isRetry(await exporter.export(traces([span(5)])), "42P01"), "a missing table is for an operator")
        await exporter.shutdown()
        await exporter.shutdown()
    }

    @Test func `a delivery that nobody waits for any more does not wait for a lock`() async throws {
        let exporter = exporter(", timeout: 0s")
        #expect(await exporter.export(traces([span(1)])) == .delivered)
        let session = try await server.lock("spans", database: database)
        let batch = traces([span(2)])
        let delivery = Task { await exporter.export(batch) }
        try await Task.sleep(for: .milliseconds(200))
        delivery.cancel()
        // Without that it would be for as long as the lock is held.
        #expect(isRetry(await delivery.value, "the exporter ends"))
        try await server.unlock(session, database: database)
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
    }

    @Test func `tells that a table of the same name is another's`() async throws {
        try rows("CREATE TABLE spans (id int)")
        let exporter = exporter()
        #expect(isRetry(await exporter.export(traces([span(1)])), "name another schema"))
        await #expect {
            _ = try await exporter.migrate()
        } throws: { "\($0)".contains("name another schema") && !"\($0)".contains("sql migrate") }
    }

    @Test func `waits for a server that is not there`() async throws {
        let read = options(
            PostgresOptions.self, "{parameters: {host: 127.0.0.1, port: \"1\", dbname: x}, password: hidden}")
        let exporter = PostgresExporter(options: read.options, build: exporterBuild())
        try await exporter.start()
        let outcome = await exporter.export(traces([span(1)]))
        #expect(isRetry(outcome, "refused") && !"\(outcome)".contains("hidden"))
        await #expect(throws: ExporterStartFailure.self) { try await exporter.migrate() }
    }

    @Test func `keeps to its schema and creates nothing when told so`() async throws {
        let refusing = exporter(", schema: agents, create_schema: false")
        #expect(isRetry(await refusing.export(traces([span(1)])), "sluice sql migrate"))
        let change = try await refusing.migrate()
        #expect(change.from == 0 && change.to == SQLSchema.version && change.place.hasSuffix("/\(database)/agents"))
        #expect(try await refusing.migrate().from == SQLSchema.version)
        #expect(await refusing.export(traces([span(1)])) == .delivered)
        #expect(try value("SELECT count(*) FROM agents.spans") == "1")
        #expect(try value("SELECT to_regclass('public.spans') IS NULL") == "t")
    }

    @Test func `speaks TLS with the server's certificate checked`() async throws {
        let root = server.folder.appending(path: "root.crt").path
        let good = exporter(", parameters: {host: localhost, sslmode: verify-full, sslrootcert: \(root)}")
        #expect(await good.export(traces([span(1)])) == .delivered)
        #expect(
            try value(
                "SELECT count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND "
                    + "application_name = 'sluice' AND datname = '\(database)'") == "t")
        await good.shutdown()
        let other = server.folder.appending(path: "initdb.log").path
        let bad = exporter(", parameters: {host: localhost, sslmode: verify-full, sslrootcert: \(other)}")
        #expect(isRetry(await bad.export(traces([span(2)]))))
    }

    @Test func `deletes what is too old, with all that belongs to it`() async throws {
        let exporter = exporter(", retention: {max_age: 1h, interval: 20ms}")
        var fresh = span(9)
        fresh.start = UInt64(time(nil)) * 1_000_000_000
        fresh.end = fresh.start
        fresh.events = [("e", [])]
        #expect(await exporter.export(traces([tool, fresh] + (20...90).map { span($0) })) == .delivered)
        let logs = ExportBatch(signal: .logs, itemCount: 1, bytes: TestRequest.logs(["old"], time: 5_000))
        #expect(await exporter.export(logs) == .delivered)
        try await exporter.start()
        try await wait("SELECT count(*) FROM spans", "1")
        try await wait("SELECT count(*) FROM logs", "0")
        let left = try ["spans", "span_events", "span_links", "findings", "logs"].map {
            try value("SELECT count(*) FROM \($0)")
        }
        #expect(left == ["1", "1", "0", "0", "0"])
        await exporter.shutdown()
    }

    @Test(arguments: ["", ", partition: day"])
    func `what has no time has no age, and what was only observed is as old as that`(_ more: String) async throws {
        let exporter = exporter(more + ", retention: {max_age: 1h, interval: 20ms}")
        var timeless = span(2)
        timeless.start = 0
        let batches = [traces([timeless, span(3)])] + TestRequest.timeless(observed: 1_000_000_000)
        for batch in batches { #expect(await exporter.export(batch) == .delivered) }
        try await exporter.start()
        try await wait("SELECT count(*) FROM spans", "1")
        try await wait("SELECT count(*) FROM logs", "1")
        try await wait("SELECT count(*) FROM metric_points", "1")
        #expect(try value("SELECT body FROM logs") == "timeless")
        await exporter.shutdown()
        let keeping = self.exporter(more)
        #expect(await keeping.export(TestRequest.timeless(observed: 1_700_000_000_000_000_000)[0]) == .delivered)
        #expect(try value("SELECT max(time) AT TIME ZONE 'UTC' FROM logs") == "2023-11-14 22:13:20")
        await keeping.shutdown()
    }

    @Test func `keeps a partition per day, and drops the days that are over`() async throws {
        let day: UInt64 = 86_400_000_000_000
        let now = UInt64(time(nil)) * 1_000_000_000
        func aged(_ id: UInt8, _ days: UInt64) -> TestSpan {
            var span = span(id)
            span.start = now - days * day
            span.end = span.start
            span.events = [("e", [])]
            span.links = [7]
            return span
        }
        let keeping = exporter(", partition: day")
        let batch = traces([aged(1, 0), aged(2, 1), aged(3, 5), aged(4, 5), span(5), aged(6, 2_000)])
        for _ in 0..<2 { #expect(await keeping.export(batch) == .delivered) }
        #expect(try value("SELECT count(*) FROM spans") == "6")
        #expect(try value("SELECT count(*) FROM spans_default") == "2", "days far from now have no table")
        #expect(try value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'spans'::regclass") == "4")
        let name = PostgresPartitions.date(Int(now / day) - 5).filter { $0 != "-" }
        #expect(try value("SELECT count(*) FROM spans_p\(name)") == "2")
        #expect(try value("SELECT count(*) FROM span_events_p\(name)") == "2")
        #expect(try value("SELECT count(*) FROM traces") == "1")
        await keeping.shutdown()
        let dropping = exporter(", partition: day, retention: {max_age: 72h, interval: 20ms}")
        try await dropping.start()
        try await wait("SELECT count(*) FROM spans", "2")
        try await wait("SELECT count(*) FROM pg_inherits WHERE inhparent = 'span_events'::regclass", "3")
        let left = try ["spans", "span_events", "span_links"].map { try value("SELECT count(*) FROM \($0)") }
        #expect(left == ["2", "2", "2"])
        // A row of a day that was dropped comes again, and goes again.
        #expect(await dropping.export(traces([aged(9, 5)])) == .delivered)
        try await wait("SELECT count(*) FROM spans", "2")
        await dropping.shutdown()
        let plain = exporter()
        #expect(isRetry(await plain.export(batch), "partition: day"))
    }

    @Test func `tells two gateways apart from one another without a deadlock`() async throws {
        // Both create the schema at once and write the same spans in opposite orders.
        let spans = (1...200).map { span(UInt8($0)) }
        let (left, right) = (exporter(), exporter())
        let (up, down) = (traces(spans), traces(spans.reversed()))
        async let one = left.export(up)
        async let two = right.export(down)
        var outcomes = await [one, two]
        for _ in 0..<5 where outcomes.contains(where: { isRetry($0) }) {
            outcomes = [await left.export(up), await right.export(down)]
        }
        #expect(outcomes == [.delivered, .delivered])
        #expect(try value("SELECT count(*) FROM spans") == "200")
    }
}

@Suite struct PostgresOptionsTests {
    private func problems(_ yaml: String) -> String {
        options(PostgresOptions.self, yaml).problems.joined(separator: "\n")
    }

    @Test func `refuse what libpq does not know, without printing secrets`() {
        #expect(problems("{datasource: \"postgresql://u:p@h1,h2:5433/db?sslmode=verify-full\"}") == "")
        #expect(problems("{parameters: {host: h, dbname: d}}") == "")
        #expect(problems("{}").contains("datasource"))
        let wrong = problems("{datasource: \"topsecret nonsense\"}")
        #expect(wrong.contains("connection string") && !wrong.contains("topsecret"))
        #expect(problems("{parameters: {hst: h}}").contains("hst"))
        #expect(problems("{parameters: {host: h, password: p}}").contains("password"))
        for name in ["a;b", "A", "1a", "", String(repeating: "a", count: 64)] {
            #expect(problems("{parameters: {host: h}, schema: \"\(name)\"}").contains("a-z"), "\(name)")
        }
    }

    @Test func `days have their date in the civil calendar`() {
        for (day, date) in [
            (0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (20_783, "2026-11-26"),
            (47_540, "2100-02-28"), (47_541, "2100-03-01"), (106_751, "2262-04-11"),
        ] { #expect(PostgresPartitions.date(day) == date) }
        #expect(PostgresPartitions.isWanted(100, today: 100, maxAge: .zero))
        #expect(!PostgresPartitions.isWanted(103, today: 100, maxAge: .zero))
        #expect(!PostgresPartitions.isWanted(90, today: 100, maxAge: .seconds(3 * 86_400)))
    }

    @Test func `microseconds are rounded down, before 1970 too`() {
        #expect(CopyRows.microseconds(946_684_800_000_001_999) == 1)
        #expect(CopyRows.microseconds(-1) == -946_684_800_000_001)
        #expect(CopyRows.microseconds(.min) < 0)
    }

    @Test func `failures are sorted by what helps`() {
        #expect(PostgresFailure.kind("22P05") == .refusedRow)
        #expect(PostgresFailure.kind("23505") == .refusedRow)
        #expect(PostgresFailure.kind("40P01") == .passing)
        #expect(PostgresFailure.kind("57014") == .passing)
        #expect(PostgresFailure.kind("57P01") == .connection)
        #expect(PostgresFailure.kind("25006") == .connection)
        #expect(PostgresFailure.kind("08006") == .connection)
        #expect(PostgresFailure.kind("53100") == .passing)
        #expect(PostgresFailure.kind("42P01") == .passing)
    }
}
