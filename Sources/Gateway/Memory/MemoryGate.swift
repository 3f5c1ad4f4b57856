/// Decides from looks at the process' memory how many bytes of requests there is room for, and when memory that is
/// free is worth giving back to the system. A value; who looks, and how often, is `MemoryWatch`'s matter.
struct MemoryGate: Sendable {
    /// What follows from a look.
    struct Verdict: Equatable, Sendable {
        /// Bytes of requests that may be in memory at once until the next look.
        var room: Int
        /// Bytes that a request may take while there is no other; at least `room`.
        var alone: Int
        /// Whether the allocator is to give back what is free.
        var givesBack: Bool
        /// Time until the next look, unless the configuration asks for a shorter one.
        var pause: Duration
    }

    /// Between looks while there is memory enough, and while there is not.
    static let calm = Duration.milliseconds(100)
    static let tense = Duration.milliseconds(20)
    /// Least time between two times that memory is given back: when the last helped or memory is full, and otherwise.
    static let soon = Duration.milliseconds(200)
    static let later = Duration.seconds(2)
    /// After refusals over this time, though memory was given back, a request that is alone is let in.
    static let patience = Duration.milliseconds(500)
    /// Refusals further apart have nothing to do with each other. More than the time that a refused sender waits.
    static let memory = Duration.seconds(10)

    let shares: MemoryShares
    /// When memory was given back last, and how much was resident.
    private var last: (time: Duration, resident: Int)?
    /// When requests were refused though others reserved little.
    private var starved: (first: Duration, latest: Duration)?
    /// Whether a request is in that was let in because those before it had waited.
    private var hasLetIn = false

    init(_ shares: MemoryShares) { self.shares = shares }

    /// - Parameters:
    ///   - resident: bytes of the process that are in memory; nil when the system does not tell.
    ///   - reserved: bytes of requests in memory.
    ///   - held: bytes that are held beside requests, such as traces that are not complete.
    ///   - isStarved: whether a request was refused since the last look though others reserved little.
    ///   - now: time since any fixed origin.
    mutating func look(
        resident: Int?, reserved: Int, held: Int, isStarved: Bool = false, now: Duration
    ) -> Verdict {
        note(isStarved, reserved, now)
        // What requests, and what is made of them, will have taken when all that is reserved has come.
        let most = max((shares.room - held) / 2, 0)
        var room = most
        var alone = most
        if let resident {
            // Growth since the look counts half as much again, for what is made of a body while it is worked on.
            let left = shares.soft - resident
            room = min(most, left > 0 ? reserved + left / 3 * 2 : 0)
            // The burst may not be exceeded by much, so what is made of the one body counts as much as the body.
            let leftAlone = shares.lone - resident
            alone = hasWaited ? most : max(room, min(most, leftAlone > 0 ? reserved + leftAlone / 2 : 0))
        }
        let taken = max(held, (resident ?? 0) - shares.baseline)
        return Verdict(
            room: room, alone: alone, givesBack: givesBack(resident, isStarved, now),
            pause: isStarved || taken > shares.room / 2 ? Self.tense : Self.calm)
    }

    private mutating func note(_ isStarved: Bool, _ reserved: Int, _ now: Duration) {
        // One at a time: memory is given back again before the next.
        if hasLetIn, reserved == 0 { starved = nil }
        hasLetIn = hasWaited && reserved > 0
        if let known = starved, now - known.latest > Self.memory { starved = nil }
        if isStarved { starved = (starved?.first ?? now, now) }
    }

    /// Whether giving memory back has not helped those that were refused. What the gateway has in memory then is its
    /// own, does not get less by waiting, and must not keep out for ever what would fit beside it.
    private var hasWaited: Bool {
        guard let starved, let last, last.time >= starved.first else { return false }
        return starved.latest - starved.first >= Self.patience
    }

    private mutating func givesBack(_ resident: Int?, _ isStarved: Bool, _ now: Duration) -> Bool {
        guard let resident else { return false }
        guard isStarved || resident - shares.baseline > shares.room / 4 * 3 else { return false }
        if let last {
            let hasHelped = resident <= last.resident - shares.room / 16
            // Nothing is taken in while it is full, so whatever can be had matters.
            let wait = hasHelped || isStarved || resident >= shares.soft ? Self.soon : Self.later
            guard now - last.time >= wait else { return false }
        }
        last = (now, resident)
        return true
    }
}
