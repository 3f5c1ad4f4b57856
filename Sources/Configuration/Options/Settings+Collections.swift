extension Settings {
    /// Reads a list of texts; a single text is split at its commas.
    package mutating func strings(_ key: String, default value: [String], _ sentence: String) -> [String] {
        let shownDefault = "[\(value.map { "\"\($0)\"" }.joined(separator: ", "))]"
        declare(
            OptionDescription(
                key: key, path: "", type: "list of strings", defaultText: shownDefault, sentence: sentence))
        guard let node = node(key) else { return value }
        guard let elements = node.texts else {
            let example = node.scalar.map { node.isExpanded ? "…" : $0.text } ?? "…"
            reportType(key, node, expected: "a list of strings", fix: "write `\(key): [\"\(example)\"]`")
            return value
        }
        var texts: [String] = []
        for (index, element) in elements.enumerated() {
            if let text = text("\(key)[\(index)]", element) { texts.append(text) }
        }
        return texts
    }

    /// Reads a list of texts that are never printed; the list is masked as a whole.
    package mutating func secrets(_ key: String, _ sentence: String) -> [Secret] {
        declare(
            OptionDescription(
                key: key, path: "", type: "list of secrets", defaultText: "[]", sentence: sentence, isSecret: true))
        guard let entry = entry(key) else { return [] }
        for name in [key, entry.key] { problems.markSecret(childPath(name), at: entry.value.place) }
        guard !entry.value.isNull else { return [] }
        guard let elements = entry.value.texts else {
            reportType(key, entry.value, expected: "a list of strings", fix: "write `\(key): [\"…\"]`")
            return []
        }
        var texts: [Secret] = []
        for (index, element) in elements.enumerated() {
            problems.markSecret(childPath("\(key)[\(index)]"), at: element.place)
            if let text = text("\(key)[\(index)]", element) { texts.append(Secret(text)) }
        }
        return texts
    }

    /// Reads a list of integers, each within a range.
    package mutating func ints(
        _ key: String, default value: [Int], in range: ClosedRange<Int>, _ sentence: String
    ) -> [Int] {
        declare(
            OptionDescription(
                key: key, path: "", type: "list of integers", defaultText: "\(value)", range: RangeText.ints(range),
                sentence: sentence))
        guard let node = node(key) else { return value }
        guard let elements = node.list else {
            reportType(key, node, expected: "a list of integers", fix: "write `\(key): \(value)`")
            return value
        }
        return elements.enumerated().compactMap { index, element in
            if case .int(let number)? = element.scalar?.value, range.contains(number) { return number }
            let expected = "an integer from \(range.lowerBound) to \(range.upperBound)"
            reportType("\(key)[\(index)]", element, expected: expected, fix: "write e.g. `\(key): \(value)`")
            return nil
        }
    }

    /// Reads a mapping of texts in file order. The Collector's list form, `- {name: …, value: …}`, is read as well.
    package mutating func stringMap(_ key: String, _ sentence: String) -> [(key: String, value: String)] {
        declare(
            OptionDescription(
                key: key, path: "", type: "mapping of strings", defaultText: "{}", sentence: sentence))
        return readStringMap(key, isSecret: false)
    }

    /// Reads a mapping of texts that are never printed, such as headers, in file order and in both forms.
    package mutating func secretMap(_ key: String, _ sentence: String) -> [(key: String, value: Secret)] {
        declare(
            OptionDescription(
                key: key, path: "", type: "mapping of secrets", defaultText: "{}", sentence: sentence, isSecret: true))
        return readStringMap(key, isSecret: true).map { ($0.key, Secret($0.value)) }
    }

    /// Reads a value of open form, or nil when it is absent; an explicit null is `.null`.
    package mutating func value(_ key: String, _ sentence: String) -> ConfigValue? {
        declare(OptionDescription(key: key, path: "", type: "any", sentence: sentence))
        guard let node = entry(key)?.value else { return nil }
        // A reference that stands for nothing is the empty text, as where an option wants a text.
        if node.isNull, node.expandedText?.isEmpty == true { return .string("") }
        return node.plain
    }

    private mutating func readStringMap(_ key: String, isSecret: Bool) -> [(key: String, value: String)] {
        guard let node = node(key) else { return [] }
        // The spelling in the file, by which the printed configuration finds its secrets.
        let written = entry(key)?.key ?? key
        var pairs: [(key: String, value: String)] = []
        if let entries = node.map {
            for entry in entries {
                let name = "\(key).\(entry.key)"
                if isSecret {
                    problems.markSecret(childPath(name), at: entry.value.place)
                    problems.markSecret(childPath("\(written).\(entry.key)"), at: entry.keyPlace)
                }
                if entry.value.isNull, entry.value.expandedText == nil {
                    report("has no value", fix: "give it one, or \"\" for an empty text", name, at: entry.value)
                } else if let text = text(name, entry.value) {
                    pairs.append((entry.key, text))
                }
            }
        } else if let elements = node.list {
            for (index, element) in elements.enumerated() {
                if let pair = readNamedValue("\(written)[\(index)]", element, isSecret: isSecret) { pairs.append(pair) }
            }
        } else {
            if isSecret { for name in [key, written] { problems.markSecret(childPath(name), at: node.place) } }
            reportType(
                key, node, expected: "a mapping of strings", fix: "write `name: value` lines indented under `\(key):`")
        }
        return pairs
    }

    private mutating func readNamedValue(
        _ key: String, _ node: ConfigNode, isSecret: Bool
    ) -> (key: String, value: String)? {
        guard node.map != nil else {
            if isSecret { problems.markSecret(childPath(key), at: node.place) }
            reportType(key, node, expected: "a mapping", fix: "write `- {name: …, value: …}`")
            return nil
        }
        return visit(node.map ?? [], key: key, pattern: key, place: node.place, isMuted: isMuted) { settings in
            let name = settings.requiredString("name", "Name of the entry.")
            let value =
                isSecret
                ? settings.secret("value", "Value of the entry.")?.reveal()
                : settings.optionalString("value", "Value of the entry.")
            return name.isEmpty ? nil : (name, value ?? "")
        }
    }
}
