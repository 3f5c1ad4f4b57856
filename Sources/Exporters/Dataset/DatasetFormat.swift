/// How examples are written.
package enum DatasetFormat: String, CaseIterable, Sendable {
    /// Everything, one object per line.
    case jsonl
    /// `input` as chat messages and `ideal`, as OpenAI's evals take them, one object per line.
    case openAIEvals = "openai_evals"
    case csv

    package var ending: String { self == .csv ? "csv" : "jsonl" }

    static let csvColumns = [
        "id", "split", "trace_id", "span_id", "conversation_id", "agent", "model", "time", "input", "output",
        "expected", "findings", "calls", "context", "tools",
    ]

    /// What a file begins with.
    package var head: [UInt8] { self == .csv ? Array((Self.csvColumns.joined(separator: ",") + "\n").utf8) : [] }

    /// One example with its line break.
    package func line(_ record: DatasetRecord) -> [UInt8] {
        switch self {
        case .jsonl: DatasetText.encode(record) + [0x0A]
        case .openAIEvals: DatasetText.encode(EvalsLine(record)) + [0x0A]
        case .csv: Array((Self.cells(record).map(Self.cell).joined(separator: ",") + "\n").utf8)
        }
    }

    private static func cells(_ record: DatasetRecord) -> [String] {
        func json(_ value: some Encodable) -> String { String(decoding: DatasetText.encode(value), as: UTF8.self) }
        return [
            record.id, record.split, record.trace_id, record.span_id, record.conversation_id, record.agent,
            record.model, String(record.time), json(record.input), record.output,
            record.expected.map { json($0) } ?? "",
            Set(record.findings.map(\.name)).sorted().joined(separator: " "), json(record.calls), json(record.context),
            json(record.tools),
        ]
    }

    /// A cell of one line: line breaks are written as \n, quotes are doubled, and what a spreadsheet would take for a
    /// formula gets an apostrophe before it.
    private static func cell(_ text: String) -> String {
        var line = text.replacing("\\", with: "\\\\").replacing("\r", with: "\\r").replacing("\n", with: "\\n")
        if let first = line.first, "=+-@\t".contains(first) { line = "'" + line }
        return line.contains(where: { "\",".contains($0) }) ? "\"\(line.replacing("\"", with: "\"\""))\"" : line
    }
}

/// One line for OpenAI's evals.
private struct EvalsLine: Encodable {
    struct Message: Encodable {
        var role: String
        var content: String
    }

    struct Metadata: Encodable {
        var id: String
        var trace_id: String
        var conversation_id: String
        var agent: String
        var findings: [String]
        var output: String
        var tool_calls: [DatasetRecord.Call]
        var tools: [DatasetRecord.Tool]
        var context: [JSONValue]
    }

    var input: [Message]
    /// Null until somebody says what the answer should have been.
    var ideal: JSONValue
    var metadata: Metadata

    init(_ record: DatasetRecord) {
        input = EvalsLine.messages(record.input)
        ideal = record.expected ?? .null
        metadata = Metadata(
            id: record.id, trace_id: record.trace_id, conversation_id: record.conversation_id, agent: record.agent,
            findings: Set(record.findings.map(\.name)).sorted(), output: record.output, tool_calls: record.calls,
            tools: record.tools, context: record.context)
    }

    private static func messages(_ input: JSONValue) -> [Message] {
        guard case .list(let list) = input else { return [] }
        return list.compactMap { message in
            guard case .object(let members) = message, case .string(let role)? = members["role"] else { return nil }
            guard case .list(let parts)? = members["parts"] else { return nil }
            let texts = parts.compactMap { part -> String? in
                guard case .object(let part) = part else { return nil }
                if case .string(let text)? = part["content"], part["type"] == .string("text") { return text }
                return part["type"] == .string("text")
                    ? nil : String(decoding: DatasetText.encode(JSONValue.object(part)), as: UTF8.self)
            }
            return Message(role: role, content: texts.joined(separator: "\n"))
        }
    }
}
