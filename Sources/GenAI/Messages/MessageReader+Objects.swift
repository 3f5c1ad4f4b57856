import Telemetry

extension MessageReader {
    /// One object: a message, an item of a response, or something that holds messages.
    mutating func object(_ ref: JSONRef, _ depth: Int) {
        let fields = MessageFields(ref, tree)
        if fields.kwargs.exists, tree.isObject(fields.kwargs), tree.isArray(fields.id) {
            return constructor(ref, fields, depth)
        }
        if tree.isString(fields.role) { return message(ref, fields, role: tree.string(fields.role), depth) }
        if isFunctionCall(ref) { return call(ref, fields) }
        if tree.isString(fields.eventName), event(ref, fields, depth) { return }
        if tree.isString(fields.type), typed(ref, fields, depth) { return }
        if callDump(ref, depth) { return }
        if tree.isString(fields.raw), tree.member(ref, "json_dict").exists || tree.member(ref, "pydantic").exists {
            return addText(.value(fields.raw), role: defaultRole)
        }
        if wrapper(ref, fields, depth) { return }
        if tree.isString(fields.source), fields.content.exists { return authored(ref, fields, depth) }
        if fields.parts.exists || fields.content.exists || fields.toolCalls.exists || fields.reasoning.exists
            || tree.isString(fields.completion)
        {
            return message(ref, fields, role: .empty, depth)
        }
        if isCall(fields) { return call(ref, fields) }
        if fields.text.exists { return textLike(ref, fields, depth) }
        if inputOutput(fields, depth) { return }
        if wrappedBlock(ref) != nil {
            let start = list.parts.count
            block(ref, depth + 1)
            return list.close(role: defaultRole, from: start)
        }
        if fields.system.exists { return }
        guard tree.count(ref) > 0 else { return }
        addJSON(ref)
    }

    /// `{args, kwargs}` of a decorated function: the only value that was handed in, the list of messages among them, or
    /// else the only text.
    private mutating func callDump(_ ref: JSONRef, _ depth: Int) -> Bool {
        let args = tree.member(ref, "args")
        let kwargs = tree.member(ref, "kwargs")
        guard tree.count(ref) == 2, tree.isArray(args), tree.isObject(kwargs) else { return false }
        let count = tree.count(args) + tree.count(kwargs)
        if count == 0 { return true }
        var chosen = tree.count(args) > 0 ? tree.first(args) : tree.first(kwargs)
        if count > 1 {
            chosen = messages(among: args, kwargs)
            if !chosen.exists, tree.count(args) == 0 { chosen = kwargs }
        }
        guard chosen.exists else { return false }
        value(chosen, depth + 1)
        return true
    }

    /// The first list of messages, or what holds one as `messages`; without any, the text if there is only one.
    private func messages(among args: JSONRef, _ kwargs: JSONRef) -> JSONRef {
        var text = JSONRef.none
        var texts = 0
        for holder in [args, kwargs] {
            var child = tree.first(holder)
            while child.exists {
                if tree.isString(child), !tree[child].text.isEmpty {
                    text = child
                    texts += 1
                }
                let first = tree.first(child)
                if tree.isArray(child), tree.isObject(first), tree.member(first, "role").exists { return child }
                if tree.isArray(tree.member(child, "messages")) { return child }
                child = tree.next(child)
            }
        }
        return texts == 1 ? text : .none
    }

    /// AutoGen's messages: `{source, type: "TextMessage", content}`, calls and results as lists.
    private mutating func authored(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) {
        let isUser = tree.string(fields.source) == "user"
        message(ref, fields, role: isUser ? Text("user") : Text("assistant"), depth)
    }

    /// What has no known shape is kept as text.
    private mutating func addJSON(_ ref: JSONRef) {
        var out = ByteColumn()
        tree.write(ref, into: &out)
        tree.use(ref)
        addText(.plain(tree.arena.copy(out.text)), role: defaultRole)
    }

    /// Members that hold messages one level down.
    private mutating func wrapper(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) -> Bool {
        if fields.lastMessage.exists, defaultRole == .assistant {
            value(fields.lastMessage, depth + 1)
            return true
        }
        if fields.list.exists {
            if fields.system.exists { system = .value(fields.system) }
            value(fields.list, depth + 1)
            return true
        }
        if fields.message.exists {
            return choice(ref, fields, depth)
        }
        if tree.isObject(fields.update) {
            value(fields.update, depth + 1)
            return true
        }
        if tree.isObject(fields.content), !fields.toolCalls.exists {
            return choice(ref, fields, depth)
        }
        if tree.isObject(fields.data), !fields.type.exists {
            value(fields.data, depth + 1)
            return true
        }
        return false
    }

    /// `{index, message, finish_reason}`, `{text, message, generation_info}`, `{content: {role, parts},
    /// finish_reason}`.
    private mutating func choice(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) -> Bool {
        let before = list.messages.count
        let inner = fields.message.exists ? fields.message : fields.content
        value(inner, depth + 1)
        list.surround(by: ref, since: before)
        useRepeated(fields, before, tree.member(ref, "index"))
        if list.messages.count > before, fields.finish.exists {
            let last = list.messages.count - 1
            if !list.messages[last].finish.exists { list.messages[last].finish = .value(fields.finish) }
        }
        return true
    }

    /// A choice's place in the list is where it stands, and its text is often its message's once more.
    private mutating func useRepeated(_ fields: MessageFields, _ before: Int, _ index: JSONRef) {
        guard list.messages.count == before + 1 else { return }
        if tree.kind(index) == .number, Number.integer(tree.string(index)) == Int64(before) { tree.use(index) }
        let parts = list.messages[before].parts.range
        guard fields.message.exists, tree.isString(fields.text), !parts.isEmpty else { return }
        let part = list.parts[parts.lowerBound]
        if part.kind == .text, text(part.body) == tree.string(fields.text) { tree.use(fields.text) }
    }

    /// A LangChain dump: `{lc, type: "constructor", id: [..., "HumanMessage"], kwargs: {...}}`.
    private mutating func constructor(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) {
        let className = tree.string(tree.element(fields.id, tree.count(fields.id) - 1))
        let inner = MessageFields(fields.kwargs, tree)
        let role: Text
        if messageRole(className) != nil {
            role = className
        } else if inner.type.exists {
            role = tree.string(inner.type)
        } else {
            return value(fields.kwargs, depth + 1)
        }
        let before = list.messages.count
        message(fields.kwargs, inner, role: role, depth)
        tree.use(ref, "lc")
        tree.use(fields.type)
        tree.use(fields.id)
        list.surround(by: ref, since: before)
    }

    /// Objects whose type says what they are. False when the type says nothing.
    private mutating func typed(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) -> Bool {
        let type = tree.string(fields.type)
        if messageRole(type) != nil {
            if tree.isObject(fields.data) {
                let before = list.messages.count
                message(fields.data, MessageFields(fields.data, tree), role: type, depth)
                tree.use(fields.type)
                list.surround(by: ref, since: before)
            } else {
                message(ref, fields, role: type, depth)
            }
            return true
        }
        switch BlockType(type) {
        case .unknown: return false
        case .toolCall, .toolResponse, .reasoning, .serverToolCall, .serverToolResponse, .compaction, .text, .refusal,
            .image, .audio, .video, .document, .binary:
            let start = list.parts.count
            block(ref, depth + 1)
            let isAssistant = list.parts.count > start && list.parts[start].kind != .text
            list.close(role: isAssistant ? .assistant : defaultRole, from: start)
            return true
        }
    }

    /// An element of an event list: `{event.name: "gen_ai.user.message", role?, content, ...}` or a choice.
    private mutating func event(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) -> Bool {
        let name = tree.string(fields.eventName)
        if name == "gen_ai.choice" {
            guard fields.message.exists else { return false }
            tree.use(fields.eventName)
            return choice(ref, fields, depth)
        }
        guard name.hasPrefix("gen_ai."), name.hasSuffix(Text(".message")) else { return false }
        message(ref, fields, role: name[7..<name.count - 8], depth)
        return true
    }

    /// `{input: ...}` and `{output: ...}` of requests, responses and run dumps.
    private mutating func inputOutput(_ fields: MessageFields, _ depth: Int) -> Bool {
        let isAnswer = defaultRole == .assistant
        let ref = isAnswer && fields.output.exists ? fields.output : fields.input.exists ? fields.input : fields.output
        if fields.system.exists && (ref.exists || fields.prompt.exists) { system = .value(fields.system) }
        if ref.exists {
            value(ref, depth + 1)
            return true
        }
        let asked = fields.prompt.exists ? fields.prompt : tree.isString(fields.task) ? fields.task : .none
        guard asked.exists else { return false }
        value(asked, depth + 1)
        return true
    }

    private mutating func textLike(_ ref: JSONRef, _ fields: MessageFields, _ depth: Int) {
        let start = list.parts.count
        content(fields.text, depth + 1)
        list.close(role: defaultRole, finish: .value(fields.finish), from: start, origin: ref)
    }

    /// A bare call: OpenAI's `{name, arguments}` or `{id, function: {...}}`.
    private func isCall(_ fields: MessageFields) -> Bool {
        fields.name.exists && fields.arguments.exists
    }

    private mutating func call(_ ref: JSONRef, _ fields: MessageFields) {
        let start = list.parts.count
        addCall(ref)
        list.close(role: .assistant, from: start)
    }

    /// One message. `role` is the source's word, empty when it has none.
    mutating func message(_ ref: JSONRef, _ fields: MessageFields, role word: Text, _ depth: Int) {
        let role = word.isEmpty ? defaultRole : messageRole(word) ?? .other
        if role == .tool, isDefinition(fields.content) { return definitions.append(fields.content) }
        let start = list.parts.count
        tree.use(fields.role)
        if tree.isString(fields.eventName), tree.string(fields.eventName).hasPrefix("gen_ai.") {
            tree.use(fields.eventName)
        }
        if tree.isString(fields.type), messageRole(tree.string(fields.type)) != nil || isMessageWord(fields.type) {
            tree.use(fields.type)
        }
        if fields.reasoning.exists { addReasoning(fields.reasoning) }
        let callID = fields.toolCallID.exists ? fields.toolCallID : role == .tool ? fields.id : .none
        let isSemconv = fields.parts.exists
        if role == .tool && !isSemconv && !holdsResponses(fields.content) {
            var part = MessagePart(.toolResponse, body: .value(toolContent(fields.content)))
            part.id = .value(callID)
            part.name = .value(fields.name)
            list.parts.append(part)
        } else {
            content(isSemconv ? fields.parts : fields.content, depth + 1)
            if !isSemconv && !fields.content.exists {
                content(fields.text.exists ? fields.text : fields.completion, depth + 1)
            }
        }
        if fields.refusal.exists { list.parts.append(MessagePart(.refusal, body: .value(fields.refusal))) }
        addCalls(fields.toolCalls, start)
        addCalls(fields.invalidToolCalls, start)
        let raw = tree.member(fields.additional, "tool_calls")
        if tree.count(fields.toolCalls) == 0 { addCalls(raw, start) } else { useKnown(raw, start) }
        if fields.functionCall.exists, tree.isObject(fields.functionCall) { addCall(fields.functionCall) }
        let finish = fields.finish.exists ? fields.finish : tree.member(fields.meta, "finish_reason")
        list.close(
            role: role, otherRole: word, name: role == .tool ? .none : .value(fields.name), finish: .value(finish),
            from: start, origin: ref)
    }

    /// The type of what is nothing but a message.
    private mutating func isMessageWord(_ type: JSONRef) -> Bool { tree.string(type) == "message" }

    /// Whether what stands in a tool message is what the model may call: Langfuse's callback puts the tools of a call
    /// behind its messages.
    private func isDefinition(_ content: JSONRef) -> Bool {
        let function = tree.member(content, "function")
        return tree.isString(tree.member(function, "name")) && !tree.member(function, "arguments").exists
            && (tree.member(function, "parameters").exists || tree.member(function, "description").exists)
    }

    /// Whether tool content is already made of response blocks.
    private mutating func holdsResponses(_ content: JSONRef) -> Bool {
        let first = tree.first(content)
        guard tree.isArray(content), tree.isObject(first) else { return false }
        let type = tree.member(first, "type")
        if type.exists { return BlockType(tree.string(type)) == .toolResponse }
        return wrappedBlock(first) == .toolResponse
    }

    /// What a tool answered, out of the blocks that a provider or an SDK puts around it: the one form in which all
    /// dialects' responses arrive. Several blocks stay a list.
    mutating func toolContent(_ content: JSONRef) -> JSONRef {
        if let value = typedOutput(content) { return value }
        guard tree.isArray(content), tree.count(content) == 1 else { return content }
        let block = tree.first(content)
        guard tree.isObject(block) else { return content }
        // Bedrock's block is named by its only member.
        let json = tree.member(block, "json")
        if json.exists, tree.count(block) == 1 { return json }
        guard tree.isString(tree.member(block, "text")), tree.count(block) <= 3 else { return content }
        tree.use(block, "type")
        return tree.member(block, "text")
    }

    /// `{type, value}` of the Vercel AI SDK.
    private mutating func typedOutput(_ content: JSONRef) -> JSONRef? {
        let value = tree.member(content, "value")
        let type = tree.member(content, "type")
        guard tree.isObject(content), tree.count(content) == 2, value.exists, tree.isString(type) else { return nil }
        let word = tree.string(type)
        // That it is an error is said by the type alone, so it stays.
        if word == "text" || word == "json" { tree.use(type) }
        return word == "text" || word == "json" || word == "error-text" || word == "error-json" ? value : nil
    }
}
