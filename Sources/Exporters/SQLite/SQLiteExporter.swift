import GRDB
package import Pipeline
import Synchronization

/// Writes batches to a SQLite database with typed columns for GenAI attributes.
///
/// Delivering a batch twice changes nothing.
package final class SQLiteExporter: Exporter {
    /// Several deliveries may share one commit.
    package let maxConcurrency = GroupLane.groupMax
    private let options: SQLiteOptions
    /// The database file.
    package let path: String
    private let lane: GroupLane
    private let shared = SharedStore()
    private let retention: SQLiteRetention?
    private let deleted: Counter
    private let log: @Sendable (LogLevel, String) -> Void
    private let effects: WorkerEffects
    private let wallClock: @Sendable () -> Int64
    private let retaining = Mutex<Task<Void, Never>?>(nil)

    private final class SharedStore: Sendable {
        let storage = Mutex<SQLiteStore?>(nil)

        func write(_ batches: [ExportBatch]) -> [ExportOutcome] {
            storage.withLock { store in
                store?.write(batches) ?? batches.map { _ in .retry(reason: "the database is closed", after: nil) }
            }
        }
    }

    /// Opens nothing yet; `start` does.
    package init(
        options: SQLiteOptions, build: ExporterBuild, effects: WorkerEffects = .system(),
        wallClock: @escaping @Sendable () -> Int64 = FileEffects.system.wallClock
    ) {
        self.options = options
        self.effects = effects
        self.wallClock = wallClock
        let id = build.id
        let write = build.log
        log = { write($0, "exporter \(id): \($1)") }
        let limits = options.retention
        retention = limits.maxAge > .zero || limits.maxBytes > 0 ? SQLiteRetention(options: limits) : nil
        deleted = build.metrics.counter(
            "sluice_sqlite_expired_records_total", "Records that retention deleted.", [("exporter", id)])
        path =
            options.path.hasPrefix("/") || options.path.hasPrefix(":")
            ? options.path : build.dataDirectory + "/" + options.path
        let shared = shared
        lane = GroupLane(label: "sluice.sqlite") { batches in
            shared.write(batches)
        }
    }

    package func start() async throws {
        let (shared, path, options) = (shared, path, options)
        let failure = await lane.run { () -> ExporterStartFailure? in
            shared.storage.withLock { store in
                do throws(ExporterStartFailure) {
                    store = try SQLiteStore(path: path, options: options)
                    return nil
                } catch { return error }
            }
        }
        if let failure { throw failure }
        if retention != nil { retaining.withLock { $0 = Task { [weak self] in await self?.retain() } } }
    }

    /// Deletes step by step until the database is within its limits, then waits.
    private func retain() async {
        guard let retention else { return }
        let (shared, wallClock) = (shared, wallClock)
        while !Task.isCancelled {
            let result = await lane.run { () -> Result<SQLiteRetention.Step, SQLiteFault> in
                shared.storage.withLock { store in
                    store?.retain(retention, now: wallClock() * 1_000_000) ?? .success(SQLiteRetention.Step())
                }
            }
            switch result {
            case .success(let step):
                deleted.add(step.deletedRecords)
                if step.isMore { continue }
            case .failure(let fault): log(.warn, "retention: \(fault.message)")
            }
            do { try await effects.sleep(retention.options.interval) } catch { return }
        }
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome { await lane.submit(batch) }

    package func shutdown() async {
        let task = retaining.withLock { task in
            defer { task = nil }
            return task
        }
        task?.cancel()
        await task?.value
        let shared = shared
        await lane.run {
            shared.storage.withLock { store in
                store?.close()
                store = nil
            }
        }
    }
}

extension SQLiteExporter: SchemaOwner {
    package func migrate() async throws -> SchemaChange {
        var options = options
        options.createsSchema = true
        let (path, asked) = (path, options)
        let result = await lane.run { () -> Result<SchemaChange, ExporterStartFailure> in
            do throws(ExporterStartFailure) {
                let store = try SQLiteStore(path: path, options: asked)
                defer { store.close() }
                return .success(SchemaChange(place: path, from: store.foundVersion, to: SQLSchema.version))
            } catch { return .failure(error) }
        }
        return try result.get()
    }
}
