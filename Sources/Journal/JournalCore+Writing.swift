import CSupport
import Pipeline
import Synchronization

extension JournalCore {
    /// The writer thread: takes all that waits, writes it, syncs once, answers. What comes in during a sync is the
    /// next group, so groups grow with the load and with what the disk takes by themselves. A pause for more costs
    /// senders more than it saves, see Benchmarks/README.md.
    func runWriter() {
        sluice_interrupt_others(false)
        var writer = SegmentWriter(
            files: files, directory: directory, journal: journal, nextNumber: firstNumber, segmentBytes: segmentBytes,
            takeSpare: { self.spares.withLock { $0.take() } })
        // Without room now the first append asks again, and tells what is missing.
        if options.beginsAtOnce { try? begin(0, &writer) }
        // When the disk was last written to, or looked at.
        var lastUse: UInt64 = 0
        var turns = WriterTurns()
        var held = HeldWakeups(bytesMax: pace / 4 * 3)
        while true {
            let isFailing = waitForWork(probingAt: lastUse &+ Self.probeInterval, &held)
            answerDue()
            var hadWork = false
            while let group = takePending(&turns) {
                commit(group, with: &writer, &held)
                hadWork = true
            }
            let now = monotonicNanoseconds()
            if !hadWork { held.fire(at: now) }
            if isFailing, !hadWork, now &- lastUse >= Self.probeInterval {
                probe(&writer)
                lastUse = now
            } else if hadWork {
                lastUse = now
            }
            retireToMakeRoom(&writer)
            if isClosing {
                // Appends that came in before the flag rose are still answered.
                while let group = takePending(&turns) { commit(group, with: &writer, &held) }
                for answer in shared.withLock({ $0.pacing.takeAll() }) { answer() }
                held.fire()
                retire(&writer)
                return
            }
        }
    }

    /// Waits for appends, for answers that are due and, while the disk refuses, for the next look at it. True then.
    private func waitForWork(probingAt look: UInt64, _ held: inout HeldWakeups) -> Bool {
        let (due, isFailing) = shared.withLock { ($0.pacing.deadline, $0.problem != nil) }
        let ends = [due, isFailing ? look : nil, held.deadline].compactMap { $0 }.min()
        writerEvent.wait(until: ends)
        return isFailing
    }

    /// Time between two looks at a disk that refused.
    private static let probeInterval: UInt64 = 1_000_000_000

    /// Sees whether a disk that refused takes records again. Appends would show it, but who asks for health first sends
    /// none before all is well.
    private func probe(_ writer: inout SegmentWriter) {
        let (problem, size) = shared.withLock { ($0.problem, $0.refusedBytes) }
        guard problem != nil, size > 0, !writer.isOpen else { return }
        do throws(SystemError) {
            try begin(size, &writer)
        } catch {
            // It was said when it began.
            return
        }
        shared.withLock { $0.problem = nil }
        noteRecovery()
    }

    private func noteRecovery() { note(.info, "\(directory): appends are stored again") }

    private func takePending(_ turns: inout WriterTurns) -> [PendingAppend]? {
        let (pending, bytes) = shared.withLock { shared in
            defer { shared.pending = [] }
            return (shared.pending, shared.pendingBytes)
        }
        guard !pending.isEmpty else { return nil }
        let isAnswered = pending.contains { $0.hints.contains(.isAnswered) }
        let change = turns.next(
            isAnswered: isAnswered, bytes: bytes, of: options.queueBytes, at: monotonicNanoseconds(),
            look: Self.lookAtWaits)
        if let change {
            interruptsOthers.store(change, ordering: .relaxed)
            sluice_interrupt_others(change)
        }
        return pending
    }

    /// How long the calling thread has waited for its turns.
    private static func lookAtWaits() -> WriterTurns.Waits? {
        var waits = WriterTurns.Waits(time: 0, turns: 0)
        return sluice_turn_waits(&waits.time, &waits.turns) ? waits : nil
    }

    /// Writes a group, segment by segment.
    private func commit(_ group: [PendingAppend], with writer: inout SegmentWriter, _ held: inout HeldWakeups) {
        var rest = group[...]
        while let first = rest.first {
            do throws(SystemError) {
                makeRoom(for: first.recordBytes, &writer, &held)
                if !writer.hasRoom(for: first.recordBytes) {
                    // That takes a while.
                    held.fire()
                    retire(&writer)
                    try begin(first.recordBytes, &writer)
                }
            } catch {
                held.fire()
                return refuse(rest, error)
            }
            let run = Self.run(of: rest, fitting: writer)
            rest = rest[run.endIndex...]
            do throws(SystemError) {
                let base = shared.withLock { $0.index.nextSequence }
                guard Self.fits(run, behind: base) else {
                    refuse(run, reason: "sequence numbers are used up", retryAfter: .seconds(3600))
                    continue
                }
                let began = monotonicNanoseconds()
                let placed = try writer.write(run, from: base) { held.fireInWait() }
                finish(run, placed, since: began, &held)
            } catch {
                held.fire()
                writer.abandon()
                shared.withLock { $0.index.abandon(writer.number) }
                requestKeeping()
                refuse(run, error)
            }
        }
    }

    /// As many appends as the open segment has room for, at least the first.
    private static func run(
        of appends: ArraySlice<PendingAppend>, fitting writer: SegmentWriter
    ) -> ArraySlice<PendingAppend> {
        var end = appends.startIndex
        var bytes = 0
        while end < appends.endIndex, writer.hasRoom(for: appends[end].recordBytes, after: bytes) {
            bytes += appends[end].recordBytes
            end += 1
        }
        return appends[..<max(end, appends.startIndex + 1)]
    }

    private static func fits(_ run: ArraySlice<PendingAppend>, behind base: UInt64) -> Bool {
        let items = run.reduce(UInt64(0)) { $0 + UInt64($1.frame.header.itemCount) }
        return !base.addingReportingOverflow(items).overflow
    }

    private func finish(
        _ run: ArraySlice<PendingAppend>, _ placed: [PlacedFrame], since began: UInt64, _ held: inout HeldWakeups
    ) {
        let now = monotonicNanoseconds()
        let bytes = run.reduce(0) { $0 + $1.recordBytes }
        let (wakeups, due, wasProblem, mustWait) = shared.withLock { shared in
            shared.pendingBytes -= bytes
            let wasProblem = shared.problem != nil
            shared.problem = nil
            let wakeups = shared.index.publish(placed)
            let due = shared.takeDue(now: now)
            let mustWait = !shared.isClosing && shared.pacing.mustWait(unread: shared.index.unread(at: now))
            if mustWait { Self.wait(run, placed, since: now, &shared.pacing) }
            return (wakeups, due, wasProblem, mustWait)
        }
        if wasProblem { noteRecovery() }
        for answer in due { answer() }
        if !mustWait {
            for (index, frame) in zip(run.indices, placed.indices) {
                run[index].completion(.stored(placed[frame].stored.sequence))
            }
        }
        let isAwaited = mustWait || run.contains { $0.hints.contains(.awaitsReaders) }
        held.add(wakeups, appends: run.count, bytes: bytes, at: now, took: now &- began, isAwaited: isAwaited)
    }

    private static func wait(
        _ run: ArraySlice<PendingAppend>, _ placed: [PlacedFrame], since now: UInt64, _ pacing: inout AppendPacing
    ) {
        for (append, frame) in zip(run, placed) {
            let (completion, sequence) = (append.completion, frame.stored.sequence)
            pacing.wait(append.recordBytes, since: now) { completion(.stored(sequence)) }
        }
    }

    /// Gives the answers that wait no longer.
    private func answerDue() {
        let now = monotonicNanoseconds()
        for answer in shared.withLock({ $0.takeDue(now: now) }) { answer() }
    }

    private func refuse(_ appends: ArraySlice<PendingAppend>, _ error: SystemError) {
        refuse(appends, reason: "the journal can't write: \(error)", retryAfter: .seconds(error.isFull ? 5 : 1))
    }

    private func refuse(_ appends: ArraySlice<PendingAppend>, reason: String, retryAfter: Duration) {
        let isNew = shared.withLock { shared in
            shared.pendingBytes -= appends.reduce(0) { $0 + $1.recordBytes }
            defer { shared.problem = reason }
            let size = appends.lazy.map(\.recordBytes).max() ?? 0
            shared.refusedBytes = max(size, shared.problem == nil ? 0 : shared.refusedBytes)
            return shared.problem == nil
        }
        // Once, not with every refusal: a full disk refuses for hours.
        if isNew { note(.error, "\(directory): \(reason)") }
        for append in appends { append.completion(.refused(reason: reason, retryAfter: retryAfter)) }
    }

    // MARK: Segments

    /// Begins a segment with room for a record of so many bytes.
    private func begin(_ recordBytes: Int, _ writer: inout SegmentWriter) throws(SystemError) {
        try holdLock()
        try writer.open(base: shared.withLock { $0.index.nextSequence }, recordBytes: recordBytes)
        let (number, seed) = (writer.number, writer.seed)
        shared.withLock { $0.index.begin(number, seed: seed) }
    }

    /// Ends the segment being written.
    private func retire(_ writer: inout SegmentWriter) {
        guard writer.isOpen else { return }
        let end = shared.withLock { $0.index.nextSequence }
        do throws(SystemError) {
            try writer.seal(at: end)
        } catch {
            note(.warning, "\(directory): a segment was not sealed, the next start reads it whole: \(error)")
        }
        shared.withLock { $0.index.retire() }
        requestKeeping()
    }

    /// By the policy `dropOldest`, removes the oldest segments until `bytes` more are under the cap.
    private func makeRoom(for bytes: Int, _ writer: inout SegmentWriter, _ held: inout HeldWakeups) {
        guard options.maxBytes > 0, options.overflow == .dropOldest else { return }
        while shared.withLock({ $0.index.bytes }) + bytes > options.maxBytes {
            // Readers should have seen what goes.
            held.fire()
            if !shared.withLock({ $0.index.dropOldest() }) {
                guard writer.isOpen, !writer.isEmpty else { return }
                retire(&writer)
            }
            requestKeeping()
        }
    }

    /// By the policy `block`, gives up the segment being written when all of it is acknowledged and an append was
    /// refused for want of its room.
    private func retireToMakeRoom(_ writer: inout SegmentWriter) {
        let isUseful = shared.withLock { shared in
            defer { shared.wantsRoom = false }
            return shared.wantsRoom && !shared.index.cursors.isEmpty && shared.index.held == HeldAmount()
        }
        if isUseful, !writer.isEmpty { retire(&writer) }
    }
}
