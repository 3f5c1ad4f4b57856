import Configuration
import Exporters

extension PlanReader {
    /// Warns of exporters that ask for memory in a pipeline whose journal is on disk all the same.
    func warnOfUnusedMemory(_ plan: GatewayPlan.PipelinePlan, _ problems: inout ConfigProblems) {
        let others = plan.exporters.filter { $0.plan.helper.queue.storage != "memory" }.map(\.id)
        let reason =
            others.isEmpty
            ? "what its connectors feed is on disk" : "\(others.joined(separator: ", ")) keeps it on disk"
        for (name, exporter) in plan.exporters where exporter.helper.queue.storage == "memory" {
            guard let id = try? ComponentID(parsing: name), let component = configuration.component(.exporter, id)
            else { continue }
            problems.warning(
                "storage: memory of exporter \(name) has no effect in pipeline \(plan.id): the exporters of a pipeline "
                    + "share one journal, and \(reason)",
                fix: "write it at all exporters of the pipeline, or give this one a pipeline of its own",
                at: component.body["sending_queue"]?["storage"]?.place ?? component.body.place,
                path: "exporters.\(name).sending_queue.storage")
        }
    }

    /// Warns of storages that keep nothing: in the Collector too a queue is on disk only where it names one.
    func checkStorages(_ problems: inout ConfigProblems) {
        let named = Set(exporters.values.compactMap(\.helper.queue.storage))
        for reference in configuration.extensions {
            guard case .fileStorage? = extensions[reference.id], !named.contains(reference.id.description) else {
                continue
            }
            problems.warning(
                "extension \(reference.id) keeps nothing: no exporter's sending_queue.storage names it",
                fix: "write `sending_queue: {storage: \(reference.id)}` at the exporters whose journals it is for, or "
                    + "take it out of service.extensions",
                at: reference.place, path: "service.extensions")
        }
    }
}
