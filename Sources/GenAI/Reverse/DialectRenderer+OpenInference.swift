import Telemetry

extension DialectRenderer {
    mutating func openInference(_ operation: Text, _ kind: Text, _ batch: borrowing RecordBatch) {
        put("openinference.span.kind", DialectRenderer.spanKind(operation, kind))
        put("session.id", string(names.conversation, batch))
        put("agent.name", string(names.agentName, batch))
        put("llm.cost.total", amount(names.cost, batch))
        put("llm.cost.prompt", amount(names.inputCost, batch))
        put("llm.cost.completion", amount(names.outputCost, batch))
        if operation == "execute_tool" { return openInferenceTool(batch) }
        if operation == "retrieval" { return openInferenceRetrieval(batch) }
        let model = string(names.responseModel, batch) ?? string(names.requestModel, batch)
        if operation == "embeddings" { put("embedding.model_name", model) } else { put("llm.model_name", model) }
        put("llm.request.model_name", string(names.requestModel, batch))
        if DialectRenderer.isInference(operation) { put("llm.provider", string(names.provider, batch)) }
        openInferenceTokens(batch)
        parameters("llm.invocation_parameters", batch)
        openInferenceMessages(batch)
        openInferenceTools(batch)
    }

    /// Whether a span is one call of a model; of other spans the provider is as often a framework.
    private static func isInference(_ operation: Text) -> Bool {
        operation == "chat" || operation == "generate_content" || operation == "text_completion"
            || operation == "embeddings"
    }

    private static func spanKind(_ operation: Text, _ kind: Text) -> Text {
        if operation == "chat" || operation == "generate_content" || operation == "text_completion" {
            return Text("LLM")
        }
        if operation == "embeddings" { return Text("EMBEDDING") }
        if operation == "execute_tool" { return Text("TOOL") }
        if operation == "retrieval" { return Text("RETRIEVER") }
        if operation == "invoke_agent" || operation == "create_agent" { return Text("AGENT") }
        if kind == "reranker" { return Text("RERANKER") }
        if kind == "guardrail" { return Text("GUARDRAIL") }
        if kind == "evaluator" { return Text("EVALUATOR") }
        return kind == "prompt" ? Text("PROMPT") : Text("CHAIN")
    }

    private mutating func openInferenceTokens(_ batch: borrowing RecordBatch) {
        let input = number(names.inputTokens, batch)
        let output = number(names.outputTokens, batch)
        put("llm.token_count.prompt", input)
        put("llm.token_count.completion", output)
        put("llm.token_count.total", DialectRenderer.total(input, output))
        put("llm.token_count.prompt_details.cache_read", number(names.cacheRead, batch))
        put("llm.token_count.prompt_details.cache_write", number(names.cacheWrite, batch))
        put("llm.token_count.completion_details.reasoning", number(names.reasoning, batch))
    }

    static func total(_ input: Int64?, _ output: Int64?) -> Int64? {
        guard let input, let output else { return nil }
        let (sum, overflow) = input.addingReportingOverflow(output)
        return overflow ? nil : sum
    }

    private mutating func openInferenceTool(_ batch: borrowing RecordBatch) {
        put("tool.name", string(names.toolName, batch))
        put("tool.description", string(names.toolDescription, batch))
        put("tool_call.id", string(names.toolCallID, batch))
        if let arguments = string(names.arguments, batch) {
            put("input.value", arguments)
            put("input.mime_type", Text("application/json"))
        }
        if let result = string(names.result, batch) {
            put("output.value", result)
            put("output.mime_type", Text("application/json"))
        }
    }

    private mutating func openInferenceRetrieval(_ batch: borrowing RecordBatch) {
        put("input.value", string(names.query, batch))
        if hasKeys("retrieval.documents.", batch) { return }
        var document = tree.first(document(names.documents, batch))
        var index = 0
        while document.exists, hasRoom {
            for field: StaticString in ["id", "content", "metadata"] {
                let ref = tree.member(document, field)
                guard ref.exists else { continue }
                let key = key("retrieval.documents.", index, ".document.", -1, field)
                put(key, value: ref)
            }
            let score = tree.member(document, "score")
            if tree.kind(score) == .number, let value = Number.double(tree.string(score)) {
                let key = key("retrieval.documents.", index, ".document.score")
                made.append(MadeAttribute(key: key, kind: .double, bits: value.bitPattern))
            }
            index += 1
            document = tree.next(document)
        }
    }

    private mutating func openInferenceTools(_ batch: borrowing RecordBatch) {
        if hasKeys("llm.tools.", batch) { return }
        var tool = tree.first(document(names.tools, batch))
        var index = 0
        while tool.exists, hasRoom {
            let key = key("llm.tools.", index, ".tool.json_schema")
            let start = out.count
            function(tool)
            put(key, from: start)
            index += 1
            tool = tree.next(tool)
        }
    }

    /// A tool definition in the form of OpenAI's requests.
    mutating func function(_ tool: JSONRef) {
        out.append("{\"type\":\"function\",\"function\":{\"name\":")
        let name = tree.member(tool, "name")
        if name.exists { tree.write(name, into: &out) } else { out.append("\"\"") }
        for field: StaticString in ["description", "parameters"] {
            let ref = tree.member(tool, field)
            guard ref.exists else { continue }
            out.append(",\"")
            out.append(field)
            out.append("\":")
            tree.write(ref, into: &out)
        }
        out.append("}}")
    }

    // MARK: Messages

    private mutating func openInferenceMessages(_ batch: borrowing RecordBatch) {
        // Own words and ours would be read as one list.
        if !hasKeys("llm.input_messages.", batch) { openInferenceInput(batch) }
        if hasKeys("llm.output_messages.", batch) { return }
        let output = document(names.output, batch)
        if tree.isArray(output), tree.count(output) > 0, flat("llm.output_messages.", output, from: 0) {
            spend(names.output)
        }
    }

    private mutating func openInferenceInput(_ batch: borrowing RecordBatch) {
        let input = document(names.input, batch)
        guard tree.isArray(input), tree.count(input) > 0 else { return }
        let instructions = tree.first(document(names.instructions, batch))
        if instructions.exists {
            put(key("llm.input_messages.", 0, ".message.role"), Text("system"))
            put(key("llm.input_messages.", 0, ".message.content"), value: tree.member(instructions, "content"))
        }
        let isExact = flat("llm.input_messages.", input, from: instructions.exists ? 1 : 0)
        if isExact, !instructions.exists { spend(names.input) }
    }

    /// Whether the span has attributes under a prefix.
    private func hasKeys(_ prefix: StaticString, _ batch: borrowing RecordBatch) -> Bool {
        for index in batch.range(of: set) where batch.text(batch.attributes[index].key).hasPrefix(prefix) {
            return true
        }
        return false
    }

    /// Writes a message list as indexed attributes. True when they say all that the list says.
    private mutating func flat(_ prefix: StaticString, _ list: JSONRef, from first: Int) -> Bool {
        var isExact = true
        var index = first
        var message = tree.first(list)
        while message.exists {
            guard hasRoom else { return false }
            let role = tree.string(tree.member(message, "role"))
            put(key(prefix, index, ".message.role"), role)
            for field: StaticString in ["name", "finish_reason"] {
                let value = tree.member(message, field)
                if tree.isString(value) { put(key(prefix, index, ".message.", -1, field), value: value) }
            }
            if !flatParts(prefix, index, tree.member(message, "parts"), role) { isExact = false }
            if !isPlain(message: message) { isExact = false }
            index += 1
            message = tree.next(message)
        }
        return isExact && hasRoom
    }

    private mutating func flatParts(_ prefix: StaticString, _ index: Int, _ parts: JSONRef, _ role: Text) -> Bool {
        let count = tree.count(parts)
        var isExact = true
        var calls = 0
        var contents = 0
        var part = tree.first(parts)
        // One text alone stands in `content`; several parts are a list of contents.
        let texts = self.count(of: "text", in: parts)
        let isSimple = texts <= 1 && texts + self.count(of: "tool_call", in: parts) == count
        while part.exists {
            let type = tree.string(tree.member(part, "type"))
            if !isPlain(part: part, type) { isExact = false }
            if type == "text" {
                let content = tree.member(part, "content")
                if calls > 0 { isExact = false }
                if isSimple {
                    put(key(prefix, index, ".message.content"), value: content)
                } else {
                    flatContent(prefix, index, contents, Text("text"), content)
                    contents += 1
                }
                if !tree.isString(content) || tree.string(content).isEmpty { isExact = false }
                if looksLikeBlocks(content) { isExact = false }
            } else if type == "reasoning" {
                if calls > 0 { isExact = false }
                flatContent(prefix, index, contents, Text("reasoning"), tree.member(part, "content"))
                contents += 1
            } else if type == "tool_call" {
                if !flatCall(prefix, index, calls, part) { isExact = false }
                calls += 1
            } else if type == "tool_call_response", count == 1 {
                let response = tree.member(part, "response")
                put(key(prefix, index, ".message.tool_call_id"), value: tree.member(part, "id"))
                put(key(prefix, index, ".message.content"), value: response)
                if !tree.isString(response) || !(role == "tool") || tree.member(part, "name").exists { isExact = false }
            } else {
                isExact = flatOther(prefix, index, contents, part, type) && isExact
                contents += 1
            }
            part = tree.next(part)
        }
        return isExact && count > 0
    }

    private func count(of type: StaticString, in parts: JSONRef) -> Int {
        var count = 0
        var part = tree.first(parts)
        while part.exists {
            let value = tree.member(part, "type")
            if tree.isString(value), tree[value].text == Text(type) { count += 1 }
            part = tree.next(part)
        }
        return count
    }

    /// Text that a reader of flat messages would take for a list of blocks.
    private mutating func looksLikeBlocks(_ content: JSONRef) -> Bool {
        let text = tree.string(content)
        return text.hasPrefix("[{") || text.hasPrefix("{\"")
    }

    private mutating func flatContent(
        _ prefix: StaticString, _ index: Int, _ item: Int, _ type: Text, _ content: JSONRef
    ) {
        put(key(prefix, index, ".message.contents.", item, ".message_content.type"), type)
        put(key(prefix, index, ".message.contents.", item, ".message_content.text"), value: content)
    }

    private mutating func flatCall(_ prefix: StaticString, _ index: Int, _ item: Int, _ part: JSONRef) -> Bool {
        put(key(prefix, index, ".message.tool_calls.", item, ".tool_call.id"), value: tree.member(part, "id"))
        put(
            key(prefix, index, ".message.tool_calls.", item, ".tool_call.function.name"),
            value: tree.member(part, "name"))
        let arguments = tree.member(part, "arguments")
        put(key(prefix, index, ".message.tool_calls.", item, ".tool_call.function.arguments"), value: arguments)
        return !arguments.exists || tree.isObject(arguments)
    }

    /// Images by address or as data; what flat messages have no name for is left to the current attribute.
    private mutating func flatOther(
        _ prefix: StaticString, _ index: Int, _ item: Int, _ part: JSONRef, _ type: Text
    ) -> Bool {
        let modality = tree.string(tree.member(part, "modality"))
        guard modality == "image", type == "uri" || type == "blob" else { return false }
        put(key(prefix, index, ".message.contents.", item, ".message_content.type"), Text("image"))
        let key = key(prefix, index, ".message.contents.", item, ".message_content.image.image.url")
        let start = out.count
        if type == "blob" {
            let mime = tree.string(tree.member(part, "mime_type"))
            out.append("data:")
            out.append(mime)
            out.append(";base64,")
            out.append(tree.string(tree.member(part, "content")))
        } else {
            out.append(tree.string(tree.member(part, "uri")))
        }
        put(key, from: start)
        return type == "blob" ? tree.member(part, "mime_type").exists : !tree.member(part, "mime_type").exists
    }
}
