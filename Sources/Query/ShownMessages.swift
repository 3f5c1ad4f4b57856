import Exporters
import FoundationEssentials

/// Messages of a model call as a person reads them: who says what, and which tools are called.
struct ShownMessages {
    private enum Value: Decodable {
        case text(String)
        case other(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .other(ShownMessages.line(try JSONValue(from: decoder)))
            }
        }

        var words: String {
            switch self {
            case .text(let text), .other(let text): text
            }
        }
    }

    /// Any JSON, written back in one line with its members in the order of their names.
    private static func line(_ value: JSONValue) -> String {
        switch value {
        case .null: return "null"
        case .bool(let flag): return flag ? "true" : "false"
        case .int(let number): return String(number)
        case .double(let number): return "\(number)"
        case .string(let text):
            return "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        case .list(let items): return "[" + items.map(line).joined(separator: ",") + "]"
        case .object(let members):
            let sorted = members.sorted { $0.key < $1.key }
            return "{" + sorted.map { "\"\($0.key)\":\(line($0.value))" }.joined(separator: ",") + "}"
        }
    }

    private struct Part: Decodable {
        var type: String?
        var content: Value?
        var name: String?
        var arguments: Value?
        var response: Value?
    }

    private struct Message: Decodable {
        var role: String?
        var parts: [Part]?
    }

    struct Line {
        var label: String
        var text: String
    }

    private let messages: [Message]

    /// Nil when the text is no list of messages.
    init?(_ text: String) {
        guard text.hasPrefix("["), let list = try? JSONDecoder().decode([Message].self, from: Data(text.utf8)),
            !list.isEmpty, list.allSatisfy({ $0.parts != nil })
        else { return nil }
        messages = list
    }

    /// Of a conversation so far, what is new: everything behind the last answer of the model.
    var news: [Line] {
        var start = 0
        for (index, message) in messages.enumerated() where message.role == "assistant" { start = index + 1 }
        return messages[min(start, messages.count - 1)...].flatMap(lines)
    }

    var all: [Line] { messages.flatMap(lines) }

    private func lines(_ message: Message) -> [Line] {
        (message.parts ?? []).compactMap { part in
            switch part.type {
            case "tool_call":
                return Line(label: "calls", text: "\(part.name ?? "?") \(part.arguments?.words ?? "")")
            case "tool_call_response":
                return Line(label: "tool", text: part.response?.words ?? part.content?.words ?? "")
            case "text", "reasoning", nil:
                guard let text = part.content?.words, !text.isEmpty else { return nil }
                return Line(label: part.type == "reasoning" ? "thinks" : Self.label(message.role), text: text)
            case .some(let type): return Line(label: Self.label(message.role), text: "[\(type)]")
            }
        }
    }

    private static func label(_ role: String?) -> String { role == "assistant" ? "answer" : role ?? "message" }
}
