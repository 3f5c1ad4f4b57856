import Telemetry

/// What becomes of an attribute with `remove_originals`.
enum Spending: UInt8, BitwiseCopyable {
    /// No rule used it, or not all of it.
    case unspent
    /// All of it has its place.
    case spent
    /// Something of it has no place, so it stays.
    case pinned
}

/// A document of an attribute of which a rule used members.
struct Reading: BitwiseCopyable {
    var local: Int32
    var rule: Int32
    var root: JSONRef
}

/// `remove_originals` takes an attribute away when all that it says has a place: it moved as a whole, or every member
/// of its document was used. Otherwise it stays.
extension Normalizer {
    /// Makes room for a note on each attribute, which only a record of which something may go needs.
    mutating func startSpending() {
        while spending.count < facts.count { spending.append(.unspent) }
    }

    /// Notes that a rule used an attribute's value, and how much of it.
    mutating func spend(_ source: SourceValue, _ carrying: Carrying) {
        guard facts.removes, source.attribute >= 0 else { return }
        switch carrying {
        case .whole: spend(source.attribute)
        case .parts: spendParts(source.attribute)
        case .little: return
        }
    }

    private mutating func spend(_ local: Int32) {
        if spending[Int(local)] == .unspent { spending[Int(local)] = .spent }
    }

    /// Notes that members of an attribute's document were used; text that is none is used as a whole.
    mutating func spendParts(_ local: Int32, inner: JSONRef = .none) {
        let root = inner.exists ? inner : root(of: local)
        guard root.exists else { return spend(local) }
        readings.append(Reading(local: local, rule: facts.rule, root: root))
    }

    /// The document that was read of an attribute.
    private mutating func root(of local: Int32) -> JSONRef {
        if parsed[Int(local)] > 0 { return JSONRef(parsed[Int(local)] - 1) }
        for index in literals.indices where literals[index].local == local { return literals[index].ref }
        return .none
    }

    /// Notes that a part of a document has its place.
    mutating func place(_ source: SourceValue, _ carrying: Carrying) {
        switch carrying {
        case .whole:
            if source.ref.exists { reader.tree.use(source.ref) }
            if source.attribute >= 0 { reader.tree.use(root(of: source.attribute)) }
        case .parts:
            // A container's members were noted one by one, and so were those of one that is held by a text.
            let isContainer = reader.tree.isObject(source.ref) || reader.tree.isArray(source.ref)
            if source.ref.exists, !isContainer, !reader.tree.holdsDocument(source.ref) { reader.tree.use(source.ref) }
        case .little: if source.attribute >= 0 { pin(source.attribute) }
        }
    }

    /// Notes that something of the attribute that the rule reads found no place.
    mutating func pin() { pin(facts.local) }

    mutating func pin(_ local: Int32) {
        if local >= 0, removesAny { spending[Int(local)] = .pinned }
    }

    /// Another value takes the place of one that a rule gave: the attribute that it came from stays.
    mutating func replace(_ target: Int, _ value: MadeValue) {
        let old = drafts[target].value
        guard drafts[target].rule >= 0, drafts[target].rule != facts.rule else { return }
        if old.kind == value.kind, old.kind == .string ? bytes(old) == bytes(value) : old.bits == value.bits { return }
        let rule = Int(drafts[target].rule)
        if case .pattern(let pattern, _) = tables.layout.rules[rule].source {
            for index in matched.indices where matched[index] >> 32 == UInt64(pattern) {
                pin(Int32(matched[index] & 0xFFFF_FFFF))
            }
        } else if let local = receivedPlace(of: tables.layout.heads[rule].name) {
            pin(Int32(local))
        }
    }

    // MARK: At the end

    /// Takes out withdrawn values, and the sources that rules have used up. Current names stay.
    mutating func removeSpent(_ batch: inout RecordBatch) -> Bool {
        var isSpent = removesAny && chooseSpent(batch)
        for position in touched.indices {
            let index = Int(touched[position])
            guard drafts[index].state == .withdrawn, drafts[index].origin >= 0 else { continue }
            startSpending()
            spending[Int(drafts[index].origin)] = .spent
            isUnsettled = true
            isSpent = true
        }
        return isSpent && dropSpent(&batch)
    }

    /// Moves what stays forward and cuts the rest off, in one walk whatever goes.
    private mutating func dropSpent(_ batch: inout RecordBatch) -> Bool {
        let range = batch.range(of: facts.set)
        var place = range.lowerBound
        for index in range {
            let local = index - range.lowerBound
            // What was added stands behind what came.
            if local < spending.count, spending[local] == .spent { continue }
            if place < index { batch.attributes[place] = batch.attributes[index] }
            place += 1
        }
        guard place < range.upperBound else { return false }
        for index in (place..<range.upperBound).reversed() { batch.remove(at: index, from: facts.set) }
        return true
    }

    private mutating func chooseSpent(_ batch: borrowing RecordBatch) -> Bool {
        for index in readings.indices { settle(readings[index]) }
        let start = batch.range(of: facts.set).lowerBound
        var isSpent = false
        for local in spending.indices where spending[local] == .spent {
            let name = Int(binding.names[Int(batch.attributes[start + local].keyID.value)])
            if name != 0, stays(name) {
                spending[local] = .unspent
                continue
            }
            if name != 0, tables.layout.nameAsked[name] { isUnsettled = true }
            isSpent = true
        }
        return isSpent
    }

    /// A document whose every member has its place is spent.
    private mutating func settle(_ reading: Reading) {
        guard spending[Int(reading.local)] != .pinned else { return }
        if reader.tree.isCarried(reading.root) {
            spending[Int(reading.local)] = .spent
        } else {
            spending[Int(reading.local)] = .pinned
            tally.note(reading.rule, .partlyPlaced)
        }
    }

    private mutating func stays(_ name: Int) -> Bool {
        tables.layout.nameTargets[name].exists || tables.layout.nameStays[name] || isFormerName(name)
    }

    /// Whether a name is a former one that this profile writes.
    private mutating func isFormerName(_ name: Int) -> Bool {
        guard options.profile != .genAIDev || options.emitsAliases else { return false }
        return tables.layout.aliases.contains {
            Int($0.name.value) == name && (options.emitsAliases || options.profile <= $0.last)
        }
    }
}
