import GRDB
package import Pipeline
import Synchronization

/// Writes batches to a SQLite database with typed columns for GenAI attributes.
///
/// Delivering a batch twice changes nothing.
package final class SQLiteExporter: Exporter {
    /// Several deliveries may share one commit.
    package let maxConcurrency = GroupLane.groupMax
    package let recordsCommits = true
    private let options: SQLiteOptions
    /// The database file.
    package let path: String
    private let lane: GroupLane
    private let shared: SharedStore
    private let retention: RetentionLoop?
    private let log: @Sendable (LogLevel, String) -> Void

    private final class SharedStore: Sendable {
        let storage = Mutex<SQLiteStore?>(nil)
        private let path: String
        private let options: SQLiteOptions
        let interest: LaneInterest
        private let busy: SQLiteBusyWait
        /// Whether a database that is not open is to be opened with the next batch.
        private let isOpening = Mutex(false)

        init(path: String, options: SQLiteOptions) {
            self.path = path
            self.options = options
            let interest = LaneInterest()
            self.interest = interest
            busy = SQLiteBusyWait(timeout: options.busyTimeout) { interest.isLost }
        }

        /// What waits for another program gives up soon, until it is opened again.
        func hurry() { busy.isEnding = true }

        func takeTime() { busy.isEnding = false }

        /// Gives a failure that may pass; then the next batch tries again.
        func open() throws(ExporterStartFailure) -> ExporterStartFailure? {
            let failure = storage.withLock { store in open(&store) }
            if let failure, !failure.isPassing { throw failure }
            isOpening.withLock { $0 = true }
            return failure
        }

        func close() {
            isOpening.withLock { $0 = false }
            storage.withLock { store in
                store?.close()
                store = nil
            }
        }

        private func open(_ store: inout SQLiteStore?) -> ExporterStartFailure? {
            do throws(ExporterStartFailure) {
                store = try SQLiteStore(path: path, options: options, busy)
                return nil
            } catch { return error }
        }

        /// Writes to the file that has the path now: rows in one that somebody has removed or replaced are lost.
        func write(_ batches: [ExportBatch]) -> [ExportOutcome] {
            storage.withLock { store in
                if store?.isGone == true {
                    store?.close()
                    store = nil
                }
                if store == nil, isOpening.withLock({ $0 }) {
                    if let failure = open(&store) {
                        return batches.map { _ in .retry(reason: failure.description, after: nil) }
                    }
                }
                return store?.write(batches)
                    ?? batches.map { _ in .retry(reason: "the database is closed", after: nil) }
            }
        }
    }

    /// Opens nothing yet; `start` does.
    package init(
        options: SQLiteOptions, build: ExporterBuild, effects: WorkerEffects = .system(),
        wallClock: @escaping @Sendable () -> Int64 = FileEffects.system.wallClock
    ) {
        self.options = options
        log = build.log
        path =
            options.path.hasPrefix("/") || options.path.hasPrefix(":")
            ? options.path : build.dataDirectory + "/" + options.path
        let shared = SharedStore(path: path, options: options)
        self.shared = shared
        let lane = GroupLane(label: "sluice.sqlite", interest: shared.interest) { shared.write($0) }
        self.lane = lane
        let limits = options.retention
        guard limits.maxAge > .zero || limits.maxBytes > 0 else {
            retention = nil
            return
        }
        let retained = SQLiteRetention(options: limits)
        retention = RetentionLoop(interval: limits.interval, effects: effects, build: build) {
            await lane.run {
                shared.storage.withLock { store in
                    store?.retain(retained, now: wallClock() * 1_000_000) ?? .success(RetentionStep())
                }
            }
        }
    }

    /// What lies in the data directory has its folder made at start.
    package func check() throws {
        guard !path.hasPrefix(":") else { return }
        try ExporterStartFailure.check(file: path, makesFolder: path != options.path)
    }

    package func start() async throws {
        let shared = shared
        shared.takeTime()
        let opened = await withTaskCancellationHandler {
            await lane.run { () -> Result<ExporterStartFailure?, ExporterStartFailure> in
                do throws(ExporterStartFailure) { return .success(try shared.open()) } catch { return .failure(error) }
            }
        } onCancel: {
            shared.hurry()
        }
        if let passing = try opened.get() { log(.warn, "\(passing); will be tried again with each batch") }
        retention?.start()
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome { await lane.submit(batch) }

    package func shutdown() async {
        let shared = shared
        shared.hurry()
        await retention?.stop()
        await lane.run { shared.close() }
    }
}

extension SQLiteExporter: SchemaOwner {
    package func migrate() async throws -> SchemaChange {
        var options = options
        options.createsSchema = true
        let (path, asked) = (path, options)
        let result = await lane.run { () -> Result<SchemaChange, ExporterStartFailure> in
            do throws(ExporterStartFailure) {
                let store = try SQLiteStore(path: path, options: asked, SQLiteBusyWait(timeout: asked.busyTimeout))
                defer { store.close() }
                return .success(SchemaChange(place: path, from: store.foundVersion, to: SQLSchema.version))
            } catch { return .failure(error) }
        }
        return try result.get()
    }
}
