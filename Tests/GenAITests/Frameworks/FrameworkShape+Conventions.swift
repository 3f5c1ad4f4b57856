import Foundation

/// Frameworks that write conventions of their own, or those of OpenTelemetry.
extension FrameworkShape {
    // MARK: Messages

    /// Messages with parts, as the conventions of OpenTelemetry have them.
    static func parts(_ messages: [ShapeMessage]) -> String {
        AgentRun.json(
            messages.map { message -> [String: Any] in
                var parts: [[String: Any]] = []
                if !message.callID.isEmpty {
                    parts.append(["type": "tool_call_response", "id": message.callID, "response": message.text])
                } else if !message.text.isEmpty {
                    parts.append(["type": "text", "content": message.text])
                }
                for (id, call) in message.calls {
                    parts.append([
                        "type": "tool_call", "id": id, "name": call.tool, "arguments": AgentRun.object(call.arguments),
                    ])
                }
                return ["role": message.role, "parts": parts]
            })
    }

    /// Messages as the chat interface of OpenAI has them.
    static func chat(_ messages: [ShapeMessage]) -> [[String: Any]] {
        messages.map { message in
            var result: [String: Any] = ["role": message.role, "content": message.text]
            if !message.callID.isEmpty { result["tool_call_id"] = message.callID }
            if !message.calls.isEmpty {
                result["tool_calls"] = message.calls.map { id, call -> [String: Any] in
                    ["id": id, "type": "function", "function": ["name": call.tool, "arguments": call.arguments]]
                }
            }
            return result
        }
    }

    static func answer(_ calls: [(id: String, call: AgentRun.Call)], _ text: String?) -> ShapeMessage {
        ShapeMessage(role: "assistant", text: text ?? "", calls: calls)
    }

    static func definitions(_ tools: [AgentRun.Tool]) -> String {
        AgentRun.json(
            tools.map { tool -> [String: Any] in
                let function: [String: Any] = [
                    "name": tool.name, "description": tool.description, "parameters": tool.schema,
                ]
                return ["type": "function", "function": function]
            })
    }

    /// Model spans of the current conventions, also where the framework adds nothing of its own.
    static func chatSpan(
        _ writer: ShapeWriter, in parent: UInt8, _ run: AgentRun, _ messages: [ShapeMessage],
        _ calls: [(id: String, call: AgentRun.Call)], _ text: String?, _ error: String?
    ) {
        let id = writer.open(
            "chat gpt-4.1-mini", in: parent, tag: "model",
            [
                ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"),
                ("gen_ai.request.model", "gpt-4.1-mini"), ("gen_ai.input.messages", .string(parts(messages))),
                ("gen_ai.tool.definitions", .string(definitions(run.tools))),
            ])
        if let error {
            writer.exception(id, error)
            return writer.close(id, error: error, [("error.type", "BadRequestError")])
        }
        writer.close(
            id,
            [
                ("gen_ai.output.messages", .string(parts([answer(calls, text)]))),
                ("gen_ai.response.finish_reasons", .array([.string(calls.isEmpty ? "stop" : "tool_calls")])),
            ])
    }

    // MARK: Frameworks

    static let agentFramework = FrameworkShape(name: "agent_framework") { writer, run in
        writer.scope = "agent_framework"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "invoke_agent \(run.agent)", in: parent,
                [
                    ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", .string(run.agent)),
                    ("gen_ai.input.messages", .string(parts([ShapeMessage(role: "user", text: run.user)]))),
                ])
            run.play({ chatSpan(writer, in: agent, run, $0, $1, $2, $3) }) { id, call in
                if AgentRun.object(call.arguments) is String { return }
                let tool = writer.open(
                    "execute_tool \(call.tool)", in: agent, tag: call.tool,
                    [
                        ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", .string(call.tool)),
                        ("gen_ai.tool.call.id", .string(id)), ("gen_ai.tool.type", "function"),
                        ("gen_ai.tool.call.arguments", .string(call.arguments)),
                    ])
                for sub in call.subAgent { play(sub, in: tool) }
                if let error = call.error {
                    writer.exception(tool, error)
                    writer.close(tool, error: error, [("error.type", "ValueError")])
                } else {
                    writer.close(tool, [("gen_ai.tool.call.result", .string(call.result ?? ""))])
                }
            }
            writer.close(agent)
        }
        play(run, in: 0)
    }

    /// Only the calls of the model are traced: what tools gave back stands in the request after.
    static let chatOnly = FrameworkShape(name: "chat_spans_only") { writer, run in
        writer.scope = "opentelemetry.instrumentation.openai_v2"
        let root = writer.open("POST /chat", [("http.request.method", "POST")])
        func play(_ run: AgentRun) {
            run.play({ chatSpan(writer, in: root, run, $0, $1, $2, $3) }) { _, call in
                for sub in call.subAgent { play(sub) }
            }
        }
        play(run)
        writer.close(root)
    }

    /// A whole run on one span, as converters of transcripts write it.
    static let oneSpan = FrameworkShape(name: "one_span", showsDefinitions: false) { writer, run in
        var messages: [ShapeMessage] = []
        run.play({ before, calls, text, _ in messages = before + [answer(calls, text)] }, { _, _ in })
        let span = writer.open(
            "run", tag: "model",
            [
                ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", .string(run.agent)),
                ("gen_ai.conversation.id", .string(writer.session)),
                ("gen_ai.input.messages", .string(parts(Array(messages.dropLast())))),
            ])
        writer.close(span, [("gen_ai.output.messages", .string(parts(Array(messages.suffix(1)))))])
    }

    /// Content comes as span events.
    static let strands = FrameworkShape(name: "strands") { writer, run in
        writer.scope = "strands.telemetry.tracer"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "invoke_agent \(run.agent)", in: parent,
                [
                    ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", .string(run.agent)),
                    ("gen_ai.system", "strands-agents"), ("session.id", .string(writer.session)),
                ])
            writer.event(agent, "gen_ai.user.message", [("content", .string(AgentRun.json([["text": run.user]])))])
            run.play({ messages, calls, text, error in
                let chat = writer.open(
                    "chat", in: agent, tag: "model",
                    [
                        ("gen_ai.operation.name", "chat"), ("gen_ai.system", "strands-agents"),
                        ("gen_ai.request.model", "us.anthropic.claude-sonnet-4"),
                        ("gen_ai.tool.definitions", .string(definitions(run.tools))),
                    ])
                for message in messages { strandsEvent(writer, chat, message) }
                if let error { return writer.close(chat, error: error) }
                let blocks: [[String: Any]] =
                    calls.map { id, call in
                        ["toolUse": ["toolUseId": id, "name": call.tool, "input": AgentRun.object(call.arguments)]]
                    } + (text.map { [["text": $0]] } ?? [])
                writer.event(
                    chat, "gen_ai.choice",
                    [
                        ("finish_reason", .string(calls.isEmpty ? "end_turn" : "tool_use")),
                        ("message", .string(AgentRun.json(blocks))),
                    ])
                writer.close(chat, okay: true)
            }) { id, call in
                if AgentRun.object(call.arguments) is String { return }
                let tool = writer.open(
                    "execute_tool \(call.tool)", in: agent, tag: call.tool,
                    [
                        ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", .string(call.tool)),
                        ("gen_ai.tool.call.id", .string(id)),
                        ("gen_ai.tool.status", .string(call.error == nil ? "success" : "error")),
                    ])
                writer.event(
                    tool, "gen_ai.tool.message",
                    [("role", "tool"), ("content", .string(call.arguments)), ("id", .string(id))])
                for sub in call.subAgent { play(sub, in: tool) }
                let result = call.result ?? "Error: \(call.error ?? "")"
                writer.event(
                    tool, "gen_ai.choice",
                    [("message", .string(AgentRun.json([["text": result]]))), ("id", .string(id))])
                writer.close(tool, error: call.error, okay: true)
            }
            writer.close(agent, okay: true)
        }
        play(run, in: 0)
    }

    private static func strandsEvent(_ writer: ShapeWriter, _ span: UInt8, _ message: ShapeMessage) {
        if message.role == "system" {
            return writer.event(span, "gen_ai.system.message", [("content", .string(message.text))])
        }
        var blocks: [[String: Any]] = message.calls.map { id, call in
            ["toolUse": ["toolUseId": id, "name": call.tool, "input": AgentRun.object(call.arguments)]]
        }
        if !message.callID.isEmpty {
            blocks.append([
                "toolResult": ["toolUseId": message.callID, "status": "success", "content": [["text": message.text]]]
                    as [String: Any]
            ])
        } else if !message.text.isEmpty {
            blocks.append(["text": message.text])
        }
        let name = message.role == "assistant" ? "assistant" : message.callID.isEmpty ? "user" : "tool"
        writer.event(span, "gen_ai.\(name).message", [("content", .string(AgentRun.json(blocks)))])
    }

    static let vercel = FrameworkShape(name: "vercel_ai") { writer, run in
        writer.scope = "ai"
        func play(_ run: AgentRun, in parent: UInt8) {
            let session: [(String, TestValue)] = [("ai.telemetry.metadata.sessionId", .string(writer.session))]
            let root = writer.open(
                "ai.generateText", in: parent,
                [
                    ("ai.operationId", "ai.generateText"), ("ai.telemetry.functionId", .string(run.agent)),
                    ("ai.prompt", .string(AgentRun.json(["system": run.system, "prompt": run.user]))),
                ] + session)
            run.play({ messages, calls, text, error in
                let span = writer.open(
                    "ai.generateText.doGenerate", in: root, tag: "model",
                    [
                        ("ai.operationId", "ai.generateText.doGenerate"), ("ai.model.id", "gpt-4.1-mini"),
                        ("ai.prompt.messages", .string(AgentRun.json(messages.map(vercelMessage)))),
                        ("ai.prompt.tools", .array(run.tools.map { .string(AgentRun.json(vercelTool($0))) })),
                    ] + session)
                if let error {
                    writer.exception(span, error)
                    return writer.close(span, error: error)
                }
                var more: [(String, TestValue)] = [
                    ("ai.response.finishReason", .string(calls.isEmpty ? "stop" : "tool-calls"))
                ]
                if let text { more.append(("ai.response.text", .string(text))) }
                if !calls.isEmpty {
                    let list = calls.map { id, call in
                        ["toolCallId": id, "toolName": call.tool, "input": call.arguments]
                    }
                    more.append(("ai.response.toolCalls", .string(AgentRun.json(list))))
                }
                writer.close(span, more)
            }) { id, call in
                if AgentRun.object(call.arguments) is String { return }
                let span = writer.open(
                    "ai.toolCall", in: root, tag: call.tool,
                    [
                        ("ai.operationId", "ai.toolCall"), ("ai.toolCall.name", .string(call.tool)),
                        ("ai.toolCall.id", .string(id)), ("ai.toolCall.args", .string(call.arguments)),
                    ] + session)
                for sub in call.subAgent { play(sub, in: span) }
                if let error = call.error {
                    writer.exception(span, error)
                    return writer.close(span, error: error)
                }
                let value = AgentRun.json(AgentRun.object(call.result ?? ""))
                writer.close(span, [("ai.toolCall.result", .string(value))])
            }
            writer.close(root, [("ai.response.text", .string(run.answer ?? ""))])
        }
        play(run, in: 0)
    }

    private static func vercelTool(_ tool: AgentRun.Tool) -> [String: Any] {
        ["type": "function", "name": tool.name, "description": tool.description, "inputSchema": tool.schema]
    }

    private static func vercelMessage(_ message: ShapeMessage) -> [String: Any] {
        if message.role == "system" { return ["role": "system", "content": message.text] }
        if !message.callID.isEmpty {
            let part: [String: Any] = [
                "type": "tool-result", "toolCallId": message.callID, "toolName": message.tool,
                "output": ["type": "text", "value": message.text],
            ]
            return ["role": "tool", "content": [part]]
        }
        var parts: [[String: Any]] = message.text.isEmpty ? [] : [["type": "text", "text": message.text]]
        for (id, call) in message.calls {
            parts.append([
                "type": "tool-call", "toolCallId": id, "toolName": call.tool, "input": AgentRun.object(call.arguments),
            ])
        }
        return ["role": message.role, "content": parts]
    }

    static let mastra = FrameworkShape(name: "mastra") { writer, run in
        writer.scope = "@mastra/otel"
        func play(_ run: AgentRun, in parent: UInt8) {
            let thread: [(String, TestValue)] = [("mastra.metadata.threadId", .string(writer.session))]
            let agent = writer.open(
                "invoke_agent \(run.agent)", in: parent,
                [
                    ("mastra.span.type", "agent_run"), ("gen_ai.operation.name", "invoke_agent"),
                    ("gen_ai.agent.name", .string(run.agent)), ("input", .string(run.user)),
                ] + thread)
            run.play({ messages, calls, text, error in
                let list = AgentRun.json(["messages": chat(messages)])
                let more: [(String, TestValue)] = [("gen_ai.input.messages", .string(parts(messages)))]
                let span = writer.open(
                    "chat gpt-4.1-mini", in: agent, tag: "model",
                    [
                        ("mastra.span.type", "model_generation"), ("gen_ai.operation.name", "chat"),
                        ("gen_ai.request.model", "gpt-4.1-mini"), ("mastra.model_generation.input", .string(list)),
                        ("gen_ai.tool.definitions", .string(definitions(run.tools))),
                    ] + more + thread)
                if let error { return writer.close(span, error: error) }
                writer.close(
                    span,
                    [
                        ("gen_ai.output.messages", .string(parts([answer(calls, text)]))),
                        ("mastra.model_generation.output", .string(AgentRun.json(["text": text ?? ""]))),
                    ])
            }) { _, call in
                if AgentRun.object(call.arguments) is String { return }
                let span = writer.open(
                    "execute_tool \(call.tool)", in: agent, tag: call.tool,
                    [
                        ("mastra.span.type", "tool_call"), ("gen_ai.operation.name", "execute_tool"),
                        ("gen_ai.tool.name", .string(call.tool)), ("input", .string(call.arguments)),
                        ("gen_ai.tool.call.arguments", .string(call.arguments)),
                    ] + thread)
                for sub in call.subAgent { play(sub, in: span) }
                if let error = call.error { return writer.close(span, error: error) }
                writer.close(span, [("mastra.output", .string(call.result ?? ""))])
            }
            writer.close(agent, [("mastra.output", .string(run.answer ?? ""))])
        }
        play(run, in: 0)
    }

    static let langfuse = FrameworkShape(name: "langfuse", showsDefinitions: false) { writer, run in
        writer.scope = "langfuse-sdk"
        func play(_ run: AgentRun, in parent: UInt8) {
            let session: [(String, TestValue)] = [("session.id", .string(writer.session))]
            func type(_ type: String) -> (String, TestValue) { ("langfuse.observation.type", .string(type)) }
            let agent = writer.open(
                run.agent, in: parent, [type("agent"), ("langfuse.observation.input", .string(run.user))] + session)
            run.play({ messages, calls, text, error in
                let span = writer.open(
                    "OpenAI-generation", in: agent, tag: "model",
                    [
                        type("generation"), ("langfuse.observation.model.name", "gpt-4.1-mini"),
                        ("langfuse.observation.input", .string(AgentRun.json(chat(messages)))),
                    ] + session)
                if let error {
                    return writer.close(
                        span, error: error,
                        [
                            ("langfuse.observation.level", "ERROR"),
                            ("langfuse.observation.status_message", .string(error)),
                        ])
                }
                let output = AgentRun.json(chat([answer(calls, text)])[0])
                writer.close(span, [("langfuse.observation.output", .string(output))])
            }) { _, call in
                if AgentRun.object(call.arguments) is String { return }
                let span = writer.open(
                    call.tool, in: agent, tag: call.tool,
                    [type("tool"), ("langfuse.observation.input", .string(call.arguments))] + session)
                for sub in call.subAgent { play(sub, in: span) }
                if let error = call.error {
                    return writer.close(
                        span,
                        [
                            ("langfuse.observation.level", "ERROR"),
                            ("langfuse.observation.status_message", .string(error)),
                        ])
                }
                writer.close(span, [("langfuse.observation.output", .string(call.result ?? ""))])
            }
            writer.close(agent, [("langfuse.observation.output", .string(run.answer ?? ""))])
        }
        play(run, in: 0)
    }

    /// Tools live in a server of the Model Context Protocol: results are its content blocks, errors a flag in them.
    static let mcpServer = FrameworkShape(name: "mcp") { writer, run in
        writer.scope = "opentelemetry.instrumentation.mcp"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "invoke_agent \(run.agent)", in: parent,
                [("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", .string(run.agent))])
            run.play({ chatSpan(writer, in: agent, run, $0, $1, $2, $3) }) { _, call in
                if AgentRun.object(call.arguments) is String { return }
                let span = writer.open(
                    "tools/call \(call.tool)", in: agent, tag: call.tool,
                    [
                        ("mcp.method.name", "tools/call"), ("gen_ai.operation.name", "execute_tool"),
                        ("gen_ai.tool.name", .string(call.tool)),
                        ("gen_ai.tool.call.arguments", .string(call.arguments)),
                    ])
                for sub in call.subAgent { play(sub, in: span) }
                let text = call.result ?? "Error executing tool \(call.tool): \(call.error ?? "")"
                let result: [String: Any] = [
                    "content": [["type": "text", "text": text]], "isError": call.error != nil,
                ]
                writer.close(
                    span, [("gen_ai.tool.call.result", .string(AgentRun.json(result)))])
            }
            writer.close(agent)
        }
        play(run, in: 0)
    }
}
