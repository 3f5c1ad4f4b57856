import Telemetry
import Testing

@testable import GenAI

/// What adds up over the pieces of a trace, and what does not.
@Suite struct FindingsAddingUpTests {
    private typealias Call = (tool: String, arguments: String, result: String?, error: String?)

    private static let order = #"{"order_id":"A-1001"}"#

    private func failing(_ tool: String = "get_order") -> Call { (tool, Self.order, nil, "503 unavailable") }

    private func call(_ tool: String, _ result: String, _ arguments: String = FindingsAddingUpTests.order) -> Call {
        (tool, arguments, result, nil)
    }

    /// An agent that makes these calls, one span each behind its own.
    private func trace(_ calls: [Call]) -> TestTrace {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for (index, call) in calls.enumerated() {
            trace.tool(
                call.tool, in: agent, id: "call_\(index)", arguments: call.arguments, result: call.result,
                error: call.error)
        }
        return trace
    }

    private func piece(_ trace: TestTrace, _ places: [Int]) -> TestTrace {
        var piece = trace
        piece.spans = places.map { trace.spans[$0] }
        return piece
    }

    /// By piece, given as places of spans: the tier of the finding of this pattern.
    private func tiers(_ trace: TestTrace, _ pattern: FindingPattern, _ pieces: [[Int]]) throws -> [FindingTier?] {
        let detective = Detective()
        return try pieces.map { try detective.look(at: piece(trace, $0), id: 77).of(pattern).first?.tier }
    }

    // MARK: Agents

    @Test(arguments: [false, true])
    func `failing and empty calls of several agents do not add up`(_ isEmpty: Bool) throws {
        var trace = TestTrace()
        let boss = trace.agent("boss")
        let agents = ["legal", "sales", "tech"].map { trace.agent($0, in: boss) }
        for agent in agents {
            trace.tool(
                "get_order", in: agent, arguments: Self.order, result: isEmpty ? "[]" : nil,
                error: isEmpty ? nil : "503 unavailable")
        }
        #expect(try findings(trace).of(.retryStorm).isEmpty)
        #expect(try tiers(trace, .retryStorm, [[1, 4], [2, 5], [3, 6]]) == [nil, nil, nil])
        #expect(try tiers(trace, .retryStorm, [[4], [5], [6]]) == [nil, nil, nil])
    }

    /// Workers of one name below a boss, each with the same call: spans 1 to 3, and 4 to 6.
    private func workers(_ services: [String]) -> TestTrace {
        var trace = TestTrace()
        let boss = trace.agent("boss")
        let agents = services.map { _ in trace.agent("worker", in: boss) }
        for agent in agents { trace.tool("get_order", in: agent, arguments: Self.order, result: #"{"total":60}"#) }
        for (place, service) in services.enumerated() {
            trace.spans[1 + place].service = service
            trace.spans[4 + place].service = service
            trace.spans[4 + place].attributes.append(("gen_ai.agent.name", "worker"))
        }
        return trace
    }

    @Test(arguments: [[[1, 4], [2, 5], [3, 6]], [[4], [5], [6]], [[4], [2, 5], [6]]])
    func `workers of one name in several services do not add up over pieces`(_ pieces: [[Int]]) throws {
        let spread = workers(["shop-a", "shop-b", "shop-c"])
        #expect(try findings(spread).of(.loop).isEmpty)
        #expect(try tiers(spread, .loop, pieces) == [nil, nil, nil])
        // Turns of one agent have a span each.
        let turns = workers(["shop", "shop", "shop"])
        #expect(try findings(turns).of(.loop).map(\.tier) == [.alert])
        #expect(try tiers(turns, .loop, pieces) == [nil, .tag, .alert])
    }

    @Test func `workers of one name whose spans overlap do not add up over pieces`() throws {
        var trace = workers(["shop", "shop", "shop"])
        for place in 1...3 { trace.spans[place].end += 60_000_000_000 }
        #expect(try findings(trace).of(.loop).isEmpty)
        #expect(try tiers(trace, .loop, [[1, 4], [2, 5], [3, 6]]) == [nil, nil, nil])
    }

    @Test func `calls of one agent add up whatever service reports them`() throws {
        var trace = trace([call("get_order", #"{"total":60}"#), call("get_order", #"{"total":60}"#)])
        for (place, service) in ["shop", "orders-a", "orders-b"].enumerated() { trace.spans[place].service = service }
        #expect(try findings(trace).of(.loop).map(\.tier) == [.tag])
        #expect(try tiers(trace, .loop, [[0, 1], [2]]) == [nil, .tag])
        #expect(try tiers(trace, .loop, [[1], [0, 2]]) == [nil, .tag])
    }

    @Test func `the service of a call is known again after a restart`() throws {
        let trace = workers(["shop-a", "shop-b", "shop-c"])
        let detective = Detective()
        for place in 4...6 {
            let before = detective.memory
            detective.memory = FindingsMemory(tracksChanges: true)
            var isRestored = true
            before.writeAll { isRestored = detective.memory.restore($0[...]) && isRestored }
            #expect(isRestored)
            #expect(try detective.look(at: piece(trace, [place]), id: 77).of(.loop).isEmpty)
        }
    }

    // MARK: Progress

    @Test func `commands in turn that tell the same add up, and those with edits between do not`() throws {
        let pair = [
            call("bash", "a.py", #"{"command":"ls"}"#), call("bash", "x = 1", #"{"command":"cat a.py"}"#),
        ]
        let turns = trace(pair + pair + pair + pair)
        #expect(try findings(turns).of(.loop).contains { $0.tier == .alert })
        let wanted: [FindingTier?] = [nil, nil, nil, .tag, .tag, .alert, .alert, .alert]
        #expect(try tiers(turns, .loop, (1...8).map { [$0] }) == wanted)
        let edits = trace(
            (0..<4).flatMap {
                [
                    call("bash", "1 failed", #"{"command":"pytest"}"#),
                    call("bash", "", #"{"command":"sed -i s/a/b\#($0)/ a.py"}"#),
                ]
            })
        #expect(try tiers(edits, .loop, (1...8).map { [$0] }).allSatisfy { $0 == nil })
    }

    @Test func `the same page behind every click in other pieces is a loop`() throws {
        let look = call("browser_snapshot", "page 1", "{}")
        let click = call("browser_click", "Clicked", #"{"ref":"e7"}"#)
        let tiers = try tiers(trace([look, click, look, click, look, click, look]), .loop, (1...7).map { [$0] })
        #expect(tiers[6] == .alert, "\(tiers)")
    }

    @Test func `what fails again and again behind a change is an alert over pieces too`() throws {
        let change = call("update_order", #"{"ok":true}"#)
        let trace = trace([failing(), change, failing(), failing(), failing()])
        #expect(try findings(trace).of(.retryStorm).map(\.tier) == [.alert])
        #expect(try tiers(trace, .retryStorm, (1...5).map { [$0] }) == [nil, nil, .tag, .tag, .alert])
    }

    @Test func `what fails in spite of changes in other pieces is a tag at most`() throws {
        let change = call("update_order", #"{"ok":true}"#)
        let trace = trace([failing(), change, failing(), change, failing()])
        #expect(try findings(trace).of(.retryStorm).map(\.tier) == [.tag])
        let tiers = try tiers(trace, .retryStorm, [[1], [2], [3], [4], [5]])
        #expect(tiers == [nil, nil, .tag, nil, .tag])
    }

    @Test func `what finds nothing behind changes in other pieces does not add up`() throws {
        let empty = call("search_orders", "[]")
        let change = call("create_order", #"{"id":7}"#)
        let trace = trace([empty, change, empty, change, empty])
        #expect(try findings(trace).of(.retryStorm).isEmpty)
        #expect(try tiers(trace, .retryStorm, [[1], [2], [3], [4], [5]]) == [nil, nil, nil, nil, nil])
    }

    @Test func `empty results add up over pieces without a change`() throws {
        let empty = call("search_orders", "[]")
        #expect(try tiers(trace([empty, empty, empty]), .retryStorm, [[1], [2], [3]]) == [nil, .tag, .alert])
    }

    @Test(arguments: ["bash", "run_sql", "browser_click"])
    func `another command to the same tool in another piece is a change`(_ tool: String) throws {
        let look = call(tool, "M x.py", #"{"command":"git status -s"}"#)
        let edit = call(tool, "", #"{"command":"sed -i s/a/b/ x.py"}"#)
        #expect(try tiers(trace([look, edit, look]), .loop, [[1], [2], [3]]) == [nil, nil, nil])
        #expect(try tiers(trace([look, look, look]), .loop, [[1], [2], [3]]) == [nil, .tag, .alert])
    }

    // MARK: One call, several spans

    /// Calls of an MCP server that fail: each has a span of the client and one of the server below it.
    private func nested(_ count: Int) -> TestTrace {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        for _ in 0..<count {
            let client = trace.tool("get_order", in: agent, arguments: Self.order, error: "503 unavailable")
            trace.tool("get_order", in: client, arguments: Self.order, error: "503 unavailable")
        }
        for place in trace.spans.indices.dropFirst() {
            trace.spans[place].attributes.append(("gen_ai.agent.name", "shop"))
        }
        return trace
    }

    @Test func `the spans of a call's client and server count once in different pieces`() throws {
        #expect(try tiers(nested(1), .retryStorm, [[1], [2]]) == [nil, nil])
        #expect(try tiers(nested(1), .retryStorm, [[2], [1]]) == [nil, nil])
        #expect(try findings(nested(2)).of(.retryStorm).map(\.tier) == [.tag])
        for pieces in [[[2], [1], [4], [3]], [[1], [2], [3], [4]], [[1], [4], [2], [3]]] {
            let tiers = try tiers(nested(2), .retryStorm, pieces)
            #expect(tiers.contains(.tag) && !tiers.contains(.alert), "\(pieces): \(tiers)")
        }
    }

    @Test func `a failure that a request told of before its span came counts once`() throws {
        var trace = TestTrace()
        let agent = trace.agent("shop")
        trace.model(in: agent, calls: [("call_0", "get_order", Self.order)])
        let part = #"{"type":"tool_call_response","id":"call_0","response":"Error: 503 unavailable"}"#
        trace.model(in: agent, input: #"[{"role":"tool","parts":[\#(part)]}]"#, text: "I cannot see the order.")
        trace.tool("get_order", in: agent, id: "call_0", arguments: Self.order, error: "Error: 503 unavailable")
        #expect(try tiers(trace, .retryStorm, [[1, 2], [3]]) == [nil, nil])
        #expect(try tiers(trace, .retryStorm, [[3], [1, 2]]) == [nil, nil])
    }

    // MARK: Order of arrival

    @Test func `retried deliveries make no loop of calls with changes in between`() throws {
        let look = call("get_order", #"{"total":60}"#)
        let changes = [1, 2].map { call("update_order", #"{"ok":true}"#, #"{"order_id":"A-1001","step":\#($0)}"#) }
        for others in [11, 13] {
            let rows = (0..<others).map { call("get_row", #"{"value":"v\#($0)"}"#, #"{"row":"r\#($0)"}"#) }
            let trace = trace([look, changes[0], look, changes[1], look] + rows)
            let late = [[1, 2, 3, 4, 5], Array(6..<6 + others), [1], [3], [5], [1], [3]]
            let tiers = try tiers(trace, .loop, late)
            #expect(tiers.allSatisfy { $0 == nil }, "\(others): \(tiers)")
        }
    }

    @Test func `a loop is found whatever the order of its pieces`() throws {
        let look = call("get_order", #"{"total":60}"#)
        let change = call("update_order", #"{"ok":true}"#)
        #expect(try tiers(trace([look, look, look]), .loop, [[3], [2], [1]]) == [nil, .tag, .alert])
        #expect(try tiers(trace([look, look, look]), .loop, [[3], [1], [2]]) == [nil, .tag, .alert])
        #expect(try tiers(trace([look, change, look]), .loop, [[2], [3], [1]]) == [nil, nil, nil])
    }

    @Test func `calls without an agent and without a span above add up as within one piece`() throws {
        var trace = TestTrace()
        for _ in 0..<3 { trace.tool("get_order", in: 0, arguments: Self.order, result: #"{"total":60}"#) }
        #expect(try findings(trace).of(.loop).map(\.tier) == [.alert])
        #expect(try tiers(trace, .loop, [[0], [1], [2]]) == [nil, .tag, .alert])
    }
}
