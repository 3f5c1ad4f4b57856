/// Writes the steps of a run as an OTLP/JSON request, the way one instrumentation does.
struct DemoEncoder {
    let dialect: DemoDialect
    let traceID: String
    let session: String

    typealias Step = DemoPlay.Step
    typealias Attribute = (key: String, value: Value)

    enum Value {
        case text(String)
        case int(Int)
        case texts([String])
    }

    private static let model = "gpt-4.1-mini"
    /// Name, description, and the properties of the arguments.
    private static let tools: [(name: String, text: String, properties: String, required: String)] = [
        ("lookup_customer", "Finds a customer by id.", #""customer_id":{"type":"string"}"#, #""customer_id""#),
        ("fetch_order_history", "Returns all orders.", #""customer_id":{"type":"string"}"#, #""customer_id""#),
        (
            "validate_refund_eligibility", "Checks whether an order can be refunded.",
            #""order_id":{"type":"string"},"amount":{"type":"number"}"#, #""order_id","amount""#
        ),
        (
            "process_refund", "Pays money back.", #""order_id":{"type":"string"},"amount":{"type":"number"}"#,
            #""order_id","amount""#
        ),
        (
            "send_confirmation", "Sends a message to the customer.",
            #""customer_id":{"type":"string"},"message":{"type":"string"}"#, #""customer_id","message""#
        ),
    ]

    private static func schema(_ properties: String, _ required: String) -> String {
        #"{"type":"object","properties":{\#(properties)},"required":[\#(required)]}"#
    }

    private var scope: String {
        switch dialect {
        case .semconv: "shop.refund_agent"
        case .openinference: "openinference.instrumentation.openai"
        case .openllmetry: "opentelemetry.instrumentation.openai.v1"
        }
    }

    func request(_ steps: [Step]) -> String {
        let spans = steps.enumerated().map { span($0.element, parent: $0.offset == 0 ? nil : steps[0].id) }
        let resource = DemoEncoder.attributes([("service.name", .text("refund-demo"))])
        return
            #"{"resourceSpans":[{"resource":{"attributes":\#(resource)},"scopeSpans":[{"scope":{"name":"\#(scope)"},"#
            + #""spans":[\#(spans.joined(separator: ","))]}]}]}"#
    }

    private func span(_ step: Step, parent: String?) -> String {
        let (name, attributes) = content(step)
        let parentField = parent.map { #""parentSpanId":"\#($0)","# } ?? ""
        return #"{"traceId":"\#(traceID)","spanId":"\#(step.id)",\#(parentField)"name":\#(DemoEncoder.quoted(name)),"#
            + #""kind":1,"startTimeUnixNano":"\#(step.start)","endTimeUnixNano":"\#(step.end)","#
            + #""attributes":\#(DemoEncoder.attributes(attributes))}"#
    }

    private func content(_ step: Step) -> (String, [Attribute]) {
        switch dialect {
        case .semconv: semconv(step)
        case .openinference: openInference(step)
        case .openllmetry: openLLMetry(step)
        }
    }

    // MARK: OpenTelemetry GenAI

    private func semconv(_ step: Step) -> (String, [Attribute]) {
        let common: [Attribute] = [
            ("gen_ai.conversation.id", .text(session)), ("gen_ai.agent.name", .text("refund_agent")),
        ]
        switch step.kind {
        case .agent: return ("invoke_agent refund_agent", common + [("gen_ai.operation.name", .text("invoke_agent"))])
        case .tool(let call):
            return (
                "execute_tool \(call.name)",
                common + [
                    ("gen_ai.operation.name", .text("execute_tool")), ("gen_ai.tool.name", .text(call.name)),
                    ("gen_ai.tool.call.id", .text(call.id)), ("gen_ai.tool.call.arguments", .text(call.arguments)),
                    ("gen_ai.tool.call.result", .text(call.result)),
                ]
            )
        case .model(let calls, let answer):
            let definitions = DemoEncoder.tools.map {
                #"{"type":"function","name":"\#($0.name)","description":"\#($0.text)","#
                    + #""parameters":\#(DemoEncoder.schema($0.properties, $0.required))}"#
            }
            let input = step.history.map(DemoEncoder.message).joined(separator: ",")
            return (
                "chat \(DemoEncoder.model)",
                common + [
                    ("gen_ai.operation.name", .text("chat")), ("gen_ai.provider.name", .text("openai")),
                    ("gen_ai.request.model", .text(DemoEncoder.model)),
                    ("gen_ai.input.messages", .text("[\(input)]")),
                    ("gen_ai.output.messages", .text(output(calls, answer))),
                    ("gen_ai.tool.definitions", .text("[\(definitions.joined(separator: ","))]")),
                    ("gen_ai.response.finish_reasons", .texts([calls.isEmpty ? "stop" : "tool_call"])),
                ] + usage(step, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
            )
        }
    }

    private static func message(_ message: DemoPlay.Message) -> String {
        switch message {
        case .system(let text): return part("system", #"{"type":"text","content":\#(quoted(text))}"#)
        case .user(let text): return part("user", #"{"type":"text","content":\#(quoted(text))}"#)
        case .call(let call): return part("assistant", toolCall(call))
        case .result(let call):
            return part("tool", #"{"type":"tool_call_response","id":"\#(call.id)","response":\#(call.result)}"#)
        }
    }

    private static func part(_ role: String, _ part: String) -> String {
        #"{"role":"\#(role)","parts":[\#(part)]}"#
    }

    private static func toolCall(_ call: Step.Call) -> String {
        #"{"type":"tool_call","id":"\#(call.id)","name":"\#(call.name)","arguments":\#(call.arguments)}"#
    }

    private func output(_ calls: [Step.Call], _ answer: String?) -> String {
        var parts = calls.map(DemoEncoder.toolCall)
        if let answer { parts.append(#"{"type":"text","content":\#(DemoEncoder.quoted(answer))}"#) }
        let finish = calls.isEmpty ? "stop" : "tool_call"
        return #"[{"role":"assistant","parts":[\#(parts.joined(separator: ","))],"finish_reason":"\#(finish)"}]"#
    }

    // MARK: OpenInference

    private func openInference(_ step: Step) -> (String, [Attribute]) {
        let session: [Attribute] = [("session.id", .text(session))]
        switch step.kind {
        case .agent:
            return ("refund_agent", session + [("openinference.span.kind", .text("AGENT"))])
        case .tool(let call):
            return (
                call.name,
                session + [
                    ("openinference.span.kind", .text("TOOL")), ("tool.name", .text(call.name)),
                    ("input.value", .text(call.arguments)), ("input.mime_type", .text("application/json")),
                    ("output.value", .text(call.result)), ("output.mime_type", .text("application/json")),
                ]
            )
        case .model(let calls, let answer):
            var attributes =
                session + [
                    ("openinference.span.kind", .text("LLM")), ("llm.system", .text("openai")),
                    ("llm.model_name", .text(DemoEncoder.model)),
                ]
            for (index, message) in step.history.enumerated() {
                attributes += flat("llm.input_messages.\(index).message", message)
            }
            let prefix = "llm.output_messages.0.message"
            attributes.append(("\(prefix).role", .text("assistant")))
            if let answer { attributes.append(("\(prefix).content", .text(answer))) }
            for call in calls { attributes += flat(prefix, .call(call)).dropFirst() }
            for (index, tool) in DemoEncoder.tools.enumerated() {
                let schema = DemoEncoder.schema(tool.properties, tool.required)
                attributes.append(
                    (
                        "llm.tools.\(index).tool.json_schema",
                        .text(
                            #"{"type":"function","function":{"name":"\#(tool.name)","description":"\#(tool.text)","#
                                + #""parameters":\#(schema)}}"#)
                    ))
            }
            return ("ChatCompletion", attributes + usage(step, "llm.token_count.prompt", "llm.token_count.completion"))
        }
    }

    /// A message in indexed attributes; the role comes first.
    private func flat(_ prefix: String, _ message: DemoPlay.Message) -> [Attribute] {
        switch message {
        case .system(let text): return [("\(prefix).role", .text("system")), ("\(prefix).content", .text(text))]
        case .user(let text): return [("\(prefix).role", .text("user")), ("\(prefix).content", .text(text))]
        case .call(let call):
            let path = "\(prefix).tool_calls.0.tool_call"
            return [
                ("\(prefix).role", .text("assistant")), ("\(path).id", .text(call.id)),
                ("\(path).function.name", .text(call.name)), ("\(path).function.arguments", .text(call.arguments)),
            ]
        case .result(let call):
            return [
                ("\(prefix).role", .text("tool")), ("\(prefix).tool_call_id", .text(call.id)),
                ("\(prefix).content", .text(call.result)),
            ]
        }
    }

    // MARK: OpenLLMetry

    private func openLLMetry(_ step: Step) -> (String, [Attribute]) {
        let common: [Attribute] = [("traceloop.association.properties.session_id", .text(session))]
        switch step.kind {
        case .agent:
            return (
                "refund_agent.agent",
                common + [
                    ("traceloop.span.kind", .text("agent")), ("traceloop.entity.name", .text("refund_agent")),
                ]
            )
        case .tool(let call):
            return (
                "\(call.name).tool",
                common + [
                    ("traceloop.span.kind", .text("tool")), ("traceloop.entity.name", .text(call.name)),
                    ("traceloop.entity.input", .text(#"{"args":[],"kwargs":\#(call.arguments)}"#)),
                    ("traceloop.entity.output", .text(DemoEncoder.quoted(call.result))),
                ]
            )
        case .model(let calls, let answer):
            var attributes =
                common + [
                    ("llm.request.type", .text("chat")), ("gen_ai.system", .text("openai")),
                    ("gen_ai.request.model", .text(DemoEncoder.model)),
                ]
            for (index, message) in step.history.enumerated() {
                attributes += indexed("gen_ai.prompt.\(index)", message)
            }
            attributes.append(("gen_ai.completion.0.role", .text("assistant")))
            if let answer { attributes.append(("gen_ai.completion.0.content", .text(answer))) }
            for call in calls { attributes += indexed("gen_ai.completion.0", .call(call)).dropFirst() }
            attributes.append(("gen_ai.completion.0.finish_reason", .text(calls.isEmpty ? "stop" : "tool_calls")))
            for (index, tool) in DemoEncoder.tools.enumerated() {
                let path = "llm.request.functions.\(index)"
                let schema = DemoEncoder.schema(tool.properties, tool.required)
                attributes += [
                    ("\(path).name", .text(tool.name)), ("\(path).description", .text(tool.text)),
                    ("\(path).parameters", .text(schema)),
                ]
            }
            return (
                "openai.chat", attributes + usage(step, "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens")
            )
        }
    }

    private func indexed(_ prefix: String, _ message: DemoPlay.Message) -> [Attribute] {
        switch message {
        case .system, .user, .result: return flat(prefix, message)
        case .call(let call):
            return [
                ("\(prefix).role", .text("assistant")), ("\(prefix).tool_calls.0.id", .text(call.id)),
                ("\(prefix).tool_calls.0.name", .text(call.name)),
                ("\(prefix).tool_calls.0.arguments", .text(call.arguments)),
            ]
        }
    }

    // MARK: JSON

    /// About a token for every four letters.
    private func usage(_ step: Step, _ input: String, _ output: String) -> [Attribute] {
        [(input, .int(180 + step.history.count * 60)), (output, .int(24))]
    }

    private static func attributes(_ list: [Attribute]) -> String {
        let members = list.map { attribute in
            let value =
                switch attribute.value {
                case .text(let text): textValue(text)
                case .int(let number): #"{"intValue":"\#(number)"}"#
                case .texts(let texts):
                    #"{"arrayValue":{"values":[\#(texts.map(textValue).joined(separator: ","))]}}"#
                }
            return #"{"key":"\#(attribute.key)","value":\#(value)}"#
        }
        return "[\(members.joined(separator: ","))]"
    }

    private static func textValue(_ text: String) -> String { #"{"stringValue":\#(quoted(text))}"# }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
