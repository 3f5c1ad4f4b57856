import Telemetry

/// The members of the map that an editor works on. Values that an entry is given must not lie in the batch's side
/// buffer, which may move while the draft is stored.
struct MapDraft: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: Text
        var value: Value
        /// The field of the encoded map that holds it, empty for attributes and new members.
        var field = Text.empty
        var isInPieces = false
        /// Index in the batch's attributes, -1 for members of encoded maps and new ones.
        var source: Int32 = -1
        var isRemoved = false
        var isChanged = false
        var isRenamed = false
        /// The number that the next member with this key is given by `flatten`.
        var conflicts: Int32 = 0

        /// The member of an encoded map as it was read.
        var member: MapReader.Member {
            MapReader.Member(key: key, value: value, field: field, isInPieces: isInPieces)
        }
    }

    var entries = Column<Entry>()
    /// Where the first member of each key is, by the hash of the key: one more than its index, 0 for none. Only maps
    /// of many members have it. The hash is seeded, since keys come from senders.
    private var slots = Column<Int32>()
    /// How many slots are taken, and how many entries were looked at.
    private var taken = 0
    private var indexed = 0

    /// Members that are searched one by one.
    static let searchedMax = 16
    /// Members that memory is kept for.
    private static let keptMax = 1 << 12

    mutating func removeAll() {
        entries.removeAll()
        slots.removeAll()
        (taken, indexed) = (0, 0)
    }

    /// Empties the draft and gives back memory that one map made large.
    mutating func finish() {
        removeAll()
        guard entries.capacity > MapDraft.keptMax else { return }
        entries = Column()
        slots = Column()
    }

    /// Reads a map; false for other values.
    mutating func load(_ map: Value, _ batch: borrowing RecordBatch) -> Bool { load(Nested(map), batch) }

    mutating func load(_ map: Nested, _ batch: borrowing RecordBatch) -> Bool {
        removeAll()
        switch map.value {
        case .set(let set):
            for index in batch.range(of: set) {
                let attribute = batch.attributes[index]
                var entry = Entry(
                    key: batch.text(attribute.key), value: Value(attribute.kind, attribute.payload, batch))
                entry.source = Int32(truncatingIfNeeded: index)
                entries.append(entry)
            }
            return true
        case .map(let content):
            var reader = MapReader(content, of: map)
            while let member = reader.next() {
                var entry = Entry(key: member.key, value: member.value)
                (entry.field, entry.isInPieces) = (member.field, member.isInPieces)
                entries.append(entry)
            }
            return true
        default: return false
        }
    }

    /// Members that are left.
    var count: Int {
        var count = 0
        for index in entries.indices where !entries[index].isRemoved { count += 1 }
        return count
    }

    /// The first member with a key. What was found or passed over once must not be removed or renamed before the next
    /// search.
    mutating func find(_ key: Text) -> Int? {
        guard entries.count > MapDraft.searchedMax else {
            for index in entries.indices where !entries[index].isRemoved && entries[index].key == key { return index }
            return nil
        }
        while indexed < entries.count {
            enter(indexed)
            indexed += 1
        }
        guard slots.count > 0 else { return nil }
        let place = slots[slot(of: key)]
        return place == 0 ? nil : Int(place) - 1
    }

    private mutating func enter(_ index: Int) {
        guard !entries[index].isRemoved else { return }
        if (taken + 1) * 2 > slots.count {
            let size = max(slots.count * 2, 64)
            slots.removeAll()
            for _ in 0..<size { slots.append(0) }
            taken = 0
            for earlier in 0..<index where !entries[earlier].isRemoved { fill(earlier) }
        }
        fill(index)
    }

    private mutating func fill(_ index: Int) {
        let slot = self.slot(of: entries[index].key)
        guard slots[slot] == 0 else { return }
        slots[slot] = Int32(truncatingIfNeeded: index + 1)
        taken += 1
    }

    /// The slot that a key has or would get; half of them are free at least.
    private func slot(of key: Text) -> Int {
        var hasher = Hasher()
        hasher.combine(bytes: key.bytes)
        let mask = slots.count - 1
        var slot = hasher.finalize() & mask
        while slots[slot] != 0, !(entries[Int(slots[slot]) - 1].key == key) { slot = (slot + 1) & mask }
        return slot
    }

    mutating func change(_ index: Int, _ value: Value) {
        entries[index].value = value
        entries[index].isChanged = true
    }

    mutating func put(_ key: Text, _ value: Value) {
        if let index = find(key) {
            change(index, value)
        } else {
            add(key, value)
        }
    }

    /// Takes in an entry, in place of the one with its key.
    mutating func put(_ entry: Entry) {
        if let index = find(entry.key) { entries[index] = entry } else { entries.append(entry) }
    }

    /// A new member.
    mutating func add(_ key: Text, _ value: Value) { entries.append(Entry(key: key, value: value)) }
}

extension ByteColumn {
    /// A member of the draft: what an editor left alone is as it came.
    fileprivate mutating func appendMember(
        _ entry: MapDraft.Entry, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        if entry.field.isEmpty {
            try appendMember(entry.key, entry.value, batch)
        } else if entry.isChanged {
            try appendMember(entry.key, entry.value, replacing: entry.field, batch)
        } else if entry.isRenamed {
            try appendMember(entry.key, nil, replacing: entry.field, batch)
        } else {
            append(entry.field)
        }
    }
}

extension Program {
    /// Writes the draft back to where it was loaded from: attribute by attribute for an owner's attributes, else as a
    /// new map, in which members that were not edited are as they came.
    func store(
        _ target: Int32, _ loaded: Value, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        guard case .set(let set) = loaded else {
            let mark = state.scratch.count
            for index in state.draft.entries.indices where !state.draft.entries[index].isRemoved {
                let entry = state.draft.entries[index]
                try state.scratch.appendMember(entry, batch)
            }
            if case .map(let content) = loaded { state.scratch.appendOthers(of: content) }
            return try assign(target, .map(try state.take(from: mark)), &batch, place, &state)
        }
        // Everything that can fail comes before the first change.
        for index in state.draft.entries.indices {
            switch state.draft.entries[index].value {
            case .time, .duration: throw EvaluationFailure(.notStorable)
            default: continue
            }
        }
        for index in state.draft.entries.indices {
            let entry = state.draft.entries[index]
            guard entry.source >= 0, !entry.isRemoved else { continue }
            if entry.isChanged {
                let value = try stored(entry.value, &batch, &state)
                batch.setValue(value, at: Int(entry.source), in: set)
            }
            if entry.isRenamed {
                batch.attributes[Int(entry.source)].key = batch.reference(to: entry.key)
                batch.attributes[Int(entry.source)].keyID = batch.keys.id(of: entry.key)
                batch.attributes[Int(entry.source)].flags.insert(.edited)
                batch.markEdited(set)
            }
        }
        // The members of a set are the first of the draft, in the same order.
        let first = batch.range(of: set).lowerBound
        batch.removeAttributes(from: set) { state.draft.entries[$1 - first].isRemoved }
        for index in state.draft.entries.indices {
            let entry = state.draft.entries[index]
            guard entry.source < 0, !entry.isRemoved else { continue }
            let value = try stored(entry.value, &batch, &state)
            batch.append(key: batch.reference(to: entry.key), value, to: set)
        }
    }

    /// The value as a batch keeps it. Texts that already lie in the batch are not copied.
    func stored(
        _ value: Value, _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> AttributeValue {
        switch value {
        case .none: return .empty
        case .bool(let flag): return .bool(flag)
        case .int(let number): return .int(number)
        case .double(let number): return .double(number)
        case .string(let text): return .string(batch.reference(to: text))
        case .bytes(let text), .identifier(let text): return .bytes(batch.reference(to: text))
        case .list(let text): return .array(batch.reference(to: text))
        case .map(let text): return .map(batch.reference(to: text))
        case .set(let set):
            let mark = state.scratch.count
            try state.scratch.appendMembers(of: set, batch)
            return .map(batch.addText(try state.take(from: mark)))
        case .time, .duration: throw EvaluationFailure(.notStorable)
        }
    }

    /// The same value with its bytes out of the batch's side buffer.
    func pinned(
        _ value: Value, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch value {
        case .string(let text): return .string(try pinned(text, batch, &state))
        case .bytes(let text): return .bytes(try pinned(text, batch, &state))
        case .identifier(let text): return .identifier(try pinned(text, batch, &state))
        case .list(let text): return .list(try pinned(text, batch, &state))
        case .map(let text): return .map(try pinned(text, batch, &state))
        case .set(let set):
            let mark = state.scratch.count
            try state.scratch.appendMembers(of: set, batch)
            return .map(try state.take(from: mark))
        default: return value
        }
    }

    func pinned(
        _ text: Text, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        try batch.isInEdits(text) ? state.keep(text) : text
    }
}
