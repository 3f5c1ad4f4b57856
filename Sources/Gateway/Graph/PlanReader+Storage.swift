import Configuration
import Exporters

extension PlanReader {
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
