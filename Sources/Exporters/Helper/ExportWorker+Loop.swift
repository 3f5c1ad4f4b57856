import CSupport
import Pipeline
import Synchronization
import Telemetry

/// What the loop waits for.
private enum DeliveryEvent: Sendable {
    /// A delivery is over.
    case ended(Int, size: Int, took: Duration)
    /// It is over, and what it holds is not settled.
    case givenUp
    /// `DeliveryWindow.lateness` has passed.
    case late
}

extension ExportWorker {
    /// Reads and starts deliveries until cancelled or told to leave, or until nothing is held while draining.
    func deliver() async {
        var batcher = Batcher(setup.options.queue.batch, bytesMax: setup.batchBytesMax)
        var ready: [PreparedBatch] = []
        var nextReady = 0
        var window = DeliveryWindow(width: concurrency, bytesMax: setup.bytesInFlightMax)
        var isTrickling = false
        await withTaskGroup(of: DeliveryEvent.self) { group in
            while !isEnding {
                while nextReady < ready.count {
                    let batch = ready[nextReady]
                    let size = batch.batch.byteCount
                    let mustSpare = window.mustSpare(for: size)
                    if mustSpare || window.isFull(for: size) {
                        if mustSpare { time(&group, &window) }
                        // When none runs, what is given up has all places.
                        guard await reap(&group, &window) else { return }
                        if isEnding { break }
                        continue
                    }
                    nextReady += 1
                    await begin(batch, &group, &window)
                }
                if isEnding { break }
                ready.removeAll(keepingCapacity: true)
                nextReady = 0
                if state.withLock({ $0.tracker.openFrames }) >= Self.openFramesMax {
                    if await reap(&group, &window) { continue }
                    batcher.flushAll(ready: &ready)
                    if ready.isEmpty, window.running > 0 { return }
                    continue
                }
                if isTrickling { try? await setup.effects.sleep(Self.gatherTime) }
                let isEmpty = await fill(&batcher, &ready, &window)
                // Without batches each frame is a delivery. When they come one by one those of the next moment are read
                // together, instead of a wake-up for each.
                isTrickling =
                    setup.options.queue.batch == nil && ready.count == 1 && !isDraining
                    && ready[0].batch.byteCount < Self.bytesPerRead / 8
                guard isEmpty, ready.isEmpty, isDraining else { continue }
                batcher.flushAll(ready: &ready)
                if ready.isEmpty {
                    await group.waitForAll()
                    if cursor.backlog.items == 0 || Task.isCancelled || isAllGivenUp { return }
                    window.endAll()
                }
            }
            // Leaving the group waits for the deliveries; they end at their next pause or attempt.
        }
    }

    private func begin(
        _ batch: PreparedBatch, _ group: inout TaskGroup<DeliveryEvent>, _ window: inout DeliveryWindow
    ) async {
        if window.mustWrite {
            let ended = ended.load(ordering: .acquiring)
            await cursor.finishedWriting()
            window.written = ended
        }
        let size = batch.batch.byteCount
        let number = window.begin(size)
        group.addTask {
            let began = self.setup.effects.now()
            guard await self.export(batch) else { return .givenUp }
            self.ended.add(1, ordering: .releasing)
            return .ended(number, size: size, took: self.setup.effects.now() - began)
        }
    }

    /// Has the group say when what runs is late.
    private func time(_ group: inout TaskGroup<DeliveryEvent>, _ window: inout DeliveryWindow) {
        if window.isTimed { return }
        window.isTimed = true
        group.addTask {
            try? await self.setup.effects.sleep(DeliveryWindow.lateness)
            return .late
        }
    }

    /// Waits for the end of a delivery, or until those that run are late, and takes all that have ended; false when
    /// none runs. One that has ended unsettled keeps its place: what fails is not followed by all that is behind it.
    private func reap(_ group: inout TaskGroup<DeliveryEvent>, _ window: inout DeliveryWindow) async -> Bool {
        repeat {
            switch await group.next() {
            case .ended(let number, let size, let took): window.end(number, size, took: took)
            case .givenUp: break
            case .late: window.passTime()
            case nil: return false
            }
        } while window.reaped < ended.load(ordering: .acquiring)
        return true
    }

    /// Whether nothing is left but what a drain has given up.
    private var isAllGivenUp: Bool {
        state.withLock { state in
            let left = backlog(state).items
            return state.givenUp > 0 && left <= state.givenUp
        }
    }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Nothing more is to be read, and no attempt is to be made.
    var isEnding: Bool { Task.isCancelled || state.withLock { $0.isLeaving } }

    /// Reads what is there into the batcher. Returns whether the journal had nothing.
    private func fill(
        _ batcher: inout Batcher, _ ready: inout [PreparedBatch], _ window: inout DeliveryWindow
    ) async -> Bool {
        // The threads of the pool, of which this is one: senders wait for those that take requests and store them.
        sluice_interrupt_others(false)
        let before = setup.effects.now()
        let isDraining = isDraining
        var timeout = isDraining ? Duration.milliseconds(10) : Self.pollInterval
        if let deadline = batcher.deadline { timeout = min(timeout, max(deadline - before, .zero)) }
        let frames = await cursor.next(maxFrames: Self.framesPerRead, maxBytes: Self.bytesPerRead, timeout: timeout)
        countLosses()
        window.isSparing = frames.last?.isPaced ?? false
        let now = setup.effects.now()
        var bytes = 0
        for frame in frames {
            bytes += frame.frame.bytes.count
            take(frame, now: now, &batcher, &ready)
        }
        let isLittle = frames.count < Self.framesPerRead / 8 && bytes < Self.bytesPerRead / 8
        if let deadline = batcher.deadline, !isDraining, ready.isEmpty, isLittle {
            // A batch is open and little comes: what comes in the next moment is read at once, instead of a wake-up
            // for each request.
            try? await setup.effects.sleep(min(Self.gatherTime, max(deadline - now, .zero)))
        }
        if frames.isEmpty, now - before < timeout / 2 {
            // A closed journal answers at once; without a pause this loop would spin.
            try? await setup.effects.sleep(timeout)
        }
        batcher.flush(now: setup.effects.now(), ready: &ready)
        return frames.isEmpty
    }

    private func take(_ stored: StoredFrame, now: Duration, _ batcher: inout Batcher, _ ready: inout [PreparedBatch]) {
        let header = stored.frame.header
        let amount = cursor.amount(of: stored)
        let isSkipped = state.withLock { state in
            guard state.skipped.take(stored, amount) else { return false }
            let ticket = state.tracker.register(stored.range, parts: 1, newest: header.maxTime, bytes: amount.bytes)
            // Settled under the lock, for `heldItems`.
            var settled = SettledParts()
            settled.add(state.tracker.settle(ticket, items: Int(header.itemCount)))
            settled.tell(cursor)
            return true
        }
        // It was counted when it was skipped.
        if isSkipped { return }
        let pieces = FrameSplit.pieces(
            of: stored, batch: setup.options.queue.batch, bytesMax: setup.batchBytesMax)
        let ticket = state.withLock {
            $0.tracker.register(
                stored.range, parts: pieces.count, newest: header.maxTime, bytes: amount.bytes)
        }
        let metadata = header.metadata.kept(setup.metadataKeys)
        let places = commitLane == nil ? nil : FrameSplit.places(of: pieces, in: stored)
        for (index, piece) in pieces.enumerated() {
            batcher.add(
                BatchPart(
                    signal: header.signal, tenant: header.tenant, metadata: metadata, items: piece.items,
                    bytes: piece.bytes, ticket: ticket, start: piece.start, newest: header.maxTime,
                    place: places?[index]),
                now: now, ready: &ready)
        }
    }
}
