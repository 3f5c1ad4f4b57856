import Telemetry

extension Normalizer {
    /// Normalizes log records that speak of GenAI: the current events, one event per message of 1.28 to 1.36, and the
    /// attributes of any dialect. Requests hold one signal, so the span of a record is never at hand here: its content
    /// goes onto the record itself, under the names that spans have.
    mutating func normalizeLogs(_ batch: inout RecordBatch) {
        for scope in batch.scopes.indices {
            let items = batch.scopes[scope].items.range
            if items.isEmpty { continue }
            let common = scopeMask(scope, batch)
            for log in items where !batch.logs[log].edits.contains(.removed) {
                let name = name(of: log, batch)
                let scopeName = batch.text(batch.scopes[scope].name)
                let event = LogEvent(name) ?? LogEvent(scope: scopeName) ?? LogEvent(name, inScope: scopeName)
                // A scope alone makes no event of ordinary log lines.
                let named = name.isEmpty && event == nil ? 0 : common | nameMask(name)
                let mask = keyMask(batch.logs[log].set, batch) | named
                guard mask & enabled != 0 || event != nil else { continue }
                seenSpans += 1
                if rewriteLog(log, name, mask & enabled, event, &batch) { changedSpans += 1 }
            }
        }
    }

    /// The event's name: the field, or the attribute that was used before the field existed.
    private func name(of log: Int, _ batch: borrowing RecordBatch) -> Text {
        let record = batch.logs[log]
        if record.eventName.length > 0 { return batch.text(record.eventName) }
        guard let place = batch.find(name: Text("event.name"), in: record.set),
            batch.attributes[place].kind == .string
        else { return .empty }
        return batch.text(batch.attributes[place].text)
    }

    /// Dialects that an event's name reveals.
    private func nameMask(_ name: Text) -> UInt64 {
        var mask: UInt64 = 0
        for (prefix, dialect) in tables.layout.spanNameChecks where name.hasPrefix(prefix) {
            mask |= 1 << UInt64(dialect)
        }
        return mask
    }

    /// Dialects that the keys of a set reveal.
    private func keyMask(_ set: SetIndex, _ batch: borrowing RecordBatch) -> UInt64 {
        var mask: UInt64 = 0
        for index in batch.range(of: set) {
            let key = batch.attributes[index].keyID
            mask |=
                key == .unknown
                ? tables.detects(batch.text(batch.attributes[index].key)) : binding.masks[Int(key.value)]
        }
        return mask
    }

    private mutating func rewriteLog(
        _ log: Int, _ name: Text, _ mask: UInt64, _ event: LogEvent?, _ batch: inout RecordBatch
    ) -> Bool {
        var isChanged = false
        for _ in 0..<4 {
            beginLog(log, name, batch)
            if let event { offerBody(log, event, batch) }
            // The last resort names operations of spans; a record about one message is none.
            let last = tables.layout.order.last.map { UInt64(1) << UInt64($0) } ?? 0
            guard rewrite(event == .details || event == nil ? mask : mask & ~last, &batch) else { return isChanged }
            isChanged = true
            if !isUnsettled { break }
        }
        return isChanged
    }

    private mutating func beginLog(_ log: Int, _ name: Text, _ batch: borrowing RecordBatch) {
        let record = batch.logs[log]
        let range = batch.range(of: record.set)
        restart()
        facts.isLog = true
        facts.name = name
        facts.set = record.set
        facts.start = range.lowerBound
        facts.count = range.count
        facts.scope = batch.text(batch.scopes[Int(record.scope)].name)
    }

    // MARK: Bodies

    /// Puts the content of an event's body where the rules will find it taken.
    private mutating func offerBody(_ log: Int, _ event: LogEvent, _ batch: borrowing RecordBatch) {
        let record = batch.logs[log]
        let body = AttributeRecord(
            key: .empty, keyID: .unknown, kind: record.bodyKind, payload: record.bodyPayload, raw: .empty, flags: [])
        let source = value(of: body, batch)
        guard source.exists else { return }
        pendingBody = (event, source)
    }

    /// The body of the record at hand, once its attributes are known.
    mutating func takeBody(_ batch: borrowing RecordBatch) {
        guard let (event, source) = pendingBody else { return }
        pendingBody = nil
        facts.rule = EngineStep.body
        let root = document(source)
        switch event {
        case .details: detailsBody(root, batch)
        case .choice: choiceBody(root, source, batch)
        case .message(let role): messageBody(root, source, role, batch)
        case .titled(let role): titledBody(text(source), role, batch)
        case .exchange: exchangeBody(root, batch)
        }
    }

    /// Attributes of the details event that an emitter put into the body.
    private mutating func detailsBody(_ root: JSONRef, _ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        for target in [known.inputMessages, known.outputMessages, known.instructions, known.toolDefinitions] {
            guard target.exists, !draft(target, batch).exists else { continue }
            let name = tables.layout.nameTexts[Int(tables.layout.targetNames[Int(target.value)].value)]
            let ref = reader.tree.member(root, name)
            guard ref.exists else { continue }
            switch target {
            case known.inputMessages, known.outputMessages: _ = messages(nil, target, .node(ref), batch)
            case known.instructions: if let value = system(.node(ref)) { _ = offer(target, value, nil, batch) }
            default: if let value = toolDefinitions(.node(ref)) { _ = offer(target, value, nil, batch) }
            }
        }
    }

    private mutating func messageBody(
        _ root: JSONRef, _ source: SourceValue, _ role: Role, _ batch: borrowing RecordBatch
    ) {
        let target = role == .system ? tables.layout.known.instructions : tables.layout.known.inputMessages
        guard target.exists, !draft(target, batch).exists else { return }
        reader.list.removeAll()
        reader.system = .none
        reader.defaultRole = role
        let content = reader.tree.member(root, "content")
        if reader.tree.isObject(content) {
            reader.value(content, 0)
        } else if reader.tree.isObject(root) {
            reader.message(root, MessageFields(root, reader.tree), role: Normalizer.word(for: role), 0)
        } else {
            let text = text(source)
            if !text.isEmpty { reader.addText(.plain(text), role: role) }
        }
        guard reader.list.hasParts else { return }
        guard role == .system else {
            _ = offerMessages(target, nil, batch)
            return
        }
        let start = output.count
        MessageWriter.writeParts(reader.list, &reader.tree, into: &output)
        _ = offer(target, .output(.string, from: start, to: output.count), nil, batch)
    }

    /// A title line, then a list of quoted texts, as Spring AI logs prompts and completions.
    private mutating func titledBody(_ text: Text, _ role: Role, _ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        let target = role == .assistant ? known.outputMessages : known.inputMessages
        guard let end = text.firstIndex(of: UInt8(ascii: "\n")), target.exists, !draft(target, batch).exists else {
            return
        }
        let rest = text[end + 1..<text.count]
        reader.list.removeAll()
        reader.system = .none
        reader.defaultRole = role
        let list = reader.tree.parseContainer(rest)
        var item = reader.tree.first(list)
        while item.exists {
            reader.addText(.value(item), role: role)
            item = reader.tree.next(item)
        }
        // Its quotes are not escaped, so the list may be no JSON.
        if !list.exists, !JSONCursor.isBlank(rest) { reader.addText(.plain(rest), role: role) }
        if reader.list.hasParts { _ = offerMessages(target, nil, batch) }
    }

    /// `{input: {messages: […]}, output: {messages: […]}}`, where a message's content is `{content}`, `{message}` or
    /// plain.
    private mutating func exchangeBody(_ root: JSONRef, _ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        let sides: [(name: StaticString, target: TargetID)] = [
            ("input", known.inputMessages), ("output", known.outputMessages),
        ]
        for (name, target) in sides {
            let list = reader.tree.member(reader.tree.member(root, name), "messages")
            guard reader.tree.isArray(list), target.exists, !draft(target, batch).exists else { continue }
            reader.list.removeAll()
            reader.system = .none
            reader.defaultRole = defaultRole(of: target)
            var message = reader.tree.first(list)
            while message.exists {
                exchanged(message)
                message = reader.tree.next(message)
            }
            if reader.list.hasParts { _ = offerMessages(target, nil, batch) }
        }
    }

    private mutating func exchanged(_ message: JSONRef) {
        var content = reader.tree.member(message, "content")
        let finish = reader.tree.member(content, "finish_reason")
        for name: StaticString in ["content", "message"] {
            let inner = reader.tree.member(content, name)
            if inner.exists {
                content = inner
                break
            }
        }
        let word = reader.tree.string(reader.tree.member(message, "role"))
        let role = reader.messageRole(word) ?? reader.defaultRole
        let start = reader.list.parts.count
        let text = reader.tree.isString(content) ? reader.tree.string(content) : .empty
        let document = reader.document(text)
        reader.content(document.exists ? document : content, 1)
        reader.list.close(role: role, finish: .value(finish), from: start)
    }

    private mutating func choiceBody(_ root: JSONRef, _ source: SourceValue, _ batch: borrowing RecordBatch) {
        let target = tables.layout.known.outputMessages
        guard target.exists, !draft(target, batch).exists else { return }
        reader.list.removeAll()
        reader.system = .none
        reader.defaultRole = .assistant
        let message = reader.tree.member(root, "message")
        if message.exists || root.exists {
            reader.value(message.exists ? message : root, 0)
        } else {
            let text = text(source)
            if !text.isEmpty { reader.addText(.plain(text), role: .assistant) }
        }
        let finish = reader.tree.string(reader.tree.member(root, "finish_reason"))
        if reader.list.messages.count > 0, !finish.isEmpty {
            let last = reader.list.messages.count - 1
            if !reader.list.messages[last].finish.exists { reader.list.messages[last].finish = .plain(finish) }
        }
        _ = offerMessages(target, nil, batch)
    }
}

/// Events of GenAI instrumentations that carry content in their body.
enum LogEvent: Equatable {
    /// All of one inference call.
    case details
    case choice
    case message(Role)
    /// A text under a title line.
    case titled(Role)
    /// Both sides of a call, as the AWS distribution moves content out of spans.
    case exchange

    private static let springScope: StaticString = "org.springframework.ai.chat.observation.ChatModel"

    /// Loggers that write content and nothing else.
    init?(scope: Text) {
        guard scope.hasPrefix(LogEvent.springScope) else { return nil }
        if scope.hasSuffix(Text("PromptContentObservationHandler")) {
            self = .titled(.user)
        } else if scope.hasSuffix(Text("CompletionObservationHandler")) {
            self = .titled(.assistant)
        } else {
            return nil
        }
    }

    /// The AWS distribution names its content records by the scope of the span.
    init?(_ name: Text, inScope scope: Text) {
        guard !name.isEmpty, name == scope else { return nil }
        self = .exchange
    }

    init?(_ name: Text) {
        guard name.hasPrefix("gen_ai.") else { return nil }
        if name == "gen_ai.client.inference.operation.details" {
            self = .details
        } else if name == "gen_ai.choice" {
            self = .choice
        } else if name == "gen_ai.user.message" {
            self = .message(.user)
        } else if name == "gen_ai.assistant.message" {
            self = .message(.assistant)
        } else if name == "gen_ai.tool.message" {
            self = .message(.tool)
        } else if name == "gen_ai.system.message" {
            self = .message(.system)
        } else {
            return nil
        }
    }
}

extension Text {
    /// Order of bytes.
    func isOrdered(before other: Text) -> Bool {
        let common = min(count, other.count)
        for index in 0..<common where self[index] != other[index] { return self[index] < other[index] }
        return count < other.count
    }
}
