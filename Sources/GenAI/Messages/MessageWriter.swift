package import Telemetry

/// Writes messages in the semantic conventions' JSON form: `[{"role","parts":[{"type",…}],"finish_reason"?,"name"?}]`.
package enum MessageWriter {
    /// Appends the whole list. `finishReasons` maps a provider's word to the schema's.
    package static func write(
        _ list: borrowing MessageList, _ tree: inout JSONTree, finishReasons: ValueMap?, from first: Int = 0,
        to end: Int? = nil, into out: inout ByteColumn
    ) {
        out.append(UInt8(ascii: "["))
        for index in first..<max(first, end ?? list.messages.count) {
            if index > first { out.append(UInt8(ascii: ",")) }
            write(list.messages[index], list, &tree, finishReasons, into: &out)
        }
        out.append(UInt8(ascii: "]"))
    }

    /// Appends one list's parts alone, the form of system instructions.
    package static func writeParts(
        _ list: borrowing MessageList, _ tree: inout JSONTree, in range: Range<Int>? = nil, into out: inout ByteColumn
    ) {
        let range = range ?? 0..<list.parts.count
        parts(IndexRange(start: range.lowerBound, count: range.count), list, &tree, into: &out)
    }

    /// Appends one message. `isBare` leaves out what the schema has no member for.
    static func write(
        _ message: Message, _ list: borrowing MessageList, _ tree: inout JSONTree, _ finishReasons: ValueMap?,
        isBare: Bool = false, into out: inout ByteColumn
    ) {
        out.append("{\"role\":\"")
        switch message.role {
        case .system: out.append("system")
        case .user: out.append("user")
        case .assistant: out.append("assistant")
        case .tool: out.append("tool")
        case .other: JSONText.escape(message.otherRole, into: &out)
        }
        out.append("\",\"parts\":")
        parts(message.parts, list, &tree, isBare: isBare, into: &out)
        finish(message.finish, &tree, finishReasons, into: &out)
        member("name", message.name, &tree, into: &out)
        if !isBare {
            leftovers(of: message, &tree, into: &out)
        }
        out.append(UInt8(ascii: "}"))
    }

    private static func leftovers(of message: Message, _ tree: inout JSONTree, into out: inout ByteColumn) {
        let hasName = message.name.exists
        func isTaken(_ key: Text) -> Bool {
            // A reason that is none of this message would be read as one.
            key == "role" || key == "parts" || key == "finish_reason" || hasName && key == "name"
        }
        if message.origin.exists { tree.writeLeftovers(of: message.origin, into: &out, isWritten: isTaken) }
        if message.outer.exists {
            tree.writeLeftovers(of: message.outer, besides: message.origin, into: &out, isWritten: isTaken)
        }
    }

    private static func finish(
        _ finish: Fragment, _ tree: inout JSONTree, _ finishReasons: ValueMap?, into out: inout ByteColumn
    ) {
        guard finish.exists else { return }
        let text = finish.form == .plain ? finish.text : tree.string(finish.ref)
        guard !text.isEmpty else { return }
        tree.use(finish.ref)
        out.append(",\"finish_reason\":\"")
        JSONText.escape(finishReasons?.lookup(text).text ?? text, into: &out)
        out.append("\"")
    }

    private static func parts(
        _ range: IndexRange, _ list: borrowing MessageList, _ tree: inout JSONTree, isBare: Bool = false,
        into out: inout ByteColumn
    ) {
        out.append(UInt8(ascii: "["))
        for index in range.range {
            if index > range.range.lowerBound { out.append(UInt8(ascii: ",")) }
            let part = list.parts[index]
            if part.kind == .generic {
                generic(part, &tree, into: &out)
                continue
            }
            members(of: part, &tree, into: &out)
            if !isBare { leftovers(of: part, &tree, into: &out) }
            out.append(UInt8(ascii: "}"))
        }
        out.append(UInt8(ascii: "]"))
    }

    /// What stood beside the members that the schema names, under names that are not taken.
    private static func leftovers(of part: MessagePart, _ tree: inout JSONTree, into out: inout ByteColumn) {
        if part.origin.exists { tree.writeLeftovers(of: part.origin, into: &out) { key in isTaken(key, part) } }
        if part.outer.exists {
            // Both may say the same name, and the first one has it then.
            let origin = part.origin
            tree.writeLeftovers(of: part.outer, besides: origin, into: &out) { key in isTaken(key, part) }
        }
    }

    private static func isTaken(_ key: Text, _ part: MessagePart) -> Bool {
        if key == "type" { return true }
        if key == "id" { return part.id.exists }
        if key == "name" { return part.name.exists || part.kind == .toolCall }
        switch part.kind {
        case .text, .reasoning, .refusal, .compaction: return key == "content"
        case .toolCall: return key == "arguments"
        case .toolResponse: return key == "response"
        case .blob: return key == "content" || key == "modality" || key == "mime_type"
        case .uri: return key == "uri" || key == "modality" || key == "mime_type"
        case .file: return key == "file_id" || key == "modality" || key == "mime_type"
        case .serverToolCall: return key == "server_tool_call"
        case .serverToolResponse: return key == "server_tool_call_response"
        case .generic: return true
        }
    }

    /// A part of the schema without its closing brace.
    private static func members(of part: MessagePart, _ tree: inout JSONTree, into out: inout ByteColumn) {
        switch part.kind {
        case .text: open("text", into: &out)
        case .reasoning: open("reasoning", into: &out)
        case .refusal: open("refusal", into: &out)
        case .compaction: open("compaction", into: &out)
        case .toolCall: return toolCall(part, &tree, into: &out)
        case .toolResponse: return toolResponse(part, &tree, into: &out)
        case .blob: return media("blob", "content", part, &tree, into: &out)
        case .uri: return media("uri", "uri", part, &tree, into: &out)
        case .file: return media("file", "file_id", part, &tree, into: &out)
        case .serverToolCall: return serverTool("server_tool_call", part, &tree, into: &out)
        case .serverToolResponse: return serverTool("server_tool_call_response", part, &tree, into: &out)
        case .generic: return
        }
        member("id", part.id, &tree, into: &out)
        out.append(",\"content\":")
        if part.body.exists { text(part.body, &tree, into: &out) } else { out.append("\"\"") }
    }

    /// A text is a string; a document that a source holds in its place is written as its JSON.
    private static func text(_ fragment: Fragment, _ tree: inout JSONTree, into out: inout ByteColumn) {
        guard fragment.form == .value, tree.isObject(fragment.ref) || tree.isArray(fragment.ref) else {
            return value(fragment, &tree, into: &out)
        }
        tree.use(fragment.ref)
        var json = ByteColumn()
        tree.write(fragment.ref, into: &json)
        out.append(UInt8(ascii: "\""))
        JSONText.escape(json.text, into: &out)
        out.append(UInt8(ascii: "\""))
    }

    private static func open(_ type: StaticString, into out: inout ByteColumn) {
        out.append("{\"type\":\"")
        out.append(type)
        out.append(UInt8(ascii: "\""))
    }

    private static func toolCall(_ part: MessagePart, _ tree: inout JSONTree, into out: inout ByteColumn) {
        open("tool_call", into: &out)
        member("id", part.id, &tree, into: &out)
        out.append(",\"name\":")
        if part.name.exists { value(part.name, &tree, into: &out) } else { out.append("\"\"") }
        if part.body.exists {
            out.append(",\"arguments\":")
            unwrapped(part.body, &tree, into: &out)
        }
    }

    private static func toolResponse(_ part: MessagePart, _ tree: inout JSONTree, into out: inout ByteColumn) {
        open("tool_call_response", into: &out)
        member("id", part.id, &tree, into: &out)
        member("name", part.name, &tree, into: &out)
        out.append(",\"response\":")
        if part.body.exists { value(part.body, &tree, into: &out) } else { out.append("null") }
    }

    private static func media(
        _ type: StaticString, _ field: StaticString, _ part: MessagePart, _ tree: inout JSONTree,
        into out: inout ByteColumn
    ) {
        open(type, into: &out)
        out.append(",\"modality\":\"")
        switch part.modality {
        case .image: out.append("image")
        case .audio: out.append("audio")
        case .video: out.append("video")
        case .document: out.append("document")
        }
        out.append("\"")
        member("mime_type", part.mime, &tree, into: &out)
        out.append(",\"")
        out.append(field)
        out.append("\":")
        if part.body.exists { value(part.body, &tree, into: &out) } else { out.append("\"\"") }
    }

    private static func serverTool(
        _ type: StaticString, _ part: MessagePart, _ tree: inout JSONTree, into out: inout ByteColumn
    ) {
        open(type, into: &out)
        member("id", part.id, &tree, into: &out)
        member("name", part.name, &tree, into: &out)
        out.append(",\"")
        out.append(type)
        out.append("\":")
        value(part.body, &tree, into: &out)
    }

    /// An object with a type of its own goes through as it is; anything else is wrapped, also what has one of the
    /// schema's types without the members for it.
    private static func generic(_ part: MessagePart, _ tree: inout JSONTree, into out: inout ByteColumn) {
        let type = part.body.form == .value ? tree.member(part.body.ref, "type") : .none
        if tree.isString(type), MessageShape.isPart(part.body.ref, tree[type].text, tree) {
            tree.use(part.body.ref)
            tree.write(part.body.ref, into: &out)
            return
        }
        open("unknown", into: &out)
        out.append(",\"content\":")
        value(part.body, &tree, into: &out)
        out.append(UInt8(ascii: "}"))
    }

    /// A JSON document inside a string is written as the value it stands for, so arguments are an object.
    private static func unwrapped(_ fragment: Fragment, _ tree: inout JSONTree, into out: inout ByteColumn) {
        let isText = fragment.form == .plain || tree.isString(fragment.ref)
        guard isText else { return value(fragment, &tree, into: &out) }
        tree.use(fragment.ref)
        let inner = fragment.form == .plain ? tree.parseContainer(fragment.text) : tree.container(in: fragment.ref)
        if inner.exists { tree.write(inner, into: &out) } else { value(fragment, &tree, into: &out) }
    }

    private static func member(
        _ name: StaticString, _ fragment: Fragment, _ tree: inout JSONTree, into out: inout ByteColumn
    ) {
        guard fragment.exists, !(fragment.form == .value && tree.kind(fragment.ref) == .null) else { return }
        out.append(",\"")
        out.append(name)
        out.append("\":")
        value(fragment, &tree, into: &out)
    }

    static func value(_ fragment: Fragment, _ tree: inout JSONTree, into out: inout ByteColumn) {
        switch fragment.form {
        case .none: out.append("null")
        case .plain:
            out.append(UInt8(ascii: "\""))
            JSONText.escape(fragment.text, into: &out)
            out.append(UInt8(ascii: "\""))
        case .value:
            tree.use(fragment.ref)
            tree.write(fragment.ref, into: &out)
        }
    }
}
