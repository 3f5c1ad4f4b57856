import Foundation

/// Frameworks whose telemetry comes from OpenInference instrumentations.
extension FrameworkShape {
    static func kind(_ kind: String) -> (String, TestValue) { ("openinference.span.kind", .string(kind)) }

    /// Messages in flattened keys.
    static func flat(_ prefix: String, _ messages: [ShapeMessage]) -> [(String, TestValue)] {
        var result: [(String, TestValue)] = []
        for (index, message) in messages.enumerated() {
            let base = "llm.\(prefix)_messages.\(index).message."
            result.append((base + "role", .string(message.role)))
            if !message.text.isEmpty { result.append((base + "content", .string(message.text))) }
            if !message.callID.isEmpty { result.append((base + "tool_call_id", .string(message.callID))) }
            for (place, item) in message.calls.enumerated() {
                let key = base + "tool_calls.\(place).tool_call."
                result.append((key + "id", .string(item.id)))
                result.append((key + "function.name", .string(item.call.tool)))
                result.append((key + "function.arguments", .string(item.call.arguments)))
            }
        }
        return result
    }

    static func flatTools(_ tools: [AgentRun.Tool]) -> [(String, TestValue)] {
        tools.enumerated().map { index, tool in
            let function: [String: Any] = [
                "name": tool.name, "description": tool.description, "parameters": tool.schema,
            ]
            return (
                "llm.tools.\(index).tool.json_schema",
                .string(AgentRun.json(["type": "function", "function": function] as [String: Any]))
            )
        }
    }

    /// A model span as the OpenInference instrumentation of a client library writes it.
    static func model(
        _ writer: ShapeWriter, _ name: String, in parent: UInt8, _ run: AgentRun, _ messages: [ShapeMessage],
        _ calls: [(id: String, call: AgentRun.Call)], _ text: String?, _ error: String?, tools: Bool = true
    ) {
        var attributes = [kind("LLM"), ("llm.model_name", .string("gpt-4.1-mini"))] + flat("input", messages)
        if tools { attributes += flatTools(run.tools) }
        let id = writer.open(name, in: parent, tag: "model", attributes)
        if let error {
            writer.exception(id, error)
            return writer.close(id, error: error)
        }
        let answer = ShapeMessage(role: "assistant", text: text ?? "", calls: calls)
        writer.close(
            id, okay: true,
            flat("output", [answer]) + [("llm.token_count.prompt", 120), ("llm.token_count.completion", 20)])
    }

    /// A tool span; `input` is what the instrumentation writes as the input value.
    static func tool(
        _ writer: ShapeWriter, _ name: String, in parent: UInt8, _ call: AgentRun.Call, input: String,
        output: String? = nil, _ more: [(String, TestValue)] = [], inside: (ShapeWriter, UInt8) -> Void = { _, _ in }
    ) {
        let id = writer.open(
            name, in: parent, tag: call.tool,
            [kind("TOOL"), ("tool.name", .string(call.tool)), ("input.value", .string(input))] + more)
        if !call.documents.isEmpty {
            let inner = writer.open(
                "VectorRetriever.retrieve", in: id, [kind("RETRIEVER"), ("input.value", .string(call.query))])
            let documents = call.documents.enumerated().flatMap { index, text -> [(String, TestValue)] in
                let base = "retrieval.documents.\(index).document."
                return [
                    (base + "content", .string(text)), (base + "score", 0.8), (base + "id", .string("doc-\(index)")),
                ]
            }
            writer.close(inner, okay: true, documents)
        }
        inside(writer, id)
        if let error = call.error {
            writer.exception(id, error)
            writer.close(id, error: error)
        } else {
            writer.close(id, okay: true, [("output.value", .string(output ?? call.result ?? ""))])
        }
    }

    /// Each agent hangs below the trace's root, and a handoff is a tool span of its own.
    static let openAIAgents = FrameworkShape(name: "openai_agents") { writer, run in
        writer.scope = "openinference.instrumentation.openai_agents"
        let root = writer.open("Agent workflow", [kind("AGENT"), ("session.id", .string(writer.session))])
        func play(_ run: AgentRun) {
            let agent = writer.open(run.agent, in: root, [kind("AGENT"), ("graph.node.id", .string(run.agent))])
            run.play({ model(writer, "response", in: agent, run, $0, $1, $2, $3) }) { _, call in
                guard let sub = call.subAgent.first else {
                    if AgentRun.object(call.arguments) is String { return }
                    return tool(writer, call.tool, in: agent, call, input: call.arguments)
                }
                let handoff = writer.open("handoff to \(sub.agent)", in: agent, tag: call.tool, [kind("TOOL")])
                writer.close(handoff, okay: true)
                play(sub)
            }
            writer.close(agent, okay: true)
        }
        play(run)
        writer.close(root, okay: true)
    }

    /// A tool's input holds the call inside of what the framework's function was given, and errors come back as text.
    static let crewAI = FrameworkShape(name: "crewai") { writer, run in
        writer.scope = "openinference.instrumentation.crewai"
        let root = writer.open("Crew_1.kickoff", [kind("CHAIN"), ("session.id", .string(writer.session))])
        func play(_ run: AgentRun, in parent: UInt8) {
            let input = AgentRun.json(["agent": "repr of an agent", "context": run.user, "tools": []] as [String: Any])
            let agent = writer.open(
                "\(run.agent)._execute_core", in: parent,
                [kind("AGENT"), ("graph.node.id", .string(run.agent)), ("input.value", .string(input))])
            run.play({ model(writer, "ChatCompletion", in: agent, run, $0, $1, $2, $3) }) { _, call in
                let arguments = AgentRun.object(call.arguments)
                if arguments is String { return }
                let calling: [String: Any] = ["tool_name": call.tool, "arguments": arguments]
                let input = AgentRun.json(
                    ["tool_string": "Action: \(call.tool)", "tool": "CrewStructuredTool(…)", "calling": calling]
                        as [String: Any])
                var shown = call
                if let error = call.error {
                    shown.error = nil
                    shown.result =
                        "I encountered an error while trying to use the tool. This was the error: \(error).\n Tool "
                        + "\(call.tool) accepts these inputs: its description"
                }
                tool(writer, "\(call.tool)._use", in: agent, shown, input: input) { writer, id in
                    for sub in call.subAgent { play(sub, in: id) }
                }
            }
            writer.close(agent, okay: true, [("output.value", .string(run.answer ?? ""))])
        }
        play(run, in: root)
        writer.close(root, okay: true, [("output.value", .string(run.answer ?? ""))])
    }

    /// Results are the framework's tool output written as JSON, arguments stand under `kwargs`, the schema on the tool.
    static let llamaIndex = FrameworkShape(name: "llama_index") { writer, run in
        writer.scope = "openinference.instrumentation.llama_index"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "FunctionAgent.run", in: parent,
                [kind("AGENT"), ("agent.name", .string(run.agent)), ("input.value", .string(run.user))]
                    + (parent == 0 ? [("session.id", .string(writer.session))] : []))
            run.play({ model(writer, "OpenAI.astream_chat_with_tools", in: agent, run, $0, $1, $2, $3) }) { _, call in
                let arguments = AgentRun.object(call.arguments)
                if arguments is String { return }
                let kwargs: [String: Any] = ["kwargs": arguments]
                let result: [String: Any] = [
                    "blocks": [["block_type": "text", "text": call.result ?? ""]], "tool_name": call.tool,
                    "raw_input": ["args": [], "kwargs": arguments] as [String: Any],
                    "raw_output": call.result.map(AgentRun.object) ?? NSNull(), "is_error": false,
                ]
                let schema = run.tools.first { $0.name == call.tool }.map { AgentRun.json($0.schema) } ?? "{}"
                tool(
                    writer, "FunctionTool.acall", in: agent, call, input: AgentRun.json(kwargs),
                    output: AgentRun.json(result), [("tool.parameters", .string(schema))]
                ) { writer, id in
                    for sub in call.subAgent { play(sub, in: id) }
                }
            }
            writer.close(agent, okay: true, [("output.value", .string(run.answer ?? ""))])
        }
        play(run, in: 0)
    }

    static let autoGen = FrameworkShape(name: "autogen_agentchat") { writer, run in
        writer.scope = "openinference.instrumentation.autogen_agentchat"
        let root = writer.open("RoundRobinGroupChat.run_stream", [kind("CHAIN"), ("input.value", .string(run.user))])
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "\(run.agent).on_messages_stream", in: parent,
                [kind("AGENT"), ("agent.name", .string(run.agent)), ("graph.node.id", .string(run.agent))])
            run.play({ model(writer, "ChatCompletion", in: agent, run, $0, $1, $2, $3) }) { id, call in
                if AgentRun.object(call.arguments) is String { return }
                let result: [String: Any] = [
                    "content": call.result ?? "", "name": call.tool, "call_id": id, "is_error": false,
                ]
                tool(
                    writer, "FunctionTool.run_json", in: agent, call, input: call.arguments,
                    output: AgentRun.json(result))
                for sub in call.subAgent { play(sub, in: parent) }
            }
            writer.close(agent, okay: true)
        }
        play(run, in: root)
        writer.close(root, okay: true, [("output.value", .string(run.answer ?? ""))])
    }

    /// Calls are text of the model, so no broken one is seen and no definitions are there.
    static let dspy = FrameworkShape(name: "dspy", showsBrokenCalls: false, showsDefinitions: false) { writer, run in
        writer.scope = "openinference.instrumentation.dspy"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "ReAct.forward", in: parent,
                [
                    kind(parent == 0 ? "CHAIN" : "AGENT"),
                    ("input.value", .string(AgentRun.json(["question": run.user]))),
                ])
            run.play({ messages, calls, text, error in
                let flat = messages.filter { $0.role != "assistant" || !$0.text.isEmpty }
                var answer = text
                if let first = calls.first {
                    answer =
                        "[[ ## next_thought ## ]]\nI need data.\n\n[[ ## next_tool_name ## ]]\n\(first.call.tool)\n\n"
                        + "[[ ## next_tool_args ## ]]\n\(first.call.arguments)\n\n[[ ## completed ## ]]"
                }
                model(writer, "LM.__call__", in: agent, run, flat, [], answer, error, tools: false)
            }) { _, call in
                let arguments = AgentRun.object(call.arguments)
                if arguments is String { return }
                tool(
                    writer, "Tool.__call__", in: agent, call,
                    input: AgentRun.json(["args": [], "kwargs": arguments] as [String: Any])
                ) { writer, id in
                    for sub in call.subAgent { play(sub, in: id) }
                }
            }
            writer.close(agent, okay: true, [("output.value", .string(AgentRun.json(["answer": run.answer ?? ""])))])
        }
        play(run, in: 0)
    }

    /// Code is the action: calls come from inside a step, and the model's answer is a program.
    static let smolagentsCode = FrameworkShape(
        name: "smolagents_code", showsBrokenCalls: false, showsDefinitions: false
    ) {
        writer, run in
        writer.scope = "openinference.instrumentation.smolagents"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "CodeAgent.run", in: parent,
                [
                    kind("AGENT"), ("input.value", .string(AgentRun.json(["task": run.user]))),
                    ("smolagents.task", .string(run.user)),
                    ("smolagents.tools_names", .array(run.tools.map { .string($0.name) })),
                ] + (parent == 0 ? [] : [("agent.name", .string(run.agent))]))
            run.play({ messages, calls, text, error in
                var answer = text.map { "Thought: done.\n<code>\nfinal_answer(\"\($0)\")\n</code>" }
                if let first = calls.first {
                    answer = "Thought: I use a tool.\n<code>\nprint(\(first.call.tool)())\n</code>"
                }
                let plain = messages.map { ShapeMessage(role: $0.role == "tool" ? "user" : $0.role, text: $0.text) }
                model(writer, "LiteLLMModel.generate", in: agent, run, plain, [], answer, error, tools: false)
            }) { _, call in
                let arguments = AgentRun.object(call.arguments)
                if arguments is String { return }
                let step = writer.open(
                    "Step 1", in: agent, [kind("CHAIN"), ("input.value", "{\"memory_step\": \"…\"}")])
                let input: [String: Any] = ["args": [], "sanitize_inputs_outputs": false, "kwargs": arguments]
                tool(writer, "SimpleTool", in: step, call, input: AgentRun.json(input)) { writer, id in
                    for sub in call.subAgent { play(sub, in: id) }
                }
                writer.close(step, okay: true)
            }
            writer.close(agent, okay: true, [("output.value", .string(run.answer ?? ""))])
        }
        play(run, in: 0)
    }

    /// An agent of the cloud: parameters are a list of name, type and value, and results are the action group's text.
    static let bedrockAgent = FrameworkShape(name: "bedrock_agent", showsBrokenCalls: false, showsDefinitions: false) {
        writer, run in
        writer.scope = "openinference.instrumentation.bedrock"
        func play(_ run: AgentRun, in parent: UInt8) {
            let agent = writer.open(
                "bedrock_agent.invoke_agent", in: parent,
                [kind("AGENT"), ("agent.name", .string(run.agent)), ("input.value", .string(run.user))]
                    + (parent == 0 ? [("session.id", .string(writer.session))] : []))
            let phase = writer.open("orchestrationTrace", in: agent, [kind("CHAIN")])
            run.play({ model(writer, "LLM", in: phase, run, $0, $1, $2, $3, tools: false) }) { id, call in
                let arguments = AgentRun.object(call.arguments)
                if arguments is String { return }
                let parameters = (arguments as? [String: Any] ?? [:]).sorted { $0.key < $1.key }.map {
                    ["name": $0.key, "type": "string", "value": "\($0.value)"]
                }
                tool(
                    writer, "action_group", in: phase, call, input: AgentRun.json(parameters),
                    [
                        ("tool_call.id", .string(id)), ("tool_call.function.name", .string(call.tool)),
                        ("tool_call.function.arguments", .string(call.arguments)),
                    ]
                ) { writer, inner in
                    for sub in call.subAgent { play(sub, in: inner) }
                }
            }
            writer.close(phase, okay: true)
            writer.close(agent, okay: true, [("output.value", .string(run.answer ?? ""))])
        }
        play(run, in: 0)
    }
}
