import OTLP
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

/// A token bucket of bytes.
final class ByteBucket: Sendable {
    private let rate: Double
    private let burst: Double
    private let state: Mutex<(tokens: Double, time: Int64?)>

    init(bytesPerSecond: Int, burst: Int) {
        rate = Double(bytesPerSecond)
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

/// The last decisions by trace, the oldest forgotten first.
final class DecisionCache: Sendable {
    /// Spans of different tenants never belong together, whatever their ids are.
    struct Key: Hashable {
        var trace: TraceID
        var tenant: String
    }

    private struct Side {
        var known: Set<Key> = []
        var order: [Key] = []
        var next = 0

        mutating func add(_ trace: Key, limit: Int) {
            guard limit > 0, known.insert(trace).inserted else { return }
            if order.count < limit {
                order.append(trace)
            } else {
                known.remove(order[next])
                order[next] = trace
                next = (next + 1) % limit
            }
        }
    }

    private let sampledMax: Int
    private let droppedMax: Int
    private let state = Mutex((sampled: Side(), dropped: Side()))

    init(sampled: Int, dropped: Int) {
        sampledMax = sampled
        droppedMax = dropped
    }

    /// The decision that a trace got, nil when none is remembered.
    func decision(of trace: Key) -> Bool? {
        state.withLock { state in
            if state.sampled.known.contains(trace) { return true }
            return state.dropped.known.contains(trace) ? false : nil
        }
    }

    func remember(_ trace: Key, isSampled: Bool) {
        state.withLock { state in
            if isSampled {
                state.sampled.add(trace, limit: sampledMax)
            } else {
                state.dropped.add(trace, limit: droppedMax)
            }
        }
    }
}
