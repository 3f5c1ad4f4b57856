/// Decides whether the writer, when the disk has answered, interrupts the thread that has its processor.
///
/// It does not, as a rule: that thread is one of the gateway's, and interrupting it makes each group of appends cost
/// more. Two cases differ. Senders that are answered before the disk is would fill the queue; and strangers on the same
/// processor take turns of milliseconds, for each of which senders would wait. The first shows in the queue, the second
/// in how long the writer waits for its turns: behind the gateway's own threads 0.03 to 0.65 ms, behind programs that
/// compute 1.7 to 2.2 ms (Benchmarks/README.md). A value without effects; times are monotonic nanoseconds.
struct WriterTurns: Sendable {
    /// What the system counts of a thread since it began.
    struct Waits: Sendable, Equatable {
        /// Nanoseconds that it could have run and did not.
        var time: UInt64
        var turns: UInt64
    }

    /// Mean wait above which others than the gateway's threads are in the way.
    static let longWait: UInt64 = 1_000_000
    /// Time between two looks.
    static let interval: UInt64 = 50_000_000
    /// Fewer turns tell nothing.
    static let fewTurns: UInt64 = 8
    /// How long the writer interrupts others before it tries again without, at first and at most.
    static let firstHurry: UInt64 = 1_000_000_000
    static let longestHurry: UInt64 = 32_000_000_000

    private(set) var interrupts = false
    private var fillsQueue = false
    private var hurriesUntil: UInt64?
    private var nextHurry = Self.firstHurry
    private var lookedAt: UInt64?
    /// Where the turns begin that are looked at.
    private var before: Waits?

    /// Takes what waits for the writer: whether some of it is answered already, and how much of the queue's room it
    /// takes. `look` asks the system for the writer's waits, nil when it does not tell; it costs a few microseconds
    /// and is called once per interval. Gives `interrupts` when it changes.
    mutating func next(
        isAnswered: Bool, bytes: Int, of room: Int, at now: UInt64, look: () -> Waits?
    ) -> Bool? {
        if isAnswered || bytes > room / 2 {
            fillsQueue = true
        } else if bytes < room / 8 {
            fillsQueue = false
        }
        if !interrupts { measure(at: now, look) }
        if let end = hurriesUntil, now >= end { hurriesUntil = nil }
        let mustInterrupt = fillsQueue || hurriesUntil != nil
        guard mustInterrupt != interrupts else { return nil }
        interrupts = mustInterrupt
        before = nil
        lookedAt = nil
        return mustInterrupt
    }

    private mutating func measure(at now: UInt64, _ look: () -> Waits?) {
        if let lookedAt, now &- lookedAt < Self.interval { return }
        lookedAt = now
        guard let waits = look() else { return }
        guard let before else {
            before = waits
            return
        }
        let (time, turns) = (waits.time &- before.time, waits.turns &- before.turns)
        // The longer each turn is waited for, the fewer there are: they add up.
        guard turns >= Self.fewTurns else { return }
        self.before = waits
        if time / turns > Self.longWait {
            hurriesUntil = now &+ nextHurry
            nextHurry = min(nextHurry * 2, Self.longestHurry)
        } else {
            nextHurry = Self.firstHurry
        }
    }
}
