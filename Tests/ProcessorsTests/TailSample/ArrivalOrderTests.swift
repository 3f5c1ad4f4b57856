import Pipeline
import Processors
import Telemetry
import TestSupport
import Testing

/// A decision is a function of the trace: not of the order in which its spans came, nor of the requests they came in.
@Suite struct ArrivalOrderTests {
    /// One policy of every kind, with limits near what the random traces have.
    static let policies = [
        "type: always_sample", "type: latency, latency: {threshold_ms: 40}",
        "type: latency, latency: {threshold_ms: 10, upper_threshold_ms: 60}",
        "type: numeric_attribute, numeric_attribute: {key: n, min_value: 80, max_value: 90}",
        "type: string_attribute, string_attribute: {key: k, values: [a, b]}",
        "type: string_attribute, string_attribute: {key: k, values: ['^[cd]'], enabled_regex_matching: true}",
        "type: string_attribute, string_attribute: {key: k, values: [a], invert_match: true}",
        "type: boolean_attribute, boolean_attribute: {key: f, value: true}",
        "type: probabilistic, probabilistic: {sampling_percentage: 50}",
        "type: status_code, status_code: {status_codes: [ERROR]}",
        "type: rate_limiting, rate_limiting: {spans_per_second: 7, burst_capacity: 7}",
        "type: bytes_limiting, bytes_limiting: {bytes_per_second: 1200, burst_capacity: 1200}",
        "type: span_count, span_count: {min_spans: 4, max_spans: 9}",
        "type: trace_state, trace_state: {key: x, values: [a1]}", "type: trace_flags",
        "type: ottl_condition, ottl_condition: {span: ['attributes[\"k\"] == \"a\" and attributes[\"n\"] > 50']}",
        "type: ottl_condition, ottl_condition: {spanevent: ['name == \"e\"']}",
        "type: and, and: {and_sub_policy: [{name: x, type: status_code, status_code: {status_codes: [ERROR]}}, "
            + "{name: y, type: latency, latency: {threshold_ms: 30}}]}",
        "type: not, not: {not_sub_policy: {name: x, type: span_count, span_count: {min_spans: 6}}}",
        "type: composite, composite: {max_total_spans_per_second: 9, policy_order: [x, y], composite_sub_policy: "
            + "[{name: x, type: status_code, status_code: {status_codes: [ERROR]}}, {name: y, type: always_sample}]}",
        "type: tool_error", "type: tool_empty_result", "type: loop, loop: {repeats: 2}",
        "type: tokens_above, tokens_above: {tokens: 100}", "type: cost_above, cost_above: {usd: 0.1}",
        "type: finish_reason, finish_reason: {values: [length]}", "type: no_final_answer",
    ]

    private func text(_ value: String) -> String { "{\"stringValue\":\"\(value)\"}" }
    private func int(_ value: Int) -> String { "{\"intValue\":\"\(value)\"}" }

    private func span(_ number: Int, _ random: inout SeededRandom) -> String {
        var attributes = [
            ("n", int(random.below(100))), ("k", text(random.pick(["a", "b", "c", "d", "e"]))),
            ("f", "{\"boolValue\":\(random.chance(percent: 10))}"),
        ]
        switch random.below(3) {
        case 0:
            attributes += [
                ("gen_ai.operation.name", text("execute_tool")), ("gen_ai.tool.name", text(random.pick(["t", "u"]))),
                ("gen_ai.tool.call.arguments", text("{}")),
                ("gen_ai.tool.call.result", text(random.pick(["[]", "found", ""]))),
            ]
        case 1:
            attributes += [
                ("gen_ai.operation.name", text("chat")), ("gen_ai.usage.input_tokens", int(random.below(40))),
                ("gen_ai.usage.output_tokens", int(random.below(40))),
                ("gen_ai.usage.cost", "{\"doubleValue\":0.0\(1 + random.below(7))}"),
                (
                    "gen_ai.response.finish_reasons",
                    "{\"arrayValue\":{\"values\":[\(text(random.pick(["stop", "length"])))]}}"
                ),
            ]
        default: break
        }
        let start = 1_000_000 * random.below(50)
        let digits = String(number + 1, radix: 16)
        return RuleBench.span(
            String(repeating: "0", count: 16 - digits.count) + digits, parent: number == 0 ? "" : "0000000000000001",
            name: random.pick(["s", "t"]), start: start + 1, end: start + 1_000_000 * random.below(30),
            status: random.chance(percent: 8) ? 2 : 0, flags: random.chance(percent: 8) ? 1 : 0,
            state: random.chance(percent: 15) ? "x=a1" : "", attributes: attributes,
            events: random.chance(percent: 8) ? ["{\"name\":\"e\"}"] : [])
    }

    /// The spans in another order, in one request or in several, one behind the other.
    private func arrival(_ spans: [String], _ random: inout SeededRandom) throws -> [UInt8] {
        var left = spans.shuffled(using: &random)
        var request: [UInt8] = []
        while !left.isEmpty {
            let count = 1 + random.below(left.count)
            request += try RuleBench.request(RuleBench.traces(Array(left.prefix(count)), resource: [("r", text("x"))]))
            left.removeFirst(count)
        }
        return request
    }

    @Test(arguments: policies) func `no arrival changes a decision`(policy: String) throws {
        var random = SeededRandom(UInt64(policy.utf8.reduce(7) { $0 &* 31 &+ Int($1) }.magnitude))
        var kept = 0
        for _ in 0..<25 {
            let spans = (0...random.below(11)).map { span($0, &random) }
            var decisions: Set<Bool> = []
            for _ in 0..<6 {
                let sampler = try TailSamplingTests.Sampler("{name: p, \(policy)}")
                let request = try arrival(spans, &random)
                decisions.insert(try Bench.run(sampler.processor, sampler.build, request).kept > 0)
            }
            #expect(decisions.count == 1, "\(policy): \(spans)")
            if decisions == [true] { kept += 1 }
        }
        // A policy that says the same of everything would prove nothing.
        if !policy.hasPrefix("type: always_sample"), !policy.hasPrefix("type: probabilistic") {
            #expect(kept > 0 && kept < 25, "\(policy): \(kept)")
        }
    }
}
