/// Decides from looks at the process' memory how many bytes of requests there is room for, and when memory that is
/// free is worth giving back to the system. A value; who looks, and how often, is `MemoryWatch`'s matter.
struct MemoryGate: Sendable {
    /// What follows from a look.
    struct Verdict: Equatable, Sendable {
        /// Bytes of requests that may be in memory at once until the next look.
        var room: Int
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

    let shares: MemoryShares
    /// When memory was given back last, and how much was resident.
    private var last: (time: Duration, resident: Int)?

    init(_ shares: MemoryShares) { self.shares = shares }

    /// - Parameters:
    ///   - resident: bytes of the process that are in memory; nil when the system does not tell.
    ///   - reserved: bytes of requests in memory.
    ///   - held: bytes that are held beside requests, such as traces that are not complete.
    ///   - now: time since any fixed origin.
    mutating func look(resident: Int?, reserved: Int, held: Int, now: Duration) -> Verdict {
        // What requests, and what is made of them, will have taken when all that is reserved has come.
        var room = (shares.room - held) / 2
        if let resident {
            // Growth since the look counts half as much again, for what is made of a body while it is worked on.
            let left = shares.soft - resident
            room = min(room, left > 0 ? reserved + left / 3 * 2 : 0)
        }
        let taken = max(held, (resident ?? 0) - shares.baseline)
        return Verdict(
            room: max(room, 0), givesBack: givesBack(resident, now),
            pause: taken > shares.room / 2 ? Self.tense : Self.calm)
    }

    private mutating func givesBack(_ resident: Int?, _ now: Duration) -> Bool {
        guard let resident, resident - shares.baseline > shares.room / 4 * 3 else { return false }
        if let last {
            let hasHelped = resident <= last.resident - shares.room / 16
            // Nothing is taken in while it is full, so whatever can be had matters.
            let wait = hasHelped || resident >= shares.soft ? Self.soon : Self.later
            guard now - last.time >= wait else { return false }
        }
        last = (now, resident)
        return true
    }
}
