extension ConfigNode {
    /// This tree with another laid over it, as the Collector does: mappings are merged key by key, lists and scalars
    /// replaced. The place of a merged mapping stays that of the first.
    package func merged(with other: ConfigNode) -> ConfigNode {
        guard case .map(var entries) = content, case .map(let others) = other.content else { return other }
        var positions: [String: Int] = [:]
        for (index, entry) in entries.enumerated() { positions[entry.key] = index }
        for entry in others {
            if let index = positions[entry.key] {
                let value = entries[index].value.merged(with: entry.value)
                entries[index] = Entry(key: entry.key, keyPlace: entry.keyPlace, value: value)
            } else {
                positions[entry.key] = entries.count
                entries.append(entry)
            }
        }
        return ConfigNode(.map(entries), place: place)
    }
}
