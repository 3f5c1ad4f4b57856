import Exporters
import FoundationEssentials
import GRDB
import Glibc
@testable import Query
import Testing

/// A database with the exporter's schema in a folder of its own.
final class TestDatabase: Sendable {
    let path: String
    private let folder: String

    init(_ fill: (Database) throws -> Void = { _ in }) throws {
        var template = Array("/tmp/sluice-query-XXXXXX".utf8CString)
        folder = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
        path = folder + "/q.db"
        try DatabaseQueue(path: path).write { database in
            try database.execute(sql: SQLSchema.script(.sqlite))
            try fill(database)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func questions(_ change: (inout QueryFilter) -> Void = { _ in }) throws -> Questions {
        var filter = QueryFilter()
        change(&filter)
        return Questions(try QueryDatabase(path: path), filter)
    }

    /// Ids of the spans that a question finds.
    func spans(
        _ question: (sql: String, arguments: [any DatabaseValueConvertible])
    ) throws -> [String] {
        try DatabaseQueue(path: path).read { database in
            try Row.fetchAll(database, sql: question.sql, arguments: StatementArguments(question.arguments))
                .compactMap { $0["span"] as String? }
        }
    }

    /// The steps by which the database would answer.
    func plan(of question: (sql: String, arguments: [any DatabaseValueConvertible])) throws -> [String] {
        try DatabaseQueue(path: path).read { database in
            try Row.fetchAll(
                database, sql: "EXPLAIN QUERY PLAN " + question.sql, arguments: StatementArguments(question.arguments)
            ).compactMap { $0["detail"] as String? }
        }
    }
}

extension Database {
    /// A span with what the test cares for.
    func span(
        _ trace: String, _ id: String, parent: String? = nil, at start: Int64, _ values: [String: String] = [:]
    )
        throws
    {
        var columns: [String: (any DatabaseValueConvertible)?] = [
            "trace_id": trace.padding(32), "span_id": id.padding(16), "parent_span_id": parent?.padding(16),
            "name": "step " + id, "kind": "internal", "start_time": start, "end_time": start + 1_000_000,
            "duration_ms": 1.0, "status_code": "unset", "attributes": "{}", "resource": "{}", "scope": "{}", "flags": 0,
        ]
        for (name, value) in values { columns[name] = value }
        let names = columns.keys.sorted()
        try execute(
            sql: insert("spans", names),
            arguments: StatementArguments(names.map { columns[$0] ?? nil }))
    }

    func finding(
        _ trace: String, _ span: String, at time: Int64, _ pattern: String, _ values: [String: String] = [:]
    )
        throws
    {
        let names = ["trace_id", "span_id", "position", "time", "pattern"] + values.keys.sorted()
        let head: [any DatabaseValueConvertible] = [trace.padding(32), span.padding(16), 0, time, pattern]
        try execute(
            sql: insert("findings", names),
            arguments: StatementArguments(head + values.keys.sorted().compactMap { values[$0] }))
    }
}

private func insert(_ table: String, _ columns: [String]) -> String {
    let marks = columns.map { _ in "?" }.joined(separator: ", ")
    return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(marks))"
}

extension String {
    func padding(_ width: Int) -> String { self + String(repeating: "0", count: max(0, width - count)) }
}

@Suite struct QueryTests {
    private func names(_ result: QueryResult, _ column: String) -> [String?] {
        guard let index = result.columns.firstIndex(where: { $0.name == column }) else { return ["no column"] }
        return result.rows.map { $0[index].words }
    }

    @Test func `lists sessions and traces by their latest activity, up to the limit`() throws {
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 100, ["conversation_id": "old", "user_id": "u1"])
            try database.span("a1", "02", parent: "01", at: 900)
            try database.span("b1", "03", at: 500, ["conversation_id": "new", "status_code": "error"])
            try database.span("c1", "04", at: 700)
        }
        let sessions = try database.questions().sessions()
        #expect(names(sessions, "session") == ["old", "new"])
        #expect(names(sessions, "spans") == ["2", "1"])
        #expect(names(sessions, "failed") == ["0", "1"])
        let traces = try database.questions { $0.limit = 2 }.traces()
        #expect(names(traces, "root") == ["step 01", "step 04"])
        #expect(traces.isCut)
        #expect(try names(database.questions { $0.since = 600 }.traces(), "root") == ["step 01", "step 04"])
        #expect(try database.questions { $0.service = "none" }.sessions().rows.isEmpty)
    }

    @Test func `a negative number of tokens is in no sum`() throws {
        let database = try TestDatabase { database in
            try database.span(
                "a1", "01", at: 100,
                ["conversation_id": "s", "operation": "chat", "input_tokens": "10", "output_tokens": "-5"])
            try database.span(
                "a1", "02", parent: "01", at: 200,
                ["operation": "chat", "input_tokens": "-3", "output_tokens": "4"])
        }
        for result in [try database.questions().sessions(), try database.questions().traces()] {
            #expect(names(result, "input_tokens") == ["10"])
            #expect(names(result, "output_tokens") == ["4"])
        }
        let trace = try QueryDatabase(path: database.path).trace("a100")
        let head = TraceTree(style: TextStyle()).draw(trace).split(separator: "\n").map(String.init)[0]
        #expect(head.contains("10→4 tokens"), "\(head)")
    }

    @Test func `finds the tool calls that failed, by any attribute`() throws {
        let database = try TestDatabase { database in
            let call = ["operation": "execute_tool", "tool_name": "search"]
            try database.span("a1", "01", at: 1, call.merging(["error_type": "timeout"]) { $1 })
            try database.span("a1", "02", at: 2, call.merging(["status_code": "error"]) { $1 })
            try database.span("a1", "03", at: 3, call.merging(["attributes": #"{"k'\"":true,"n":5}"#]) { $1 })
            try database.span("a1", "04", at: 4, call.merging(["resource": #"{"env":"prod"}"#, "user_id": "u"]) { $1 })
            try database.span("a1", "05", at: 5, ["status_code": "error"])
            try database.span("a1", "06", at: 6, call)
            try database.finding("a1", "06", at: 6, "silent_empty_response", ["tier": "alert"])
            try database.finding("a1", "04", at: 6, "argument_anomaly", ["tier": "hint"])
        }
        func spans(_ failed: Bool = false, _ change: (inout QueryFilter) -> Void) throws -> [String?] {
            try names(database.questions(change).tools(onlyFailed: failed), "span").map {
                $0.map { String($0.prefix(2)) }
            }
        }
        #expect(try spans(true) { _ in } == ["06", "02", "01"])
        #expect(try spans(true) { $0.attributes = [("error.type", "timeout")] } == ["01"])
        #expect(try spans { $0.attributes = [("k'\"", "true")] } == ["03"])
        #expect(try spans { $0.attributes = [("n", "5"), ("gen_ai.tool.name", "search")] } == ["03"])
        #expect(try spans { $0.attributes = [("env", "prod")] } == ["04"])
        #expect(try spans { $0.user = "u" } == ["06", "04", "03", "02", "01"])
        #expect(try spans { $0.attributes = [("n", "5' OR '1'='1")] } == [])
    }

    @Test func `walks the index of the rarest value when several are asked for`() throws {
        let database = try TestDatabase { database in
            for number in 0..<Int64(2 * QueryFilter.probedSpans + 100) {
                let isRare = number == 7
                try database.span(
                    "a\(number % 10)", String(100_000 + number), at: number,
                    [
                        "service_name": "s", "agent_name": "a", "request_model": "m",
                        "user_id": isRare ? "rare" : "often", "tool_name": number % 2 == 0 ? "t" : "other",
                        "operation": "execute_tool",
                    ])
            }
        }
        func steps(_ change: (inout QueryFilter) -> Void) throws -> [String] {
            let questions = try database.questions(change)
            return try database.plan(of: DatabaseQueue(path: database.path).read { try questions.led($0).walk })
        }
        let byUser = ["SEARCH s USING INDEX spans_by_user (user_id=? AND start_time>?)"]
        #expect(try steps { ($0.service, $0.user) = ("s", "rare") } == byUser)
        #expect(try steps { ($0.agent, $0.user) = ("a", "rare") } == byUser)
        #expect(try steps { ($0.user, $0.model) = ("rare", "m") } == byUser)
        let byService = ["SEARCH s USING INDEX spans_by_service (service_name=? AND start_time>?)"]
        #expect(try steps { ($0.service, $0.user) = ("none", "often") } == byService)
        let byTool = ["SEARCH s USING INDEX tool_calls_by_tool (tool_name=? AND start_time>?)"]
        #expect(try steps { ($0.tool, $0.user, $0.service) = ("t", "often", "s") } == byTool)
        let byModel = try steps { ($0.model, $0.user) = ("none", "often") }
        #expect(byModel.contains { $0.contains("spans_by_request_model") })
        #expect(try names(database.questions { ($0.service, $0.user) = ("s", "rare") }.traces(), "trace").count == 1)
        #expect(try names(database.questions { ($0.model, $0.user) = ("m", "rare") }.traces(), "trace").count == 1)
        let calls = try database.questions { ($0.agent, $0.user, $0.model) = ("a", "rare", "m") }
        #expect(try names(calls.tools(onlyFailed: false), "span") == ["100007".padding(16)])
    }

    @Test func `finds failed calls of one tool in an index of their own, whoever else is asked for`() throws {
        let failed = ["operation": "execute_tool", "tool_name": "search", "error_type": "timeout", "agent_name": "a"]
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1, failed.merging(["user_id": "u1"]) { $1 })
            try database.span("a1", "02", at: 2, failed.merging(["user_id": "u2"]) { $1 })
            try database.span("a1", "03", at: 3, failed.merging(["user_id": "u1", "tool_name": "other"]) { $1 })
        }
        let questions = try database.questions {
            ($0.tool, $0.user, $0.agent) = ("search", "u1", "a")
        }
        #expect(try names(questions.tools(onlyFailed: true), "span") == ["01".padding(16)])
        let steps = try database.plan(of: questions.toolQuestion(onlyFailed: true))
        #expect(steps.contains("SEARCH s USING INDEX failed_tool_calls_by_tool (tool_name=? AND start_time>?)"))
        #expect(!steps.contains { $0.hasPrefix("SCAN s") || $0.hasPrefix("SCAN f") || $0.hasPrefix("SCAN p") })
        #expect(steps.contains("SEARCH s USING INTEGER PRIMARY KEY (rowid=?)"))
    }

    @Test func `tool calls of a model are those of the traces that used it`() throws {
        let call = ["operation": "execute_tool", "tool_name": "search"]
        let database = try TestDatabase { database in
            for (number, model) in [("1", "m"), ("2", "m"), ("3", "other")] {
                let trace = "a" + number
                try database.span(trace, "0" + number, at: 1, ["request_model": model, "response_model": "m-1"])
                try database.span(trace, "1" + number, at: 2, call)
                try database.span(trace, "2" + number, at: 3, call.merging(["error_type": "timeout"]) { $1 })
                try database.span(trace, "3" + number, at: 4, call)
                try database.finding(trace, "3" + number, at: 4, "silent_empty_response", ["tier": "alert"])
            }
        }
        func spans(_ failed: Bool, _ model: String, isRare: Bool, tool: String? = nil) throws -> Set<String> {
            let questions = try database.questions { ($0.model, $0.tool) = (model, tool) }
            let question = questions.toolQuestion(onlyFailed: failed, from: isRare ? .model : nil)
            return Set(try database.spans(question).map { String($0.prefix(2)) })
        }
        for isRare in [true, false] {
            #expect(try spans(false, "m", isRare: isRare) == ["11", "21", "31", "12", "22", "32"])
            #expect(try spans(true, "m", isRare: isRare) == ["21", "31", "22", "32"])
            #expect(try spans(true, "m-1", isRare: isRare, tool: "search").count == 6)
            #expect(try spans(true, "m", isRare: isRare, tool: "none") == [])
            #expect(try spans(true, "none", isRare: isRare) == [])
        }
        let asked = try database.questions { $0.model = "other" }.tools(onlyFailed: true)
        #expect(names(asked, "span") == ["33".padding(16), "23".padding(16)])
        let rare = try database.plan(
            of: database.questions { $0.model = "x" }.toolQuestion(onlyFailed: true, from: .model))
        #expect(rare.contains { $0.hasPrefix("SEARCH spans USING") && $0.contains("spans_by_request_model") })
        #expect(rare.contains { $0.hasPrefix("SEARCH s USING INDEX") && $0.contains("(trace_id=?)") })
        #expect(!rare.contains { $0.hasPrefix("SCAN s") })
    }

    @Test func `tool calls of an agent are those below its spans, up to the next agent`() throws {
        let call = ["operation": "execute_tool", "tool_name": "search"]
        let failed = call.merging(["error_type": "timeout"]) { $1 }
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1, ["agent_name": "boss", "request_model": "m"])
            try database.span("a1", "02", parent: "01", at: 2, ["agent_name": "buyer"])
            try database.span("a1", "03", parent: "02", at: 3, ["agent_name": ""])
            try database.span("a1", "10", parent: "03", at: 10, call)
            try database.span("a1", "11", parent: "03", at: 11, failed)
            try database.span("a1", "12", parent: "01", at: 12, call)
            try database.span("a1", "13", parent: "02", at: 13, call.merging(["agent_name": "boss"]) { $1 })
            try database.span("a1", "14", parent: "02", at: 14, call)
            try database.finding("a1", "14", at: 14, "silent_empty_response", ["tier": "alert"])
            // Below nothing that has come, and below each other: of the trace's first agent.
            try database.span("a1", "20", parent: "99", at: 20, failed)
            try database.span("a1", "21", parent: "22", at: 21, failed)
            try database.span("a1", "22", parent: "21", at: 22, failed)
            try database.span("b1", "30", parent: "02", at: 30, failed)
        }
        func spans(
            _ failed: Bool, _ agent: String, _ lead: Questions.CallLead?, model: String? = nil
        ) throws -> [String] {
            let questions = try database.questions { ($0.agent, $0.model) = (agent, model) }
            let question = questions.toolQuestion(onlyFailed: failed, from: lead)
            return try database.spans(question).map { String($0.prefix(2)) }
        }
        for lead in [Questions.CallLead.agent, nil] {
            #expect(try spans(false, "buyer", lead) == ["14", "11", "10"])
            #expect(try spans(true, "buyer", lead) == ["14", "11"])
            #expect(try spans(false, "boss", lead) == ["22", "21", "20", "13", "12"])
            #expect(try spans(false, "none", lead) == [])
            #expect(try spans(false, "buyer", lead, model: "m") == ["14", "11", "10"])
            #expect(try spans(false, "buyer", lead, model: "other") == [])
        }
        #expect(try spans(true, "buyer", .model, model: "m") == ["14", "11"])
        let asked = try database.questions { $0.agent = "buyer" }.tools(onlyFailed: false)
        #expect(names(asked, "agent") == ["buyer", "buyer", "buyer"])
        let rare = try database.plan(
            of: database.questions { $0.agent = "x" }.toolQuestion(onlyFailed: false, from: .agent))
        #expect(rare.contains { $0.hasPrefix("SEARCH spans USING") && $0.contains("spans_by_agent") })
        #expect(rare.contains { $0.hasPrefix("SEARCH p USING INDEX") && $0.contains("(trace_id=? AND span_id=?)") })
        #expect(!rare.contains { $0.hasPrefix("SCAN s") || $0.hasPrefix("SCAN p") })
    }

    @Test func `tool calls and findings of a user are those of the traces that name the user`() throws {
        let call = ["operation": "execute_tool", "tool_name": "search"]
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1, ["user_id": "ann"])
            try database.span("a1", "02", parent: "01", at: 2, ["request_model": "m"])
            try database.span("a1", "10", parent: "01", at: 10, call.merging(["error_type": "timeout"]) { $1 })
            try database.span("a1", "11", parent: "01", at: 11, call.merging(["user_id": ""]) { $1 })
            try database.span("a1", "12", parent: "01", at: 12, call.merging(["user_id": "bob"]) { $1 })
            try database.span("b1", "20", at: 20, call)
            try database.finding("a1", "10", at: 30, "loop")
            try database.finding("a1", "12", at: 31, "soft_error")
            try database.finding("a1", "02", at: 32, "truncated_answer")
            try database.finding("b1", "20", at: 33, "retry_storm")
        }
        func spans(_ failed: Bool, _ user: String, _ lead: Questions.CallLead?) throws -> [String] {
            let question = try database.questions { $0.user = user }.toolQuestion(onlyFailed: failed, from: lead)
            return try database.spans(question).map { String($0.prefix(2)) }
        }
        for lead in [Questions.CallLead.user, nil] {
            #expect(try spans(false, "ann", lead) == ["11", "10"])
            #expect(try spans(true, "ann", lead) == ["10"])
            #expect(try spans(false, "bob", lead) == ["12", "11", "10"])
            #expect(try spans(false, "none", lead) == [])
        }
        let rare = try database.plan(
            of: database.questions { $0.user = "x" }.toolQuestion(onlyFailed: false, from: .user))
        #expect(rare.contains { $0.hasPrefix("SEARCH spans USING") && $0.contains("spans_by_user") })
        #expect(!rare.contains { $0.hasPrefix("SCAN s") || $0.hasPrefix("SCAN u") })
        let calls = try database.questions { $0.user = "bob" }.tools(onlyFailed: false)
        #expect(names(calls, "user") == ["bob", "bob", "bob"])
        func patterns(_ change: (inout QueryFilter) -> Void) throws -> [String?] {
            try names(database.questions(change).findings(pattern: nil), "pattern")
        }
        #expect(try patterns { $0.user = "ann" } == ["truncated_answer", "loop"])
        #expect(try patterns { $0.user = "none" } == [])
        #expect(try patterns { $0.model = "m" } == ["truncated_answer", "soft_error", "loop"])
        #expect(try patterns { ($0.model, $0.user) = ("m", "bob") } == ["truncated_answer", "soft_error", "loop"])
        #expect(try patterns { $0.model = "other" } == [])
    }

    @Test func `an agent is looked for above a call up to a depth`() throws {
        let database = try TestDatabase { database in
            try database.span("a1", "00f", at: -1, ["agent_name": "first"])
            try database.span("a1", "000", at: 0, ["agent_name": "deep"])
            for depth in 1...Questions.agentDepthMax + 1 {
                try database.span(
                    "a1", String(1_000 + depth), parent: depth == 1 ? "000" : String(999 + depth), at: Int64(depth),
                    ["operation": "execute_tool"])
            }
        }
        let found = try database.questions { ($0.agent, $0.limit) = ("deep", 0) }.tools(onlyFailed: false)
        #expect(found.rows.count == Questions.agentDepthMax)
    }

    @Test func `walks an index of its own for whatever sessions and traces are narrowed by`() throws {
        let database = try TestDatabase { database in
            let call = ["operation": "execute_tool", "tool_name": "search"]
            try database.span("a1", "01", at: 1, call)
            try database.span("a2", "02", at: 2, ["tool_name": "search"])
            try database.span("a3", "03", at: 3, ["request_model": "m", "response_model": "m"])
            try database.span("a4", "04", at: 4, ["request_model": "m", "response_model": "m-1"])
            try database.span("a5", "05", at: 5, ["response_model": "m-1"])
        }
        #expect(try names(database.questions { $0.tool = "search" }.traces(), "trace") == ["a1".padding(32)])
        for (model, found) in [("m", ["a4", "a3"]), ("m-1", ["a5", "a4"]), ("none", [])] {
            let traces = try names(database.questions { $0.model = model }.traces(), "trace")
            #expect(traces == found.map { $0.padding(32) })
        }
        let models = try database.plan(of: database.questions { $0.model = "x" }.walk)
        for column in ["request_model", "response_model"] {
            #expect(models.contains("SEARCH s USING INDEX spans_by_\(column) (\(column)=? AND start_time>?)"))
        }
        #expect(!models.contains { $0.contains("TEMP B-TREE") })
        let filters: [(index: String, change: (inout QueryFilter) -> Void)] = [
            ("tool_calls_by_tool (tool_name=? AND start_time>?)", { $0.tool = "x" }),
            ("spans_by_user (user_id=? AND start_time>?)", { $0.user = "x" }),
            ("spans_by_agent (agent_name=? AND start_time>?)", { $0.agent = "x" }),
            ("spans_by_service (service_name=? AND start_time>?)", { $0.service = "x" }),
            ("spans_by_time (start_time>?)", { _ in }),
        ]
        for (index, change) in filters {
            #expect(try database.plan(of: database.questions(change).walk) == ["SEARCH s USING INDEX \(index)"])
        }
    }

    @Test func `takes one statement that reads`() throws {
        let questions = try TestDatabase().questions()
        for (sql, words) in [("SELECT 1; SELECT 2", "one statement"), ("DELETE FROM spans", "readonly")] {
            let failure = #expect(throws: QueryFailure.self) { try questions.sql(sql) }
            #expect(failure?.description.contains(words) == true, "\(failure?.description ?? "")")
        }
    }

    @Test func `lists findings with the filters of their spans`() throws {
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1, ["operation": "execute_tool", "tool_name": "search"])
            try database.span("a1", "02", at: 1)
            try database.finding("a1", "01", at: 5, "loop", ["label": "fail"])
            try database.finding("a1", "02", at: 6, "ignored_error")
        }
        #expect(try names(database.questions().findings(pattern: nil), "pattern") == ["ignored_error", "loop"])
        #expect(try names(database.questions().findings(pattern: "loop"), "label") == ["fail"])
        #expect(try names(database.questions { $0.tool = "search" }.findings(pattern: nil), "pattern") == ["loop"])
        #expect(try names(database.questions { $0.since = 6 }.findings(pattern: nil), "pattern") == ["ignored_error"])
    }

    @Test func `findings of an agent are those of its steps, and have the service of their span`() throws {
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1, ["agent_name": "buyer", "service_name": "shop"])
            try database.span("a1", "02", parent: "01", at: 2, ["service_name": "shop"])
            try database.finding("a1", "01", at: 5, "loop", ["service_name": "shop"])
            try database.finding("a1", "02", at: 6, "ignored_error", ["agent_name": "buyer", "service_name": "shop"])
            try database.span("a1", "03", at: 3, ["service_name": "shop"])
            try database.finding("a1", "03", at: 7, "task_success", ["service_name": "sluice"])
            try database.finding("b1", "04", at: 8, "task_success", ["service_name": "sluice"])
        }
        let all = try database.questions().findings(pattern: nil)
        #expect(names(all, "service") == ["sluice", "shop", "shop", "shop"])
        let buyer = try database.questions { $0.agent = "buyer" }
        #expect(try names(buyer.findings(pattern: nil), "pattern") == ["ignored_error", "loop"])
        let other = try database.questions {
            $0.agent = "buyer"
            $0.service = "else"
        }
        #expect(try names(other.findings(pattern: nil), "pattern") == [])
    }

    @Test func `draws a trace as a tree with texts cut and the first bad step marked`() throws {
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1_000, ["service_name": "svc"])
            try database.span(
                "a1", "03", parent: "01", at: 3_000,
                [
                    "operation": "execute_tool", "tool_name": "search", "tool_arguments": #"{"q":1}"#,
                    "tool_result": String(repeating: "x", count: 500), "error_type": "timeout",
                ])
            try database.span(
                "a1", "02", parent: "01", at: 2_000,
                ["operation": "chat", "request_model": "m", "input_tokens": "10", "output_tokens": "4"])
            try database.span("a1", "04", parent: "99", at: 500, ["name": "evil\u{1B}[31m\nname"])
            try database.span("a1", "05", parent: "06", at: 4_000)
            try database.span("a1", "06", parent: "05", at: 4_001)
            try database.finding(
                "a1", "03", at: 5, "tool_loop", ["explanation": "again", "cause_span_id": "02".padding(16)])
        }
        let trace = try QueryDatabase(path: database.path).trace("a100")
        let lines = TraceTree(style: TextStyle()).draw(trace).split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("trace a1000") && lines[0].contains("svc") && lines[0].contains("10→4 tokens"))
        #expect(lines[1] == "        tool_loop on step 03: again" && lines[2] == "began   at step 02")
        #expect(lines[3].hasPrefix("     1 ms  • evil\\u{1b}[31m\\nname"), "an orphan stands at the top, harmless")
        #expect(lines[4].hasPrefix("     1 ms  • step 01"))
        #expect(lines[5].hasPrefix("     1 ms    • step 02  chat · m · 10→4 tokens"))
        #expect(lines[5].hasSuffix("◀ first bad step"))
        #expect(lines[6].hasPrefix("     1 ms    ✗ step 03") && lines[6].contains("error timeout"))
        #expect(lines[7].contains(#"arguments: {"q":1}"#))
        #expect(lines[8].contains("result: xxx") && lines[8].hasSuffix("x… +379 (--full)"))
        #expect(lines[8].count <= 170)
        #expect(lines[9].contains("! tool_loop: again"))
        #expect(lines.count == 12, "two spans that name each other as parents are shown all the same")
        let coloured = TraceTree(style: TextStyle(isColoured: true, width: 80)).draw(trace)
        #expect(coloured.contains("\u{1B}[31m✗\u{1B}[0m") && coloured.contains("\u{1B}[31;1m◀ first bad step\u{1B}[0m"))
        #expect(!lines.joined().contains("\u{1B}"))
        #expect(throws: QueryFailure.self) { try QueryDatabase(path: database.path).trace("ffff") }
        #expect(throws: QueryFailure.self) { try QueryDatabase(path: database.path).trace("' OR 1") }
    }

    @Test func `messages are shown as a person reads them, the new ones alone`() {
        let input =
            #"[{"role":"system","parts":[{"type":"text","content":"Be kind."}]},"#
            + #"{"role":"user","parts":[{"type":"text","content":"Hi"}]},"#
            + #"{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":{"b":[1,null],"a":"x"}}]},"#
            + #"{"role":"tool","parts":[{"type":"tool_call_response","id":"1","response":{"n":2.5}}]}]"#
        let messages = ShownMessages(input)
        #expect(messages?.news.map { "\($0.label)=\($0.text)" } == [#"tool={"n":2.5}"#])
        #expect(messages?.all.map(\.label) == ["system", "user", "calls", "tool"])
        #expect(messages?.all[2].text == #"f {"a":"x","b":[1,null]}"#)
        for text in ["", "[]", "{}", "[1]", "plain", #"[{"role":"user"}]"#] { #expect(ShownMessages(text) == nil) }
    }

    @Test func `findings are listed by trace, the worst first, with what to type next`() throws {
        let database = try TestDatabase { database in
            try database.span("a1", "01", at: 1)
            try database.finding("a1", "01", at: 5, "argument_anomaly", ["tier": "hint", "explanation": "odd"])
            try database.finding("a1", "02", at: 5, "silent_empty_response", ["tier": "alert", "explanation": "empty"])
            try database.finding("b1", "03", at: 9, "loop", ["tier": "tag", "explanation": "again\u{1B}[2J"])
        }
        var list = FindingsList(style: TextStyle())
        let lines = list.render(try database.questions().findings(pattern: nil)).split(separator: "\n").map(String.init)
        #expect(lines[0].hasPrefix("trace b10000000000"))
        #expect(lines[1] == #"  tag    loop: again\u{1b}[2J"#)
        #expect(lines[2].hasPrefix("trace a10000000000"))
        #expect(lines[3...4] == ["  alert  silent_empty_response: empty", "  hint   argument_anomaly: odd"])
        #expect(lines[5] == "3 findings in 2 traces. Look closer: sluice trace b10000000000")
        #expect(list.render(try database.questions { $0.since = 99 }.findings(pattern: nil)) == "nothing found\n")
    }

    @Test func `writes JSON and CSV that read back and cannot steer a terminal`() throws {
        let nasty = "a\"b,\u{1B}[2J\u{9B}\u{202E}\nc\\"
        let database = try TestDatabase { database in
            try database.span(
                "a1", "01", at: 1,
                [
                    "name": nasty, "attributes": "{\"k\":\"\u{9B}\"}", "tool_result": "[1,\n 2]",
                    "tool_arguments": "{broken", "conversation_id": "s",
                ])
        }
        let reader = try QueryDatabase(path: database.path)
        let traces = try reader.session("s")
        let json = QueryOutput.render(try reader.spans(of: traces), as: .json)
        struct Span: Decodable {
            var name: String
            var attributes: [String: String]
            var tool_result: [Int]
            var tool_arguments: String
            var cost_usd: Double?
        }
        let span = try #require(try JSONDecoder().decode([Span].self, from: Data(json.utf8)).first)
        #expect(span.name == nasty)
        #expect(span.attributes == ["k": "\u{9B}"])
        #expect(span.tool_result == [1, 2])
        #expect(span.tool_arguments == "{broken")
        let csv = try QueryOutput.render(database.questions().sql("SELECT name FROM spans"), as: .csv)
        #expect(csv == "name\r\n\"a\"\"b,\\u{1b}[2J\\u{9b}\\u{202e}\nc\\\"\r\n")
        for text in [json, csv] {
            #expect(!text.unicodeScalars.contains { QueryOutput.isControl($0) && !["\n", "\r"].contains($0) })
        }
    }

    @Test func `shows numbers as they are, and rounds only sums of prices`() throws {
        let database = try TestDatabase()
        let numbers =
            "SELECT 0.0000004 AS a, 0.1 + 0.2 AS cost_usd, 4e-7 AS cost_usd, 123456789.123456789 AS b, 2.0 AS c, "
            + "-0.0 AS d, 1e300 AS e"
        let csv = try QueryOutput.render(database.questions().sql(numbers), as: .csv)
        let fields = csv.split(separator: "\r\n").last.map { $0.split(separator: ",").map(String.init) }
        #expect(fields == ["4e-07", "0.30000000000000004", "4e-07", "123456789.12345679", "2", "-0.0", "1e+300"])
        let table = try QueryOutput.render(database.questions().sql(numbers), as: .table)
        let cells = table.split(separator: "\n").last.map { $0.split(separator: " ").map(String.init) }
        #expect(cells == ["4e-07", "0.3", "4e-07", "123456789.12345679", "2", "-0.0", "1e+300"])
    }

    @Test func `reads only, and says what is wrong with a database`() throws {
        let database = try TestDatabase()
        for statement in ["DELETE FROM spans", "CREATE TABLE x (y)", "nonsense"] {
            #expect(throws: QueryFailure.self) { try database.questions().sql(statement) }
        }
        #expect(throws: QueryFailure.self) { try QueryDatabase(path: database.path + ".missing") }
        try DatabaseQueue(path: database.path).write {
            try $0.execute(sql: "DELETE FROM sluice_schema WHERE version > 1")
        }
        do {
            _ = try QueryDatabase(path: database.path)
            Issue.record("an older schema was accepted")
        } catch { #expect("\(error)".contains("sluice sql migrate")) }
    }

    @Test func `a stored trace is the request it came in with`() throws {
        let database = try TestDatabase { database in
            try database.span(
                "a1", "01", at: 100,
                [
                    "kind": "client", "status_code": "error", "status_message": "no \"such\" order",
                    "tool_name": "fetch", "input_tokens": "12", "provider": "openai", "finish_reasons": #"["stop"]"#,
                    "attributes":

                        #"{"gen_ai.system":"openai","n":2.5,"list":[1,true,null,{"k":"v"}],"sluice.findings":["x"]}"#,
                    "resource": #"{"service.name":"shop"}"#, "scope": #"{"name":"s","version":"1"}"#,
                ])
            try database.execute(
                sql: """
                    INSERT INTO span_events VALUES (
                        ?1, ?2, 0, 'gen_ai.evaluation.result', 5, '{"sluice.finding.rule":"r"}');
                    """, arguments: ["a1".padding(32), "01".padding(16)])
            try database.execute(
                sql: "INSERT INTO span_events VALUES (?1, ?2, 1, 'exception', 6, '{}')",
                arguments: ["a1".padding(32), "01".padding(16)])
        }
        let request = String(decoding: try QueryDatabase(path: database.path).request("a1000"), as: UTF8.self)
        for part in [
            #""kind":3"#, #""code":2"#, #""message":"no \"such\" order""#, #"{"stringValue":"fetch"}"#,
            #""gen_ai.tool.name""#,
            #"{"intValue":"12"}"#, #"{"doubleValue":2.5}"#, #"{"boolValue":true}"#, #""name":"exception""#,
            #""service.name""#, #""version":"1""#, #"{"arrayValue":{"values":[{"stringValue":"stop"}]}}"#,
        ] {
            #expect(request.contains(part), "\(part) in \(request)")
        }
        for gone in ["gen_ai.evaluation.result", "sluice.findings", "gen_ai.provider.name"] {
            #expect(!request.contains(gone), "\(gone)")
        }
    }

    @Test func `shows times and durations`() {
        #expect(ShownText.time(nanoseconds: 1_764_152_103_123_456_789) == "2025-11-26 10:15:03.123")
        #expect(ShownText.time(nanoseconds: -1) == "1969-12-31 23:59:59.999")
        #expect(ShownText.time(nanoseconds: .max).hasPrefix("2262-04-11"))
        #expect([0.25, 12, 1_500, 200_000].map(ShownText.duration) == ["250 µs", "12 ms", "1.5 s", "3 m 20 s"])
        #expect(ShownText.decimal(0.000_012_3, 6) == "0.000012")
        #expect(ShownText.decimal(-2.5, 3) == "-2.5")
        #expect(ShownText.duration(milliseconds: .infinity) == "inf ms")
    }
}
