import Glibc
import Synchronization

/// One wait of one reader: fired by the journal, by the clock or by cancellation, whichever is first.
final class Wakeup: Sendable {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Bool, Never>)
        case fired(Bool)
    }

    private let state = Mutex(State.idle)

    /// Ends the wait with `value`. Calls after the first do nothing.
    func fire(_ value: Bool) {
        let continuation = state.withLock { state -> CheckedContinuation<Bool, Never>? in
            switch state {
            case .idle:
                state = .fired(value)
                return nil
            case .waiting(let continuation):
                state = .fired(value)
                return continuation
            case .fired:
                return nil
            }
        }
        continuation?.resume(returning: value)
    }

    /// True when the journal fired, false when `deadline` (monotonic nanoseconds) passed or the task was cancelled.
    /// To be called once.
    func wait(until deadline: UInt64) async -> Bool {
        let alarm = AlarmClock.shared.schedule(self, at: deadline)
        defer { AlarmClock.shared.cancel(alarm) }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> Bool? in
                    if case .fired(let value) = state { return value }
                    state = .waiting(continuation)
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            fire(false)
        }
    }
}

/// Ends waits whose time is over, on one thread for the whole process. Holds one entry per waiting reader.
final class AlarmClock: Sendable {
    static let shared = AlarmClock()

    private struct State {
        var next: UInt64 = 0
        var alarms: [UInt64: (deadline: UInt64, wakeup: Wakeup)] = [:]
        var isRunning = false
        /// When the thread wakes by itself, so that a later alarm need not wake it.
        var sleepsUntil = UInt64.max
    }

    private let state = Mutex(State())
    private let changed = Event()

    /// Fires `wakeup` with false at `deadline`, at once when that is past.
    func schedule(_ wakeup: Wakeup, at deadline: UInt64) -> UInt64 {
        let (ticket, mustStart, mustWake) = state.withLock { state in
            let ticket = state.next
            state.next &+= 1
            state.alarms[ticket] = (deadline, wakeup)
            let mustStart = !state.isRunning
            state.isRunning = true
            let mustWake = deadline < state.sleepsUntil
            return (ticket, mustStart, mustWake)
        }
        if mustStart {
            do {
                // Never joined: it lives as long as the process.
                _ = try DiskThread("journal alarm") { [self] in run() }
            } catch {
                // Out of threads: better an early end of this wait, and a new try with the next, than none at all.
                state.withLock { $0.isRunning = false }
                wakeup.fire(false)
            }
        }
        if mustWake { changed.set() }
        return ticket
    }

    func cancel(_ ticket: UInt64) { state.withLock { _ = $0.alarms.removeValue(forKey: ticket) } }

    private func run() {
        while true {
            let now = monotonicNanoseconds()
            let (due, next) = state.withLock { state in
                let due = state.alarms.filter { $0.value.deadline <= now }
                for ticket in due.keys { state.alarms.removeValue(forKey: ticket) }
                let next = state.alarms.values.map(\.deadline).min()
                state.sleepsUntil = next ?? .max
                return (due.values.map(\.wakeup), next)
            }
            for wakeup in due { wakeup.fire(false) }
            changed.wait(until: next)
        }
    }
}
