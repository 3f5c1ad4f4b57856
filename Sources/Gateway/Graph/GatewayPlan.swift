package import Configuration
import Exporters
package import Processors
package import Receivers

/// A configuration with every component's options read and all references resolved: what a gateway is built from.
package struct GatewayPlan: Sendable {
    package struct PipelinePlan: Sendable {
        package var id: String
        package var signal: GatewayConfiguration.PipelineSignal
        package var receivers: [String]
        package var steps: [(id: String, role: ProcessorRole)]
        package var exporters: [(id: String, plan: ExporterPlan)]
        /// Nil when all exporters ask for memory.
        package var storage: FileStorageOptions?
        /// The `batch` processor of the chain, for exporters without `sending_queue.batch`.
        package var batch: Processors.BatchOptions?
    }

    package var receivers: [(id: String, options: OTLPReceiverOptions)] = []
    package var pipelines: [PipelinePlan] = []
    package var memoryLimits: [MemoryLimiterOptions] = []
    package var healthChecks: [HealthCheckOptions] = []
    package var telemetry: TelemetryConfiguration

    /// Reads the options of every component of the file. All problems are added, so that a user sees them at once.
    package init(_ configuration: GatewayConfiguration, dataDirectory: String, problems: inout ConfigProblems) {
        telemetry = configuration.telemetry
        var reader = PlanReader(configuration: configuration, dataDirectory: dataDirectory)
        reader.readComponents(&problems)
        for reference in configuration.extensions {
            if case .healthCheck(let options)? = reader.extensions[reference.id] { healthChecks.append(options) }
        }
        for pipeline in configuration.pipelines {
            pipelines.append(reader.pipeline(pipeline, &problems))
        }
        let used = Set(configuration.pipelines.flatMap { $0.receivers.map(\.id) })
        for component in configuration.components(of: .receiver) where used.contains(component.id) {
            if let options = reader.receivers[component.id] { receivers.append((component.id.description, options)) }
        }
        for pipeline in pipelines {
            for case .memoryLimiter(let limit) in pipeline.steps.map(\.role) { memoryLimits.append(limit) }
        }
        for (_, options) in receivers where receivers.count > 1 && !problems.hasErrors {
            let same = receivers.filter {
                $0.options.http.endpoint == options.http.endpoint && options.http.endpoint.port != 0
            }
            if same.count > 1 {
                problems.error(
                    "receivers \(same.map(\.id).joined(separator: " and ")) listen on the same address",
                    fix: "give each its own endpoint", at: .nowhere, path: "receivers")
                break
            }
        }
    }
}

/// Reads component bodies through the registry.
private struct PlanReader {
    let configuration: GatewayConfiguration
    let dataDirectory: String
    var receivers: [ComponentID: OTLPReceiverOptions] = [:]
    var processors: [ComponentID: ProcessorRole] = [:]
    var exporters: [ComponentID: ExporterPlan] = [:]
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
            case .connector: break
            }
            let known = Registry.types(of: component.kind)
            problems.error(
                "unknown \(component.kind.rawValue) type \"\(type)\"",
                fix: Suggestion.fix(for: type, among: known, noun: "type")
                    ?? (known.isEmpty ? "this version has none; remove it" : "known: \(known.joined(separator: ", "))"),
                at: component.place, path: component.path)
        }
    }

    func pipeline(
        _ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems
    ) -> GatewayPlan.PipelinePlan {
        var plan = GatewayPlan.PipelinePlan(
            id: pipeline.id.description, signal: pipeline.signal,
            receivers: pipeline.receivers.map(\.id.description), steps: [], exporters: [])
        for reference in pipeline.processors {
            guard let role = processors[reference.id] else { continue }
            plan.steps.append((reference.id.description, role))
            if case .batch(let options) = role { plan.batch = options }
        }
        for reference in pipeline.exporters {
            guard let exporter = exporters[reference.id] else { continue }
            if let accepts = exporter.accepts, !accepts(pipeline.signal) {
                problems.error(
                    "exporter \(reference.id) has no endpoint for \(pipeline.signal.rawValue)",
                    fix: "set endpoint or \(pipeline.signal.rawValue)_endpoint", at: reference.place,
                    path: pipeline.path)
            }
            plan.exporters.append((reference.id.description, exporter))
        }
        plan.storage = storage(of: plan, pipeline, &problems)
        return plan
    }

    /// One journal serves all exporters of a pipeline: on disk unless all ask for memory.
    private func storage(
        of plan: GatewayPlan.PipelinePlan, _ pipeline: GatewayConfiguration.Pipeline,
        _ problems: inout ConfigProblems
    ) -> FileStorageOptions? {
        let names = plan.exporters.map { $0.plan.helper.queue.storage }
        if !names.isEmpty && names.allSatisfy({ $0 == "memory" }) { return nil }
        var chosen: (name: String, options: FileStorageOptions)?
        for (index, name) in names.enumerated() {
            guard let name, name != "memory" else { continue }
            let id = try? ComponentID(parsing: name)
            guard let id, case .fileStorage(let options)? = extensions[id] else {
                problems.error(
                    "sending_queue.storage of exporter \(plan.exporters[index].id) names \"\(name)\", which is no "
                        + "file_storage extension of this file",
                    fix: "add it under extensions and service.extensions, or write memory",
                    at: pipeline.exporters[index].place, path: pipeline.path)
                continue
            }
            if !configuration.extensions.contains(where: { $0.id == id }) {
                problems.error(
                    "extension \(name) is not in service.extensions", fix: "add it to the list",
                    at: pipeline.exporters[index].place, path: pipeline.path)
            }
            if let chosen, chosen.name != name {
                problems.error(
                    "the exporters of one pipeline share one journal, but name \(chosen.name) and \(name)",
                    fix: "name one storage, or split the pipeline", at: pipeline.exporters[index].place,
                    path: pipeline.path)
            }
            chosen = (name, options)
        }
        if let chosen { return chosen.options }
        return FileStorageOptions(directory: dataDirectory)
    }
}

extension FileStorageOptions {
    /// The default store, below the data directory.
    init(directory: String) {
        self.directory = directory + "/journal"
        createsDirectory = true
        segmentBytes = 64 << 20
        maxBytes = 0
    }
}
