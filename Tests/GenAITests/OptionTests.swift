import Telemetry
import Testing

@testable import GenAI

@Suite struct OptionTests {
    private func options(_ change: (inout NormalizerOptions) -> Void) -> NormalizerOptions {
        var options = NormalizerOptions()
        change(&options)
        return options
    }

    private let old: [(String, TestValue)] = [
        ("gen_ai.system", "xai"), ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "grok-4"),
        ("gen_ai.usage.cache_creation.input_tokens", 8),
    ]

    @Test func `an older profile has the names of its time`() throws {
        let span = TestSpan(attributes: old + [("llm.provider", "xai"), ("openinference.span.kind", "LLM")])
        let latest = try normalized(span)
        #expect(latest["gen_ai.provider.name"] == "x_ai")
        #expect(latest["gen_ai.usage.cache_write.input_tokens"] == "8")
        let before = try normalized(span, options { $0.profile = .semconv141 })
        #expect(before["gen_ai.provider.name"] == "x_ai")
        #expect(before["gen_ai.usage.cache_write.input_tokens"] == nil)
        #expect(before["gen_ai.usage.cache_creation.input_tokens"] == "8")
        let oldest = try normalized(span, options { $0.profile = .semconv136 })
        #expect(oldest["gen_ai.provider.name"] == nil)
        #expect(oldest["gen_ai.system"] == "xai")
        #expect(TargetProfile.allCases.sorted() == TargetProfile.allCases)
    }

    @Test func `top_k is the double that it was up to 1.41`() throws {
        let spans = [
            TestSpan(attributes: [("openinference.span.kind", "LLM"), ("llm.invocation_parameters", "{\"top_k\": 40}")]
            ),
            TestSpan(attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.request.top_k", 40)]),
            TestSpan(attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.request.top_k", 40.0)]),
        ]
        for span in spans {
            for (profile, kind) in [(TargetProfile.genAIDev, ValueKind.int), (.semconv141, .double)] {
                let bench = try Bench(options { $0.profile = profile })
                var found: ValueKind?
                let once = try bench.run(span.request) { batch in
                    if let place = batch.find(name: Text("gen_ai.request.top_k"), in: batch.spans[0].set) {
                        found = batch.attributes[place].kind
                    }
                }
                #expect(found == kind)
                #expect(try bench.run(once) == once)
            }
        }
    }

    @Test func `aliases stand beside the current names`() throws {
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("llm.provider", "openai"),
                ("llm.token_count.prompt_details.cache_write", 8),
            ]), options { $0.emitsAliases = true })
        #expect(result["gen_ai.provider.name"] == "openai")
        #expect(result["gen_ai.system"] == "openai")
        #expect(result["gen_ai.usage.cache_creation.input_tokens"] == "8")
        #expect(result["gen_ai.usage.cache_write.input_tokens"] == "8")
    }

    @Test func `an excluded dialect does not run`() throws {
        let span = TestSpan(attributes: [("openinference.span.kind", "LLM"), ("llm.model_name", "m")])
        #expect(
            try normalized(span, options { $0.excluded = ["openinference", "generic"] })["gen_ai.operation.name"] == nil
        )
    }

    @Test func `spans are renamed only when asked, and remember their name`() throws {
        let bench = try Bench(options { $0.rewritesSpanNames = true })
        let span = TestSpan(
            name: "ChatCompletion", attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "m")])
        var name = ""
        let once = try bench.run(span.request) { batch in
            name = batch.text(batch.spans[0].name).string
            #expect(Bench.attributes(of: 0, batch)["sluice.genai.span_name"] == "ChatCompletion")
        }
        #expect(name == "chat m")
        #expect(try bench.run(once) == once)
    }

    @Test func `each changed attribute is explained by dialect and line`() throws {
        let bench = try Bench(options { $0.explains = true })
        let span = TestSpan(attributes: [("openinference.span.kind", "LLM"), ("llm.token_count.prompt", "12")])
        let text = try #require(try bench.attributes(span)["sluice.genai.explain"])
        #expect(text.contains(#""gen_ai.operation.name=openinference:"#))
        #expect(text.contains(#""gen_ai.usage.input_tokens=openinference:"#))
        let once = try bench.run(span.request)
        #expect(try bench.run(once) == once)
    }

    @Test func `our own names can begin differently`() throws {
        let tables = try Tables.embedded(prefix: "acme.ai.")
        var builder = KeyTable.Builder()
        tables.intern(&builder)
        #expect(tables.names.contains("acme.ai.kind"))
        #expect(!tables.names.contains("sluice.genai.kind"))
        #expect(tables.names.contains("acme.ai.tags"))
        #expect(!tables.names.contains("sluice.tags"))
    }

    @Test func `indexed names, events and former names are explained by their own rules`() throws {
        let bench = try Bench(
            options {
                $0.explains = true
                $0.profile = .semconv136
            })
        let span = TestSpan(
            attributes: [
                ("openinference.span.kind", "LLM"), ("llm.provider", "openai"), ("llm.model_name", "m"),
                ("llm.input_messages.0.message.role", "user"), ("llm.input_messages.0.message.content", "hi"),
            ], events: [TestEvent(name: "gen_ai.choice", attributes: [("finish_reason", "stop")])])
        let text = try #require(try bench.attributes(span)["sluice.genai.explain"])
        #expect(text.contains(#""gen_ai.system=openinference:"#))
        #expect(text.contains(#""gen_ai.response.finish_reasons=otel_genai_events:"#))
        var labels: [String: String] = [:]
        for item in text.split(separator: "\"") where item.contains("=") {
            let pair = item.split(separator: "=").map(String.init)
            labels[pair[0]] = pair[1]
        }
        #expect(labels["gen_ai.input.messages"]?.hasPrefix("openinference:") == true)
        #expect(labels["gen_ai.input.messages"] != labels["gen_ai.request.model"])
    }

    @Test func `a call by MCP is named by its method`() throws {
        let bench = try Bench(options { $0.rewritesSpanNames = true })
        let span = TestSpan(
            name: "call", attributes: [("mcp.method.name", "tools/call"), ("mcp.tool.name", "search")])
        var name = ""
        let once = try bench.run(span.request) { name = $0.text($0.spans[0].name).string }
        #expect(name == "tools/call search")
        #expect(try bench.run(once) == once)
    }

    @Test func `conflicts and failures are counted by rule`() throws {
        let bench = try Bench()
        _ = try bench.attributes(
            TestSpan(attributes: [
                ("gen_ai.operation.name", "chat"), ("gen_ai.usage.input_tokens", 12),
                ("gen_ai.usage.prompt_tokens", 10), ("gen_ai.usage.completion_tokens", "many"),
            ]))
        var seen: [String] = []
        bench.normalizer.tally.eachOutcome { rule, reason, count in
            let name = bench.tables.ruleName(rule)
            seen.append("\(name.dialect) \(reason.word) \(count)")
            #expect(name.rule.hasPrefix("\(name.dialect):"))
        }
        #expect(seen.sorted() == ["renames conflict 1", "renames wrong_type 1"])
    }

    @Test func `equal values in two vocabularies are no conflict`() throws {
        let bench = try Bench()
        _ = try bench.attributes(
            TestSpan(attributes: [
                ("gen_ai.operation.name", "chat"), ("gen_ai.system", "OpenAI"), ("gen_ai.provider.name", "openai"),
                ("gen_ai.usage.input_tokens", 12), ("gen_ai.usage.prompt_tokens", 12),
            ]))
        let isEmpty = bench.normalizer.tally.isEmpty
        #expect(isEmpty)
    }

    @Test func `counts that may be without the cached ones are marked`() throws {
        let span = TestSpan(
            scope: "strands.telemetry.tracer",
            attributes: [
                ("gen_ai.operation.name", "chat"), ("gen_ai.system", "aws.bedrock"),
                ("gen_ai.usage.prompt_tokens", 100), ("gen_ai.usage.cache_read_input_tokens", 40),
            ])
        #expect(try normalized(span)["sluice.genai.tokens_ambiguous"] == "true")
    }

    // MARK: Log records

    private func log(_ event: String, _ attributes: [(String, TestValue)], body: TestValue) -> [UInt8] {
        var record = Wire.field(5, Wire.value(body)) + Wire.field(12, Array(event.utf8))
        for (key, value) in attributes { record += Wire.field(6, Wire.pair(key, value)) }
        return Wire.field(1, Wire.field(2, Wire.field(2, record)))
    }

    private func normalizedLog(_ bytes: [UInt8]) throws -> [String: String] {
        let bench = try Bench()
        var result: [String: String] = [:]
        let once = try bench.run(bytes, .logs) { batch in
            result = Bench.attributes(in: batch.logs[0].set, batch)
        }
        #expect(try bench.run(once, .logs) == once)
        return result
    }

    @Test func `events of one message each become messages`() throws {
        let user = try normalizedLog(
            log("gen_ai.user.message", [("gen_ai.system", "openai")], body: .map([("content", "hi")])))
        #expect(user["gen_ai.input.messages"] == #"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#)
        #expect(user["gen_ai.provider.name"] == "openai")
        #expect(user["gen_ai.operation.name"] == nil)
        let choice = try normalizedLog(
            log(
                "gen_ai.choice", [("gen_ai.system", "openai")],
                body: .map([
                    ("index", 0), ("finish_reason", "stop"),
                    ("message", .map([("role", "assistant"), ("content", "yes")])),
                ])))
        #expect(choice["gen_ai.output.messages"]?.contains(#""content":"yes"}],"finish_reason":"stop""#) == true)
        let system = try normalizedLog(log("gen_ai.system.message", [], body: .map([("content", "be kind")])))
        #expect(system["gen_ai.system_instructions"] == #"[{"type":"text","content":"be kind"}]"#)
    }

    @Test func `other log records are written back as they came`() throws {
        let bytes = log("payment", [("http.route", "/")], body: "paid")
        let bench = try Bench()
        #expect(try bench.run(bytes, .logs) == bytes)
    }

    @Test func `a provider in the conventions' words stays unless overwriting is asked for`() throws {
        let span = TestSpan(attributes: [
            ("openinference.span.kind", "LLM"), ("llm.provider", "openai"), ("gen_ai.provider.name", "azure.ai.openai"),
        ])
        let kept = try normalized(span)
        #expect(kept["gen_ai.provider.name"] == "azure.ai.openai")
        #expect(kept["sluice.genai.original.gen_ai.provider.name"] == nil)
        #expect(try normalized(span, options { $0.overwrite = true })["gen_ai.provider.name"] == "openai")
    }

    @Test(arguments: [
        ("OpenAI", "openai"), ("vertex_ai", "gcp.vertex_ai"), ("xai", "x_ai"), ("Bedrock", "aws.bedrock"),
        ("azure.ai.openai", "azure.ai.openai"), ("my-gateway", "my-gateway"),
    ])
    func `a provider under its current name gets the conventions' word`(_ word: String, _ wanted: String) throws {
        let span = TestSpan(attributes: [
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", .string(word)),
        ])
        let bench = try Bench()
        var found: [String: String] = [:]
        let once = try bench.run(span.request) { found = Bench.attributes(of: 0, $0) }
        #expect(found["gen_ai.provider.name"] == wanted)
        #expect(found["sluice.genai.original.gen_ai.provider.name"] == nil)
        #expect(try bench.run(once) == once)
    }
}
