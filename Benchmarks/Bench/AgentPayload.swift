import TestSupport

/// One run of an agent as one trace: model calls and tool calls in turn below the agent's span, with content or
/// without.
struct AgentPayload {
    private var random = SeededRandom(20_261_129)
    let hasContent: Bool

    init(hasContent: Bool) { self.hasContent = hasContent }

    mutating func request(spans: Int) -> [UInt8] {
        let records = (0..<spans).map { span($0) }
        return WireBytes.request(
            resource: { $0.attribute(1, "service.name", "agent-svc-3") },
            scope: { $0.text(1, "opentelemetry.instrumentation.agent") }, records: records)
    }

    private mutating func span(_ index: Int) -> [UInt8] {
        var span = WireBytes()
        span.data(1, [UInt8](repeating: 7, count: 16))
        span.data(2, [1, 0, 0, 0, 0, 0, UInt8(index >> 8 & 255), UInt8(index & 255)])
        if index > 0 { span.data(4, [1, 0, 0, 0, 0, 0, 0, 0]) }
        let name = index == 0 ? "invoke_agent planner" : index % 2 == 1 ? "chat gpt-4.1" : "execute_tool fetch_orders"
        span.text(5, name)
        let start = 1_790_000_000_000_000_000 + UInt64(index) * 1_000_000
        span.fixed64(7, start)
        span.fixed64(8, start + 900_000)
        span.attribute(9, "gen_ai.conversation.id", "conv_77")
        span.attribute(9, "gen_ai.agent.name", "planner")
        if index == 0 {
            span.attribute(9, "gen_ai.operation.name", "invoke_agent")
        } else if index % 2 == 1 {
            model(index, &span)
        } else {
            tool(index, &span)
        }
        return span.bytes
    }

    private mutating func model(_ index: Int, _ span: inout WireBytes) {
        span.attribute(9, "gen_ai.operation.name", "chat")
        span.attribute(9, "gen_ai.request.model", "gpt-4.1")
        span.attribute(9, "gen_ai.provider.name", "openai")
        guard hasContent else { return }
        let question = words(300)
        span.attribute(
            9, "gen_ai.input.messages", #"[{"role":"user","parts":[{"type":"text","content":"\#(question)"}]}]"#)
        span.attribute(
            9, "gen_ai.output.messages",
            #"[{"role":"assistant","parts":[{"type":"text","content":"\#(words(60))"},{"type":"tool_call","id":"#
                + #""call_\#(index + 1)","name":"fetch_orders","arguments":{"customer_id":"C-\#(10_000 + index)"}}]}]"#)
        span.attribute(
            9, "gen_ai.tool.definitions",
            #"[{"type":"function","name":"fetch_orders","description":"Lists orders.","parameters":{"type":"object","#
                + #""properties":{"customer_id":{"type":"string"}},"required":["customer_id"]}}]"#)
    }

    private mutating func tool(_ index: Int, _ span: inout WireBytes) {
        span.attribute(9, "gen_ai.operation.name", "execute_tool")
        span.attribute(9, "gen_ai.tool.name", "fetch_orders")
        span.attribute(9, "gen_ai.tool.call.id", "call_\(index)")
        guard hasContent else { return }
        span.attribute(9, "gen_ai.tool.call.arguments", #"{"customer_id":"C-\#(9_999 + index)"}"#)
        let orders = (0..<20).map { #"{"order_id":"ORD-\#(index)-\#($0)","text":"\#(words(8))"}"# }
        span.attribute(9, "gen_ai.tool.call.result", "[" + orders.joined(separator: ",") + "]")
    }

    private mutating func words(_ count: Int) -> String {
        (0..<count).map { _ in String(random.next() % 100_000_000, radix: 36) }.joined(separator: " ")
    }
}
