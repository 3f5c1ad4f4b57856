import Telemetry

extension Normalizer {
    /// Arguments of a tool call as an object: JSON or a Python literal, out of its call envelope.
    mutating func toolArguments(_ source: SourceValue) -> MadeValue {
        var ref = literal(source)
        if !ref.exists, source.kind == .other { ref = source.ref }
        guard ref.exists else {
            facts.hasBareInput = true
            return wrapped("input", source)
        }
        ref = unwrapArguments(ref)
        reader.tree.use(ref)
        if isParameterList(ref) { return parameterList(ref) }
        return reader.tree.isObject(ref) ? json(ref) : wrapped("input", .node(ref))
    }

    private mutating func unwrapArguments(_ start: JSONRef) -> JSONRef {
        var ref = start
        // Envelopes come one inside the other; going to the end makes a second run find nothing to do.
        for _ in 0..<8 {
            if reader.tree.isString(ref) {
                let inner = reader.tree.document(in: ref)
                guard inner.exists else { return ref }
                ref = inner
                continue
            }
            if let content = toolMessage(ref) {
                ref = content
                continue
            }
            guard reader.tree.isObject(ref) else { return ref }
            let args = reader.tree.member(ref, "args")
            let kwargs = reader.tree.member(ref, "kwargs")
            let input = reader.tree.member(ref, "input")
            let type = reader.tree.member(ref, "type")
            if let inner = callbackInput(ref) {
                ref = inner
            } else if kwargs.exists, args.exists || reader.tree.isObject(kwargs) && reader.tree.count(ref) == 1 {
                ref = positional(args, kwargs)
            } else if args.exists, reader.tree.isString(type), reader.tree.string(type) == "tool_call" {
                ref = args
            } else if reader.tree.count(ref) == 1, let only = soleInput(input) {
                ref = only
            } else if let named = namedCall(ref) {
                ref = named
            } else {
                return ref
            }
        }
        return ref
    }

    /// Content of the only message of a list, which is a tool's.
    private mutating func toolMessage(_ ref: JSONRef) -> JSONRef? {
        let message = reader.tree.first(ref)
        guard reader.tree.isArray(ref), reader.tree.count(ref) == 1 else { return nil }
        let role = reader.tree.member(message, "role")
        let content = reader.tree.member(message, "content")
        guard content.exists, reader.tree.isString(role), isToolWord(reader.tree.string(role)) else { return nil }
        return content
    }

    /// The object under the only member `input`; LangChain for JavaScript has it in a text.
    private mutating func soleInput(_ input: JSONRef) -> JSONRef? {
        if reader.tree.isObject(input) { return input }
        guard reader.tree.isString(input) else { return nil }
        let inner = reader.document(reader.tree.string(input))
        return reader.tree.isObject(inner) ? inner : nil
    }

    /// `{tool_name, arguments}`, as MCP instrumentations record a request, and `{name, arguments}` of the model's call.
    private mutating func namedCall(_ ref: JSONRef) -> JSONRef? {
        let name = reader.either(ref, "tool_name", "name")
        guard reader.tree.count(ref) == 2, reader.tree.isString(name) else { return nil }
        let arguments = reader.tree.member(ref, "arguments")
        if reader.tree.isObject(arguments) { return arguments }
        guard reader.tree.isString(arguments) else { return nil }
        let inner = reader.document(reader.tree.string(arguments))
        return reader.tree.isObject(inner) ? inner : nil
    }

    /// `[{name, type, value}]`, Bedrock's form of named parameters.
    private func isParameterList(_ ref: JSONRef) -> Bool {
        guard reader.tree.isArray(ref), reader.tree.count(ref) > 0 else { return false }
        var child = reader.tree.first(ref)
        while child.exists {
            let hasType = reader.tree.isString(reader.tree.member(child, "type"))
            guard reader.tree.isString(reader.tree.member(child, "name")), reader.tree.member(child, "value").exists,
                reader.tree.count(child) == (hasType ? 3 : 2)
            else { return false }
            child = reader.tree.next(child)
        }
        return true
    }

    private mutating func parameterList(_ ref: JSONRef) -> MadeValue {
        let start = output.count
        var writer = FieldWriter()
        output.append(UInt8(ascii: "{"))
        var child = reader.tree.first(ref)
        while child.exists {
            let name = reader.tree.string(reader.tree.member(child, "name"))
            writer.name(name, &output)
            reader.tree.write(reader.tree.member(child, "value"), into: &output)
            child = reader.tree.next(child)
        }
        output.append(UInt8(ascii: "}"))
        return .output(.string, from: start, to: output.count)
    }

    /// What LangChain's callbacks say of a tool's start: `{input_str, inputs, tags, metadata, kwargs}`.
    private func callbackInput(_ ref: JSONRef) -> JSONRef? {
        let text = reader.tree.member(ref, "input_str")
        guard reader.tree.isString(text) else { return nil }
        let inputs = reader.tree.member(ref, "inputs")
        return reader.tree.isObject(inputs) && reader.tree.count(inputs) > 0 ? inputs : text
    }

    /// `{args, kwargs}`: the named ones, or the positional ones when there are none; a single value stands for itself.
    private func positional(_ args: JSONRef, _ kwargs: JSONRef) -> JSONRef {
        if reader.tree.count(kwargs) > 0 || reader.tree.count(args) == 0 { return kwargs }
        return reader.tree.isArray(args) && reader.tree.count(args) == 1 ? reader.tree.first(args) : args
    }

    /// `tool.parameters` holds the arguments or the schema, by emitter.
    mutating func toolParameters(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) -> Bool {
        let ref = literal(source)
        guard ref.exists else { return false }
        guard isSchema(ref) else { return offer(rule.target, toolArguments(source), rule.claim, batch) }
        return false
    }

    /// A JSON schema, or a map of parameter names to schemas.
    private func isSchema(_ ref: JSONRef) -> Bool {
        guard reader.tree.isObject(ref), reader.tree.count(ref) > 0 else { return false }
        if reader.tree.member(ref, "type").exists, reader.tree.member(ref, "properties").exists { return true }
        var child = reader.tree.first(ref)
        while child.exists {
            guard reader.tree.isObject(child), reader.tree.member(child, "type").exists else { return false }
            child = reader.tree.next(child)
        }
        return true
    }

    /// What a tool message says beside the result.
    struct ToolEnvelope {
        var result: JSONRef
        var callID = JSONRef.none
        var isError = false
    }

    /// Result of a tool call as an object, out of its message envelope; the envelope's call id and error flag fill
    /// their own attributes.
    mutating func toolResult(
        _ target: TargetID, _ source: SourceValue, _ rule: Rule?, _ batch: borrowing RecordBatch
    ) -> Bool {
        var ref = literal(source)
        if !ref.exists, source.kind == .other { ref = source.ref }
        guard ref.exists else { return offer(target, textResult(source), rule?.claim, batch) }
        let envelope = unwrapResult(ref)
        let result = envelope.result
        var value = reader.tree.isObject(result) ? json(result) : wrapped("result", .node(result))
        value.isWeak = isEmpty(.node(result))
        let accepted = offer(target, value, rule?.claim, batch)
        if accepted { reader.tree.use(result) }
        let known = tables.layout.known
        if reader.tree.isString(envelope.callID) {
            let id = reader.tree.string(envelope.callID)
            if !id.isEmpty, offer(known.toolCallID, .string(id), nil, batch) { reader.tree.use(envelope.callID) }
        }
        if envelope.isError { _ = offer(known.errorType, .string(Text("tool_error")), nil, batch) }
        return accepted
    }

    /// A result that is no document. Null and an empty text yield to every other source.
    private mutating func textResult(_ source: SourceValue) -> MadeValue {
        let text = withoutQuotes(source)
        let isNull = source.kind == .string && source.text == "null"
        var value = wrapped("result", isNull ? .none : text)
        value.isWeak = isNull || isEmpty(text)
        return value
    }

    /// A result under the current name that is null without being JSON gets the form that other nulls have.
    mutating func repairResult(_ batch: borrowing RecordBatch) {
        let target = tables.layout.known.toolResult
        guard target.exists, drafts[Int(target.value)].stamp == stamp else { return }
        let draft = draft(target, batch)
        guard draft.state == .absent, draft.origin >= 0 else { return }
        let source = source(at: Int(draft.origin), batch)
        if source.isNull { _ = toolResult(target, source, nil, batch) }
    }

    /// A text that is one JSON string stands for that string.
    mutating func withoutQuotes(_ source: SourceValue) -> SourceValue {
        guard source.kind == .string, source.text.count >= 2, source.text[0] == UInt8(ascii: "\"") else {
            return source
        }
        return .text(unquoted(source.text))
    }

    private mutating func unwrapResult(_ start: JSONRef) -> ToolEnvelope {
        var envelope = ToolEnvelope(result: start)
        for _ in 0..<8 {
            let ref = envelope.result
            if reader.tree.isString(ref) {
                let inner = reader.tree.document(in: ref)
                guard inner.exists else { return envelope }
                envelope.result = inner
            } else if reader.tree.isArray(ref) {
                guard let text = textBlock(ref) ?? toolMessage(ref) else { return envelope }
                envelope.result = text
            } else if let content = messageContent(ref, &envelope) {
                envelope.result = content
            } else {
                return envelope
            }
        }
        return envelope
    }

    /// The text of a list with one text block.
    private mutating func textBlock(_ ref: JSONRef) -> JSONRef? {
        let block = reader.tree.first(ref)
        guard reader.tree.count(ref) == 1, reader.tree.isObject(block) else { return nil }
        let json = reader.tree.member(block, "json")
        if json.exists, reader.tree.count(block) == 1 { return json }
        let text = reader.tree.member(block, "text")
        let type = reader.tree.member(block, "type")
        guard reader.tree.isString(text) else { return nil }
        // Bedrock's blocks are named by their only member.
        if !type.exists { return reader.tree.count(block) == 1 ? text : nil }
        return reader.tree.isString(type) && reader.tree.string(type) == "text" ? text : nil
    }

    /// Content of a tool message in any spelling; nil when the object is no envelope.
    private mutating func messageContent(_ ref: JSONRef, _ envelope: inout ToolEnvelope) -> JSONRef? {
        var holder = JSONRef.none
        let type = reader.tree.member(ref, "type")
        let role = reader.tree.member(ref, "role")
        let kwargs = reader.tree.member(ref, "kwargs")
        let data = reader.tree.member(ref, "data")
        if reader.tree.isObject(kwargs), reader.tree.member(ref, "lc").exists {
            holder = kwargs
        } else if reader.tree.isString(type), isToolWord(reader.tree.string(type)) {
            holder = reader.tree.isObject(data) ? data : ref
        } else if reader.tree.isString(role), isToolWord(reader.tree.string(role)) {
            holder = ref
        } else if let output = reported(ref, &envelope) {
            return output
        }
        let content = reader.tree.member(holder, "content")
        guard holder.exists, content.exists else { return nil }
        let id = reader.tree.member(holder, "tool_call_id")
        if reader.tree.isString(id) { envelope.callID = id }
        let status = reader.tree.member(holder, "status")
        if reader.tree.isString(status), reader.tree.string(status) == "error" { envelope.isError = true }
        return content
    }

    /// Results that say how they went: `{output}` with or without the callback's `kwargs`, LlamaIndex's ToolOutput,
    /// MCP's `{content, isError, structuredContent}` and the `{toolUseId, status, content}` of Bedrock and Strands.
    private mutating func reported(_ ref: JSONRef, _ envelope: inout ToolEnvelope) -> JSONRef? {
        let output = reader.tree.member(ref, "output")
        let hasKwargs = reader.tree.member(ref, "kwargs").exists
        if output.exists, reader.tree.count(ref) == (hasKwargs ? 2 : 1) { return output }
        let isError = reader.tree.member(ref, "is_error")
        let raw = reader.tree.member(ref, "raw_output")
        if raw.exists, reader.tree.member(ref, "tool_name").exists {
            if reader.tree.kind(isError) == .yes { envelope.isError = true }
            return reader.tree.kind(raw) == .null ? reader.tree.member(ref, "blocks") : raw
        }
        if let response = functionResponse(ref, &envelope) { return response }
        let content = reader.tree.member(ref, "content")
        guard reader.tree.isArray(content) else { return nil }
        let flag = reader.tree.member(ref, "isError")
        let structured = reader.tree.member(ref, "structuredContent")
        if flag.exists || structured.exists {
            if reader.tree.kind(flag) == .yes { envelope.isError = true }
            return reader.tree.isObject(structured) ? structured : content
        }
        let id = reader.tree.member(ref, "toolUseId")
        let status = reader.tree.member(ref, "status")
        guard reader.tree.isString(id) || reader.tree.isString(status) else { return nil }
        if reader.tree.isString(id) { envelope.callID = id }
        if reader.tree.isString(status), reader.tree.string(status) == "error" { envelope.isError = true }
        return content
    }

    /// Gemini's `{id, name, response}`.
    private mutating func functionResponse(_ ref: JSONRef, _ envelope: inout ToolEnvelope) -> JSONRef? {
        let response = reader.tree.member(ref, "response")
        let id = reader.tree.member(ref, "id")
        guard reader.tree.isObject(response), reader.tree.isString(reader.tree.member(ref, "name")),
            reader.tree.count(ref) == (id.exists ? 3 : 2)
        else { return nil }
        if reader.tree.isString(id) { envelope.callID = id }
        return response
    }

    private func isToolWord(_ word: Text) -> Bool { word == "tool" || word == "ToolMessage" || word == "function" }
}
