import Pipeline
import Synchronization

/// The cursor of a worker that is made while the attempts of the one before are still under way: where that one has
/// come to shows when it has ended, which is before this one reads.
final class LateCursor: PassingCursor {
    private struct State {
        var base: any FrameCursor
        /// Nil when it was opened anew.
        var open: (@Sendable () throws -> any FrameCursor)?
    }

    private let state: Mutex<State>

    /// `open` opens the same cursor again.
    init(_ base: any FrameCursor, open: @escaping @Sendable () throws -> any FrameCursor) {
        state = Mutex(State(base: base, open: open))
    }

    var base: any FrameCursor { state.withLock { $0.base } }

    /// The first time it begins behind all that is done by then. One of a journal that is closed stays as it is.
    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        let base = state.withLock { state in
            if let opened = try? state.open?() { state.base = opened }
            state.open = nil
            return state.base
        }
        return await base.next(maxFrames: maxFrames, maxBytes: maxBytes, timeout: timeout)
    }
}
