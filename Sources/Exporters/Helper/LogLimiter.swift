/// Decides which of many complaints are written to the log: the first, then one per interval with the number of those
/// left out, and another cause a second after the last line. A pure state machine: times are durations since any fixed
/// origin.
package struct LogLimiter: Sendable {
    private let interval: Duration
    private var last: (time: Duration, cause: String)?
    private var suppressed = 0
    private static let causePause = Duration.seconds(1)

    package init(interval: Duration = .seconds(10)) { self.interval = interval }

    /// Nil to stay silent, otherwise how many complaints were left out since the last one. Causes that differ only in
    /// numbers are one.
    package mutating func allow(at now: Duration, cause: String = "") -> Int? {
        let cause = String(cause.prefix(200).filter { !$0.isNumber })
        if let last, now < last.time + (cause == last.cause ? interval : min(interval, Self.causePause)) {
            suppressed += 1
            return nil
        }
        last = (now, cause)
        defer { suppressed = 0 }
        return suppressed
    }

    /// How many complaints were left out, when the interval is over and none of them has told it; otherwise 0.
    package mutating func takeLeftOut(at now: Duration) -> Int {
        guard suppressed > 0, let last, now >= last.time + interval else { return 0 }
        self.last = (now, last.cause)
        defer { suppressed = 0 }
        return suppressed
    }
}
