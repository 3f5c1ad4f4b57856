import Synchronization

/// Bytes of request bodies that may be in memory at once, over all connections and receivers of the process.
///
/// A request reserves before its body is read, grows while it is read and inflated, and releases when it is answered.
/// What it announces is not taken from others before it comes; one for which there is no room any more when it comes is
/// refused at once, so that no two half-read bodies wait for each other.
/// Safe to use from any thread; a reservation is one compare-and-swap.
package final class AdmissionBudget: Sendable {
    /// How an attempt to reserve ended.
    package enum Verdict: Sendable, Equatable {
        case granted
        /// Others hold the bytes now; a later attempt may succeed.
        case refused
        /// The request alone is larger than the whole budget; trying again cannot help.
        case neverFits
    }

    /// The most bytes that may be reserved at once.
    package let limit: Int
    private let usedBytes = Atomic<Int>(0)
    private let releasedBytes = Atomic<UInt64>(0)
    private let roomBytes: Atomic<Int>
    private let aloneBytes = Atomic<Int>(0)
    private let isStarved = Atomic(false)
    private let roomMakers = Mutex<[ObjectIdentifier: @Sendable () -> Void]>([:])
    private let refusedRequests = Atomic<UInt64>(0)
    /// How fast bytes are released, for advice to those that are refused.
    let drainRate = DrainRate()

    /// A budget of `limitBytes`; less than one byte counts as one.
    package init(limitBytes: Int) {
        limit = max(limitBytes, 1)
        roomBytes = Atomic(max(limitBytes, 1))
    }

    /// Bytes that are reserved now.
    package var used: Int { usedBytes.load(ordering: .relaxed) }

    /// Bytes that may be reserved at once as things stand: the limit, or less while the gateway holds much else.
    package var room: Int { min(limit, roomBytes.load(ordering: .relaxed)) }

    /// Requests for which there was no room, since the beginning.
    var refusals: UInt64 { refusedRequests.load(ordering: .relaxed) }

    /// Says for how many bytes there is room at present; what is already reserved stays reserved.
    /// - Parameter alone: bytes that a request may reserve while no other holds any, when that is more.
    package func setRoom(_ bytes: Int, alone: Int = 0) {
        roomBytes.store(max(bytes, 0), ordering: .relaxed)
        aloneBytes.store(min(max(alone, 0), limit), ordering: .relaxed)
    }

    /// Whether, since this was asked last, a request was refused while others reserved little: it was not they that
    /// took the memory it needs.
    package func takeStarved() -> Bool { isStarved.exchange(false, ordering: .relaxed) }

    /// `make` is called, from any thread, when memory or descriptors are short that no request holds, until its owner
    /// ends that.
    func whenRoomIsWanted(by owner: AnyObject, _ make: @escaping @Sendable () -> Void) {
        roomMakers.withLock { $0[ObjectIdentifier(owner)] = make }
    }

    /// To be called when `owner` goes.
    func makesNoRoom(_ owner: AnyObject) { roomMakers.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(owner)) } }

    /// Asks for memory and descriptors that are not those of requests.
    package func wantRoom() { for make in roomMakers.withLock({ Array($0.values) }) { make() } }

    /// Reserves `bytes` for a request that already holds `held` bytes. One that is going to want more, `expected` in
    /// all, is granted nothing unless there is room for all of that now.
    func reserve(_ bytes: Int, expected: Int = 0, held: Int) -> Verdict {
        guard bytes > 0 else { return .granted }
        let wanted = max(bytes, expected - held)
        let (total, overflows) = held.addingReportingOverflow(wanted)
        guard !overflows, total <= limit else { return .neverFits }
        let room = room
        var current = usedBytes.load(ordering: .relaxed)
        while true {
            let others = current - held
            let most = others <= 0 ? max(room, aloneBytes.load(ordering: .relaxed)) : room
            // `current` may exceed a room that became smaller meanwhile, so the difference may be negative.
            guard wanted <= most - current else {
                if others <= limit / 4 { isStarved.store(true, ordering: .relaxed) }
                refusedRequests.wrappingAdd(1, ordering: .relaxed)
                return .refused
            }
            let attempt = usedBytes.weakCompareExchange(
                expected: current, desired: current + bytes, ordering: .relaxed)
            if attempt.exchanged { return .granted }
            current = attempt.original
        }
    }

    /// Counts bytes that are in memory already, whether there is room for them or not.
    func take(_ bytes: Int) { usedBytes.wrappingAdd(bytes, ordering: .relaxed) }

    func release(_ bytes: Int) {
        usedBytes.wrappingSubtract(bytes, ordering: .relaxed)
        releasedBytes.wrappingAdd(UInt64(max(bytes, 0)), ordering: .relaxed)
    }

    /// Bytes that were ever released.
    package var releasedTotal: UInt64 { releasedBytes.load(ordering: .relaxed) }
}

/// What one connection's current request holds of the budget. Used on the connection's event loop only.
final class AdmissionTicket {
    private let budget: AdmissionBudget
    private(set) var held = 0

    init(budget: AdmissionBudget) { self.budget = budget }

    /// Reserves `bytes` more, of `expected` in all.
    func grow(by bytes: Int, expected: Int = 0) -> AdmissionBudget.Verdict {
        let verdict = budget.reserve(bytes, expected: expected, held: held)
        if verdict == .granted, bytes > 0 { held += bytes }
        return verdict
    }

    /// Counts bytes more that are in memory already.
    func take(_ bytes: Int) {
        budget.take(bytes)
        held += bytes
    }

    /// What it holds, and whom that may have kept out.
    var claim: ConnectionClock.Claim { ConnectionClock.Claim(held: held, refusals: budget.refusals) }

    /// Gives back all bytes but `kept`; safe to call when there are none.
    func release(keeping kept: Int = 0) {
        guard held > kept else { return }
        budget.release(held - kept)
        held = kept
    }

    deinit { release() }
}
