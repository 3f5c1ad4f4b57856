import Testing

@testable import GenAI

/// Small labelled sets in the shapes of public benchmarks: the definitions of BFCL, the tools and transcripts of
/// tau-bench, the code agents of TRAIL, the conversations of Who&When.
@Suite struct BenchmarkShapeTests {
    // MARK: BFCL

    private static let bfcl = #"""
        [{"name":"triangle_area","description":"Area.","parameters":{"type":"dict","properties":{
        "base":{"type":"integer"},"height":{"type":"float"},"unit":{"type":"string","enum":["cm","mm"]},
        "points":{"type":"tuple","items":{"type":"float"}},"names":{"type":"array","items":{"type":"String"}},
        "extra":{"type":"any"},"options":{"type":"HashMap"},"exact":{"type":"Boolean","default":null}},
        "required":["base","height"]}}]
        """#.replacing("\n", with: "")

    @Test(arguments: [
        (#"{"base":10,"height":5}"#, ""), (#"{"base":10,"height":5.5,"unit":"cm","points":[1,2.5]}"#, ""),
        (#"{"base":10,"height":5,"extra":{"a":[1]},"options":{"k":"v"},"exact":true,"names":["x"]}"#, ""),
        (#"{"base":10,"height":5,"exact":null}"#, ""), (#"{"base":"ten","height":5}"#, "type:base"),
        (#"{"base":10.5,"height":5}"#, "type:base"), (#"{"base":10}"#, "missing:height"),
        (#"{"base":10,"height":5,"unit":"m"}"#, "value:unit"),
        (#"{"base":10,"height":5,"colour":1}"#, "unknown:colour"),
        (#"{"base":10,"height":5,"points":["a"]}"#, "type:points"),
    ]) func `calls are held against the types that BFCL names`(_ arguments: String, _ fault: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(in: agent, calls: [("1", "triangle_area", arguments)], tools: Self.bfcl)
        trace.model(in: agent, text: "Done.")
        let found = try findings(trace).of(.malformedToolArguments)
        #expect(found.isEmpty == fault.isEmpty, "\(found)")
        if !fault.isEmpty { #expect(found.first?.evidence.contains(fault) == true, "\(found)") }
    }

    // MARK: tau-bench

    private static let user = ##"{"name":{"first_name":"Mia","last_name":"Li"},"orders":["#W5918442","#W7425646"]}"##

    private static func order(_ id: String) -> AgentRun.Call {
        AgentRuns.call(
            "get_order_details", ##"{"order_id":"#\##(id)"}"##,
            ##"{"order_id":"#\##(id)","items":[{"item_id":"\##(id.dropFirst())1"}],"status":"delivered"}"##)
    }

    /// A session that went well: an error that was got over, orders one by one, thinking, sums, a transfer.
    private static var retail: AgentRun {
        AgentRuns.run(
            [
                [AgentRuns.call("find_user_id_by_name_zip", #"{"first_name":"Mia","zip":"80280"}"#, "mia_li_3668")],
                [AgentRuns.call("get_user_details", #"{"user_id":"mia_li_3668"}"#, user)],
                [order("W5918442")], [order("W7425646")],
                [AgentRuns.call("think", #"{"thought":"The user may exchange delivered items only."}"#, "")],
                [AgentRuns.call("calculate", #"{"expression":"93.5 - 80"}"#, "13.5")],
                [
                    AgentRuns.call(
                        "exchange_delivered_order_items",
                        ##"{"order_id":"#W5918442","item_ids":["59184421"],"payment_method_id":"credit_card_1"}"##,
                        ##"{"order_id":"#W5918442","status":"exchange requested"}"##)
                ],
                [AgentRuns.call("transfer_to_human_agents", #"{"summary":"Wants a discount."}"#, "Transferred")],
            ], user: "Hi, I am Mia Li, 80280. Exchange the lamp of order #W5918442 please.",
            "YOU ARE BEING TRANSFERRED TO A HUMAN AGENT. PLEASE HOLD ON.")
    }

    @Test(arguments: [FrameworkShape.chatOnly, .oneSpan, .agentFramework])
    func `a session of tau-bench that went well is left alone`(_ shape: FrameworkShape) throws {
        var run = Self.retail
        run.tools = []
        let seen = FrameworkFindingsTests.loud(try FrameworkFindingsTests.look(at: run, in: shape))
        #expect(seen.isEmpty, "\(seen)")
    }

    @Test(arguments: [FrameworkShape.chatOnly, .oneSpan, .agentFramework])
    func `errors and repeats of tau-bench are found`(_ shape: FrameworkShape) throws {
        let missing = AgentRuns.call("get_user_details", #"{"user_id":"mia_li"}"#, "Error: user not found")
        let run = AgentRuns.run([[missing], [missing], [missing], [Self.order("W1")]], "Your order is on its way.")
        let seen = try FrameworkFindingsTests.look(at: run, in: shape)
        #expect(FrameworkFindingsTests.loud(seen, [.softError]).count == 3, "\(seen)")
        #expect(FrameworkFindingsTests.loud(seen, [.retryStorm]).map(\.finding.tier) == [.alert], "\(seen)")
    }

    // MARK: TRAIL

    @Test func `a code agent that searches the same thing again is found in the shape of TRAIL`() throws {
        let search = AgentRuns.call("web_search", #"{"query":"Mercedes Sosa albums 2000-2009"}"#, "No results found")
        let broken = AgentRuns.call("visit_page", #"{"url":"http://x.example/a"}"#, nil, error: "ToolError: 404")
        let run = AgentRuns.run([[search], [search], [broken], [search]], "She made three albums.")
        let seen = try FrameworkFindingsTests.look(at: run, in: .smolagentsCode)
        #expect(FrameworkFindingsTests.loud(seen, [.retryStorm]).map(\.finding.tier) == [.alert], "\(seen)")
        #expect(FrameworkFindingsTests.loud(seen, [.silentEmptyResponse]).count >= 1, "\(seen)")
    }

    // MARK: Who&When

    private func conversation(_ answers: [String]) throws -> [Finding] {
        var trace = TestTrace()
        let orchestrator = trace.agent("Orchestrator", input: "Which hike in Yellowstone has the best ratings?")
        for answer in answers {
            let worker = trace.agent("WebSurfer", in: orchestrator)
            trace.model(in: worker, text: answer)
            trace.model(in: orchestrator, text: "Next step for the plan, number \(trace.spans.count) of it.")
        }
        return try findings(trace).filter { $0.tier > .hint }
    }

    @Test func `an agent that says the same over and over is found, one that gets on is not`() throws {
        let stuck = try conversation(Array(repeating: "I scrolled down one page in the browser window.", count: 1))
        #expect(stuck.isEmpty)
        var trace = TestTrace()
        let agent = trace.agent("WebSurfer", input: "Find the best hike.")
        for _ in 0..<4 { trace.model(in: agent, text: "I scrolled down one page in the browser window.") }
        #expect(try findings(trace).of(.loop).map(\.rule) == [.repeatedAnswer])
        #expect(try conversation((1...6).map { "I opened hike number \($0), its rating is 4.\($0)." }).isEmpty)
    }
}
