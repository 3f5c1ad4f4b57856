import Telemetry
import Testing

@testable import GenAI

/// What frameworks put around arguments and results, and answers that look like failures.
@Suite struct FindingsShapesTests {
    private func loud(
        _ tool: String, _ result: String, arguments: String = #"{"customer_id":"C-10482"}"#
    ) throws
        -> [Finding]
    {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool(tool, in: agent, arguments: arguments, result: result)
        trace.model(in: agent, text: "You have no orders.")
        return try findings(trace).filter { $0.tier > .hint }
    }

    /// Wrappings with `@` for the content as JSON text inside a string, `$` for it as a value.
    static let wrappings = [
        #"{"content":"@","name":"f","call_id":"call_1","is_error":false}"#,
        #"{"blocks":[{"block_type":"text","text":"@"}],"tool_name":"f","raw_input":1,"raw_output":$,"is_error":false}"#,
        #"{"content":"@","tool_name":"f","raw_input":{"kwargs":{}},"raw_output":$}"#,
        #"{"content":[{"type":"text","text":"@"}],"isError":false}"#,
        #"{"meta":null,"content":[{"type":"text","text":"@"}],"structuredContent":{"result":$},"isError":false}"#,
        #"{"lc":1,"type":"constructor","id":["langchain","schema"],"kwargs":{"content":"@","tool_call_id":"c"}}"#,
        #"{"type":"tool","data":{"content":"@","name":"f","tool_call_id":"c"}}"#,
        #"{"output":{"content":"@","type":"tool","name":"f","tool_call_id":"c"}}"#,
        #"{"type":"json","value":$}"#, #"{"toolResult":{"toolUseId":"t","status":"success","content":[{"json":$}]}}"#,
        #"[{"text":"@"}]"#, #"[{"json":$}]"#, #"{"function_response":{"result":$}}"#,
        "content='@' name='f' tool_call_id='call_1'", "ToolMessage(content='@', tool_call_id='call_1')",
        "meta=None content=[TextContent(type='text', text='@', annotations=None)] structuredContent=None isError=False",
    ]

    static func wrap(_ content: String, _ wrapping: String) -> String {
        let inner = wrapping.hasPrefix("{") || wrapping.hasPrefix("[")
        let escaped = inner ? String(TestTrace.quoted(content).dropFirst().dropLast()) : content
        return wrapping.replacing("@", with: escaped).replacing("$", with: content)
    }

    @Test(arguments: wrappings) func `nothing inside of a wrapping is nothing`(_ wrapping: String) throws {
        for content in ["[]", "{}", #"{"orders":[],"total":0}"#] {
            let found = try loud("fetch_orders", Self.wrap(content, wrapping))
            #expect(found.map(\.rule) == [.emptyResult], "\(content) \(found)")
        }
        let full = try loud("fetch_orders", Self.wrap(#"[{"id":"ORD-1"}]"#, wrapping))
        #expect(full.isEmpty, "\(full)")
    }

    @Test(arguments: [
        #"{"content":"no such customer","name":"f","call_id":"1","is_error":true}"#,
        #"{"content":[{"type":"text","text":"no such customer"}],"isError":true}"#,
        "content='no such customer' name='f' tool_call_id='1' status='error'",
        #"{"type":"error-text","value":"no such customer"}"#,
        "I encountered an error while trying to use the tool. This was the error: KeyError.",
        #"{"toolUseId":"t","status":"error","content":[{"text":"no such customer"}]}"#,
    ]) func `an error that only the wrapping tells is a soft error`(_ result: String) throws {
        let found = try loud("fetch_orders", result)
        #expect(found.map(\.rule) == [.softError], "\(found)")
    }

    @Test(arguments: [
        ("check_conflicts", "[]"), ("check_calendar", "No conflicts found."), ("lint_code", "{}"),
        ("validate_form", #"{"errors":[]}"#), ("validate_form", #"{"errors":[],"warnings":[]}"#),
        ("scan", #"{"vulnerabilities":[],"checked":120}"#), ("review", "No issues found."),
        ("compare_files", "No differences found"), ("file_exists", #"{"exists":false}"#), ("count_orders", "0"),
        ("is_member", "false"), ("is_member", #"{"result":false}"#), ("balance", #"{"balance":0}"#),
        ("translate", #"{"text":"Nicht gefunden"}"#),
    ]) func `good news and plain answers are no empty result`(_ tool: String, _ result: String) throws {
        let found = try loud(tool, result)
        #expect(found.isEmpty, "\(found)")
    }

    @Test(arguments: [
        ("search_issues", "No issues found."), ("list_orders", #"{"orders":[],"error":null}"#),
        ("list_orders", #"{"found":false}"#), ("get_user", #"{"exists":false,"user":null}"#),
        ("search", #"{"items":[],"took":3}"#),
    ]) func `an empty search is one`(_ tool: String, _ result: String) throws {
        #expect(try loud(tool, result).map(\.rule) == [.emptyResult])
    }

    // MARK: Repeats

    private func repeated(_ calls: [(arguments: String, result: String)], tool: String = "lookup") throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for call in calls { trace.tool(tool, in: agent, arguments: call.arguments, result: call.result) }
        trace.model(in: agent, text: "There are no more of them, nothing else was found.")
        return try findings(trace).filter { [.loop, .retryStorm].contains($0.pattern) }
    }

    @Test func `times and request ids in a result are no progress`() throws {
        let found = try repeated(
            (1...3).map { (#"{"q":"headphones"}"#, #"{"items":["A"],"request_id":"r-\#($0)","took_ms":\#($0)}"#) })
        #expect(found.map(\.tier) == [.alert])
    }

    @Test func `six steps of two calls in turn are a loop`() throws {
        let pair = [(#"{"q":"a"}"#, #"{"id":1}"#), (#"{"q":"b"}"#, #"{"id":2}"#)]
        let found = try repeated(pair + pair + pair)
        #expect(found.count == 2 && found.allSatisfy { $0.tier == .alert }, "\(found)")
    }

    @Test func `waiting for a job is no loop, whatever the tool is called`() throws {
        #expect(try repeated((1...4).map { _ in (#"{"id":"J-1"}"#, #"{"state":"RUNNING"}"#) }, tool: "get_run").isEmpty)
    }

    @Test func `a batch that differs in ids alone is no loop`() throws {
        let batch = (1...6).map {
            (#"{"to":"user\#($0)@example.com","text":"Your parcel is late, we are sorry for that."}"#, #"{"ok":true}"#)
        }
        #expect(try repeated(batch, tool: "mail").isEmpty)
    }

    /// The same search without a hit in five traces of a session, some time apart.
    private func searches(_ answer: String, apart nanoseconds: UInt64 = 0, error: String? = nil) throws -> [FindingTier]
    {
        let detective = Detective()
        var tiers: [FindingTier] = []
        for number in 0..<5 as Range<UInt64> {
            var trace = TestTrace(session: "s")
            let agent = trace.agent("a")
            trace.tool(
                "search", in: agent, arguments: #"{"q":"blue shoes"}"#, result: error == nil ? "[]" : nil, error: error)
            trace.model(in: agent, text: answer)
            for place in trace.spans.indices {
                trace.spans[place].start += number * nanoseconds
                trace.spans[place].end += number * nanoseconds
            }
            tiers += try detective.look(at: trace).of(.retryStorm).map(\.tier)
        }
        return tiers
    }

    @Test func `searches without a hit are a storm across the traces of a session`() throws {
        #expect(try searches("Here are some shoes that you may like.") == [.tag, .alert, .alert])
        // The user knows, and asked again.
        #expect(try searches("I found nothing.") == [.tag, .tag, .tag])
    }

    @Test func `looking again on another day is no storm`() throws {
        let (minute, day): (UInt64, UInt64) = (60_000_000_000, 86_400_000_000_000)
        #expect(try searches("You have no new mail.", apart: day).isEmpty)
        #expect(try searches("Here are some shoes that you may like.", apart: day).isEmpty)
        #expect(try searches("The service is down today.", apart: day, error: "503 unavailable").isEmpty)
        let storm = try searches("The service is down.", apart: minute, error: "503 unavailable")
        #expect(storm == [.tag, .alert, .alert])
    }

    // MARK: Handoffs

    private func handoff(_ request: String, _ told: String) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("front", input: request)
        trace.model(
            in: agent, input: TestTrace.user(request),
            calls: [("1", "transfer_to_billing", #"{"task":\#(TestTrace.quoted(told))}"#)])
        let sub = trace.agent("billing", in: agent, input: told)
        trace.model(in: sub, input: TestTrace.user(told), text: "Done.")
        trace.model(in: agent, text: "It is done.")
        return try findings(trace).of(.handoffDrop).filter { $0.tier > .hint }
    }

    @Test(arguments: [
        ("Pay 1,299.50 to Ms Keller for ORD-88213", "pay Keller 1299.5, order 88213"),
        ("Book a room for March 5, 2026 in Rome, Italy", "Room in Rome (Italy), 2026-03-05"),
        ("Find \"blue suede shoes\" in size 42", "shoes: blue suede, size 42"),
        ("Refund 1,250.50 EUR for INV-778 dated 2026-05-03", "refund of €1250.50 for INV-778 from May 3, 2026"),
        ("Refund 1250.50€ for INV-778 of 3.5.2026", "refund 1,250.50 EUR for INV-778 from 2026-05-03"),
        ("Zahle 1.250,50 Euro an INV-778", "pay 1,250.50 EUR for INV-778"),
        ("Bezahle 89,90 Euro an Frau Keller, Auftrag ORD-88213", "Pay Keller 89,90 EUR for ORD-88213"),
    ]) func `what is told in another spelling is told`(_ request: String, _ told: String) throws {
        let found = try handoff(request, told)
        #expect(found.isEmpty, "\(found.map(\.explanation))")
    }

    @Test func `a request that brings a document along is not judged`() throws {
        let items = (0..<40).map { "Item \($0) costs \($0 * 7) euros." }.joined(separator: " ")
        #expect(try handoff(items + " Now say what order A-1001 holds.", "Say what order A-1001 holds").isEmpty)
    }

    @Test func `what is left out is missing`() throws {
        #expect(try handoff("Pay 1,299.50 to Ms Keller for ORD-88213", "pay the invoice").map(\.tier) == [.alert])
    }

    @Test func `agents that take turns without a handoff are not judged`() throws {
        var trace = TestTrace()
        let first = trace.agent("researcher", input: "Compare ORD-88213 and ORD-99321 for Ms Keller")
        trace.model(in: first, input: TestTrace.user("Compare ORD-88213 and ORD-99321 for Ms Keller"), text: "Equal.")
        let second = trace.agent("writer", input: "Write a text about the comparison")
        trace.model(in: second, input: TestTrace.user("Write a text about the comparison"), text: "Both are equal.")
        #expect(try findings(trace).of(.handoffDrop).isEmpty)
    }
}
