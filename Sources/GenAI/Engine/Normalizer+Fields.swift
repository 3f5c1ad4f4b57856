import Telemetry

extension Normalizer {
    /// Takes the listed fields of a document. True when one of them was used.
    mutating func fields(
        _ list: PoolRange, document root: JSONRef, _ rule: Rule, _ batch: borrowing RecordBatch
    ) -> Bool {
        guard root.exists else { return false }
        var isUsed = false
        for index in list.range {
            let field = tables.layout.subRules[index]
            let ref = reader.tree.at(root, path: field.label)
            guard ref.exists, reader.tree.kind(ref) != .null || isResult(field.target) else { continue }
            if give(field, .node(ref), root, batch) { isUsed = true }
        }
        return isUsed
    }

    /// Whether null is a value to a target, as it is when a tool answers so.
    private func isResult(_ target: TargetID) -> Bool {
        target.exists && tables.layout.targetTypes[Int(target.value)] == .result
    }

    /// Spreads an object of call parameters. True when one of them was used.
    mutating func parameters(_ map: Int, _ root: JSONRef, _ batch: borrowing RecordBatch) -> Bool {
        guard reader.tree.isObject(root) else { return false }
        var isUsed = false
        for index in tables.layout.parameterMaps[map].range {
            let field = tables.layout.subRules[index]
            let ref = reader.tree.at(root, path: field.label)
            guard ref.exists, reader.tree.kind(ref) != .null else { continue }
            if give(field, .node(ref), root, batch) { isUsed = true }
        }
        return isUsed
    }

    /// Gives one field to its target.
    mutating func give(
        _ field: SubRule, _ source: SourceValue, _ root: JSONRef, _ batch: borrowing RecordBatch
    ) -> Bool {
        guard field.target.exists, !isEmpty(source, for: field.target) else { return false }
        let draft = draft(field.target, batch)
        if draft.isFilled, !(facts.overwrites && draft.state == .current) { return false }
        guard holds(field.conditions, field.target, source, batch) else { return false }
        switch field.transform {
        case .messages, .history, .conversation:
            guard messages(nil, field.target, source, batch) else { return false }
            place(source, .parts)
            return true
        case .urlHost: return urlHost(field.target, source, nil, batch)
        case .sumInt:
            guard let value = sum(source, field.paths, root) else { return false }
            return offer(field.target, value, nil, batch)
        case .toolArguments, .toolResult:
            if isLeftAlone(source, inPlace: false) { return false }
            if case .toolResult = field.transform { return toolResult(field.target, source, nil, batch) }
            fallthrough
        default:
            guard case .value(let value) = outcome(field.transform, field.target, source, field.drop, .empty, batch)
            else {
                return false
            }
            guard offer(field.target, value, nil, batch) else {
                pin()
                return false
            }
            place(source, field.transform.carrying)
            return true
        }
    }

    private mutating func sum(_ source: SourceValue, _ paths: PoolRange, _ root: JSONRef) -> MadeValue? {
        guard var total = integer(source) else { return nil }
        for index in paths.range {
            let ref = reader.tree.at(root, path: tables.layout.textLists[index])
            guard ref.exists, let more = integer(.node(ref)), more > 0 else { continue }
            let (sum, overflow) = total.addingReportingOverflow(more)
            if overflow { return nil }
            total = sum
        }
        return .int(total)
    }

    /// One attribute per member of an object, under a prefix.
    mutating func template(_ prefix: Text, _ source: SourceValue) -> Bool {
        let root = literal(source)
        guard reader.tree.isObject(root) else { return false }
        var child = reader.tree.first(root)
        var count = 0
        while child.exists, count < 64 {
            let key = reader.tree[child].key
            if !key.isEmpty, let value = cast(.node(child), to: .string) {
                add(prefix, key, value)
                reader.tree.use(child)
                count += 1
            }
            child = reader.tree.next(child)
        }
        return count > 0
    }

    mutating func add(_ prefix: Text, _ suffix: Text, _ value: MadeValue) {
        let start = output.count
        output.append(prefix)
        output.append(suffix)
        added.append(
            AddedAttribute(
                key: PoolRange(start: UInt32(start), count: UInt32(output.count - start)), value: value,
                overwrites: facts.overwrites))
    }

    // MARK: Generic input and output

    /// Chooses the target of a generic input or output by the span's kind.
    mutating func ioValue(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) -> Bool {
        let cases = choose(rule.subRules, batch)
        guard !cases.isEmpty else { return false }
        var value = source
        if !rule.texts.isEmpty { value = unwrap(rule.texts, source) }
        if rule.isTyped { value = unwrapTyped(value) }
        if rule.isEncoded { value = decoded(value) }
        for index in cases.range {
            let option = tables.layout.subRules[index]
            guard option.target.exists else { return false }
            let draft = draft(option.target, batch)
            if draft.isFilled, !(facts.overwrites && draft.state == .current) { continue }
            guard holds(option.conditions, option.target, value, batch) else { continue }
            var part = value
            if !option.paths.isEmpty { part = first(option.paths, value) }
            var plain = option
            plain.conditions = .empty
            return give(plain, part, .none, batch)
        }
        return false
    }

    /// The run of cases for this span: the kind whose operation was mapped wins over the raw word, because a rule may
    /// have promoted the span.
    private mutating func choose(_ cases: PoolRange, _ batch: borrowing RecordBatch) -> PoolRange {
        let operation = word(tables.layout.known.operation, batch)
        let raw = kind(batch)
        var byWord: Text?
        var byOperation: Text?
        for index in cases.range {
            let label = tables.layout.subRules[index].label
            let own = tables.layout.subRules[index].operation
            if let raw, byWord == nil, ASCII.equalsFolded(label, raw) {
                byWord = label
                if let operation, own == operation { return run(of: label, in: cases) }
            }
            if let operation, byOperation == nil, !own.isEmpty, own == operation { byOperation = label }
        }
        if let label = byOperation ?? byWord { return run(of: label, in: cases) }
        for index in cases.range where tables.layout.subRules[index].label == "other" {
            return run(of: tables.layout.subRules[index].label, in: cases)
        }
        return .empty
    }

    private mutating func run(of label: Text, in cases: PoolRange) -> PoolRange {
        var first: Int?
        var count = 0
        for index in cases.range where tables.layout.subRules[index].label == label {
            if first == nil { first = index }
            count += 1
        }
        return first.map { PoolRange(start: UInt32($0), count: UInt32(count)) } ?? .empty
    }

    /// The first listed member that is there and not empty.
    private mutating func unwrap(_ members: PoolRange, _ source: SourceValue) -> SourceValue {
        let root = literal(source)
        guard reader.tree.isObject(root) else { return source }
        for index in members.range {
            let ref = reader.tree.member(root, tables.layout.textLists[index])
            guard ref.exists else { continue }
            let node = reader.tree[ref]
            let isEmpty =
                node.kind == .null || node.kind == .string && node.text.isEmpty
                || node.kind.rawValue >= JSONKind.array.rawValue && node.count == 0
            if !isEmpty {
                var value = SourceValue.node(ref)
                value.attribute = -1
                return value
            }
        }
        return source
    }

    /// What a text that is one JSON string says. A document in it is left where it is, to be read with its attribute.
    private mutating func decoded(_ source: SourceValue) -> SourceValue {
        guard source.kind == .string, source.text.count >= 2, source.text[0] == UInt8(ascii: "\""),
            !document(source).exists
        else { return source }
        return withoutQuotes(source)
    }

    /// `{type, value}` around every input and output.
    private mutating func unwrapTyped(_ source: SourceValue) -> SourceValue {
        let root = document(source)
        let value = reader.tree.member(root, "value")
        let type = reader.tree.member(root, "type")
        guard value.exists, type.exists else { return source }
        reader.tree.use(type)
        return .node(value)
    }

    /// The first path that leads somewhere; a text that is no document stands for itself.
    private mutating func first(_ paths: PoolRange, _ source: SourceValue) -> SourceValue {
        let root = literal(source)
        guard root.exists else { return source }
        for index in paths.range {
            let ref = reader.tree.at(root, path: tables.layout.textLists[index])
            if ref.exists, reader.tree.kind(ref) != .null { return .node(ref) }
        }
        return source
    }
}
