import Telemetry

/// Message content as semconv 1.36 had it: an event per message, `gen_ai.system.message`, `gen_ai.user.message`,
/// `gen_ai.assistant.message` or `gen_ai.tool.message`, and a `gen_ai.choice` per answer. The attributes, which hold
/// more (reasoning, files), stay.
///
/// A span that has one such event gets no more, and only from attributes in the schema's shape: read back they give
/// what is there already, so twice is once.
extension Normalizer {
    /// Most events that one span gets; what comes first has precedence.
    private static let messageEventsMax = 256

    /// Adds the events of a span. True when it got some.
    mutating func writeMessageEvents(_ span: Int, _ batch: inout RecordBatch) -> Bool {
        // With `overwrite` the next run would put what it reads back in the place of what says more.
        guard overwriting == 0, !hasMessageEvents(span, batch) else { return false }
        reader.reset()
        output.removeAll()
        eventCount = 0
        let known = tables.layout.known
        let instructions = document(of: known.instructions, span, batch)
        if MessageShape.isParts(instructions, reader.tree) { systemEvents(instructions, span, &batch) }
        let input = document(of: known.inputMessages, span, batch)
        if MessageShape.of(input, reader.tree) == .full {
            var message = reader.tree.first(input)
            while message.exists {
                inputEvent(message, span, &batch)
                message = reader.tree.next(message)
            }
        }
        let answers = document(of: known.outputMessages, span, batch)
        if MessageShape.of(answers, reader.tree) == .full { choiceEvents(answers, span, &batch) }
        return eventCount > 0
    }

    private func hasMessageEvents(_ span: Int, _ batch: borrowing RecordBatch) -> Bool {
        for event in batch.spans[span].events.range {
            let name = batch.text(batch.events[event].name)
            if name == "gen_ai.choice" || name.hasPrefix("gen_ai.") && name.hasSuffix(Text(".message")) { return true }
        }
        return false
    }

    /// The document of a message attribute, in memory that stays where it is while the batch grows.
    private mutating func document(of target: TargetID, _ span: Int, _ batch: borrowing RecordBatch) -> JSONRef {
        guard target.exists else { return .none }
        let name = tables.layout.nameTexts[Int(tables.layout.targetNames[Int(target.value)].value)]
        guard let place = batch.find(name: name, in: batch.spans[span].set), batch.attributes[place].kind == .string
        else { return .none }
        var text = batch.text(batch.attributes[place].text)
        if batch.isInEdits(text) { text = reader.tree.arena.copy(text) }
        return reader.tree.parseContainer(text)
    }

    // MARK: Events

    private mutating func systemEvents(_ parts: JSONRef, _ span: Int, _ batch: inout RecordBatch) {
        var part = reader.tree.first(parts)
        while part.exists {
            let text = reader.tree.string(reader.tree.member(part, "content"))
            if !text.isEmpty, let set = addEvent("gen_ai.system.message", isAnswer: false, span, &batch) {
                add("content", text, set, &batch)
            }
            part = reader.tree.next(part)
        }
    }

    /// One message of the input.
    private mutating func inputEvent(_ message: JSONRef, _ span: Int, _ batch: inout RecordBatch) {
        let role = reader.tree.string(reader.tree.member(message, "role"))
        let parts = reader.tree.member(message, "parts")
        let name: StaticString
        switch role {
        case _ where role == "system" || role == "developer": name = "gen_ai.system.message"
        case _ where role == "assistant": name = "gen_ai.assistant.message"
        case _ where role == "tool": return toolEvents(parts, span, &batch)
        default: name = "gen_ai.user.message"
        }
        let content = contentText(parts)
        let calls = callsText(parts)
        guard !content.isEmpty || !calls.isEmpty, let set = addEvent(name, isAnswer: false, span, &batch) else {
            return
        }
        if !content.isEmpty { add("content", content, set, &batch) }
        if !calls.isEmpty { add("tool_calls", calls, set, &batch) }
    }

    /// One event per result: the conventions have one call id on each.
    private mutating func toolEvents(_ parts: JSONRef, _ span: Int, _ batch: inout RecordBatch) {
        var part = reader.tree.first(parts)
        while part.exists {
            let response = reader.tree.member(part, "response")
            if response.exists, let set = addEvent("gen_ai.tool.message", isAnswer: false, span, &batch) {
                let id = reader.tree.string(reader.tree.member(part, "id"))
                if !id.isEmpty { add("id", id, set, &batch) }
                add("content", plainText(response), set, &batch)
            }
            part = reader.tree.next(part)
        }
    }

    private mutating func choiceEvents(_ answers: JSONRef, _ span: Int, _ batch: inout RecordBatch) {
        var index: Int64 = 0
        var answer = reader.tree.first(answers)
        while answer.exists {
            guard let set = addEvent("gen_ai.choice", isAnswer: true, span, &batch) else { return }
            batch.append(key: batch.addText(Text("index")), .int(index), to: set)
            let reason = reader.tree.string(reader.tree.member(answer, "finish_reason"))
            if !reason.isEmpty { add("finish_reason", reason, set, &batch) }
            add("message", choiceMessage(reader.tree.member(answer, "parts")), set, &batch)
            index += 1
            answer = reader.tree.next(answer)
        }
    }

    /// An event with the system's name; nil when the span has enough of them.
    private mutating func addEvent(
        _ name: StaticString, isAnswer: Bool, _ span: Int, _ batch: inout RecordBatch
    ) -> SetIndex? {
        guard eventCount < Normalizer.messageEventsMax else { return nil }
        eventCount += 1
        let time = isAnswer ? batch.spans[span].end : batch.spans[span].start
        let reference = batch.addText(Text(name))
        let set = batch.appendEvent(name: reference, time: time, toSpan: span)
        if let system = batch.find(name: Text("gen_ai.system"), in: batch.spans[span].set) {
            let (key, value) = (batch.attributes[system].key, batch.attributes[system].value)
            batch.append(key: key, value, to: set)
        }
        return set
    }

    private func add(_ name: StaticString, _ text: Text, _ set: SetIndex, _ batch: inout RecordBatch) {
        let key = batch.addText(Text(name))
        let value = batch.addText(text)
        batch.append(key: key, .string(value), to: set)
    }

    // MARK: Texts, made in the output buffer and kept in the tree's memory

    /// The text parts of a message, a line feed between them.
    private mutating func contentText(_ parts: JSONRef) -> Text {
        output.removeAll()
        appendContent(parts, escaped: false)
        return reader.tree.arena.copy(output.text)
    }

    private mutating func appendContent(_ parts: JSONRef, escaped: Bool) {
        var isFirst = true
        var part = reader.tree.first(parts)
        while part.exists {
            if reader.tree.string(reader.tree.member(part, "type")) == "text" {
                let text = reader.tree.string(reader.tree.member(part, "content"))
                if !isFirst { output.append(escaped ? "\\n" : "\n") }
                isFirst = false
                if escaped { JSONText.escape(text, into: &output) } else { output.append(text) }
            }
            part = reader.tree.next(part)
        }
    }

    private mutating func callsText(_ parts: JSONRef) -> Text {
        output.removeAll()
        appendCalls(parts)
        return reader.tree.arena.copy(output.text)
    }

    /// `[{"id","type":"function","function":{"name","arguments"}}]`, nothing when there is no call.
    private mutating func appendCalls(_ parts: JSONRef) {
        var count = 0
        var part = reader.tree.first(parts)
        while part.exists {
            if reader.tree.string(reader.tree.member(part, "type")) == "tool_call" {
                output.append(count == 0 ? "[{" : ",{")
                count += 1
                let id = reader.tree.string(reader.tree.member(part, "id"))
                if !id.isEmpty {
                    output.append("\"id\":\"")
                    JSONText.escape(id, into: &output)
                    output.append("\",")
                }
                output.append("\"type\":\"function\",\"function\":{\"name\":\"")
                JSONText.escape(reader.tree.string(reader.tree.member(part, "name")), into: &output)
                output.append("\"")
                let arguments = reader.tree.member(part, "arguments")
                if arguments.exists {
                    output.append(",\"arguments\":")
                    reader.tree.write(arguments, into: &output)
                }
                output.append("}}")
            }
            part = reader.tree.next(part)
        }
        if count > 0 { output.append("]") }
    }

    private mutating func choiceMessage(_ parts: JSONRef) -> Text {
        let calls = callsText(parts)
        output.removeAll()
        output.append("{\"role\":\"assistant\",\"content\":\"")
        appendContent(parts, escaped: true)
        output.append("\"")
        if !calls.isEmpty {
            output.append(",\"tool_calls\":")
            output.append(calls)
        }
        output.append("}")
        return reader.tree.arena.copy(output.text)
    }

    /// A text as it is, anything else as JSON.
    private mutating func plainText(_ ref: JSONRef) -> Text {
        if reader.tree.isString(ref) { return reader.tree.string(ref) }
        output.removeAll()
        reader.tree.write(ref, into: &output)
        return reader.tree.arena.copy(output.text)
    }
}
