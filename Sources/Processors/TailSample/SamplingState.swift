import Synchronization

/// Spans per second: what was let through in the second in hand.
final class SecondWindow: Sendable {
    private let state = Mutex((second: Int64.min, used: 0))

    /// Takes `amount` when the second has room for it. `now` is in nanoseconds.
    func take(_ amount: Int, of limit: Int, now: Int64) -> Bool {
        state.withLock { state in
            let second = now / 1_000_000_000
            if state.second != second { state = (second, 0) }
            guard state.used + amount <= limit else { return false }
            state.used += amount
            return true
        }
    }
}

/// A token bucket of spans or bytes.
final class TokenBucket: Sendable {
    private let rate: Double
    private let burst: Double
    private let state: Mutex<(tokens: Double, time: Int64?)>

    init(perSecond: Int, burst: Int) {
        rate = Double(perSecond)
        self.burst = Double(burst)
        state = Mutex((tokens: Double(burst), time: nil))
    }

    func take(_ amount: Int, now: Int64) -> Bool {
        state.withLock { state in
            if let time = state.time, now > time {
                state.tokens = min(burst, state.tokens + Double(now - time) / 1e9 * rate)
            }
            state.time = max(now, state.time ?? now)
            guard state.tokens >= Double(amount) else { return false }
            state.tokens -= Double(amount)
            return true
        }
    }
}
