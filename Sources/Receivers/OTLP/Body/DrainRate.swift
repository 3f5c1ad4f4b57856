import NIOCore
import Synchronization

/// Tells senders that were refused for want of memory when to come back: how long the bytes that are in the way take to
/// be released at the rate of the last seconds. Safe to use from any thread; asked only when something is refused.
final class DrainRate: Sendable {
    /// Shortest and longest advice, in seconds.
    static let secondsRange = 1...60
    /// Longest advice when it is not other requests that are in the way, but memory that is about to be given back.
    static let starvedSeconds = 5
    /// Rates are measured over at least this time.
    static let window: TimeAmount = .seconds(1)

    private struct State {
        var windowStart: NIODeadline?
        var releasedAtStart: UInt64 = 0
        /// Bytes a second; nil before the first window ended.
        var rate: Double?
    }

    private let state = Mutex(State())

    /// Seconds for Retry-After when `wanted` bytes did not fit into the budget.
    func seconds(wanted: Int, budget: AdmissionBudget, now: NIODeadline) -> Int {
        let (total, overflows) = budget.used.addingReportingOverflow(wanted)
        let isStarved = !overflows && total <= budget.limit
        let seconds = drainSeconds(wanted: wanted, budget: budget, now: now)
        return isStarved ? min(seconds, Self.starvedSeconds) : seconds
    }

    private func drainSeconds(wanted: Int, budget: AdmissionBudget, now: NIODeadline) -> Int {
        let released = budget.releasedTotal
        let rate = state.withLock { state -> Double? in
            guard let start = state.windowStart else {
                state.windowStart = now
                state.releasedAtStart = released
                return nil
            }
            let elapsed = now - start
            if elapsed >= Self.window {
                let bytes = Double(released &- state.releasedAtStart)
                state.rate = bytes / (Double(elapsed.nanoseconds) / 1e9)
                state.windowStart = now
                state.releasedAtStart = released
            }
            return state.rate
        }
        guard let rate else { return Self.secondsRange.lowerBound }
        let excess = Double(budget.used) + Double(wanted) - Double(budget.room)
        guard excess > 0 else { return Self.secondsRange.lowerBound }
        // Nothing was released for a whole window: the pipeline stands still.
        guard rate > 0 else { return Self.secondsRange.upperBound / 2 }
        let seconds = (excess / rate).rounded(.up)
        guard seconds < Double(Self.secondsRange.upperBound) else { return Self.secondsRange.upperBound }
        return max(Int(seconds), Self.secondsRange.lowerBound)
    }
}
