import Testing

@testable import GenAI

/// Runs that are well and look like failures, each with a failing one that looks like it.
@Suite struct FindingsTwinTests {
    // MARK: Refused arguments

    private func failing(_ tool: String, _ arguments: String, _ error: String, tools: String?) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("coder")
        trace.model(in: agent, calls: [("1", tool, arguments)], tools: tools)
        trace.tool(tool, in: agent, id: "1", error: error)
        trace.model(in: agent, text: "That failed.")
        return try findings(trace).of(.malformedToolArguments)
    }

    private static func definition(_ tool: String) -> String {
        let properties = ["command", "path", "code", "target", "script"].map { #""\#($0)":{"type":"string"}"# }
        return "[\(TestTrace.definition(tool, properties.joined(separator: ",")))]"
    }

    @Test(arguments: [
        ("bash", #"{"command":"pytest -q"}"#, "TypeError: f() missing 1 required positional argument: 'x'"),
        ("run_tests", #"{"path":"tests"}"#, "TypeError: f() missing 1 required positional argument: 'x'"),
        ("python_interpreter", #"{"code":"User()"}"#, "1 validation error for User\nname\n  Field required"),
        ("execute_code", #"{"code":"f(y=1)"}"#, "TypeError: f() got an unexpected keyword argument 'y'"),
        ("run_command", #"{"command":"npx tsc"}"#, "error TS2322: expected a string. command failed"),
        ("run_python", #"{"code":"int('a')"}"#, "ValueError: invalid literal for int() with base 10: 'a'"),
        ("build_project", #"{"target":"app"}"#, "error: missing required argument 'for' in call to 'f'"),
        ("evaluate_script", #"{"script":"x()"}"#, "TypeError: cannot read x; invalid argument"),
        ("bash", #"{"command":"ls -q"}"#, "bash: line 1: ls: invalid argument"),
        ("test", #"{"path":"tests"}"#, "TypeError: test_total() missing 1 required positional argument: 'order'"),
        ("exec", #"{"code":"x"}"#, "TypeError: execute() missing 1 required positional argument: 'sql'"),
        ("build", #"{"target":"app"}"#, "Build failed: missing required argument 'x' in call to 'f'"),
    ]) func `an error of the code that a tool ran does not blame the call`(
        _ tool: String, _ arguments: String, _ error: String
    ) throws {
        #expect(try failing(tool, arguments, error, tools: Self.definition(tool)).isEmpty)
        #expect(try failing(tool, arguments, error, tools: nil).isEmpty)
    }

    @Test(arguments: [
        ("bash", #"{"cmd":"ls"}"#, "TypeError: BashTool.run() missing 1 required positional argument: 'command'"),
        ("run_tests", #"{"paths":"tests"}"#, "1 validation error for run_testsArguments\npath\n  Field required"),
        ("mcp__ci__run_tests", #"{"paths":"t"}"#, "1 validation error for call[run_tests]\npath\n  Field required"),
        ("browser_click", #"{"element":"Pay"}"#, "MCP error -32602: Invalid arguments for tool browser_click: []"),
        ("Bash", #"{"cmd":"ls"}"#, "InputValidationError: Bash failed due to the following issue: no `command`"),
        ("sql_db_query", #"{"q":"x"}"#, "Error invoking tool 'sql_db_query' with error:\n query: Field required"),
        ("compile_report", #"{"customer_id":7}"#, "ValueError: customer_id must be a string"),
        ("evaluate_project", #"{"project_id":"a"}"#, "1 validation error for Query\nproject_id\n  Input should be …"),
        ("run_query", #"{"start_time":"x"}"#, "invalid parameter: start_time must be a valid RFC3339 time"),
        ("create_notebook", #"{"title":7}"#, "1 validation error for Notebook\nname\n  Field required"),
        ("get_order", #"{"id":"a"}"#, "ValueError: invalid literal for int() with base 10: 'a'"),
        ("get_order", #"{"id":"a"}"#, "1 validation error for OrderModel\nnumber\n  Field required"),
    ]) func `an error of the tool itself does`(_ tool: String, _ arguments: String, _ error: String) throws {
        #expect(try failing(tool, arguments, error, tools: nil).map(\.rule) == [.argumentsRefused])
    }

    @Test func `arguments that the schema finds good are blamed by their name or by that of the tool`() throws {
        func look(_ error: String) throws -> Int {
            let tools = "[\(FindingsTests.refund)]"
            return try failing("process_refund", #"{"order_id":"A-1","amount":1}"#, error, tools: tools).count
        }
        #expect(try look("TypeError: charge() missing 1 required positional argument: 'currency'") == 0)
        #expect(try look("1 validation error for LedgerEntry\ncurrency\n  Field required") == 0)
        #expect(try look("process_refund() missing 1 required positional argument: 'currency'") == 1)
        #expect(try look("1 validation error for ProcessRefundInput\ncurrency\n  Field required") == 1)
        #expect(try look("1 validation error for ProcessRefundsOfOthers\ncurrency\n  Field required") == 0)
        #expect(try look("1 validation error for Input\namount\n  Input should be greater than 5") == 1)
    }

    // MARK: Delegated parts

    private typealias OwnCall = (tool: String, arguments: String, error: String?)

    private static let request = "Cancel reservation KX-4471, convert 310.50 EUR to USD, and tell 55102@x.de a joke."

    /// A lead that calls tools of its own and hands one part of the request over. `announced` is a call that never ran.
    private func delegating(_ own: [OwnCall], announced: Bool = false) throws -> [FindingTier] {
        let request = Self.request
        var trace = TestTrace()
        let lead = trace.agent("lead", input: request)
        for call in own {
            let result = call.error == nil ? #"{"ok":true}"# : nil
            trace.tool(call.tool, in: lead, arguments: call.arguments, result: result, error: call.error)
        }
        let told = #"{"task":"Please write a short joke"}"#
        var calls = [(id: "1", name: "transfer_to_joker", arguments: told)]
        if announced {
            let arguments = #"{"reservation":"KX-4471","eur":310.5,"to":"55102@x.de"}"#
            calls.append((id: "2", name: "process_all", arguments: arguments))
        }
        trace.model(in: lead, input: TestTrace.user(request), calls: calls)
        let joker = trace.agent("joker", in: lead, input: "Please write a short joke")
        trace.model(in: joker, input: TestTrace.user("Please write a short joke"), text: "Why did the chicken cross?")
        trace.model(in: lead, text: "All three are done.")
        return try findings(trace).of(.handoffDrop).map(\.tier)
    }

    @Test func `what the lead does itself need not be handed over`() throws {
        let cancel = #"{"reservation":"KX-4471"}"#
        let all: [OwnCall] = [
            ("cancel", cancel, nil), ("convert", #"{"eur":310.5}"#, nil),
            ("email", #"{"to":"55102@x.de","body":"a joke"}"#, nil),
        ]
        #expect(try delegating(all).isEmpty)
        #expect(try delegating([]) == [.alert])
        // To speak of it or to fail is not to do it.
        #expect(try delegating([("think", #"{"thought":"KX-4471, 310.50 EUR, 55102@x.de"}"#, nil)]) == [.alert])
        #expect(try delegating([("cancel", cancel, "503 unavailable")]) == [.alert])
    }

    @Test func `to look it up, to pass it on or to announce it is not to do it`() throws {
        let whole = TestTrace.quoted(Self.request)
        #expect(try delegating([("classify_intent", #"{"message":\#(whole)}"#, nil)]) == [.alert])
        #expect(try delegating([("search_kb", #"{"query":\#(whole)}"#, nil)]) == [.alert])
        #expect(try delegating([], announced: true) == [.alert])
        for tool in ["get_reservation", "reservation_lookup", "getReservation"] {
            let arguments = #"{"reservation":"KX-4471","eur":"310.50 EUR","email":"55102@x.de"}"#
            #expect(try delegating([(tool, arguments, nil)]) == [.tag])
        }
    }

    // MARK: Tasks

    /// A lead that calls a sub-agent for each task; each run of that reads the same context first. `request` is what
    /// the sub-agent's models see.
    private func runs(_ tasks: [String], request: String? = nil, isDelegated: Bool = true) throws -> [FindingTier] {
        var trace = TestTrace()
        let lead = trace.agent("lead", input: "Write sections on X.")
        for (number, task) in tasks.enumerated() {
            if isDelegated {
                let arguments = #"{"task":\#(TestTrace.quoted(task))}"#
                trace.model(
                    in: lead, input: TestTrace.user("Write sections on X."),
                    calls: [("d\(number)", "writer", arguments)])
            }
            let writer = trace.agent("writer", in: lead)
            let input = TestTrace.user(request ?? task)
            trace.model(in: writer, input: input, calls: [("k\(number)", "load_context", #"{"project":"X"}"#)])
            trace.tool("load_context", in: writer, id: "k\(number)", result: #"{"context":"It began in 2020."}"#)
            trace.model(in: writer, input: input, text: "Section \(number) is written.")
        }
        trace.model(in: lead, text: "All sections are written.")
        return try findings(trace).of(.loop).map(\.tier)
    }

    @Test func `a sub-agent that reads the same for each task is no loop`() throws {
        let tasks = (0..<5).map { "Write section \($0) of X" }
        #expect(try runs(tasks).isEmpty)
        #expect(try runs(tasks, isDelegated: false).isEmpty)
        #expect(try runs(tasks, request: "Go on.").isEmpty)
        let again = Array(repeating: "Write section 1 of X", count: 5)
        #expect(try runs(again) == [.alert])
        #expect(try runs(again, isDelegated: false) == [.alert])
    }

    // MARK: Marked errors

    /// A tool of an MCP server whose result says `isError`, which the normalizer takes off it.
    private func marked(_ count: Int, status: UInt64 = 0, result: String? = "Rate limited") throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for _ in 0..<count {
            let span = Int(trace.tool("get_orders", in: agent, arguments: #"{"customer":"9"}"#, result: result)) - 1
            trace.spans[span].attributes.append(("error.type", "tool_error"))
            trace.spans[span].status = status
        }
        trace.model(in: agent, text: "Customer 9 bought a lamp.")
        return try findings(trace)
    }

    @Test func `an error that only the result's envelope tells is a soft error`() throws {
        #expect(try marked(1).of(.softError).map(\.tier) == [.tag])
        #expect(try marked(3).of(.retryStorm).map(\.tier) == [.alert])
        // Where the span is failed, or nothing came back, there is nothing soft about it.
        #expect(try marked(1, status: 2).isEmpty)
        #expect(try marked(1, result: nil).isEmpty)
        #expect(try marked(3, status: 2).of(.retryStorm).map(\.tier) == [.alert])
    }

    // MARK: Wanted emptiness

    /// The tier of the empty result at the end of a run of calls.
    private func empty(_ calls: [(tool: String, result: String?)], _ answer: String) throws -> FindingTier? {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for call in calls {
            trace.tool(
                call.tool, in: agent, arguments: #"{"user":"u9"}"#, result: call.result,
                error: call.result == nil ? "503 unavailable" : nil)
        }
        trace.model(in: agent, text: answer)
        return try findings(trace).of(.silentEmptyResponse).last?.tier
    }

    @Test func `an empty list behind a removal is a tag`() throws {
        let (full, none) = (#"{"objects":["a","b"]}"#, #"{"objects":[]}"#)
        let answer = "All of them were taken care of."
        let ok = #"{"ok":true}"#
        #expect(try empty([("list_objects", full), ("archive", ok), ("list_objects", none)], answer) == .tag)
        #expect(try empty([("cancel_all_bookings", ok), ("get_bookings", none)], answer) == .tag)
        #expect(try empty([("empty_trash", ok), ("list_trash", "[]")], answer) == .tag)
        // Not behind one that failed, one of something else, or none.
        #expect(try empty([("empty_trash", nil), ("list_trash", "[]")], answer) == .alert)
        #expect(try empty([("cancel_booking", ok), ("search_flights", none)], answer) == .alert)
        #expect(try empty([("list_objects", full), ("list_objects", none)], answer) == .alert)
        #expect(try empty([("get_bookings", none)], answer) == .alert)
    }

    @Test(arguments: [
        ("deleteBooking", "getBookings", FindingTier.tag), ("delete_entry", "list_entries", .tag),
        ("clear_cache", "get_cache", .tag), ("close_ticket_tool", "find_tickets_by_user", .tag),
        ("resolve_customer", "get_customer", .alert), ("close_ticket_tool", "search_flights_tool", .alert),
        ("remove_label_by_name", "find_customer_by_name", .alert), ("clear_all", "list_all", .alert),
        ("remove_from_cart", "search_car", .alert), ("delete_form", "get_format", .alert),
        ("cancel_plan", "search_plane", .alert),
    ]) func `a removal is one of the same noun`(_ removal: String, _ tool: String, _ tier: FindingTier) throws {
        let calls: [(tool: String, result: String?)] = [(removal, #"{"ok":true}"#), (tool, #"{"items":[]}"#)]
        #expect(try empty(calls, "All of them were taken care of.") == tier)
    }

    @Test(arguments: [
        ("remove_item", "boots", FindingTier.tag), ("remove_item", "sandals", .alert),
        ("close_browser", "boots", .alert), ("clear_cache", "boots", .alert), ("archive_search", "boots", .alert),
    ]) func `what was there was there for the same question`(
        _ between: String, _ second: String, _ tier: FindingTier
    ) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("search_products", in: agent, arguments: #"{"q":"boots"}"#, result: #"{"items":["b1"]}"#)
        trace.tool(between, in: agent, arguments: "{}", result: #"{"ok":true}"#)
        trace.tool("search_products", in: agent, arguments: #"{"q":"\#(second)"}"#, result: #"{"items":[]}"#)
        trace.model(in: agent, text: "I found boots at 60 EUR and they ship tomorrow.")
        #expect(try findings(trace).of(.silentEmptyResponse).map(\.tier) == [tier])
    }

    @Test(arguments: [
        ("loadMemory", FindingTier.tag), ("search_memory_modules", .alert), ("get_memory_usage", .alert),
        ("get_shipping_preferences", .alert), ("get_user_preferences", .tag), ("search_memory_tool", .tag),
        ("load_memory", FindingTier.tag), ("get_chat_history", .tag), ("get_user_profile", .tag),
        ("load_preferences", .tag), ("fetch_order_history", .alert), ("get_company_profile", .alert),
    ]) func `nothing is kept of a new user`(_ tool: String, _ tier: FindingTier) throws {
        #expect(try empty([(tool, #"{"entries":[]}"#)], "You might enjoy The Leopard.") == tier)
    }

    @Test(arguments: [
        ("list_unread", "You're all caught up!", FindingTier.tag), ("list_events", "Yes, you're free at 3 pm.", .tag),
        ("whois_lookup", "Yes, foo.dev is available!", .tag), ("find_user", "Good news, zed is available.", .tag),
        ("search_flights", "Your flight is available at 320 EUR.", .alert),
        ("list_events", "Your meeting is at 3 pm.", .alert),
        ("list_events", "This free webinar starts at 3 pm.", .alert),
        ("get_user_orders", "Your order is available for pick-up.", .alert),
    ]) func `an answer notices that nothing is open or taken`(
        _ tool: String, _ answer: String, _ tier: FindingTier
    ) throws {
        #expect(try empty([(tool, #"{"items":[]}"#)], answer) == tier)
    }

    // MARK: Shapes of nothing

    @Test(arguments: [
        #"{"took":3,"timed_out":false,"_shards":{"total":5,"failed":0},"#
            + #""hits":{"total":{"value":@,"relation":"eq"},"max_score":null,"hits":[$]}}"#,
        #"{"data":[$],"meta":{"page":1,"total":@,"took_ms":4}}"#,
        #"{"data":{"orders":{"edges":[$],"pageInfo":{"hasNextPage":false,"endCursor":null}}}}"#,
        #"{"columns":["id","total"],"rows":[$],"rowcount":@}"#, #"{"success":true,"meta":{"page":1,"total":@}}"#,
    ]) func `nothing is found in what servers put around a list`(_ shape: String) throws {
        let nothing = shape.replacing("@", with: "0").replacing("$", with: "")
        let something = shape.replacing("@", with: "1").replacing("$", with: #"{"id":7,"total":60}"#)
        #expect(try empty([("find_orders", nothing)], "Your order arrives on Monday.") == .alert)
        #expect(try empty([("find_orders", something)], "Your order arrives on Monday.") == nil)
    }

    @Test func `an amount of zero is an answer`() throws {
        let total = #"{"total":{"value":0,"currency":"EUR"}}"#
        #expect(try empty([("get_discount_total", total)], "You pay the full price of 40 EUR.") == nil)
    }

    @Test func `no errors are no empty result`() throws {
        let done = #"{"success":true,"errors":{"count":0}}"#
        #expect(try empty([("send_order", done)], "Your order is on its way.") == nil)
    }

    @Test func `an empty page of a list that has more is not nothing`() throws {
        let page = #"{"data":[],"meta":{"page":9,"total":120}}"#
        #expect(try empty([("find_orders", page)], "Your order arrives on Monday.") == nil)
    }

    // MARK: Waiting

    private func polled(_ tool: String, _ result: String, pause: String? = nil) throws -> [FindingTier] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for _ in 0..<5 {
            trace.tool(tool, in: agent, arguments: #"{"job":"j1"}"#, result: result)
            if let pause { trace.tool(pause, in: agent, arguments: #"{"seconds":30}"#, result: "ok") }
        }
        trace.model(in: agent, text: "The job takes its time.")
        return try findings(trace).of(.loop).map(\.tier)
    }

    @Test(arguments: ["creating", "provisioning", "DEPLOYING", "validating", "submitted", "in-queue", "IN_PROGRESS"])
    func `asking again for what is under way is waiting`(_ state: String) throws {
        #expect(try polled("get_job", #"{"job":"j1","status":"\#(state)"}"#).isEmpty)
    }

    @Test func `what begins it anew each time is a loop`() throws {
        #expect(try polled("create_vm", #"{"id":"v1","status":"creating"}"#) == [.alert])
        #expect(try polled("process_refund", #"{"id":"r1","status":"submitted"}"#) == [.alert])
        #expect(try polled("get_job", #"{"job":"j1","status":"active"}"#) == [.alert])
    }

    @Test func `looking again behind a pause is waiting, acting again is not`() throws {
        let active = #"{"job":"j1","status":"active"}"#
        #expect(try polled("get_job", active, pause: "sleep").isEmpty)
        #expect(try polled("get_job", active, pause: "wait_seconds").isEmpty)
        #expect(try polled("get_job", active, pause: "get_wait_times") == [.alert])
        #expect(try polled("restart_job", active, pause: "sleep") == [.alert])
    }
}
