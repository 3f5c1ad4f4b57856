import Pipeline
import Processors
import Synchronization
import Telemetry
import Testing

@Suite struct TailSamplingTests {
    /// Nanoseconds that a test sets.
    final class Clock: Sendable {
        let now = Mutex<Int64>(0)
    }

    struct Sampler {
        let processor: TailSamplingProcessor
        let build: ProcessorBuild
        let metrics: SelfMetrics
        let clock = Clock()

        init(_ policies: String, more: String = "") throws {
            let (options, headlines) = RuleBench.options(TailSamplingOptions.self, "{policies: [\(policies)]\(more)}")
            try #require(headlines == [], "\(headlines)")
            var bench = Bench()
            var build = bench.build(.traces)
            let clock = self.clock
            processor = try TailSamplingProcessor(
                options: options, build: &build, now: { clock.now.withLock { $0 } })
            self.build = build
            metrics = bench.metrics
        }

        func keeps(_ spans: [String], resource: [(String, String)] = []) throws -> Bool {
            try Bench.run(processor, build, try RuleBench.request(RuleBench.traces(spans, resource: resource))).kept > 0
        }
    }

    /// A trace id that looks random, as those of SDKs do: the hash of the Collector does not mix ids that only count.
    static func trace(_ number: Int) -> String {
        func half(_ seed: UInt64) -> String {
            var value = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            let digits = String(value ^ value >> 31, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        return half(UInt64(2 * number)) + half(UInt64(2 * number + 1))
    }

    private static func string(_ text: String) -> String { "{\"stringValue\":\"\(text)\"}" }
    /// Output messages as an attribute that is a list.
    private static func messages(reason: String) -> String {
        let member = "{\"key\":\"finish_reason\",\"value\":\(string(reason))}"
        return "{\"arrayValue\":{\"values\":[{\"kvlistValue\":{\"values\":[\(member)]}}]}}"
    }

    private static func int(_ number: Int) -> String { "{\"intValue\":\"\(number)\"}" }

    struct Row: CustomTestStringConvertible, Sendable {
        var policy: String
        var keeps: [String]
        var drops: [String]
        var testDescription: String { policy }
    }

    private static func one(
        _ name: String = "s", start: Int = 1, end: Int = 2, status: Int = 0, flags: Int = 0, state: String = "",
        _ attributes: (String, String)..., events: [String] = []
    ) -> String {
        RuleBench.span(
            "a102030405060708", name: name, start: start, end: end, status: status, flags: flags, state: state,
            attributes: attributes, events: events)
    }

    static let rows: [Row] = [
        Row(policy: "{name: p, type: always_sample}", keeps: [one()], drops: []),
        Row(
            policy: "{name: p, type: latency, latency: {threshold_ms: 5}}", keeps: [one(start: 1, end: 5_000_001)],
            drops: [one(start: 1, end: 5_000_000)]),
        Row(
            policy: "{name: p, type: latency, latency: {threshold_ms: 5, upper_threshold_ms: 10}}",
            keeps: [one(start: 1, end: 10_000_001)],
            drops: [one(start: 1, end: 11_000_001), one(start: 1, end: 5_000_001)]),
        Row(
            policy: "{name: p, type: numeric_attribute, numeric_attribute: {key: k, min_value: 50, max_value: 100}}",
            keeps: [one("s", ("k", int(50))), one("s", ("k", "{\"doubleValue\":99.5}"))],
            drops: [one("s", ("k", int(101))), one(), one("s", ("k", string("60")))]),
        Row(
            policy: "{name: p, type: string_attribute, string_attribute: {key: k, values: [a, b]}}",
            keeps: [one("s", ("k", string("b")))], drops: [one("s", ("k", string("ab")))]),
        Row(
            policy:
                "{name: p, type: string_attribute, string_attribute: {key: k, values: ['v\\d+'], "
                + "enabled_regex_matching: true}}",
            keeps: [one("s", ("k", string("xv12")))], drops: [one("s", ("k", string("v")))]),
        Row(
            policy: "{name: p, type: string_attribute, string_attribute: {key: k, values: [a], invert_match: true}}",
            keeps: [one("s", ("k", string("b"))), one()], drops: [one("s", ("k", string("a")))]),
        Row(
            policy: "{name: p, type: boolean_attribute, boolean_attribute: {key: k, value: true}}",
            keeps: [one("s", ("k", "{\"boolValue\":true}"))], drops: [one("s", ("k", "{\"boolValue\":false}"))]),
        Row(
            policy: "{name: p, type: status_code, status_code: {status_codes: [ERROR]}}", keeps: [one(status: 2)],
            drops: [one(), one(status: 1)]),
        Row(policy: "{name: p, type: span_count, span_count: {min_spans: 2}}", keeps: [], drops: [one()]),
        Row(policy: "{name: p, type: span_count, span_count: {max_spans: 1}}", keeps: [one()], drops: []),
        Row(
            policy: "{name: p, type: trace_state, trace_state: {key: k, values: [v1, v2]}}",
            keeps: [one(state: "a=b,k=v2")], drops: [one(state: "k=v3"), one()]),
        Row(policy: "{name: p, type: trace_flags}", keeps: [one(flags: 257)], drops: [one(flags: 256)]),
        Row(
            policy: "{name: p, type: ottl_condition, ottl_condition: {error_mode: ignore, span: ['name == \"x\"'], "
                + "spanevent: ['name == \"boom\"']}}",
            keeps: [one("x"), one(events: ["{\"name\":\"boom\"}"])], drops: [one(events: ["{\"name\":\"tick\"}"])]),
        Row(
            policy: "{name: p, type: and, and: {and_sub_policy: [{name: a, type: status_code, status_code: "
                + "{status_codes: [ERROR]}}, {name: b, type: ottl_condition, ottl_condition: "
                + "{span: ['name == \"x\"']}}]}}",
            keeps: [one("x", status: 2)], drops: [one("x"), one(status: 2)]),
        Row(
            policy: "{name: p, type: not, not: {not_sub_policy: {name: a, type: status_code, status_code: "
                + "{status_codes: [ERROR]}}}}", keeps: [one()], drops: [one(status: 2)]),
        Row(
            policy: "{name: p, type: drop, drop: {drop_sub_policy: [{name: a, type: not, not: {not_sub_policy: "
                + "{name: b, type: status_code, status_code: {status_codes: [ERROR]}}}}]}}, "
                + "{name: q, type: always_sample}",
            keeps: [one(status: 2)], drops: [one()]),
    ]

    static let agents: [Row] = [
        Row(
            policy: "{name: p, type: tool_error}",
            keeps: [
                one("t", status: 2, ("gen_ai.operation.name", string("execute_tool"))),
                one("t", ("gen_ai.tool.name", string("x")), ("error.type", string("timeout"))),
            ],
            drops: [one(status: 2), one("t", ("gen_ai.operation.name", string("execute_tool")))]),
        Row(
            policy: "{name: p, type: tool_empty_result, tool_empty_result: {tools: [search]}}",
            keeps: ["", "[]", "null", " { } ", "{\\\"items\\\":[],\\\"total\\\":0}", "\\\"\\\"", "No results."].map {
                one("t", ("gen_ai.tool.name", string("search")), ("gen_ai.tool.call.result", string($0)))
            },
            drops: [
                one("t", ("gen_ai.tool.name", string("search"))),
                one("t", ("gen_ai.tool.name", string("search")), ("gen_ai.tool.call.result", string("[1]"))),
                one("t", ("gen_ai.tool.name", string("other")), ("gen_ai.tool.call.result", string("[]"))),
                one("t", ("gen_ai.tool.name", string("search")), ("gen_ai.tool.call.result", string("5 items"))),
            ]),
        Row(
            policy: "{name: p, type: cost_above, cost_above: {usd: 0.5}}",
            keeps: [one("c", ("gen_ai.usage.cost", "{\"doubleValue\":0.6}"))],
            drops: [one("c", ("gen_ai.usage.cost", "{\"doubleValue\":0.5}"))]),
        Row(
            policy: "{name: p, type: tokens_above, tokens_above: {tokens: 100}}",
            keeps: [one("c", ("gen_ai.usage.input_tokens", int(60)), ("gen_ai.usage.output_tokens", int(41)))],
            drops: [
                one("c", ("gen_ai.usage.input_tokens", int(100))),
                one("a", ("gen_ai.operation.name", string("invoke_agent")), ("gen_ai.usage.input_tokens", int(500))),
            ]),
        Row(
            policy: "{name: p, type: finish_reason, finish_reason: {values: [length]}}",
            keeps: [
                one(
                    "c",
                    ("gen_ai.response.finish_reasons", "{\"arrayValue\":{\"values\":[{\"stringValue\":\"length\"}]}}"))
            ], drops: [one("c", ("gen_ai.response.finish_reasons", string("stop")))]),
        Row(
            policy: "{name: p, type: no_final_answer}",
            keeps: [
                one(
                    "c", ("gen_ai.operation.name", string("chat")),
                    ("gen_ai.response.finish_reasons", string("tool_calls"))),
                one(
                    "m", ("gen_ai.operation.name", string("chat")),
                    ("gen_ai.output.messages", string(#"[{\"role\":\"assistant\",\"finish_reason\":\"length\"}]"#))),
                one(
                    "n", ("gen_ai.operation.name", string("chat")),
                    ("gen_ai.output.messages", messages(reason: "tool_call"))),
            ],
            drops: [
                one(
                    "m", ("gen_ai.operation.name", string("chat")),
                    ("gen_ai.output.messages", string(#"[{\"role\":\"assistant\",\"finish_reason\":\"stop\"}]"#))),
                one(
                    "n", ("gen_ai.operation.name", string("chat")),
                    ("gen_ai.output.messages", messages(reason: "stop"))),
                one(
                    "o", ("gen_ai.operation.name", string("chat")),
                    ("gen_ai.response.finish_reasons", string("stop")),
                    ("gen_ai.output.messages", messages(reason: "length"))),
                one(),
                one("c", ("gen_ai.operation.name", string("chat")), ("gen_ai.response.finish_reasons", string("stop"))),
            ]),
        Row(
            policy: "{name: p, type: finding, finding: {names: [loop]}}",
            keeps: [
                one(
                    events: [
                        "{\"name\":\"gen_ai.evaluation.result\",\"attributes\":[{\"key\":\"gen_ai.evaluation.name\","
                            + "\"value\":{\"stringValue\":\"loop\"}}]}"
                    ])
            ], drops: [one(events: ["{\"name\":\"gen_ai.evaluation.result\"}"])]),
    ]

    @Test(arguments: rows + agents) func `samples what the policy looks for`(_ row: Row) throws {
        for span in row.keeps { #expect(try Sampler(row.policy).keeps([span]), "\(span)") }
        for span in row.drops { #expect(try !Sampler(row.policy).keeps([span]), "\(span)") }
    }

    @Test func `resource attributes count as well`() throws {
        let sampler = try Sampler("{name: p, type: string_attribute, string_attribute: {key: env, values: [prod]}}")
        #expect(try sampler.keeps([Self.one()], resource: [("env", Self.string("prod"))]))
    }

    @Test func `a tool called again and again with the same arguments is a loop`() throws {
        func call(_ number: Int, _ arguments: String) -> String {
            RuleBench.span(
                "a\(number)02030405060708",
                attributes: [
                    ("gen_ai.tool.name", Self.string("find")), ("gen_ai.tool.call.arguments", Self.string(arguments)),
                ])
        }
        let policy = "{name: p, type: loop, loop: {repeats: 3}}"
        #expect(try Sampler(policy).keeps([call(1, "x"), call(2, "y"), call(3, "x"), call(4, "x")]))
        #expect(try !Sampler(policy).keeps([call(1, "x"), call(2, "y"), call(3, "x"), call(4, "z")]))
    }

    @Test func `spans that were delivered more than once count once`() throws {
        let call = RuleBench.span(
            "a102030405060708",
            attributes: [
                ("gen_ai.tool.name", Self.string("find")), ("gen_ai.tool.call.arguments", Self.string("x")),
            ])
        #expect(try !Sampler("{name: p, type: loop, loop: {repeats: 2}}").keeps([call, call, call]))
        func chat(_ id: String, start: Int = 1, _ tokens: Int, _ cost: String) -> String {
            RuleBench.span(
                id, start: start, end: 9,
                attributes: [
                    ("gen_ai.usage.input_tokens", Self.int(tokens)),
                    ("gen_ai.usage.cost", #"{"doubleValue":\#(cost)}"#),
                ])
        }
        let one = chat("a202030405060708", 60, "0.3")
        for policy in [
            "{name: p, type: tokens_above, tokens_above: {tokens: 100}}",
            "{name: p, type: cost_above, cost_above: {usd: 0.5}}",
        ] {
            #expect(try !Sampler(policy).keeps([one, one, one]))
            #expect(try Sampler(policy).keeps([one, one, chat("a302030405060708", 60, "0.3")]))
            // Of a sender that makes bad ids.
            #expect(try Sampler(policy).keeps([one, chat("a202030405060708", start: 2, 60, "0.3")]))
        }
    }

    @Test func `a piece without the spans above the last model call does not tell that an answer is missing`() throws {
        let reason = ("gen_ai.response.finish_reasons", Self.string("tool_calls"))
        let chat = RuleBench.span(
            "a102030405060708", parent: "a202030405060708", start: 3, end: 4,
            attributes: [("gen_ai.operation.name", Self.string("chat")), reason])
        let agent = RuleBench.span(
            "a202030405060708", parent: "a302030405060708", start: 2, end: 5,
            attributes: [("gen_ai.operation.name", Self.string("invoke_agent"))])
        let root = RuleBench.span("a302030405060708", start: 1, end: 6)
        let policy = "{name: p, type: no_final_answer}"
        #expect(try !Sampler(policy).keeps([chat]))
        #expect(try !Sampler(policy).keeps([chat, agent]))
        #expect(try !Sampler(policy).keeps([root, chat]))
        #expect(try Sampler(policy).keeps([agent, chat, root]))
        // Spans that name each other as parents end nowhere.
        let other = RuleBench.span("a202030405060708", parent: "a102030405060708", start: 2, end: 5)
        #expect(try Sampler(policy).keeps([chat, other]))
    }

    @Test func `arguments that are the same JSON are the same, however they are written`() throws {
        func call(_ number: Int, _ value: String) -> String {
            RuleBench.span(
                "a\(number)02030405060708",
                attributes: [("gen_ai.tool.name", Self.string("find")), ("gen_ai.tool.call.arguments", value)])
        }
        func text(_ json: String) -> String { Self.string(json.replacing("\"", with: "\\\"")) }
        let policy = "{name: p, type: loop, loop: {repeats: 3}}"
        let one = text(#"{"city":"Rome","days":3}"#)
        let other = text(#"{ "days": 3.0, "city": "Rome" }"#)
        let map =
            #"{"kvlistValue":{"values":[{"key":"days","value":{"intValue":"3"}},"#
            + #"{"key":"city","value":{"stringValue":"Rome"}}]}}"#
        #expect(try Sampler(policy).keeps([call(1, one), call(2, other), call(3, map)]))
        let longer = text(#"{"city":"Rome","days":4}"#)
        #expect(try !Sampler(policy).keeps([call(1, one), call(2, other), call(3, longer)]))
        // What is no JSON counts by its bytes.
        let cut = text(#"{"city":"Rome","da"#)
        #expect(try Sampler(policy).keeps([call(1, cut), call(2, cut), call(3, cut)]))
        #expect(try !Sampler(policy).keeps([call(1, cut), call(2, cut), call(3, text(#"{"city":"Rome","d"#))]))
    }

    @Test func `the verdict does not depend on the order of spans`() throws {
        var spans: [String] = []
        for index in 1...9 {
            spans.append(
                RuleBench.span(
                    "a\(index)02030405060708", start: index * 1_000_000, end: index * 2_000_000,
                    status: index == 4 ? 2 : 0,
                    attributes: [
                        ("gen_ai.operation.name", Self.string("chat")), ("gen_ai.usage.input_tokens", Self.int(index)),
                        ("gen_ai.response.finish_reasons", Self.string(index == 9 ? "stop" : "tool_calls")),
                    ]))
        }
        for row in Self.rows + Self.agents {
            let forward = try Sampler(row.policy).keeps(spans)
            #expect(try Sampler(row.policy).keeps(spans.reversed()) == forward, "\(row.policy)")
            #expect(try Sampler(row.policy).keeps(Array(spans[4...] + spans[..<4])) == forward, "\(row.policy)")
        }
    }

    @Test func `a share of traces is the one that the Collector takes`() throws {
        let sampler = try Sampler("{name: p, type: probabilistic, probabilistic: {sampling_percentage: 25}}")
        var kept = 0
        for number in 0..<4_000 {
            if try sampler.keeps([RuleBench.span("a102030405060708", trace: Self.trace(number))]) { kept += 1 }
        }
        #expect((900...1_100).contains(kept), "\(kept)")
        // FNV-1a of "default-hash-seed" and the 16 bytes, against a quarter of 2^64.
        #expect(
            try !Sampler("{name: p, type: probabilistic, probabilistic: {sampling_percentage: 0}}").keeps([Self.one()]))
        #expect(
            try Sampler("{name: p, type: probabilistic, probabilistic: {sampling_percentage: 100}}").keeps([Self.one()])
        )
    }

    private func span(_ number: Int) -> [String] {
        [RuleBench.span("a102030405060708", trace: Self.trace(number))]
    }

    @Test func `rates let through what fits into a second, and bursts once`() throws {
        let sampler = try Sampler(
            "{name: p, type: rate_limiting, rate_limiting: {spans_per_second: 2, burst_capacity: 3}}")
        #expect(try (0..<5).map { try sampler.keeps(span($0)) } == [true, true, true, false, false])
        sampler.clock.now.withLock { $0 = 1_000_000_000 }
        #expect(try (5..<8).map { try sampler.keeps(span($0)) } == [true, true, false])
        let plain = try Sampler("{name: p, type: rate_limiting, rate_limiting: {spans_per_second: 2}}")
        #expect(try (0..<5).map { try plain.keeps(span($0)) } == [true, true, true, true, false])
    }

    @Test func `options of the Collector's that mean nothing here are warnings`() {
        let yaml = "{policies: [{name: p, type: always_sample}], num_shards: 4, tail_storage: pebble_tail_storage}"
        let headlines = RuleBench.options(TailSamplingOptions.self, yaml).headlines
        #expect(headlines.count == 2 && headlines.allSatisfy { $0.contains("warning: ") }, "\(headlines)")
    }

    @Test func `bytes fill up again over time`() throws {
        // What a span adds to a request; what stands around spans does not count.
        let size =
            try RuleBench.request(RuleBench.traces(span(0))).count - RuleBench.request(RuleBench.traces([])).count
        let sampler = try Sampler(
            "{name: p, type: bytes_limiting, bytes_limiting: {bytes_per_second: \(size), burst_capacity: \(size * 2)}}")
        #expect(try (0..<3).map { try sampler.keeps(span($0)) } == [true, true, false])
        sampler.clock.now.withLock { $0 = 500_000_000 }
        #expect(try !sampler.keeps(span(4)))
        sampler.clock.now.withLock { $0 = 1_100_000_000 }
        #expect(try sampler.keeps(span(5)))
    }

    @Test func `composite policies share a rate in their order`() throws {
        let sampler = try Sampler(
            """
            {name: c, type: composite, composite: {max_total_spans_per_second: 10, policy_order: [e, rest],
             composite_sub_policy: [{name: rest, type: always_sample},
              {name: e, type: status_code, status_code: {status_codes: [ERROR]}}],
             rate_allocation: [{policy: e, percent: 20}, {policy: rest, percent: 10}]}}
            """)
        func keeps(_ number: Int, _ status: Int) throws -> Bool {
            try sampler.keeps([RuleBench.span("a102030405060708", trace: Self.trace(number), status: status)])
        }
        #expect(try [keeps(1, 2), keeps(2, 2), keeps(3, 2)] == [true, true, false])
        #expect(try [keeps(4, 0), keeps(5, 0)] == [true, false])
    }

    @Test func `late spans follow the decision of their trace`() throws {
        let sampler = try Sampler("{name: p, type: status_code, status_code: {status_codes: [ERROR]}}")
        #expect(try sampler.keeps([RuleBench.span("a102030405060708", trace: Self.trace(1), status: 2)]))
        #expect(try sampler.keeps(span(1)))
        #expect(try !sampler.keeps(span(2)))
        #expect(try !sampler.keeps([RuleBench.span("a102030405060708", trace: Self.trace(2), status: 2)]))
        let forgetful = try Sampler(
            "{name: p, type: status_code, status_code: {status_codes: [ERROR]}}",
            more: ", decision_cache: {sampled_cache_size: 0, non_sampled_cache_size: 1}")
        #expect(try !forgetful.keeps(span(1)))
        #expect(try !forgetful.keeps(span(2)))
        #expect(try forgetful.keeps([RuleBench.span("a102030405060708", trace: Self.trace(1), status: 2)]))
    }

    @Test func `a dry run counts and keeps all`() throws {
        let sampler = try Sampler(
            "{name: p, type: status_code, status_code: {status_codes: [ERROR]}}", more: ", dry_run: true")
        #expect(try sampler.keeps(span(1)))
        let counts = sampler.metrics.series.filter { series in
            series.name == "otelcol_processor_tail_sampling_count_traces_sampled"
                && series.labels.contains { $0.value == "false" }
        }
        #expect(counts.map { $0.read() } == [1])
    }

    @Test(arguments: [
        ("policies: []", "needs at least one policy"),
        ("policies: [{name: p, type: latncy}]", "did you mean \"latency\"?"),
        ("policies: [{name: p, type: latency}]", "needs its own options under latency"),
        ("policies: [{name: p, type: status_code, status_code: {status_codes: [BAD]}}]", "some of OK, ERROR and UNSET"),
        ("policies: [{name: p, type: ottl_condition, ottl_condition: {span: ['nam == 1']}}]", "did you mean name?"),
        ("policies: [{name: p, type: always_sample}, {name: p, type: trace_flags}]", "two policies are called p"),
        (
            "policies: [{name: p, type: and, and: {and_sub_policy: [{name: q, type: latency, latncy: {}}]}}]",
            "did you mean \"latency\"?"
        ),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let headlines = RuleBench.options(TailSamplingOptions.self, yaml).headlines
        #expect(headlines.contains { $0.contains(words) }, "\(headlines)")
    }
}
