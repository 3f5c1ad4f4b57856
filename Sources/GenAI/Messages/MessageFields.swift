import Telemetry

/// The members of an object that any message format uses, collected in one walk over the object.
struct MessageFields {
    var role = JSONRef.none
    var type = JSONRef.none
    var content = JSONRef.none
    var parts = JSONRef.none
    var name = JSONRef.none
    var text = JSONRef.none
    var toolCalls = JSONRef.none
    var invalidToolCalls = JSONRef.none
    var toolCallID = JSONRef.none
    var functionCall = JSONRef.none
    var refusal = JSONRef.none
    var reasoning = JSONRef.none
    var finish = JSONRef.none
    var message = JSONRef.none
    /// messages, choices, generations, replies, contents, candidates, items or body: a list that holds the messages.
    var list = JSONRef.none
    var update = JSONRef.none
    var kwargs = JSONRef.none
    var id = JSONRef.none
    var callID = JSONRef.none
    var data = JSONRef.none
    var input = JSONRef.none
    var output = JSONRef.none
    var arguments = JSONRef.none
    var system = JSONRef.none
    var prompt = JSONRef.none
    var meta = JSONRef.none
    var lastMessage = JSONRef.none
    var summary = JSONRef.none
    var eventName = JSONRef.none
    /// Who wrote an AutoGen message.
    var source = JSONRef.none
    /// LangChain's members of the provider's own message.
    var additional = JSONRef.none
    /// Text of an answer in OpenRouter's traces.
    var completion = JSONRef.none
    /// Content of a LlamaIndex message.
    var blocks = JSONRef.none
    /// Result of a CrewAI task or crew.
    var raw = JSONRef.none
    /// What smolagents and AutoGen are asked for.
    var task = JSONRef.none

    init(_ object: JSONRef, _ tree: borrowing JSONTree) {
        var child = tree.first(object)
        while child.exists {
            let node = tree[child]
            // A null says nothing; an absent member says the same.
            if node.kind != .null { take(node.key, child) }
            child = tree.next(child)
        }
        if !content.exists, role.exists { content = blocks }
    }

    private mutating func take(_ key: Text, _ ref: JSONRef) {
        switch key.count {
        case 2: if key == "id" { id = ref }
        case 3: if key == "raw" { raw = ref }
        case 4: takeShort(key, ref)
        case 5:
            if key == "parts" { parts = ref }
            if key == "items" { list = ref }
            if key == "input" { input = ref }
            if key == "_role" { role = ref }
            if key == "_name" { name = ref }
            if key == "_meta" { meta = ref }
        case 6:
            if key == "kwargs" { kwargs = ref }
            takeSix(key, ref)
        case 7: takeSeven(key, ref)
        case 8: takeEight(key, ref)
        case 9: if key == "arguments" { arguments = ref }
        case 10: takeTen(key, ref)
        case 11:
            if key == "generations" { list = ref }
            if key == "new_message" { message = ref }
        case 12:
            if key == "tool_call_id" { toolCallID = ref }
            if key == "finishReason" { finish = ref }
            if key == "instructions" { system = ref }
            if key == "last_message" { lastMessage = ref }
        case 13:
            if key == "function_call" { functionCall = ref }
            if key == "finish_reason" { finish = ref }
        case 14: if key == "generated_text" { completion = ref }
        case 17:
            if key == "reasoning_content" { reasoning = ref }
            if key == "additional_kwargs" { additional = ref }
        case 18:
            if key == "invalid_tool_calls" { invalidToolCalls = ref }
            if key == "system_instruction" { system = ref }
        case 22: if key == "combined_chunk_content" { content = ref }
        default: return
        }
    }

    private mutating func takeShort(_ key: Text, _ ref: JSONRef) {
        if key == "role" { role = ref }
        if key == "type" { type = ref }
        if key == "name" { name = ref }
        if key == "text" { text = ref }
        if key == "data" { data = ref }
        if key == "meta" { meta = ref }
        if key == "args" { arguments = ref }
        if key == "task" { task = ref }
    }

    private mutating func takeSix(_ key: Text, _ ref: JSONRef) {
        if key == "update" { update = ref }
        if key == "output" { output = ref }
        if key == "inputs" { input = ref }
        if key == "system" { system = ref }
        if key == "prompt" { prompt = ref }
        if key == "source" { source = ref }
        if key == "blocks" { blocks = ref }
    }

    private mutating func takeSeven(_ key: Text, _ ref: JSONRef) {
        if key == "content" { content = ref }
        if key == "message" { message = ref }
        if key == "refusal" { refusal = ref }
        if key == "call_id" { callID = ref }
        if key == "choices" { list = ref }
        if key == "replies" { list = ref }
        if key == "outputs" { output = ref }
        if key == "summary" { summary = ref }
    }

    private mutating func takeEight(_ key: Text, _ ref: JSONRef) {
        if key == "messages" { list = ref }
        if key == "contents" { list = ref }
        if key == "_content" { content = ref }
        if key == "thinking" { reasoning = ref }
    }

    private mutating func takeTen(_ key: Text, _ ref: JSONRef) {
        if key == "tool_calls" || key == "_toolCalls" { toolCalls = ref }
        if key == "candidates" { list = ref }
        if key == "completion" { completion = ref }
        if key == "event.name" { eventName = ref }
        if key == "toolCallId" { toolCallID = ref }
    }
}
