package import Pipeline
import Synchronization

/// Writes batches to PostgreSQL. The connection is made with the first delivery and made anew after failures; until
/// then batches wait in the journal.
package final class PostgresExporter: Exporter {
    /// Several deliveries share one transaction.
    package let maxConcurrency = GroupLane.groupMax
    package let recordsCommits = true
    private let options: PostgresOptions
    private let lane: GroupLane
    private let retention: RetentionLoop?
    private let shared: SharedStore

    private final class SharedStore: Sendable {
        let storage: Mutex<PostgresStore>

        init(_ store: consuming sending PostgresStore) { storage = Mutex(store) }

        func write(_ batches: [ExportBatch]) -> [ExportOutcome] { storage.withLock { $0.write(batches) } }
    }

    package init(options: PostgresOptions, build: ExporterBuild, effects: WorkerEffects = .system()) {
        self.options = options
        let interest = LaneInterest()
        let shared = SharedStore(PostgresStore(options: options, isLost: { interest.isLost }))
        self.shared = shared
        let lane = GroupLane(label: "sluice.postgres", interest: interest) { shared.write($0) }
        self.lane = lane
        retention =
            options.maxAge == .zero
            ? nil
            : RetentionLoop(interval: options.retentionInterval, effects: effects, build: build) {
                await lane.run { shared.storage.withLock { $0.retain() } }
            }
    }

    package func start() async throws { retention?.start() }

    package func export(_ batch: ExportBatch) async -> ExportOutcome { await lane.submit(batch) }

    package func shutdown() async {
        await retention?.stop()
        let shared = shared
        await lane.run { shared.storage.withLock { $0.close() } }
    }
}

extension PostgresExporter: SchemaOwner {
    package func migrate() async throws -> SchemaChange {
        let shared = shared
        let result = await lane.run { () -> Result<SchemaChange, ExporterStartFailure> in
            shared.storage.withLock { store in
                do throws(PostgresFailure) {
                    let done = try store.migrate()
                    return .success(
                        SchemaChange(
                            place: done.place, from: done.version, to: max(done.version, SQLSchema.version)))
                } catch { return .failure(ExporterStartFailure(error.message)) }
            }
        }
        return try result.get()
    }
}
