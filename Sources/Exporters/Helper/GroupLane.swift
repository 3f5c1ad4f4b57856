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
        var deliveries: [Delivery] = []
        var lastNumber = 0
        var isScheduled = false
    }

    private struct Delivery {
        var number: Int
        var batch: ExportBatch
        var continuation: CheckedContinuation<ExportOutcome, Never>
    }

    private let queue: DispatchQueue
    private let waiting = Mutex(Waiting())
    private let interest: LaneInterest
    private let deliver: @Sendable ([ExportBatch]) -> [ExportOutcome]

    /// `deliver` runs on the lane's own thread, one call at a time, and returns one outcome per batch, in order.
    /// What it does for a while may end early when `interest` says that nobody waits for that any more.
    init(
        label: String, interest: LaneInterest = LaneInterest(),
        deliver: @escaping @Sendable ([ExportBatch]) -> [ExportOutcome]
    ) {
        queue = DispatchQueue(label: label)
        self.interest = interest
        self.deliver = deliver
    }

    /// Waits until the batch's group is delivered. In a task that is cancelled before that begins it is not.
    func submit(_ batch: ExportBatch) async -> ExportOutcome {
        let number = waiting.withLock { waiting in
            waiting.lastNumber += 1
            return waiting.lastNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let schedules = waiting.withLock { waiting in
                    waiting.deliveries.append(Delivery(number: number, batch: batch, continuation: continuation))
                    defer { waiting.isScheduled = true }
                    return !waiting.isScheduled
                }
                if schedules { queue.async { self.deliverWaiting() } }
                // It may have been cancelled before it was there.
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
    }

    private func cancel(_ number: Int) {
        let gone = waiting.withLock { waiting -> Delivery? in
            interest.lose(number)
            return waiting.deliveries.firstIndex { $0.number == number }.map { waiting.deliveries.remove(at: $0) }
        }
        gone?.continuation.resume(returning: .retry(reason: "the exporter ends", after: nil))
    }

    /// Runs `body` on the lane's thread, after the groups that came before.
    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }

    private func deliverWaiting() {
        while true {
            let group = waiting.withLock { waiting in
                let count = min(waiting.deliveries.count, Self.groupMax)
                let taken = Array(waiting.deliveries.prefix(count))
                waiting.deliveries.removeFirst(count)
                if count == 0 { waiting.isScheduled = false }
                interest.begin(taken.map(\.number))
                return taken
            }
            guard !group.isEmpty else { return }
            let outcomes = deliver(group.map(\.batch))
            interest.begin([])
            for (index, delivery) in group.enumerated() {
                let missing = ExportOutcome.retry(reason: "no outcome for this batch", after: nil)
                delivery.continuation.resume(returning: index < outcomes.count ? outcomes[index] : missing)
            }
        }
    }
}

/// Whether anybody waits for the group that a lane delivers just now: at the deadline of a shutdown or a reload the
/// tasks are cancelled that do.
final class LaneInterest: Sendable {
    private struct State {
        var isBusy = false
        var wanted: Set<Int> = []
    }

    private let state = Mutex(State())

    /// True while something is under way that nobody waits for any more.
    var isLost: Bool { state.withLock { $0.isBusy && $0.wanted.isEmpty } }

    fileprivate func begin(_ numbers: [Int]) {
        state.withLock { $0 = State(isBusy: !numbers.isEmpty, wanted: Set(numbers)) }
    }

    fileprivate func lose(_ number: Int) { state.withLock { _ = $0.wanted.remove(number) } }
}
