import OTLP
import Pipeline
import Synchronization
import Telemetry

extension ExportWorker {
    /// The records of a batch that cannot be processed, which are kept together: very many may fail alike.
    private struct Unprocessed {
        private(set) var ends: [End] = []

        /// Takes in how a piece has ended, without its bytes, which are in the whole batch too; false when that is
        /// something else, or its place is unknown.
        mutating func take(_ end: End) -> Bool {
            guard end.place != nil, case .lost(let batch, .processorFailed, let message) = end.ending else {
                return false
            }
            var end = end
            end.ending = .lost(batch.with(itemCount: batch.itemCount, bytes: []), .processorFailed, message: message)
            ends.append(end)
            return true
        }

        /// How they end; nil when there are none.
        func ending(in whole: ExportBatch) -> Ending? {
            guard case .lost(_, let cause, let message) = ends.first?.ending else { return nil }
            return .lost(FrameSplit.part(ends.compactMap(\.place), of: whole), cause, message: message)
        }

        var filtered: Int { ends.reduce(0) { $0 + $1.filtered } }
    }

    /// Delivers one batch, with all its retries, and settles it. False when it is left unsettled, which it is only when
    /// the worker ends: then what was not settled by itself is not counted, and comes again after a restart.
    func export(_ prepared: PreparedBatch) async -> Bool {
        guard let number = begin(prepared) else { return true }
        var delivery = Delivery(number: number, prepared: prepared)
        guard await isEnded(&delivery) else {
            stop(delivery)
            return false
        }
        settle(delivery)
        return true
    }

    /// The number of a delivery that begins; nil when what is not under way is given up.
    private func begin(_ prepared: PreparedBatch) -> Int? {
        state.withLock { state in
            guard state.forsaken == nil else { return nil }
            state.underWay += prepared.batch.itemCount
            return state.shedding.add()
        }
    }

    /// A delivery ends unsettled: for another worker, or for nobody.
    private func stop(_ delivery: Delivery) {
        let left = delivery.left.items
        let reason: String? = state.withLock { state in
            state.shedding.leave(delivery.number)
            state.underWay -= left
            return state.forsaken
        }
        guard let reason, left > 0 else { return }
        account.dropped(left, reason: reason)
        complain("\(left) records are lost: the last attempt to deliver them failed")
    }

    /// Sends a delivery until all of it has ended, which is counted and told; false when the worker ends before. A part
    /// whose place is known is settled while others are open.
    private func isEnded(_ delivery: inout Delivery) async -> Bool {
        let prepared = delivery.prepared
        // They come again if others are not delivered, and are counted when all are.
        var uncounted: [End] = []
        var unprocessed = Unprocessed()
        var waiting = [Piece(batch: journaled(prepared), requests: prepared.parts.map { $0.items.count }, start: 0)]
        var copies = OTLPSplitter.bytesMax(ofParts: prepared.batch.byteCount)
        while let piece = waiting.popLast() {
            if !delivery.settled.isEmpty { await cursor.finishedWriting() }
            var filtered = 0
            let last = await attempts(piece.batch, of: delivery, filtered: &filtered)
            guard let ending = ending(of: piece, last, &waiting, &copies) else { continue }
            if case .stopped = ending { return false }
            let end = End(ending: ending, place: piece.place, filtered: filtered)
            if unprocessed.take(end) { continue }
            guard let place = end.place, !ending.isCommitted else {
                uncounted.append(end)
                continue
            }
            guard await account(for: ending, filtered: filtered, of: delivery) else { return false }
            tell(end, of: prepared)
            if !waiting.isEmpty || !unprocessed.ends.isEmpty || !uncounted.isEmpty { settle(place, of: &delivery) }
        }
        if let ending = unprocessed.ending(in: prepared.batch) {
            guard await account(for: ending, filtered: unprocessed.filtered, of: delivery) else { return false }
            for end in unprocessed.ends { tell(end, of: prepared) }
        }
        for end in uncounted {
            guard await account(for: end.ending, filtered: end.filtered, of: delivery) else { return false }
            tell(end, of: prepared)
        }
        return true
    }

    /// How a piece has ended, nil when others take its place, which are added to `waiting`.
    private func ending(
        of piece: Piece, _ ending: Ending, _ waiting: inout [Piece], _ copies: inout Int
    ) -> Ending? {
        switch ending {
        case .stopped: return ending
        case .tooLarge(let reason):
            let smaller = smaller(than: piece)
            waiting.append(contentsOf: smaller.reversed())
            return smaller.isEmpty ? .lost(piece.whole ?? piece.batch, .tooLarge, message: reason) : nil
        case .refusedTogether(let message): return parted(piece, .rejected, message, &waiting, &copies)
        case .unprocessed(let message): return parted(piece, .processorFailed, message, &waiting, &copies)
        case .delivered(let batch):
            if let whole = piece.whole { tellCut(whole, batch) }
            return ending
        case .committed(_, _, let rest):
            if let rest {
                let requests = rest.journaled?.parts.map(\.records.count) ?? piece.requests
                waiting.append(Piece(batch: rest, requests: requests))
            }
            return ending
        case .partial, .refused, .lost, .dropped: return piece.whole.map(ending.of) ?? ending
        }
    }

    /// Has the halves of a piece take its place. How it ends when it has none, or when those would take too many of the
    /// bytes that are left for what halves repeat.
    private func parted(
        _ piece: Piece, _ cause: DeadLetter.Cause, _ message: String, _ waiting: inout [Piece], _ copies: inout Int
    ) -> Ending? {
        var halves = piece.whole == nil ? piece.halves : []
        copies -= halves.isEmpty ? 0 : halves.reduce(-piece.batch.byteCount) { $0 + $1.batch.byteCount }
        if copies < 0 { halves = [] }
        waiting.append(contentsOf: halves.reversed())
        return halves.isEmpty ? .lost(piece.whole ?? piece.batch, cause, message: message) : nil
    }

    /// What to send instead of something too large: its halves, or the one record cut; nothing when it can be neither.
    private func smaller(than piece: Piece) -> [Piece] {
        if piece.whole == nil {
            let halves = piece.halves
            if !halves.isEmpty { return halves }
        }
        guard let shorten = setup.shorten else { return [] }
        let whole = piece.whole ?? piece.batch
        let (size, most) = (piece.batch.byteCount, setup.batchBytesMax)
        // Down to the limit if there is one, then half by half, always from what came.
        let target = size > most ? most : size / 2
        guard target >= Self.cutBytesMin, let bytes = shorten(whole.bytes, whole.signal, target), bytes.count < size
        else { return [] }
        let cut = whole.with(itemCount: whole.itemCount, bytes: bytes)
        return [Piece(batch: cut, start: piece.start, whole: whole)]
    }

    /// No record is cut to fewer bytes.
    private static let cutBytesMin = 512

    private func tellCut(_ whole: ExportBatch, _ batch: ExportBatch) {
        account.cut(whole.itemCount)
        complain(
            "\(whole.itemCount) \(whole.signal.itemName) too large for the destination: strings cut from "
                + "\(whole.byteCount) to \(batch.byteCount) bytes")
    }

    private func journaled(_ prepared: PreparedBatch) -> ExportBatch {
        var batch = prepared.batch
        batch.newest = prepared.newest
        if let first = prepared.parts.first {
            batch.number = firstNumber &+ first.ticket.frame.lowerBound.value &+ UInt64(first.items.lowerBound)
        }
        if let commitLane, !prepared.places.isEmpty {
            batch.journaled = JournaledRecords(
                lane: commitLane, durable: cursor.durable.value, parts: prepared.places)
        }
        return batch
    }

    /// Tries until it ends. `filtered` gets how many of its records were not sent because the exporter's own processors
    /// took them out.
    private func attempts(_ batch: ExportBatch, of delivery: Delivery, filtered: inout Int) async -> Ending {
        let limit = setup.options.retry.elapsedLimit(isDurable: setup.isDurable)
        var schedule = RetrySchedule(setup.options.retry, limit: limit, start: setup.effects.now())
        var isLast = false
        while !isEnding {
            filtered = 0
            do { try await waitForHold(delivery) } catch { return .stopped }
            if let reason = reasonToDrop(delivery) { return .dropped(batch, reason: reason) }
            let outcome = await attempt(batch, delivery.number, filtered: &filtered)
            filtered = min(filtered, batch.itemCount)
            switch outcome {
            case .delivered:
                succeeded()
                return .delivered(batch)
            case .partial(let rejected, let message):
                succeeded()
                let count = min(max(rejected, 0), batch.itemCount - filtered)
                let isUnexplained = count > 0 && message.isEmpty
                return .partial(batch, rejected: count, message: isUnexplained ? Self.noReason : message)
            case .refused(let records, let message, let places):
                succeeded()
                return .refused(batch, records: records, message: message, places: places)
            case .committed(let parts):
                succeeded()
                let (count, rest) = FrameSplit.without(parts, batch)
                return .committed(batch.signal, items: count, rest: rest)
            case .refusedTogether(let message):
                succeeded()
                return .refusedTogether(message: message)
            case .tooLarge(let reason): return .tooLarge(reason: reason)
            case .unprocessed(let message): return .unprocessed(message: message)
            case .permanent(let reason): return .lost(batch, .rejected, message: reason)
            case .notYet(_, let pause):
                do { try await wait(pause, delivery) } catch { return .stopped }
            case .retry(let reason, let hint):
                if isEnding { return .stopped }
                let random = setup.effects.random()
                switch schedule.failed(at: setup.effects.now(), hint: hint, random: random) {
                case .wait(let pause):
                    failed(reason)
                    let asked = hint.map { setup.options.retry.honoured($0) }
                    if let asked { hold(pause, asked: asked) }
                    let isOwn = asked.map { $0 < pause } ?? true
                    guard await waitToRetry(pause, isOwn: isOwn, delivery, &isLast) else { return .stopped }
                case .giveUp:
                    let cause = setup.options.retry.isEnabled ? DeadLetter.Cause.retriesExhausted : .retryDisabled
                    return .lost(batch, cause, message: reason)
                }
            }
        }
        return .stopped
    }

    private func attempt(_ batch: ExportBatch, _ number: Int, filtered: inout Int) async -> ExportOutcome {
        state.withLock { $0.shedding.attemptBegins(number) }
        defer { state.withLock { $0.shedding.attemptEnds(number) } }
        return await exporter.export(batch, filtered: &filtered)
    }

    /// Counts and keeps. False when a dead letter could not be kept before the worker ended. A letter holds what was
    /// filtered too: who sends it again filters it again.
    private func account(for ending: Ending, filtered: Int = 0, of delivery: Delivery) async -> Bool {
        switch ending {
        case .delivered(let batch):
            account.delivered(batch.itemCount - filtered, batch.signal)
            account.filtered(filtered, batch.signal)
        case .partial(let batch, let rejected, let message):
            account.delivered(batch.itemCount - filtered - rejected, batch.signal)
            account.filtered(filtered, batch.signal)
            account.lost(rejected, batch.signal, reason: "partial_success")
            // A message without a count is a warning of the backend.
            if rejected > 0 {
                complain("\(rejected) \(batch.signal.itemName) refused: \(message)")
            } else if !message.isEmpty {
                complain("\(batch.itemCount) \(batch.signal.itemName) taken, with a warning: \(message)")
            }
        case .refused(let batch, let records, let message, let places):
            let letters = FrameSplit.records(Set(records), of: batch, places: places)
            let kept = letters.reduce(0) { $0 + $1.itemCount }
            for letter in letters
            where await !account(for: .lost(letter, .rejected, message: message), of: delivery) {
                return false
            }
            account.delivered(batch.itemCount - filtered - kept, batch.signal)
            account.filtered(filtered, batch.signal)
        case .lost(let batch, let cause, let message):
            guard let isKept = await keep(batch, cause, message, delivery) else { return false }
            account.lost(batch.itemCount - filtered, batch.signal, reason: cause.rawValue)
            account.filtered(filtered, batch.signal)
            let fate = isKept ? "kept as a dead letter" : "dropped"
            complain("\(batch.itemCount) \(batch.signal.itemName) \(fate), \(cause.sentence): \(message)")
        case .dropped(let batch, let reason):
            account.dropped(batch.itemCount, reason: reason)
            complain("\(batch.itemCount) \(batch.signal.itemName) dropped: \(reason)")
        case .committed(let signal, let items, _): known(items, signal)
        case .tooLarge, .refusedTogether, .unprocessed, .stopped: break
        }
        return true
    }

    /// Keeps a dead letter, trying for as long as it takes: until then the batch stays in the queue, whose cap is what
    /// ends a disk that is full for ever. False when it is dropped; nil when the worker ended before.
    private func keep(
        _ batch: ExportBatch, _ cause: DeadLetter.Cause, _ message: String, _ delivery: Delivery
    ) async -> Bool? {
        guard let box = setup.deadLetters else { return false }
        var letter = DeadLetter(
            exporter: setup.letterExporter ?? setup.exporterID, pipeline: setup.pipelineID, cause: cause,
            message: message,
            signal: batch.signal, itemCount: batch.itemCount, tenant: batch.tenant, metadata: batch.metadata,
            bytes: batch.bytes)
        letter.rowPlaces = batch.rowPlaces
        while case .failure(let failure) = await box.keep(letter) {
            if failure.isFinal || reasonToDrop(delivery) != nil {
                complain("a dead letter is not kept: \(failure)")
                return false
            }
            complain("a dead letter waits: \(failure)")
            do { try await wait(Self.letterPause, delivery) } catch { return nil }
        }
        return true
    }

    private static let letterPause = Duration.seconds(2)

    /// What stands for a destination's words where it refuses records and gives none.
    static let noReason = "the destination gives no reason"

    // MARK: Pauses

    /// Nobody sends before this pause is over: the destination has said when it wants to hear from us again, which is
    /// when the part of it that is `asked` is over. A drain waits for no more than that.
    func hold(_ pause: Duration, asked: Duration? = nil) {
        let now = setup.effects.now()
        let (end, asked) = (now + pause, now + (asked ?? pause))
        state.withLock { state in
            state.holdEnd = max(state.holdEnd ?? end, end)
            state.askedEnd = max(state.askedEnd ?? asked, asked)
            if let limit = state.drainEnd { state.cutPauses(behind: limit) }
        }
    }

    /// How long that lasts yet; nil when anybody may send.
    package var holdLeft: Duration? {
        let now = setup.effects.now()
        guard let end = state.withLock({ $0.holdEnd }), end > now else { return nil }
        return end - now
    }

    private func waitForHold(_ delivery: Delivery) async throws {
        while let end = state.withLock({ $0.holdEnd }) {
            let left = end - setup.effects.now()
            guard left > .zero else {
                return state.withLock { state in if state.holdEnd == end { state.holdEnd = nil } }
            }
            do { try await wait(left, delivery, isHold: true) } catch { if isEnding { throw error } }
            if dropsWhileWaiting, reasonToDrop(delivery) != nil { return }
        }
    }

    /// Waits before another attempt; false when there is to be none. A pause of our own that a drain cuts off is
    /// followed by the last one.
    private func waitToRetry(
        _ pause: Duration, isOwn: Bool, _ delivery: Delivery, _ isLast: inout Bool
    ) async -> Bool {
        do {
            try await wait(pause, delivery, isOwn: isOwn)
            return true
        } catch {
            if isEnding || !isOwn { return false }
        }
        // Cut off before the drain itself: what comes then is one of many.
        guard isDraining else { return true }
        if isLast { state.withLock { $0.givenUp += delivery.left.items } }
        defer { isLast = true }
        return !isLast
    }

    /// Waits, visible as the next retry while it lasts. Ends early for a batch that is to be dropped, and with an error
    /// when the worker ends, or a drain before a pause of our own.
    private func wait(
        _ pause: Duration, _ delivery: Delivery, isOwn: Bool = false, isHold: Bool = false
    ) async throws {
        let end = setup.effects.now() + pause
        let id = state.withLock { state in
            state.lastPause += 1
            state.pauses[state.lastPause] = Pause(end: end, isOwn: isOwn, isHold: isHold)
            return state.lastPause
        }
        defer { state.withLock { _ = $0.pauses.removeValue(forKey: id) } }
        guard dropsWhileWaiting else { return try await sleep(pause, id) }
        // In slices, so that a batch that is to be dropped does not hold the others up.
        while reasonToDrop(delivery) == nil {
            let left = end - setup.effects.now()
            guard left > .zero else { return }
            try await sleep(min(left, dropInterval), id)
        }
    }

    /// A sleep of the pause with that number.
    private func sleep(_ time: Duration, _ id: Int) async throws {
        let sleep = Task { [effects = setup.effects] in try await effects.sleep(time) }
        let isCut = state.withLock { state in
            state.pauses[id]?.sleep = sleep
            guard let pause = state.pauses[id] else { return state.isLeaving }
            return state.isLeaving || state.cuts(pause)
        }
        if isCut { sleep.cancel() }
        try await withTaskCancellationHandler {
            try await sleep.value
        } onCancel: {
            sleep.cancel()
        }
    }

    // MARK: Settling, complaints

    private func settle(_ delivery: Delivery) {
        // The acknowledgement stays under the lock: `heldItems` must not see one of its two sources without the other.
        state.withLock { state in
            var settled = SettledParts()
            if delivery.settled.isEmpty {
                for part in delivery.prepared.parts {
                    settled.add(state.tracker.settle(part.ticket, items: part.items.count, at: part.items))
                }
            } else {
                for part in delivery.open {
                    for place in part.items.dropLast() { settled.add(state.tracker.settle(part.ticket, someAt: place)) }
                    let last = part.items.last
                    settled.add(state.tracker.settle(part.ticket, items: last?.count ?? 0, at: last))
                }
            }
            settled.tell(cursor)
            state.shedding.leave(delivery.number)
            state.underWay -= delivery.left.items
        }
    }

    /// Settles what is delivered while the rest of the batch is not.
    private func settle(_ place: Range<Int>, of delivery: inout Delivery) {
        delivery.settled.append(place)
        let parts = delivery.prepared.parted([place])
        state.withLock { state in
            var settled = SettledParts()
            for part in parts {
                for place in part.items { settled.add(state.tracker.settle(part.ticket, someAt: place)) }
            }
            settled.tell(cursor)
            state.underWay -= place.count
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
            state.lastError = (reason, now)
            return state.failures.allow(at: now, cause: reason)
        }
        guard let suppressed else { return }
        let more = suppressed > 0 ? " (\(suppressed) more failures since the last line)" : ""
        setup.log(.warn, "exporter \(setup.exporterID): will try again: \(reason)\(more)")
    }

    func complain(_ message: String) {
        let now = setup.effects.now()
        let suppressed = state.withLock { state in
            state.lastError = (message, now)
            return state.losses.allow(at: now, cause: message)
        }
        guard let suppressed else { return }
        let more = suppressed > 0 ? " (\(suppressed) more such lines left out)" : ""
        setup.log(.error, "exporter \(setup.exporterID): \(message)\(more)")
    }
}
