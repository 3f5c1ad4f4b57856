import Dispatch
import Pipeline
import Synchronization

/// Delivers batches that arrive at about the same time together, on a thread that may block: one sync of a file or one
/// commit of a database then serves them all.
///
/// The number of waiting batches is bounded by the exporter's `maxConcurrency`. Order of arrival is kept.
final class GroupLane: Sendable {
    /// Most batches that share one sync.
    static let groupMax = 64

    private struct Waiting {
        var batches: [ExportBatch] = []
        var continuations: [CheckedContinuation<ExportOutcome, Never>] = []
        var isScheduled = false
    }

    private let queue: DispatchQueue
    private let waiting = Mutex(Waiting())
    private let deliver: @Sendable ([ExportBatch]) -> [ExportOutcome]

    /// `deliver` runs on the lane's own thread, one call at a time, and returns one outcome per batch, in order.
    init(label: String, deliver: @escaping @Sendable ([ExportBatch]) -> [ExportOutcome]) {
        queue = DispatchQueue(label: label)
        self.deliver = deliver
    }

    /// Waits until the batch's group is delivered.
    func submit(_ batch: ExportBatch) async -> ExportOutcome {
        await withCheckedContinuation { continuation in
            let schedules = waiting.withLock { waiting in
                waiting.batches.append(batch)
                waiting.continuations.append(continuation)
                defer { waiting.isScheduled = true }
                return !waiting.isScheduled
            }
            if schedules { queue.async { self.deliverWaiting() } }
        }
    }

    /// Runs `body` on the lane's thread, after the groups that came before.
    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }

    private func deliverWaiting() {
        while true {
            let (batches, continuations) = waiting.withLock { waiting in
                let count = min(waiting.batches.count, Self.groupMax)
                let taken = (Array(waiting.batches.prefix(count)), Array(waiting.continuations.prefix(count)))
                waiting.batches.removeFirst(count)
                waiting.continuations.removeFirst(count)
                if count == 0 { waiting.isScheduled = false }
                return taken
            }
            guard !batches.isEmpty else { return }
            let outcomes = deliver(batches)
            for (index, continuation) in continuations.enumerated() {
                let missing = ExportOutcome.retry(reason: "no outcome for this batch", after: nil)
                continuation.resume(returning: index < outcomes.count ? outcomes[index] : missing)
            }
        }
    }
}
