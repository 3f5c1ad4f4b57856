import Telemetry

extension Normalizer {
    /// Runs a rule over the span's events of one name, in order of time; equal times keep their order.
    mutating func applyEvents(_ index: Int, _ name: Text, _ batch: borrowing RecordBatch) {
        let rule = tables.layout.rules[index]
        var found: [Int] = []
        for event in facts.events.range where batch.text(batch.events[event].name) == name { found.append(event) }
        guard !found.isEmpty else { return }
        facts.rule = Int32(index)
        if rule.target.exists, !isList(rule), !mayFill(rule.claim, state(rule.target, batch)) { return }
        guard holds(rule.conditions, rule.target, .text(facts.name), batch) else { return }
        switch rule.transform {
        case .eventMessage: eventMessages(rule, batch)
        case .eventChoice(let tool): eventChoices(found, tool, batch)
        case .eventTool: eventTool(rule, found, batch)
        case .eventStrings(let map): eventStrings(rule, map, found, batch)
        case .eventDocuments: eventDocuments(rule, found, batch)
        case .eventAppend: eventAppend(rule, found, batch)
        case .liftEvent: for event in found { lift(rule, event, batch) }
        case .eventMinusStart:
            var first = UInt64.max
            for event in found { first = min(first, batch.events[event].time) }
            if let value = eventDelay(first) { _ = offer(rule.target, value, rule.claim, batch) }
        default: eventValue(rule, found, batch)
        }
    }

    /// Message events of all names make one list; the first of their rules builds it.
    private func isList(_ rule: Rule) -> Bool {
        if case .eventMessage = rule.transform { return true }
        return false
    }

    /// A value of one event attribute.
    private mutating func eventValue(_ rule: Rule, _ found: [Int], _ batch: borrowing RecordBatch) {
        for event in found {
            let source = payload(rule, event, batch)
            guard source.isValue, !isEmpty(source, for: rule.target) else { continue }
            if case .eventField = rule.transform {
                guard let value = cast(source, to: .string) else { continue }
                if offer(rule.target, value, rule.claim, batch) { return }
            } else if run(rule, source, batch), !rule.transform.takesFields {
                return
            }
        }
    }

    /// The event attribute that holds the content: one the rule names, else the usual ones.
    private mutating func payload(_ rule: Rule, _ event: Int, _ batch: borrowing RecordBatch) -> SourceValue {
        let set = batch.events[event].set
        for index in rule.names.range {
            let source = value(named: tables.layout.nameTexts[Int(tables.layout.nameLists[index].value)], set, batch)
            if source.exists { return source }
        }
        for index in rule.texts.range {
            let source = value(named: tables.layout.textLists[index], set, batch)
            if source.exists { return source }
        }
        guard rule.names.isEmpty, rule.texts.isEmpty else { return .none }
        for name: StaticString in ["content", "message", "gen_ai.event.content", "gen_ai.prompt", "gen_ai.completion"] {
            let source = value(named: Text(name), set, batch)
            if source.exists { return source }
        }
        return .none
    }

    private mutating func value(named name: Text, _ set: SetIndex, _ batch: borrowing RecordBatch) -> SourceValue {
        guard let index = batch.find(name: name, in: set) else { return .none }
        return value(of: batch.attributes[index], batch)
    }

    // MARK: One event per message

    private static func role(of name: Text) -> Role? {
        if name == "gen_ai.user.message" { return .user }
        if name == "gen_ai.assistant.message" { return .assistant }
        if name == "gen_ai.tool.message" { return .tool }
        return name == "gen_ai.system.message" ? .system : nil
    }

    private mutating func eventMessages(_ rule: Rule, _ batch: borrowing RecordBatch) {
        guard rule.target.exists, mayFill(rule.claim, state(rule.target, batch)) else { return }
        let isSystem = rule.target == tables.layout.known.instructions
        if isSystem, hasSystemMessage(batch) { return }
        reader.list.removeAll()
        reader.system = .none
        for event in facts.events.range {
            guard let role = Normalizer.role(of: batch.text(batch.events[event].name)), (role == .system) == isSystem
            else {
                continue
            }
            eventMessage(event, role, rule, batch)
        }
        guard reader.list.hasParts else { return }
        guard isSystem else {
            _ = offerMessages(rule.target, rule, batch)
            return
        }
        let start = output.count
        MessageWriter.writeParts(reader.list, &reader.tree, into: &output)
        _ = offer(rule.target, .output(.string, from: start, to: output.count), rule.claim, batch)
    }

    /// Whether the received input messages hold the system's text already, so that its event says nothing more.
    private mutating func hasSystemMessage(_ batch: borrowing RecordBatch) -> Bool {
        let target = tables.layout.known.inputMessages
        guard target.exists, state(target, batch) == .current else { return false }
        let list = document(source(at: Int(drafts[Int(target.value)].origin), batch))
        var message = reader.tree.first(list)
        while message.exists {
            let role = reader.tree.string(reader.tree.member(message, "role"))
            if role == "system" || role == "developer" { return true }
            message = reader.tree.next(message)
        }
        return false
    }

    /// One message event: content, tool calls and the call id stand in its attributes or in one JSON payload.
    private mutating func eventMessage(_ event: Int, _ role: Role, _ rule: Rule, _ batch: borrowing RecordBatch) {
        let set = batch.events[event].set
        let body = value(named: Text("gen_ai.event.content"), set, batch)
        let whole = document(body)
        if reader.tree.isObject(whole) {
            reader.defaultRole = role
            return reader.message(whole, MessageFields(whole, reader.tree), role: Normalizer.word(for: role), 0)
        }
        let content = payload(rule, event, batch)
        let start = reader.list.parts.count
        let id = value(named: Text("id"), set, batch)
        let ref = document(content)
        if role == .tool, !ref.exists || !isBlocks(ref) {
            var part = MessagePart(.toolResponse)
            let text = text(content)
            part.body = ref.exists ? .value(ref) : .plain(text)
            let idText = self.text(id)
            if !idText.isEmpty { part.id = .plain(idText) }
            reader.list.parts.append(part)
        } else if ref.exists {
            reader.content(ref, 1)
        } else {
            let text = text(content)
            if !text.isEmpty { reader.list.parts.append(MessagePart(.text, body: .plain(text))) }
        }
        let calls = value(named: Text("tool_calls"), set, batch)
        if calls.exists { reader.addCalls(document(calls), start) }
        reader.list.close(role: role, from: start)
    }

    static func word(for role: Role) -> Text {
        switch role {
        case .system: Text("system")
        case .assistant: Text("assistant")
        case .tool: Text("tool")
        case .user, .other: Text("user")
        }
    }

    private mutating func isBlocks(_ ref: JSONRef) -> Bool {
        let first = reader.tree.first(ref)
        return reader.tree.isArray(ref) && reader.tree.isObject(first) && reader.wrappedBlock(first) != nil
    }

    // MARK: Choices

    private mutating func eventChoices(_ found: [Int], _ tool: TargetID, _ batch: borrowing RecordBatch) {
        if tool.exists, let operation = word(tables.layout.known.operation, batch), operation == "execute_tool" {
            for event in found {
                let source = choiceContent(event, batch)
                if source.exists, toolResult(tool, source, nil, batch) { return }
            }
            return
        }
        let target = tables.layout.known.outputMessages
        guard !draft(target, batch).isFilled else { return }
        reader.list.removeAll()
        reader.system = .none
        for event in ordered(found, batch) { choice(event, batch) }
        _ = offerMessages(target, nil, batch)
    }

    private mutating func choiceContent(_ event: Int, _ batch: borrowing RecordBatch) -> SourceValue {
        let set = batch.events[event].set
        let message = value(named: Text("message"), set, batch)
        if message.exists { return message }
        let content = value(named: Text("content"), set, batch)
        return content.exists ? content : value(named: Text("gen_ai.event.content"), set, batch)
    }

    /// Choices by their index attribute, else as they came.
    private mutating func ordered(_ found: [Int], _ batch: borrowing RecordBatch) -> [Int] {
        var keyed: [(Int64, Int)] = []
        for (position, event) in found.enumerated() {
            let index = integer(value(named: Text("index"), batch.events[event].set, batch))
            keyed.append((index ?? Int64(position), event))
        }
        return keyed.sorted { $0.0 < $1.0 }.map(\.1)
    }

    private mutating func choice(_ event: Int, _ batch: borrowing RecordBatch) {
        let set = batch.events[event].set
        let source = choiceContent(event, batch)
        let ref = document(source)
        let before = reader.list.messages.count
        if ref.exists {
            reader.defaultRole = .assistant
            reader.value(ref, 0)
            if reader.tree.isArray(ref), reader.tree.count(ref) == 0 {
                // A list of no blocks is an empty answer, as an empty text is.
                reader.list.close(role: .assistant, from: reader.list.parts.count)
            }
        } else {
            let text = text(source)
            let start = reader.list.parts.count
            if !text.isEmpty { reader.list.parts.append(MessagePart(.text, body: .plain(text))) }
            let calls = value(named: Text("tool_calls"), set, batch)
            if calls.exists { reader.addCalls(document(calls), start) }
            reader.list.close(role: .assistant, from: start)
        }
        let finish = text(value(named: Text("finish_reason"), set, batch))
        if reader.list.messages.count > before, !finish.isEmpty {
            let last = reader.list.messages.count - 1
            if !reader.list.messages[last].finish.exists { reader.list.messages[last].finish = .plain(finish) }
        }
    }

    // MARK: The rest

    /// On a tool span the tool event holds the arguments; elsewhere it is a message of the history.
    private mutating func eventTool(_ rule: Rule, _ found: [Int], _ batch: borrowing RecordBatch) {
        guard let operation = word(tables.layout.known.operation, batch), operation == "execute_tool" else {
            var history = rule
            history.target = tables.layout.known.inputMessages
            return eventMessages(history, batch)
        }
        for event in found {
            let source = payload(rule, event, batch)
            if source.exists, !isEmpty(source), offer(rule.target, toolArguments(source), rule.claim, batch) { return }
        }
    }

    private mutating func eventStrings(
        _ rule: Rule, _ map: Int16, _ found: [Int], _ batch: borrowing RecordBatch
    ) {
        let events = ordered(found, batch)
        let start = output.count
        for event in events {
            let text = text(payload(rule, event, batch))
            if !text.isEmpty { appendElement(text, map >= 0 ? Int(map) : nil, .empty) }
        }
        guard output.count > start else { return }
        _ = offer(rule.target, .output(.array, from: start, to: output.count), rule.claim, batch)
    }

    /// Results of a vector search, one event each. A distance becomes a score as one minus itself.
    private mutating func eventDocuments(_ rule: Rule, _ found: [Int], _ batch: borrowing RecordBatch) {
        let start = output.count
        output.append(UInt8(ascii: "["))
        var count = 0
        for event in found {
            if count > 0 { output.append(UInt8(ascii: ",")) }
            count += 1
            output.append(UInt8(ascii: "{"))
            var writer = FieldWriter()
            for index in rule.subRules.range {
                let field = tables.layout.subRules[index]
                let source = value(named: field.operation, batch.events[event].set, batch)
                if source.exists { eventDocumentField(field.label, source, &writer) }
            }
            output.append(UInt8(ascii: "}"))
        }
        guard let value = close(start, count) else { return }
        _ = offer(rule.target, value, rule.claim, batch)
    }

    private mutating func eventDocumentField(_ label: Text, _ source: SourceValue, _ writer: inout FieldWriter) {
        if label == "id" || label == "content" || label == "metadata" {
            writer.name(label == "id" ? "id" : label == "content" ? "content" : "metadata", &output)
            output.append(UInt8(ascii: "\""))
            JSONText.escape(text(source), into: &output)
            output.append(UInt8(ascii: "\""))
        } else if let number = double(source) {
            writer.name("score", &output)
            Number.append(label == "distance" ? 1 - number : number, into: &output)
        }
    }

    /// Several events that each hold a part of one list.
    private mutating func eventAppend(_ rule: Rule, _ found: [Int], _ batch: borrowing RecordBatch) {
        reader.list.removeAll()
        reader.system = .none
        reader.defaultRole = defaultRole(of: rule.target)
        for event in found {
            let ref = document(payload(rule, event, batch))
            if ref.exists { reader.value(ref, 0) }
        }
        _ = offerMessages(rule.target, rule, batch)
    }

    /// Copies content attributes of an event to the span; they are current by name, so their shape is checked.
    private mutating func lift(_ rule: Rule, _ event: Int, _ batch: borrowing RecordBatch) {
        for index in rule.names.range {
            let name = tables.layout.nameLists[index]
            let target = tables.layout.nameTargets[Int(name.value)]
            let source = value(named: tables.layout.nameTexts[Int(name.value)], batch.events[event].set, batch)
            guard target.exists, source.exists, !draft(target, batch).isFilled else { continue }
            if tables.layout.targetTypes[Int(target.value)].isMessages {
                let shape = MessageShape.of(document(source), reader.tree)
                if shape == nil {
                    _ = messages(nil, target, source, batch)
                    continue
                }
                if target == tables.layout.known.outputMessages { collectFinish(document(source)) }
            }
            if let value = lifted(source, target) { _ = offer(target, value, nil, batch) }
        }
    }

    /// Instructions and tools in the schema's shape, whatever shape the event has them in.
    private mutating func lifted(_ source: SourceValue, _ target: TargetID) -> MadeValue? {
        let known = tables.layout.known
        if target == known.instructions, !MessageShape.isParts(document(source), reader.tree) { return system(source) }
        if target == known.toolDefinitions, !MessageShape.isTools(document(source), reader.tree) {
            return toolDefinitions(source)
        }
        return jsonText(source)
    }
}
