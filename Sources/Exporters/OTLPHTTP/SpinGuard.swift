/// Notices a loop that goes round and round and brings nothing about, as with a socket that is ready for ever or a
/// timer that is always due, and slows it down. A value without effects.
struct SpinGuard {
    /// Rounds without a transfer begun or ended that are no cause for suspicion: many times those of the largest body.
    static let roundsMax = 50_000
    /// Microseconds between rounds from then on, until something comes about.
    static let pause: UInt32 = 1_000

    private var rounds = 0

    /// A transfer has begun or ended.
    mutating func moved() { rounds = 0 }

    /// Another round without. Gives the microseconds to wait before the next.
    mutating func stood() -> UInt32 {
        rounds = min(rounds + 1, Self.roundsMax + 1)
        return rounds > Self.roundsMax ? Self.pause : 0
    }
}
