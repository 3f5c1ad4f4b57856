import Telemetry

/// What the `type` of a content block means, over all providers.
enum BlockType: UInt8 {
    case unknown, text, reasoning, refusal, toolCall, toolResponse, image, audio, video, document, binary
    case serverToolCall, serverToolResponse, compaction

    init(_ type: Text) {
        self = BlockType.named(type)
    }

    private static func named(_ type: Text) -> BlockType {
        if type == "text" || type == "input_text" || type == "output_text" { return .text }
        if type == "tool_call" || type == "tool_use" || type == "tool-call" || type == "function_call"
            || type == "function"
        {
            return .toolCall
        }
        if type == "tool_call_response" || type == "tool_result" || type == "tool-result"
            || type == "function_call_output" || type == "toolresult"
        {
            return .toolResponse
        }
        if type == "reasoning" || type == "thinking" || type == "redacted_thinking" { return .reasoning }
        if type == "image" || type == "image_url" || type == "input_image" || type == "image-url" { return .image }
        if type == "audio" || type == "audio_url" || type == "input_audio" || type == "audio-url" { return .audio }
        if type == "video" || type == "video_url" || type == "video-url" { return .video }
        if type == "file" || type == "input_file" || type == "document" || type == "document-url" { return .document }
        if type == "binary" || type == "blob" || type == "uri" { return .binary }
        if type == "refusal" { return .refusal }
        if type == "compaction" { return .compaction }
        if type == "server_tool_use" || type == "server_tool_call" || type == "web_search_call"
            || type == "file_search_call" || type == "code_interpreter_call" || type == "computer_call"
        {
            return .serverToolCall
        }
        if type == "server_tool_call_response" || type.hasSuffix(Text("_tool_result")) { return .serverToolResponse }
        return .unknown
    }
}

extension MessageReader {
    /// Content of a message: text, one block, or a list of blocks.
    mutating func content(_ ref: JSONRef, _ depth: Int) {
        guard depth < 32, let kind = tree.kind(ref) else { return }
        switch kind {
        case .string:
            let text = tree[ref].text
            if !text.isEmpty { list.parts.append(MessagePart(.text, body: .value(ref))) }
        case .array:
            var child = tree.first(ref)
            while child.exists {
                block(child, depth + 1)
                child = tree.next(child)
            }
        case .object: block(ref, depth + 1)
        case .number, .yes, .no:
            list.parts.append(MessagePart(.text, body: .plain(tree.string(ref))))
            tree.use(ref)
        case .null: return
        }
    }

    /// One content block.
    mutating func block(_ ref: JSONRef, _ depth: Int) {
        guard tree.isObject(ref) else { return content(ref, depth) }
        let type = either(ref, "type", "block_type")
        let before = list.parts.count
        if tree.isString(type) {
            typedBlock(ref, type, depth)
        } else {
            untyped(ref, depth)
        }
        list.hold(ref, since: before)
    }

    private mutating func typedBlock(_ ref: JSONRef, _ type: JSONRef, _ depth: Int) {
        let kind = BlockType(tree.string(type))
        if kind != .unknown { tree.use(type) }
        switch kind {
        case .text:
            let body = plainText(either(ref, "content", "text"))
            // A text of nothing says nothing: an answer without parts stays visible as such.
            if tree.isString(body), tree[body].text.isEmpty { return }
            list.parts.append(MessagePart(.text, body: .value(body)))
        case .reasoning: addReasoning(ref)
        case .refusal: list.parts.append(MessagePart(.refusal, body: .value(either(ref, "refusal", "content"))))
        case .compaction:
            var part = MessagePart(.compaction, body: .value(tree.member(ref, "content")))
            part.id = .value(tree.member(ref, "id"))
            list.parts.append(part)
        case .toolCall: addCall(ref)
        case .toolResponse: addResponse(ref)
        case .serverToolCall: addServerTool(ref, .serverToolCall, "server_tool_call")
        case .serverToolResponse: addServerTool(ref, .serverToolResponse, "server_tool_call_response")
        case .image: addMedia(ref, .image)
        case .audio: addMedia(ref, .audio)
        case .video: addMedia(ref, .video)
        case .document: addMedia(ref, modality(of: ref))
        case .binary: addMedia(ref, modality(of: ref))
        case .unknown:
            // Items of a response among calls: the message is part of the same answer.
            let inner = tree.member(ref, "content")
            if tree.string(type) == "message", tree.isArray(inner) {
                tree.use(type)
                let role = tree.member(ref, "role")
                if tree.isString(role), messageRole(tree.string(role)) == .assistant { tree.use(role) }
                return content(inner, depth + 1)
            }
            list.parts.append(MessagePart(.generic, body: .value(ref)))
        }
    }

    /// A block that names no type: Bedrock's, Gemini's, or AutoGen's bare calls and results.
    private mutating func untyped(_ ref: JSONRef, _ depth: Int) {
        if wrapped(ref, depth) { return }
        if tree.isString(tree.member(ref, "name")), tree.member(ref, "arguments").exists { return addCall(ref) }
        if isFunctionCall(ref) { return addCall(ref) }
        if tree.isString(tree.member(ref, "call_id")), tree.member(ref, "content").exists { return addResponse(ref) }
        list.parts.append(MessagePart(.generic, body: .value(ref)))
    }

    /// First of two members that is there.
    func either(_ ref: JSONRef, _ first: StaticString, _ second: StaticString) -> JSONRef {
        let one = tree.member(ref, first)
        return one.exists ? one : tree.member(ref, second)
    }

    mutating func addReasoning(_ ref: JSONRef) {
        guard tree.isObject(ref) else { return addThought(ref) }
        var body = either(ref, "content", "thinking")
        if !body.exists { body = either(ref, "text", "data") }
        if body.exists { return addThought(body) }
        var summary = tree.first(tree.member(ref, "summary"))
        while summary.exists {
            tree.use(summary, "type")
            addThought(tree.isObject(summary) ? tree.member(summary, "text") : summary)
            summary = tree.next(summary)
        }
    }

    private mutating func addThought(_ body: JSONRef) {
        guard body.exists, tree.kind(body) != .null, !(tree.isString(body) && tree[body].text.isEmpty) else { return }
        list.parts.append(MessagePart(.reasoning, body: .value(body)))
    }

    /// Calls of a list. A call whose id was already written since `start` is the same one in a second spelling.
    mutating func addCalls(_ ref: JSONRef, _ start: Int) {
        guard tree.isArray(ref) else { return }
        let end = list.parts.count
        var child = tree.first(ref)
        while child.exists {
            if let known = known(child, start, end) {
                useTwin(child, of: known)
            } else {
                let before = list.parts.count
                addCall(child)
                list.hold(child, since: before)
            }
            child = tree.next(child)
        }
    }

    /// Calls that say in the provider's spelling what was read already.
    mutating func useKnown(_ ref: JSONRef, _ start: Int) {
        guard tree.isArray(ref) else { return }
        var child = tree.first(ref)
        while child.exists {
            if let known = known(child, start, list.parts.count) { useTwin(child, of: known) }
            child = tree.next(child)
        }
    }

    /// The part since `start` that has a call's id.
    private mutating func known(_ call: JSONRef, _ start: Int, _ end: Int) -> Int? {
        let id = tree.member(call, "id")
        guard tree.isString(id) else { return nil }
        let text = tree.string(id)
        for index in start..<min(end, start + MessageReader.twinsMax) where list.parts[index].kind == .toolCall {
            let known = list.parts[index].id
            if known.form == .value, tree.isString(known.ref), tree.string(known.ref) == text { return index }
        }
        return nil
    }

    /// A call that was read already: what it says otherwise is kept on the part.
    private mutating func useTwin(_ ref: JSONRef, of index: Int) {
        let start = list.parts.count
        addCall(ref)
        let twin = list.parts[start]
        list.parts.truncate(to: start)
        let part = list.parts[index]
        tree.use(twin.id.ref)
        if text(twin.name) == text(part.name) { tree.use(twin.name.ref) }
        if isSame(twin.body, part.body) { tree.use(twin.body.ref) }
        if !part.outer.exists { list.parts[index].outer = ref }
    }

    /// Whether two calls have the same arguments, each as a document or in a text.
    private mutating func isSame(_ left: Fragment, _ right: Fragment) -> Bool {
        guard left.form == .value, right.form == .value else { return left.form == right.form }
        var one = ByteColumn()
        var other = ByteColumn()
        written(left.ref, &one)
        written(right.ref, &other)
        return one.text == other.text
    }

    /// A document without its spaces between tokens, as far as numbers and texts are spelled alike.
    private mutating func written(_ ref: JSONRef, _ out: inout ByteColumn) {
        let inner = tree.container(in: ref)
        tree.writePlain(inner.exists ? inner : ref, into: &out)
    }

    /// A tool call in any spelling; `function` may hold name and arguments.
    mutating func addCall(_ ref: JSONRef) {
        var part = MessagePart(.toolCall)
        useCallWord(tree.member(ref, "type"))
        let function = tree.member(ref, "function")
        let holder = tree.isObject(function) ? function : ref
        var id = either(ref, "id", "call_id")
        if tree.isString(tree.member(ref, "call_id")) { id = tree.member(ref, "call_id") }
        if !id.exists { id = either(ref, "toolCallId", "toolUseId") }
        if !id.exists { id = either(ref, "tool_call_id", "ref") }
        var name = either(holder, "name", "toolName")
        if !name.exists { name = tree.member(holder, "tool_name") }
        var arguments = either(holder, "arguments", "args")
        if !arguments.exists { arguments = tree.member(holder, "input") }
        if !arguments.exists { arguments = either(holder, "parameters", "tool_kwargs") }
        part.id = .value(id)
        part.name = .value(name)
        part.body = tree.kind(arguments) == .null ? .none : .value(arguments)
        list.parts.append(part)
    }

    private mutating func useCallWord(_ type: JSONRef) {
        if tree.isString(type), BlockType(tree.string(type)) == .toolCall { tree.use(type) }
    }

    /// The text of an Assistants message, which is an object with its annotations.
    func plainText(_ ref: JSONRef) -> JSONRef {
        let value = tree.member(ref, "value")
        return tree.isString(value) ? value : ref
    }

    /// A tool result in any spelling.
    mutating func addResponse(_ ref: JSONRef) {
        var id = either(ref, "tool_use_id", "tool_call_id")
        if !id.exists { id = either(ref, "toolCallId", "toolUseId") }
        if !id.exists { id = either(ref, "call_id", "id") }
        if !id.exists { id = either(ref, "ref", "origin") }
        if tree.isObject(id) { id = tree.member(id, "id") }
        var body = either(ref, "response", "result")
        if !body.exists { body = either(ref, "output", "content") }
        var part = MessagePart(.toolResponse, body: .value(toolContent(body)))
        part.id = .value(id)
        part.name = .value(either(ref, "name", "toolName"))
        list.parts.append(part)
    }

    private mutating func addServerTool(_ ref: JSONRef, _ kind: PartKind, _ member: StaticString) {
        let inner = tree.member(ref, member)
        var part = MessagePart(kind, body: .value(inner.exists ? inner : ref))
        part.id = .value(either(ref, "id", "tool_use_id"))
        part.name = .value(tree.member(ref, "name"))
        list.parts.append(part)
    }
}
