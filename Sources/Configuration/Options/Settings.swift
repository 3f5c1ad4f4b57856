/// A cursor on one mapping of the configuration: every call declares an option and reads it.
///
/// Nothing throws. A faulty value leaves a problem behind and yields the default or a placeholder, so that one pass
/// finds all faults. Once the mapping is read, keys that no call asked for are problems too.
package struct Settings {
    /// True on the run over an empty mapping that only learns the options.
    package let isDescribing: Bool
    /// The dotted path of the mapping as messages name it.
    let path: String
    /// The path below the component, with `[]` for any element of a list.
    let pattern: String
    /// Where the mapping is.
    let place: ConfigPlace
    let entries: [ConfigNode.Entry]
    /// True when nothing may be reported, since the whole mapping is already known to be faulty.
    let isMuted: Bool
    /// Other spellings by the pattern of their mapping.
    var aliases: [String: [Alias]]
    var known: [String] = []
    /// The groups of the mapping with their keys, for a key that stands beside its group.
    var groups: [(key: String, known: [String])] = []
    var descriptions: [OptionDescription] = []
    var problems = ConfigProblems()

    /// One other spelling of an option.
    struct Alias: Equatable {
        var old: String
        var new: String
    }

    init(
        entries: [ConfigNode.Entry], path: String, pattern: String, place: ConfigPlace, aliases: [String: [Alias]],
        isDescribing: Bool, isMuted: Bool
    ) {
        self.entries = entries
        self.path = path
        self.pattern = pattern
        self.place = place
        self.aliases = aliases
        self.isDescribing = isDescribing
        self.isMuted = isMuted
    }

    /// The cursor of a run that learns the options.
    static func describing() -> Settings {
        Settings(
            entries: [], path: "", pattern: "", place: .nowhere, aliases: [:], isDescribing: true, isMuted: true)
    }

    /// The cursor on a component's body; a body that is no mapping is a problem and reads as empty.
    init(node: ConfigNode, path: String, aliases: [String: [Alias]]) {
        let isFaulty = node.map == nil && !node.isNull
        self.init(
            entries: node.map ?? [], path: path, pattern: "", place: node.place, aliases: aliases,
            isDescribing: false, isMuted: isFaulty || node.isFailedExpansion)
        if isFaulty {
            problems.error(
                "expects a mapping of options, not \(node.kind)",
                fix: "write `key: value` lines under it, or nothing for the defaults", at: node.place, path: path)
        }
    }

    // MARK: Other spellings, cross-option checks

    /// Declares that the old spelling reads as the new one; it does not matter whether before or after the read.
    package mutating func alias(_ old: String, for new: String) {
        let alias = Alias(old: old, new: new)
        if aliases[pattern]?.contains(alias) != true { aliases[pattern, default: []].append(alias) }
    }

    /// Declares an option of the Collector that is taken without effect; the sentence says why. Its use is a warning.
    package mutating func accepted(_ key: String, _ sentence: String) {
        declare(
            OptionDescription(
                key: key, path: "", type: "any", sentence: sentence, isAccepted: true))
        guard let entry = entry(key), !entry.value.isNull, !isMuted else { return }
        problems.warning(
            "has no effect here: \(sentence)", at: entry.keyPlace, path: childPath(entry.key))
    }

    /// Reports a fault that shows only across options, at a key of this mapping or at the mapping itself. One that a
    /// reference that failed may be the cause of is left out, since that is an error already.
    package mutating func problem(_ message: String, at key: String? = nil) {
        guard !isMuted, !followsFailure(key) else { return }
        guard let key else { return problems.error(message, at: place, path: path) }
        problems.error(message, at: entry(key)?.value.place ?? place, path: childPath(key))
    }

    /// Reports a fault of one text among those below a key, such as a statement of a list, at the text itself.
    package mutating func problem(_ message: String, at key: String, on text: String) {
        guard !isMuted, let node = entry(key)?.value, let found = node.place(of: text) else {
            return problem(message, at: key)
        }
        problems.error(message, at: found.place, path: childPath(key) + found.path)
    }

    /// Warns of a value that works and may not be meant, at a key of this mapping or at the mapping itself.
    package mutating func warning(_ message: String, fix: String? = nil, at key: String? = nil) {
        guard !isMuted, !followsFailure(key) else { return }
        guard let key else { return problems.warning(message, fix: fix, at: place, path: path) }
        problems.warning(message, fix: fix, at: entry(key)?.value.place ?? place, path: childPath(key))
    }

    /// Whether a reference failed in the value of a key, or of any when the key is absent.
    private func followsFailure(_ key: String?) -> Bool {
        guard let key, let value = entry(key)?.value else { return entries.contains { $0.value.hasFailedExpansion } }
        return value.hasFailedExpansion
    }

    /// True when the key or another spelling of it is in the file, even with nothing behind it.
    package func isPresent(_ key: String) -> Bool {
        entry(key) != nil
    }

    // MARK: For the reading calls

    /// The entry of a key under its own or another spelling.
    func entry(_ key: String) -> ConfigNode.Entry? {
        if let entry = entries.first(where: { $0.key == key }) { return entry }
        guard let others = aliases[pattern] else { return nil }
        return entries.first { entry in others.contains { $0.new == key && $0.old == entry.key } }
    }

    /// The value of a key, or nil when the key is absent or has nothing behind it.
    func node(_ key: String) -> ConfigNode? {
        guard let node = entry(key)?.value, !node.isNull else { return nil }
        return node
    }

    /// Declares the option; the path is filled in here.
    mutating func declare(_ option: OptionDescription) {
        known.append(option.key)
        guard isDescribing else { return }
        var option = option
        option.path = childPattern(option.key)
        descriptions.append(option)
    }

    func childPath(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    func childPattern(_ key: String) -> String { pattern.isEmpty ? key : "\(pattern).\(key)" }

    mutating func report(_ message: String, fix: String? = nil, _ key: String, at node: ConfigNode) {
        guard !isMuted, !node.isFailedExpansion else { return }
        let path = childPath(key)
        let shown = KeyMask.mask(path: key)
        problems.error(
            message, fix: shown == key ? fix : fix?.replacing(key, with: shown), at: node.place, path: path,
            hidesSource: problems.secretPaths.contains(path))
    }

    mutating func reportMissing(_ key: String, type: String, example: String) {
        guard !isMuted, entry(key)?.value.isFailedExpansion != true else { return }
        problems.error(
            "is required and missing (\(type))", fix: "add `\(key): \(example)`", at: entry(key)?.keyPlace ?? place,
            path: childPath(key))
    }

    /// Reports a value of the wrong type with what was expected and an example.
    mutating func reportType(_ key: String, _ node: ConfigNode, expected: String, fix: String) {
        report("expects \(expected), not \(shown(key, node))", fix: fix, key, at: node)
    }

    /// A value in words; the text itself only when it is short and no secret.
    func shown(_ key: String, _ node: ConfigNode) -> String {
        guard let scalar = node.scalar, !node.isExpanded, scalar.text.utf8.count <= 40, !isSecret(key)
        else { return node.kind }
        return scalar.value == .string ? "the string \"\(scalar.text)\"" : "\(node.kind) (\(scalar.text))"
    }

    /// True when the value of a key must not be quoted in a message.
    func isSecret(_ key: String) -> Bool {
        let path = childPath(key)
        return problems.secretPaths.contains(path) || problems.secretURLPaths.contains(path)
            || SecretKeys.namesCredential(key)
    }

    // MARK: The end of a mapping

    /// Reports keys that no call asked for, and options given under two spellings.
    mutating func refuseUnknownKeys() {
        guard !isDescribing, !isMuted else { return }
        let others = aliases[pattern] ?? []
        for entry in entries where !known.contains(entry.key) {
            if let alias = others.first(where: { $0.old == entry.key }) {
                guard let other = entries.first(where: { $0.key == alias.new }) else { continue }
                problems.error(
                    "is the older spelling of \"\(alias.new)\", which is given too (line \(other.keyPlace.line))",
                    fix: "keep one of them", at: entry.keyPlace, path: childPath(entry.key))
                continue
            }
            let names = known + others.map(\.old)
            if let meant = Suggestion.nearest(to: entry.key, among: names), self.entry(meant) == nil {
                // That it is missing follows from its misspelling.
                problems.removeErrors(of: childPath(meant))
            }
            problems.error(
                "unknown key",
                fix: move(entry) ?? Settings.quotes(entry.key)
                    ?? Suggestion.fix(for: entry.key, among: names, noun: "keys"),
                at: entry.keyPlace, path: childPath(entry.key))
        }
    }

    /// What to write for a key that one of the groups has.
    private func move(_ entry: ConfigNode.Entry) -> String? {
        let owners = groups.filter { $0.known.contains(entry.key) }
        guard owners.count == 1, let group = owners.first?.key else { return nil }
        let value = if case .bool(let flag)? = entry.value.scalar?.value { String(flag) } else { "…" }
        return "it belongs below `\(group)`: write `\(group): {\(entry.key): \(value)}`"
    }

    /// The descriptions with other spellings filled in.
    func finishedDescriptions() -> [OptionDescription] {
        let others = aliases[pattern] ?? []
        return descriptions.map { option in
            var option = option
            option.aliases = others.filter { $0.new == option.key }.map(\.old)
            return option
        }
    }
}
