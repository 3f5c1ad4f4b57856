import Telemetry

extension Normalizer {
    /// Runs one rule.
    @inline(__always)
    mutating func apply(_ index: Int, _ batch: borrowing RecordBatch) {
        let head = tables.layout.heads[index]
        if head.name != .none {
            guard let local = place(of: head.name) else { return }
            if head.move != .none, move(index, head, from: local, batch) { return }
            return apply(index, source(at: local, batch), batch)
        }
        applyOther(index, batch)
    }

    /// Runs a rule that reads something else than one attribute.
    private mutating func applyOther(_ index: Int, _ batch: borrowing RecordBatch) {
        switch tables.layout.rules[index].source {
        case .attribute: return
        case .pattern(let pattern, let suffix): applyPattern(index, pattern, suffix, batch)
        case .event(let name): applyEvents(index, name, batch)
        case .spanName(let name): if facts.name == name { apply(index, .text(facts.name), batch) }
        case .spanNamePrefix(let prefix):
            guard facts.name.hasPrefix(prefix) else { return }
            var text = facts.name
            if case .rest = tables.layout.rules[index].transform { text = text[prefix.count..<text.count] }
            apply(index, .text(text), batch)
        case .scopePrefix(let name):
            if ScopeName.hasPrefix(facts.scope, name) { apply(index, .text(facts.scope), batch) }
        // What a span is says nothing of a record about a part of it.
        case .always: if !facts.isLog { apply(index, .text(facts.name), batch) }
        }
    }

    /// Runs a rule on a value.
    mutating func apply(_ index: Int, _ source: SourceValue, _ batch: borrowing RecordBatch) {
        let head = tables.layout.heads[index]
        facts.rule = Int32(index)
        facts.local = source.attribute
        if head.target.exists, !mayFill(head.claim, state(head.target, batch)) {
            if head.countsConflicts { noteConflict(tables.layout.rules[index], source, batch) }
            if head.hasSecond { applySecond(tables.layout.rules[index], source, batch) }
            return
        }
        if head.hasConditions, !holds(tables.layout.rules[index].conditions, head.target, source, batch) {
            // Once its target has a value, the second rule on this source runs.
            if head.hasSecond, head.target.exists { markMissed(head.target) }
            return
        }
        let rule = tables.layout.rules[index]
        // A generic input or output asks again once it knows its target.
        let isSilent = isGeneric(rule) ? !source.isValue : isEmpty(source, for: rule.target)
        if !isSilent {
            if run(rule, source, batch) {
                if !rule.keepsSource, !rule.isRepair { spend(source, rule.transform.carrying) }
            } else {
                noteFailure(rule, source, batch)
            }
        }
        applySecond(rule, source, batch)
    }

    private mutating func isGeneric(_ rule: Rule) -> Bool {
        if case .ioValue = rule.transform { return true }
        return false
    }

    private mutating func applySecond(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) {
        if rule.also >= 0 { apply(Int(rule.also), source, batch) }
    }

    /// Whether a rule may give this target a value at all.
    @inline(__always)
    mutating func mayFill(_ claim: Claim, _ state: Draft.State) -> Bool {
        if claim.isRepair || claim.conflict == .preferSource { return true }
        switch state {
        case .absent, .weakCurrent, .weakMapped, .withdrawn: return true
        case .current: return facts.overwrites || claim.conflict == .preferMapped
        case .mapped: return claim.conflict == .preferMapped
        }
    }

    /// Gives a target its value. False when the target keeps what it has.
    mutating func offer(_ target: TargetID, _ value: MadeValue, _ claim: Claim?, _ batch: borrowing RecordBatch) -> Bool
    {
        guard target.exists else { return false }
        let index = Int(target.value)
        let state = state(target, batch)
        if let claim {
            guard mayFill(claim, state) else { return false }
        } else {
            guard !state.isFilled || facts.overwrites && state == .current else { return false }
        }
        if value.kind == .int, !isPlausible(target, Int64(bitPattern: value.bits)) { return false }
        if value.isWeak {
            // A weak list never replaces anything, not even another weak one.
            guard state == .absent || state == .withdrawn else { return false }
        }
        fill(target, value)
        if value.isWeak { drafts[index].state = .weakMapped }
        return true
    }

    /// Takes a target's value away because the table says it has no current form.
    mutating func withdraw(_ target: TargetID, _ source: SourceValue, _ batch: borrowing RecordBatch) {
        let before = draft(target, batch)
        guard before.exists else { return }
        drafts[Int(target.value)].state = before.origin >= 0 ? .withdrawn : .absent
        guard before.origin >= 0 else { return }
        let known = tables.layout.known
        // The word that was taken away stays readable: an operation as the span's kind, anything else as it was, unless
        // a later rule says the same (`keepReplaced`).
        if target == known.operation, known.kind.exists, !draft(known.kind, batch).exists {
            _ = offer(known.kind, lowercased(text(source)), nil, batch)
        }
    }

    mutating func lowercased(_ text: Text) -> MadeValue {
        let start = output.count
        for index in 0..<text.count { output.append(ASCII.lower(text[index])) }
        return .output(.string, from: start, to: output.count)
    }

    /// Runs the transform and offers its outcome. True when the source was used.
    mutating func run(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) -> Bool {
        switch rule.transform {
        case .ioValue: return ioValue(rule, source, batch)
        case .jsonFields: return fields(rule.subRules, document: literal(source), rule, batch)
        case .parameters(let map):
            return parameters(Int(map), literal(source), batch)
        case .messages, .history:
            let done = messages(rule, rule.target, source, batch)
            if done, rule.isRepair { keepArguments(rule.target, source) }
            if !rule.subRules.isEmpty { _ = fields(rule.subRules, document: document(source), rule, batch) }
            return done
        case .conversation: return conversation(rule, source, batch)
        case .toolArguments, .toolResult:
            if isLeftAlone(source, inPlace: rule.isRepair) { return false }
            if case .toolResult = rule.transform { return toolResult(rule.target, source, rule, batch) }
        case .toolParameters: return toolParameters(rule, source, batch)
        case .assemble(let piece):
            guard assemble(piece, source, batch) else { return false }
            if source.attribute >= 0 { assembledFrom.append(source.attribute) }
            return true
        case .statusMessage:
            pendingStatusMessage = text(source)
            return !pendingStatusMessage.isEmpty
        case .levelToStatus:
            let isError = ASCII.equalsFolded(text(source), Text("error"))
            if isError { pendingError = true }
            return isError
        case .drop: return true
        case .renamePrefix: return false
        case .objectToTemplate(let prefix): return template(prefix, source)
        case .urlHost: return urlHost(rule.target, source, rule, batch)
        default: break
        }
        switch outcome(rule.transform, rule.target, source, rule.drop, rule.names, batch) {
        case .nothing: return false
        case .withdraw:
            if rule.isRepair || rule.conflict == .preferSource { withdraw(rule.target, source, batch) }
            return false
        case .value(let value):
            if rule.conflict == .preferMapped, !isRawAlias(rule, batch) { return false }
            if rule.conflict == .preferSource, holdsProvider(rule.target, batch) {
                noteConflict(rule, source, batch)
                return false
            }
            if offer(rule.target, value, rule.claim, batch) { return true }
            pin()
            return false
        }
    }

    /// Whether the target holds a word that the rule's map would replace.
    private mutating func isRawAlias(_ rule: Rule, _ batch: borrowing RecordBatch) -> Bool {
        let draft = draft(rule.target, batch)
        // What a dialect took away is not given back.
        guard draft.isFilled else { return draft.state != .withdrawn }
        guard case .map(let map, _) = rule.transform, let word = word(rule.target, batch) else { return false }
        return !tables.layout.maps[Int(map)].isCurrent(word)
    }

    /// Whether the span came with one of the conventions' provider names, which outranks every dialect's.
    private mutating func holdsProvider(_ target: TargetID, _ batch: borrowing RecordBatch) -> Bool {
        guard target == tables.layout.known.provider, !facts.overwrites, state(target, batch) == .current,
            let word = word(target, batch)
        else { return false }
        return tables.layout.providerNames?.isCurrent(word) ?? false
    }

    // MARK: Conditions

    mutating func holds(
        _ conditions: PoolRange, _ target: TargetID, _ source: SourceValue, _ batch: borrowing RecordBatch
    ) -> Bool {
        for index in conditions.range where !holds(tables.layout.conditions[index], target, source, batch) {
            return false
        }
        return true
    }

    private mutating func holds(
        _ condition: Condition, _ target: TargetID, _ source: SourceValue, _ batch: borrowing RecordBatch
    ) -> Bool {
        switch condition {
        case .targetAbsent: return !target.exists || !draft(target, batch).isFilled
        case .never: return false
        case .root: return facts.isRoot
        case .noKind: return !hasKind()
        case .isJSONArray: return reader.tree.isArray(document(source))
        case .absent(let names): return !anyPresent(names, target, batch)
        case .presentAny(let names): return anyPresent(names, target, batch)
        case .present(let names):
            for index in names.range where place(of: tables.layout.nameLists[index]) == nil { return false }
            return true
        case .hasAny(let names): return hasAny(names, batch)
        case .hasAll(let names): return hasAll(names, batch)
        case .absentPrefix(let patterns): return !anyPattern(patterns)
        case .presentPrefix(let patterns): return anyPattern(patterns)
        case .kind(let words): return kind(batch).map { isOne(of: words, $0, folds: true) } ?? false
        case .operation(let words):
            return word(tables.layout.known.operation, batch).map { isOne(of: words, $0) } ?? false
        case .notOperation(let words):
            return !(word(tables.layout.known.operation, batch).map { isOne(of: words, $0) } ?? false)
        case .rawOperation(let words):
            let operation = tables.layout.targetNames[Int(tables.layout.known.operation.value)]
            return string(of: operation, batch).map { isOne(of: words, $0) } ?? false
        case .provider(let words):
            return word(tables.layout.known.provider, batch).map { isOne(of: words, $0) } ?? false
        case .scope(let words): return isOne(of: words, facts.scope)
        case .scopePrefix(let words):
            for index in words.range where ScopeName.hasPrefix(facts.scope, tables.layout.textLists[index]) {
                return true
            }
            return false
        case .spanName(let words): return isOne(of: words, facts.name)
        case .notSpanNameSuffix(let words):
            for index in words.range where facts.name.hasSuffix(tables.layout.textLists[index]) { return false }
            return true
        case .spanNameIs(let name, let path): return isSpanName(name, path, batch)
        case .valueIn(let words): return isOne(of: words, text(source), folds: true)
        case .valueContains(let words): return contains(text(source), words)
        case .attributeEquals(let name, let value): return equals(name, value, batch)
        case .status(let code): return facts.status == code
        case .any(let groups):
            for index in groups.range where holds(tables.layout.groups[index], target, source, batch) { return true }
            return false
        }
    }

    private mutating func anyPresent(_ names: PoolRange, _ target: TargetID, _ batch: borrowing RecordBatch) -> Bool {
        let own = target.exists && !facts.overwrites ? tables.layout.targetNames[Int(target.value)] : .none
        for index in names.range {
            let name = tables.layout.nameLists[index]
            // A rule that asks for its own target has nothing more to do once it has given it, and others give way.
            guard let local = name == own ? receivedPlace(of: name) : place(of: name) else { continue }
            let record = batch.attributes[facts.start + local]
            // An empty text is as good as nothing.
            if !(record.kind == .string && record.text.isEmpty) { return true }
        }
        return false
    }

    private mutating func hasAny(_ names: PoolRange, _ batch: borrowing RecordBatch) -> Bool {
        for index in names.range {
            let target = tables.layout.nameTargets[Int(tables.layout.nameLists[index].value)]
            guard target.exists else { continue }
            if draft(target, batch).exists { return true }
            markMissed(target)
        }
        return false
    }

    private mutating func hasAll(_ names: PoolRange, _ batch: borrowing RecordBatch) -> Bool {
        for index in names.range {
            let target = tables.layout.nameTargets[Int(tables.layout.nameLists[index].value)]
            guard target.exists, draft(target, batch).exists else {
                if target.exists { markMissed(target) }
                return false
            }
        }
        return true
    }

    private mutating func anyPattern(_ patterns: PoolRange) -> Bool {
        for index in patterns.range {
            let pattern = tables.layout.nameLists[index]
            if count(of: pattern.value) > 0 { return true }
            missedPatterns.mark(pattern, stamp)
        }
        return false
    }

    private mutating func isOne(of words: PoolRange, _ text: Text, folds: Bool = false) -> Bool {
        for index in words.range {
            let word = tables.layout.textLists[index]
            if folds ? ASCII.equalsFolded(word, text) : word == text { return true }
        }
        return false
    }

    private mutating func contains(_ text: Text, _ words: PoolRange) -> Bool {
        guard let first = words.range.first, tables.layout.textLists[first].count > 0 else { return false }
        // Most lists begin with the same sign, so that one walk finds any of them.
        let sign = tables.layout.textLists[first][0]
        for index in words.range
        where tables.layout.textLists[index].count == 0 || tables.layout.textLists[index][0] != sign {
            return containsEach(text, words)
        }
        var from = 0
        while let hit = text.firstIndex(of: sign, from: from) {
            for index in words.range where begins(text, at: hit, tables.layout.textLists[index]) { return true }
            from = hit + 1
        }
        return false
    }

    private func begins(_ text: Text, at place: Int, _ word: Text) -> Bool {
        place + word.count <= text.count && text[place..<place + word.count] == word
    }

    private mutating func containsEach(_ text: Text, _ words: PoolRange) -> Bool {
        for index in words.range {
            let word = tables.layout.textLists[index]
            guard word.count > 0 else { continue }
            var from = 0
            while let hit = text.firstIndex(of: word[0], from: from), hit + word.count <= text.count {
                if begins(text, at: hit, word) { return true }
                from = hit + 1
            }
        }
        return false
    }

    private mutating func equals(_ name: NameID, _ value: Text, _ batch: borrowing RecordBatch) -> Bool {
        let target = tables.layout.nameTargets[Int(name.value)]
        if target.exists, let word = word(target, batch) { return word == value }
        return string(of: name, batch).map { ASCII.equalsFolded($0, value) } ?? false
    }

    private mutating func isSpanName(_ name: NameID, _ path: Text, _ batch: borrowing RecordBatch) -> Bool {
        guard let local = place(of: name), !facts.name.isEmpty else { return false }
        let source = source(at: local, batch)
        if path.isEmpty { return text(source) == facts.name }
        let ref = reader.tree.at(literal(source), path: path)
        return reader.tree.isString(ref) && reader.tree.string(ref) == facts.name
    }

    /// Raw word that names the span's kind in the dialect at hand, without JSON quotes.
    mutating func kind(_ batch: borrowing RecordBatch) -> Text? {
        if facts.kindDialect == facts.dialect { return facts.kind }
        facts.kind = readKind(batch)
        facts.kindDialect = facts.dialect
        return facts.kind
    }

    private mutating func readKind(_ batch: borrowing RecordBatch) -> Text? {
        for index in tables.layout.dialects[facts.dialect].kinds.range {
            guard let local = place(of: tables.layout.nameLists[index]) else { continue }
            let word = unquoted(text(source(at: local, batch)))
            if !word.isEmpty { return word }
        }
        return nil
    }

    /// Whether any active dialect, or an earlier run, states the kind of this span.
    private mutating func hasKind() -> Bool {
        if place(of: tables.layout.known.kindName) != nil { return true }
        let kind = tables.layout.known.kind
        if kind.exists, drafts[Int(kind.value)].stamp == stamp, drafts[Int(kind.value)].exists { return true }
        if kind.exists { markMissed(kind) }
        for (dialect, name) in tables.layout.kindNames where facts.active >> UInt64(dialect) & 1 == 1 {
            guard place(of: name) != nil else { continue }
            // Once the originals are gone, nothing may call for the dialect that understands the word.
            if options.removeOriginals { isUnsettled = true }
            return true
        }
        return false
    }
}
