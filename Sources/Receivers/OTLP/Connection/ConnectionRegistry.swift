import NIOCore
import Synchronization

/// The open connections of a receiver: caps their number and ends them at shutdown. Safe to use from any thread.
final class ConnectionRegistry: Sendable {
    enum Admission {
        case serve
        /// Over the limit: say so.
        case turnAway
        /// Far over the limit or shutting down: close without a word.
        case close
    }

    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isClosing = false
        var waiters: [CheckedContinuation<Void, Never>] = []

        mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
            defer { waiters = [] }
            return waiters
        }
    }

    /// Connections beyond the limit that are told so at once.
    static let turnedAwayMax = 64

    private let state = Mutex(State())
    private let connectionsMax: Int

    init(connectionsMax: Int) { self.connectionsMax = connectionsMax }

    var count: Int { state.withLock { $0.channels.count } }

    /// Registers a new connection until it closes, unless it must be closed at once.
    func admit(_ channel: any Channel) -> Admission {
        let id = ObjectIdentifier(channel)
        let admission = state.withLock { state -> Admission in
            guard !state.isClosing, state.channels.count < connectionsMax + Self.turnedAwayMax else { return .close }
            let admission: Admission = state.channels.count < connectionsMax ? .serve : .turnAway
            state.channels[id] = channel
            return admission
        }
        if admission != .close { channel.closeFuture.whenComplete { _ in self.remove(id) } }
        return admission
    }

    private func remove(_ id: ObjectIdentifier) {
        let waiters = state.withLock { state in
            state.channels[id] = nil
            return state.channels.isEmpty ? state.takeWaiters() : []
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Lets no connection in any more and asks those that are open to end after their present request.
    func quiesce() {
        let channels = state.withLock { state in
            state.isClosing = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }

    /// Cuts all connections.
    func closeAll() {
        let channels = state.withLock { Array($0.channels.values) }
        for channel in channels { channel.close(promise: nil) }
    }

    /// Returns when no connection is open.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.channels.isEmpty { state.waiters.append(continuation) }
                return state.channels.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
    }
}
