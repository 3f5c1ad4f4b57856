package import Configuration

/// The parts of a configuration by their paths, such as `exporters.file`, each with a text that is another one when
/// anything differs in it or in a file that it names.
package struct ConfigOutline: Sendable {
    private var parts: [String: String] = [:]

    package init(_ tree: ConfigNode) {
        for kind in ComponentKind.allCases { add(tree[kind.section], kind.section) }
        add(tree["service"]?["pipelines"], "pipelines")
        add(tree["service"]?.without(["pipelines"]), "service")
    }

    private mutating func add(_ section: ConfigNode?, _ name: String) {
        for entry in section?.map ?? [] {
            parts["\(name).\(entry.key)"] = entry.value.traits(scalar: SystemFacts.fileTraits)
        }
    }

    /// Which parts are added, removed and changed in another configuration, as fields of a line of the log. Names
    /// only: values may be secrets.
    package func difference(to next: ConfigOutline) -> [String: String] {
        let added = next.parts.keys.filter { parts[$0] == nil }
        let removed = parts.keys.filter { next.parts[$0] == nil }
        let changed = parts.keys.filter { key in next.parts[key].map { $0 != parts[key] } ?? false }
        var fields: [String: String] = [:]
        for (name, keys) in [("added", added), ("removed", removed), ("changed", changed)] where !keys.isEmpty {
            fields[name] = keys.sorted().joined(separator: ", ")
        }
        return fields.isEmpty ? ["changed": "nothing"] : fields
    }
}
