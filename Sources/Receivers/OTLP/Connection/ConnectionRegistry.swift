import NIOCore
import Synchronization

/// The open connections of a receiver: caps their number and ends them at shutdown. Safe to use from any thread.
final class ConnectionRegistry: Sendable {
    enum Admission: Int, Comparable {
        case serve
        /// Over a limit, or few descriptors are left: say so.
        case turnAway
        /// Far over a limit, hardly a descriptor is left, or shutting down: close without a word.
        case close

        static func < (one: Admission, other: Admission) -> Bool { one.rawValue < other.rawValue }
    }

    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Connections by address, kept when there is a limit for one address.
        var addresses: [String: Int] = [:]
        var isClosing = false
        /// When connections were told last that room is wanted.
        var told: NIODeadline?
        var waiters: [CheckedContinuation<Void, Never>] = []

        mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
            defer { waiters = [] }
            return waiters
        }
    }

    /// Connections beyond the limit that are told so at once, in all and of one address.
    static let turnedAwayMax = 64
    static let turnedAwayPerAddressMax = 2

    private let state = Mutex(State())
    private let limits: ConnectionLimits
    private let budget: AdmissionBudget

    /// Connections make room when `budget` asks for it.
    init(_ limits: ConnectionLimits, budget: AdmissionBudget) {
        self.limits = limits
        self.budget = budget
        budget.whenRoomIsWanted(by: self) { [weak self] in self?.makeRoom(now: .now()) }
    }

    deinit { budget.makesNoRoom(self) }

    var count: Int { state.withLock { $0.channels.count } }

    /// Registers a new connection until it closes, unless it must be closed at once. On its event loop.
    func admit(_ channel: any Channel) -> Admission {
        let id = ObjectIdentifier(channel)
        let address = limits.perAddress > 0 ? channel.remoteAddress?.ipAddress : nil
        let room = DescriptorRoom.admission(channel)
        var isFull = false
        let admission = state.withLock { state -> Admission in
            guard !state.isClosing else { return .close }
            let all = Self.judge(state.channels.count, limits.total, turnedAwayMax: Self.turnedAwayMax)
            isFull = all != .serve
            var own = Admission.serve
            if let address {
                own = Self.judge(
                    state.addresses[address] ?? 0, limits.perAddress, turnedAwayMax: Self.turnedAwayPerAddressMax)
            }
            let admission = max(all, own, room)
            guard admission != .close else { return .close }
            state.channels[id] = channel
            if let address { state.addresses[address, default: 0] += 1 }
            return admission
        }
        // Who is at a limit of its own is nobody else's concern.
        if isFull { makeRoom(now: channel.eventLoop.now) }
        // Descriptors are everybody's.
        if room != .serve { budget.wantRoom() }
        if admission != .close { channel.closeFuture.whenComplete { _ in self.remove(id, address) } }
        return admission
    }

    /// Asks connections that are silent to end.
    private func makeRoom(now: NIODeadline) {
        let channels = state.withLock { state -> [any Channel] in
            if state.isClosing { return [] }
            if let told = state.told, now - told < RoomWanted.pause { return [] }
            state.told = now
            return Array(state.channels.values)
        }
        for channel in channels { channel.pipeline.fireUserInboundEventTriggered(RoomWanted()) }
    }

    private static func judge(_ open: Int, _ limit: Int, turnedAwayMax: Int) -> Admission {
        open < limit ? .serve : open < limit + turnedAwayMax ? .turnAway : .close
    }

    private func remove(_ id: ObjectIdentifier, _ address: String?) {
        let waiters = state.withLock { state in
            state.channels[id] = nil
            if let address, let open = state.addresses[address] {
                state.addresses[address] = open > 1 ? open - 1 : nil
            }
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
