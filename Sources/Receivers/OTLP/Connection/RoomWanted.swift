import NIOCore

/// Told to all connections of a receiver when another one is turned away: those that have waited for a request, or for
/// the rest of its head, for `idleMin` end. So silent connections, which cost a sender nothing, keep nobody out.
struct RoomWanted {
    /// Longer than a head takes on any working network, shorter than anyone may keep others waiting.
    static let idleMin = TimeAmount.seconds(5)
    /// Connections are told at most once in this time.
    static let pause = TimeAmount.seconds(1)
}
