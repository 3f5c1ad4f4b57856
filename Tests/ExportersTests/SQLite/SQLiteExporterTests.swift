@testable import Exporters
import Foundation
import GRDB
import Glibc
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct SQLiteExporterTests {
    private let directory = TemporaryDirectory()
    private var path: String { directory.file("sluice.db") }

    private func start(_ yaml: String = "{}") async throws -> SQLiteExporter {
        let read = options(SQLiteOptions.self, yaml)
        #expect(read.problems == [])
        let exporter = SQLiteExporter(options: read.options, build: exporterBuild(directory: directory.path))
        try await exporter.start()
        return exporter
    }

    @Test func `starts while another process has the database, and delivers when it is free`() async throws {
        let first = try await start()
        await first.shutdown()
        var configuration = Configuration()
        configuration.busyMode = .immediateError
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: path, configuration: configuration)
        try other.inDatabase { try $0.execute(sql: "BEGIN IMMEDIATE") }
        let exporter = try await start("{busy_timeout: 10ms}")
        guard case .retry = await exporter.export(traces([chat])) else {
            Issue.record("delivered into a locked database")
            return
        }
        try other.inDatabase { try $0.execute(sql: "ROLLBACK") }
        #expect(await exporter.export(traces([chat])) == .delivered)
        await exporter.shutdown()
    }

    private func rows(_ sql: String) throws -> [Row] {
        try DatabaseQueue(path: path).read { try Row.fetchAll($0, sql: sql) }
    }

    private func value<Value: DatabaseValueConvertible>(
        _ sql: String, as type: Value.Type = Value.self
    ) throws -> Value? {
        try DatabaseQueue(path: path).read { try Value.fetchOne($0, sql: sql) }
    }

    private func traces(_ spans: [TestSpan], tenant: String = "") -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: spans.count, bytes: TestRequest.traces(spans), tenant: tenant)
    }

    private let tool = TestSpan(
        id: 2, parent: 1, name: "execute_tool search", status: 2, message: "timed out",
        attributes: [
            ("gen_ai.operation.name", .text("execute_tool")), ("gen_ai.tool.name", .text("search")),
            ("gen_ai.tool.call.arguments", .map([("q", .text("a \"b\"")), ("n", .int(3))])),
            ("gen_ai.conversation.id", .text("c1")), ("error.type", .text("timeout")),
            ("custom", .list([.int(1), .double(.nan), .data([1, 2]), .none])),
        ],
        events: [("exception", [("exception.message", .text("slow"))])], links: [9])

    private let chat = TestSpan(
        id: 3, parent: 1, name: "chat m",
        attributes: [
            ("gen_ai.operation.name", .text("chat")), ("gen_ai.request.model", .text("m")),
            ("gen_ai.usage.input_tokens", .int(100)), ("gen_ai.usage.output_tokens", .text("20")),
            ("gen_ai.usage.cost", .double(0.25)), ("session.id", .text("c1")),
            ("gen_ai.response.finish_reasons", .list([.text("stop")])),
        ])

    @Test func `fills typed columns and keeps the rest as JSON`() async throws {
        let exporter = try await start()
        #expect(await exporter.export(traces([tool, chat], tenant: "acme")) == .delivered)
        let span = try #require(try rows("SELECT * FROM spans WHERE operation = 'execute_tool'").first)
        #expect(span["trace_id"] == "01010101010101010101010101010101")
        #expect(span["span_id"] == "0202020202020202")
        #expect(span["parent_span_id"] == "0101010101010101")
        #expect(span["kind"] == "internal")
        #expect(span["status_code"] == "error")
        #expect(span["status_message"] == "timed out")
        #expect(span["duration_ms"] == 250.0)
        #expect(span["service_name"] == "agent")
        #expect(span["scope_name"] == "tests")
        #expect(span["tenant"] == "acme")
        #expect(span["tool_arguments"] == #"{"q":"a \"b\"","n":3}"#)
        #expect(span["attributes"] == #"{"custom":[1,"NaN","AQI=",null]}"#)
        #expect(span["resource"] == #"{"service.name":"agent"}"#)
        let other = try #require(try rows("SELECT * FROM spans WHERE operation = 'chat'").first)
        #expect(other["input_tokens"] == 100)
        #expect(other["output_tokens"] == 20, "a number in a string still counts")
        #expect(other["cost_usd"] == 0.25)
        #expect(other["conversation_id"] == "c1", "session.id stands in")
        #expect(other["finish_reasons"] == #"["stop"]"#)
        #expect(other["attributes"] == #"{"gen_ai.usage.output_tokens":"20","session.id":"c1"}"#)
    }

    @Test func `makes a new database when the open one was removed`() async throws {
        let exporter = try await start()
        #expect(await exporter.export(traces([tool])) == .delivered)
        for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) }
        #expect(await exporter.export(traces([chat])) == .delivered)
        #expect(try value("SELECT name FROM spans") == "chat m")
        await exporter.shutdown()
    }

    /// Its locks tell other programs that it is there. One that closes the database as the last one deletes its log.
    @Test func `keeps its locks when another exporter opens the same database`() async throws {
        let exporter = try await start()
        let other = try await start()
        #expect(await exporter.export(traces([tool])) == .delivered)
        let reader = Process()
        reader.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        reader.arguments = [
            "python3", "-c",
            "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('SELECT * FROM spans').fetchall()", path,
        ]
        try reader.run()
        reader.waitUntilExit()
        #expect(reader.terminationStatus == 0)
        #expect(access(path + "-wal", F_OK) == 0)
        await exporter.shutdown()
        await other.shutdown()
    }

    @Test func `keeps one row per span however often it is delivered`() async throws {
        let exporter = try await start()
        for _ in 0..<3 { #expect(await exporter.export(traces([tool, chat])) == .delivered) }
        #expect(try value("SELECT count(*) FROM spans") == 2)
        #expect(try value("SELECT count(*) FROM span_events") == 1)
        #expect(try value("SELECT count(*) FROM span_links") == 1)
        var later = tool
        later.name = "renamed"
        later.events = []
        later.links = []
        #expect(await exporter.export(traces([later])) == .delivered)
        #expect(try value("SELECT name FROM spans WHERE span_id = '0202020202020202'") == "renamed")
        #expect(try value("SELECT count(*) FROM span_events") == 0, "what belonged to the older delivery is gone")
        #expect(try value("SELECT count(*) FROM span_links") == 0)
    }

    @Test func `knows logs and points that were delivered before, in any grouping`() async throws {
        let exporter = try await start()
        let first = TestRequest.logs(["same", "same", "other"])
        let second = TestRequest.logs(["third"], service: "b")
        for bytes in [first, first + second, second, second + first, first + first] {
            #expect(await exporter.export(ExportBatch(signal: .logs, itemCount: 4, bytes: bytes)) == .delivered)
        }
        #expect(try value("SELECT count(*) FROM logs") == 4)
        #expect(try value("SELECT count(*) FROM logs WHERE body = 'same'") == 2, "equal records of one block all count")
        let points = ExportBatch(signal: .metrics, itemCount: 3, bytes: TestRequest.metrics())
        for _ in 0..<2 { #expect(await exporter.export(points) == .delivered) }
        #expect(try value("SELECT count(*) FROM metric_points") == 3)
        #expect(try value("SELECT value FROM metric_points WHERE time = 7") == 42)
        #expect(try value("SELECT value FROM metric_points WHERE time = 8") == 1.5)
        let histogram = try #require(try rows("SELECT * FROM metric_points WHERE type = 'histogram'").first)
        #expect(histogram["count"] == 3)
        #expect(histogram["sum"] == 6.0)
        #expect(histogram["temporality"] == "delta")
        #expect(histogram["point"] == #"{"bucket_counts":[1,2]}"#)
    }

    @Test func `the buckets of a histogram count packed, unpacked and in several pieces`() async throws {
        let exporter = try await start()
        func packed(_ words: [UInt64]) -> [UInt8] { WireBytes.build { for word in words { $0.word64(word) } } }
        let (low, high) = (0.5.bitPattern, 2.5.bitPattern)
        let forms: [(inout WireBytes) -> Void] = [
            { point in
                point.data(6, packed([1, 2, 3]))
                point.data(7, packed([low, high]))
            },
            { point in
                for count in 1...3 { point.fixed64(6, UInt64(count)) }
                for bound in [low, high] { point.fixed64(7, bound) }
            },
            { point in
                point.data(6, packed([1]))
                point.fixed64(7, low)
                point.fixed64(6, 2)
                point.data(7, packed([high]))
                point.data(6, packed([3]))
            },
        ]
        let metrics = forms.map { form in
            WireBytes.build { metric in metric.message(9) { $0.message(1, form) } }
        }
        let request = WireBytes.request(records: metrics)
        #expect(await exporter.export(ExportBatch(signal: .metrics, itemCount: 3, bytes: request)) == .delivered)
        #expect(
            try value("SELECT count(*) || ' ' || group_concat(DISTINCT point) FROM metric_points")
                == #"3 {"bucket_counts":[1,2,3],"explicit_bounds":[0.5,2.5]}"#)
    }

    @Test func `points and metrics in pieces are stored as protobuf merges them`() async throws {
        let exporter = try await start()
        let sum = WireBytes.build { metric in
            metric.message(7) { $0.number(2, 1) }
            metric.message(7) { data in
                data.message(1) { point in
                    point.fixed64(6, 7)
                    point.fixed64(4, 1.5.bitPattern)
                }
            }
        }
        let exponential = WireBytes.build { metric in
            metric.message(10) { data in
                data.message(1) { point in
                    // Zigzag.
                    point.message(8) { $0.number(1, 4) }
                    point.message(8) { $0.number(2, 5) }
                    point.message(8) { $0.number(2, 6) }
                }
            }
        }
        let request = WireBytes.request(records: [sum, exponential])
        #expect(await exporter.export(ExportBatch(signal: .metrics, itemCount: 2, bytes: request)) == .delivered)
        #expect(try value("SELECT temporality || ' ' || value FROM metric_points WHERE type = 'sum'") == "delta 1.5")
        #expect(
            try value("SELECT point FROM metric_points WHERE type = 'exponential_histogram'")
                == #"{"scale":0,"zero_count":0,"positive":{"offset":2,"bucket_counts":[5,6]}}"#)
    }

    @Test func `lists in pieces are stored as protobuf merges them`() async throws {
        let exporter = try await start()
        func pieces(_ message: inout WireBytes) {
            for number in [1, 2] as [UInt64] {
                message.message(5) { list in list.message(1) { $0.number(3, number) } }
            }
        }
        let span = WireBytes.build { span in
            span.ids()
            for isNested in [false, true] {
                span.message(9) { pair in
                    pair.text(1, isNested ? "nested" : "plain")
                    pair.message(2) { value in
                        if isNested { value.message(5) { $0.message(1, pieces) } } else { pieces(&value) }
                    }
                }
            }
        }
        let request = WireBytes.request(records: [span])
        #expect(await exporter.export(ExportBatch(signal: .traces, itemCount: 1, bytes: request)) == .delivered)
        #expect(try value("SELECT attributes FROM spans") == #"{"plain":[1,2],"nested":[[1,2]]}"#)
    }

    @Test func `knows the records of a frame that is cut again`() async throws {
        let exporter = try await start()
        let bytes = TestRequest.logs((1...25).map { "record \($0)" })
        let frame = Frame(header: FrameHeader(signal: .logs, itemCount: 25), bytes: bytes)
        let stored = StoredFrame(sequence: Sequence(0), frame: frame)
        let options = BatchOptions(flushTimeout: .zero, minSize: 0, maxSize: 10)
        for _ in 0..<2 {
            let pieces = FrameSplit.pieces(of: stored, batch: options, bytesMax: 1 << 20)
            #expect(pieces.count == 3)
            for piece in pieces {
                let batch = ExportBatch(signal: .logs, itemCount: piece.items, bytes: piece.bytes)
                #expect(await exporter.export(batch) == .delivered)
            }
        }
        #expect(try value("SELECT count(*) || ' ' || count(DISTINCT body) FROM logs") == "25 25")
        await exporter.shutdown()
    }

    @Test func `answers questions through its views`() async throws {
        let exporter = try await start()
        let root = TestSpan(id: 1, name: "agent run", start: 500_000_000, end: 2_000_000_000)
        #expect(await exporter.export(traces([root, tool, chat])) == .delivered)
        let trace = try #require(try rows("SELECT * FROM traces").first)
        #expect(trace["root_name"] == "agent run")
        #expect(trace["spans"] == 3)
        #expect(trace["failed_spans"] == 1)
        #expect(trace["tool_calls"] == 1)
        #expect(trace["input_tokens"] == 100)
        #expect(trace["cost_usd"] == 0.25)
        #expect(trace["duration_ms"] == 1_500.0)
        #expect(try value("SELECT spans FROM sessions WHERE conversation_id = 'c1'") == 3, "the root belongs to it too")
        #expect(try value("SELECT tool_name FROM failed_tool_calls") == "search")
        #expect(try value("SELECT request_model FROM llm_calls") == "m")
    }

    @Test func `an agent that only its span names has a name`() async throws {
        let exporter = try await start()
        let agent: (String, TestValue) = ("gen_ai.operation.name", .text("invoke_agent"))
        let spans = [
            TestSpan(id: 1, name: "invoke_agent refund_agent", attributes: [agent]),
            TestSpan(id: 2, name: "Planner.run", attributes: [agent]),
            TestSpan(id: 3, name: "Planner.run", attributes: [agent, ("gen_ai.agent.name", .text("planner"))]),
            TestSpan(id: 4, name: "search.run", attributes: [("gen_ai.operation.name", .text("execute_tool"))]),
            TestSpan(id: 5, name: "step"),
        ]
        #expect(await exporter.export(traces(spans)) == .delivered)
        let names = try rows("SELECT agent_name FROM spans ORDER BY span_id").map { $0["agent_name"] as String? }
        #expect(names == ["refund_agent", "Planner", "planner", nil, nil])
    }

    @Test func `takes findings out of span events`() async throws {
        let exporter = try await start()
        var span = tool
        span.events.append(
            (
                "gen_ai.evaluation.result",
                [
                    ("gen_ai.evaluation.name", .text("tool_loop")), ("gen_ai.evaluation.score.value", .double(0.75)),
                    ("gen_ai.evaluation.score.label", .text("fail")), ("sluice.finding.rule", .text("loop.same_call")),
                    ("sluice.finding.version", .int(3)), ("sluice.finding.tier", .text("rule")),
                    ("sluice.finding.evidence", .list([.text("a"), .text("b")])),
                    ("gen_ai.evaluation.explanation", .text("called 5 times")),
                    ("sluice.finding.cause_span_id", .text("0303030303030303")),
                ]
            ))
        span.events.append(("gen_ai.evaluation.result", [("gen_ai.evaluation.name", .none)]))
        for _ in 0..<2 { #expect(await exporter.export(traces([span])) == .delivered) }
        let found = try rows("SELECT * FROM findings ORDER BY position")
        #expect(found.count == 2)
        #expect(found[0]["pattern"] == "tool_loop")
        #expect(found[0]["score"] == 0.75)
        #expect(found[0]["label"] == "fail")
        #expect(found[0]["rule"] == "loop.same_call")
        #expect(found[0]["version"] == "3")
        #expect(found[0]["evidence"] == #"["a","b"]"#)
        #expect(found[0]["cause_span_id"] == "0303030303030303")
        #expect(found[0]["conversation_id"] == "c1", "from the span")
        #expect(found[0]["service_name"] == "agent")
        #expect(found[1]["pattern"] == "unnamed")
    }

    private typealias Event = (String, [(String, TestValue)])

    private func result(_ name: String, rule: String) -> Event {
        ("gen_ai.evaluation.result", [("gen_ai.evaluation.name", .text(name)), ("sluice.finding.rule", .text(rule))])
    }

    /// Patterns of the stored findings, and how many events of this kind there are.
    private func results() throws -> String {
        let found = try rows("SELECT pattern FROM findings ORDER BY pattern").map { ($0["pattern"] as String?) ?? "" }
        let events: Int? = try value("SELECT count(*) FROM span_events WHERE name = 'gen_ai.evaluation.result'")
        return found.joined(separator: ",") + " \(events ?? 0)"
    }

    @Test func `what was found on a span stays when the span comes again without it`() async throws {
        let exporter = try await start()
        var judged = tool
        judged.events += [result("loop", rule: "repeat.identical"), result("soft", rule: "result.soft_error")]
        var later = tool
        later.name = "renamed"
        later.end += 1_000
        later.events = [("first", []), ("second", []), ("third", [])]
        // In the same request, in another, and once more.
        #expect(await exporter.export(traces([judged, tool])) == .delivered)
        for _ in 0..<2 { #expect(await exporter.export(traces([later])) == .delivered) }
        #expect(try results() == "loop,soft 2")
        #expect(try value("SELECT name FROM spans") == "renamed")
        let events = try rows("SELECT name FROM span_events WHERE position < 9 ORDER BY position")
        #expect(events.map { $0["name"] as String? } == ["first", "second", "third"])
    }

    @Test func `new results of a rule take the place of its old ones when a span comes again`() async throws {
        let exporter = try await start()
        var span = tool
        let loop = result("loop", rule: "repeat.identical")
        let soft = result("soft", rule: "result.soft_error")
        let unnamed: Event = ("gen_ai.evaluation.result", [])
        let other: Event = ("other", [])
        let deliveries: [[Event]] = [[loop, soft, unnamed], [], [soft, soft, unnamed], [other, loop], []]
        for events in deliveries {
            span.events = events
            #expect(await exporter.export(traces([span])) == .delivered)
        }
        #expect(try results() == "loop,soft,soft,unnamed 4")
        span.events = [unnamed, loop, soft]
        for _ in 0..<2 { #expect(await exporter.export(traces([span])) == .delivered) }
        #expect(try results() == "loop,soft,unnamed 3")
        #expect(try value("SELECT max(position) FROM findings") == 2)
    }

    @Test func `repeats are a loop or a storm, not both, when a span comes again`() async throws {
        let exporter = try await start()
        var span = tool
        for pattern in ["loop", "retry_storm"] {
            span.events = [result(pattern, rule: "repeat.identical"), result(pattern, rule: "result.empty")]
            #expect(await exporter.export(traces([span])) == .delivered)
        }
        #expect(try results() == "loop,retry_storm,retry_storm 3")
        #expect(try value("SELECT pattern FROM findings WHERE rule = 'repeat.identical'") == "retry_storm")
    }

    @Test func `what a log record says of a span stays when the span comes again`() async throws {
        let exporter = try await start()
        #expect(await exporter.export(traces([tool])) == .delivered)
        try await DatabaseQueue(path: path).write {
            try $0.execute(
                sql: "INSERT INTO findings (trace_id, span_id, position, time, pattern) "
                    + "SELECT trace_id, span_id, 4294967297, 7, 'judged' FROM spans")
        }
        var judged = tool
        judged.events.append(result("judged", rule: "r"))
        for span in [tool, judged] { #expect(await exporter.export(traces([span])) == .delivered) }
        #expect(try results() == "judged,judged 1")
    }

    @Test func `takes findings out of log records, each once`() async throws {
        var json = """
            {"resourceLogs":[{"scopeLogs":[{"logRecords":[\
            {"timeUnixNano":"7","eventName":"gen_ai.evaluation.result","traceId":"0123456789abcdef0123456789abcdef",\
            "spanId":"0123456789abcdef","attributes":[\
            {"key":"gen_ai.evaluation.name","value":{"stringValue":"task_success"}},\
            {"key":"gen_ai.evaluation.score.value","value":{"doubleValue":0.25}},\
            {"key":"sluice.finding.rule","value":{"stringValue":"judge.task_success"}},\
            {"key":"gen_ai.agent.name","value":{"stringValue":"refunds"}}]},\
            {"timeUnixNano":"8","eventName":"other","traceId":"0123456789abcdef0123456789abcdef"},\
            {"timeUnixNano":"9","eventName":"gen_ai.evaluation.result"}]}]}]}
            """
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .logs, into: &output)
        }
        let batch = ExportBatch(signal: .logs, itemCount: 3, bytes: [UInt8](output.bytes))
        let exporter = try await start()
        #expect(await exporter.export(batch) == .delivered)
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
        #expect(try value("SELECT count(*) FROM logs", as: Int.self) == 3)
        let found = try rows("SELECT * FROM findings")
        #expect(found.count == 1)
        let row = try #require(found.first)
        let texts = ["trace_id", "span_id", "pattern", "rule", "agent_name"].map { row[$0] as String? }
        #expect(
            texts == [
                "0123456789abcdef0123456789abcdef", "0123456789abcdef", "task_success", "judge.task_success", "refunds",
            ])
        #expect(row["score"] as Double? == 0.25)
        #expect(row["time"] as Int? == 7)
    }

    @Test func `stores hostile values by its rules`() async throws {
        let exporter = try await start()
        let long = String(repeating: "ä", count: 5 << 20)
        var span = TestSpan(id: 5, name: "a\u{0}b'\";--", start: .max, end: 1)
        span.attributes = [
            ("gen_ai.usage.cost", .double(.nan)), ("gen_ai.usage.input_tokens", .double(1e300)),
            ("k'\"\n\u{0}", .text("v\u{0}")), ("gen_ai.input.messages", .text(long)),
        ]
        #expect(await exporter.export(traces([span])) == .delivered)
        let row = try #require(try rows("SELECT * FROM spans").first)
        #expect(row["name"] == "a\u{FFFD}b'\";--")
        #expect(row["start_time"] == Int64.max)
        #expect(row["duration_ms"] == nil as Double?)
        #expect(row["cost_usd"] == nil as Double?)
        #expect(row["input_tokens"] == nil as Int64?)
        #expect((row["input_messages"] as String?)?.count == long.count)
        #expect(
            row["attributes"]
                == #"{"gen_ai.usage.cost":"NaN","gen_ai.usage.input_tokens":1e+300,"k'\"\n\u0000":"v\u0000"}"#)
        #expect(try value("SELECT json_valid(attributes) FROM spans") == 1)
    }

    @Test func `is private, durable and survives reopening`() async throws {
        let exporter = try await start()
        #expect(await exporter.export(traces([tool])) == .delivered)
        for name in directory.names {
            var facts = stat()
            #expect(stat(directory.file(name), &facts) == 0)
            #expect(facts.st_mode & 0o777 == 0o600, "\(name)")
        }
        #expect(try value("PRAGMA journal_mode") == "wal")
        await exporter.shutdown()
        await exporter.shutdown()
        guard case .retry = await exporter.export(traces([chat])) else {
            Issue.record("a closed database takes nothing")
            return
        }
        let again = try await start()
        #expect(await again.export(traces([tool, chat])) == .delivered)
        #expect(try value("SELECT count(*) FROM spans") == 2)
        #expect(try value("SELECT count(*) FROM sluice_schema") == SQLSchema.version)
    }

    @Test func `refuses databases that it does not understand`() async throws {
        await #expect(throws: ExporterStartFailure.self) { _ = try await start("{create_schema: false}") }
        _ = try await start()
        try await DatabaseQueue(path: path).write { try $0.execute(sql: "INSERT INTO sluice_schema VALUES (999, 'x')") }
        do {
            _ = try await start()
            Issue.record("started on a newer schema")
        } catch { #expect("\(error)".contains("newer Sluice")) }
        await #expect(throws: ExporterStartFailure.self) { _ = try await start("{path: /nonexistent/a.db}") }
    }

    @Test func `a delivery that nobody waits for any more, and a close, do not wait for another writer`() async throws {
        let exporter = try await start("{busy_timeout: 10m}")
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: path, configuration: configuration)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        let batch = traces([tool])
        let delivery = Task { await exporter.export(batch) }
        try await Task.sleep(for: .milliseconds(50))
        let begin = ContinuousClock.now
        delivery.cancel()
        guard case .retry = await delivery.value else {
            Issue.record("delivered into a locked database")
            return
        }
        await exporter.shutdown()
        #expect(ContinuousClock.now - begin < .seconds(60))
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
    }

    @Test func `waits for a writer that will not let go, and a bad batch harms no other`() async throws {
        let exporter = try await start("{busy_timeout: 1ms}")
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: path, configuration: configuration)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        guard case .retry = await exporter.export(traces([tool])) else {
            Issue.record("a busy database is a passing problem")
            return
        }
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        let bad = ExportBatch(signal: .traces, itemCount: 1, bytes: [0x0A, 0xFF])
        let (toolBatch, chatBatch) = (traces([tool]), traces([chat]))
        async let first = exporter.export(toolBatch)
        async let second = exporter.export(bad)
        async let third = exporter.export(chatBatch)
        let outcomes = await (first, second, third)
        #expect(outcomes.0 == .delivered)
        guard case .permanent = outcomes.1 else {
            Issue.record("not permanent")
            return
        }
        #expect(outcomes.2 == .delivered)
        #expect(try value("SELECT count(*) FROM spans") == 2)
    }

    @Test func `a refused log record comes back as the row that it would have been`() async throws {
        let exporter = try await start()
        try await DatabaseQueue(path: path).write {
            try $0.execute(
                sql: "CREATE TRIGGER full BEFORE INSERT ON logs WHEN new.body = 'bad' "
                    + "BEGIN SELECT raise(ABORT, 'no'); END")
        }
        let batch = ExportBatch(
            signal: .logs, itemCount: 5, bytes: TestRequest.logs(["same", "bad", "same", "bad", "bad"]))
        guard case .refused(let records, _, let places) = await exporter.export(batch) else {
            Issue.record("not refused")
            return
        }
        #expect(records == [1, 3, 4])
        try await DatabaseQueue(path: path).write { try $0.execute(sql: "DROP TRIGGER full") }
        let letters = FrameSplit.records(Set(records), of: batch, places: places)
        #expect(letters.count == 3 && Set(letters.map(\.bytes)).count == 1, "equal byte for byte")
        // Each may come twice, and so may the sender's own request.
        for letter in letters + letters + [batch] { #expect(await exporter.export(letter) == .delivered) }
        #expect(try value("SELECT count(*) FROM logs") == 5)
        #expect(try value("SELECT count(DISTINCT block) FROM logs") == 1)
        #expect(try value("SELECT sum(position) FROM logs WHERE body = 'bad'") == 8)
    }

    @Test func `leaves out alone the row that the database refuses`() async throws {
        let exporter = try await start()
        #expect(await exporter.export(traces([tool])) == .delivered)
        let pages = try #require(try value("PRAGMA page_count", as: Int.self))
        #expect(pages > 0)
        // The limit of a database lies in the connection, so the write is refused through a trigger instead.
        try await DatabaseQueue(path: path).write {
            try $0.execute(
                sql: "CREATE TRIGGER full BEFORE INSERT ON spans WHEN new.span_id = '0303030303030303' "
                    + "BEGIN SELECT raise(ABORT, 'no'); END")
        }
        var second = tool
        second.id = 4
        #expect(
            await exporter.export(traces([chat, second]))
                == .refused(records: [0], message: "SQLite error 1811: no"))
        #expect(try value("SELECT count(*) FROM spans") == 2, "the other row of the batch is kept")
    }
}
