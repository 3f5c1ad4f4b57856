import Configuration
import Exporters
import Pipeline
import Processors
import Receivers

/// Which headers of requests stay with them behind the journals.
extension GatewayPlan {
    /// What a connector's batches carry: what it looks at, and what is kept behind it.
    func metadataKeys(of plan: ConnectorPlan, _ outputs: [ConnectorOutput]) -> [String] {
        let behind = pipelines.filter { pipeline in outputs.contains { $0.pipeline == pipeline.id } }
        return Self.distinct(plan.contextKeys + behind.flatMap(\.keptMetadata))
    }

    /// Decides for every pipeline, the last ones first. Cycles were refused before; the bound ends the loop on one all
    /// the same.
    mutating func keepMetadata(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        for _ in pipelines {
            for index in pipelines.indices {
                let pipeline = pipelines[index]
                let exporters = pipeline.exporters.flatMap { pipeline.metadataKeys(of: $0.plan) }
                let connectors = pipeline.connectors.flatMap { metadataKeys(of: $0.plan, $0.outputs) }
                pipelines[index].keptMetadata = Self.distinct(exporters + connectors)
            }
        }
        for pipeline in pipelines { check(pipeline, configuration, &problems) }
    }

    fileprivate static func distinct(_ names: [String]) -> [String] { Set(names).sorted() }

    private func check(
        _ pipeline: PipelinePlan, _ configuration: GatewayConfiguration, _ problems: inout ConfigProblems
    ) {
        // `tenant` was a name for what always counts, before headers were kept.
        let names = pipeline.keptMetadata.filter { $0 != "tenant" }
        guard !names.isEmpty, let found = configuration.pipelines.first(where: { $0.id.description == pipeline.id })
        else { return }
        if names.count > RequestMetadata.keptNamesMax {
            problems.error(
                "the exporters of this pipeline ask for \(names.count) headers, and \(RequestMetadata.keptNamesMax) "
                    + "are kept with a request",
                fix: "name fewer in metadata_keys and from_context", at: found.place, path: found.path)
        }
        let readers = receivers.filter { pipeline.receivers.contains($0.id) }
        if !readers.isEmpty, readers.allSatisfy({ !$0.options.keepsMetadata }) {
            problems.warning(
                "the exporters of this pipeline ask for the headers \(names.joined(separator: ", ")), which its "
                    + "receivers do not keep: they count as absent",
                fix: "write `include_metadata: true` at the protocols of \(readers[0].id)", at: found.place,
                path: found.path)
        }
        let secrets = names.filter(Self.secretHeaders.contains)
        if !secrets.isEmpty, pipeline.storage != nil {
            problems.warning(
                "the header \(secrets.joined(separator: ", ")) is a credential, and is written to the journal on disk",
                fix: "give the exporter a credential of its own, or keep the journal in memory "
                    + "(`sending_queue: {storage: memory}`)",
                at: found.place, path: found.path)
        }
    }

    private static let secretHeaders: Set<String> = [
        "authorization", "proxy-authorization", "cookie", "x-api-key", "api-key",
    ]
}

extension GatewayPlan.PipelinePlan {
    /// What an exporter's batches are parted by and carry in this pipeline.
    func metadataKeys(of plan: ExporterPlan) -> [String] {
        let partition = plan.helper.queue.batch.map(\.metadataKeys) ?? batch?.metadataKeys.map { $0.lowercased() } ?? []
        return GatewayPlan.distinct(partition + plan.contextKeys)
    }
}
