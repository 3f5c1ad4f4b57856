/// Decides when a gateway that has become quiet gives back what a burst has left in the allocator. A value.
struct IdleMemory: Sendable {
    /// Time between two looks.
    static let interval = Duration.seconds(10)
    /// Requests of so many bytes leave enough behind to be worth a walk through all free memory.
    static let burst: UInt64 = 64 << 20
    /// No more than this comes in between two looks, and is in memory, while the gateway is quiet.
    static let quiet = 1 << 20

    /// Bytes of requests that were released before memory was given back last, and at the last look.
    private var givenBackAt: UInt64 = 0
    private var lastReleased: UInt64 = 0

    /// - Parameters:
    ///   - released: bytes of requests that were ever released.
    ///   - reserved: bytes of requests in memory.
    mutating func givesBack(released: UInt64, reserved: Int) -> Bool {
        defer { lastReleased = released }
        guard released &- givenBackAt >= Self.burst, released &- lastReleased <= UInt64(Self.quiet),
            reserved <= Self.quiet
        else { return false }
        givenBackAt = released
        return true
    }
}
