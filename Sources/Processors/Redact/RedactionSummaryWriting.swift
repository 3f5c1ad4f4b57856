import Telemetry

/// The attributes that tell what was done, as the Collector writes them.
extension RedactionPolicy {
    /// Adds the counts, and for `debug` the sorted names, to a set, on top of what an earlier processor wrote there.
    func summarize(
        _ set: SetIndex, _ keys: SummaryKeys, _ batch: inout RecordBatch, _ state: inout RedactionState
    ) {
        guard summary != .silent, !state.summary.isEmpty else { return }
        let counts = state.summary
        add(counts.redacted, .redacted, keys.redactedKeys, keys.redactedCount, set, &batch, &state)
        add(counts.masked, .masked, keys.maskedKeys, keys.maskedCount, set, &batch, &state)
        add(counts.allowed, .allowed, keys.allowedKeys, keys.allowedCount, set, &batch, &state)
        add(counts.ignored, nil, .unknown, keys.ignoredCount, set, &batch, &state)
    }

    private func add(
        _ count: Int, _ kind: SummaryKind?, _ namesKey: KeyID, _ countKey: KeyID, _ set: SetIndex,
        _ batch: inout RecordBatch, _ state: inout RedactionState
    ) {
        guard count > 0 else { return }
        if summary == .debug, let kind {
            var names = RedactionPolicy.names(kind, state.names.text)
            if let old = batch.string(namesKey, in: set), !old.isEmpty {
                names += old.string.split(separator: ",").map(String.init)
            }
            names.sort()
            let joined = batch.buildText { $0.append(string: names.joined(separator: ",")) }
            batch.upsert(namesKey, .string(joined), in: set)
        }
        var total = Int64(count)
        if let index = batch.find(countKey, in: set), case .int(let old) = batch.attributes[index].value {
            total = total.addingReportingOverflow(old).partialValue
        }
        batch.upsert(countKey, .int(total), in: set)
    }

    /// The remembered names of one kind.
    private static func names(_ kind: SummaryKind, _ all: Text) -> [String] {
        var names: [String] = []
        var index = 0
        while index < all.count, let end = all.firstIndex(of: 0, from: index) {
            if all[index] == kind.rawValue { names.append(all[index + 1..<end].string) }
            index = end + 1
        }
        return names
    }
}
