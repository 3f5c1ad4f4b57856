import Telemetry
import Testing

@testable import GenAI

/// A wrong tool among the right ones.
@Suite struct FindingsChoiceTests {
    static func tool(_ name: String, _ description: String) -> String {
        #"{"type":"function","name":"\#(name)","description":"\#(description)","parameters":{"type":"object"}}"#
    }

    static let shop =
        "["
        + [
            tool("issue_credit", "Gives store credit (a goodwill gesture, not a refund)."),
            tool("process_refund", "Pays an order back."), tool("get_weather", "Tells the weather."),
            tool("transfer_to_billing_agent", "Hands over to billing."),
            tool("search_flights", "Searches flights. Do not use when the user has a booking."),
        ].joined(separator: ",") + "]"

    private func run(
        _ request: String, _ tool: String, text: String? = nil, result: String = #"{"id":7}"#,
        answer: String = "All is well."
    ) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a", input: request)
        trace.model(in: agent, input: TestTrace.user(request), text: text, calls: [("1", tool, "{}")], tools: Self.shop)
        trace.tool(tool, in: agent, id: "1", arguments: "{}", result: result)
        trace.model(in: agent, text: answer, tools: Self.shop)
        return try findings(trace).of(.wrongToolSelection)
    }

    @Test func `a tool whose description rules out what was asked for is found on its call`() throws {
        let found = try run("I want a refund for my order", "issue_credit")
        #expect(found.map(\.rule) == [.toolExcluded])
        #expect(found.map(\.tier) == [.tag])
        #expect(found.map(\.span) == [2] && found.map(\.cause) == [1])
        #expect(found.first?.evidence.contains("better=process_refund") == true)
    }

    @Test(arguments: [
        ("I do not want a refund, store credit is fine", "issue_credit"),
        ("Please give me store credit", "issue_credit"), ("Refund my order", "process_refund"),
        ("Is there a flight for my booking to Rome?", "search_flights"), ("What is the weather like?", "get_weather"),
    ]) func `a tool that fits is not`(_ request: String, _ tool: String) throws {
        #expect(try run(request, tool).isEmpty)
    }

    @Test func `calling another tool than announced is found`() throws {
        let found = try run("My order broke", "get_weather", text: "I will call process_refund for this order.")
        #expect(found.map(\.rule) == [.toolOther])
        #expect(try run("My order broke", "process_refund", text: "I will call process_refund now.").isEmpty)
    }

    @Test(arguments: [
        ("Your refund of 89.90 EUR was submitted.", true), ("I submitted it. The refund is processed!", true),
        ("Your refund could not be submitted.", false), ("Shall your refund be submitted?", false),
        ("Your refund will be submitted tomorrow.", false), ("It is sunny today.", false),
    ]) func `an answer that claims what no tool did is found`(_ answer: String, _ isFound: Bool) throws {
        let found = try run("How is it going with order 7?", "get_weather", answer: answer)
        #expect(found.map(\.rule) == (isFound ? [.toolNeverCalled] : []))
    }

    @Test(arguments: [
        ("issue_refund", "I have issued the refund for order A-1001.", true),
        ("request_refund", "The refund was requested and processed.", true),
        ("send_email", "I have sent the email to Ann.", true), ("send_email", "I can send an email to Ann.", false),
    ]) func `a claim is found whatever the verb of its tool`(
        _ tool: String, _ answer: String, _ isFound: Bool
    ) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let tools = "[\(Self.tool("get_order", "Finds an order.")),\(Self.tool(tool, "Does it."))]"
        trace.model(in: agent, calls: [("1", "get_order", #"{"id":"A-1001"}"#)], tools: tools)
        trace.tool("get_order", in: agent, id: "1", result: #"{"total":60}"#)
        trace.model(in: agent, text: answer, tools: tools)
        let found = try findings(trace).of(.wrongToolSelection)
        #expect(found.map(\.rule) == (isFound ? [.toolNeverCalled] : []), "\(found)")
    }

    @Test func `an email that another action may have sent is no claim`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let tools = "[\(Self.tool("create_order", "Orders."))," + "\(Self.tool("send_email", "Mails."))]"
        trace.model(in: agent, calls: [("1", "create_order", #"{"id":"A-1001"}"#)], tools: tools)
        trace.tool("create_order", in: agent, id: "1", result: #"{"total":60}"#)
        trace.model(in: agent, text: "It is ordered, a confirmation email was sent.", tools: tools)
        #expect(try findings(trace).of(.wrongToolSelection).isEmpty)
    }

    @Test(arguments: [
        ("issue_refund", true), ("shop.refund_order", true), ("pay_invoice", true), ("run_command", true),
        ("cancel_order", true), ("get_charge", false), ("search_request", false), ("get_run", false),
        ("fetch_orders", false), ("list_issue", false),
    ]) func `a tool's name says whether it changes something`(_ name: String, _ isAction: Bool) {
        var name = name
        let found = name.withUTF8 { TraceAnalyzer.isAction(Text(UnsafeRawBufferPointer($0))) }
        #expect(found == isAction)
    }

    @Test func `a claim that a result bears out is none`() throws {
        let found = try run(
            "What about order 7?", "get_weather", result: #"{"refund":{"state":"submitted"}}"#,
            answer: "Your refund was submitted.")
        #expect(found.isEmpty)
    }

    @Test(arguments: [
        ("I am transferring you to the billing agent now.", true), ("I'm connecting you with Billing.", true),
        ("The billing department is open from nine.", false), ("I am transferring you to a manager.", false),
    ]) func `an agent that is announced and never called is found`(_ answer: String, _ isFound: Bool) throws {
        let found = try run("Who helps me with my invoice?", "get_weather", answer: answer)
        #expect(found.map(\.rule) == (isFound ? [.toolNeverCalled] : []))
    }
}
