/// One node of the merged configuration tree, with the place it was written at.
package struct ConfigNode: Sendable {
    /// What a node holds.
    package enum Content: Sendable {
        /// A single value.
        case scalar(ConfigScalar)
        /// Values in file order.
        case list([ConfigNode])
        /// Entries in file order; no key occurs twice.
        case map([Entry])
    }

    /// One key of a mapping with its value.
    package struct Entry: Sendable {
        /// The key as text; keys are always taken as strings.
        package var key: String
        /// Where the key was written.
        package var keyPlace: ConfigPlace
        /// The value under the key.
        package var value: ConfigNode

        /// Makes an entry.
        package init(key: String, keyPlace: ConfigPlace, value: ConfigNode) {
            self.key = key
            self.keyPlace = keyPlace
            self.value = value
        }
    }

    /// What the node holds.
    package var content: Content
    /// Where the value was written.
    package var place: ConfigPlace
    /// True when the text came, whole or in part, from the environment or a file; such text is never put in a message.
    package var isExpanded: Bool
    /// The text that stood in for a value that is one whole reference, before YAML gave it a type; options that want
    /// a string take this text, as in the Collector. Nil for other values and for references that failed.
    package var expandedText: String?
    /// True for a reference that could not be resolved, which leaves null; it was reported where it was met.
    var isFailedExpansion = false

    /// Makes a node.
    package init(_ content: Content, place: ConfigPlace, isExpanded: Bool = false, expandedText: String? = nil) {
        self.content = content
        self.place = place
        self.isExpanded = isExpanded
        self.expandedText = expandedText
    }

    /// The null node, which stands for an absent body.
    package static func null(at place: ConfigPlace) -> ConfigNode {
        ConfigNode(.scalar(ConfigScalar(text: "", value: .null, isPlain: true)), place: place)
    }

    /// The empty mapping.
    package static func emptyMap(at place: ConfigPlace) -> ConfigNode {
        ConfigNode(.map([]), place: place)
    }
}

/// A scalar with its text and the type that the YAML 1.2 core schema gives it.
package struct ConfigScalar: Sendable, Hashable {
    /// The text after quotes and escapes are resolved.
    package var text: String
    /// The resolved value.
    package var value: ResolvedScalar
    /// True when the text was written without quotes, so that its type was read from its form.
    package var isPlain: Bool

    /// Makes a scalar.
    package init(text: String, value: ResolvedScalar, isPlain: Bool) {
        self.text = text
        self.value = value
        self.isPlain = isPlain
    }
}

/// The types of the YAML 1.2 core schema (YAML 1.2.2, 10.3).
package enum ResolvedScalar: Sendable, Hashable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    /// The text of the scalar is the value.
    case string
}

extension ResolvedScalar {
    /// An integer, also one that is written as `1e+06` or `1000.0`, which template engines make of large ones.
    package var wholeNumber: Int? {
        switch self {
        case .int(let number): number
        case .double(let number): Int(exactly: number)
        default: nil
        }
    }
}

extension ConfigNode {
    /// The scalar, or nil for a list or mapping.
    package var scalar: ConfigScalar? {
        if case .scalar(let scalar) = content { return scalar }
        return nil
    }

    /// The elements, or nil when this is no list.
    package var list: [ConfigNode]? {
        if case .list(let nodes) = content { return nodes }
        return nil
    }

    /// The elements where texts are expected in a list: a single text stands for its parts between commas, as in the
    /// Collector. Nil for what is neither.
    package var texts: [ConfigNode]? {
        if let list { return list }
        guard let scalar, !isNull, scalar.value == .string || expandedText != nil else { return nil }
        let text = expandedText ?? scalar.text
        if text.isEmpty { return [] }
        return text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            var part = part.drop { $0 == " " }
            while part.last == " " { part.removeLast() }
            let scalar = ConfigScalar(text: String(part), value: .string, isPlain: false)
            return ConfigNode(.scalar(scalar), place: place, isExpanded: isExpanded)
        }
    }

    /// The entries, or nil when this is no mapping.
    package var map: [Entry]? {
        if case .map(let entries) = content { return entries }
        return nil
    }

    /// True for `null`, `~` and nothing at all.
    package var isNull: Bool { scalar?.value == .null }

    /// True when a reference in this node or below it could not be resolved, so that what is missing may not be.
    var hasFailedExpansion: Bool {
        switch content {
        case .scalar: isFailedExpansion
        case .list(let nodes): nodes.contains(where: \.hasFailedExpansion)
        case .map(let entries): entries.contains(where: \.value.hasFailedExpansion)
        }
    }

    /// The value under a key, or nil when this is no mapping or has no such key.
    package subscript(key: String) -> ConfigNode? { entry(key)?.value }

    /// The entry of a key, or nil when this is no mapping or has no such key.
    package func entry(_ key: String) -> Entry? {
        map?.first { $0.key == key }
    }

    /// Where a text first stands in this node or below it: its place, and the path from here, such as `[0].rules[2]`.
    func place(of text: String) -> (place: ConfigPlace, path: String)? {
        switch content {
        case .scalar(let scalar): return scalar.text == text ? (place, "") : nil
        case .list(let nodes):
            for (index, node) in nodes.enumerated() {
                if let found = node.place(of: text) { return (found.place, "[\(index)]" + found.path) }
            }
        case .map(let entries):
            for entry in entries {
                if let found = entry.value.place(of: text) { return (found.place, ".\(entry.key)" + found.path) }
            }
        }
        return nil
    }

    /// Where the option at a path below this node is written, such as `table[1].pipelines`, as far as the path leads.
    package func place(ofOption path: String) -> ConfigPlace? {
        var node = self
        var place: ConfigPlace?
        for part in path.split(whereSeparator: { ".[]".contains($0) }) {
            if let list = node.list, let index = Int(part), list.indices.contains(index) {
                node = list[index]
                place = node.place
            } else if let entry = node.entry(String(part)) {
                node = entry.value
                place = entry.value.isNull ? entry.keyPlace : entry.value.place
            } else {
                break
            }
        }
        return place
    }

    /// The kind of the node in words, for messages: `a list`, `an integer`.
    package var kind: String {
        switch content {
        case .list: return "a list"
        case .map: return "a mapping"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: return "nothing"
            case .bool: return "a boolean"
            case .int: return "an integer"
            case .double: return "a number"
            case .string: return "a string"
            }
        }
    }

    /// The node as a plain value without places.
    package var plain: ConfigValue {
        switch content {
        case .list(let nodes): return .list(nodes.map(\.plain))
        case .map(let entries): return .map(entries.map { ($0.key, $0.value.plain) })
        case .scalar(let scalar):
            switch scalar.value {
            case .null: return .null
            case .bool(let flag): return .bool(flag)
            case .int(let number): return .int(number)
            case .double(let number): return .double(number)
            case .string: return .string(scalar.text)
            }
        }
    }
}
