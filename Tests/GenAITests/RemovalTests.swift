import Telemetry
import Testing

@testable import GenAI

/// `remove_originals` takes away what has a place as a whole, and nothing else.
@Suite struct RemovalTests {
    private static var removing: NormalizerOptions {
        var options = NormalizerOptions()
        options.removeOriginals = true
        return options
    }

    private typealias Case = (name: String, scope: String, mark: (String, TestValue), value: String)

    /// What is left of a value, after a check that another run changes nothing and that the default keeps it.
    private func left(_ item: Case) throws -> String? {
        let span = TestSpan(scope: item.scope, attributes: [item.mark, (item.name, .string(item.value))])
        #expect(try normalized(span)[item.name] == item.value)
        let bench = try Bench(Self.removing)
        var found: [String: String] = [:]
        let once = try bench.run(span.request) { found = Bench.attributes(of: 0, $0) }
        #expect(try bench.run(once) == once)
        return found[item.name]
    }

    private static let partly: [Case] = [
        (
            "llm.invocation_parameters", "openinference.x", ("openinference.span.kind", "LLM"),
            #"{"temperature":1,"logit_bias":{"5":"x"}}"#
        ),
        (
            "langfuse.observation.model.parameters", "langfuse-sdk", ("langfuse.observation.type", "generation"),
            #"{"temperature":1,"zzz":"x"}"#
        ),
        (
            "langfuse.observation.usage_details", "langfuse-sdk", ("langfuse.observation.type", "generation"),
            #"{"input":1,"output":2,"zzz_units":9}"#
        ),
        (
            "mlflow.spanInputs", "mlflow", ("mlflow.spanType", #""CHAT_MODEL""#),
            #"{"model":"m","messages":[{"role":"user","content":"c"}],"response_format":{"x":"y"}}"#
        ),
        (
            "mlflow.spanOutputs", "mlflow", ("mlflow.spanType", #""CHAT_MODEL""#),
            #"{"id":"x","choices":[{"message":{"role":"assistant","content":"c"}}],"usage":{"prompt_tokens":4242}}"#
        ),
        (
            "input.value", "openinference.x", ("openinference.span.kind", "LLM"),
            #"{"messages":[{"role":"user","content":"c"}],"zzz":"x"}"#
        ),
        (
            "output.value", "openinference.x", ("openinference.span.kind", "TOOL"),
            #"{"output":{"content":"ok","tool_call_id":"1","type":"tool","artifact":{"z":"x"}}}"#
        ),
        (
            "traceloop.entity.input", "opentelemetry.instrumentation.langchain", ("traceloop.span.kind", "tool"),
            #"{"inputs":{"a":1},"metadata":{"k":"x"},"tags":["y"]}"#
        ),
        (
            "gcp.vertex.agent.llm_request", "gcp.vertex.agent", ("gen_ai.system", "gcp.vertex.agent"),
            #"{"model":"g","config":{"temperature":0.1,"safety_settings":"x"},"contents":[]}"#
        ),
        (
            "ai.response.providerMetadata", "ai", ("ai.operationId", "ai.generateText.doGenerate"),
            #"{"openai":{"responseId":"x","logprobs":[1]}}"#
        ),
    ]

    @Test(arguments: 0..<10) func `a document of which a member has no place stays`(_ index: Int) throws {
        let item = Self.partly[index]
        #expect(try left(item) == item.value)
    }

    private static let wholly: [Case] = [
        (
            "llm.invocation_parameters", "openinference.x", ("openinference.span.kind", "LLM"),
            #"{"temperature":1,"max_tokens":5,"stop":null}"#
        ),
        (
            "input.value", "openinference.x", ("openinference.span.kind", "LLM"),
            #"{"messages":[{"role":"user","content":[{"type":"text","text":"c","citations":["u"]}],"zzz":"x"}]}"#
        ),
        (
            "ai.prompt.messages", "ai", ("ai.operationId", "ai.generateText.doGenerate"),
            #"[{"role":"user","content":[{"type":"text","text":"c","providerOptions":{"z":"x"}}]}]"#
        ),
        ("tool.name", "openinference.x", ("openinference.span.kind", "TOOL"), "lookup"),
        ("llm.model_name", "openinference.x", ("openinference.span.kind", "LLM"), "gpt-4.1"),
    ]

    @Test(arguments: 0..<5) func `what has a place as a whole goes`(_ index: Int) throws {
        #expect(try left(Self.wholly[index]) == nil)
    }

    /// As an SDK leaves them that cuts values at a number of characters.
    private static let cut: [Case] = [
        (
            "ai.response.toolCalls", "ai", ("ai.operationId", "ai.generateText.doGenerate"),
            #"[{"toolCallId":"c1","toolName":"get_thing","input":"{\"a\": 12"#
        ),
        (
            "ai.result.toolCalls", "ai", ("ai.operationId", "ai.generateText.doGenerate"),
            #"[{"toolCallId":"c1","toolName":"get_thing","ar"#
        ),
        (
            "ai.response.files", "ai", ("ai.operationId", "ai.generateText.doGenerate"),
            #"[{"mediaType":"image/png","data":"iVBORw0KGgo"#
        ),
    ]

    @Test(arguments: 0..<3) func `what was cut and gave no part of a message stays`(_ index: Int) throws {
        #expect(try left(Self.cut[index]) == Self.cut[index].value)
    }

    @Test func `a cut schema stays, and the name of its tool goes`() throws {
        let cut = #"{"type": "object", "properties": {"secretfield": {"ty"#
        let found = try normalized(
            TestSpan(
                scope: "opentelemetry.instrumentation.openai.v1",
                attributes: [
                    ("llm.request.type", "chat"), ("gen_ai.system", "OpenAI"),
                    ("llm.request.functions.0.name", "f"), ("llm.request.functions.0.parameters", .string(cut)),
                ]), Self.removing)
        #expect(found["gen_ai.tool.definitions"] == #"[{"type":"function","name":"f"}]"#)
        #expect(found["llm.request.functions.0.parameters"] == cut)
        #expect(found["llm.request.functions.0.name"] == nil)
    }

    @Test func `of indexed keys those that no message has stay`() throws {
        let span = TestSpan(
            scope: "openinference.x",
            attributes: [
                ("openinference.span.kind", "LLM"), ("llm.input_messages.0.message.role", "user"),
                ("llm.input_messages.0.message.content", "c"), ("llm.input_messages.0.message.zzz", "x"),
                ("llm.output_messages.0.message.role", "assistant"),
                ("llm.output_messages.0.message.contents.0.message_content.type", "reasoning"),
                ("llm.output_messages.0.message.contents.0.message_content.text", "t"),
                ("llm.output_messages.0.message.contents.0.message_content.signature", "s"),
                ("llm.tools.0.tool.json_schema", #"{"name":"f","strict":true}"#), ("llm.tools.0.tool.zzz", "x"),
            ])
        let found = try normalized(span, Self.removing)
        let names = found.keys.filter { $0.hasPrefix("llm.") }.sorted()
        #expect(
            names == [
                "llm.input_messages.0.message.zzz",
                "llm.output_messages.0.message.contents.0.message_content.signature", "llm.tools.0.tool.zzz",
            ])
        #expect(found["gen_ai.tool.definitions"] == #"[{"type":"function","name":"f","strict":true}]"#)
    }

    @Test func `of indexed keys those whose value is bytes stay, and nothing is written for them`() throws {
        let bytes = TestValue.bytes(Array("raw".utf8))
        let call = "llm.output_messages.0.message.tool_calls.0.tool_call.function."
        let messages = try normalized(
            TestSpan(
                scope: "openinference.x",
                attributes: [
                    ("openinference.span.kind", "LLM"), ("llm.input_messages.0.message.role", "user"),
                    ("llm.input_messages.0.message.content", bytes), ("llm.input_messages.1.message.role", "user"),
                    ("llm.input_messages.1.message.content", "c"), (call + "name", "f"), (call + "arguments", bytes),
                ]), Self.removing)
        #expect(
            messages.keys.filter { $0.hasPrefix("llm.") }.sorted() == [
                "llm.input_messages.0.message.content", call + "arguments",
            ])
        let document = "retrieval.documents.0.document."
        let found = try normalized(
            TestSpan(
                scope: "openinference.x",
                attributes: [
                    ("openinference.span.kind", "RETRIEVER"), (document + "content", bytes), (document + "id", "d"),
                    ("retrieval.documents.1.document.content", bytes),
                ]), Self.removing)
        #expect(found["gen_ai.retrieval.documents"] == #"[{"id":"d"}]"#)
        #expect(found[document + "content"] == "raw" && found[document + "id"] == nil)
        #expect(found["retrieval.documents.1.document.content"] == "raw")
    }

    @Test func `a document that stays is counted by its rule`() throws {
        let bench = try Bench(Self.removing)
        let item = Self.partly[0]
        let span = TestSpan(scope: item.scope, attributes: [item.mark, (item.name, .string(item.value))])
        _ = try bench.run(span.request)
        var reasons: [String] = []
        bench.normalizer.tally.eachOutcome { rule, reason, count in
            reasons.append("\(bench.tables.ruleName(rule).dialect) \(reason.word) \(count)")
        }
        #expect(reasons == ["openinference partly_placed 1"])
    }

    @Test func `a value that lost against another one stays`() throws {
        let span = TestSpan(
            scope: "openinference.x",
            attributes: [
                ("openinference.span.kind", "AGENT"), ("agent.name", "a"), ("graph.node.id", "b"),
                ("gen_ai.agent.name", "current"),
            ])
        let found = try normalized(span, Self.removing)
        #expect(found["gen_ai.agent.name"] == "current")
        #expect(found["agent.name"] == "a")
    }

    @Test func `a history is cut the same when its input is there under the current name alone`() throws {
        // The input goes as a whole; the output stays for the id of a message that it repeats.
        let ask = #"{"role":"user","content":"Hi","id":"m1"}"#
        let span = TestSpan(
            scope: "openinference.x",
            attributes: [
                ("openinference.span.kind", "AGENT"),
                ("input.value", #"{"messages":[{"role":"user","content":"Hi"}]}"#),
                ("output.value", .string(#"{"messages":["# + ask + #",{"role":"assistant","content":"Hello"}]}"#)),
            ])
        var options = Self.removing
        options.overwrite = true
        let bench = try Bench(options)
        var found: [String: String] = [:]
        let once = try bench.run(span.request) { found = Bench.attributes(of: 0, $0) }
        #expect(
            found["gen_ai.output.messages"] == #"[{"role":"assistant","parts":[{"type":"text","content":"Hello"}]}]"#)
        #expect(found["input.value"] == nil && found["output.value"] != nil)
        #expect(try bench.run(once) == once)
    }
}
