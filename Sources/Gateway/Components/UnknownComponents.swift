import Configuration

/// Takes components of types that are not here out of a configuration, for `--skip-unknown`: their definitions, where
/// pipelines and the service name them, and pipelines that are left without a receiver or exporter. Each is a warning.
struct UnknownComponents {
    private let types: [ComponentKind: Set<String>]
    private var defined: [ComponentKind: Set<ComponentID>] = [:]
    private var skipped: [ComponentKind: Set<ComponentID>] = [:]
    private var problems = ConfigProblems()

    /// The sections without what is not here. References in it are not resolved yet, and need not be.
    mutating func filter(sections tree: ConfigNode) -> ConfigNode {
        var tree = tree
        for kind in ComponentKind.allCases { tree.change(kind.section) { filter(section: kind, $0) } }
        return tree
    }

    /// The tree with resolved references without what names the components that were filtered before.
    mutating func filter(uses tree: ConfigNode, problems: inout ConfigProblems) -> ConfigNode {
        var tree = tree
        if !skipped.isEmpty { tree.change("service") { filter(service: $0) } }
        problems.merge(self.problems)
        return tree
    }

    init() {
        let kinds = ComponentKind.allCases
        types = Dictionary(uniqueKeysWithValues: kinds.map { ($0, Set(Registry.types(of: $0))) })
    }

    private mutating func filter(section kind: ComponentKind, _ section: ConfigNode) -> ConfigNode {
        section.filter { entry in
            guard let id = try? ComponentID(parsing: entry.key) else { return true }
            if types[kind]?.contains(id.type) == true {
                defined[kind, default: []].insert(id)
                return true
            }
            skipped[kind, default: []].insert(id)
            problems.warning(
                "the type \"\(id.type)\" is not here: left out, and pipelines go on without it",
                fix: TypeAdvice.advice(id.type, kind), at: entry.keyPlace, path: "\(kind.section).\(id)")
            return false
        }
    }

    private mutating func filter(service: ConfigNode) -> ConfigNode {
        var service = service
        service.change("extensions") { without($0, kinds: [.extension]) }
        guard let pipelines = service["pipelines"]?.map else { return service }
        let joining = connectors(of: pipelines)
        var left = pipelines.map { entry in
            var entry = entry
            entry.value.change("receivers") { without($0, kinds: [.receiver, .connector]) }
            entry.value.change("processors") { without($0, kinds: [.processor]) }
            entry.value.change("exporters") { without($0, kinds: [.exporter, .connector]) }
            return entry
        }
        // A pipeline that goes may leave connectors that join nothing, and these pipelines that have no other.
        var count = left.count + 1
        while left.count < count {
            count = left.count
            dropEmpty(&left, were: pipelines)
            let loose = joining.subtracting(connectors(of: left))
            left = left.map { entry in
                var entry = entry
                for list in ["receivers", "exporters"] {
                    entry.value.change(list) { list in list.without { loose.contains($0) } }
                }
                return entry
            }
        }
        if left.isEmpty, !pipelines.isEmpty {
            problems.error(
                "no pipeline is left without the components that are not here",
                fix: "give one of them a receiver and an exporter that are here; see `sluice components`",
                at: service.entry("pipelines")?.keyPlace ?? service.place, path: "service.pipelines")
        }
        service.change("pipelines") { node in ConfigNode(.map(left), place: node.place) }
        return service
    }

    /// Takes out pipelines that lost their last receiver or exporter.
    private mutating func dropEmpty(_ left: inout [ConfigNode.Entry], were pipelines: [ConfigNode.Entry]) {
        left.removeAll { entry in
            let before = pipelines.first { $0.key == entry.key }?.value
            let lost = ["receivers", "exporters"].first { list in
                entry.value[list]?.texts?.isEmpty == true && before?[list]?.texts?.isEmpty == false
            }
            guard let lost else { return false }
            problems.warning(
                "is left without \(lost): the pipeline is left out", at: entry.keyPlace,
                path: "service.pipelines.\(entry.key)")
            return true
        }
    }

    /// A list without the components that were skipped; one that is also defined as another kind stays.
    private func without(_ list: ConfigNode, kinds: [ComponentKind]) -> ConfigNode {
        list.without { id in
            kinds.contains { skipped[$0]?.contains(id) == true }
                && !kinds.contains { defined[$0]?.contains(id) == true }
        }
    }

    /// Connectors that one pipeline writes to and one reads from.
    private func connectors(of pipelines: [ConfigNode.Entry]) -> Set<ComponentID> {
        func named(_ list: String) -> Set<ComponentID> {
            pipelines.reduce(into: []) { $0.formUnion($1.value[list]?.componentIDs ?? []) }
        }
        return (defined[.connector] ?? []).intersection(named("receivers")).intersection(named("exporters"))
    }
}

extension ConfigNode {
    fileprivate var componentIDs: [ComponentID] {
        (texts ?? []).compactMap { $0.scalar }.compactMap { try? ComponentID(parsing: $0.text) }
    }

    /// Puts something else in the place of the value of a key, when there is one.
    fileprivate mutating func change(_ key: String, _ body: (ConfigNode) -> ConfigNode) {
        guard var entries = map, let index = entries.firstIndex(where: { $0.key == key }) else { return }
        entries[index].value = body(entries[index].value)
        content = .map(entries)
    }

    /// The mapping with those entries that are wanted.
    fileprivate func filter(_ isWanted: (ConfigNode.Entry) -> Bool) -> ConfigNode {
        guard let entries = map else { return self }
        var node = self
        node.content = .map(entries.filter(isWanted))
        return node
    }

    /// The list without some components.
    fileprivate func without(_ isUnwanted: (ComponentID) -> Bool) -> ConfigNode {
        guard let elements = texts else { return self }
        let kept = elements.filter { element in
            guard let text = element.scalar?.text, let id = try? ComponentID(parsing: text) else { return true }
            return !isUnwanted(id)
        }
        if kept.count == elements.count { return self }
        var node = self
        (node.content, node.expandedText) = (.list(kept), nil)
        return node
    }
}
