import Testing

@testable import GenAI

/// Repeats that go on without progress and look like waiting, new tasks or new questions, each beside those.
@Suite struct FindingsRepeatTwinTests {
    // MARK: Sessions

    /// The tiers of what each of several traces of a session found again.
    private func session(_ answer: String?, charges: Bool) throws -> [[String]] {
        let detective = Detective()
        var found: [[String]] = []
        for _ in 0..<4 {
            var trace = TestTrace()
            let agent = trace.agent("a")
            trace.tool("list_mail", in: agent, arguments: #"{"box":"in"}"#, result: "[]")
            if charges { trace.tool("charge_card", in: agent, arguments: #"{"card":"c1"}"#, error: "503 unavailable") }
            if let answer { trace.model(in: agent, text: answer) }
            let storms = try detective.look(at: trace).of(.retryStorm)
            found.append(storms.map { "\($0.tier.name) \($0.explanation.prefix(9))" })
        }
        return found
    }

    @Test func `an empty list that was told does not hide what fails again in a session`() throws {
        let answer = "You have no mail, and the payment is under way."
        #expect(try session(answer, charges: true) == [[], [], ["tag charge_ca"], ["alert charge_ca"]])
        #expect(try session(answer, charges: false) == [[], [], ["tag list_mail"], ["tag list_mail"]])
    }

    @Test(arguments: [String?.none, "Your mail is sorted into folders."])
    func `an empty list that nobody told again and again is an alert`(_ answer: String?) throws {
        #expect(try session(answer, charges: false).last == ["alert list_mail"])
    }

    // MARK: Pauses

    @Test func `a pause of another agent is none`() throws {
        func tiers(_ isOther: Bool) throws -> [FindingTier] {
            var trace = TestTrace()
            let lead = trace.agent("lead")
            let (one, other) = (trace.agent("a", in: lead), trace.agent("b", in: lead))
            for _ in 0..<6 {
                trace.tool("get_page", in: one, arguments: #"{"u":"x"}"#, result: #"{"page":"same"}"#)
                trace.tool("sleep", in: isOther ? other : one, arguments: #"{"seconds":3}"#, result: "ok")
            }
            trace.model(in: lead, text: "That is what there is to say.")
            return try findings(trace).of(.loop).map(\.tier)
        }
        #expect(try tiers(true) == [.alert])
        #expect(try tiers(false).isEmpty)
    }

    // MARK: Waiting

    /// The same call again and again, with a pause behind each if there is one.
    private func polled(_ tool: String, _ result: String, _ count: Int, pause: String? = nil) throws -> [FindingTier] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for _ in 0..<count {
            trace.tool(tool, in: agent, arguments: #"{"id":"A-1"}"#, result: result)
            if let pause { trace.tool(pause, in: agent, arguments: #"{"seconds":30}"#, result: "ok") }
        }
        trace.model(in: agent, text: "It is on its way.")
        return try findings(trace).of(.loop).map(\.tier)
    }

    @Test(arguments: [
        ("place_order", "submitted"), ("processRefund", "submitted"), ("provision_cluster", "provisioning"),
        ("enrollUser", "creating"), ("launch_vm", "creating"), ("checkOut", "preparing"),
        ("updateJobState", "deploying"), ("get_expense_report", "submitted"),
    ]) func `what acts, or rests, does not wait`(_ tool: String, _ state: String) throws {
        #expect(try polled(tool, #"{"id":"A-1","status":"\#(state)"}"#, 5) == [.alert])
    }

    @Test(arguments: [
        ("getDeployment", "deploying"), ("clusterStatus", "provisioning"), ("mcp__ci__describe_vm", "creating"),
        ("getJob", "submitted"), ("get_batch", "submitted"), ("getBuild", "running"),
    ]) func `what looks for what is under way waits`(_ tool: String, _ state: String) throws {
        #expect(try polled(tool, #"{"id":"A-1","state":"\#(state)"}"#, 12).isEmpty)
    }

    @Test func `a pause excuses who looks`() throws {
        let active = #"{"id":"A-1","state":"active"}"#
        #expect(try polled("getJob", active, 12, pause: "sleep").isEmpty)
        #expect(try polled("restartJob", active, 6, pause: "sleep") == [.alert])
        #expect(try polled("place_order", active, 6, pause: "sleep") == [.alert])
    }

    @Test func `waiting that does not end is a tag`() throws {
        #expect(try polled("get_job", #"{"id":"A-1","state":"active"}"#, 60, pause: "sleep") == [.tag])
        #expect(try polled("get_vm", #"{"id":"A-1","state":"creating"}"#, 60) == [.tag])
        #expect(try polled("get_vm", #"{"id":"A-1","state":"creating"}"#, 15).isEmpty)
        #expect(try polled("get_vm", #"{"id":"A-1","state":"running"}"#, 60).isEmpty)
    }

    // MARK: Tasks

    /// A lead that has a sub-agent search once for each task, which is told as it is, with what `member` adds.
    private func delegated(
        _ tasks: [String], result: String = #"{"hits":["The year of ACME"]}"#, member: (Int) -> String = { _ in "" }
    ) throws -> [FindingTier] {
        var trace = TestTrace()
        let lead = trace.agent("lead", input: "What is ACME's revenue?")
        for (number, task) in tasks.enumerated() {
            let arguments = #"{"task":\#(TestTrace.quoted(task))\#(member(number))}"#
            trace.model(in: lead, calls: [("d\(number)", "researcher", arguments)])
            let agent = trace.agent("researcher", in: lead)
            let (input, query) = (TestTrace.user(task), #"{"q":"ACME revenue"}"#)
            trace.model(in: agent, input: input, calls: [("k\(number)", "search", query)])
            trace.tool("search", in: agent, id: "k\(number)", arguments: query, result: result)
            trace.model(in: agent, input: input, text: "Here is what I have so far, part \(number).")
        }
        trace.model(in: lead, text: "Here is the summary of the year.")
        return try findings(trace).filter { $0.rule == .repeatedCall }.map(\.tier)
    }

    private static let reworded = [
        "Find ACME's revenue", "Find the revenue of ACME", "Find ACME revenue please", "Look up ACME's revenue",
        "Find ACME's revenue again", "Try again: ACME's revenue",
    ]

    @Test func `a task in other words is the same task`() throws {
        #expect(try delegated(Self.reworded) == [.alert])
        let again = [String](repeating: "Find ACME's revenue", count: 6)
        #expect(try delegated(again) { #","request_id":"r-\#($0)""# } == [.alert])
        #expect(try delegated([String](repeating: "Find the mail of [REDACTED:EMAIL]", count: 6)) == [.alert])
        #expect(try delegated((1...6).map { "Attempt \($0): find ACME's revenue" }) == [.alert])
    }

    @Test func `tasks that differ begin anew, up to a number`() throws {
        let topics = ["introduction", "history", "products", "rivals", "outlook", "summary", "annex"]
        #expect(try delegated(topics.prefix(5).map { "Write the \($0) of the report" }).isEmpty)
        #expect(try delegated(topics.map { "Write the \($0) of the report" }) == [.tag])
        // What found nothing finds nothing for the next task.
        #expect(try delegated(topics.prefix(5).map { "Write the \($0)" }, result: "[]") == [.alert])
        #expect(try delegated(Self.reworded, result: "[]") == [.alert])
    }

    @Test func `a talk that grows is no new task`() throws {
        var trace = TestTrace()
        let manager = trace.agent("manager", input: "Solve X")
        var talk: [String] = []
        for number in 0..<6 {
            talk.append(#"{"role":"user","parts":[{"type":"text","content":"Message of turn \#(number)"}]}"#)
            let input = "[" + talk.joined(separator: ",") + "]"
            let coder = trace.agent("coder", in: manager)
            trace.model(in: coder, input: input, calls: [("k\(number)", "load_spec", #"{"id":"X"}"#)])
            trace.tool("load_spec", in: coder, id: "k\(number)", result: #"{"spec":"y"}"#)
            trace.model(in: coder, input: input, text: "I am looking at it, turn \(number).")
            let critic = trace.agent("critic", in: manager)
            trace.model(in: critic, text: "Try once more, number \(number) please.")
        }
        trace.model(in: manager, text: "We could settle on something.")
        #expect(try findings(trace).of(.loop).map(\.tier) == [.alert])
    }
}
