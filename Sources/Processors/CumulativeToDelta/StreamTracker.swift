import Synchronization

/// Streams behind a lock, for all event loops at once.
final class StreamTracker: Sendable {
    private let streams: Mutex<CountedStreams>

    init(_ streams: CountedStreams) { self.streams = Mutex(streams) }

    var count: Int { streams.withLock { $0.count } }

    /// What points become. The ticket is to be settled once their request is stored; let go of before, it takes back
    /// what the deltas changed, so that the request can come again.
    func convert(_ points: [CountedPoint], now: Int64) -> (conversion: Conversion, ticket: StreamTicket?) {
        let conversion = streams.withLock { $0.convert(points, now: now) }
        let ticket = conversion.changes.isEmpty ? nil : StreamTicket(self, conversion.changes)
        return (conversion, ticket)
    }

    fileprivate func revert(_ changes: [StreamChange]) { streams.withLock { $0.revert(changes) } }
}

/// The deltas of one request until it is stored.
///
/// Nobody tells a processor that a request was refused, at whatever step: what was to be done when it is stored is let
/// go of, and this with it.
final class StreamTicket: Sendable {
    private let tracker: StreamTracker
    private let changes: Mutex<[StreamChange]>

    init(_ tracker: StreamTracker, _ changes: [StreamChange]) {
        self.tracker = tracker
        self.changes = Mutex(changes)
    }

    deinit {
        let open = changes.withLock { $0 }
        if !open.isEmpty { tracker.revert(open) }
    }

    func settle() { changes.withLock { $0 = [] } }
}
