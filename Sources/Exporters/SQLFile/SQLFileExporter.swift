package import Pipeline
import Synchronization

/// Writes batches as SQL statements or CSV, for hand-over to a database that the gateway cannot reach.
///
/// A batch counts as delivered when it is on disk.
package final class SQLFileExporter: Exporter {
    /// Several deliveries may wait for one sync of the file.
    package let maxConcurrency = GroupLane.groupMax
    private let writer: SharedWriter
    private let place: FilePlace
    private let lane: GroupLane

    private final class SharedWriter: Sendable {
        let storage: Mutex<FileWriter<SQLFileForm>>

        init(_ writer: consuming sending FileWriter<SQLFileForm>) { storage = Mutex(writer) }
    }

    /// Opens nothing yet; `start` does.
    package init(options: SQLFileOptions, build: ExporterBuild, effects: FileEffects = .system) {
        let (id, log) = (build.id, build.log)
        let place = FilePlace(
            path: options.path, appends: true, createsDirectory: options.createsDirectory, directoryMode: 0o755,
            rotation: options.rotation)
        self.place = place
        let shared = SharedWriter(
            FileWriter(
                place: place, form: SQLFileForm(options: options), effects: effects,
                log: { log($0, "exporter \(id): \($1)") }))
        writer = shared
        lane = GroupLane(label: "sluice.sql_file") { batches in
            let result = shared.storage.withLock { $0.append(batches) }
            return batches.indices.map { index in
                if let reason = result.refused[index] { return .permanent(reason: reason) }
                if index < result.settled { return .delivered }
                return .retry(reason: result.failure?.description ?? "not written", after: nil)
            }
        }
    }

    package func check() throws {
        try ExporterStartFailure.check(file: place.path, makesFolder: place.createsDirectory)
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
