import Testing

@testable import GenAI

/// What tools answer has one form, whichever dialect says it (`docs/dialects.md`).
@Suite struct ToolResultTests {
    /// A tool span of a dialect whose result stands in one attribute.
    struct Case: CustomTestStringConvertible, Sendable {
        var scope: String
        var result: String
        var others: [(String, String)] = []

        var testDescription: String { "\(scope) \(result)" }
    }

    static let cases = [
        Case(scope: "ai", result: "ai.toolCall.result", others: [("ai.operationId", "ai.toolCall")]),
        Case(scope: "org.springframework.boot", result: "spring.ai.tool.call.result"),
        Case(scope: "gcp.vertex.agent", result: "gcp.vertex.agent.tool_response"),
        Case(scope: "livekit-agents", result: "lk.function_tool.output"),
        Case(scope: "haystack", result: "haystack.agent.step.tool.output"),
        Case(scope: "pydantic-ai", result: "tool_response"),
        Case(
            scope: "openinference.instrumentation.langchain", result: "output.value",
            others: [("openinference.span.kind", "TOOL")]),
        Case(
            scope: "langfuse-sdk", result: "langfuse.observation.output",
            others: [("langfuse.observation.type", "tool")]),
        Case(
            scope: "opentelemetry.instrumentation.mcp", result: "mcp.result",
            others: [("mcp.method.name", "tools/call")]),
        Case(scope: "honeyhive.tracer", result: "honeyhive_outputs.result", others: [("honeyhive_event_type", "tool")]),
    ]

    /// What the tool's attribute holds, and the object that it becomes.
    static let forms = [
        ("shipped", #"{"result":"shipped"}"#), (#""shipped""#, #"{"result":"shipped"}"#),
        (#"{"order": 7}"#, #"{"order": 7}"#), ("[1, 2]", #"{"result":[1, 2]}"#),
        (#"{"type": "tool", "content": "shipped", "tool_call_id": "c9"}"#, #"{"result":"shipped"}"#),
        (#"{"content": [{"type": "text", "text": "shipped"}], "isError": false}"#, #"{"result":"shipped"}"#),
    ]

    @Test(arguments: cases) func `a result is an object`(_ dialect: Case) throws {
        for (received, wanted) in Self.forms {
            let result = try normalized(
                TestSpan(
                    scope: dialect.scope, name: "execute_tool", isRoot: false,
                    attributes: [(dialect.result, .string(received))]
                        + dialect.others.map { ($0.0, .string($0.1)) }))
            #expect(result["gen_ai.tool.call.result"] == wanted, "\(received)")
        }
    }

    /// What a tool's attribute holds when there was nothing to answer.
    static let nothing: [(TestValue, String)] = [
        (.string("null"), #"{"result":null}"#), (.null, #"{"result":null}"#), (.string(""), #"{"result":""}"#),
        (.string("\"\""), #"{"result":""}"#),
    ]

    @Test(arguments: cases) func `that a tool answered with nothing is a result`(_ dialect: Case) throws {
        for (received, wanted) in Self.nothing {
            let span = TestSpan(
                scope: dialect.scope, name: "execute_tool", isRoot: false,
                attributes: [(dialect.result, received)] + dialect.others.map { ($0.0, .string($0.1)) })
            let bench = try Bench()
            var result: [String: String] = [:]
            let once = try bench.run(span.request) { result = Bench.attributes(of: 0, $0) }
            #expect(result["gen_ai.tool.call.result"] == wanted, "\(received)")
            #expect(try bench.run(once) == once)
        }
    }

    @Test func `a null under the current name is one, and messages that say nothing are none`() throws {
        let result = try normalized(
            TestSpan(
                scope: "my.agent", name: "execute_tool look_up", isRoot: false,
                attributes: [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.call.result", .null)]))
        #expect(result["gen_ai.tool.call.result"] == #"{"result":null}"#)
        let chat = try normalized(
            TestSpan(
                scope: "openinference.x",
                attributes: [
                    ("openinference.span.kind", "LLM"), ("input.value", "null"), ("output.value", .null),
                ]))
        #expect(chat["gen_ai.input.messages"] == nil && chat["gen_ai.output.messages"] == nil)
        #expect(chat["gen_ai.tool.call.result"] == nil)
    }

    @Test func `a result of another attribute comes before an empty one`() throws {
        let empties: [TestValue] = ["", "null", .null]
        for empty in empties {
            let result = try normalized(
                TestSpan(
                    scope: "openinference.x", name: "look_up", isRoot: false,
                    attributes: [
                        ("openinference.span.kind", "TOOL"), ("output.value", empty),
                        ("gen_ai.tool.result", "shipped"),
                    ]))
            #expect(result["gen_ai.tool.call.result"] == #"{"result":"shipped"}"#)
        }
    }

    @Test func `a result under the current name stays`() throws {
        let result = try normalized(
            TestSpan(
                scope: "my.agent", name: "execute_tool look_up", isRoot: false,
                attributes: [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.call.result", "shipped")]))
        #expect(result["gen_ai.tool.call.result"] == "shipped")
    }

    @Test(arguments: [
        (#"[{"role": "tool", "tool_call_id": "c1", "content": "42"}]"#, #""42""#),
        (#"[{"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "42"}]}]"#, #""42""#),
        (
            #"[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "#
                + #"[{"type": "text", "text": "42"}]}]}]"#, #""42""#
        ),
        (
            #"[{"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "42"}]}}]}]"#,
            #""42""#
        ),
        (
            #"[{"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"json": {"n": 42}}]}}]}]"#,
            #"{"n": 42}"#
        ),
        (
            #"[{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "f", "#
                + #""output": {"type": "json", "value": {"n": 42}}}]}]"#, #"{"n": 42}"#
        ),
        (
            #"[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "#
                + #"[{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]}]}]"#,
            #"[{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]"#
        ),
    ]) func `a response comes out of its blocks`(_ messages: String, _ response: String) throws {
        let result = try normalized(
            TestSpan(
                scope: "my.agent", name: "chat", isRoot: false,
                attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.prompt", .string(messages))]))
        let written = result["gen_ai.input.messages"] ?? ""
        #expect(written.contains(#""type":"tool_call_response","id":"c1","#), "\(written)")
        #expect(written.contains(#""response":\#(response)}"#), "\(written)")
    }
}
