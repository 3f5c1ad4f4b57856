import Telemetry

extension DialectRenderer {
    // MARK: Langfuse

    mutating func langfuse(_ operation: Text, _ kind: Text, _ batch: borrowing RecordBatch) {
        put("langfuse.observation.type", DialectRenderer.observation(operation, kind))
        put("session.id", string(names.conversation, batch))
        put("langfuse.observation.model.name", string(names.responseModel, batch) ?? string(names.requestModel, batch))
        parameters("langfuse.observation.model.parameters", batch)
        usageDetails(batch)
        costDetails(batch)
        if operation == "execute_tool" {
            put("langfuse.observation.input", string(names.arguments, batch))
            put("langfuse.observation.output", string(names.result, batch))
        } else if operation == "retrieval" {
            put("langfuse.observation.input", string(names.query, batch))
            put("langfuse.observation.output", string(names.documents, batch))
        } else {
            chatMessages(
                operation, "langfuse.observation.input", "langfuse.observation.output", wraps: false, batch)
        }
    }

    private static func observation(_ operation: Text, _ kind: Text) -> Text {
        if operation == "chat" || operation == "generate_content" || operation == "text_completion" {
            return Text("generation")
        }
        if operation == "embeddings" { return Text("embedding") }
        if operation == "execute_tool" { return Text("tool") }
        if operation == "retrieval" { return Text("retriever") }
        if operation == "invoke_agent" || operation == "create_agent" { return Text("agent") }
        if operation == "invoke_workflow" || kind == "chain" { return Text("chain") }
        if kind == "guardrail" { return Text("guardrail") }
        return kind == "evaluator" ? Text("evaluator") : Text("span")
    }

    /// Langfuse adds its counts up: input and output are without their parts.
    private mutating func usageDetails(_ batch: borrowing RecordBatch) {
        guard let input = number(names.inputTokens, batch), let output = number(names.outputTokens, batch) else {
            return
        }
        let read = max(0, number(names.cacheRead, batch) ?? 0)
        let write = max(0, number(names.cacheWrite, batch) ?? 0)
        let reasoning = max(0, number(names.reasoning, batch) ?? 0)
        let key = key("langfuse.observation.usage_details")
        let start = out.count
        out.append("{\"input\":")
        Number.append(max(0, input &- read &- write), into: &out)
        out.append(",\"output\":")
        Number.append(max(0, output &- reasoning), into: &out)
        for (name, count) in [
            ("input_cached_tokens", read), ("input_cache_creation", write), ("output_reasoning_tokens", reasoning),
        ] as [(StaticString, Int64)] where count > 0 {
            out.append(",\"")
            out.append(name)
            out.append("\":")
            Number.append(count, into: &out)
        }
        out.append(UInt8(ascii: "}"))
        put(key, from: start)
    }

    private mutating func costDetails(_ batch: borrowing RecordBatch) {
        guard let cost = amount(names.cost, batch) else { return }
        let key = key("langfuse.observation.cost_details")
        let start = out.count
        out.append("{\"total\":")
        Number.append(cost, into: &out)
        if let input = amount(names.inputCost, batch), let output = amount(names.outputCost, batch) {
            out.append(",\"input\":")
            Number.append(input, into: &out)
            out.append(",\"output\":")
            Number.append(output, into: &out)
        }
        out.append(UInt8(ascii: "}"))
        put(key, from: start)
    }

    // MARK: LangSmith

    mutating func langSmith(_ operation: Text, _ kind: Text, _ name: Text, _ batch: borrowing RecordBatch) {
        put("langsmith.span.kind", DialectRenderer.runType(operation, kind))
        put("langsmith.trace.name", string(names.toolName, batch) ?? name)
        put("langsmith.metadata.session_id", string(names.conversation, batch))
        put("langsmith.metadata.user_id", string(names.user, batch))
        put("langsmith.metadata.ls_provider", string(names.provider, batch))
        put("langsmith.metadata.ls_model_name", string(names.requestModel, batch) ?? string(names.responseModel, batch))
        put("gen_ai.system", string(names.provider, batch))
        put(
            "gen_ai.usage.total_tokens",
            DialectRenderer.total(number(names.inputTokens, batch), number(names.outputTokens, batch)))
        if operation == "execute_tool" {
            put("gen_ai.prompt", string(names.arguments, batch))
            put("gen_ai.completion", string(names.result, batch))
        } else if operation == "retrieval" {
            put("gen_ai.prompt", string(names.query, batch))
            put("gen_ai.completion", string(names.documents, batch))
        } else {
            chatMessages(operation, "gen_ai.prompt", "gen_ai.completion", wraps: true, batch)
        }
    }

    private static func runType(_ operation: Text, _ kind: Text) -> Text {
        if operation == "chat" || operation == "generate_content" || operation == "text_completion" {
            return Text("llm")
        }
        if operation == "embeddings" { return Text("embedding") }
        if operation == "execute_tool" { return Text("tool") }
        if operation == "retrieval" { return Text("retriever") }
        if kind == "prompt" { return Text("prompt") }
        return kind == "parser" ? Text("parser") : Text("chain")
    }

    // MARK: Messages in the form of OpenAI's chat interface

    /// Whether those who read the rendered names take them for messages on spans of this operation. Where they do not,
    /// the current attributes stay.
    private func hasConversation(_ operation: Text) -> Bool {
        if operation == "chat" || operation == "generate_content" || operation == "text_completion" { return true }
        if operation == "invoke_agent" { return true }
        return dialect == .langsmith ? operation == "invoke_workflow" : operation == "create_agent"
    }

    /// Input and output as JSON. `wraps` puts the list under `messages`.
    private mutating func chatMessages(
        _ operation: Text, _ inputName: StaticString, _ outputName: StaticString, wraps: Bool,
        _ batch: borrowing RecordBatch
    ) {
        let mayGo = hasConversation(operation)
        let instructions = document(names.instructions, batch)
        let input = document(names.input, batch)
        if tree.isArray(input), tree.count(input) > 0 {
            let key = key(inputName)
            let start = out.count
            if wraps { out.append("{\"messages\":") }
            let isExact = chat(input, instructions)
            if wraps { out.append(UInt8(ascii: "}")) }
            put(key, from: start)
            if isExact, !instructions.exists, mayGo { spend(names.input) }
        }
        let output = document(names.output, batch)
        guard tree.isArray(output), tree.count(output) > 0 else { return }
        let key = key(outputName)
        let start = out.count
        if wraps { out.append("{\"messages\":") }
        let isExact = chat(output, .none)
        if wraps { out.append(UInt8(ascii: "}")) }
        put(key, from: start)
        if isExact, mayGo { spend(names.output) }
    }

    private mutating func chat(_ list: JSONRef, _ instructions: JSONRef) -> Bool {
        var isExact = true
        out.append(UInt8(ascii: "["))
        if instructions.exists {
            out.append("{\"role\":\"system\",\"content\":")
            tree.write(tree.member(tree.first(instructions), "content"), into: &out)
            out.append(UInt8(ascii: "}"))
            if list.exists, tree.count(list) > 0 { out.append(UInt8(ascii: ",")) }
        }
        var message = tree.first(list)
        while message.exists {
            if !chatMessage(message) { isExact = false }
            message = tree.next(message)
            if message.exists { out.append(UInt8(ascii: ",")) }
        }
        out.append(UInt8(ascii: "]"))
        return isExact
    }

    private mutating func chatMessage(_ message: JSONRef) -> Bool {
        let parts = tree.member(message, "parts")
        var calls = 0
        var others = 0
        var response = JSONRef.none
        var isExact = tree.count(parts) > 0 && isPlain(message: message)
        var part = tree.first(parts)
        while part.exists {
            let type = tree.string(tree.member(part, "type"))
            if !isPlain(part: part, type) { isExact = false }
            if type == "tool_call" {
                calls += 1
                let arguments = tree.member(part, "arguments")
                if arguments.exists, !tree.isObject(arguments) { isExact = false }
            } else {
                if calls > 0 { isExact = false }
                others += 1
                if type == "tool_call_response" { response = part }
            }
            part = tree.next(part)
        }
        out.append("{\"role\":")
        tree.write(tree.member(message, "role"), into: &out)
        if others == 1, response.exists {
            toolContent(response)
            if tree.member(response, "name").exists { isExact = false }
        } else {
            content(parts, others)
        }
        if calls > 0 { toolCalls(parts) }
        for field: StaticString in ["name", "finish_reason"] {
            let value = tree.member(message, field)
            guard tree.isString(value) else { continue }
            out.append(",\"")
            out.append(field)
            out.append("\":")
            tree.write(value, into: &out)
        }
        out.append(UInt8(ascii: "}"))
        return isExact
    }

    private mutating func toolContent(_ part: JSONRef) {
        let id = tree.member(part, "id")
        if id.exists {
            out.append(",\"tool_call_id\":")
            tree.write(id, into: &out)
        }
        out.append(",\"content\":")
        let response = tree.member(part, "response")
        if response.exists { tree.write(response, into: &out) } else { out.append("null") }
    }

    /// One text is a string; several parts are blocks, those that OpenAI does not know in the conventions' own form.
    private mutating func content(_ parts: JSONRef, _ count: Int) {
        out.append(",\"content\":")
        guard count > 0 else { return out.append("null") }
        var part = tree.first(parts)
        var isFirst = true
        let onlyText = count == 1
        if !onlyText { out.append(UInt8(ascii: "[")) }
        while part.exists {
            let type = tree.string(tree.member(part, "type"))
            if !(type == "tool_call") {
                if onlyText, type == "text" {
                    tree.write(tree.member(part, "content"), into: &out)
                } else {
                    if onlyText { out.append(UInt8(ascii: "[")) }
                    if !isFirst { out.append(UInt8(ascii: ",")) }
                    block(part, type)
                    if onlyText { out.append(UInt8(ascii: "]")) }
                }
                isFirst = false
            }
            part = tree.next(part)
        }
        if !onlyText { out.append(UInt8(ascii: "]")) }
    }

    private mutating func block(_ part: JSONRef, _ type: Text) {
        guard type == "text" else { return tree.write(part, into: &out) }
        out.append("{\"type\":\"text\",\"text\":")
        tree.write(tree.member(part, "content"), into: &out)
        out.append(UInt8(ascii: "}"))
    }

    private mutating func toolCalls(_ parts: JSONRef) {
        out.append(",\"tool_calls\":[")
        var isFirst = true
        var part = tree.first(parts)
        while part.exists {
            if tree.string(tree.member(part, "type")) == "tool_call" {
                if !isFirst { out.append(UInt8(ascii: ",")) }
                isFirst = false
                toolCall(part)
            }
            part = tree.next(part)
        }
        out.append(UInt8(ascii: "]"))
    }

    private mutating func toolCall(_ part: JSONRef) {
        out.append("{")
        let id = tree.member(part, "id")
        if id.exists {
            out.append("\"id\":")
            tree.write(id, into: &out)
            out.append(",")
        }
        out.append("\"type\":\"function\",\"function\":{\"name\":")
        let name = tree.member(part, "name")
        if name.exists { tree.write(name, into: &out) } else { out.append("\"\"") }
        let arguments = tree.member(part, "arguments")
        if arguments.exists {
            // Arguments are a text there, which holds the object.
            var text = ByteColumn()
            if tree.isString(arguments) {
                text.append(tree.string(arguments))
            } else {
                tree.write(arguments, into: &text)
            }
            out.append(",\"arguments\":\"")
            JSONText.escape(text.text, into: &out)
            out.append("\"")
        }
        out.append("}}")
    }

    // MARK: Parameters

    /// Request parameters as one object under their usual names.
    mutating func parameters(_ name: StaticString, _ batch: borrowing RecordBatch) {
        let key = key(name)
        let start = out.count
        for (parameter, short) in names.parameters {
            guard let place = batch.find(parameter, in: set) else { continue }
            let record = batch.attributes[place]
            let before = out.count
            out.append(before == start ? UInt8(ascii: "{") : UInt8(ascii: ","))
            out.append(UInt8(ascii: "\""))
            out.append(short)
            out.append("\":")
            switch record.value {
            case .int(let value): Number.append(value, into: &out)
            case .double(let value) where value.isFinite: Number.append(value, into: &out)
            case .array(let text): tree.write(tree.read(batch.text(text), isMap: false), into: &out)
            default: out.truncate(to: before)
            }
        }
        guard out.count > start else { return }
        out.append(UInt8(ascii: "}"))
        put(key, from: start)
    }
}
