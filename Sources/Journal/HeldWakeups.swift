/// Readers that wait while senders are answered and send again.
///
/// When a group of appends is stored, its senders send the next ones. What is delivered meanwhile takes the processor
/// of the thread that takes their requests, so that the next group comes later and the disk waits. It is delivered
/// while a later group is on its way to the disk instead, when nobody else has anything to do; and small groups two at
/// a time, which costs less than each by itself. When the disk stalls meanwhile, they go on with their next look, which
/// exporters take each quarter of a second. A value for one thread; times are monotonic nanoseconds.
struct HeldWakeups {
    /// Groups of fewer appends hold nobody up.
    static let fewAppends = 4
    /// So much is delivered with the next group that goes to the disk.
    static let fewBytes = 1 << 20
    static let groupsMax = 2
    /// A disk that takes longer for a group is not waited for twice.
    static let longWrite: UInt64 = 2_000_000
    /// How long readers wait behind a group that none follows.
    static let longestWait: UInt64 = 500_000

    /// More than this never waits: it would slow senders down, whose answers wait for readers that are behind.
    private let bytesMax: Int
    private var wakeups: [Wakeup] = []
    private var groups = 0
    private var bytes = 0
    /// When they are to be fired if no group follows.
    private(set) var deadline: UInt64?

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Takes the readers that a stored group wakes. `took` is how long its write took; `isAwaited` means that senders
    /// are answered only when readers have gone on.
    mutating func add(
        _ new: [Wakeup], appends: Int, bytes: Int, at now: UInt64, took: UInt64 = 0, isAwaited: Bool = false
    ) {
        wakeups += new
        if wakeups.isEmpty { return }
        groups += took > Self.longWrite ? Self.groupsMax : 1
        self.bytes += bytes
        deadline = now &+ Self.longestWait
        if isAwaited || appends < Self.fewAppends || self.bytes > bytesMax { fire() }
    }

    /// A group is on its way to the disk.
    mutating func fireInWait() { if groups >= Self.groupsMax || bytes >= Self.fewBytes { fire() } }

    /// No group has come so far.
    mutating func fire(at now: UInt64) { if let deadline, now >= deadline { fire() } }

    mutating func fire() {
        for wakeup in wakeups { wakeup.fire(true) }
        wakeups.removeAll(keepingCapacity: true)
        deadline = nil
        groups = 0
        bytes = 0
    }
}
