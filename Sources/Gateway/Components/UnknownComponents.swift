import Configuration

/// Takes components of types that are not here out of a configuration, for `--skip-unknown`: their definitions, where
/// pipelines and the service name them, pipelines that are left without a receiver or exporter, and routes to these.
/// Each is a warning.
struct UnknownComponents {
    private let types: [ComponentKind: Set<String>]
    private var defined: [ComponentKind: Set<ComponentID>] = [:]
    private var skipped: [ComponentKind: Set<ComponentID>] = [:]
    /// Pipelines that are left out, by their names in the file.
    private var dropped: Set<String> = []
    /// The pipelines that each `routing` leads to, by their names in the file.
    private var routers: [ComponentID: [String]] = [:]
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
        routers = Self.routers(of: tree["connectors"])
        if !skipped.isEmpty { tree.change("service") { filter(service: $0) } }
        if !dropped.isEmpty { tree.change("connectors") { filter(connectors: $0) } }
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
            let loose = joining.subtracting(connectors(of: left)).union(routers.keys.filter { leadsNowhere($0) })
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
            dropped.insert(entry.key)
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

extension UnknownComponents {
    /// The connectors, with what goes to pipelines that are left out taken from the tables of `routing`.
    private mutating func filter(connectors: ConfigNode) -> ConfigNode {
        guard var entries = connectors.map else { return connectors }
        entries.removeAll { entry in
            guard let id = try? ComponentID(parsing: entry.key), leadsNowhere(id) else { return false }
            problems.warning(
                "no pipeline is left to which it leads: left out, and pipelines go on without it", at: entry.keyPlace,
                path: "connectors.\(id)")
            return true
        }
        for index in entries.indices {
            guard let id = try? ComponentID(parsing: entries[index].key), id.type == "routing" else { continue }
            entries[index].value = filter(routing: entries[index].value, path: "connectors.\(id)")
        }
        var node = connectors
        node.content = .map(entries)
        return node
    }

    private static func routers(of connectors: ConfigNode?) -> [ComponentID: [String]] {
        var routers: [ComponentID: [String]] = [:]
        for entry in connectors?.map ?? [] {
            guard let id = try? ComponentID(parsing: entry.key), id.type == "routing" else { continue }
            let lists = (entry.value["table"]?.list ?? []).map { $0["pipelines"] } + [entry.value["default_pipelines"]]
            routers[id] = lists.flatMap { $0?.texts ?? [] }.compactMap { $0.scalar?.text }
        }
        return routers
    }

    /// Whether all pipelines that a `routing` leads to are left out.
    private func leadsNowhere(_ id: ComponentID) -> Bool {
        guard let pipelines = routers[id], !pipelines.isEmpty else { return false }
        return pipelines.allSatisfy { dropped.contains($0) }
    }

    private mutating func filter(routing: ConfigNode, path: String) -> ConfigNode {
        var routing = routing
        routing.change("default_pipelines") { list in
            let left = filter(targets: list, path: "\(path).default_pipelines")
            if left.texts?.isEmpty == true, list.texts?.isEmpty == false {
                problems.warning(
                    "no pipeline is left: what no route matches is dropped", at: list.place,
                    path: "\(path).default_pipelines")
            }
            return left
        }
        let defaults = routing["default_pipelines"]
        routing.change("table") { filter(table: $0, defaults, path: "\(path).table") }
        return routing
    }

    /// The routes that still lead somewhere. A table needs one: where only defaults are left, it takes nothing.
    private mutating func filter(table: ConfigNode, _ defaults: ConfigNode?, path: String) -> ConfigNode {
        guard let routes = table.list else { return table }
        var left: [ConfigNode] = []
        for (index, route) in routes.enumerated() {
            var changed = route
            changed.change("pipelines") { filter(targets: $0, path: "\(path)[\(index)].pipelines") }
            guard changed["pipelines"]?.texts?.isEmpty == true, route["pipelines"]?.texts?.isEmpty == false else {
                left.append(changed)
                continue
            }
            problems.warning(
                "no pipeline is left: the route is left out", at: route.place, path: "\(path)[\(index)]")
        }
        if left.isEmpty, let defaults, defaults.texts?.isEmpty == false {
            left = [UnknownComponents.routeOfNothing(to: defaults, at: table.place)]
        }
        var node = table
        node.content = .list(left)
        return node
    }

    private static func routeOfNothing(to pipelines: ConfigNode, at place: ConfigPlace) -> ConfigNode {
        func entry(_ key: String, _ value: ConfigNode) -> ConfigNode.Entry {
            ConfigNode.Entry(key: key, keyPlace: place, value: value)
        }
        func text(_ text: String) -> ConfigNode {
            ConfigNode(.scalar(ConfigScalar(text: text, value: .string, isPlain: false)), place: place)
        }
        let entries = [
            entry("context", text("resource")), entry("condition", text("false")), entry("pipelines", pipelines),
        ]
        return ConfigNode(.map(entries), place: place)
    }

    /// A list of pipelines without those that are left out.
    private mutating func filter(targets list: ConfigNode, path: String) -> ConfigNode {
        guard let elements = list.texts else { return list }
        var kept: [ConfigNode] = []
        for element in elements {
            if let name = element.scalar?.text, dropped.contains(name) {
                problems.warning("\(name) is left out: routes go on without it", at: element.place, path: path)
            } else {
                kept.append(element)
            }
        }
        if kept.count == elements.count { return list }
        var node = list
        (node.content, node.expandedText) = (.list(kept), nil)
        return node
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
