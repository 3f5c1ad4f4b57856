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

    /// Files and folders on disk are named after pipelines and exporters, so these must not have more letters than they
    /// may.
    func checkNames(
        _ plan: GatewayPlan.PipelinePlan, _ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems
    ) {
        guard plan.storage != nil else { return }
        let rest = plan.wait == nil ? 0 : Self.stageNameBytes
        checkName(plan.id, "the folder of its journal", "the pipeline", rest, at: pipeline, &problems)
        for reader in plan.readers.sorted() {
            checkName(
                reader, "the file of its place in the journal", reader, Self.cursorNameBytes, at: pipeline, &problems)
        }
    }

    private func checkName(
        _ name: String, _ what: String, _ owner: String, _ rest: Int, at pipeline: GatewayConfiguration.Pipeline,
        _ problems: inout ConfigProblems
    ) {
        let most = Self.nameBytesMax - rest
        let bytes = GraphBuilder.folderName(name).utf8.count
        guard bytes > most else { return }
        problems.error(
            "the name of \(owner) is too long for \(what): it takes \(bytes) bytes there, and may take \(most)",
            fix: "give it a shorter name; on disk each byte of a name takes three but for letters from a to z, digits, "
                + "_ and -",
            at: pipeline.place, path: pipeline.path)
    }

    /// Longest name of a file or folder on Linux file systems.
    private static let nameBytesMax = 255
    /// What a stage puts behind the pipeline's name, at most: `.N.passed`, N with twenty digits.
    private static let stageNameBytes = 28
    /// What is behind a reader's name in its file, at most: `.cursor.tmp`.
    private static let cursorNameBytes = 11

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
