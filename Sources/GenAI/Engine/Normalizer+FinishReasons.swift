import Telemetry

/// The schema wants a finish reason on every output message, in its own words; most dialects state it once per span.
extension Normalizer {
    func isFinished(from first: Int) -> Bool {
        for index in first..<reader.list.messages.count where !reader.list.messages[index].finish.exists {
            return false
        }
        return true
    }

    /// Gives output messages the finish reason of the span, and the schema's words to those that have one.
    mutating func finishMessages(_ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        guard known.outputMessages.exists, known.finishReasons.exists else { return }
        let draft = draft(known.outputMessages, batch)
        let list: JSONRef
        let reasons = finishReasons(batch)
        if facts.isWritten, draft.state == .mapped, reader.tree.count(reasons) == 0 { return }
        switch draft.state {
        case .current:
            list = document(source(at: Int(draft.origin), batch))
            // Written again with all its members.
            reader.tree.use(list)
        case .mapped where !facts.isFinished:
            let text = reader.tree.arena.copy(bytes(draft.value))
            list = reader.tree.parseContainer(text)
        default: return
        }
        guard reader.tree.isArray(list), isUnfinished(list, reasons) else { return }
        let start = output.count
        writeFinished(list, reasons)
        let index = Int(known.outputMessages.value)
        drafts[index].value = .output(.string, from: start, to: output.count)
        if draft.state == .current {
            drafts[index].state = .mapped
            drafts[index].rule = EngineStep.repair
        }
    }

    /// The span's finish reasons as a list, however they are held.
    private mutating func finishReasons(_ batch: borrowing RecordBatch) -> JSONRef {
        let target = tables.layout.known.finishReasons
        let draft = draft(target, batch)
        switch draft.state {
        case .current: return document(source(at: Int(draft.origin), batch))
        case .mapped where draft.value.kind == .array:
            let text = reader.tree.arena.copy(bytes(draft.value))
            return reader.tree.read(text, isMap: false)
        default: return .none
        }
    }

    /// The reason of one message: its own, or the span's when that says it of this message. A list that is longer than
    /// the reasons is one answer in several messages, of which the last one has the reason.
    private mutating func finish(_ message: JSONRef, _ place: Int, _ count: Int, _ reasons: JSONRef) -> Text {
        let own = reader.tree.member(message, "finish_reason")
        var word = Text.empty
        if reader.tree.isString(own), !reader.tree[own].text.isEmpty {
            word = reader.tree.string(own)
        } else {
            let total = reader.tree.count(reasons)
            let role = reader.tree.member(message, "role")
            guard total > 0, reader.tree.isString(role), reader.tree.string(role) == "assistant" else { return .empty }
            guard total == count || place == count - 1 else { return .empty }
            word = reader.tree.string(reader.tree.element(reasons, total == count ? place : total - 1))
        }
        return tables.layout.finishReasons?.lookup(word).text ?? word
    }

    private mutating func isUnfinished(_ list: JSONRef, _ reasons: JSONRef) -> Bool {
        let count = reader.tree.count(list)
        var message = reader.tree.first(list)
        var place = 0
        while message.exists {
            let wanted = finish(message, place, count, reasons)
            let own = reader.tree.member(message, "finish_reason")
            if !wanted.isEmpty, !reader.tree.isString(own) || !(reader.tree.string(own) == wanted) { return true }
            message = reader.tree.next(message)
            place += 1
        }
        return false
    }

    private mutating func writeFinished(_ list: JSONRef, _ reasons: JSONRef) {
        let count = reader.tree.count(list)
        var message = reader.tree.first(list)
        var place = 0
        output.append(UInt8(ascii: "["))
        while message.exists {
            if place > 0 { output.append(UInt8(ascii: ",")) }
            writeFinished(message, finish(message, place, count, reasons))
            message = reader.tree.next(message)
            place += 1
        }
        output.append(UInt8(ascii: "]"))
    }

    /// One message with its members in order, and the reason behind the parts.
    private mutating func writeFinished(_ message: JSONRef, _ reason: Text) {
        var writer = FieldWriter()
        output.append(UInt8(ascii: "{"))
        var member = reader.tree.first(message)
        while member.exists {
            let key = reader.tree[member].key
            if reason.isEmpty || !(key == "finish_reason") {
                writer.name(key, &output)
                reader.tree.write(member, into: &output)
            }
            if !reason.isEmpty, key == "parts" {
                writer.name("finish_reason", &output)
                output.append(UInt8(ascii: "\""))
                JSONText.escape(reason, into: &output)
                output.append(UInt8(ascii: "\""))
            }
            member = reader.tree.next(member)
        }
        output.append(UInt8(ascii: "}"))
    }
}
