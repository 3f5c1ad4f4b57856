import Telemetry
import Testing

@testable import GenAI

@Suite struct RuleTests {
    @Test func `a valid current value wins over every dialect`() throws {
        let span = TestSpan(attributes: [
            ("openinference.span.kind", "LLM"), ("llm.token_count.prompt", 10), ("gen_ai.usage.input_tokens", 12),
            ("gen_ai.conversation.id", "mine"), ("session.id", "other"),
        ])
        let kept = try normalized(span)
        #expect(kept["gen_ai.usage.input_tokens"] == "12")
        #expect(kept["gen_ai.conversation.id"] == "mine")
        var options = NormalizerOptions()
        options.overwrite = true
        let overwritten = try normalized(span, options)
        #expect(overwritten["gen_ai.usage.input_tokens"] == "10")
        #expect(overwritten["gen_ai.conversation.id"] == "other")
    }

    @Test func `a value of another shape under a current name is source material`() throws {
        let result = try normalized(
            TestSpan(attributes: [
                ("gen_ai.operation.name", "chat"), ("gen_ai.usage.input_tokens", "15"),
                ("gen_ai.input.messages", #"[{"role": "user", "content": "hi"}]"#),
                ("gen_ai.response.finish_reasons", #"["stop"]"#),
            ]))
        #expect(result["gen_ai.input.messages"] == #"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#)
        #expect(result["gen_ai.usage.input_tokens"] == "15")
        #expect(result["gen_ai.response.finish_reasons"] == #"["stop"]"#)
    }

    @Test func `a message list without parts yields to one with parts`() throws {
        let result = try normalized(
            TestSpan(
                scope: "litellm",
                attributes: [
                    ("gen_ai.operation.name", "chat"), ("litellm.call_id", "x"),
                    ("gen_ai.output.messages", #"[{"role": "assistant", "parts": []}]"#),
                    ("gen_ai.completion.0.role", "assistant"), ("gen_ai.completion.0.function_call.name", "f"),
                    ("gen_ai.completion.0.function_call.arguments", "{}"),
                ]))
        #expect(result["gen_ai.output.messages"]?.contains("tool_call") == true)
    }

    @Test func `originals go only when they were carried over`() throws {
        var options = NormalizerOptions()
        options.removeOriginals = true
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("llm.token_count.prompt", 10), ("llm.token_count.total", "many"),
                ("llm.input_messages.0.message.content", "hi"), ("llm.prompt_template.template", "t"),
                ("session.id", "s"), ("llm.invocation_parameters", #"{"temperature": 1, "own": 2}"#), ("mine", 1),
            ]), options)
        #expect(result["llm.token_count.prompt"] == nil)
        #expect(result["llm.input_messages.0.message.content"] == nil)
        #expect(result["llm.token_count.total"] == "many")
        #expect(result["llm.prompt_template.template"] == "t")
        #expect(result["session.id"] == "s")
        #expect(result["llm.invocation_parameters"] != nil)
        #expect(result["mine"] == "1")
    }

    @Test func `only the listed dialects run`() throws {
        var options = NormalizerOptions()
        options.sources = ["openllmetry_legacy"]
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("llm.token_count.prompt", 10), ("llm.request.type", "chat"),
            ]), options)
        #expect(result["gen_ai.usage.input_tokens"] == nil)
        #expect(result["gen_ai.operation.name"] == "chat")
    }

    @Test func `listed attributes are copied`() throws {
        var options = NormalizerOptions()
        options.customMappings = [("my.tokens", "gen_ai.usage.input_tokens"), ("my.team", "team.name")]
        let result = try normalized(TestSpan(attributes: [("my.tokens", "12"), ("my.team", "blue")]), options)
        #expect(result["gen_ai.usage.input_tokens"] == "12")
        #expect(result["team.name"] == "blue")
    }

    @Test(arguments: [
        ("OpenAI", "openai"), ("azure_openai", "azure.ai.openai"), ("AWS Bedrock", "aws.bedrock"), ("xai", "x_ai"),
        ("my-gateway:8080", "my-gateway:8080"),
    ])
    func `providers get their current names`(raw: String, expected: String) throws {
        let result = try normalized(
            TestSpan(attributes: [("gen_ai.system", .string(raw)), ("gen_ai.request.model", "m")]))
        #expect(result["gen_ai.provider.name"] == expected)
    }

    @Test func `a framework is no provider`() throws {
        let result = try normalized(
            TestSpan(attributes: [("gen_ai.system", "langchain"), ("gen_ai.request.model", "m")]))
        #expect(result["gen_ai.provider.name"] == nil)
        #expect(result["gen_ai.system"] == "langchain")
    }

    @Test func `the host decides which Azure it is`() throws {
        func provider(_ system: String) throws -> String? {
            try normalized(
                TestSpan(attributes: [
                    ("openinference.span.kind", "LLM"), ("llm.provider", "azure"), ("llm.system", .string(system)),
                ]))["gen_ai.provider.name"]
        }
        #expect(try provider("openai") == "azure.ai.openai")
        #expect(try provider("mistralai") == "azure.ai.inference")
    }

    @Test func `a scope prefix ends at a boundary`() {
        #expect(ScopeName.hasPrefix(Text("a.openai.v1"), Text("a.openai")))
        #expect(ScopeName.hasPrefix(Text("a.openai"), Text("a.openai")))
        #expect(!ScopeName.hasPrefix(Text("a.openai_v2"), Text("a.openai")))
        #expect(ScopeName.hasPrefix(Text("@mastra/core"), Text("@mastra/")))
    }

    @Test func `all dialects are there and their files are sound`() throws {
        let tables = try Tables.shared.get()
        #expect(tables.summary.count == 50)
        #expect(tables.summary.map(\.rules).reduce(0, +) > 600)
        #expect(Set(tables.summary.map(\.dialect)) == Set(Tables.embeddedDialects))
    }

    @Test func `a broken table names its place`() {
        let files = [
            (name: "targets", text: "string: [a]"),
            (name: "d", text: "dialect: d\npriority: 1\nrules:\n  rest:\n    - {from: x, to: b}\n"),
        ]
        #expect { try Tables.compile(files) } throws: { "\($0)".contains("d.yaml:5") && "\($0)".contains("`b`") }
    }
}
