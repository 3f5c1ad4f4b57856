import Telemetry

/// What frameworks and protocols put around the result of a tool.
extension TraceAnalyzer {
    private static let wrappers: [StaticString] = [
        "result", "output", "content", "response", "value", "data", "return_value", "returnValue", "text", "results",
        "items", "records", "rows", "structuredContent", "json", "toolResult", "tool_result", "tool_output",
        "tool_call_result", "function_response", "functionResponse", "functionResult", "observation", "return",
    ]

    /// Members beside `content` that make an object a tool's message.
    private static let messageMarks: [StaticString] = [
        "tool_call_id", "toolCallId", "call_id", "toolUseId", "tool_use_id", "isError", "is_error",
        "structuredContent", "tool_name",
    ]

    /// Takes wrappers off a result: an object with one member, a list of one text block, a tool message. An error flag
    /// on the way is noted in the call.
    mutating func unwrap(_ source: JSONRef, _ call: inout ToolCall) -> JSONRef {
        var ref = source
        for _ in 0..<8 {
            guard let kind = tree.kind(ref) else { return ref }
            if kind == .object {
                let inner = wrapped(ref, &call)
                if !inner.exists { return ref }
                ref = inner
            } else if kind == .array, tree.count(ref) == 1 {
                let inner = block(tree.first(ref))
                if !inner.exists { return ref }
                ref = inner
            } else if kind == .string {
                let text = tree.string(ref).trimmed
                let inner = tree.parseContainer(text)
                if !inner.exists { return ref }
                ref = inner
            } else {
                return ref
            }
        }
        return ref
    }

    /// What a content block holds: `{"type": "text", "text": …}`, `{"text": …}`, `{"json": …}`.
    private func block(_ block: JSONRef) -> JSONRef {
        guard tree.isObject(block) else { return .none }
        let text = tree.member(block, "text")
        if tree.isString(text) {
            let isTyped = tree.member(block, "type").exists || tree.member(block, "block_type").exists
            return isTyped || tree.count(block) == 1 ? text : .none
        }
        let json = tree.member(block, "json")
        return json.exists && tree.count(block) == 1 ? json : .none
    }

    /// The value inside a wrapping object, none when the object is the result itself.
    private mutating func wrapped(_ object: JSONRef, _ call: inout ToolCall) -> JSONRef {
        if tree.count(object) == 1 {
            let only = tree.first(object)
            for name in TraceAnalyzer.wrappers where tree[only].key == Text(name) { return only }
            return .none
        }
        if let inner = serialized(object, &call) { return inner }
        let content = tree.member(object, "content")
        guard content.exists || tree.member(object, "blocks").exists else { return .none }
        let role = tree.string(tree.member(object, "role"))
        let type = tree.string(tree.member(object, "type"))
        let isMessage =
            role == "tool" || type == "tool" || type == "tool_result" || type == "ToolMessage"
            || TraceAnalyzer.messageMarks.contains { tree.member(object, $0).exists }
        guard isMessage else { return .none }
        noteError(object, &call)
        // What the function gave back says more than the text that was made of it.
        let raw = tree.member(object, "raw_output")
        if raw.exists, tree.kind(raw) != .null { return raw }
        return content.exists ? content : tree.member(object, "blocks")
    }

    /// A message as libraries store it: `{"type": "constructor", "kwargs": …}`, `{"type": "tool", "data": …}`,
    /// `{"type": "json", "value": …}`.
    private mutating func serialized(_ object: JSONRef, _ call: inout ToolCall) -> JSONRef? {
        let type = tree.string(tree.member(object, "type"))
        if type == "constructor", tree.member(object, "lc").exists {
            let kwargs = tree.member(object, "kwargs")
            return tree.isObject(kwargs) ? kwargs : nil
        }
        if type == "tool" || type == "ToolMessage" {
            let data = tree.member(object, "data")
            if tree.isObject(data) { return data }
        }
        guard tree.count(object) == 2 else { return nil }
        let value = tree.member(object, "value")
        guard value.exists else { return nil }
        if type == "error-text" || type == "error-json" { call.isMarkedError = true }
        return type == "json" || type == "text" || type == "content" || call.isMarkedError ? value : nil
    }

    private mutating func noteError(_ object: JSONRef, _ call: inout ToolCall) {
        for name: StaticString in ["isError", "is_error"] where tree.kind(tree.member(object, name)) == .yes {
            call.isMarkedError = true
        }
        if tree.string(tree.member(object, "status")) == "error" { call.isMarkedError = true }
    }

    // MARK: Python

    /// The content of a message that was written as Python's repr: `content='[]' name='…' tool_call_id='…'`,
    /// `ToolMessage(content='…')`, `meta=None content=[TextContent(type='text', text='…')] isError=False`.
    mutating func reprContent(_ text: Text, _ call: inout ToolCall) -> Text? {
        guard let place = text.capped(96).place(of: Text("content=")) else { return nil }
        let before = place == 0 ? UInt8(ascii: "(") : text[place - 1]
        let isMessage =
            text.holds("tool_call_id=") || text.holds("textcontent(") || text.holds("iserror=")
            || text.holds("is_error=") || before == UInt8(ascii: "(")
        guard before == UInt8(ascii: "(") || before == UInt8(ascii: " "), isMessage else { return nil }
        let start = place + "content=".utf8.count
        var found = tree.pythonString(in: text, at: start)
        if found == nil, start < text.count, text[start] == UInt8(ascii: "[") {
            if let inner = text.place(of: Text("text="), from: start) {
                found = tree.pythonString(in: text, at: inner + "text=".utf8.count)
            } else if start + 1 < text.count, text[start + 1] == UInt8(ascii: "]") {
                found = Text("[]")
            }
        }
        guard let found else { return nil }
        if text.holds("iserror=true") || text.holds("is_error=true") || text.holds("status='error'") {
            call.isMarkedError = true
        }
        return found
    }
}
