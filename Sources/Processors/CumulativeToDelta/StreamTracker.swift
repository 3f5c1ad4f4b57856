import Synchronization

/// Streams behind a lock, for all event loops at once.
final class StreamTracker: Sendable {
    private let streams: Mutex<CountedStreams>

    init(_ streams: CountedStreams) { self.streams = Mutex(streams) }

    var count: Int { streams.withLock { $0.count } }

    /// What points become. The ticket is to be settled once their request is stored; let go of before, it takes back
    /// what the deltas changed, so that the request can come again.
    func convert(_ points: [CountedPoint], now: Int64) -> (conversion: Conversion, ticket: StreamTicket?) {
        let (conversion, number) = streams.withLock { streams -> (Conversion, Int?) in
            let conversion = streams.convert(points, now: now)
            return (conversion, conversion.changes.isEmpty ? nil : streams.keep(conversion.changes))
        }
        return (conversion, number.map { StreamTicket(self, $0) })
    }

    fileprivate func settle(_ number: Int) { streams.withLock { $0.settle(number) } }

    fileprivate func revert(_ number: Int) { streams.withLock { $0.revert(number) } }
}

/// The deltas of one request until it is stored.
///
/// Nobody tells a processor that a request was refused, at whatever step: what was to be done when it is stored is let
/// go of, and this with it.
final class StreamTicket: Sendable {
    private let tracker: StreamTracker
    private let number: Int

    init(_ tracker: StreamTracker, _ number: Int) {
        self.tracker = tracker
        self.number = number
    }

    deinit { tracker.revert(number) }

    func settle() { tracker.settle(number) }
}
