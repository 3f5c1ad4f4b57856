package import Pipeline
import Synchronization

/// Writes batches to a file as OTLP JSON lines or length-prefixed protobuf.
///
/// A batch counts as delivered when it is on disk.
package final class FileExporter: Exporter {
    /// Several deliveries may wait for one sync of the file.
    package let maxConcurrency = GroupLane.groupMax
    private let writer: SharedWriter
    private let lane: GroupLane

    /// Lets the lane's thread and the exporter share the writer.
    private final class SharedWriter: Sendable {
        let storage: Mutex<FileWriter>

        init(_ writer: consuming sending FileWriter) { storage = Mutex(writer) }
    }

    /// Opens nothing yet; `start` does.
    package init(options: FileOptions, build: ExporterBuild, effects: FileEffects = .system) {
        let id = build.id
        let log = build.log
        let shared = SharedWriter(
            FileWriter(options: options, effects: effects, log: { log($0, "exporter \(id): \($1)") }))
        writer = shared
        lane = GroupLane(label: "sluice.file") { batches in
            let result = shared.storage.withLock { $0.append(batches) }
            return batches.indices.map { index in
                if index < result.durable { return .delivered }
                return .retry(reason: result.failure?.description ?? "not written", after: nil)
            }
        }
    }

    package func start() async throws {
        let writer = writer
        let failure = await lane.run { () -> FileFailure? in
            writer.storage.withLock { writer in
                do throws(FileFailure) { try writer.open() } catch { return error }
                return nil
            }
        }
        if let failure { throw ExporterStartFailure(failure.description) }
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome { await lane.submit(batch) }

    package func shutdown() async {
        let writer = writer
        await lane.run { writer.storage.withLock { $0.close() } }
    }
}
