import Pipeline
import Synchronization
import Telemetry

extension ExportWorker {
    /// Reads and starts deliveries until cancelled, or until nothing is held while draining.
    func deliver() async {
        var batcher = Batcher(setup.options.queue.batch, bytesMax: setup.batchBytesMax)
        var ready: [PreparedBatch] = []
        var nextReady = 0
        var inFlight = 0
        await withTaskGroup(of: Void.self) { group in
            while !Task.isCancelled {
                while nextReady < ready.count {
                    if inFlight == concurrency {
                        await group.next()
                        inFlight -= 1
                        if Task.isCancelled { break }
                    }
                    let batch = ready[nextReady]
                    nextReady += 1
                    inFlight += 1
                    group.addTask { await self.export(batch) }
                }
                if Task.isCancelled { break }
                ready.removeAll(keepingCapacity: true)
                nextReady = 0
                if state.withLock({ $0.tracker.openFrames }) >= Self.openFramesMax {
                    if inFlight == 0 { batcher.flushAll(ready: &ready) }
                    if await group.next() != nil { inFlight -= 1 }
                    continue
                }
                let isEmpty = await fill(&batcher, &ready)
                guard isEmpty, ready.isEmpty, state.withLock({ $0.isDraining }) else { continue }
                batcher.flushAll(ready: &ready)
                if ready.isEmpty {
                    await group.waitForAll()
                    if cursor.backlog.items == 0 || Task.isCancelled { return }
                    inFlight = 0
                }
            }
            // Leaving the group waits for the deliveries; they end at their next pause or attempt.
        }
    }

    /// Reads what is there into the batcher. Returns whether the journal had nothing.
    private func fill(_ batcher: inout Batcher, _ ready: inout [PreparedBatch]) async -> Bool {
        let before = setup.effects.now()
        let isDraining = state.withLock { $0.isDraining }
        var timeout = isDraining ? Duration.milliseconds(10) : Self.pollInterval
        if let deadline = batcher.deadline { timeout = min(timeout, max(deadline - before, .zero)) }
        let frames = await cursor.next(maxFrames: Self.framesPerRead, maxBytes: Self.bytesPerRead, timeout: timeout)
        countLosses()
        let now = setup.effects.now()
        for frame in frames { take(frame, now: now, &batcher, &ready) }
        if frames.isEmpty, now - before < timeout / 2 {
            // A closed journal answers at once; without a pause this loop would spin.
            try? await setup.effects.sleep(timeout)
        }
        batcher.flush(now: setup.effects.now(), ready: &ready)
        return frames.isEmpty
    }

    private func take(_ stored: StoredFrame, now: Duration, _ batcher: inout Batcher, _ ready: inout [PreparedBatch]) {
        let header = stored.frame.header
        let pieces = FrameSplit.pieces(
            of: stored.frame, batch: setup.options.queue.batch, bytesMax: setup.batchBytesMax)
        let ticket = state.withLock { $0.tracker.register(end: stored.end, parts: pieces.count) }
        for piece in pieces {
            batcher.add(
                BatchPart(
                    signal: header.signal, tenant: header.tenant, items: piece.items, bytes: piece.bytes,
                    ticket: ticket),
                now: now, ready: &ready)
        }
    }

    /// Delivers one batch, with all its retries, and settles it. Returns unsettled only when cancelled.
    private func export(_ prepared: PreparedBatch) async {
        let batch = prepared.batch
        let limit = setup.options.retry.elapsedLimit(isDurable: setup.isDurable)
        var schedule = RetrySchedule(setup.options.retry, limit: limit, start: setup.effects.now())
        while !Task.isCancelled {
            switch await exporter.export(batch) {
            case .delivered:
                succeeded()
                account.delivered(batch.itemCount, batch.signal)
                return settle(prepared)
            case .partial(let rejected, let message):
                succeeded()
                let lost = min(max(rejected, 0), batch.itemCount)
                account.delivered(batch.itemCount - lost, batch.signal)
                account.lost(lost, batch.signal, reason: "partial_success")
                if lost > 0 || !message.isEmpty { complain("\(lost) \(batch.signal.itemName) refused: \(message)") }
                return settle(prepared)
            case .permanent(let reason):
                account.lost(batch.itemCount, batch.signal, reason: "rejected")
                complain("\(batch.itemCount) \(batch.signal.itemName) dropped, sending again would not help: \(reason)")
                return settle(prepared)
            case .retry(let reason, let hint):
                if Task.isCancelled { return }
                let random = setup.effects.random()
                switch schedule.failed(at: setup.effects.now(), hint: hint, random: random) {
                case .wait(let pause):
                    failed(reason)
                    do { try await setup.effects.sleep(pause) } catch { return }
                case .giveUp:
                    let name = setup.options.retry.isEnabled ? "retries_exhausted" : "retry_disabled"
                    account.lost(batch.itemCount, batch.signal, reason: name)
                    complain("\(batch.itemCount) \(batch.signal.itemName) dropped after the last attempt: \(reason)")
                    return settle(prepared)
                }
            }
        }
    }

    private func settle(_ prepared: PreparedBatch) {
        // The acknowledgement stays under the lock: `heldItems` must not see one of its two sources without the other.
        state.withLock { state in
            for part in prepared.parts {
                if let sequence = state.tracker.settle(part.ticket, items: part.items) {
                    cursor.acknowledge(before: sequence)
                }
            }
        }
    }

    private func succeeded() {
        let recovered = state.withLock { state in
            defer { state.isFailing = false }
            return state.isFailing
        }
        if recovered { setup.log(.info, "exporter \(setup.exporterID): delivering again") }
    }

    private func failed(_ reason: String) {
        let now = setup.effects.now()
        let suppressed = state.withLock { state in
            state.isFailing = true
            return state.failures.allow(at: now)
        }
        guard let suppressed else { return }
        let more = suppressed > 0 ? " (\(suppressed) more failures since the last line)" : ""
        setup.log(.warn, "exporter \(setup.exporterID): will try again: \(reason)\(more)")
    }

    private func complain(_ message: String) {
        let now = setup.effects.now()
        guard let suppressed = state.withLock({ $0.losses.allow(at: now) }) else { return }
        let more = suppressed > 0 ? " (\(suppressed) more such lines left out)" : ""
        setup.log(.error, "exporter \(setup.exporterID): \(message)\(more)")
    }
}
