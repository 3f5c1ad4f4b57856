import Telemetry

extension Normalizer {
    /// Work that needs all rules to be done: repairs, finish reasons, token counts.
    mutating func settle(_ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        facts.rule = EngineStep.repair
        facts.local = -1
        facts.removes = false
        facts.overwrites = options.overwrite
        if known.inputMessages.exists { repairMessages(known.inputMessages, batch) }
        if known.outputMessages.exists { repairMessages(known.outputMessages, batch) }
        if known.instructions.exists { repairList(known.instructions, batch) }
        if known.toolDefinitions.exists { repairList(known.toolDefinitions, batch) }
        repairResult(batch)
        facts.rule = EngineStep.finishReasons
        if known.finishReasons.exists, pendingFinish.kind != .empty, !draft(known.finishReasons, batch).exists {
            _ = offer(known.finishReasons, pendingFinish, nil, batch)
        }
        finishMessages(batch)
        translateProvider(batch)
        includeCachedTokens(batch)
        if truncated.count > 0 { listTruncated(batch) }
    }

    /// Names the attributes that an SDK cut, in order of their names.
    private mutating func listTruncated(_ batch: borrowing RecordBatch) {
        let target = tables.layout.known.truncated
        guard target.exists, !draft(target, batch).exists else { return }
        var names: [Text] = []
        for index in truncated.indices where index < 64 {
            let key = batch.text(batch.attributes[facts.start + Int(truncated[index])].key)
            if !names.contains(where: { $0 == key }) { names.append(key) }
        }
        names.sort { $0.isOrdered(before: $1) }
        let start = output.count
        for name in names { appendElement(name) }
        facts.rule = EngineStep.truncation
        _ = offer(target, .output(.array, from: start, to: output.count), nil, batch)
    }

    /// A value under a current name that no rule replaced and that has another shape: source material, not target.
    private mutating func repairMessages(_ target: TargetID, _ batch: borrowing RecordBatch) {
        let draft = draft(target, batch)
        guard draft.state == .absent, draft.origin >= 0 else { return }
        let source = source(at: Int(draft.origin), batch)
        guard !isEmpty(source), messages(nil, target, source, batch) else { return }
        keepArguments(target, source)
    }

    /// A call's one argument becomes the message; its name would be lost.
    mutating func keepArguments(_ target: TargetID, _ source: SourceValue) {
        let received = document(source)
        if reader.tree.isObject(received), reader.tree.member(received, "kwargs").exists {
            let name = tables.layout.nameTexts[Int(tables.layout.targetNames[Int(target.value)].value)]
            add(
                tables.layout.originalPrefix, name,
                MadeValue(kind: source.kind, bits: source.bits, text: source.text))
        }
    }

    private mutating func repairList(_ target: TargetID, _ batch: borrowing RecordBatch) {
        let draft = draft(target, batch)
        guard draft.state == .absent, draft.origin >= 0 else { return }
        let source = source(at: Int(draft.origin), batch)
        guard !isEmpty(source), !isUnreadable(source) else { return }
        let value = target == tables.layout.known.instructions ? system(source) : toolDefinitions(source)
        if let value { _ = offer(target, value, nil, batch) }
    }

    /// A provider under the current name in a word that the tables know for one of the conventions' names.
    private mutating func translateProvider(_ batch: borrowing RecordBatch) {
        let target = tables.layout.known.provider
        guard target.exists, state(target, batch) == .current, let map = tables.layout.providerNames,
            let word = word(target, batch), let current = map.lookup(word).text, !(current == word),
            !map.isCurrent(word)
        else { return }
        facts.rule = EngineStep.repair
        fill(target, .string(current))
    }

    /// Input tokens contain the cached ones. A count that is smaller than its own parts is surely without them.
    private mutating func includeCachedTokens(_ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        guard known.inputTokens.exists, let input = integer(known.inputTokens, batch) else { return }
        let read = integer(known.cacheRead, batch) ?? 0
        let write = integer(known.cacheWrite, batch) ?? 0
        guard read >= 0, write >= 0 else { return }
        let (cached, first) = read.addingReportingOverflow(write)
        let (total, second) = input.addingReportingOverflow(cached)
        guard !first, !second, cached > 0 else { return }
        guard cached > input else { return markAmbiguous(batch) }
        let index = Int(known.inputTokens.value)
        drafts[index].value = .int(total)
        drafts[index].state = .mapped
        drafts[index].rule = EngineStep.inclusiveTokens
    }

    /// Some dialects pass the counts of the provider through, and of two providers these are without the cached ones.
    private mutating func markAmbiguous(_ batch: borrowing RecordBatch) {
        let known = tables.layout.known
        let draft = draft(known.inputTokens, batch)
        guard known.tokensAmbiguous.exists, draft.state == .mapped, draft.rule >= 0,
            case .varies = tables.layout.dialects[Int(tables.layout.ruleDialects[Int(draft.rule)])].cacheInclusion,
            let provider = word(known.provider, batch), provider == "anthropic" || provider == "aws.bedrock"
        else { return }
        facts.rule = EngineStep.ambiguousTokens
        _ = offer(known.tokensAmbiguous, .bool(true), nil, batch)
    }

    // MARK: Writing to the batch

    // What is called for each target is mutating even where it changes nothing: a borrowed `self` is copied, and it has
    // more than a kilobyte.

    /// Writes what the rules decided. From here on texts of this span must not be read any more. True when anything
    /// changed.
    mutating func commit(_ batch: inout RecordBatch) -> Bool {
        var isChanged = false
        // Targets in the tables' order, so that the received order of attributes does not show.
        sortTouched()
        keepReplaced(&batch)
        // The side buffer moves when it grows, so texts that lie in it become references before it does.
        for position in touched.indices {
            let index = Int(touched[position])
            if drafts[index].isMade { drafts[index].value.refer(in: &batch) }
        }
        for index in added.indices { added[index].value.refer(in: &batch) }
        if batch.isInEdits(pendingStatusMessage) {
            pendingStatusMessage = reader.tree.arena.copy(pendingStatusMessage)
        }
        for position in touched.indices {
            let index = Int(touched[position])
            guard drafts[index].isMade else { continue }
            drafts[index].value.store(in: &batch, from: output)
            if write(index, &batch) {
                isChanged = true
                noteWritten(index, &batch)
            }
        }
        if applyProfile(&batch) { isChanged = true }
        for index in added.indices { added[index].value.store(in: &batch, from: output) }
        if addKeys(&batch) { isChanged = true }
        if options.explains { explain(&batch) }
        if writeStatus(&batch) { isChanged = true }
        if removeSpent(&batch) { isChanged = true }
        return isChanged
    }

    /// A received value that was taken away, or that another source's value takes the place of, is kept under a name of
    /// ours. The latter not when the operator wants it overwritten.
    private mutating func keepReplaced(_ batch: inout RecordBatch) {
        for position in touched.indices {
            let index = Int(touched[position])
            guard drafts[index].origin >= 0 else { continue }
            let isMade = drafts[index].isMade
            if drafts[index].state == .withdrawn || isMade && !overwrites(drafts[index].rule) {
                keepReceived(index, isMade, batch)
            }
        }
    }

    /// Whether the operator wants what was there replaced by what a rule, or the engine, gives.
    private mutating func overwrites(_ rule: Int32) -> Bool {
        rule >= 0 ? isOverwriting(Int(rule)) : options.overwrite
    }

    private mutating func keepReceived(_ index: Int, _ isReplaced: Bool, _ batch: borrowing RecordBatch) {
        let draft = drafts[index]
        let received = source(at: Int(draft.origin), batch)
        if isReplaced {
            if isOwn(draft.rule), isCarried(Int(draft.origin), index) { return }
            if isWeakList(index, received) && isCarried(Int(draft.origin), index) { return }
            if isEqual(received, draft.value) { return }
        }
        guard !isEmpty(received) else { return }
        let known = tables.layout.known
        if index == Int(known.operation.value), known.kind.exists, let kind = word(known.kind, batch),
            ASCII.equalsFolded(kind, text(received))
        {
            return
        }
        let name = tables.layout.nameTexts[Int(tables.layout.targetNames[index].value)]
        add(
            tables.layout.originalPrefix, name,
            MadeValue(kind: received.kind, bits: received.bits, text: received.text))
    }

    /// Whether a value was made from the attribute whose place it takes.
    private mutating func isOwn(_ rule: Int32) -> Bool {
        switch rule {
        case EngineStep.recast, EngineStep.repair, EngineStep.inclusiveTokens: true
        default: rule >= 0 && tables.layout.rules[Int(rule)].isRepair
        }
    }

    /// Whether all that a document under a current name said is in what takes its place. Other values are one value.
    private mutating func isCarried(_ local: Int, _ target: Int) -> Bool {
        guard tables.layout.targetTypes[target].isDocument, parsed[local] > 0 else { return true }
        return reader.tree.isCarried(JSONRef(parsed[local] - 1))
    }

    private mutating func isWeakList(_ target: Int, _ received: SourceValue) -> Bool {
        guard tables.layout.targetTypes[target].isMessages else { return false }
        return MessageShape.of(document(received), reader.tree) == .weak
    }

    private mutating func isEqual(_ received: SourceValue, _ value: MadeValue) -> Bool {
        guard received.kind == value.kind else { return false }
        switch received.kind {
        case .string, .array, .map, .bytes: return received.text == bytes(value)
        default: return received.bits == value.bits
        }
    }

    /// Puts the touched targets in the tables' order, each of them once as before, by a bit for each target.
    private mutating func sortTouched() {
        order.removeAll()
        for _ in 0...tables.layout.targetNames.count >> 6 { order.append(0) }
        for position in touched.indices {
            let target = Int(touched[position])
            order[target >> 6] |= 1 << UInt64(target & 63)
        }
        touched.removeAll()
        for word in order.indices {
            var bits = order[word]
            while bits != 0 {
                touched.append(Int16(word << 6 + bits.trailingZeroBitCount))
                bits &= bits &- 1
            }
        }
    }

    mutating func attributeValue(_ value: MadeValue) -> AttributeValue {
        AttributeRecord(
            key: .empty, keyID: .unknown, kind: value.kind, payload: value.bits, raw: .empty, flags: []
        ).value
    }

    /// What is new may call for a dialect that was not active, or stand for indexed keys.
    private mutating func noteWritten(_ index: Int, _ batch: inout RecordBatch) {
        if options.explains { explained.append(Int32(index)) }
        guard !isUnsettled else { return }
        let name = tables.layout.targetNames[index]
        // With `overwrite` what was given is given again to whoever comes last.
        let known = tables.layout.nameFacts[Int(name.value)]
        isUnsettled =
            overwriting != 0 || isAskedFor(name, known) || wakes(name, known, drafts[index].value, &batch)
    }

    private mutating func write(_ index: Int, _ batch: inout RecordBatch) -> Bool {
        let origin = Int(drafts[index].origin)
        if origin < 0, options.profile != .genAIDev, hasFormerName(index) { return false }
        let made = profiled(drafts[index].value, TargetID(value: Int16(index)))
        if origin >= 0 {
            let place = batch.range(of: facts.set).lowerBound + origin
            if isSame(batch.attributes[place], made, &batch) { return false }
            batch.setValue(attributeValue(made), at: place, in: facts.set)
            return true
        }
        let name = Int(tables.layout.targetNames[index].value)
        let key = binding.keyOfName[name]
        let reference = key != .unknown ? batch.keys.reference(of: key) : batch.addText(tables.layout.nameTexts[name])
        batch.append(
            AttributeRecord(
                key: reference, keyID: key, kind: made.kind, payload: made.bits, raw: .empty, flags: .replaced),
            to: facts.set)
        return true
    }

    /// Whether a former name holds the target's value in this profile.
    private mutating func hasFormerName(_ target: Int) -> Bool {
        for alias in tables.layout.aliases where Int(alias.target.value) == target {
            if options.profile <= alias.last { return true }
        }
        return false
    }

    mutating func isSame(_ record: AttributeRecord, _ value: MadeValue, _ batch: inout RecordBatch) -> Bool {
        guard record.kind == value.kind else { return false }
        switch record.kind {
        case .string, .array, .map, .bytes:
            return batch.text(record.text) == batch.text(value.reference)
        default: return record.payload == value.bits
        }
    }

    private mutating func writeStatus(_ batch: inout RecordBatch) -> Bool {
        guard !facts.isLog else { return false }
        var isChanged = false
        if pendingError, batch.spans[facts.span].statusCode == 0 {
            batch.spans[facts.span].statusCode = 2
            batch.markSpan(facts.span, .status)
            isChanged = true
        }
        if !pendingStatusMessage.isEmpty, batch.spans[facts.span].statusMessage.isEmpty {
            batch.setStatusMessage(batch.addText(pendingStatusMessage), ofSpan: facts.span)
            isChanged = true
        }
        return isChanged
    }
}
