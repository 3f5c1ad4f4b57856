import Exporters
import Pipeline
import Synchronization

/// The cursor of a worker that is made while attempts of those before are still under way. It gives nothing until these
/// have ended, and begins behind all that they have done by then.
final class LateCursor: PassingCursor {
    private struct State {
        var base: any FrameCursor
        /// Nil when it was opened anew.
        var open: (@Sendable () throws -> any FrameCursor)?
        /// Those before have ended.
        var isDue = false
        /// Ends the wait of the reader, if it waits.
        var wait: AsyncStream<Void>.Continuation?
    }

    private let effects: WorkerEffects
    private let state: Mutex<State>

    /// `open` opens the same cursor again.
    init(
        _ base: any FrameCursor, behind before: [Task<Void, Never>], effects: WorkerEffects = .system(),
        open: @escaping @Sendable () throws -> any FrameCursor
    ) {
        self.effects = effects
        state = Mutex(State(base: base, open: open))
        Task { [weak self] in
            for task in before { await task.value }
            self?.begin()
        }
    }

    var base: any FrameCursor { state.withLock { $0.base } }

    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        if due == nil { await wait(atMost: timeout) }
        return await due?.next(maxFrames: maxFrames, maxBytes: maxBytes, timeout: timeout) ?? []
    }

    /// What is read from; nil while it is not due. Opened by the reader, since of those that wait for the same attempts
    /// one after the other only the last one reads. One of a journal that is closed stays as it is.
    private var due: (any FrameCursor)? {
        state.withLock { state in
            guard state.isDue else { return nil }
            if let opened = try? state.open?() { state.base = opened }
            state.open = nil
            return state.base
        }
    }

    private func begin() {
        let wait = state.withLock { state in
            state.isDue = true
            return state.wait
        }
        wait?.finish()
    }

    /// Waits until it is due, for some time at most.
    private func wait(atMost time: Duration) async {
        let (ends, end) = AsyncStream<Void>.makeStream()
        let isDue = state.withLock { state in
            state.wait = end
            return state.isDue
        }
        if isDue { return }
        let limit = Task {
            try? await effects.sleep(time)
            end.finish()
        }
        for await _ in ends {}
        limit.cancel()
    }
}
