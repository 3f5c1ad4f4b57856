package import Pipeline
import Synchronization
import Telemetry

/// The cap of one exporter's backlog. The journal is shared by all exporters of a pipeline; the cap is each one's own.
extension ExportWorker {
    /// What intake does with one more request for this exporter.
    package enum Admission: Sendable {
        case take
        /// Answer the sender that it has to wait.
        case refuse
        /// Store it for the others; this exporter passes over it (see `skip`).
        case skip
    }

    /// Whether the backlog has a cap that intake must ask about.
    package var hasIntakeCap: Bool {
        setup.options.queue.capacity != nil && setup.options.queue.overflow != .dropOldest
    }

    /// Whether a sender that is refused may wait for room.
    package var letsSendersWait: Bool {
        setup.options.queue.blocksOnOverflow && !state.withLock { $0.turnsSendersAway }
    }

    /// The gateway ends: nobody waits for room any more.
    package func turnSendersAway() { state.withLock { $0.turnsSendersAway = true } }

    /// `type/name` of the exporter.
    package var exporterID: String { setup.exporterID }

    /// Asked before a request is stored. Far from the cap that takes no lock: the thread that has it may be waiting for
    /// its processor.
    package func admission(of frame: Frame) -> Admission {
        guard hasIntakeCap, let capacity = setup.options.queue.capacity else { return .take }
        let size = intakeSize(of: frame)
        let left = intakeRoom.subtract(size, ordering: .relaxed).newValue
        if left >= 0 { return .take }
        let room = capacity - setup.options.queue.sizer.measure(openBacklog)
        // Half of it, since what is on its way into the journal is not in the backlog yet; and nothing where others
        // have asked meanwhile, who know better.
        _ = intakeRoom.compareExchange(expected: left, desired: room / 2 - size, ordering: .relaxed)
        if room > 0 { return .take }
        return setup.options.queue.overflow == .dropNewest ? .skip : .refuse
    }

    /// At least what the backlog counts for a frame once it is stored.
    private func intakeSize(of frame: Frame) -> Int {
        var amount = HeldAmount(frame)
        amount.bytes += frame.header.tenant.utf8.count + Self.recordOverheadMax
        // How large they are in a journal is not worth counting.
        if !frame.header.metadata.fields.isEmpty { amount.bytes += Self.metadataBytesMax }
        return setup.options.queue.sizer.measure(amount)
    }

    /// More than a journal adds to a frame and its tenant, and more than receivers take of headers.
    private static let recordOverheadMax = 64
    private static let metadataBytesMax = 1 << 20

    /// Told after a frame was stored that this exporter shall pass over. Once another worker may have the cursor it is
    /// too late: that one may have read the frame, and knows of nothing to pass over that is not in the cursor.
    package func skip(_ frame: StoredFrame) {
        let isSkipped = state.withLock { state in
            guard !state.mayGoOn, state.skipped.takes(frame) else { return false }
            switch cursor.skip(frame) {
            case .late: return false
            case .gone: break
            case .passing(let amount): state.skipped.add(frame, amount)
            }
            if setup.journal != nil { state.outcomes.add(frame.range, "dropped: \(Self.overflowReason)") }
            // Under the lock: it comes before the acknowledgement.
            setup.lost(frame.end, Int(frame.frame.header.itemCount), Self.overflowReason)
            return true
        }
        if isSkipped { account.dropped(Int(frame.frame.header.itemCount), reason: Self.overflowReason) }
    }

    private static let overflowReason = "overflow_newest"

    /// What is neither delivered nor dropped yet. Frames and bytes of a request that is sent in parts count until all
    /// of them are settled.
    var openBacklog: HeldAmount { state.withLock { backlog($0) } }

    /// The same under the lock.
    func backlog(_ state: borrowing State) -> HeldAmount {
        var open = cursor.backlog
        open -= state.tracker.settled
        open -= state.skipped.amount
        return HeldAmount(frames: max(0, open.frames), items: max(0, open.items), bytes: max(0, open.bytes))
    }

    /// The backlog without what is given up or settled already is above the cap.
    private func isOverfull(_ state: borrowing State) -> Bool {
        guard let capacity = setup.options.queue.capacity else { return false }
        var left = cursor.backlog
        left -= state.tracker.settled
        left -= state.shedding.amount
        return setup.options.queue.sizer.measure(left) > capacity
    }

    /// Why a delivery is dropped instead of sent (again), nil to send it.
    func reasonToDrop(_ delivery: Delivery) -> String? {
        if setup.options.queue.overflow == .dropOldest, isSurplus(delivery) { return "overflow_oldest" }
        let newest = delivery.prepared.newest
        guard let maxAge = setup.options.queue.maxAge, newest > 0 else { return nil }
        let now = setup.wallTime()
        let age = UInt64(clamping: maxAge.components.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return !age.overflow && now > newest && now - newest > age.partialValue ? "expired" : nil
    }

    /// Whether a delivery is given up because the backlog is above its cap. Decided once, for all of it.
    private func isSurplus(_ delivery: Delivery) -> Bool {
        state.withLock { state in
            if state.shedding.isGivenUp(delivery.number) { return true }
            guard isOverfull(state), state.shedding.isOldest(delivery.number) else { return false }
            state.shedding.giveUp(delivery.number, delivery.left)
            return true
        }
    }

    /// How long a delivery that may be dropped waits before it looks again.
    var dropInterval: Duration {
        setup.options.queue.overflow == .dropOldest && state.withLock({ isOverfull($0) })
            ? .milliseconds(5) : Self.pollInterval
    }

    /// Whether batches may have to be dropped while they wait for their next attempt.
    var dropsWhileWaiting: Bool {
        let queue = setup.options.queue
        return queue.maxAge != nil || (queue.capacity != nil && queue.overflow == .dropOldest)
    }
}
