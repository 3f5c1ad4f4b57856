import Synchronization

/// Tells in the log that one condition or statement failed: at once, then at most once in `interval`, with how often it
/// failed meanwhile. What it tells are the words and the text of the statement, never values of records.
package final class OTTLFaultLog: Sendable {
    /// Unix nanoseconds before which nothing more is told.
    private let nextAt = Atomic<Int64>(.min)
    private let untold = Atomic<Int>(0)
    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Int64

    /// Nanoseconds between two lines about one statement.
    package static let interval: Int64 = 10_000_000_000

    package init(now: @escaping @Sendable () -> Int64, write: @escaping @Sendable (String) -> Void) {
        self.write = write
        self.now = now
    }

    /// The log of a condition or statement; nil for a mode that wants none.
    package convenience init?(
        _ mode: OTTLErrorMode, owner: String, write: @escaping @Sendable (String) -> Void
    ) {
        guard mode != .silent else { return nil }
        self.init(now: OTTLEffects.system.now) { write("\(owner): \($0)") }
    }

    /// Takes one failure; safe to call from any thread.
    package func tell(_ failure: OTTLFailure) {
        let count = untold.add(1, ordering: .relaxed).newValue
        let time = now()
        let due = nextAt.load(ordering: .relaxed)
        guard time >= due else { return }
        let (isMine, _) = nextAt.compareExchange(
            expected: due, desired: time &+ OTTLFaultLog.interval, ordering: .relaxed)
        guard isMine else { return }
        untold.subtract(count, ordering: .relaxed)
        write(count > 1 ? "\(failure) (\(count) times)" : "\(failure)")
    }
}
