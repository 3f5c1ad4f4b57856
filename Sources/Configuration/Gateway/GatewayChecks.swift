/// Checks that what pipelines and the service name is defined, and that what is defined is used.
struct GatewayChecks {
    private let configuration: GatewayConfiguration
    private var problems: ConfigProblems

    /// Runs all checks.
    static func run(
        on configuration: GatewayConfiguration, at tree: ConfigNode, advice: GatewayConfiguration.Advice,
        problems: inout ConfigProblems
    ) {
        var checks = GatewayChecks(configuration: configuration, problems: problems)
        checks.checkPipelines(tree, advice)
        checks.check(configuration.extensions, kinds: [.extension], path: "service.extensions", advice)
        checks.checkConnectors()
        checks.checkCycles()
        checks.warnOfUnused()
        problems = checks.problems
    }

    private mutating func checkPipelines(_ tree: ConfigNode, _ advice: GatewayConfiguration.Advice) {
        // What cannot be read has no pipelines either; that it cannot be read is said elsewhere.
        let isUnreadable = problems.hasErrors && tree.map?.isEmpty != false
        let named = tree["service"]?["pipelines"]?.map ?? []
        let isTold = problems.errors.contains { $0.path == "service.pipelines" }
        if !isUnreadable, !isTold, configuration.pipelines.isEmpty,
            named.allSatisfy({ $0.key == "profiles" || $0.key.hasPrefix("profiles/") })
        {
            problems.error(
                "no pipeline is defined", fix: "add service.pipelines.traces with receivers and exporters",
                at: tree.entry("service")?.keyPlace ?? tree.place, path: "service.pipelines")
        }
        for pipeline in configuration.pipelines {
            // A list with a fault is no empty one.
            if pipeline.receivers.isEmpty, !problems.hasErrors(at: "\(pipeline.path).receivers") {
                problems.error(
                    "has no receiver", fix: "add `receivers: [otlp]`", at: pipeline.place, path: pipeline.path)
            }
            if pipeline.exporters.isEmpty, !problems.hasErrors(at: "\(pipeline.path).exporters") {
                problems.error(
                    "has no exporter", fix: "add `exporters: [debug]`", at: pipeline.place, path: pipeline.path)
            }
            check(pipeline.receivers, kinds: [.receiver, .connector], path: "\(pipeline.path).receivers", advice)
            check(pipeline.processors, kinds: [.processor], path: "\(pipeline.path).processors", advice)
            check(pipeline.exporters, kinds: [.exporter, .connector], path: "\(pipeline.path).exporters", advice)
        }
    }

    private mutating func check(
        _ references: [GatewayConfiguration.Reference], kinds: [ComponentKind], path: String,
        _ advice: GatewayConfiguration.Advice
    ) {
        for reference in references where !kinds.contains(where: { isDefined($0, reference.id) }) {
            problems.error(
                "\(kinds[0].rawValue) \"\(reference.id)\" is not defined",
                fix: fix(for: reference.id, kinds: kinds) ?? advice(reference.id.type, kinds[0])
                    ?? "add `\(reference.id):` under `\(kinds[0].section):`",
                at: reference.place, path: path)
        }
    }

    private func isDefined(_ kind: ComponentKind, _ id: ComponentID) -> Bool {
        configuration.component(kind, id) != nil
    }

    private func fix(for id: ComponentID, kinds: [ComponentKind]) -> String? {
        let names = configuration.components.filter { kinds.contains($0.kind) }.map(\.id.description)
        if let nearest = Suggestion.nearest(to: id.description, among: names) { return "did you mean \"\(nearest)\"?" }
        if let elsewhere = configuration.components.first(where: { $0.id == id }) {
            return "it is defined under \(elsewhere.kind.section) (line \(elsewhere.place.line))"
        }
        return nil
    }

    /// A connector joins pipelines, so it has to be written to by one and read from by another.
    private mutating func checkConnectors() {
        for connector in configuration.components(of: .connector) {
            for kind in [ComponentKind.receiver, .exporter] where isDefined(kind, connector.id) {
                problems.error(
                    "\(connector.id) is defined under \(kind.section) too", fix: "give one of them another name",
                    at: connector.place, path: connector.path)
            }
            let isRead = configuration.pipelines.contains { $0.receivers.contains { $0.id == connector.id } }
            let isWritten = configuration.pipelines.contains { $0.exporters.contains { $0.id == connector.id } }
            guard isRead != isWritten else { continue }
            problems.error(
                isRead ? "is read from, but no pipeline writes to it" : "is written to, but no pipeline reads from it",
                fix: "name it under `\(isRead ? "exporters" : "receivers")` of another pipeline", at: connector.place,
                path: connector.path)
        }
    }

    /// Pipelines that feed each other through connectors would carry the same data forever.
    private mutating func checkCycles() {
        let connectors = Set(configuration.components(of: .connector).map(\.id))
        guard !connectors.isEmpty else { return }
        let pipelines = configuration.pipelines
        var incoming = pipelines.map { pipeline in
            pipelines.indices.filter { feeds(pipelines[$0], pipeline, through: connectors) }
        }
        var open = Set(pipelines.indices)
        // What no open pipeline feeds cannot be part of a cycle; what stays open in the end is on or behind one.
        while let index = open.sorted().first(where: { incoming[$0].isEmpty }) {
            open.remove(index)
            for other in open { incoming[other].removeAll { $0 == index } }
        }
        for index in open.sorted() where isOnCycle(index, incoming: incoming) {
            problems.error(
                "feeds itself through connectors", fix: "take one connector out of the circle",
                at: pipelines[index].place, path: pipelines[index].path)
        }
    }

    private func isOnCycle(_ start: Int, incoming: [[Int]]) -> Bool {
        var seen: Set<Int> = []
        var waiting = incoming[start]
        while let index = waiting.popLast() {
            if index == start { return true }
            if seen.insert(index).inserted { waiting += incoming[index] }
        }
        return false
    }

    private func feeds(
        _ one: GatewayConfiguration.Pipeline, _ other: GatewayConfiguration.Pipeline,
        through connectors: Set<ComponentID>
    ) -> Bool {
        one.exporters.contains { exporter in
            connectors.contains(exporter.id) && other.receivers.contains { $0.id == exporter.id }
        }
    }

    private mutating func warnOfUnused() {
        var used: [ComponentKind: Set<ComponentID>] = [.extension: Set(configuration.extensions.map(\.id))]
        for pipeline in configuration.pipelines {
            used[.receiver, default: []].formUnion(pipeline.receivers.map(\.id))
            used[.processor, default: []].formUnion(pipeline.processors.map(\.id))
            used[.exporter, default: []].formUnion(pipeline.exporters.map(\.id))
        }
        // Exporters that stand behind another one.
        for component in configuration.components(of: .exporter) where component.id.type == "fallback" {
            let names = component.body["exporters"]?.list ?? []
            let ids = names.compactMap { $0.scalar }.compactMap { try? ComponentID(parsing: $0.text) }
            used[.exporter, default: []].formUnion(ids)
        }
        for component in configuration.components(of: .exporter) {
            // Processors of the exporter's own chain.
            for name in component.body["process"]?.list ?? [] {
                guard let text = name.scalar?.text, let id = try? ComponentID(parsing: text) else { continue }
                used[.processor, default: []].insert(id)
            }
        }
        used[.connector] = used[.receiver, default: []].union(used[.exporter, default: []])
        for component in configuration.components where used[component.kind]?.contains(component.id) != true {
            let fix =
                component.kind == .extension
                ? "name it under service.extensions, or remove it" : "name it in a pipeline, or remove it"
            problems.warning("is defined and not used", fix: fix, at: component.place, path: component.path)
        }
    }
}
