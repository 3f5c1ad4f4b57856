import Telemetry

/// Data points of GenAI metrics: the provider under its current name, and the conventions' words for provider,
/// operation and token type. Values and names of metrics stay.
extension Normalizer {
    private enum PointName {
        static let system: StaticString = "gen_ai.system"
        static let provider: StaticString = "gen_ai.provider.name"
        static let operation: StaticString = "gen_ai.operation.name"
        static let tokenType: StaticString = "gen_ai.token.type"
    }

    mutating func normalizeMetrics(_ batch: inout RecordBatch) {
        for point in batch.points.indices where !batch.isRemoved(point: point) {
            let set = batch.points[point].set
            guard isGenAI(set, batch) else { continue }
            seenSpans += 1
            if rewritePoint(set, &batch) { changedSpans += 1 }
        }
    }

    /// Whether a dialect that runs shows in the point's attributes.
    private func isGenAI(_ set: SetIndex, _ batch: borrowing RecordBatch) -> Bool {
        for index in batch.range(of: set) {
            let key = batch.attributes[index].keyID
            let mask =
                key == .unknown
                ? tables.detects(batch.text(batch.attributes[index].key)) : binding.masks[Int(key.value)]
            if mask & enabled != 0 { return true }
        }
        return false
    }

    private mutating func rewritePoint(_ set: SetIndex, _ batch: inout RecordBatch) -> Bool {
        var isChanged = rename(set, &batch)
        if translate(PointName.provider, tables.layout.providerNames, set, &batch) { isChanged = true }
        if translate(PointName.operation, map("common_operations"), set, &batch) { isChanged = true }
        if translate(PointName.tokenType, map("token_types"), set, &batch) { isChanged = true }
        return isChanged
    }

    private func map(_ name: StaticString) -> ValueMap? { tables.layout.maps.first { $0.name == Text(name) } }

    /// Gives the provider its current name, unless the profile is one that has the former one.
    private mutating func rename(_ set: SetIndex, _ batch: inout RecordBatch) -> Bool {
        let known = tables.layout.known
        let isFormer = tables.layout.aliases.contains { $0.target == known.provider && options.profile <= $0.last }
        guard !isFormer, let place = batch.find(name: Text(PointName.system), in: set),
            batch.attributes[place].kind == .string, batch.find(name: Text(PointName.provider), in: set) == nil
        else { return false }
        let word = batch.text(batch.attributes[place].text)
        let value: TextRef
        switch tables.layout.providerNames?.lookup(word) ?? .unknown {
        case .word(let text): value = batch.addText(text)
        case .unknown: value = batch.attributes[place].text
        case .none, .omitted: return false
        }
        if options.removeOriginals { batch.remove(at: place, from: set) }
        let key = binding.keyOfName[Int(tables.layout.targetNames[Int(known.provider.value)].value)]
        if key == .unknown {
            let name = batch.addText(Text(PointName.provider))
            batch.append(key: name, .string(value), to: set)
        } else {
            batch.append(key, .string(value), to: set)
        }
        return true
    }

    /// Puts the conventions' word in the place of another one for the same thing.
    private mutating func translate(
        _ name: StaticString, _ map: ValueMap?, _ set: SetIndex, _ batch: inout RecordBatch
    ) -> Bool {
        guard let map, let place = batch.find(name: Text(name), in: set), batch.attributes[place].kind == .string else {
            return false
        }
        let word = batch.text(batch.attributes[place].text)
        guard let current = map.lookup(word).text, !(current == word) else { return false }
        let value = batch.addText(current)
        batch.setValue(.string(value), at: place, in: set)
        return true
    }
}
