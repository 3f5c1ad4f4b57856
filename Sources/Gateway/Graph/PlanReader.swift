import Configuration
import Exporters
import Pipeline
import Processors
import Receivers
import Telemetry

/// Reads component bodies through the registry.
struct PlanReader {
    let configuration: GatewayConfiguration
    let dataDirectory: String
    var receivers: [ComponentID: OTLPReceiverOptions] = [:]
    var processors: [ComponentID: ProcessorRole] = [:]
    var exporters: [ComponentID: ExporterPlan] = [:]
    var connectors: [ComponentID: ConnectorPlan] = [:]
    var extensions: [ComponentID: ExtensionRole] = [:]

    mutating func readComponents(_ problems: inout ConfigProblems) {
        for component in configuration.components {
            let type = component.id.type
            switch component.kind {
            case .receiver:
                if let entry = Registry.receivers.first(where: { $0.types.contains(type) }) {
                    receivers[component.id] = entry.read(component.body, component.path, &problems)
                    continue
                }
            case .processor:
                if let entry = Registry.processors.first(where: { $0.types.contains(type) }) {
                    processors[component.id] = entry.read(component.body, component.path, &problems)
                    continue
                }
            case .exporter:
                if let entry = Registry.exporters.first(where: { $0.types.contains(type) }) {
                    exporters[component.id] = entry.read(component.body, component.path, &problems)
                    continue
                }
            case .extension:
                if let entry = Registry.extensions.first(where: { $0.types.contains(type) }) {
                    extensions[component.id] = entry.read(component.body, component.path, &problems)
                    continue
                }
            case .connector:
                if let entry = Registry.connectors.first(where: { $0.types.contains(type) }) {
                    connectors[component.id] = entry.read(component.body, component.path, &problems)
                    continue
                }
            }
            tellUnknown(component, &problems)
        }
    }

    /// Tells of a component whose type is not here, in place of the warning that nothing uses it.
    private func tellUnknown(_ component: GatewayConfiguration.Component, _ problems: inout ConfigProblems) {
        let (type, kind) = (component.id.type, component.kind)
        let isUnused = problems.removeWarnings(of: component.path)
        if let owner = owner(of: component) {
            problems.error(
                "stands beside \(owner), whose option it is", fix: "indent it below `\(owner):`",
                at: component.place, path: component.path)
            return
        }
        let known = Registry.types(of: kind)
        let advice = TypeAdvice.advice(type, kind)
        if isUnused {
            let meant = Suggestion.nearest(to: type, among: known).map { "did you mean \"\($0)\"?" }
            problems.warning(
                "the type \"\(type)\" is not here; nothing runs it",
                fix: advice.map(TypeAdvice.removing) ?? meant ?? "remove it", at: component.place,
                path: component.path)
            return
        }
        let fix =
            advice ?? Suggestion.fix(for: type, among: known, noun: "type")
            ?? "known: \(known.joined(separator: ", "))"
        problems.error(
            "unknown \(kind.rawValue) type \"\(type)\"", fix: "\(fix); \(TypeAdvice.skipping)",
            at: component.place, path: component.path)
    }

    /// The component above one of an unknown type that has an option of its name: the option is not indented.
    private func owner(of component: GatewayConfiguration.Component) -> ComponentID? {
        let known = Registry.references.filter { $0.kind == component.kind }
        for other in configuration.components(of: component.kind).prefix(while: { $0.id != component.id }).reversed() {
            let type = known.first { $0.type == other.id.type || $0.aliases.contains(other.id.type) }
            guard let type else { continue }
            return type.options.contains { $0.key == component.id.description } ? other.id : nil
        }
        return nil
    }

    /// Puts the exporters behind those that stand before others.
    mutating func joinFallbacks(_ problems: inout ConfigProblems) {
        let own = exporters
        for component in configuration.components(of: .exporter) {
            guard let fallback = own[component.id]?.fallback else { continue }
            var children: [(id: String, plan: ExporterPlan)] = []
            for name in fallback.exporters {
                let found = (try? ComponentID(parsing: name)).flatMap { own[$0] }
                if let found, found.fallback == nil {
                    if !found.helper.process.isEmpty {
                        problems.error(
                            "exporter \(name) has a `process` of its own, which does not run behind \(component.id)",
                            fix: "write `process` at \(component.id)", at: component.place,
                            path: "\(component.path).exporters")
                    }
                    children.append((name, found))
                    continue
                }
                let names = own.filter { $0.value.fallback == nil }.map(\.key.description).sorted()
                problems.error(
                    "\"\(name)\" is no exporter that can stand behind this one",
                    fix: Suggestion.fix(for: name, among: names, noun: "exporters"), at: component.place,
                    path: "\(component.path).exporters")
            }
            exporters[component.id] = own[component.id]?.joined(with: children)
        }
    }

    func pipeline(
        _ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems
    ) -> GatewayPlan.PipelinePlan {
        var plan = GatewayPlan.PipelinePlan(
            id: pipeline.id.description, signal: pipeline.signal,
            receivers: pipeline.receivers.map(\.id.description), steps: [], exporters: [],
            options: pipeline.options)
        for reference in pipeline.processors {
            guard let role = processors[reference.id] else { continue }
            plan.steps.append((reference.id.description, role))
            switch role {
            case .batch(let options): plan.batch = options
            case .traceStep(let wait, _):
                plan.wait = plan.wait?.joined(with: wait) ?? wait
                guard pipeline.signal != .traces else { continue }
                problems.error(
                    "processor \(reference.id) looks at whole traces, and this is a pipeline of "
                        + pipeline.signal.rawValue,
                    fix: "name it in a traces pipeline", at: reference.place, path: pipeline.path)
            default: break
            }
        }
        for reference in pipeline.exporters {
            if let connector = connectors[reference.id] {
                let outputs = outputs(of: reference, from: pipeline, connector, &problems)
                plan.connectors.append((reference.id.description, connector, outputs))
            }
            guard let exporter = exporters[reference.id] else { continue }
            // A faulty exporter may lack an endpoint that is only misspelt.
            let isFaulty = problems.hasErrors(at: "exporters.\(reference.id)")
            if let accepts = exporter.accepts, !accepts(pipeline.signal), !isFaulty {
                problems.error(
                    "exporter \(reference.id) does not take \(pipeline.signal.rawValue)",
                    fix: "name it in a pipeline of what it takes, or set the endpoint that it lacks: "
                        + missingEndpoint(of: reference.id, pipeline.signal),
                    at: reference.place, path: pipeline.path)
            }
            plan.exporters.append((reference.id.description, exporter))
            plan.ownSteps[reference.id.description] = ownSteps(of: reference, exporter, &problems)
        }
        plan.storage = storage(of: plan, pipeline, &problems)
        checkNames(plan, pipeline, &problems)
        if plan.wait != nil, plan.options.acknowledgement == .delivered {
            problems.error(
                "senders cannot wait for the delivery of traces that are gathered first",
                fix: "write `ack: durable`",
                at: pipeline.place, path: "\(pipeline.path).ack")
        }
        return plan
    }

    /// What an exporter that does not take a signal may lack. `endpoint` is no help when it is there, nor to a preset,
    /// which knows its signals.
    private func missingEndpoint(of id: ComponentID, _ signal: GatewayConfiguration.PipelineSignal) -> String {
        let body = configuration.component(.exporter, id)?.body
        let isSettled = body?["endpoint"] != nil || body?["preset"] != nil
        return (isSettled ? "" : "endpoint or ") + "\(signal.rawValue)_endpoint"
    }

    /// Processors of each exporter's own chain.
    var ownChains: [ComponentID: [ComponentID]] {
        exporters.mapValues { plan in plan.helper.process.compactMap { try? ComponentID(parsing: $0) } }
    }

    /// The steps that `process` of an exporter names.
    private func ownSteps(
        of exporter: GatewayConfiguration.Reference, _ plan: ExporterPlan, _ problems: inout ConfigProblems
    ) -> [(id: String, role: ProcessorRole)] {
        var steps: [(id: String, role: ProcessorRole)] = []
        for name in plan.helper.process {
            var fault: (message: String, fix: String)?
            let id = try? ComponentID(parsing: name)
            switch id.flatMap({ processors[$0] }) {
            case nil:
                let known = processors.keys.map(\.description).sorted()
                let fix = Suggestion.nearest(to: name, among: known).map { "did you mean \"\($0)\"?" }
                fault = ("is no processor of this file", fix ?? "add `\(name):` under `processors:`")
            case .traceStep?:
                fault = ("looks at whole traces, and deliveries hold parts of them", "name it in the pipeline")
            case .memoryLimiter?, .batch?:
                fault = ("belongs in front of all exporters", "name it in the pipeline")
            case .step?: break
            }
            if let fault {
                let component = configuration.component(.exporter, exporter.id)
                problems.error(
                    "process names \(name), which \(fault.message)", fix: fault.fix,
                    at: component?.body["process"]?.place ?? exporter.place, path: "exporters.\(exporter.id).process")
            } else if let id, let role = processors[id] {
                steps.append((name, role))
            }
        }
        return steps
    }

    /// The pipelines that read from a connector, as far as it can join them to the one that writes.
    private func outputs(
        of connector: GatewayConfiguration.Reference, from pipeline: GatewayConfiguration.Pipeline,
        _ plan: ConnectorPlan, _ problems: inout ConfigProblems
    ) -> [ConnectorOutput] {
        let readers = configuration.pipelines.filter { $0.receivers.contains { $0.id == connector.id } }
        let outputs = readers.map { ConnectorOutput(pipeline: $0.id.description, signal: $0.signal.recorded) }
        let joined = outputs.filter { plan.joins(pipeline.signal.recorded, $0.signal) }
        if joined.isEmpty && !readers.isEmpty {
            problems.error(
                "connector \(connector.id) cannot join this pipeline to "
                    + outputs.map(\.pipeline).joined(separator: ", "),
                fix: "name it under receivers of a pipeline of a signal that it makes of \(pipeline.signal.rawValue)",
                at: connector.place, path: pipeline.path)
        }
        return joined
    }

    /// What exporters say of storage: the pipeline's own, or, where it only feeds connectors, those behind it. Nil
    /// stands for an exporter that says nothing.
    private func storageNames(_ pipeline: GatewayConfiguration.Pipeline, depth: Int = 0) -> [String?] {
        let own = pipeline.exporters.compactMap { exporters[$0.id] }.map(\.helper.queue.storage)
        guard own.isEmpty, depth < configuration.pipelines.count else { return own }
        let readers = configuration.pipelines.filter { other in
            other.receivers.contains { receiver in pipeline.exporters.contains { $0.id == receiver.id } }
        }
        return readers.flatMap { storageNames($0, depth: depth + 1) }
    }

    /// One journal serves all exporters of a pipeline: on disk unless all ask for memory.
    private func storage(
        of plan: GatewayPlan.PipelinePlan, _ pipeline: GatewayConfiguration.Pipeline,
        _ problems: inout ConfigProblems
    ) -> FileStorageOptions? {
        let all = storageNames(pipeline)
        if !all.isEmpty && all.allSatisfy({ $0 == "memory" }) { return nil }
        warnOfUnusedMemory(plan, &problems)
        let names = plan.exporters.map { $0.plan.helper.queue.storage }
        var chosen: (name: String, options: FileStorageOptions)?
        for (index, name) in names.enumerated() {
            let place =
                pipeline.exporters.first { $0.id.description == plan.exporters[index].id }?.place ?? pipeline.place
            guard let name, name != "memory" else { continue }
            let id = try? ComponentID(parsing: name)
            guard let id, case .fileStorage(let options)? = extensions[id] else {
                problems.error(
                    "sending_queue.storage of exporter \(plan.exporters[index].id) names \"\(name)\", which is no "
                        + "file_storage extension of this file",
                    fix: "add it under extensions and service.extensions, or write memory",
                    at: place, path: pipeline.path)
                continue
            }
            if !configuration.extensions.contains(where: { $0.id == id }) {
                problems.error(
                    "extension \(name) is not in service.extensions", fix: "add it to the list",
                    at: place, path: pipeline.path)
            }
            if let chosen, chosen.name != name {
                problems.error(
                    "the exporters of one pipeline share one journal, but name \(chosen.name) and \(name)",
                    fix: "name one storage, or split the pipeline", at: place,
                    path: pipeline.path)
            }
            chosen = (name, options)
        }
        if let chosen { return chosen.options }
        return FileStorageOptions(directory: dataDirectory)
    }
}
