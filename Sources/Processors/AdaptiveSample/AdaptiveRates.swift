import Glibc
import Synchronization

/// How a sampler finds its rates.
enum RateMethod: Sendable {
    /// Spans of each kind of trace, smoothed over intervals; the goal is a rate of one in so many.
    case percentage(goalRate: Double, weight: Double)
    /// The same with a goal of spans per second.
    case throughput(goal: Double, weight: Double)
    /// Counts of the last seconds as they are, each kind with an equal part of the goal.
    case windowed(goal: Double, lookback: Int64)
}

/// Sampling rates by fingerprint: one in so many traces, so that rare kinds of traces are kept and frequent ones share
/// what is left in proportion to the logarithm of their volume, as the Collector's samplers do it.
///
/// The time is told, so that tests set it. Rates change only between intervals.
final class AdaptiveRates: Sendable {
    private struct State {
        var rates: [String: Double] = [:]
        /// Spans by fingerprint since the last change of rates.
        var counts: [String: Double] = [:]
        /// Smoothed spans of an interval by fingerprint.
        var averages: [String: Double] = [:]
        /// Counts of the last intervals with the time of their end, for a window.
        var window: [(end: Int64, counts: [String: Double])] = []
        var start: Int64?
        var isLearning = true
    }

    private let method: RateMethod
    private let interval: Int64
    private let keysMax: Int
    private let state = Mutex(State())

    /// Rate of a throughput sampler before it knows anything, and of fingerprints beyond the limit.
    private static let initialRate = 10.0
    /// Averages below it are forgotten.
    private static let forgottenBelow = 0.5

    /// `interval` is in nanoseconds; `keysMax` 0 means no limit.
    init(_ method: RateMethod, interval: Int64, keysMax: Int) {
        self.method = method
        self.interval = max(1, interval)
        self.keysMax = keysMax == 0 ? .max : keysMax
    }

    /// The rate of traces with a fingerprint, at least 1; counts `spans` for the rates to come.
    func rate(of fingerprint: String, spans: Int, now: Int64) -> Double {
        state.withLock { state in
            advance(&state, now)
            let isKnown = state.counts[fingerprint] != nil
            if isKnown || state.counts.count < keysMax {
                state.counts[fingerprint, default: 0] += Double(spans)
            } else {
                return AdaptiveRates.initialRate
            }
            if state.isLearning { return firstRate }
            return state.rates[fingerprint] ?? 1
        }
    }

    private var firstRate: Double {
        if case .percentage(let goal, _) = method { goal } else { AdaptiveRates.initialRate }
    }

    private func advance(_ state: inout State, _ now: Int64) {
        guard let start = state.start else {
            state.start = now
            return
        }
        let elapsed = now - start
        guard elapsed >= interval else { return }
        // What came in a longer time counts as what came in one interval of it.
        let share = Double(interval) / Double(elapsed)
        state.start = now
        defer { state.counts.removeAll(keepingCapacity: true) }
        if state.counts.isEmpty && state.averages.isEmpty && state.window.isEmpty { return }
        state.isLearning = false
        switch method {
        case .percentage(let goal, let weight):
            smooth(&state, weight, share)
            let volume = state.averages.values.reduce(0) { $0 + max(1, $1) }
            state.rates = AdaptiveRates.shared(state.averages, goal: volume / goal)
        case .throughput(let goal, let weight):
            smooth(&state, weight, share)
            state.rates = AdaptiveRates.shared(state.averages, goal: goal * Double(interval) / 1e9)
        case .windowed(let goal, let lookback):
            slide(&state, now: now, lookback, goal)
        }
    }

    private func smooth(_ state: inout State, _ weight: Double, _ share: Double) {
        for (key, average) in state.averages {
            let new = weight * (state.counts[key] ?? 0) * share + (1 - weight) * average
            state.averages[key] = new < AdaptiveRates.forgottenBelow ? nil : new
        }
        for (key, count) in state.counts where state.averages[key] == nil {
            let new = weight * count * share
            if new >= AdaptiveRates.forgottenBelow { state.averages[key] = new }
        }
    }

    private func slide(_ state: inout State, now: Int64, _ lookback: Int64, _ goal: Double) {
        state.window.append((now, state.counts))
        state.window.removeAll { $0.end <= now - lookback }
        var sums: [String: Double] = [:]
        for (_, counts) in state.window {
            for (key, count) in counts { sums[key, default: 0] += count }
        }
        let each = goal / Double(max(1, sums.count))
        state.rates = sums.mapValues { max(1, $0 / (Double(lookback) / 1e9) / each) }
    }

    /// Rates with which about `goal` of all counts are kept: what a kind does not use of its part goes to the others.
    static func shared(_ counts: [String: Double], goal: Double) -> [String: Double] {
        let logarithms = counts.values.reduce(0) { $0 + log10(max(1, $1)) }
        let ratio = logarithms > 0 ? goal / logarithms : goal
        var rates: [String: Double] = [:]
        var extra = 0.0
        var left = Double(counts.count)
        // The small ones first, so that what they leave goes to the large ones; by name, so that the order is one.
        for (key, value) in counts.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            let count = max(1, value)
            var part = max(1, log10(count) * ratio)
            let more = extra / left
            part += more
            extra -= more
            left -= 1
            if count <= part {
                rates[key] = 1
                extra += part - count
            } else {
                rates[key] = (count / part).rounded(.up)
                extra += part - count / (rates[key] ?? 1)
            }
        }
        return rates
    }
}
