import Pipeline
import Synchronization

/// What one step of deleting did.
struct RetentionStep: Equatable, Sendable {
    var deletedRecords = 0
    var isMore = false
}

/// Why a step failed.
struct RetentionFault: Error {
    var message: String
}

/// Deletes in small steps until a database is within its limits, waits, and looks again: deliveries run between the
/// steps.
final class RetentionLoop: Sendable {
    private let interval: Duration
    private let effects: WorkerEffects
    private let deleted: Counter
    private let log: @Sendable (LogLevel, String) -> Void
    private let step: @Sendable () async -> Result<RetentionStep, RetentionFault>
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(
        interval: Duration, effects: WorkerEffects, build: ExporterBuild,
        step: @escaping @Sendable () async -> Result<RetentionStep, RetentionFault>
    ) {
        self.interval = interval
        self.effects = effects
        self.step = step
        deleted = build.metrics.counter(
            "sluice_exporter_expired_records_total", "Records that retention deleted.", [("exporter", build.id)])
        let (id, write) = (build.id, build.log)
        log = { write($0, "exporter \(id): \($1)") }
    }

    /// Begins; a second call does nothing.
    func start() {
        task.withLock { task in
            guard task == nil else { return }
            task = Task { await self.run() }
        }
    }

    /// Ends after the running step.
    func stop() async {
        let running = task.withLock { task in
            defer { task = nil }
            return task
        }
        running?.cancel()
        await running?.value
    }

    private func run() async {
        while !Task.isCancelled {
            switch await step() {
            case .success(let step):
                deleted.add(step.deletedRecords)
                if step.isMore { continue }
            case .failure(let fault): log(.warn, "retention: \(fault.message)")
            }
            do { try await effects.sleep(interval) } catch { return }
        }
    }
}
