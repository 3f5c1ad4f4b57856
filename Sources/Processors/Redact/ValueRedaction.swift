import Telemetry

/// Where a nested value stands decides which key rules apply inside it.
enum ValuePlace {
    /// Maps below attributes: keys are masked by pattern or ignored.
    case attribute
    /// Maps of a log body: the allow-list applies to them, as in the Collector.
    case body
    /// Attributes of an exemplar: the allow-list applies as well.
    case exemplar
}

/// How a walk over nested bytes ended.
enum WalkResult {
    case clean
    /// The new content is at the end of `state.output`.
    case changed
    /// The member goes away.
    case removed
    /// Too deep or not readable: the whole is to be withheld.
    case withheld
}

extension RedactionPolicy {
    /// The messages a nested value is made of.
    private enum Message {
        case value, array, map, member
    }

    /// Walks the content of an ArrayValue or KeyValueList.
    func redactNested(
        _ content: Text, isMap: Bool, _ place: ValuePlace, _ state: inout RedactionState
    ) -> WalkResult {
        walk(content, isMap ? .map : .array, place, TextLimits.values, &state)
    }

    /// Walks the filtered attributes of the exemplars of a data point whose exemplars have tag `exemplar`.
    func redactExemplars(_ point: Text, exemplar: UInt32, _ state: inout RedactionState) -> WalkResult {
        rewrite(point, at: exemplar, &state) { content, state in
            rewrite(content, at: 0x3A, &state) { member, state in
                walk(member, .member, .exemplar, TextLimits.values, &state)
            }
        }
    }

    /// Writes a message with the fields of one tag replaced by what `change` makes of them.
    private func rewrite(
        _ content: Text, at tag: UInt32, _ state: inout RedactionState,
        _ change: (Text, inout RedactionState) -> WalkResult
    ) -> WalkResult {
        var fields = NestedFields(content)
        var done = 0
        var isChanged = false
        while let field = fields.next() {
            guard field.tag == tag else { continue }
            let mark = state.output.count
            switch change(content[field.content], &state) {
            case .clean: continue
            case .changed:
                state.output.frame(from: mark, prefix: content[done..<field.start], tag: UInt8(tag & 0x7F))
            case .removed, .withheld:
                // What cannot be read goes.
                state.output.truncate(to: mark)
                state.output.append(content[done..<field.start])
            }
            isChanged = true
            done = field.end
        }
        if fields.isBroken { return .withheld }
        if isChanged { state.output.append(content[done..<content.count]) }
        return isChanged ? .changed : .clean
    }

    /// Recursion is bounded by `budget`; each level costs a small frame.
    private func walk(
        _ content: Text, _ message: Message, _ place: ValuePlace, _ budget: Int, _ state: inout RedactionState
    ) -> WalkResult {
        guard budget > 0 else { return .withheld }
        if message == .member { return member(content, place, budget, &state) }
        // Names are told apart within their map.
        let outerNames = state.maskedNames
        if message == .map { state.maskedNames = 0 }
        defer { state.maskedNames = outerNames }
        var fields = NestedFields(content)
        var done = 0
        var isChanged = false
        var element = 0
        while let field = fields.next() {
            let mark = state.output.count
            let pathMark = state.path.count
            if message == .array { pushPath(index: element, &state) }
            element += 1
            let result = child(content[field.content], field, message, place, budget, &state)
            state.path.truncate(to: pathMark)
            switch result {
            case .clean: continue
            case .changed:
                let tag = message == .value && (field.tag == 0x18 || field.tag == 0x21) ? 0x0A : field.tag
                state.output.frame(from: mark, prefix: content[done..<field.start], tag: UInt8(tag & 0x7F))
            case .removed:
                state.output.append(content[done..<field.start])
            case .withheld: return .withheld
            }
            isChanged = true
            done = field.end
        }
        if fields.isBroken { return .withheld }
        if isChanged { state.output.append(content[done..<content.count]) }
        return isChanged ? .changed : .clean
    }

    private func child(
        _ content: Text, _ field: NestedFields.Field, _ message: Message, _ place: ValuePlace, _ budget: Int,
        _ state: inout RedactionState
    ) -> WalkResult {
        switch (message, field.tag) {
        case (.array, 0x0A): return orWithheld(walk(content, .value, place, budget - 1, &state), &state)
        case (.map, 0x0A): return walk(content, .member, place, budget - 1, &state)
        case (.value, 0x0A): return leaf(content, &state)
        case (.value, 0x2A): return walk(content, .array, place, budget - 1, &state)
        case (.value, 0x32): return walk(content, .map, place, budget - 1, &state)
        case (.value, 0x3A): return content.isValidUTF8 ? leaf(content, &state) : .clean
        case (.value, 0x18) where redactsAllTypes:
            return number(&state) { $0.appendDecimal(Int64(bitPattern: field.number)) }
        case (.value, 0x21) where redactsAllTypes:
            return number(&state) { $0.append(string: Double(bitPattern: field.number).description) }
        default: return .clean
        }
    }

    /// A string inside a nested value.
    private func leaf(_ content: Text, _ state: inout RedactionState) -> WalkResult {
        if !text.allowedValues.isEmpty, text.isAllowed(content, state) {
            state.summary.allowed += 1
            return .clean
        }
        if let detector = text.detectors.label(of: state.key, for: content) {
            maskWhole(content, detector, &state)
        } else {
            guard text.redact(content, &state) else { return .clean }
        }
        noteMasked(&state)
        return .changed
    }

    /// Masks all of a string because of the name it has.
    func maskWhole(_ content: Text, _ detector: Detector, _ state: inout RedactionState) {
        text.mask.append(detector.tag, content, to: &state.output)
        state.counts[Int(detector.tag.rawValue)] += 1
    }

    /// A number whose decimal text is searched; when something is found it becomes a string.
    private func number(
        _ state: inout RedactionState, _ write: (inout ByteColumn) -> Void
    ) -> WalkResult {
        var digits = ByteColumn()
        write(&digits)
        guard text.redact(digits.text, &state) else { return .clean }
        noteMasked(&state)
        return .changed
    }

    /// An AnyValue that may not be looked into is replaced by a string that says so.
    private func orWithheld(_ result: WalkResult, _ state: inout RedactionState) -> WalkResult {
        guard result == .withheld else { return result }
        state.counts[Int(MatchTag.tooDeep.rawValue)] += 1
        let mark = state.output.count
        state.output.append("[REDACTED:TOO_DEEP]")
        state.output.frame(from: mark, prefix: .empty, tag: 0x0A)
        noteMasked(&state)
        return .changed
    }

    /// One KeyValue: its key decides first.
    private func member(
        _ content: Text, _ place: ValuePlace, _ budget: Int, _ state: inout RedactionState
    ) -> WalkResult {
        var key = Text.empty
        var reader = NestedFields(content)
        while let field = reader.next() {
            if field.tag == 0x0A { key = content[field.content] }
        }
        if reader.isBroken { return .withheld }
        let pathMark = state.path.count
        pushPath(key, &state)
        defer { state.path.truncate(to: pathMark) }
        if isIgnored(key, state) {
            state.summary.ignored += 1
            return .clean
        }
        if place != .attribute, !isAllowedKey(key, state) {
            state.summary.redacted += 1
            state.counts[Int(MatchTag.removedKey.rawValue)] += 1
            note(.redacted, state.path.text, &state)
            return .removed
        }
        let isBlocked = isBlockedKey(key, &state)
        let outerKey = state.key
        defer { state.key = outerKey }
        var fields = NestedFields(content)
        var done = 0
        var isChanged = false
        while let field = fields.next() {
            let mark = state.output.count
            var result = WalkResult.clean
            if field.tag == 0x12 {
                let value = content[field.content]
                if isBlocked {
                    maskWhole(value, &state)
                    result = .changed
                } else {
                    state.key = key
                    result = orWithheld(walk(value, .value, place, budget - 1, &state), &state)
                }
            } else if field.tag == 0x0A {
                state.key = .empty
                if text.redact(content[field.content], &state) {
                    text.mask.number(&state.maskedNames, &state.output)
                    result = .changed
                }
            }
            guard result == .changed else { continue }
            state.output.frame(from: mark, prefix: content[done..<field.start], tag: UInt8(field.tag & 0x7F))
            isChanged = true
            done = field.end
        }
        if isChanged { state.output.append(content[done..<content.count]) }
        return isChanged ? .changed : .clean
    }

    /// Writes the AnyValue that stands for one whose key is blocked.
    private func maskWhole(_ value: Text, _ state: inout RedactionState) {
        var fields = NestedFields(value)
        var original = Text.empty
        while let field = fields.next() {
            if field.tag == 0x0A { original = value[field.content] }
        }
        let mark = state.output.count
        text.mask.append(.blockedKey, original, to: &state.output)
        state.output.frame(from: mark, prefix: .empty, tag: 0x0A)
        state.counts[Int(MatchTag.blockedKey.rawValue)] += 1
        noteMasked(&state)
    }

    // MARK: The debug summary

    private func noteMasked(_ state: inout RedactionState) {
        state.summary.masked += 1
        note(.masked, state.path.text, &state)
    }

    private func pushPath(_ key: Text, _ state: inout RedactionState) {
        guard summary == .debug else { return }
        if state.path.count > 0 { state.path.append(0x2E as UInt8) }
        state.path.append(key)
    }

    private func pushPath(index: Int, _ state: inout RedactionState) {
        guard summary == .debug else { return }
        if state.path.count > 0 { state.path.append(0x2E as UInt8) }
        state.path.append("[")
        state.path.appendDecimal(Int64(index))
        state.path.append("]")
    }
}

extension ByteColumn {
    /// Decimal digits of a number.
    mutating func appendDecimal(_ value: Int64) {
        if value < 0 { append(0x2D as UInt8) }
        var rest = value.magnitude
        let start = count
        repeat {
            append(0x30 &+ UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        var low = start
        var high = count - 1
        while low < high {
            let byte = self[low]
            self[low] = self[high]
            self[high] = byte
            low += 1
            high -= 1
        }
    }
}
