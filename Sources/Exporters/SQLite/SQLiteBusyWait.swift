import Glibc
import Synchronization

/// How long SQLite waits while another program writes: for a time, and not much longer than anybody waits for it.
final class SQLiteBusyWait: Sendable {
    /// The rest of the wait of what is ending: closing waits for readers that soon go.
    private static let endingTime = Duration.seconds(1)

    private let timeout: Duration
    private let isLost: @Sendable () -> Bool
    private let start = Mutex(ContinuousClock.now)
    private let ending = Atomic(false)

    /// `isLost` tells that nobody waits any more for what is under way.
    init(timeout: Duration, isLost: @escaping @Sendable () -> Bool = { false }) {
        self.timeout = timeout
        self.isLost = isLost
    }

    /// Set while the database is being closed, or is to be.
    var isEnding: Bool {
        get { ending.load(ordering: .relaxed) }
        set { ending.store(newValue, ordering: .relaxed) }
    }

    /// Called by SQLite, with how often it was before for the same lock: blocks for a moment. False to give up.
    func goesOn(_ tries: Int) -> Bool {
        let now = ContinuousClock.now
        let begin = start.withLock { start in
            if tries == 0 { start = now }
            return start
        }
        guard now - begin < (isEnding ? min(timeout, Self.endingTime) : timeout), !isLost() else { return false }
        usleep(UInt32(min(1 << min(tries, 6), 50)) * 1_000)
        return true
    }
}
