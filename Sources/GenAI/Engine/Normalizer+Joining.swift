import Telemetry

/// What spans of one batch know about each other.
extension Normalizer {
    /// Most messages and calls that one batch's join looks at.
    private static let callsMax = 20_000

    /// LangChain hands a tool with one parameter the bare value. The model's call names the parameter: it is in the
    /// messages of another span of the trace, with the same tool and value.
    mutating func joinTools(_ batch: inout RecordBatch) {
        reader.reset()
        var calls: [(trace: Text, name: Text, id: Text, arguments: JSONRef)] = []
        var traces: [Text] = []
        for index in bareTools.indices {
            let trace = batch.text(batch.spans[Int(bareTools[index])].traceID)
            if !traces.contains(where: { $0 == trace }), traces.count < 256 { traces.append(trace) }
        }
        for span in batch.spans.indices where !batch.isRemoved(span: span) {
            let trace = batch.text(batch.spans[span].traceID)
            guard traces.contains(where: { $0 == trace }) else { continue }
            for name: StaticString in ["gen_ai.output.messages", "gen_ai.input.messages"] {
                addCalls(Text(name), span, trace, &calls, batch)
            }
        }
        guard !calls.isEmpty else { return }
        // Texts in the side buffer move while it grows, so all answers are found before any is written.
        var answers: [(span: Int, value: ByteColumnRange)] = []
        output.removeAll()
        for index in bareTools.indices {
            let span = Int(bareTools[index])
            if let range = namedArguments(span, calls, batch) { answers.append((span, range)) }
        }
        for answer in answers { writeArguments(answer.span, answer.value, &batch) }
    }

    private mutating func addCalls(
        _ name: Text, _ span: Int, _ trace: Text,
        _ calls: inout [(trace: Text, name: Text, id: Text, arguments: JSONRef)],
        _ batch: borrowing RecordBatch
    ) {
        guard calls.count < Normalizer.callsMax, let place = batch.find(name: name, in: batch.spans[span].set),
            batch.attributes[place].kind == .string,
            case .value(let list) = reader.tree.parse(batch.text(batch.attributes[place].text))
        else { return }
        var message = reader.tree.first(list)
        while message.exists {
            var part = reader.tree.first(reader.tree.member(message, "parts"))
            while part.exists {
                let type = reader.tree.member(part, "type")
                let arguments = reader.tree.member(part, "arguments")
                if reader.tree.isString(type), reader.tree[type].text == "tool_call", reader.tree.isObject(arguments),
                    reader.tree.count(arguments) == 1
                {
                    let name = reader.tree.string(reader.tree.member(part, "name"))
                    let id = reader.tree.string(reader.tree.member(part, "id"))
                    calls.append((trace, name, id, arguments))
                }
                part = reader.tree.next(part)
            }
            message = reader.tree.next(message)
        }
    }

    /// The one call whose only argument is this span's value. Calls that disagree about the name give none.
    private mutating func namedArguments(
        _ span: Int, _ calls: [(trace: Text, name: Text, id: Text, arguments: JSONRef)],
        _ batch: borrowing RecordBatch
    ) -> ByteColumnRange? {
        let set = batch.spans[span].set
        guard let place = batch.find(name: Text("gen_ai.tool.call.arguments"), in: set),
            case .value(let bare) = reader.tree.parse(batch.text(batch.attributes[place].text)),
            let toolPlace = batch.find(name: Text("gen_ai.tool.name"), in: set)
        else { return nil }
        let value = reader.tree.string(reader.tree.member(bare, "input"))
        let tool = batch.text(batch.attributes[toolPlace].text)
        let trace = batch.text(batch.spans[span].traceID)
        let id = batch.find(name: Text("gen_ai.tool.call.id"), in: set).map { batch.text(batch.attributes[$0].text) }
        var found: JSONRef?
        for call in calls where call.trace == trace && call.name == tool {
            if let id, !id.isEmpty, !call.id.isEmpty, !(call.id == id) { continue }
            let only = reader.tree.first(call.arguments)
            guard reader.tree.string(only) == value, !value.isEmpty else { continue }
            if let found, !(reader.tree[reader.tree.first(found)].key == reader.tree[only].key) { return nil }
            found = call.arguments
        }
        guard let found else { return nil }
        let start = output.count
        reader.tree.write(found, into: &output)
        return ByteColumnRange(start: start, end: output.count)
    }

    private mutating func writeArguments(_ span: Int, _ value: ByteColumnRange, _ batch: inout RecordBatch) {
        let set = batch.spans[span].set
        guard let place = batch.find(name: Text("gen_ai.tool.call.arguments"), in: set) else { return }
        let text = batch.addText(output.text[value.start..<value.end])
        batch.setValue(.string(text), at: place, in: set)
    }
}

/// A run of bytes of the output buffer.
struct ByteColumnRange: BitwiseCopyable {
    var start: Int
    var end: Int
}

extension Normalizer {
    /// The last message of a stream that was recorded chunk by chunk, each chunk as a message without a finish reason.
    /// Only when the last one holds every text and call of those before it.
    mutating func lastOfStream(_ list: JSONRef) -> MadeValue? {
        guard reader.tree.isArray(list), reader.tree.count(list) > 1 else { return nil }
        var last = JSONRef.none
        var child = reader.tree.first(list)
        while child.exists {
            last = child
            child = reader.tree.next(child)
        }
        guard isFinished(last) else { return nil }
        child = reader.tree.first(list)
        while child.index != last.index {
            guard !isFinished(child), holds(last, all: child) else { return nil }
            child = reader.tree.next(child)
        }
        child = reader.tree.first(list)
        while child.index != last.index {
            reader.tree.use(reader.tree.member(child, "role"))
            reader.tree.use(reader.tree.member(child, "parts"))
            child = reader.tree.next(child)
        }
        reader.tree.use(last)
        let start = output.count
        output.append(UInt8(ascii: "["))
        reader.tree.write(last, into: &output)
        output.append(UInt8(ascii: "]"))
        return .output(.string, from: start, to: output.count)
    }

    private mutating func isFinished(_ message: JSONRef) -> Bool {
        let finish = reader.tree.member(message, "finish_reason")
        return reader.tree.isString(finish) && !reader.tree.string(finish).isEmpty
    }

    private mutating func holds(_ whole: JSONRef, all chunk: JSONRef) -> Bool {
        var part = reader.tree.first(reader.tree.member(chunk, "parts"))
        while part.exists {
            guard holds(whole, part: part) else { return false }
            part = reader.tree.next(part)
        }
        return true
    }

    private mutating func holds(_ whole: JSONRef, part: JSONRef) -> Bool {
        let type = reader.tree.string(reader.tree.member(part, "type"))
        let id = reader.tree.string(reader.tree.member(part, "id"))
        let content = reader.tree.string(reader.tree.member(part, "content"))
        var other = reader.tree.first(reader.tree.member(whole, "parts"))
        while other.exists {
            if reader.tree.string(reader.tree.member(other, "type")) == type {
                if !id.isEmpty, reader.tree.string(reader.tree.member(other, "id")) == id { return true }
                let text = reader.tree.string(reader.tree.member(other, "content"))
                if id.isEmpty, !content.isEmpty, text.holds(content) { return true }
            }
            other = reader.tree.next(other)
        }
        return false
    }
}

extension Text {
    /// Whether another text occurs in this one.
    func holds(_ other: Text) -> Bool {
        guard other.count > 0 else { return true }
        var from = 0
        while let hit = firstIndex(of: other[0], from: from), hit + other.count <= count {
            if self[hit..<hit + other.count] == other { return true }
            from = hit + 1
        }
        return false
    }
}
