/// Reads the Collector-shaped top level and collects the faults of its form.
struct GatewayReader {
    var problems: ConfigProblems

    /// Reads sections, extensions and pipelines into a configuration. `tests` belongs to the command that runs them.
    mutating func read(_ tree: ConfigNode, into configuration: inout GatewayConfiguration) {
        refuseUnknown(tree, known: ComponentKind.allCases.map(\.section) + ["service", "tests"], path: "")
        for kind in ComponentKind.allCases {
            configuration.components += readSection(kind, tree.entry(kind.section))
        }
        guard let service = tree.entry("service"), let entries = mapping(service, path: "service") else { return }
        refuseUnknown(service.value, known: ["extensions", "pipelines", "telemetry"], path: "service")
        if let entry = entries.first(where: { $0.key == "extensions" }) {
            configuration.extensions = readReferences(
                entry, path: "service.extensions", defined: configuration.components)
        }
        if let entry = entries.first(where: { $0.key == "pipelines" }) {
            for pipeline in mapping(entry, path: "service.pipelines") ?? [] {
                let read = readPipeline(pipeline, defined: configuration.components)
                if let read { configuration.pipelines.append(read) }
            }
        }
    }

    private mutating func readSection(
        _ kind: ComponentKind, _ section: ConfigNode.Entry?
    ) -> [GatewayConfiguration.Component] {
        guard let section, let entries = mapping(section, path: kind.section) else { return [] }
        var components: [GatewayConfiguration.Component] = []
        for entry in entries {
            guard let id = readID(entry.key, at: entry.keyPlace, path: "\(kind.section).\(entry.key)") else { continue }
            if let other = components.first(where: { $0.id == id }) {
                problems.error(
                    "\(id) is defined twice (first in line \(other.place.line))", fix: "give one of them another name",
                    at: entry.keyPlace, path: "\(kind.section).\(entry.key)")
                continue
            }
            components.append(.init(kind: kind, id: id, body: entry.value, place: entry.keyPlace))
        }
        return components
    }

    private mutating func readPipeline(
        _ entry: ConfigNode.Entry, defined: [GatewayConfiguration.Component]
    ) -> GatewayConfiguration.Pipeline? {
        let path = "service.pipelines.\(entry.key)"
        guard let id = readID(entry.key, at: entry.keyPlace, path: path) else { return nil }
        if id.type == "profiles" {
            problems.warning(
                "profiles are not taken here: the pipeline is left out", fix: "send them past this gateway",
                at: entry.keyPlace, path: path)
            return nil
        }
        guard let signal = GatewayConfiguration.PipelineSignal(rawValue: id.type) else {
            let signals = GatewayConfiguration.PipelineSignal.allCases.map(\.rawValue)
            problems.error(
                "\"\(id.type)\" is no signal", fix: Suggestion.fix(for: id.type, among: signals, noun: "signals"),
                at: entry.keyPlace, path: path)
            return nil
        }
        guard let entries = mapping(entry, path: path) else { return nil }
        let options = readOptions(PipelineOptions.self, node: entry.value, path: path, problems: &problems)
        var lists: [String: [GatewayConfiguration.Reference]] = [:]
        for list in entries where ["receivers", "processors", "exporters"].contains(list.key) {
            lists[list.key] = readReferences(list, path: "\(path).\(list.key)", defined: defined)
        }
        return GatewayConfiguration.Pipeline(
            signal: signal, id: id, place: entry.keyPlace, receivers: lists["receivers"] ?? [],
            processors: lists["processors"] ?? [], exporters: lists["exporters"] ?? [],
            options: options)
    }

    private mutating func readReferences(
        _ entry: ConfigNode.Entry, path: String, defined: [GatewayConfiguration.Component]
    ) -> [GatewayConfiguration.Reference] {
        if entry.value.isNull { return [] }
        let names = defined.filter { $0.kind.section == entry.key }.map(\.id.description)
        guard let elements = entry.value.texts else {
            let keys = entry.value.map?.filter { names.contains($0.key) } ?? []
            let example = entry.value.scalar.map { [$0.text] } ?? (keys.isEmpty ? names : keys.map(\.key))
            let hint = entry.value.map == nil ? "" : ", and options under `\(entry.key):` at the top"
            problems.error(
                "expects a list of components, not \(entry.value.kind)",
                fix: "write `\(entry.key): [\(example.prefix(4).joined(separator: ", "))]`\(hint)",
                at: entry.value.place, path: path)
            return keys.compactMap { key in
                (try? ComponentID(parsing: key.key)).map {
                    GatewayConfiguration.Reference(id: $0, place: key.keyPlace)
                }
            }
        }
        var references: [GatewayConfiguration.Reference] = []
        for (index, element) in elements.enumerated() {
            let place = "\(path)[\(index)]"
            guard let scalar = element.scalar, !element.isNull else {
                if element.isFailedExpansion { continue }
                let key = element.map?.first { names.contains($0.key) }?.key
                problems.error(
                    "expects a component's id, not \(element.kind)",
                    fix: element.map == nil
                        ? nil : "write `- \(key ?? "NAME")`, and options under `\(entry.key):` at the top",
                    at: element.place, path: place)
                if let key, let id = try? ComponentID(parsing: key) {
                    references.append(.init(id: id, place: element.place))
                }
                continue
            }
            guard let id = readID(element.expandedText ?? scalar.text, at: element.place, path: place) else { continue }
            if references.contains(where: { $0.id == id }) {
                problems.error("\(id) is named twice", fix: "keep one of them", at: element.place, path: place)
                continue
            }
            references.append(.init(id: id, place: element.place))
        }
        return references
    }

    private mutating func readID(_ text: String, at place: ConfigPlace, path: String) -> ComponentID? {
        do {
            return try ComponentID(parsing: text)
        } catch {
            problems.error(
                "\"\(text.prefix(80))\" \(error.message)", fix: "write `type` or `type/name`, such as `otlp/agents`",
                at: place, path: path)
            return nil
        }
    }

    /// The entries of a mapping; null reads as empty, anything else is a problem and nil.
    private mutating func mapping(_ entry: ConfigNode.Entry, path: String) -> [ConfigNode.Entry]? {
        if let entries = entry.value.map { return entries }
        if !entry.value.isNull {
            problems.error(
                "expects a mapping, not \(entry.value.kind)",
                fix: "write `name:` lines indented under `\(entry.key):`", at: entry.value.place, path: path)
            return nil
        }
        return []
    }

    private mutating func refuseUnknown(_ node: ConfigNode, known: [String], path: String) {
        for entry in node.map ?? [] where !known.contains(entry.key) {
            problems.error(
                "unknown key", fix: Suggestion.fix(for: entry.key, among: known, noun: "keys"), at: entry.keyPlace,
                path: path.isEmpty ? entry.key : "\(path).\(entry.key)")
        }
    }
}
