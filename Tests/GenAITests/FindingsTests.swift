import Telemetry
import Testing

@testable import GenAI

@Suite struct FindingsTests {
    static let refund = TestTrace.definition(
        "process_refund", #""order_id":{"type":"string"},"amount":{"type":"number"}"#,
        required: #"["order_id","amount"]"#)

    /// A run of one tool call and an answer.
    static func run(
        _ arguments: String, tools: String? = "[\(refund)]", result: String? = nil, error: String? = nil,
        hasSpan: Bool = true, answer: String = "Your refund is on its way."
    ) -> TestTrace {
        var trace = TestTrace()
        let agent = trace.agent("refund_agent", input: "Refund order ORD-88213 please")
        trace.model(in: agent, calls: [("call_1", "process_refund", arguments)], tools: tools)
        if hasSpan { trace.tool("process_refund", in: agent, id: "call_1", result: result, error: error) }
        trace.model(in: agent, text: answer)
        return trace
    }

    // MARK: Arguments

    @Test(arguments: [
        (#"{"order_id":"ORD-88213"}"#, "missing:amount"),
        (#"{"order_id":"ORD-88213","amount":"a lot"}"#, "type:amount"),
        (#"{"order_id":"ORD-88213","amount":null}"#, "type:amount"),
        (#"{"order_id":["ORD-88213"],"amount":1}"#, "type:order_id"),
        (#"{"order_id":"ORD-88213","amount":1,"speed":"fast"}"#, "unknown:speed"),
        (#"{"order_id":"ORD-88213","amount":1,"":2}"#, "empty_name"),
    ]) func `arguments that break the schema are malformed`(arguments: String, fault: String) throws {
        let found = try findings(Self.run(arguments, error: "ValueError")).of(.malformedToolArguments)
        #expect(found.count == 1)
        #expect(found.first?.evidence.contains(fault) == true, "\(found)")
        #expect(found.first?.span == 2)
        #expect(found.first?.cause == 1)
    }

    @Test(arguments: [
        #"{"order_id":"ORD-88213","amount":89.9}"#, #"{"amount":90,"order_id":"ORD-88213"}"#,
        #""{\"order_id\":\"ORD-88213\",\"amount\":90}""#,
    ]) func `arguments that keep the schema are not`(arguments: String) throws {
        let found = try findings(Self.run(arguments, result: #"{"status":"submitted","refund_id":"RF-1"}"#))
        #expect(found.isEmpty, "\(found)")
    }

    @Test func `a text that reads as the wanted number is a tag when the tool took it, an alert when not`() throws {
        let arguments = #"{"order_id":"ORD-88213","amount":"89.90"}"#
        let taken = try findings(Self.run(arguments, result: #"{"refund_id":"RF-1"}"#)).of(.malformedToolArguments)
        #expect(taken.map(\.tier) == [.tag])
        let refused = try findings(Self.run(arguments, error: "TypeError")).of(.malformedToolArguments)
        #expect(refused.map(\.tier) == [.alert])
    }

    @Test func `JSON that ends too early is found on the model call when no tool ran`() throws {
        let trace = Self.run(#""{\"order_id\": \"ORD-88213\", \"amount\": 89.""#, hasSpan: false)
        let found = try findings(trace).of(.malformedToolArguments)
        #expect(found.map(\.rule) == [.argumentsCutOff])
        #expect(found.map(\.span) == [1])
        #expect(found.map(\.tier) == [.alert])
        #expect(found.map(\.isFirstBadStep) == [true])
    }

    @Test func `a refusal in the error text is enough without definitions`() throws {
        let trace = Self.run(
            #"{"order_id":"ORD-88213","amount":"x"}"#, tools: nil, error: "ValueError: amount must be a number, got 'x'"
        )
        #expect(try findings(trace).of(.malformedToolArguments).map(\.rule) == [.argumentsRefused])
    }

    @Test func `a stream that announces a call before its arguments is put together`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let arguments = #"{"order_id":"ORD-1","amount":1}"#
        let calls = [
            (id: "1", name: "process_refund", arguments: "null"),
            (id: "1", name: "process_refund", arguments: arguments),
        ]
        trace.model(in: agent, calls: calls, tools: "[\(Self.refund)]")
        trace.tool("process_refund", in: agent, id: "1", result: #"{"id":"RF-1"}"#)
        trace.model(in: agent, calls: [("2", "process_refund", "null")], tools: "[\(Self.refund)]")
        trace.tool(
            "process_refund", in: agent, id: "2", arguments: #"{"order_id":"ORD-2","amount":2}"#, result: "{\"id\":2}")
        trace.model(in: agent, text: "Done.")
        #expect(try findings(trace).isEmpty)
    }

    @Test func `an error about something else does not make good arguments malformed`() throws {
        let trace = Self.run(
            #"{"order_id":"ORD-88213","amount":1}"#, error: "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
        )
        #expect(try findings(trace).of(.malformedToolArguments).isEmpty)
    }

    @Test func `definitions of an agent's earlier trace serve when a trace brings none`() throws {
        let detective = Detective()
        try detective.look(at: Self.run(#"{"order_id":"ORD-1","amount":1}"#, result: #"{"id":"RF-1"}"#))
        let found = try detective.look(at: Self.run(#"{"order_id":"ORD-2"}"#, tools: nil, result: #"{"id":"RF-2"}"#))
        #expect(found.of(.malformedToolArguments).first?.evidence.contains("missing:amount") == true)
    }

    @Test func `without arguments or definitions nothing is assessed`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("lookup", in: agent)
        let detective = Detective()
        #expect(try detective.look(at: trace).isEmpty)
        #expect(detective.analyzer.unassessable[FindingPattern.malformedToolArguments.index] == 1)
        #expect(detective.analyzer.assessed[FindingPattern.malformedToolArguments.index] == 0)
        #expect(detective.analyzer.unassessable[FindingPattern.silentEmptyResponse.index] == 1)
    }

    // MARK: Tools

    @Test func `a tool that was not offered is found`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(in: agent, calls: [("1", "issue_credit", "{}")], tools: "[\(Self.refund)]")
        trace.tool("issue_credit", in: agent, id: "1", error: "unknown tool")
        trace.model(in: agent, text: "Sorry, that did not work.")
        let found = try findings(trace).of(.wrongToolSelection)
        #expect(found.map(\.rule) == [.toolUnknown])
        #expect(found.map(\.tier) == [.alert])
    }

    @Test func `a tool that the answer announces and nobody called is found`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(in: agent, text: "I will call process_refund for you now.", tools: "[\(Self.refund)]")
        #expect(try findings(trace).of(.wrongToolSelection).map(\.rule) == [.toolNeverCalled])
    }

    // MARK: Results

    @Test(arguments: [
        "[]", "{}", #"{"result":[]}"#, #"{"orders":[],"count":0}"#, "No orders found for this customer.",
        #"[{"type":"text","text":"[]"}]"#, #"{"content":"[]","tool_call_id":"call_1","role":"tool"}"#,
        #"{"status":"ok","rows":0}"#, #""No results""#, #"{"result":"[]"}"#,
    ]) func `a result without data is a silent empty response`(result: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("fetch_orders", in: agent, arguments: #"{"customer_id":"C-10482"}"#, result: result)
        trace.model(in: agent, text: "You have no orders.")
        #expect(try findings(trace).of(.silentEmptyResponse).map(\.span) == [1], "\(result)")
    }

    @Test(arguments: [
        #"{"success":true}"#, #"[{"id":1}]"#, "0", "false", #"{"count":3,"items":[1,2,3]}"#, "Done.",
        #"{"result":{"order_id":"ORD-1"}}"#, "<not specified>",
    ]) func `a result with data, an acknowledgement or a placeholder is not`(result: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("fetch_orders", in: agent, arguments: #"{"customer_id":"C-10482"}"#, result: result)
        trace.model(in: agent, text: "Fine.")
        #expect(try findings(trace).isEmpty, "\(result)")
    }

    @Test func `a tool that never answers anything is void by design`() throws {
        let detective = Detective()
        var counts: [Int] = []
        for _ in 0..<7 {
            var trace = TestTrace()
            let agent = trace.agent("a")
            trace.tool("render_index", in: agent, arguments: "{}", result: "null")
            trace.model(in: agent, text: "Done, nothing to report.")
            counts.append(try detective.look(at: trace).of(.silentEmptyResponse).count)
        }
        #expect(counts == [1, 1, 1, 1, 0, 0, 0])
    }

    @Test func `a tool that is always called wrongly does not become void`() throws {
        let detective = Detective()
        for _ in 0..<7 {
            var trace = TestTrace()
            let agent = trace.agent("a")
            trace.tool("fetch_orders", in: agent, arguments: #"{"customer_id":" 'C-10482'"}"#, result: "[]")
            trace.model(in: agent, text: "Done, nothing to report.")
            #expect(try detective.look(at: trace).of(.silentEmptyResponse).first?.tier == .alert)
        }
    }

    @Test func `an answer that ignores the emptiness makes it an alert`() throws {
        func tier(_ answer: String) throws -> FindingTier? {
            var trace = TestTrace()
            let agent = trace.agent("a")
            trace.model(in: agent, calls: [("1", "fetch_orders", #"{"customer_id":"C-10482"}"#)])
            trace.tool("fetch_orders", in: agent, id: "1", result: "[]")
            trace.model(in: agent, text: answer)
            return try findings(trace).of(.silentEmptyResponse).first?.tier
        }
        #expect(try tier("There are no orders on your account.") == .tag)
        #expect(try tier("Your order arrives on Monday.") == .alert)
    }

    @Test(arguments: [
        "Error: connection refused", #"{"error":"payment gateway timeout"}"#, #"{"success":false,"message":"no"}"#,
        #"{"status":"failed"}"#, "ValueError: bad amount", #"{"isError":true,"content":"x"}"#,
    ]) func `an error that the span does not tell is a soft error`(result: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("pay", in: agent, arguments: "{}", result: result)
        trace.model(in: agent, text: "It failed.")
        #expect(try findings(trace).of(.softError).map(\.tier) == [.tag], "\(result)")
    }

    // MARK: Argument shapes

    @Test(arguments: [
        (" C-10482", "leading_space"), ("C-10482 ", "trailing_space"), (#"\"C-10482\""#, "wrapping_quotes"),
        ("<customer_id>", "placeholder"), ("c_10482", "other_shape"), ("your_customer_id", "placeholder"),
    ]) func `an odd argument is a hint, and the cause of the empty result`(value: String, oddity: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(
            in: agent, input: TestTrace.user("I am C-10482"),
            calls: [("1", "fetch_orders", #"{"customer_id":"\#(value)"}"#)])
        trace.tool("fetch_orders", in: agent, id: "1", result: "[]")
        trace.model(in: agent, text: "There are no orders.")
        let found = try findings(trace)
        #expect(found.of(.argumentAnomaly).map(\.tier) == [.hint])
        #expect(found.of(.argumentAnomaly).first?.evidence.contains(oddity) == true, "\(found)")
        let empty = try #require(found.of(.silentEmptyResponse).first)
        #expect(empty.evidence.contains("cause_argument=customer_id"))
        #expect(empty.cause == 1)
        #expect(empty.tier == .alert)
    }

    @Test func `free text may have quotes and spaces`() throws {
        let trace = Self.run(
            #"{"query":"\"exact phrase\"","code":" x = 1 ","content":"line\n"}"#, tools: nil, result: #"{"id":1}"#)
        #expect(try findings(trace).of(.argumentAnomaly).isEmpty)
    }

    // MARK: Refusals and constraints

    @Test(arguments: [
        ("amount has to be given as a number; expected number, got text", true),
        ("Parameter 'amount' should be of type float", true), ("amount: requires an integer", true),
        ("the amount is too high for this customer", false), ("expected a number of seats, none is free", false),
        ("service unavailable, it should be back soon", false),
    ]) func `an error that wants a type and names the argument blames it`(_ error: String, _ isBlamed: Bool) throws {
        let trace = Self.run(#"{"order_id":"ORD-88213","amount":1}"#, error: error)
        let found = try findings(trace).of(.malformedToolArguments)
        #expect(found.map(\.rule) == (isBlamed ? [.argumentsRefused] : []), "\(found)")
    }

    @Test(arguments: [
        ("Never refund to the original payment method.", "original_payment", true),
        ("Please do not use the original-payment card", "original_payment", true),
        ("Never mind. Use the original payment method.", "original_payment", false),
        ("Refund to the original payment method, not as store credit", "original_payment", false),
        ("not original, please. payment as usual", "original_payment", false), ("never", "original_payment", false),
        ("Do not forget the original payment receipt", "original_payment", false),
        ("Why not use the original payment method?", "original_payment", false),
        ("I am not sure about original payment", "original_payment", false),
        ("I never got my refund to my original payment method", "original_payment", false),
        ("It was not received by the original payment card", "original_payment", false),
    ]) func `a value that the user ruled out is seen`(_ words: String, _ value: String, _ isRuledOut: Bool) {
        var (words, value) = (words, value)
        let found = words.withUTF8 { words in
            value.withUTF8 { value in
                TraceAnalyzer.rulesOut(Text(UnsafeRawBufferPointer(value)), Text(UnsafeRawBufferPointer(words)))
            }
        }
        #expect(found == isRuledOut)
    }
}
