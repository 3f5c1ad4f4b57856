import Exporters
import Pipeline
import Synchronization

/// Answers the senders of one pipeline once all its exporters are done with what they sent: `ack: delivered`.
///
/// It hears of every acknowledgement through the cursors that it wraps. As many requests wait as connections of the
/// receivers have one under way, so it needs no bound of its own.
final class DeliveryWatch: Sendable {
    /// Most losses that are remembered until their senders ask.
    static let lossesMax = 10_000

    private struct Waiter {
        var id: Int
        var end: Sequence
        var items: Int
        var limit: Task<Void, Never>?
        var completion: @Sendable (Reception) -> Void
    }

    /// What is missing of one request.
    private struct Loss {
        /// Records by exporter.
        var items: [String: Int] = [:]
        var reason = ""
    }

    private struct State {
        /// What each exporter is done with.
        var done: [String: Sequence] = [:]
        var waiters: [Waiter] = []
        var lastID = 0
        var timeout: Duration
        /// Nobody may wait any more.
        var isEnding = false
        /// Nobody needs to wait any more, nor would anybody be told.
        var isOver = false
        /// By where the request ends.
        var losses: [Sequence: Loss] = [:]
        /// Keys of `losses`, oldest first.
        var order: [Sequence] = []

        var position: Sequence { done.values.min() ?? Sequence(0) }

        func reception(of waiter: Waiter) -> Reception {
            guard let loss = losses[waiter.end] else { return .taken }
            // Those that one exporter misses may be those that another one does.
            let most = loss.items.values.max() ?? 0
            return .undelivered(min(most, waiter.items), reason: loss.reason)
        }
    }

    private let effects: WorkerEffects
    private let state: Mutex<State>

    init(timeout: Duration, effects: WorkerEffects = .system()) {
        self.effects = effects
        state = Mutex(State(timeout: timeout))
    }

    /// The cursor of an exporter that has to be done before anybody is answered.
    func watched(_ cursor: any FrameCursor, named name: String) -> any FrameCursor {
        state.withLock { state in
            // One whose worker is another one now is done with what it was done with.
            if state.done[name] == nil { state.done[name] = Sequence(0) }
        }
        return WatchedCursor(base: cursor, name: name, watch: self)
    }

    /// Goes on under another configuration.
    func renew(timeout: Duration) { state.withLock { $0.timeout = timeout } }

    /// Nobody waits any longer for exporters but these.
    func retain(exporters: Set<String>) {
        answer { state in state.done = state.done.filter { exporters.contains($0.key) } }
    }

    /// That many records of the frame that ends here were not delivered by an exporter. Told before they are
    /// acknowledged.
    func lost(_ items: Int, before end: Sequence, by exporter: String, reason: String) {
        state.withLock { state in
            if state.losses[end] == nil { state.order.append(end) }
            state.losses[end, default: Loss()].items[exporter, default: 0] += items
            state.losses[end]?.reason = "exporter \(exporter): \(reason)"
            guard state.order.count > Self.lossesMax else { return }
            for old in state.order.prefix(Self.lossesMax / 2) { state.losses[old] = nil }
            state.order.removeFirst(Self.lossesMax / 2)
        }
    }

    /// `completion` runs once: when all exporters are done with the frame, or when the time is over.
    func wait(for frame: StoredFrame, _ completion: @escaping @Sendable (Reception) -> Void) {
        let (waiter, timeout) = state.withLock { state in
            state.lastID += 1
            let waiter = Waiter(
                id: state.lastID, end: frame.end, items: Int(frame.frame.header.itemCount), completion: completion)
            return (waiter, state.timeout)
        }
        let limit = Task {
            do { try await effects.sleep(timeout) } catch { return }
            expire(waiter.id)
        }
        let early: Reception? = state.withLock { state in
            if state.position >= waiter.end { return state.reception(of: waiter) }
            if state.isEnding { return Self.turnedAway }
            if state.isOver { return .taken }
            state.waiters.append(waiter)
            state.waiters[state.waiters.count - 1].limit = limit
            return nil
        }
        guard let early else { return }
        limit.cancel()
        completion(early)
    }

    fileprivate func acknowledged(_ name: String, before sequence: Sequence) {
        answer { state in
            // Nobody waits for one that has left.
            if let done = state.done[name] { state.done[name] = max(done, sequence) }
        }
    }

    /// Nobody waits for deliveries any more, nor who is stored only now: what they sent is kept, and will be delivered.
    func end() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters {
            waiter.limit?.cancel()
            waiter.completion(.taken)
        }
    }

    /// The gateway ends: those who wait, and who comes, are asked to come again.
    func turnAway() {
        let waiters = state.withLock { state in
            state.isEnding = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters {
            waiter.limit?.cancel()
            waiter.completion(Self.turnedAway)
        }
    }

    private static let turnedAway = Reception.refused(
        reason: "the gateway ends before it is delivered; try again", retryAfter: .seconds(5))

    /// Answers those whose wait is over by `change`.
    private func answer(_ change: (inout State) -> Void) {
        let ready = state.withLock { state -> [(Waiter, Reception)] in
            change(&state)
            let position = state.position
            guard state.waiters.contains(where: { $0.end <= position }) else { return [] }
            let ready = state.waiters.filter { $0.end <= position }.map { ($0, state.reception(of: $0)) }
            state.waiters.removeAll { $0.end <= position }
            return ready
        }
        for (waiter, reception) in ready {
            waiter.limit?.cancel()
            waiter.completion(reception)
        }
    }

    private func expire(_ id: Int) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: index)
        }
        waiter?.completion(
            .refused(
                reason: "not delivered within ack_timeout; it is kept and will be delivered", retryAfter: .seconds(5)))
    }
}

/// Tells the watch what an exporter is done with.
private struct WatchedCursor: PassingCursor {
    let base: any FrameCursor
    let name: String
    let watch: DeliveryWatch

    func acknowledge(before sequence: Sequence) {
        base.acknowledge(before: sequence)
        watch.acknowledged(name, before: sequence)
    }
}
