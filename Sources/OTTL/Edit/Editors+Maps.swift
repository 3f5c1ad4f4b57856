import Patterns
import Telemetry

extension Program {
    /// Editors of maps: they load the target, change the draft and store it.
    func editMap(
        _ call: Call, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let target = try value(call.target(0), batch, place, &state)
        // Arguments are evaluated before the draft is loaded: nothing may move afterwards.
        switch call.node.function {
        case .deleteKey:
            let key = try call.text(1, batch, place, &state)
            try load(target, batch, &state)
            for index in state.draft.entries.indices where state.draft.entries[index].key == key {
                state.draft.entries[index].isRemoved = true
            }
        case .deleteMatchingKeys, .keepMatchingKeys:
            let pattern = try call.pattern(1, batch, place, &state)
            try load(target, batch, &state)
            try removeKeys(pattern, matching: call.node.function == .deleteMatchingKeys, &state)
        case .keepKeys:
            loadKeys(try call.list(1, batch, place, &state), &state)
            try load(target, batch, &state)
            for index in state.draft.entries.indices where state.keys.find(state.draft.entries[index].key) == nil {
                state.draft.entries[index].isRemoved = true
            }
        case .limit: try limit(call, target, batch, place, &state)
        case .truncateAll: try truncateAll(call, target, batch, place, &state)
        case .stringifyAll: try stringifyAll(target, batch, &state)
        case .replaceAllPatterns, .replaceAllMatches: try replaceAll(call, target, batch, place, &state)
        case .mergeMaps: try merge(call, target, batch, place, &state)
        default: try flatten(call, target, batch, place, &state)
        }
        try store(call.target(0), target, &batch, place, &state)
    }

    private func load(
        _ target: Value, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        guard state.draft.load(target, batch) else { throw EvaluationFailure(.wrongType) }
    }

    /// The texts of a list as the keys to look for.
    private func loadKeys(_ list: Text, _ state: inout EvaluationState) {
        state.keys.removeAll()
        var reader = ListReader(list)
        while let item = reader.next() { if case .string(let text) = item { state.keys.add(text, .none) } }
    }

    // MARK: Fewer members

    private func removeKeys(
        _ pattern: CompiledPattern, matching: Bool, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        for index in state.draft.entries.indices {
            switch pattern.find(in: state.draft.entries[index].key, from: 0, state.matcher) {
            case .undecided: throw EvaluationFailure(.undecided)
            case .none: if !matching { state.draft.entries[index].isRemoved = true }
            case .found: if matching { state.draft.entries[index].isRemoved = true }
            }
        }
    }

    /// Keeps the priority keys and the first others.
    private func limit(
        _ call: Call, _ target: Value, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let most = try call.int(1, batch, place, &state)
        loadKeys(try call.list(2, batch, place, &state), &state)
        guard most >= 0 else { throw EvaluationFailure(.outOfRange) }
        try load(target, batch, &state)
        var left = Int64(state.draft.entries.count)
        for index in state.draft.entries.indices.reversed() where left > most {
            if state.keys.find(state.draft.entries[index].key) != nil { continue }
            state.draft.entries[index].isRemoved = true
            left -= 1
        }
    }

    // MARK: Changed members

    private func truncateAll(
        _ call: Call, _ target: Value, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let limit = try call.int(1, batch, place, &state)
        let isSafe = try call.flag(2, otherwise: true, batch, place, &state)
        let marker = try call.text(3, otherwise: "", batch, place, &state)
        guard limit >= 0, Int64(marker.count) <= limit else { throw EvaluationFailure(.outOfRange) }
        try load(target, batch, &state)
        for index in state.draft.entries.indices {
            guard case .string(let text) = state.draft.entries[index].value, Int64(text.count) > limit else { continue }
            var end = Int(limit) - marker.count
            if isSafe { while end > 0, text[end] & 0xC0 == 0x80 { end -= 1 } }
            let mark = state.scratch.count
            state.scratch.append(text[0..<end])
            state.scratch.append(marker)
            let cut = try state.take(from: mark)
            state.draft.change(index, .string(cut))
        }
    }

    private func stringifyAll(
        _ target: Value, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        try load(target, batch, &state)
        for index in state.draft.entries.indices {
            let member = state.draft.entries[index].member
            if case .string = member.value { continue }
            let value = try state.whole(member)
            let mark = state.scratch.count
            ValueText.append(value, batch, to: &state.scratch)
            let text = try state.take(from: mark)
            state.draft.change(index, .string(text))
        }
    }

    private func replaceAll(
        _ call: Call, _ target: Value, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let isPattern = call.node.function == .replaceAllPatterns
        let isKeys = try isPattern ? call.text(1, batch, place, &state) == "key" : false
        let replacement = try self.replacement(call, first: isPattern ? 2 : 1, batch, place, &state)
        try load(target, batch, &state)
        if isKeys { return try replaceKeys(replacement, &state) }
        for index in state.draft.entries.indices {
            guard case .string(let text) = state.draft.entries[index].value else { continue }
            let new = try isPattern ? replacement.all(in: text, &state) : replacement.whole(text, &state)
            if let new { state.draft.change(index, .string(new)) }
        }
    }

    /// Where a new key meets the key of another member, the later of the two stays, as when a map is filled in order.
    /// Keys that came twice and are not replaced stay so.
    private func replaceKeys(
        _ replacement: Replacement, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        state.keys.removeAll()
        for index in state.draft.entries.indices {
            if let key = try replacement.all(in: state.draft.entries[index].key, &state) {
                state.draft.entries[index].key = key
                state.draft.entries[index].isRenamed = true
            }
            let entry = state.draft.entries[index]
            guard let place = state.keys.find(entry.key) else {
                state.keys.add(entry.key, .int(Int64(index)))
                continue
            }
            guard case .int(let earlier) = state.keys.entries[place].value else { continue }
            if entry.isRenamed || state.draft.entries[Int(earlier)].isRenamed {
                state.draft.entries[Int(earlier)].isRemoved = true
            }
            state.keys.change(place, .int(Int64(index)))
        }
    }

    private func merge(
        _ call: Call, _ target: Value, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let source = try pinned(try call.value(1, batch, place, &state), batch, &state)
        let strategy = try call.text(2, batch, place, &state)
        guard case .map(let content) = source else { throw EvaluationFailure(.wrongType) }
        try load(target, batch, &state)
        let inserts = strategy == "insert" || strategy == "upsert"
        let updates = strategy == "update" || strategy == "upsert"
        var reader = MapReader(content)
        while let member = reader.next() {
            let value = try state.whole(member)
            if let index = state.draft.find(member.key) {
                if updates { state.draft.change(index, value) }
            } else if inserts {
                state.draft.add(member.key, value)
            }
        }
    }

    // MARK: Flattening

    private func flatten(
        _ call: Call, _ target: Value, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let prefix = try call.text(1, otherwise: "", batch, place, &state)
        let depth = try call.isGiven(2) ? call.int(2, batch, place, &state) : Int64.max
        let resolves = try call.flag(3, otherwise: false, batch, place, &state)
        guard depth >= 0 else { throw EvaluationFailure(.outOfRange) }
        // Members move, so everything is built from a copy that stays.
        guard case .map(let content) = try pinned(target, batch, &state) else { throw EvaluationFailure(.wrongType) }
        try load(target, batch, &state)
        for index in state.draft.entries.indices { state.draft.entries[index].isRemoved = true }
        var reader = MapReader(content)
        while let member = reader.next() {
            let key = try joined(prefix, member.key, &state)
            let value = try state.whole(member)
            try flatten(key, value, depth, resolves, batch, &state)
        }
    }

    /// The recursion is bounded by the depth that values may have.
    private func flatten(
        _ key: Text, _ value: Value, _ depth: Int64, _ resolves: Bool, _ batch: borrowing RecordBatch,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        switch value {
        case .map(let content) where depth > 0:
            var reader = MapReader(content)
            while let member = reader.next() {
                let value = try state.whole(member)
                try flatten(try joined(key, member.key, &state), value, depth - 1, resolves, batch, &state)
            }
        case .list(let content) where depth > 0:
            var reader = ListReader(content)
            var index = 0
            while let item = reader.nextItem() {
                let name = try resolves ? key : joined(key, number: index, &state)
                let value = try state.whole(item)
                try flatten(name, value, depth - 1, resolves, batch, &state)
                index += 1
            }
        default:
            guard resolves, let first = state.draft.find(key) else { return state.draft.put(key, value) }
            var name = key
            repeat {
                name = try joined(key, number: Int(state.draft.entries[first].conflicts), &state)
                state.draft.entries[first].conflicts += 1
            } while state.draft.find(name) != nil
            state.draft.add(name, value)
        }
    }

    private func joined(
        _ prefix: Text, _ key: Text, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        if prefix.isEmpty { return key }
        let mark = state.scratch.count
        state.scratch.append(prefix)
        state.scratch.append(".")
        state.scratch.append(key)
        return try state.take(from: mark)
    }

    private func joined(
        _ prefix: Text, number: Int, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let mark = state.scratch.count
        state.scratch.append(prefix)
        state.scratch.append(".")
        state.scratch.append(string: String(number))
        return try state.take(from: mark)
    }
}
