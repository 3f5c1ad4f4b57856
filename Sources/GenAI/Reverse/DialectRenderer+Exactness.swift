import Telemetry

/// Whether a rendered message says all that the message says, so that the current attribute may go.
extension DialectRenderer {
    /// Only members that renderings have a place for, a finish reason in the conventions' words, no name on a tool's
    /// answer.
    mutating func isPlain(message: JSONRef) -> Bool {
        let role = tree.string(tree.member(message, "role"))
        var child = tree.first(message)
        while child.exists {
            let name = tree[child].key
            let isNull = tree.kind(child) == .null
            if name == "finish_reason" {
                guard isNull || isCurrentReason(tree.string(child)) else { return false }
            } else if name == "name" {
                guard isNull || !(role == "tool") else { return false }
            } else if !(name == "role"), !(name == "parts"), !isNull {
                return false
            }
            child = tree.next(child)
        }
        return role == "user" || role == "assistant" || role == "system" || role == "tool"
    }

    private func isCurrentReason(_ word: Text) -> Bool {
        word == "stop" || word == "length" || word == "content_filter" || word == "tool_call" || word == "error"
    }

    /// Only members that the schema names for the part's type, and no empty text.
    mutating func isPlain(part: JSONRef, _ type: Text) -> Bool {
        var child = tree.first(part)
        while child.exists {
            let name = tree[child].key
            let isKnown: Bool
            if type == "text" || type == "reasoning" {
                isKnown = name == "content" && tree.isString(child) && !tree.string(child).isEmpty
            } else if type == "tool_call" {
                isKnown = name == "id" || name == "name" || name == "arguments"
            } else if type == "tool_call_response" {
                isKnown = name == "id" || name == "response"
            } else {
                isKnown = true
            }
            guard isKnown || name == "type" || tree.kind(child) == .null else { return false }
            child = tree.next(child)
        }
        return true
    }
}
