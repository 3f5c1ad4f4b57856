import NIOCore

/// Told to all connections when another one is turned away, or when requests are refused for want of memory that none
/// holds: those that have long waited for a request, or for the rest of its head, end. So silent connections, which
/// cost a sender nothing, keep nobody out, and neither do the buffers that open connections keep.
struct RoomWanted {
    /// Connections are told at most once in this time.
    static let pause = TimeAmount.seconds(1)

    /// How long a connection may be silent then. Longer than a head takes on any working network, shorter than anyone
    /// may keep others waiting; and for one that has brought a request longer than the batches of SDKs are apart.
    static func silenceMax(hasBroughtRequest: Bool) -> TimeAmount { hasBroughtRequest ? .seconds(15) : .seconds(5) }
}
