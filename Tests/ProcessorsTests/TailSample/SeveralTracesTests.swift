import Pipeline
import Telemetry
import Testing

@testable import Processors

/// Batches of several traces: requests that the stage passed on in one piece.
@Suite struct SeveralTracesTests {
    private func span(_ trace: Int, _ number: Int, bad: Bool = false, session: String? = nil) -> String {
        let attributes = session.map { [("gen_ai.conversation.id", "{\"stringValue\":\"\($0)\"}")] } ?? []
        return RuleBench.span(
            "a10203040506070\(number)", trace: TailSamplingTests.trace(trace), name: "\(trace)/\(number)",
            status: bad ? 2 : 0, attributes: attributes)
    }

    private static let errors = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}"

    private func kept(_ sampler: TailSamplingTests.Sampler, _ spans: [String]) throws -> (names: [String], rules: Int) {
        let facts = GatheredTrace(reason: .root, canHold: true)
        let request = try RuleBench.request(RuleBench.traces(spans))
        let (bytes, kept, context) = try Bench.run(sampler.processor, sampler.build, request, trace: facts)
        #expect(context.heldSession == nil)
        #expect(context.droppedItems == spans.count - kept)
        let names = RuleBench.json(bytes).matches(of: /"name":"(\d+\/\d)"/).map { String($0.1) }
        #expect(names.count == kept)
        return (names, context.dropRules.count)
    }

    @Test func `each is decided on by itself, in whatever order its spans are`() throws {
        let sampler = try TailSamplingTests.Sampler(Self.errors)
        let spans = [span(1, 1), span(2, 1, bad: true), span(1, 2), span(3, 1), span(2, 2), span(4, 1, bad: true)]
        let (names, rules) = try kept(sampler, spans)
        #expect(names == ["2/1", "2/2", "4/1"])
        #expect(rules == 3)
        // And is remembered by itself.
        #expect(try kept(sampler, [span(3, 2, bad: true), span(2, 3), span(1, 3)]).names == ["2/3"])
    }

    @Test func `one that turns its session bad keeps those behind it of that session only`() throws {
        let sampler = try TailSamplingTests.Sampler(Self.errors, more: ", session: {}")
        let (names, _) = try kept(
            sampler, [span(1, 1, bad: true, session: "a"), span(2, 1, session: "b"), span(3, 1, session: "a")])
        #expect(names.contains("1/1") && !names.contains("2/1"))
        #expect(try kept(sampler, [span(4, 1, session: "a"), span(5, 1, session: "b")]).names == ["4/1"])
    }

    @Test func `adaptive sampling decides on each by itself too`() throws {
        let yaml = """
            {rules: [{name: errors, conditions: ['span.status.code == STATUS_CODE_ERROR'],
             sampler: {type: always_sample}}]}
            """
        let (options, headlines) = RuleBench.options(AdaptiveTailSamplingOptions.self, yaml)
        try #require(headlines == [], "\(headlines)")
        var bench = Bench()
        var build = bench.build(.traces)
        let processor = try AdaptiveTailSamplingProcessor(options: options, build: &build)
        let request = try RuleBench.request(RuleBench.traces([span(1, 1), span(2, 1, bad: true), span(1, 2)]))
        let (bytes, kept) = try Bench.run(processor, build, request)
        #expect(kept == 1 && RuleBench.json(bytes).contains("\"2/1\""))
    }
}
