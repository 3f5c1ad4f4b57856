import Telemetry

extension Normalizer {
    /// Role of messages that name none.
    func defaultRole(of target: TargetID) -> Role {
        target == tables.layout.known.outputMessages ? .assistant : .user
    }

    /// Reads messages of any shape and offers them in the schema's.
    mutating func messages(
        _ rule: Rule?, _ target: TargetID, _ source: SourceValue, _ batch: borrowing RecordBatch
    ) -> Bool {
        if let rule, rule.isRepair, draft(target, batch).state == .current { return false }
        let ref = document(source)
        let role = defaultRole(of: target)
        if ref.exists {
            reader.read(ref, as: role)
        } else {
            // What was cut or is beyond the bounds is not a message list, and half a list would be a lie.
            if isUnreadable(source) { return false }
            let literal = literal(source)
            if literal.exists { reader.read(literal, as: role) } else { reader.read(plain: text(source), as: role) }
        }
        return offerMessages(target, rule, batch)
    }

    /// Writes the reader's list as the target's value and offers it.
    mutating func offerMessages(_ target: TargetID, _ rule: Rule?, _ batch: borrowing RecordBatch) -> Bool {
        guard reader.list.messages.count > 0 else { return false }
        if reader.definitions.count > 0 { offerDefinitions(batch) }
        let system = reader.system
        let isOutput = target == tables.layout.known.outputMessages
        if target == tables.layout.known.inputMessages { remember() }
        let first = isOutput && isHistoryTarget(batch) ? answerStart(batch) : 0
        collectFinish(first, isOutput)
        let start = output.count
        MessageWriter.write(
            reader.list, &reader.tree, finishReasons: tables.layout.finishReasons, from: first, into: &output)
        var value = MadeValue.output(.string, from: start, to: output.count)
        value.isWeak = !reader.list.hasParts
        guard offer(target, value, rule?.claim, batch) else {
            pin()
            return false
        }
        if isOutput {
            facts.isFinished = isFinished(from: first)
            facts.isWritten = true
        }
        if system.exists { offerSystem(system, batch) }
        return !value.isWeak
    }

    /// Both sides of a call in one list: system text first, the answer last.
    mutating func conversation(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) -> Bool {
        let known = tables.layout.known
        let ref = document(source)
        guard ref.exists else { return messages(rule, rule.target, source, batch) }
        reader.read(ref, as: .user)
        var answer = reader.list.messages.count
        while answer > 0, reader.list.messages[answer - 1].role == .assistant { answer -= 1 }
        var first = 0
        while first < answer, reader.list.messages[first].role == .system { first += 1 }
        var isUsed = false
        if answer < reader.list.messages.count {
            collectFinish(answer, true)
            let value = written(answer..<reader.list.messages.count)
            if offer(known.outputMessages, value, nil, batch) {
                facts.isFinished = isFinished(from: answer)
                isUsed = !value.isWeak
            } else {
                pin()
            }
        }
        if first > 0 {
            if offer(known.instructions, writtenParts(of: 0..<first), nil, batch) { isUsed = true } else { pin() }
        }
        if first < answer {
            let value = written(first..<answer)
            if !offer(rule.target, value, rule.claim, batch) { pin() } else if !value.isWeak { isUsed = true }
        }
        return isUsed
    }

    private mutating func written(_ range: Range<Int>) -> MadeValue {
        let start = output.count
        MessageWriter.write(
            reader.list, &reader.tree, finishReasons: tables.layout.finishReasons, from: range.lowerBound,
            to: range.upperBound, into: &output)
        var value = MadeValue.output(.string, from: start, to: output.count)
        value.isWeak = !range.contains { reader.list.messages[$0].parts.count > 0 }
        return value
    }

    private mutating func writtenParts(of range: Range<Int>) -> MadeValue {
        let start = output.count
        let parts = reader.list.messages[range.lowerBound].parts.range.lowerBound
        let end = reader.list.messages[range.upperBound - 1].parts.range.upperBound
        MessageWriter.writeParts(reader.list, &reader.tree, in: parts..<end, into: &output)
        return .output(.string, from: start, to: output.count)
    }

    /// Tools that stood among the messages.
    private mutating func offerDefinitions(_ batch: borrowing RecordBatch) {
        let target = tables.layout.known.toolDefinitions
        guard target.exists, !draft(target, batch).isFilled else { return pin() }
        let start = output.count
        var count = 0
        output.append(UInt8(ascii: "["))
        for index in reader.definitions.indices {
            ToolDefinitions.write(reader.definitions[index], &reader.tree, into: &output, count: &count)
        }
        if let value = close(start, count) { _ = offer(target, value, nil, batch) }
    }

    /// System text that stood beside the messages.
    private mutating func offerSystem(_ system: Fragment, _ batch: borrowing RecordBatch) {
        let target = tables.layout.known.instructions
        guard target.exists, !draft(target, batch).isFilled, let value = self.system(.node(system.ref)) else { return }
        if !offer(target, value, nil, batch) { pin() }
    }

    /// Outputs of agents, graphs and other non-inference spans often hold the whole conversation.
    private mutating func isHistoryTarget(_ batch: borrowing RecordBatch) -> Bool {
        guard let operation = word(tables.layout.known.operation, batch) else { return true }
        return operation == "invoke_agent" || operation == "invoke_workflow"
    }

    /// Notes what the input messages say, so that an output that repeats them can be cut.
    private mutating func remember(from first: Int = 0) {
        fingerprints.removeAll()
        for index in first..<reader.list.messages.count { fingerprints.append(fingerprint(index)) }
        // Sorted, so that two long histories are not compared message by message.
        var sorted = UnsafeMutableBufferPointer(start: fingerprints.base, count: fingerprints.count)
        sorted.sort()
    }

    /// The same of input messages that came under their current name, behind the list at hand.
    private mutating func rememberReceived(_ batch: borrowing RecordBatch) {
        let target = tables.layout.known.inputMessages
        guard target.exists, state(target, batch) == .current else { return }
        let list = document(source(at: Int(drafts[Int(target.value)].origin), batch))
        let messages = reader.list.messages.count
        let parts = reader.list.parts.count
        let system = reader.system
        reader.value(list, 0)
        reader.system = system
        remember(from: messages)
        reader.list.messages.truncate(to: messages)
        reader.list.parts.truncate(to: parts)
    }

    private func isKnown(_ print: UInt64) -> Bool {
        var low = 0
        var high = fingerprints.count
        while low < high {
            let middle = (low + high) / 2
            if fingerprints[middle] < print { low = middle + 1 } else { high = middle }
        }
        return low < fingerprints.count && fingerprints[low] == print
    }

    /// First message of the reader's list behind the last one that the input has as well.
    private mutating func answerStart(_ batch: borrowing RecordBatch) -> Int {
        // A list of one message is an answer.
        guard reader.list.messages.count > 1 else { return 0 }
        if fingerprints.count == 0 { rememberReceived(batch) }
        guard fingerprints.count > 0 else { return 0 }
        var index = reader.list.messages.count
        while index > 0 {
            if isKnown(fingerprint(index - 1)) {
                guard index < reader.list.messages.count else { return 0 }
                // What the input does not have is nowhere then.
                for earlier in 0..<index - 1 where !isKnown(fingerprint(earlier)) { pin() }
                return index
            }
            index -= 1
        }
        return 0
    }

    /// Hash over role and content of a message, as written.
    private mutating func fingerprint(_ index: Int) -> UInt64 {
        let start = output.count
        var message = reader.list.messages[index]
        message.finish = .none
        message.name = .none
        MessageWriter.write(message, reader.list, &reader.tree, nil, isBare: true, into: &output)
        let hash = Normalizer.hash(UnsafeRawBufferPointer(rebasing: output.bytes[start...]))
        output.truncate(to: start)
        return hash
    }

    /// Eight bytes at a time: histories are long, and every byte of them counts here.
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = 0xCBF2_9CE4_8422_2325 ^ UInt64(bytes.count)
        var index = 0
        while index &+ 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let (high, low) = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            hash = (high ^ low) &+ 0xC4CE_B9FE_1A85_EC53
            index &+= 8
        }
        while index < bytes.count {
            hash = (hash ^ UInt64(bytes[index])) &* 0x0000_0100_0000_01B3
            index &+= 1
        }
        return hash
    }

    /// Finish reasons that stand on output messages become the attribute when nothing else gives it.
    private mutating func collectFinish(_ first: Int, _ isOutput: Bool) {
        guard isOutput, pendingFinish.kind == .empty else { return }
        let start = output.count
        for index in first..<reader.list.messages.count {
            let text = reader.text(reader.list.messages[index].finish)
            if !text.isEmpty { appendElement(finishWord(text)) }
        }
        if output.count > start { pendingFinish = .output(.array, from: start, to: output.count) }
    }

    /// The schema's word for a provider's, or that itself.
    private func finishWord(_ word: Text) -> Text { tables.layout.finishReasons?.lookup(word).text ?? word }

    /// The same from a list that has the schema's form already.
    mutating func collectFinish(_ list: JSONRef) {
        guard pendingFinish.kind == .empty else { return }
        let start = output.count
        var message = reader.tree.first(list)
        while message.exists {
            let finish = reader.tree.member(message, "finish_reason")
            if reader.tree.isString(finish), !reader.tree[finish].text.isEmpty {
                appendElement(finishWord(reader.tree.string(finish)))
            }
            message = reader.tree.next(message)
        }
        if output.count > start { pendingFinish = .output(.array, from: start, to: output.count) }
    }

    mutating func textMessage(_ source: SourceValue, _ role: Role) -> MadeValue? {
        let document = document(source)
        if !document.exists, isUnreadable(source) { return nil }
        let text = document.exists ? Text.empty : text(source)
        guard document.exists || !JSONCursor.isBlank(text) else { return nil }
        reader.list.removeAll()
        if document.exists {
            reader.read(document, as: role)
        } else {
            reader.addText(.plain(text), role: role)
            reader.tree.use(source.ref)
        }
        guard reader.list.hasParts else { return nil }
        let start = output.count
        MessageWriter.write(reader.list, &reader.tree, finishReasons: tables.layout.finishReasons, into: &output)
        return .output(.string, from: start, to: output.count)
    }

    // MARK: One message made of several attributes

    /// Adds a piece to the message in the making. False when it gave no part, as what an SDK cut gives none.
    mutating func assemble(
        _ piece: AssembledPiece, _ source: SourceValue, _ batch: borrowing RecordBatch
    ) -> Bool {
        let before = assembled.count
        switch piece {
        case .text, .reasoning:
            var part = MessagePart(piece == .text ? .text : .reasoning)
            let text = text(source)
            if text.isEmpty {
                guard let json = jsonText(source) else { return false }
                reader.tree.use(document(source))
                let made = bytes(json)
                part.body = .plain(reader.tree.arena.copy(made))
            } else {
                part.body = .plain(text)
            }
            assembled.append(part)
        case .texts:
            let list = document(source)
            guard reader.tree.isArray(list) else { return assemble(.text, source, batch) }
            var child = reader.tree.first(list)
            while child.exists {
                if reader.tree.isString(child), !reader.tree[child].text.isEmpty {
                    assembled.append(MessagePart(.text, body: .value(child)))
                }
                child = reader.tree.next(child)
            }
        case .calls, .files:
            let ref = document(source)
            guard ref.exists else { return false }
            let start = reader.list.parts.count
            if piece == .calls { addCalls(ref) } else { reader.content(ref, 1) }
            for index in start..<reader.list.parts.count { assembled.append(reader.list.parts[index]) }
        }
        return assembled.count > before
    }

    private mutating func addCalls(_ ref: JSONRef) {
        guard reader.tree.isArray(ref) else { return addCall(ref) }
        var child = reader.tree.first(ref)
        while child.exists {
            let call = reader.tree.isString(child) ? reader.tree.container(in: child) : child
            if reader.tree.isObject(call) { addCall(call) }
            child = reader.tree.next(child)
        }
    }

    private mutating func addCall(_ ref: JSONRef) {
        let before = reader.list.parts.count
        reader.addCall(ref)
        reader.list.hold(ref, since: before)
    }

    /// Offers what a dialect's rules have assembled.
    mutating func finishAssembly(_ batch: borrowing RecordBatch) {
        guard assembled.count > 0 else { return }
        reader.list.removeAll()
        reader.system = .none
        for index in assembled.indices { reader.list.parts.append(assembled[index]) }
        reader.list.close(role: .assistant, from: 0)
        assembled.removeAll()
        facts.local = -1
        if !offerMessages(tables.layout.known.outputMessages, nil, batch) {
            for index in assembledFrom.indices { pin(assembledFrom[index]) }
        }
        assembledFrom.removeAll()
    }

    // MARK: Instructions, tools, documents

    mutating func system(_ source: SourceValue) -> MadeValue? {
        reader.list.removeAll()
        let ref = document(source)
        if ref.exists, reader.tree.isArray(ref) || reader.tree.isObject(ref) {
            let parts = reader.tree.member(ref, "parts")
            reader.content(parts.exists ? parts : ref, 1)
        } else {
            if isUnreadable(source) { return nil }
            let text = unquotedWhole(text(source))
            reader.tree.use(source.ref)
            if !text.isEmpty { reader.list.parts.append(MessagePart(.text, body: .plain(text))) }
        }
        guard reader.list.hasParts else { return nil }
        let start = output.count
        MessageWriter.writeParts(reader.list, &reader.tree, into: &output)
        return .output(.string, from: start, to: output.count)
    }

    /// A text that was encoded as JSON once more.
    private mutating func unquotedWhole(_ text: Text) -> Text {
        let quote = UInt8(ascii: "\"")
        guard text.count >= 2, text[0] == quote, text[text.count - 1] == quote else { return text }
        return unquoted(text)
    }

    mutating func toolDefinitions(_ source: SourceValue) -> MadeValue? {
        let ref = literal(source)
        let start = output.count
        var count = 0
        output.append(UInt8(ascii: "["))
        if ref.exists {
            ToolDefinitions.write(ref, &reader.tree, into: &output, count: &count)
        } else if !isUnreadable(source) {
            ToolDefinitions.names(text(source), into: &output, count: &count)
            reader.tree.use(source.ref)
        }
        return close(start, count)
    }

    /// The `tools` member of a request object.
    mutating func toolsMember(_ source: SourceValue) -> MadeValue? {
        let tools = reader.tree.member(literal(source), "tools")
        return tools.exists ? toolDefinitions(.node(tools)) : nil
    }

    mutating func documents(_ source: SourceValue) -> MadeValue? {
        let ref = literal(source)
        guard ref.exists else { return nil }
        let start = output.count
        var count = 0
        output.append(UInt8(ascii: "["))
        Documents.write(ref, &reader.tree, into: &output, count: &count)
        return close(start, count)
    }

    /// Ends a JSON list; an empty one is taken back.
    mutating func close(_ start: Int, _ count: Int) -> MadeValue? {
        guard count > 0 else {
            output.truncate(to: start)
            return nil
        }
        output.append(UInt8(ascii: "]"))
        return .output(.string, from: start, to: output.count)
    }
}
