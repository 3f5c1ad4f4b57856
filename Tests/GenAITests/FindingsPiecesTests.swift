import Telemetry
import Testing

@testable import GenAI

/// Traces that come in pieces, are long, or have clocks that tell little.
@Suite struct FindingsPiecesTests {
    /// An agent that calls a failing tool again and again, and answers.
    private func storm(_ count: Int) -> TestTrace {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for index in 0..<count {
            trace.model(in: agent, calls: [("call_\(index)", "get_order", #"{"order_id":"A-1001"}"#)])
            trace.tool("get_order", in: agent, id: "call_\(index)", error: "503 upstream unavailable")
        }
        trace.model(in: agent, text: "The order system does not answer.")
        return trace
    }

    private func piece(_ trace: TestTrace, _ places: Range<Int>) -> TestTrace {
        var piece = trace
        piece.spans = Array(trace.spans[places])
        return piece
    }

    @Test func `a piece without the spans above it does not tell that an answer is missing`() throws {
        let trace = storm(1)
        let detective = Detective()
        #expect(try detective.look(at: piece(trace, 1..<3)).of(.noFinalAnswer).isEmpty)
        #expect(detective.analyzer.unassessable[FindingPattern.noFinalAnswer.index] == 1)
        #expect(detective.analyzer.assessed[FindingPattern.noFinalAnswer.index] == 0)
        // With the agent, whose span comes last, it does.
        #expect(try findings(piece(trace, 0..<3)).of(.noFinalAnswer).map(\.rule) == [.answerMissing])
    }

    @Test func `a piece with one of several handoffs does not tell that something was dropped`() throws {
        let request = "Refund ORD-88213, cancel ORD-99321 and invoice INV-7781 to Ms Keller at 4711 Elm Street"
        func run(_ tasks: [String]) -> TestTrace {
            var trace = TestTrace()
            let boss = trace.agent("front", input: request)
            for (index, task) in tasks.enumerated() {
                trace.model(
                    in: boss, input: TestTrace.user(request),
                    calls: [("h\(index)", "transfer_to_worker", #"{"task":\#(TestTrace.quoted(task))}"#)])
                let sub = trace.agent("worker", in: boss, input: task)
                trace.model(in: sub, input: TestTrace.user(task), text: "Done.")
            }
            trace.model(in: boss, text: "All of it is done.")
            return trace
        }
        let trace = run(["Refund ORD-88213", "Cancel ORD-99321", "Invoice INV-7781 to Keller at 4711 Elm Street"])
        #expect(try findings(trace).of(.handoffDrop).isEmpty)
        let detective = Detective()
        // The span of the agent that hands over comes last.
        #expect(try detective.look(at: piece(trace, 1..<4), id: 77).of(.handoffDrop).isEmpty)
        #expect(detective.analyzer.unassessable[FindingPattern.handoffDrop.index] == 1)
        #expect(detective.analyzer.assessed[FindingPattern.handoffDrop.index] == 0)
        #expect(try findings(run(["Refund ORD-88213"])).of(.handoffDrop).map(\.tier) == [.alert])
    }

    @Test func `an agent whose own parent has not come is not told to be without an answer`() throws {
        var trace = piece(storm(1), 0..<3)
        trace.spans[0].parent = 99
        #expect(try findings(trace).of(.noFinalAnswer).isEmpty)
    }

    @Test func `failing calls add up over the pieces of a trace, and what comes again does not`() throws {
        let trace = storm(3)
        let detective = Detective()
        var tiers: [FindingTier?] = []
        for number in 0..<3 {
            let part = piece(trace, 1 + 2 * number..<3 + 2 * number)
            tiers.append(try detective.look(at: part, id: 77).of(.retryStorm).first?.tier)
        }
        #expect(tiers == [nil, .tag, .alert])
        let last = try detective.look(at: piece(trace, 5..<7), id: 77).of(.retryStorm)
        #expect(last.map(\.tier) == [.alert])
        #expect(last.first?.evidence.contains("calls=3") == true, "\(last)")
        #expect(last.first?.evidence.contains("in_earlier_pieces=2") == true, "\(last)")
        let whole = try detective.look(at: trace, id: 77).of(.retryStorm)
        #expect(whole.map(\.tier) == [.alert])
        #expect(whole.first?.evidence.contains("calls=3") == true, "\(whole)")
        #expect(whole.first?.evidence.contains("in_earlier") == false, "\(whole)")
    }

    // MARK: Loops

    /// An agent that makes these calls, each behind a model call, and answers.
    private func calls(_ calls: [(tool: String, result: String)]) -> TestTrace {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for (index, call) in calls.enumerated() {
            trace.model(in: agent, calls: [("call_\(index)", call.tool, #"{"order_id":"A-1001"}"#)])
            trace.tool(call.tool, in: agent, id: "call_\(index)", result: call.result)
        }
        trace.model(in: agent, text: "The order is still the same.")
        return trace
    }

    /// The tier of the loop that is found in each piece of one call.
    private func tiers(_ trace: TestTrace, _ count: Int) throws -> [FindingTier?] {
        let detective = Detective()
        return try (0..<count).map { number in
            let part = piece(trace, 1 + 2 * number..<3 + 2 * number)
            return try detective.look(at: part, id: 77).of(.loop).first?.tier
        }
    }

    @Test func `calls that succeed add up over the pieces of a trace, and what comes again does not`() throws {
        let order = (tool: "get_order", result: #"{"total":60}"#)
        let trace = calls([order, order, order])
        #expect(try tiers(trace, 3) == [nil, .tag, .alert])
        let detective = Detective()
        for number in 0..<3 { try detective.look(at: piece(trace, 1 + 2 * number..<3 + 2 * number), id: 77) }
        let last = try detective.look(at: piece(trace, 5..<7), id: 77).of(.loop)
        #expect(last.map(\.tier) == [.alert])
        #expect(last.first?.evidence.contains("calls=3") == true, "\(last)")
        #expect(last.first?.evidence.contains("in_earlier_pieces=2") == true, "\(last)")
        let whole = try detective.look(at: trace, id: 77).of(.loop)
        #expect(whole.map(\.tier) == [.alert])
        #expect(whole.first?.evidence.contains("in_earlier") == false, "\(whole)")
    }

    @Test(arguments: [
        [("get_order", #"{"total":60}"#), ("get_order", #"{"total":61}"#), ("get_order", #"{"total":62}"#)],
        [
            ("get_job", #"{"state":"running"}"#), ("get_job", #"{"state":"running"}"#),
            ("get_job", #"{"state":"done"}"#),
        ],
        [("job_status", #"{"ok":true}"#), ("job_status", #"{"ok":true}"#), ("job_status", #"{"ok":true}"#)],
        [("get_order", #"{"total":60}"#), ("update_order", #"{"ok":true}"#), ("get_order", #"{"total":60}"#)],
    ])
    func `polling and progress are no loop over pieces either`(_ list: [(String, String)]) throws {
        let trace = calls(list.map { (tool: $0.0, result: $0.1) })
        #expect(try findings(trace).of(.loop).isEmpty)
        #expect(try tiers(trace, list.count) == [nil, nil, nil])
    }

    @Test func `a change in another piece starts the count anew`() throws {
        let order = (tool: "get_order", result: #"{"total":60}"#)
        let trace = calls([order, (tool: "update_order", result: #"{"ok":true}"#), order, order])
        #expect(try tiers(trace, 4) == [nil, nil, nil, .tag])
        #expect(try findings(trace).of(.loop).map(\.tier) == [.tag])
    }

    @Test(arguments: [false, true]) func `calls of several agents do not add up over pieces`(_ isNamed: Bool) throws {
        var trace = TestTrace()
        let boss = trace.agent("boss")
        let agents = ["legal", "sales", "tech"].map { trace.agent($0, in: boss) }
        for agent in agents { trace.tool("get_order", in: agent, arguments: #"{"id":1}"#, result: #"{"total":60}"#) }
        if isNamed {
            for place in 4..<7 { trace.spans[place].attributes.append(("gen_ai.agent.name", .string("a\(place)"))) }
        }
        #expect(try findings(trace).of(.loop).isEmpty)
        let detective = Detective()
        for place in 4..<7 {
            let found = try detective.look(at: piece(trace, place..<place + 1), id: 77).of(.loop)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func `whose call it was is also known when the agent's span comes with one piece only`() throws {
        let order = (tool: "get_order", result: #"{"total":60}"#)
        let trace = calls([order, order])
        let last = Detective()
        #expect(try last.look(at: piece(trace, 1..<3), id: 77).of(.loop).isEmpty)
        var end = piece(trace, 3..<5)
        end.spans.append(trace.spans[0])
        #expect(try last.look(at: end, id: 77).of(.loop).map(\.tier) == [.tag])
        let first = Detective()
        #expect(try first.look(at: piece(trace, 0..<3), id: 77).of(.loop).isEmpty)
        #expect(try first.look(at: piece(trace, 3..<5), id: 77).of(.loop).map(\.tier) == [.tag])
    }

    @Test func `a call that was asked for in another piece than it ran in counts once`() throws {
        let arguments = #"{"order_id":"A-1001"}"#
        let result = #"{"total":60}"#
        var trace = TestTrace()
        let agent = trace.agent("shop")
        trace.model(in: agent, calls: [("call_0", "get_order", arguments)])
        trace.tool("get_order", in: agent, id: "call_0", arguments: arguments, result: result)
        let response = #"{"type":"tool_call_response","id":"call_0","response":\#(TestTrace.quoted(result))}"#
        trace.model(
            in: agent, input: #"[{"role":"tool","parts":[\#(response)]}]"#, calls: [("call_1", "get_order", arguments)])
        trace.tool("get_order", in: agent, id: "call_1", arguments: arguments, result: result)
        let detective = Detective()
        #expect(try detective.look(at: piece(trace, 2..<3), id: 77).of(.loop).isEmpty)
        var late = trace
        late.spans = [1, 3, 4].map { trace.spans[$0] }
        #expect(try detective.look(at: late, id: 77).of(.loop).map(\.tier) == [.tag])
    }

    @Test func `a piece that comes again once the session is known counts once`() throws {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for _ in 0..<2 { trace.tool("get_order", in: agent, arguments: #"{"id":1}"#, result: #"{"total":60}"#) }
        let detective = Detective()
        // The agent's span alone names the session.
        for places in [1..<2, 0..<1, 1..<2] {
            #expect(try detective.look(at: piece(trace, places), id: 77).of(.loop).isEmpty)
        }
        #expect(try detective.look(at: piece(trace, 2..<3), id: 77).of(.loop).map(\.tier) == [.tag])
    }

    @Test func `calls of earlier pieces are known again after a restart`() throws {
        let order = (tool: "get_order", result: #"{"total":60}"#)
        let trace = calls([order, order])
        let detective = Detective()
        detective.memory = FindingsMemory(tracksChanges: true)
        try detective.look(at: piece(trace, 0..<3), id: 77)
        let bytes = detective.memory.changes()
        detective.memory = FindingsMemory(tracksChanges: true)
        let isRestored = detective.memory.restore(bytes[...])
        #expect(isRestored)
        #expect(try detective.look(at: piece(trace, 3..<5), id: 77).of(.loop).map(\.tier) == [.tag])
    }

    @Test func `the latest calls of a long trace are looked at, and those before are said to be left out`() throws {
        var options = FindingsOptions()
        options.maxCalls = 8
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for row in 0..<20 {
            trace.tool("read_row", in: agent, arguments: #"{"row":"r\#(row)"}"#, result: #"{"value":\#(row)}"#)
        }
        for _ in 0..<3 { trace.tool("get_order", in: agent, arguments: #"{"id":"A-1"}"#, error: "503 unavailable") }
        trace.model(in: agent, text: "The order system does not answer.")
        let detective = Detective(options)
        #expect(try detective.look(at: trace).of(.retryStorm).map(\.tier) == [.alert])
        #expect(detective.analyzer.unassessable[FindingPattern.retryStorm.index] == 15)
        #expect(detective.analyzer.unassessable[FindingPattern.silentEmptyResponse.index] == 15)
    }

    @Test func `of one answer that asks for more calls than are looked at the latest count`() throws {
        var options = FindingsOptions()
        options.maxCalls = 4
        var trace = TestTrace()
        let agent = trace.agent("shop")
        let calls = (0..<6).map { (id: "c\($0)", name: "get_order", arguments: #"{"id":"A-\#($0)"}"#) }
        trace.model(in: agent, calls: calls)
        trace.tool("get_order", in: agent, id: "c5", result: "Error: no such order")
        trace.model(in: agent, text: "That order does not exist.")
        let detective = Detective(options)
        #expect(try detective.look(at: trace).of(.softError).count == 1)
        #expect(detective.analyzer.unassessable[FindingPattern.loop.index] == 2)
    }

    // MARK: Times

    /// The same without times, and with ids that tell nothing of the order.
    private func timeless(_ trace: TestTrace) -> TestTrace {
        var trace = trace
        for index in trace.spans.indices {
            trace.spans[index].id = 201 - trace.spans[index].id
            if trace.spans[index].parent > 0 { trace.spans[index].parent = 201 - trace.spans[index].parent }
            trace.spans[index].start = 0
            trace.spans[index].end = 0
        }
        return trace
    }

    @Test func `spans of one time are in the order in which they came`() throws {
        var requery = TestTrace()
        let agent = requery.agent("shop")
        requery.model(in: agent, calls: [("1", "search_orders", #"{"customer":"ann"}"#)])
        requery.tool("search_orders", in: agent, id: "1", result: "[]")
        requery.model(in: agent, calls: [("2", "search_orders", #"{"customer":"Ann Miller"}"#)])
        requery.tool("search_orders", in: agent, id: "2", result: #"[{"order_id":"A-1001"}]"#)
        requery.model(in: agent, text: "You have one order, A-1001.")
        #expect(try findings(requery).of(.silentEmptyResponse).map(\.tier) == [.tag])
        #expect(try findings(timeless(requery)).of(.silentEmptyResponse).map(\.tier) == [.tag])

        var promise = TestTrace()
        let other = promise.agent("shop")
        let tools = "[\(FindingsTests.refund)]"
        promise.model(in: other, calls: [("1", "get_order", #"{"order_id":"A-1001"}"#)], tools: tools)
        promise.tool("get_order", in: other, id: "1", result: #"{"total":60}"#)
        promise.model(in: other, text: "I will call process_refund for you now.", tools: tools)
        let found = try findings(timeless(promise)).of(.wrongToolSelection)
        #expect(found.contains { $0.rule == .toolNeverCalled }, "\(found)")
    }

    // MARK: Agents

    @Test func `a finding names the agent that its span does not`() throws {
        var trace = storm(3)
        #expect(try findings(trace).of(.retryStorm).map(\.agent) == ["shop"])
        for index in trace.spans.indices where trace.spans[index].name.hasPrefix("execute_tool") {
            trace.spans[index].attributes.append(("gen_ai.agent.name", "helper"))
        }
        #expect(try findings(trace).of(.retryStorm).map(\.agent) == [""])
    }
}
