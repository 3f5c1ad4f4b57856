extension Settings {
    /// Reads a text.
    package mutating func string(_ key: String, default value: String, _ sentence: String) -> String {
        declare(
            OptionDescription(
                key: key, path: "", type: "string", defaultText: "\"\(value)\"", sentence: sentence))
        guard let node = node(key) else { return value }
        return text(key, node) ?? value
    }

    /// Reads a text that must be given and must not be empty; the placeholder is empty.
    package mutating func requiredString(_ key: String, _ sentence: String) -> String {
        declare(OptionDescription(key: key, path: "", type: "string", sentence: sentence, isRequired: true))
        guard let node = node(key) else {
            reportMissing(key, type: "string", example: "…")
            return ""
        }
        guard let text = text(key, node) else { return "" }
        if text.isEmpty { report("must not be empty", fix: "give a value: \(sentence)", key, at: node) }
        return text
    }

    /// Reads a text, or nil when it is absent.
    package mutating func optionalString(_ key: String, _ sentence: String) -> String? {
        declare(OptionDescription(key: key, path: "", type: "string", sentence: sentence))
        return node(key).flatMap { text(key, $0) }
    }

    /// Reads a text that is never printed, or nil when it is absent.
    package mutating func secret(_ key: String, _ sentence: String) -> Secret? {
        declare(OptionDescription(key: key, path: "", type: "secret", sentence: sentence, isSecret: true))
        guard let entry = entry(key) else { return nil }
        // Under both spellings, so that the printed configuration masks whichever the file uses.
        problems.markSecret(childPath(key), at: entry.value.place)
        problems.markSecret(childPath(entry.key))
        guard !entry.value.isNull else { return nil }
        return text(key, entry.value).map(Secret.init)
    }

    /// Reads a URL that must be given and whose path is a credential, as that of a webhook: it is printed up to its
    /// host. The placeholder is empty.
    package mutating func requiredSecretURL(_ key: String, _ sentence: String) -> String {
        if let entry = entry(key) {
            for name in [key, entry.key] { problems.markSecretURL(childPath(name), at: entry.value.place) }
        }
        return requiredString(key, "\(sentence) Printed up to its host, since its path may be a credential.")
    }

    /// Reads one of a type's cases by its raw value.
    package mutating func choice<T: RawRepresentable & CaseIterable & Sendable>(
        _ key: String, default value: T, _ sentence: String
    ) -> T where T.RawValue == String {
        declare(
            OptionDescription(
                key: key, path: "", type: "choice", defaultText: value.rawValue, sentence: sentence,
                choices: T.allCases.map(\.rawValue)))
        guard let node = node(key) else { return value }
        return pick(key, node) ?? value
    }

    /// Reads one of a type's cases that must be given; the placeholder is the first case.
    package mutating func requiredChoice<T: RawRepresentable & CaseIterable & Sendable>(
        _ key: String, _ sentence: String
    ) -> T where T.RawValue == String {
        let names = T.allCases.map(\.rawValue)
        declare(
            OptionDescription(
                key: key, path: "", type: "choice", sentence: sentence, isRequired: true, choices: names))
        guard let first = T.allCases.first else { preconditionFailure("a choice needs cases") }
        guard let node = node(key) else {
            reportMissing(key, type: "one of \(names.joined(separator: ", "))", example: first.rawValue)
            return first
        }
        return pick(key, node) ?? first
    }

    private mutating func pick<T: RawRepresentable & CaseIterable>(
        _ key: String, _ node: ConfigNode
    ) -> T? where T.RawValue == String {
        let names = T.allCases.map(\.rawValue)
        guard let scalar = node.scalar else {
            reportType(
                key, node, expected: "one of \(names.joined(separator: ", "))", fix: "write `\(key): \(names[0])`")
            return nil
        }
        if let value = T(rawValue: scalar.text), names.contains(value.rawValue) { return value }
        // The Collector takes its levels and modes in any case.
        let lower = scalar.text.lowercased()
        if let name = names.first(where: { $0.lowercased() == lower }) { return T(rawValue: name) }
        let nearest = Suggestion.nearest(to: scalar.text, among: names).map { "did you mean \"\($0)\"?" }
        report(
            "expects one of \(names.joined(separator: ", ")), not \(shown(key, node))", fix: nearest, key, at: node)
        return nil
    }

    /// The text of a string node. Text from the environment or a file counts as a string whatever it looks like, as
    /// in the Collector; a number or flag in the file itself needs quotes.
    mutating func text(_ key: String, _ node: ConfigNode) -> String? {
        if let text = node.expandedText { return text }
        if let scalar = node.scalar, scalar.value == .string { return scalar.text }
        if let scalar = node.scalar, !isSecret(key) {
            let quoted = "put it in quotes: `\(key): \"\(scalar.text)\"`"
            reportType(key, node, expected: "a string", fix: Self.address(key, scalar.value) ?? quoted)
        } else {
            let quotes = node.map?.first.flatMap { Settings.quotes($0.key) }
            reportType(key, node, expected: "a string", fix: quotes ?? "write e.g. `\(key): \"…\"`")
        }
        return nil
    }

    /// What to write for a port where an address is wanted; nil for all else.
    private static func address(_ key: String, _ value: ResolvedScalar) -> String? {
        guard key == "endpoint" || key.hasSuffix("_endpoint"), case .int(let port) = value, (1...65_535).contains(port)
        else { return nil }
        return "give the host too: `\(key): 127.0.0.1:\(port)`, or `\(key): http://127.0.0.1:\(port)` for a URL"
    }

    /// What to do about a text that YAML reads as a mapping, such as a statement with a map in it; nil when `key` looks
    /// like a key.
    static func quotes(_ key: String) -> String? {
        guard key.contains("(") || key.contains("{\"") else { return nil }
        return "put the whole text in single quotes: it holds \": \""
    }
}
