import Telemetry

extension Normalizer {
    // MARK: Attributes of the span

    /// Place of a name in the span's set.
    @inline(__always)
    func place(of name: NameID) -> Int? {
        if let place = receivedPlace(of: name) { return place }
        missedNames.mark(name, stamp)
        return nil
    }

    /// The same for a look that nothing is decided by.
    @inline(__always)
    func receivedPlace(of name: NameID) -> Int? {
        let slot = slots[Int(name.value)]
        return slot >> 32 == UInt64(stamp) && name != .none ? Int(slot & 0xFFFF_FFFF) : nil
    }

    mutating func string(of name: NameID, _ batch: borrowing RecordBatch) -> Text? {
        guard let local = place(of: name) else { return nil }
        let record = batch.attributes[facts.start + local]
        return record.kind == .string ? batch.text(record.text) : nil
    }

    /// How many keys of the span fall under an asked pattern.
    func count(of pattern: UInt16) -> Int {
        let known = matchCounts[Int(pattern)]
        return known >> 32 == UInt64(stamp) ? Int(known & 0xFFFF_FFFF) : 0
    }

    mutating func source(at local: Int, _ batch: borrowing RecordBatch) -> SourceValue {
        var value = self.value(of: batch.attributes[facts.start + local], batch)
        value.attribute = Int32(local)
        return value
    }

    mutating func value(of record: AttributeRecord, _ batch: borrowing RecordBatch) -> SourceValue {
        switch record.kind {
        case .empty: SourceValue(kind: .empty, isNull: true)
        case .other: .none
        case .string, .array, .map, .bytes: SourceValue(kind: record.kind, text: batch.text(record.text))
        case .bool, .int, .double: SourceValue(kind: record.kind, bits: record.payload)
        }
    }

    // MARK: Views of a value

    /// The value as text. Empty for containers, bytes and nothing.
    mutating func text(_ source: SourceValue) -> Text {
        switch source.kind {
        case .string: return source.text
        case .other: return reader.tree.string(source.ref)
        case .bool: return source.bits != 0 ? Text("true") : Text("false")
        case .int: return reader.tree[reader.tree.number(Int64(bitPattern: source.bits))].text
        case .double: return reader.tree.string(reader.tree.number(Double(bitPattern: source.bits)))
        case .empty, .array, .map, .bytes: return .empty
        }
    }

    /// The value as a document: parsed text, structured value, or the part itself. Scalars give none.
    mutating func document(_ source: SourceValue) -> JSONRef {
        if source.attribute >= 0 {
            let known = parsed[Int(source.attribute)]
            if known != 0 { return JSONRef(known - 1 < 0 ? -1 : known - 1) }
        }
        let ref = parse(source)
        if source.attribute >= 0 { parsed[Int(source.attribute)] = ref.exists ? ref.index + 1 : -1 }
        return ref
    }

    private mutating func parse(_ source: SourceValue) -> JSONRef {
        switch source.kind {
        case .string: return parse(source.text, attribute: source.attribute)
        case .array, .map: return reader.tree.read(source.text, isMap: source.kind == .map)
        case .other:
            return reader.tree.isString(source.ref) ? reader.tree.container(in: source.ref) : source.ref
        case .empty, .bool, .int, .double, .bytes: return .none
        }
    }

    private mutating func parse(_ text: Text, attribute: Int32) -> JSONRef {
        var index = 0
        while index < text.count, JSONCursor.isSpace(text[index]) { index += 1 }
        guard index < text.count else { return .none }
        let first = text[index]
        // A document may be quoted once more; numbers and words are no documents.
        let isQuoted = first == UInt8(ascii: "\"")
        guard isQuoted || first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return .none }
        switch reader.tree.parse(text) {
        case .value(let ref):
            return isQuoted ? reader.tree.container(in: ref) : ref
        case .failure(let failure):
            if failure != .invalid {
                unreadable += 1
                tally.note(facts.rule, RuleTally.Reason(failure))
            }
            if failure != .invalid, !isQuoted, attribute >= 0 { unreadables.append(attribute) }
            if failure == .truncated, !isQuoted, attribute >= 0 { truncated.append(attribute) }
            return .none
        }
    }

    /// As `document`, or what a Python literal stands for.
    mutating func literal(_ source: SourceValue) -> JSONRef {
        let ref = document(source)
        if ref.exists || source.kind == .array || source.kind == .map { return ref }
        if source.kind == .other {
            return reader.tree.isString(source.ref) ? reader.tree.document(in: source.ref) : ref
        }
        for index in literals.indices where source.attribute >= 0 && literals[index].local == source.attribute {
            return literals[index].ref
        }
        let literal = reader.tree.parsePython(text(source))
        if literal.exists, source.attribute >= 0 { literals.append((source.attribute, literal)) }
        return literal
    }

    /// Whether an SDK cut this attribute, or it is beyond the bounds.
    mutating func isUnreadable(_ source: SourceValue) -> Bool {
        guard source.attribute >= 0 else { return false }
        for index in unreadables.indices where unreadables[index] == source.attribute { return true }
        return false
    }

    /// Whether a text that should be a document is to be left alone: what is beyond the bounds, and in its own place
    /// also what an SDK cut. Elsewhere a cut text is better than none.
    mutating func isLeftAlone(_ source: SourceValue, inPlace: Bool) -> Bool {
        // Bytes are neither a document nor a text.
        if source.kind == .bytes { return true }
        guard source.attribute >= 0, !document(source).exists, isUnreadable(source) else { return false }
        if inPlace { return true }
        for index in truncated.indices where truncated[index] == source.attribute { return false }
        return true
    }

    /// Whether a value gives a target nothing. That a tool answered with null or an empty text is its answer.
    mutating func isEmpty(_ source: SourceValue, for target: TargetID) -> Bool {
        if target.exists, tables.layout.targetTypes[Int(target.value)] == .result { return !source.isValue }
        return saysNothing(source, to: target)
    }

    /// Whether a value says nothing to a target. A tool may well answer with an empty list.
    mutating func saysNothing(_ source: SourceValue, to target: TargetID) -> Bool {
        if target.exists, source.kind == .string, !source.text.isEmpty {
            let type = tables.layout.targetTypes[Int(target.value)]
            if type == .arguments || type == .result { return source.text == "null" }
        }
        return isEmpty(source)
    }

    /// Whether a value says nothing: empty text, an empty document, null.
    mutating func isEmpty(_ source: SourceValue) -> Bool {
        switch source.kind {
        case .empty: return true
        case .string: return isBlank(source.text)
        case .other:
            let node = reader.tree[source.ref]
            return node.kind == .null || node.kind == .string && node.text.isEmpty
        case .array: return source.text.isEmpty
        case .bool, .int, .double, .map, .bytes: return false
        }
    }

    /// Whether a text says nothing.
    @inline(__always)
    mutating func isBlank(_ text: Text) -> Bool {
        // The longest of them has four bytes.
        text.count <= 4 && (text.isEmpty || text == "[]" || text == "null" || text == "\"\"")
    }

    // MARK: Targets

    /// The state of a target, looked up on first use.
    mutating func draft(_ target: TargetID, _ batch: borrowing RecordBatch) -> Draft {
        let index = Int(target.value)
        if drafts[index].stamp != stamp { open(target, batch) }
        return drafts[index]
    }

    /// What is known of a target without its value.
    @inline(__always)
    mutating func state(_ target: TargetID, _ batch: borrowing RecordBatch) -> Draft.State {
        let index = Int(target.value)
        if drafts[index].stamp != stamp { open(target, batch) }
        return drafts[index].state
    }

    private mutating func open(_ target: TargetID, _ batch: borrowing RecordBatch) {
        let index = Int(target.value)
        drafts[index] = Draft(stamp: stamp)
        touched.append(target.value)
        let slot = slots[Int(tables.layout.targetNames[index].value)]
        if slot >> 32 == UInt64(stamp) {
            let local = Int(slot & 0xFFFF_FFFF)
            drafts[index].origin = Int32(local)
            judge(target, source(at: local, batch))
        }
    }

    /// Notes that a decision looked for a target's value and found none.
    mutating func markMissed(_ target: TargetID) {
        missedNames.mark(tables.layout.targetNames[Int(target.value)], stamp)
    }

    /// The text value that a target has or gets.
    mutating func word(_ target: TargetID, _ batch: borrowing RecordBatch) -> Text? {
        let index = Int(target.value)
        switch state(target, batch) {
        case .current: return string(of: tables.layout.targetNames[index], batch)
        case .mapped where drafts[index].value.kind == .string: return bytes(drafts[index].value)
        default:
            markMissed(target)
            return nil
        }
    }

    /// The bytes of a made value. Valid until the output buffer grows.
    mutating func bytes(_ value: MadeValue) -> Text {
        value.isOutput ? Text(UnsafeRawBufferPointer(rebasing: output.bytes[value.outputRange])) : value.text
    }

    /// The integer that a target has or gets.
    mutating func integer(_ target: TargetID, _ batch: borrowing RecordBatch) -> Int64? {
        let index = Int(target.value)
        switch state(target, batch) {
        case .current:
            let place = facts.start + Int(drafts[index].origin)
            return batch.attributes[place].kind == .int ? Int64(bitPattern: batch.attributes[place].payload) : nil
        case .mapped where drafts[index].value.kind == .int: return Int64(bitPattern: drafts[index].value.bits)
        default: return nil
        }
    }
}
