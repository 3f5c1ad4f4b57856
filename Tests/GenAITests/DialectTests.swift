import Testing

@testable import GenAI

@Suite struct DialectTests {
    @Test func `OpenInference chat spans become current chat spans`() throws {
        let result = try normalized(
            TestSpan(
                scope: "openinference.instrumentation.openai", name: "ChatCompletion", isRoot: false,
                attributes: [
                    ("openinference.span.kind", "LLM"), ("llm.system", "OpenAI"), ("llm.model_name", "gpt-4.1-mini"),
                    ("llm.token_count.prompt", 12), ("llm.token_count.completion", 3), ("session.id", "s-1"),
                    ("user.id", "u-1"), ("llm.input_messages.1.message.content", "hi"),
                    ("llm.input_messages.0.message.role", "system"),
                    ("llm.input_messages.0.message.content", "be kind"),
                    ("llm.input_messages.1.message.role", "user"),
                    ("llm.output_messages.0.message.role", "assistant"),
                    ("llm.output_messages.0.message.content", "let me look"),
                    ("llm.output_messages.0.message.tool_calls.0.tool_call.id", "call_1"),
                    ("llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "lookup"),
                    ("llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", #"{"id": 7}"#),
                    ("llm.invocation_parameters", #"{"temperature": 0.5, "max_tokens": 100, "n": 1}"#),
                ]))
        #expect(result["gen_ai.operation.name"] == "chat")
        #expect(result["gen_ai.provider.name"] == "openai")
        #expect(result["gen_ai.request.model"] == "gpt-4.1-mini")
        #expect(result["gen_ai.response.model"] == "gpt-4.1-mini")
        #expect(result["gen_ai.usage.input_tokens"] == "12")
        #expect(result["gen_ai.usage.output_tokens"] == "3")
        #expect(result["gen_ai.conversation.id"] == "s-1")
        #expect(result["user.id"] == "u-1")
        #expect(result["gen_ai.request.temperature"] == "0.5")
        #expect(result["gen_ai.request.max_tokens"] == "100")
        #expect(result["gen_ai.request.choice.count"] == nil)
        #expect(
            result["gen_ai.input.messages"]
                == #"[{"role":"system","parts":[{"type":"text","content":"be kind"}]},{"role":"user","#
                + #""parts":[{"type":"text","content":"hi"}]}]"#
        )
        #expect(
            result["gen_ai.output.messages"]
                == #"[{"role":"assistant","parts":[{"type":"text","content":"let me look"},"#
                + #"{"type":"tool_call","id":"call_1","name":"lookup","arguments":{"id": 7}}]}]"#
        )
        #expect(result["llm.model_name"] == "gpt-4.1-mini", "originals stay by default")
    }

    @Test func `a chain is no agent and no chat`() throws {
        let result = try normalized(
            TestSpan(
                scope: "openinference.instrumentation.langchain", isRoot: true,
                attributes: [
                    ("openinference.span.kind", "CHAIN"), ("input.value", #"{"messages": [["user", "hi"]]}"#),
                ]))
        #expect(result["gen_ai.operation.name"] == nil)
        #expect(result["sluice.genai.kind"] == "chain")
        #expect(result["gen_ai.input.messages"] == #"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#)
    }

    @Test func `the chain that bears the agent's name is the agent`() throws {
        let result = try normalized(
            TestSpan(
                name: "refund_agent",
                attributes: [
                    ("openinference.span.kind", "CHAIN"), ("metadata", #"{"lc_agent_name": "refund_agent"}"#),
                ]))
        #expect(result["gen_ai.operation.name"] == "invoke_agent")
        #expect(result["gen_ai.agent.name"] == "refund_agent")
    }

    @Test func `OpenInference tool spans give arguments and results as objects`() throws {
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "TOOL"), ("tool.name", "lookup"),
                ("input.value", "{'email': 'a@b.c', 'deep': {'x': [1, None, True]}}"),
                (
                    "output.value",
                    #"{"type": "tool", "content": "{\"found\": true}", "tool_call_id": "call_9", "status": "error"}"#
                ),
            ]))
        #expect(result["gen_ai.operation.name"] == "execute_tool")
        #expect(result["gen_ai.tool.name"] == "lookup")
        #expect(sameJSON(result["gen_ai.tool.call.arguments"], #"{"email":"a@b.c","deep":{"x":[1,null,true]}}"#))
        #expect(sameJSON(result["gen_ai.tool.call.result"], #"{"found": true}"#))
        #expect(result["gen_ai.tool.call.id"] == "call_9")
        #expect(result["error.type"] == "tool_error")
    }

    @Test(arguments: [
        (#"{"args": [], "kwargs": {"a": 1}}"#, #"{"a": 1}"#),
        (#"{"args": [{"a": 1}], "kwargs": {}, "flag": true}"#, #"{"a": 1}"#),
        (#"{"type": "tool_call", "args": {"a": 1}}"#, #"{"a": 1}"#), (#"{"input": {"a": 1}}"#, #"{"a": 1}"#),
        ("plain text", #"{"input": "plain text"}"#), ("[1, 2]", #"{"input": [1, 2]}"#), ("{}", "{}"),
        (#""{\"a\": 1}""#, #"{"a": 1}"#), ("Thing(a=1)", #"{"input": "Thing(a=1)"}"#),
    ])
    func `arguments leave their call envelopes`(source: String, expected: String) throws {
        let result = try normalized(
            TestSpan(attributes: [("openinference.span.kind", "TOOL"), ("input.value", .string(source))]))
        #expect(sameJSON(result["gen_ai.tool.call.arguments"], expected))
    }

    @Test func `old OpenLLMetry spans become current`() throws {
        let result = try normalized(
            TestSpan(
                scope: "opentelemetry.instrumentation.openai.v1", name: "openai.chat",
                attributes: [
                    ("llm.request.type", "chat"), ("gen_ai.system", "OpenAI"), ("gen_ai.request.model", "gpt-4o"),
                    ("gen_ai.usage.prompt_tokens", 20), ("gen_ai.usage.completion_tokens", 5),
                    ("gen_ai.prompt.0.role", "user"), ("gen_ai.prompt.0.content", "hi"),
                    ("gen_ai.prompt.1.role", "tool"), ("gen_ai.prompt.1.tool_call_id", "c1"),
                    ("gen_ai.prompt.1.content", "42"), ("gen_ai.completion.0.role", "assistant"),
                    ("gen_ai.completion.0.finish_reason", "tool_calls"),
                    ("gen_ai.completion.0.tool_calls.0.id", "c2"), ("gen_ai.completion.0.tool_calls.0.name", "f"),
                    ("gen_ai.completion.0.tool_calls.0.arguments", "{}"),
                    ("llm.request.functions.0.name", "f"),
                    ("llm.request.functions.0.parameters", #"{"type":"object"}"#),
                    ("traceloop.association.properties.session_id", "s-2"),
                    ("traceloop.association.properties.user_id", "u-2"), ("llm.is_streaming", false),
                ]))
        #expect(result["gen_ai.operation.name"] == "chat")
        #expect(result["gen_ai.provider.name"] == "openai")
        #expect(result["gen_ai.usage.input_tokens"] == "20")
        #expect(result["gen_ai.usage.output_tokens"] == "5")
        #expect(result["gen_ai.conversation.id"] == "s-2")
        #expect(result["user.id"] == "u-2")
        #expect(result["gen_ai.request.stream"] == nil, "false says nothing")
        #expect(result["gen_ai.response.finish_reasons"] == #"["tool_call"]"#)
        #expect(
            result["gen_ai.input.messages"]
                == #"[{"role":"user","parts":[{"type":"text","content":"hi"}]},{"role":"tool","#
                + #""parts":[{"type":"tool_call_response","id":"c1","response":"42"}]}]"#
        )
        #expect(
            result["gen_ai.output.messages"]
                == #"[{"role":"assistant","parts":[{"type":"tool_call","id":"c2","name":"f","#
                + #""arguments":{}}],"finish_reason":"tool_call"}]"#
        )
        #expect(
            result["gen_ai.tool.definitions"] == #"[{"type":"function","name":"f","parameters":{"type":"object"}}]"#)
    }

    @Test func `Traceloop entities give tools and agents`() throws {
        let tool = try normalized(
            TestSpan(
                scope: "traceloop.tracer",
                attributes: [
                    ("traceloop.span.kind", "tool"), ("traceloop.entity.name", "lookup"),
                    ("traceloop.entity.input", #"{"args": [], "kwargs": {"id": 7}}"#),
                    ("traceloop.entity.output", #"{"ok": true}"#),
                ]))
        #expect(tool["gen_ai.operation.name"] == "execute_tool")
        #expect(tool["gen_ai.tool.name"] == "lookup")
        #expect(sameJSON(tool["gen_ai.tool.call.arguments"], #"{"id": 7}"#))
        #expect(sameJSON(tool["gen_ai.tool.call.result"], #"{"ok": true}"#))
        let agent = try normalized(
            TestSpan(attributes: [("traceloop.span.kind", "agent"), ("traceloop.entity.name", "helper")]))
        #expect(agent["gen_ai.operation.name"] == "invoke_agent")
        #expect(agent["gen_ai.agent.name"] == "helper")
        let task = try normalized(
            TestSpan(attributes: [("traceloop.span.kind", "task"), ("traceloop.entity.name", "step")]))
        #expect(task["gen_ai.operation.name"] == nil)
    }

    /// What a decorated function was given, and what its agent was told by it.
    private static let given: [(source: String, told: String?)] = [
        (#"{"args": [[{"role": "user", "content": "hi"}], [{"type": "function"}], false], "kwargs": {}}"#, "hi"),
        (#"{"args": [{"messages": [{"role": "user", "content": "hi"}]}], "kwargs": {"config": {"a": 1}}}"#, "hi"),
        (#"{"args": ["hi", true, null], "kwargs": {"retries": 3}}"#, "hi"),
        (#"{"args": [], "kwargs": {"question": "hi"}}"#, "hi"), (#"{"args": ["hi"], "kwargs": {}}"#, "hi"),
        (#"{"args": [], "kwargs": {"question": "hi", "limit": "5"}}"#, #"{"question":"hi","limit":"5"}"#),
        (#"{"args": [], "kwargs": {}}"#, nil),
    ]

    @Test(arguments: ["traceloop", "agentops"])
    func `an agent is asked what its decorated function was given`(prefix: String) throws {
        for (source, told) in Self.given {
            let found = try normalized(
                TestSpan(attributes: [
                    ("\(prefix).span.kind", "agent"), ("\(prefix).entity.name", "helper"),
                    ("\(prefix).entity.input", .string(source)),
                ]))
            let input = CorpusTruth.messages(found["gen_ai.input.messages"]) ?? []
            let roles = input.compactMap { $0["role"] as? String }
            #expect(roles == (told == nil ? [] : ["user"]), "\(source)")
            let text = CorpusTruth.parts(input, "text").first?["content"] as? String
            #expect(text == told || sameJSON(text, told), "\(source)")
        }
    }

    @Test func `the answer of a decorated function leaves its quotes`() throws {
        let mark: (String, TestValue) = ("traceloop.span.kind", "agent")
        let answers: [(String, String)] = [
            (#""Bitte \u201cwarten\u201d""#, "Bitte “warten”"), ("It is on its way.", "It is on its way."),
            (#""Wait" she said"#, #""Wait" she said"#), (#""{\"content\": \"Done.\"}""#, "Done."),
        ]
        for (source, expected) in answers {
            let found = try normalized(TestSpan(attributes: [mark, ("traceloop.entity.output", .string(source))]))
            let output = try #require(CorpusTruth.messages(found["gen_ai.output.messages"]), "\(source)")
            #expect(CorpusTruth.parts(output, "text").first?["content"] as? String == expected)
        }
    }

    @Test(arguments: [
        ("lmnr.span.output", "lmnr.span.type", "LLM"),
        ("braintrust.output_json", "braintrust.span_attributes", #"{"type": "llm"}"#),
    ]) func `an answer that was written as JSON leaves its quotes`(name: String, mark: String, kind: String) throws {
        let found = try normalized(TestSpan(attributes: [(mark, .string(kind)), (name, #""Say \"hi\"""#)]))
        let output = try #require(CorpusTruth.messages(found["gen_ai.output.messages"]))
        #expect(CorpusTruth.parts(output, "text").first?["content"] as? String == #"Say "hi""#)
    }

    @Test func `current OpenLLMetry needs only its extras`() throws {
        let result = try normalized(
            TestSpan(
                scope: "opentelemetry.instrumentation.anthropic",
                attributes: [
                    ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "anthropic"),
                    ("gen_ai.is_streaming", true), ("gen_ai.usage.cache_creation.input_tokens", 10),
                    ("gen_ai.usage.input_tokens", 100), ("gen_ai.response.finish_reason", "stop"),
                ]))
        #expect(result["gen_ai.operation.name"] == "chat")
        #expect(result["gen_ai.request.stream"] == "true")
        #expect(result["gen_ai.usage.cache_write.input_tokens"] == "10")
        #expect(result["gen_ai.usage.input_tokens"] == "100")
        #expect(result["gen_ai.response.finish_reasons"] == #"["stop"]"#)
    }

    @Test func `older names of the conventions are carried over`() throws {
        let result = try normalized(
            TestSpan(attributes: [
                ("gen_ai.system", "az.ai.openai"), ("gen_ai.usage.prompt_tokens", "7"),
                ("gen_ai.openai.request.seed", 3), ("gen_ai.openai.request.response_format", "json_schema"),
                ("gen_ai.prompt", #"[{"role": "user", "content": "hi"}]"#), ("gen_ai.completion", "hello"),
                ("gen_ai.request.model", "gpt-4o"),
            ]))
        #expect(result["gen_ai.provider.name"] == "azure.ai.openai")
        #expect(result["gen_ai.usage.input_tokens"] == "7")
        #expect(result["gen_ai.request.seed"] == "3")
        #expect(result["gen_ai.output.type"] == "json")
        #expect(result["gen_ai.operation.name"] == "chat")
        #expect(result["gen_ai.input.messages"] == #"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#)
        #expect(
            result["gen_ai.output.messages"] == #"[{"role":"assistant","parts":[{"type":"text","content":"hello"}]}]"#)
    }

    @Test func `message events become message lists`() throws {
        let result = try normalized(
            TestSpan(
                attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.system", "openai")],
                events: [
                    TestEvent(name: "gen_ai.system.message", attributes: [("content", "be kind")]),
                    TestEvent(name: "gen_ai.user.message", attributes: [("content", "hi")]),
                    TestEvent(
                        name: "gen_ai.choice",
                        attributes: [("index", 0), ("finish_reason", "stop"), ("message", #"{"content": "hello"}"#)]),
                ]))
        #expect(result["gen_ai.system_instructions"] == #"[{"type":"text","content":"be kind"}]"#)
        #expect(result["gen_ai.input.messages"] == #"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#)
        #expect(
            result["gen_ai.output.messages"]
                == #"[{"role":"assistant","parts":[{"type":"text","content":"hello"}],"finish_reason":"stop"}]"#)
        #expect(result["gen_ai.response.finish_reasons"] == #"["stop"]"#)
    }

    @Test(arguments: ["", "[]"]) func `an empty answer in a choice is an answer`(message: String) throws {
        let result = try normalized(
            TestSpan(
                attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.system", "strands-agents")],
                events: [
                    TestEvent(
                        name: "gen_ai.choice",
                        attributes: [("finish_reason", "end_turn"), ("message", .string(message))])
                ]))
        #expect(
            result["gen_ai.output.messages"] == #"[{"role":"assistant","parts":[],"finish_reason":"stop"}]"#)
    }

    @Test(arguments: [
        ("openlit", "gen_ai.environment", "prod", "gen_ai.llm.model", "m", "gen_ai.request.model"),
        ("langfuse", "langfuse.observation.type", "generation", "langfuse.session.id", "m", "gen_ai.conversation.id"),
        ("mlflow", "mlflow.spanType", #""TOOL""#, "mlflow.trace.session", #""m""#, "gen_ai.conversation.id"),
        ("laminar", "lmnr.span.type", "LLM", "lmnr.association.properties.session_id", "m", "gen_ai.conversation.id"),
        ("langwatch", "langwatch.span.type", "llm", "langwatch.thread.id", "m", "gen_ai.conversation.id"),
        ("mastra", "mastra.span.type", "tool_call", "mastra.metadata.threadId", "m", "gen_ai.conversation.id"),
    ])
    func `other dialects are known by their markers`(
        dialect: String, marker: String, markerValue: String, key: String, value: String, target: String
    ) throws {
        let result = try normalized(
            TestSpan(attributes: [(marker, .string(markerValue)), (key, .string(value))]))
        #expect(result[target] == "m", "\(dialect)")
    }
}
