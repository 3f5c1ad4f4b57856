import Testing

@testable import GenAI

/// Patterns that need more than one step.
@Suite struct FindingsTraceTests {
    // MARK: Repeats

    private func storm(_ count: Int, error: String? = "timeout (504)", results: [String] = []) -> TestTrace {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for index in 0..<count {
            let arguments = #"{"order_id":"ORD-88213","amount":89.9}"#
            trace.model(in: agent, calls: [("call_\(index)", "process_refund", arguments)])
            trace.tool(
                "process_refund", in: agent, id: "call_\(index)",
                result: error == nil ? results[index % results.count] : nil, error: error)
        }
        trace.model(in: agent, text: "I could not refund it.")
        return trace
    }

    @Test(arguments: [(1, nil), (2, FindingTier.tag), (3, .alert), (6, .alert)] as [(Int, FindingTier?)])
    func `the same failing call again is a retry storm`(count: Int, tier: FindingTier?) throws {
        let found = try findings(storm(count)).of(.retryStorm)
        #expect(found.map(\.tier) == (tier.map { [$0] } ?? []), "\(found)")
        if let first = found.first {
            #expect(first.evidence.contains("calls=\(count)"))
            #expect(first.cause == 1)
        }
    }

    @Test func `the same call with the same result is a loop, with a new one it is progress`() throws {
        #expect(try findings(storm(3, error: nil, results: [#"{"a":1}"#])).of(.loop).map(\.tier) == [.alert])
        let polling = storm(3, error: nil, results: [#"{"a":1}"#, #"{"a":2}"#, #"{"a":3}"#])
        #expect(try findings(polling).isEmpty)
    }

    @Test func `spans that were sent twice are no repetition`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a", input: "Refund order ORD-88213 please")
        trace.tool("fetch_orders", in: agent, arguments: #"{"id":1}"#, result: #"["ORD-88213"]"#)
        trace.tool("process_refund", in: agent, arguments: #"{"order_id":"ORD-88213"}"#, error: "timeout")
        trace.model(in: agent, text: "Your refund is on its way.")
        let once = try findings(trace)
        trace.spans += trace.spans + trace.spans.shuffled()
        #expect(try findings(trace) == once)
        #expect(once.allSatisfy { $0.pattern != .loop && $0.pattern != .retryStorm })
    }

    @Test func `errors that differ in figures and quotes are the same error`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for index in 0..<3 {
            trace.tool(
                "lookup", in: agent, arguments: #"{"id":"A-\#(index)","page":\#(index)}"#,
                error: "no route to 'host\(index)' after \(index * 10) ms")
        }
        let found = try findings(trace).of(.retryStorm)
        #expect(found.map(\.rule) == [.repeatedError])
        #expect(found.map(\.tier) == [.alert])
    }

    @Test func `nearly the same arguments with the same result are a loop`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for extra in ["now", "today", "please"] {
            trace.tool(
                "search", in: agent, arguments: #"{"query":"refund policy opened blender warranty \#(extra)"}"#,
                result: #"{"hits":["a policy about gift cards"]}"#)
        }
        trace.model(in: agent, text: "I did not find it.")
        #expect(try findings(trace).of(.loop).map(\.rule) == [.repeatedNearly])
    }

    @Test func `different orders with different results are no loop`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for index in 0..<6 {
            trace.tool(
                "fetch_order", in: agent, arguments: #"{"order_id":"ORD-\#(index)","fields":"all of them"}"#,
                result: #"{"total":\#(index + 1)}"#)
        }
        trace.model(in: agent, text: "Here they are.")
        #expect(try findings(trace).isEmpty)
    }

    @Test func `failing calls add up over the traces of a session`() throws {
        let detective = Detective()
        var tiers: [FindingTier?] = []
        for _ in 0..<4 { tiers.append(try detective.look(at: storm(1)).of(.retryStorm).first?.tier) }
        #expect(tiers == [nil, nil, .tag, .alert])
        var other = storm(1)
        other.spans[0].attributes[2] = ("gen_ai.conversation.id", "another")
        #expect(try detective.look(at: other).of(.retryStorm).isEmpty)
    }

    // MARK: Retrieval

    private let pollution = """
        [{"id":"b2b","score":0.83,"content":"Wholesale partners: opened pallets of appliances are final sale."},\
        {"id":"gift","score":0.81,"content":"Gift cards are not refundable and expire 24 months after purchase."}]
        """

    @Test func `documents about something else are pollution`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.retrieval("return opened blender defective warranty", pollution, in: agent)
        #expect(try findings(trace).of(.retrievalPollution).map(\.rule) == [.retrievalCoverage])
    }

    @Test func `documents that answer are not, and their absence is not assessable`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let good = #"[{"content":"You can return an opened blender when it is defective, under warranty, any time."}]"#
        trace.retrieval("return opened blender defective warranty", good, in: agent)
        trace.retrieval("return opened blender defective warranty", #"[{"id":"x","score":0.5}]"#, in: agent)
        let detective = Detective()
        #expect(try detective.look(at: trace).isEmpty)
        #expect(detective.analyzer.assessed[FindingPattern.retrievalPollution.index] == 1)
        #expect(detective.analyzer.unassessable[FindingPattern.retrievalPollution.index] == 1)
    }

    @Test func `a tool that gives documents is a retrieval too`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool(
            "search_policy", in: agent, arguments: #"{"query":"return opened blender defective warranty"}"#,
            result: pollution)
        #expect(try findings(trace).of(.retrievalPollution).count == 1)
    }

    private static let strays = [
        "Our offices close on public holidays such as New Year.",
        "The cafeteria menu changes weekly and has vegetarian dishes.",
    ].map(TestTrace.quoted)

    @Test(arguments: [
        #"{"documents":[{"content":@,"title":"a"},{"content":$,"title":"b"}]}"#,
        #"{"query":"x","results":[{"url":"http://a","content":@},{"url":"http://b","content":$}],"time":1}"#,
        #"{"matches":[{"id":"1","score":0.3,"metadata":{"text":@}},{"id":"2","score":0.2,"metadata":{"text":$}}]}"#,
        #"{"hits":{"hits":[{"_id":"1","_source":{"text":@}},{"_id":"2","_source":{"text":$}}],"total":2}}"#,
        #"{"ids":[["1","2"]],"documents":[[@,$]]}"#, "[@,$]", #"[{"id":"1","content":@},{"id":"2","content":$}]"#,
    ]) func `documents are found inside of what stands around them`(_ shape: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool(
            "search_docs", in: agent, arguments: #"{"query":"warranty espresso machine duration"}"#,
            result: shape.replacing("@", with: Self.strays[0]).replacing("$", with: Self.strays[1]))
        #expect(try findings(trace).of(.retrievalPollution).map(\.rule) == [.retrievalCoverage])
    }

    @Test(arguments: [
        #"{"items":["warranty.pdf","espresso.pdf"]}"#, #"[{"id":"1","total":7}]"#, #"{"results":[]}"#,
        #"{"results":[{"content":"The espresso machine has a warranty of two years.","url":"http://a"}]}"#,
    ]) func `lists without texts and documents that answer are no pollution`(_ result: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool(
            "search_docs", in: agent, arguments: #"{"query":"warranty espresso machine duration"}"#, result: result)
        #expect(try findings(trace).of(.retrievalPollution).isEmpty)
    }

    @Test func `two documents that differ only in a figure contradict one another`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let documents = #"""
            [{"content":"You can return any opened appliance within 30 days after delivery."},
             {"content":"You can return any opened appliance within 14 days after delivery."}]
            """#
        trace.retrieval("return opened appliance days delivery", documents, in: agent)
        #expect(try findings(trace).of(.retrievalPollution).map(\.rule) == [.retrievalContradiction])
    }

    @Test func `a score below the threshold is pollution when one is set`() throws {
        var options = FindingsOptions()
        options.retrievalMinScore = 0.9
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.retrieval("anything", pollution, in: agent)
        #expect(try findings(trace, options).of(.retrievalPollution).map(\.rule) == [.retrievalScore])
    }

    // MARK: Handoffs

    private func handoff(_ request: String) -> TestTrace {
        var trace = TestTrace()
        let root = trace.agent("orchestrator")
        trace.model(
            in: root, input: TestTrace.user("I am customer C-10482. Please refund the kettle, ORD-87120, for Maria."),
            calls: [("1", "refund_specialist", #"{"request":\#(TestTrace.quoted(request))}"#)])
        let tool = trace.tool(
            "refund_specialist", in: root, id: "1", arguments: #"{"request":\#(TestTrace.quoted(request))}"#,
            result: "Done, I refunded it.")
        let specialist = trace.agent("refund_specialist", in: tool, input: request)
        trace.model(in: specialist, input: TestTrace.user(request), text: "Refunded.")
        trace.model(in: root, text: "Your refund has been processed.")
        return trace
    }

    @Test func `a handoff without the ids of the request drops them`() throws {
        let lost = try findings(handoff("Somebody wants a refund.")).of(.handoffDrop)
        #expect(lost.map(\.tier) == [.alert])
        #expect(lost.map(\.span) == [2])
        #expect(lost.map(\.cause) == [1])
        let partly = try findings(handoff("Maria wants a refund.")).of(.handoffDrop)
        #expect(partly.map(\.tier) == [.tag])
        #expect(partly.first?.evidence.contains("missing=2") == true)
        #expect(try findings(handoff("Refund ORD-87120 to C-10482, Maria.")).of(.handoffDrop).isEmpty)
    }

    @Test func `what is missing is named only when content is allowed`() throws {
        var options = FindingsOptions()
        #expect(try findings(handoff("Please help."), options).first?.evidence.contains("ORD-87120") == false)
        options.evidenceContent = true
        #expect(try findings(handoff("Please help."), options).first?.evidence.contains("ORD-87120") == true)
    }

    @Test func `what the user allowed after all is not ruled out`() throws {
        func run(_ messages: [String]) -> TestTrace {
            var trace = TestTrace()
            let agent = trace.agent("a")
            let list = messages.map {
                #"{"role":"user","parts":[{"type":"text","content":\#(TestTrace.quoted($0))}]}"#
            }
            trace.model(
                in: agent, input: "[\(list.joined(separator: ","))]",
                calls: [("1", "process_refund", #"{"order_id":"A-1","method":"original_payment"}"#)])
            trace.tool("process_refund", in: agent, id: "1", result: #"{"refund_id":"r1"}"#)
            trace.model(in: agent, text: "I refunded it.")
            return trace
        }
        let never = "Refund A-1, but never to my original payment method"
        let allowed = "OK, please use the original payment method after all"
        let detective = Detective()
        #expect(try detective.look(at: run([never])).of(.contextLoss).map(\.rule) == [.prohibitedValue])
        #expect(try detective.look(at: run(["Go on."])).of(.contextLoss).count == 1)
        let question = run([never, "Why is my original payment method gone?"])
        #expect(try detective.look(at: question).of(.contextLoss).count == 1)
        #expect(try detective.look(at: run([never, allowed])).of(.contextLoss).isEmpty)
        // It is forgotten for the rest of the session too.
        #expect(try detective.look(at: run(["Go on."])).of(.contextLoss).isEmpty)
    }

    // MARK: Answers, budgets, durations

    @Test func `a run that ends with a tool call has no answer`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(in: agent, calls: [("1", "lookup", "{}")])
        trace.tool("lookup", in: agent, id: "1", result: #"{"a":1}"#)
        #expect(try findings(trace).of(.noFinalAnswer).map(\.rule) == [.answerMissing])
    }

    @Test(arguments: ["transfer_to_human_agents", "escalate_to_operator", "transfer_to_billing"])
    func `a run that ends by handing over has its answer there`(name: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(in: agent, calls: [("1", name, "{}")])
        trace.tool(name, in: agent, id: "1", result: "Transfer successful")
        #expect(try findings(trace).of(.noFinalAnswer).isEmpty)
    }

    @Test func `a failed last model call and a cut answer are told`() throws {
        var failed = TestTrace()
        failed.model(in: failed.agent("a"), finish: "error", status: 2)
        #expect(try findings(failed).of(.noFinalAnswer).map(\.rule) == [.answerFailed])
        var cut = TestTrace()
        cut.model(in: cut.agent("a"), text: "And so the", finish: "length")
        #expect(try findings(cut).of(.truncatedAnswer).map(\.tier) == [.tag])
    }

    @Test func `budgets are passed by more, not by as much`() throws {
        var options = FindingsOptions()
        options.maxSteps = 7
        #expect(try findings(storm(3), options).of(.stepBudget).isEmpty)
        options.maxSteps = 6
        #expect(try findings(storm(3), options).of(.stepBudget).map(\.span) == [0])
    }

    @Test func `a trace that takes far longer than the ones before is an outlier`() throws {
        let detective = Detective()
        func trace(milliseconds: UInt64) -> TestTrace {
            var trace = TestTrace()
            trace.model(in: trace.agent("a"), text: "Hello there.")
            trace.spans[0].end = trace.spans[0].start + milliseconds * 1_000_000
            return trace
        }
        for index in 0..<30 {
            #expect(try detective.look(at: trace(milliseconds: 1_000 + UInt64(index * 7 % 100))).isEmpty)
        }
        #expect(try detective.look(at: trace(milliseconds: 9_000)).of(.latencyOutlier).map(\.rule) == [.latencyTrace])
    }

    // MARK: Declared rules

    private func found(_ demand: ContextRule.Demand, in trace: TestTrace) throws -> [String] {
        var options = FindingsOptions()
        options.rules = [ContextRule(name: "house", demand: demand)]
        return try findings(trace, options).of(.contextLoss).map(\.ruleName)
    }

    @Test func `declared rules about calls are kept or broken`() throws {
        let trace = FindingsTests.run(#"{"order_id":"ORD-1","amount":500,"method":"original_payment"}"#, tools: nil)
        let method = ArgumentCondition(argument: "method", oneOf: ["original_payment"])
        #expect(try found(.mustNot(tool: "process_refund", condition: method), in: trace) == ["house"])
        #expect(try found(.mustNot(tool: "delete_account", condition: nil), in: trace) == [])
        #expect(try found(.must(tool: "send_confirmation", trigger: "process_refund"), in: trace) == ["house"])
        #expect(try found(.must(tool: "send_confirmation", trigger: "other"), in: trace) == [])
        #expect(try found(.order(first: "validate", second: "process_refund"), in: trace) == ["house"])
        let amount = ArgumentCondition(argument: "amount", maximum: 100)
        #expect(try found(.value(tool: "process_refund", condition: amount), in: trace) == ["house"])
        let more = ArgumentCondition(argument: "amount", maximum: 1_000)
        #expect(try found(.value(tool: "process_refund", condition: more), in: trace) == [])
    }

    @Test func `a confirmation has to stand in the last user message`() throws {
        func trace(_ user: String) -> TestTrace {
            var trace = TestTrace()
            let agent = trace.agent("a")
            trace.model(in: agent, input: TestTrace.user(user), calls: [("1", "pay", "{}")])
            trace.model(in: agent, text: "Paid.")
            return trace
        }
        #expect(try found(.confirmBefore(tool: "pay"), in: trace("Yes, go ahead.")) == [])
        #expect(try found(.confirmBefore(tool: "pay"), in: trace("What would it cost?")) == ["house"])
    }

    @Test func `declared rules about answers are kept or broken`() throws {
        let trace = FindingsTests.run("{}", tools: nil, answer: "Sure! We guarantee it.")
        #expect(try found(.forbidden(texts: ["guarantee"]), in: trace) == ["house"])
        #expect(try found(.startsWith("Sure"), in: trace) == [])
        #expect(try found(.maxCharacters(10), in: trace) == ["house"])
        #expect(try found(.json, in: trace) == ["house"])
    }

    // MARK: Chains and limits

    @Test func `the first bad step is where it began, not where it showed`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.model(in: agent, calls: [("1", "fetch_orders", #"{"customer_id":" C-1"}"#)])
        trace.tool("fetch_orders", in: agent, id: "1", result: "[]")
        trace.model(in: agent, calls: [("2", "pay", #"{"order":"none"}"#)])
        trace.tool("pay", in: agent, id: "2", result: "Error: no order")
        trace.model(in: agent, text: "It did not work.")
        let found = try findings(trace)
        let first = found.filter(\.isFirstBadStep)
        #expect(first.map(\.pattern) == [.silentEmptyResponse])
        #expect(first.first?.cause == 1)
        #expect(first.first?.evidence.contains("steps_after=4 findings_after=1") == true, "\(first)")
    }

    @Test func `values over the limit are not read`() throws {
        var options = FindingsOptions()
        options.maxValueBytes = 64
        let long = #"{"text":"\#(String(repeating: "x", count: 100))"}"#
        var trace = TestTrace()
        trace.tool("t", in: trace.agent("a"), arguments: long, result: "[]" + String(repeating: " ", count: 100))
        let detective = Detective(options)
        #expect(try detective.look(at: trace).isEmpty)
        #expect(detective.analyzer.unassessable[FindingPattern.silentEmptyResponse.index] == 1)
    }

    @Test func `spans without GenAI attributes give nothing`() throws {
        var trace = TestTrace()
        trace.spans = (1...20).map {
            TestTrace.Span(
                id: UInt8($0), parent: UInt8($0 - 1), start: 1, end: 2, status: 2,
                attributes: [("http.request.method", "GET"), ("error.type", "timeout")])
        }
        #expect(try findings(trace).isEmpty)
    }

    @Test func `a cycle of parents and doubled span ids end`() throws {
        var trace = storm(3)
        trace.spans[0].parent = 3
        trace.spans[2].parent = 1
        trace.spans[4].id = trace.spans[1].id
        #expect(try findings(trace).of(.retryStorm).count == 1)
    }

    @Test func `a bounded map forgets what was not used for longest`() {
        var map = BoundedMap<Int>(capacity: 8)
        for key in 1...8 { map.set(UInt64(key), key) }
        _ = map.use(1)
        map.set(9, 9)
        #expect(map.count <= 8)
        #expect(map.peek(1) == 1)
        #expect(map.peek(9) == 9)
        #expect(map.peek(2) == nil)
    }
}
