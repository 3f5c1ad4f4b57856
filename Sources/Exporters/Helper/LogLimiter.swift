/// Decides which of many equal complaints are written to the log: the first, then one per interval with the number
/// of those left out. A pure state machine: times are durations since any fixed origin.
package struct LogLimiter: Sendable {
    private let interval: Duration
    private var nextTime: Duration?
    private var suppressed = 0

    package init(interval: Duration = .seconds(10)) { self.interval = interval }

    /// Nil to stay silent, otherwise how many complaints were left out since the last one.
    package mutating func allow(at now: Duration) -> Int? {
        if let nextTime, now < nextTime {
            suppressed += 1
            return nil
        }
        nextTime = now + interval
        defer { suppressed = 0 }
        return suppressed
    }
}
