/// Pauses between the attempts to deliver one batch: exponential with jitter, a backend's own hint honoured.
///
/// A pure state machine: times are durations since any fixed origin.
package struct RetrySchedule: Sendable {
    /// What to do after a failed attempt.
    package enum Decision: Equatable, Sendable {
        case wait(Duration)
        case giveUp
    }

    private let options: RetryOptions
    private let limit: Duration?
    private let start: Duration
    private var interval: Duration

    /// `limit` is the time after which the batch is given up, nil for never; `start` is when it was first tried.
    package init(_ options: RetryOptions, limit: Duration?, start: Duration) {
        self.options = options
        self.limit = limit
        self.start = start
        interval = min(options.initialInterval, options.maxInterval)
    }

    /// The pause after a failure at `now`. `random` is in 0..<1; `hint` is the backend's Retry-After.
    package mutating func failed(at now: Duration, hint: Duration?, random: Double) -> Decision {
        guard options.isEnabled else { return .giveUp }
        let spread = 1 - options.randomizationFactor + 2 * options.randomizationFactor * random
        var pause = interval * spread
        if let hint { pause = max(pause, options.honoured(hint)) }
        interval = min(interval * options.multiplier, options.maxInterval)
        if let limit, now - start + pause > limit { return .giveUp }
        return .wait(pause)
    }
}
