extension Settings {
    /// Reads a nested mapping; an absent one reads as an empty one.
    package mutating func group<T>(_ key: String, _ sentence: String, _ read: (inout Settings) -> T) -> T {
        visitGroup(key, sentence, read)
    }

    /// Reads a nested mapping, or nil when the key is absent; `key:` with nothing or `{}` counts as present. With the
    /// warning `whenNull`, `key:` with nothing counts as absent.
    package mutating func optionalGroup<T>(
        _ key: String, _ sentence: String, whenNull message: String? = nil, _ read: (inout Settings) -> T
    ) -> T? {
        if let message, let value = entry(key)?.value, value.isNull, !value.isFailedExpansion {
            known.append(key)
            warning(message, fix: "remove it, or write its options below it", at: key)
            return nil
        }
        guard isDescribing || isPresent(key) else {
            known.append(key)
            return nil
        }
        let value = visitGroup(key, sentence, read)
        return isDescribing ? nil : value
    }

    /// Reads a list of mappings, in order; elements that are no mappings are problems and left out.
    package mutating func list<T>(_ key: String, _ sentence: String, _ read: (inout Settings) -> T) -> [T] {
        if isDescribing {
            var element = Settings.describing(pattern: childPattern(key) + "[]")
            _ = read(&element)
            aliases.merge(element.aliases) { _, new in new }
            declare(
                OptionDescription(
                    key: key, path: "", type: "list of mappings", defaultText: "[]", sentence: sentence,
                    nested: element.finishedDescriptions()))
            return []
        }
        known.append(key)
        guard let node = node(key) else { return [] }
        guard let elements = node.list else {
            reportType(key, node, expected: "a list of mappings", fix: "start each element with `- ` under `\(key):`")
            return []
        }
        var values: [T] = []
        for (index, element) in elements.enumerated() {
            let name = "\(key)[\(index)]"
            guard let entries = element.map else {
                reportType(name, element, expected: "a mapping", fix: "write `- key: value`")
                continue
            }
            let value = visit(
                entries, key: name, pattern: "\(key)[]", place: element.place, isMuted: isMuted, read)
            values.append(value)
        }
        return values
    }

    private mutating func visitGroup<T>(_ key: String, _ sentence: String, _ read: (inout Settings) -> T) -> T {
        if isDescribing {
            var nested = Settings.describing(pattern: childPattern(key))
            let value = read(&nested)
            aliases.merge(nested.aliases) { _, new in new }
            declare(
                OptionDescription(
                    key: key, path: "", type: "mapping", sentence: sentence, nested: nested.finishedDescriptions()))
            return value
        }
        known.append(key)
        let entry = entry(key)
        var isFaulty = false
        if let entry, entry.value.map == nil, !entry.value.isNull {
            isFaulty = true
            reportType(
                key, entry.value, expected: "a mapping of options",
                fix: "write `key: value` lines indented under `\(key):`")
        }
        return visit(
            entry?.value.map ?? [], key: entry?.key ?? key, pattern: key, place: entry?.keyPlace ?? place,
            isMuted: isMuted || isFaulty || entry?.value.isFailedExpansion == true, read)
    }

    /// Runs a reader on a nested mapping and takes over what it found.
    mutating func visit<T>(
        _ entries: [ConfigNode.Entry], key: String, pattern: String, place: ConfigPlace, isMuted: Bool,
        _ read: (inout Settings) -> T
    ) -> T {
        var nested = Settings(
            entries: entries, path: childPath(key), pattern: childPattern(pattern), place: place, aliases: aliases,
            isDescribing: isDescribing, isMuted: isMuted)
        let value = read(&nested)
        nested.refuseUnknownKeys()
        if !key.hasSuffix("]") { groups.append((key, nested.known)) }
        problems.merge(nested.problems)
        return value
    }

    /// The cursor that learns the options of a nested mapping.
    private static func describing(pattern: String) -> Settings {
        Settings(
            entries: [], path: "", pattern: pattern, place: .nowhere, aliases: [:], isDescribing: true,
            isMuted: true)
    }
}
