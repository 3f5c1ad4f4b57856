import OTLP
import Telemetry
import Testing

@testable import GenAI

/// Failures and their healthy twins in the shapes of frameworks that no recording was made of.
@Suite struct FrameworkFindingsTests {
    /// A finding and what its span is in the run: a tool's name, or `model`.
    struct Seen: CustomStringConvertible {
        var finding: Finding
        var tag: String

        var description: String {
            "\(finding.rule.rawValue)(\(finding.tier.name)) on \(tag): \(finding.explanation)"
        }
    }

    /// Findings of one run, with nothing remembered of runs before it.
    static func look(
        at run: AgentRun, in shape: FrameworkShape, using given: FindingsCorpusTests.Runner? = nil
    ) throws -> [Seen] {
        let writer = ShapeWriter()
        shape.write(writer, run)
        let runner = try given ?? FindingsCorpusTests.Runner()
        runner.memory = FindingsMemory()
        let tags = Dictionary(
            uniqueKeysWithValues: writer.spans.map { span in
                (String(repeating: (span.id < 16 ? "0" : "") + String(span.id, radix: 16), count: 8), span.tag)
            })
        return try runner.run([writer.request]).map { Seen(finding: $0.finding, tag: tags[$0.span] ?? "?") }
    }

    /// What would wake or bother somebody.
    static func loud(_ seen: [Seen], _ patterns: [FindingPattern]? = nil) -> [Seen] {
        seen.filter { $0.finding.tier > .hint && (patterns?.contains($0.finding.pattern) ?? true) }
    }

    // MARK: Failures

    @Test(arguments: FrameworkShape.all)
    func `an empty result is found on its call, with the argument that caused it`(_ shape: FrameworkShape) throws {
        for result in ["[]", #"{"orders":[],"count":0}"#, "No orders found for this customer."] {
            let seen = try Self.look(at: AgentRuns.emptyResult(" C-10482", result), in: shape)
            let found = Self.loud(seen, [.silentEmptyResponse])
            #expect(found.count == 1 && ["fetch_orders", "model"].contains(found[0].tag), "\(result): \(seen)")
            #expect(found.first?.finding.tier == .alert, "\(result): \(seen)")
            #expect(found.first?.finding.evidence.contains("cause_argument=customer_id") == true, "\(seen)")
        }
        let healthy = try Self.look(at: AgentRuns.emptyResult("C-10482", AgentRuns.orders), in: shape)
        #expect(healthy.isEmpty, "\(healthy)")
    }

    @Test(arguments: FrameworkShape.all)
    func `arguments that a tool cannot take are found`(_ shape: FrameworkShape) throws {
        let error = "ValueError: amount must be a number, got 'all of it'"
        let seen = try Self.look(
            at: AgentRuns.refund(#"{"order_id":"ORD-88213","amount":"all of it"}"#, error: error), in: shape)
        #expect(Self.loud(seen, [.malformedToolArguments]).map(\.finding.tier) == [.alert], "\(seen)")
        let healthy = try Self.look(at: AgentRuns.refund(#"{"order_id":"ORD-88213","amount":89.9}"#), in: shape)
        #expect(healthy.isEmpty, "\(healthy)")
        if shape.showsDefinitions {
            let missing = try Self.look(at: AgentRuns.refund(#"{"order_id":"ORD-88213"}"#), in: shape)
            #expect(Self.loud(missing, [.malformedToolArguments]).count == 1, "\(missing)")
        }
    }

    @Test(arguments: FrameworkShape.all.filter(\.showsBrokenCalls))
    func `arguments that end early are found on the model call`(_ shape: FrameworkShape) throws {
        let seen = try Self.look(at: AgentRuns.refund(#"{"order_id": "ORD-88213", "amount": 89."#), in: shape)
        let found = Self.loud(seen, [.malformedToolArguments])
        #expect(found.map(\.finding.rule) == [.argumentsCutOff] && found.first?.tag == "model", "\(seen)")
    }

    @Test(arguments: FrameworkShape.all.filter(\.showsDefinitions))
    func `a tool that nobody offered is found`(_ shape: FrameworkShape) throws {
        let unknown = AgentRuns.call("issue_store_credit", #"{"amount":5}"#, nil, error: "no such tool")
        let seen = try Self.look(at: AgentRuns.run([[unknown]], "That did not work."), in: shape)
        #expect(Self.loud(seen, [.wrongToolSelection]).map(\.finding.rule) == [.toolUnknown], "\(seen)")
    }

    @Test(arguments: FrameworkShape.all)
    func `a call that fails again and again is a retry storm`(_ shape: FrameworkShape) throws {
        let seen = try Self.look(at: AgentRuns.storm(4), in: shape)
        let found = Self.loud(seen, [.retryStorm])
        #expect(found.map(\.finding.tier) == [.alert], "\(seen)")
        let once = try Self.look(at: AgentRuns.storm(1), in: shape)
        #expect(Self.loud(once, [.retryStorm, .loop]).isEmpty, "\(once)")
    }

    @Test(arguments: FrameworkShape.all)
    func `guessing with nearly the same words is found`(_ shape: FrameworkShape) throws {
        let seen = try Self.look(at: AgentRuns.guessing, in: shape)
        #expect(Self.loud(seen, [.retryStorm, .loop]).count == 1, "\(seen)")
    }

    @Test(arguments: FrameworkShape.all)
    func `documents beside the point are found`(_ shape: FrameworkShape) throws {
        let seen = try Self.look(at: AgentRuns.retrieval(AgentRuns.badDocuments), in: shape)
        #expect(Self.loud(seen, [.retrievalPollution]).count == 1, "\(seen)")
        let healthy = try Self.look(at: AgentRuns.retrieval(AgentRuns.goodDocuments), in: shape)
        #expect(Self.loud(healthy).isEmpty, "\(healthy)")
    }

    @Test(arguments: FrameworkShape.all.filter { $0.name != "chat_spans_only" && $0.name != "one_span" })
    func `a handoff that drops the request's ids is found`(_ shape: FrameworkShape) throws {
        let seen = try Self.look(at: AgentRuns.handoff("Please refund the customer's last order."), in: shape)
        #expect(Self.loud(seen, [.handoffDrop]).map(\.finding.tier) == [.alert], "\(seen)")
        let told = "Refund 89.90 for ORD-88213 to Maria Keller (C-10482), ticket T-5519."
        let healthy = try Self.look(at: AgentRuns.handoff(told), in: shape)
        #expect(Self.loud(healthy).isEmpty, "\(healthy)")
    }

    /// AutoGen's own telemetry: each message is handled in a trace of its own that links to the one before, without
    /// session and content.
    @Test func `a storm that is split over linked traces is found`() throws {
        let runner = try FindingsCorpusTests.Runner()
        var tiers: [FindingTier] = []
        for trace in UInt8(1)...6 {
            let writer = ShapeWriter(traceID: trace)
            writer.scope = "autogen-core"
            let root = writer.open("autogen process refund_agent", [("messaging.operation", "process")])
            if trace > 1 { writer.link(root, to: trace - 1) }
            let tool = writer.open(
                "execute_tool process_refund", in: root,
                [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "process_refund")])
            writer.exception(tool, "TimeoutError: gateway did not answer within \(trace)000 ms")
            writer.close(tool, error: "TimeoutError")
            writer.close(root)
            tiers += try runner.run([writer.request]).filter { $0.finding.pattern == .retryStorm }.map(\.finding.tier)
        }
        #expect(tiers == [.tag, .alert, .alert, .alert])
    }

    @Test func `a coworker that is told nothing is found in a crew`() throws {
        var run = AgentRuns.handoff("Please refund the customer's last order.")
        run.turns[0][0].tool = "Delegate work to coworker"
        run.turns[0][0].arguments = AgentRun.json([
            "task": "Please refund the customer's last order.", "coworker": "billing_agent", "context": "A refund.",
        ])
        let seen = try Self.look(at: run, in: .crewAI)
        #expect(Self.loud(seen, [.handoffDrop]).map(\.finding.tier) == [.alert], "\(seen)")
    }

    // MARK: Healthy runs that look like failures

    static let healthy: [(name: String, run: AgentRun)] = [
        ("paging", AgentRuns.paging), ("polling", AgentRuns.polling), ("batch", AgentRuns.batch),
        ("no conflicts", AgentRuns.noConflicts), ("false and 0", AgentRuns.plainNo),
        ("action without result", AgentRuns.silentAction), ("step by step", AgentRuns.stepwise),
    ]

    @Test(arguments: FrameworkShape.all, healthy.indices)
    func `a healthy run is left alone`(_ shape: FrameworkShape, _ index: Int) throws {
        let seen = try Self.look(at: Self.healthy[index].run, in: shape)
        #expect(Self.loud(seen).isEmpty, "\(Self.healthy[index].name): \(seen)")
    }

    @Test(arguments: FrameworkShape.all)
    func `a model call that fails is no failure of a tool`(_ shape: FrameworkShape) throws {
        var run = AgentRuns.run(
            [[AgentRuns.call("fetch_orders", #"{"customer_id":"C-10482"}"#, AgentRuns.orders)]], nil)
        run.modelError = "BadRequestError: 400 context length exceeded"
        let seen = try Self.look(at: run, in: shape)
        #expect(seen.allSatisfy { $0.finding.pattern == .noFinalAnswer }, "\(seen)")
    }
}
