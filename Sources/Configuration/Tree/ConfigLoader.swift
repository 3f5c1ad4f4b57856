/// Why a file could not be read, in words for the user.
package struct ConfigReadFailure: Error, Sendable {
    /// The reason, such as "no such file".
    package var reason: String

    /// Makes a failure.
    package init(reason: String) { self.reason = reason }
}

/// What the configuration may ask of the world.
package struct ConfigEnvironment: Sendable {
    /// The value of an environment variable, or nil when it is not set.
    package var variable: @Sendable (String) -> String?
    /// The bytes of a file; the caller may bound the size, and need read no more than `ConfigExpansion.textMaximum`.
    package var readFile: @Sendable (String) throws(ConfigReadFailure) -> [UInt8]

    /// Makes an environment from two closures.
    package init(
        variable: @escaping @Sendable (String) -> String?,
        readFile: @escaping @Sendable (String) throws(ConfigReadFailure) -> [UInt8]
    ) {
        self.variable = variable
        self.readFile = readFile
    }
}

/// One part of the configuration in the order in which parts are laid over each other.
package enum ConfigSource: Sendable {
    /// A file to read.
    case file(String)
    /// An environment variable that holds the text.
    case variable(String)
    /// A text under a name, such as the built-in default.
    case text(name: String, String)
}

/// Reads files and overrides into one merged and expanded tree.
package struct ConfigLoader: Sendable {
    private let environment: ConfigEnvironment

    /// Makes a loader.
    package init(environment: ConfigEnvironment) {
        self.environment = environment
    }

    /// Loads sources in order, lays the overrides over them, has `prepare` change the tree, and resolves references.
    ///
    /// - Returns: a mapping in any case; when `problems` gained errors, it holds what could be read.
    package func load(
        _ sources: [ConfigSource], overrides: [String] = [], prepare: (ConfigNode) -> ConfigNode = { $0 },
        problems: inout ConfigProblems
    ) -> ConfigNode {
        var tree: ConfigNode?
        for source in sources {
            guard let node = read(source, problems: &problems) else { continue }
            tree = tree?.merged(with: node) ?? node
        }
        for override in overrides {
            guard let node = ConfigOverride.parse(override, problems: &problems) else { continue }
            tree = tree?.merged(with: node) ?? node
        }
        guard let tree else { return .emptyMap(at: .nowhere) }
        var expansion = ConfigExpansion(environment: environment)
        let expanded = expansion.expand(prepare(tree))
        problems.merge(expansion.problems)
        return expanded
    }

    private func read(_ source: ConfigSource, problems: inout ConfigProblems) -> ConfigNode? {
        let (name, text): (String, String?) =
            switch source {
            case .text(let name, let text): (name, text)
            case .file(let path): (path, readText(path, problems: &problems))
            case .variable(let variable): ("env:\(variable)", readVariable(variable, problems: &problems))
            }
        guard var text else { return nil }
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        guard let node = YAMLReader.read(text, file: name, problems: &problems) else { return nil }
        if node.isNull { return .emptyMap(at: ConfigPlace(file: name)) }
        guard node.map != nil else {
            problems.error(
                "the configuration must be a mapping, not \(node.kind)",
                fix: "start with `receivers:`, `processors:`, `exporters:` and `service:`", at: node.place)
            return nil
        }
        return unfolded(node)
    }

    /// The mapping with keys of the form `a::b`, which the Collector takes at the top, as nested ones.
    private func unfolded(_ node: ConfigNode) -> ConfigNode {
        guard let entries = node.map, entries.contains(where: { $0.key.contains("::") }) else { return node }
        var result = ConfigNode.emptyMap(at: node.place)
        for entry in entries {
            var value = entry.value
            var key = entry.key[...]
            while let parts = ConfigLoader.last(of: key) {
                value = ConfigNode(
                    .map([ConfigNode.Entry(key: String(parts.last), keyPlace: entry.keyPlace, value: value)]),
                    place: entry.keyPlace)
                key = parts.rest
            }
            let whole = ConfigNode.Entry(key: String(key), keyPlace: entry.keyPlace, value: value)
            result = result.merged(with: ConfigNode(.map([whole]), place: node.place))
        }
        return result
    }

    /// What stands before and behind the last `::`.
    private static func last(of key: Substring) -> (rest: Substring, last: Substring)? {
        var index = key.endIndex
        while index > key.startIndex {
            index = key.index(before: index)
            if key[index...].hasPrefix("::"), index > key.startIndex {
                return (key[..<index], key[key.index(index, offsetBy: 2)...])
            }
        }
        return nil
    }

    private func readVariable(_ name: String, problems: inout ConfigProblems) -> String? {
        if let text = environment.variable(name) { return text }
        problems.error(
            "the environment variable \(name) is not set", fix: "set it, or name a file with --config",
            at: ConfigPlace(file: "env:\(name)"))
        return nil
    }

    private func readText(_ path: String, problems: inout ConfigProblems) -> String? {
        let place = ConfigPlace(file: path)
        do {
            let bytes = try environment.readFile(path)
            if let text = String(validating: bytes, as: UTF8.self) { return text }
            problems.error("is not UTF-8 text", fix: "save the file as UTF-8", at: place)
        } catch {
            problems.error("cannot be read: \(error.reason)", fix: "check the name given with --config", at: place)
        }
        return nil
    }
}
