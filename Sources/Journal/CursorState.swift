import Pipeline

/// What the file of a cursor says.
struct CursorPicture: Equatable, Sendable {
    var position: UInt64
    var place: Place
    var settled = SettledRanges()
    /// Which state of `settled` it is.
    var settledCount = 0
}

/// One cursor as the journal sees it. A value without effects.
///
/// Three positions, each at or behind the next: `saved` (in the cursor's file) ≤ `acknowledged` (by the exporter) ≤
/// `fetched` (taken from the journal into `ready`, from where the exporter gets them).
struct CursorState: Sendable {
    /// Everything before it is done. Where a frame begins: the first items of one that is not done are in `settled`.
    private(set) var acknowledged: UInt64
    /// A record boundary at or before `acknowledged`.
    private(set) var acknowledgedPlace: Place
    private(set) var saved: UInt64
    /// In the cursor's file, synced or not.
    private(set) var written: UInt64
    /// What is done at or behind `acknowledged`.
    private(set) var settled = SettledRanges()
    /// The part of `settled` that an earlier life or handle has left: it is not handed out, and not part of the
    /// backlog.
    private(set) var restored = SettledRanges()
    /// What of `settled` is in the cursor's file and synced.
    private var savedSettled = SettledRanges()
    /// Counts the changes of `settled`, and which of them are in the cursor's file, synced or not.
    private(set) var settledCount = 0
    private var savedCount = 0
    private var writtenCount = 0
    /// Sequence that the next record should have.
    private(set) var fetched: UInt64
    private(set) var fetchPlace: Place
    /// `JournalIndex.appendedBytes` at `fetchPlace`, of a cursor that keeps up: it came near the end and has not read
    /// from disk since. Nil of others.
    private(set) var fetchedAppended: Int?
    /// When frames were handed out last, monotonic nanoseconds.
    private var lastMove: UInt64?
    /// Fetched and not yet handed out.
    private var ready: [PlacedFrame] = []
    private var readyFirst = 0
    /// Handed out and not yet acknowledged: where each frame begins and ends.
    private var handed: [(start: UInt64, end: UInt64, next: Place)] = []
    private var handedFirst = 0
    private var losses: [String: UInt64] = [:]
    /// Gaps before it are in `losses` already, so that reading again does not count them again.
    private var countedTo: UInt64 = 0
    private var wakeup: Wakeup?
    /// That waits for a read from disk, whose end wakes it; what is appended meanwhile does not.
    private var waitsForDisk = false
    /// Waits for the file to say what was done when they began.
    private var writeWaits: [(position: UInt64, settledCount: Int, wakeup: Wakeup)] = []
    /// A reader thread is at work for this cursor.
    private(set) var isFetching = false
    /// The last fetch failed for a passing reason.
    var mustPause = false
    /// Counts forced moves, so that a fetch begun before one is thrown away.
    private(set) var generation = 0
    /// Counts `cursor(named:)` calls; only the newest handle reads.
    private(set) var handle = 0

    init(position: UInt64, place: Place, settled: SettledRanges = SettledRanges()) {
        self.settled = settled
        restored = settled
        savedSettled = settled
        acknowledged = position
        saved = position
        written = position
        fetched = position
        acknowledgedPlace = place
        fetchPlace = place
    }

    var mustSave: Bool { acknowledged > saved || settledCount > savedCount }

    var mustWrite: Bool { acknowledged > written || settledCount > writtenCount }

    /// Registers a wait for the next write of its file, false when that says all already.
    mutating func waitForWrite(_ wakeup: Wakeup) -> Bool {
        if mustWrite { writeWaits.append((acknowledged, settledCount, wakeup)) }
        return mustWrite
    }

    /// Takes the waits that writes have ended, or all of them when a write has failed.
    mutating func takeWriteWaits(all: Bool) -> [Wakeup] {
        if writeWaits.isEmpty { return [] }
        let goesOn = writeWaits.partition { all || $0.position <= written && $0.settledCount <= writtenCount }
        defer { writeWaits.removeSubrange(goesOn...) }
        return writeWaits[goesOn...].map(\.wakeup)
    }

    /// What its file is to say now.
    var picture: CursorPicture {
        CursorPicture(position: acknowledged, place: acknowledgedPlace, settled: settled, settledCount: settledCount)
    }

    mutating func didWrite(_ picture: CursorPicture) {
        written = max(written, picture.position)
        writtenCount = max(writtenCount, picture.settledCount)
    }

    mutating func didSave(_ picture: CursorPicture) {
        saved = max(saved, picture.position)
        if picture.settledCount >= savedCount {
            savedCount = picture.settledCount
            savedSettled = picture.settled
        }
        didWrite(picture)
    }

    /// Whether all of a segment is done for good behind the saved position or before it, and nobody is reading it.
    func isDone(with segment: SegmentInfo) -> Bool {
        if segment.end <= saved { return true }
        return savedSettled.covers(segment.base..<segment.end) && !(isFetching && fetchPlace.segment == segment.number)
    }

    /// Whether something is done for good behind the saved position.
    var hasSavedSettled: Bool { !savedSettled.isEmpty }

    /// A new handle reads again from the acknowledged position; the old one gets nothing more.
    mutating func renew() -> Int {
        handle += 1
        generation += 1
        restored = settled
        fetched = acknowledged
        fetchPlace = acknowledgedPlace
        fetchedAppended = nil
        lastMove = nil
        clearRead()
        isFetching = false
        return handle
    }

    /// Registers the one wait, ending an older one.
    mutating func wait(with new: Wakeup, forDisk: Bool = false) -> Wakeup? {
        defer {
            wakeup = new
            waitsForDisk = forDisk
        }
        return wakeup
    }

    /// Takes the wait that an append ends.
    mutating func takeAppendWakeup() -> Wakeup? { waitsForDisk ? nil : takeWakeup() }

    mutating func takeWakeup() -> Wakeup? {
        defer { wakeup = nil }
        return wakeup
    }

    // MARK: Reading

    /// Whether it took frames lately.
    func isMoving(at now: UInt64) -> Bool { lastMove.map { now < $0 &+ AppendPacing.stallTime } ?? false }

    /// Whether it reads from disk, has nothing left of that, and nobody is reading more.
    var isBehind: Bool { fetchedAppended == nil && ready.isEmpty && !isFetching && !mustPause }

    /// Hands out frames that are ready: at least one if there is one, then as many as fit.
    mutating func take(maxFrames: Int, maxBytes: Int, now: UInt64) -> [StoredFrame] {
        var frames: [StoredFrame] = []
        var bytes = 0
        frames.reserveCapacity(min(ready.count - readyFirst, maxFrames))
        while readyFirst < ready.count {
            let size = ready[readyFirst].stored.frame.bytes.count
            if !frames.isEmpty, frames.count >= maxFrames || bytes + size > maxBytes { break }
            defer { readyFirst += 1 }
            let end = ready[readyFirst].stored.end.value
            if end <= acknowledged { continue }
            bytes += size
            var frame = ready[readyFirst].readable
            frame.done = done(of: frame)
            handed.append((frame.sequence.value, end, ready[readyFirst].next))
            frames.append(frame)
        }
        if readyFirst == ready.count {
            ready.removeAll(keepingCapacity: true)
            readyFirst = 0
        }
        if !frames.isEmpty { lastMove = now }
        return frames
    }

    /// Which items of a frame were done when this handle began, by their place in it.
    private func done(of frame: StoredFrame) -> [Range<Int>] {
        if restored.isEmpty { return [] }
        let items = frame.sequence.value..<frame.end.value
        return restored.parts(of: items).map {
            Int($0.lowerBound - items.lowerBound)..<Int($0.upperBound - items.lowerBound)
        }
    }

    /// Moves over the ends of finished segments, counting gaps. True when a record may lie at `fetchPlace`.
    mutating func advance(over segments: [SegmentInfo]) -> Bool {
        defer { settle() }
        while true {
            // The segment of the place, or the first one behind it when that is gone.
            guard let index = segments.firstIndex(where: { $0.number >= fetchPlace.segment }) else { return false }
            let segment = segments[index]
            // Also when a cursor was written at the beginning of a segment made behind those that are gone.
            if fetchPlace <= .start(of: segment.number) {
                skip(to: segment.base, reason: LossReason.missingSegment)
                fetchPlace = .start(of: segment.number)
            }
            if segment.isRemoved {
                fetched = max(fetched, segment.end)
                countedTo = max(countedTo, segment.end)
            } else if fetchPlace.offset < segment.dataEnd {
                return true
            }
            skip(to: segment.end, reason: LossReason.corruptRecord)
            guard index + 1 < segments.count else { return false }
            skip(to: segments[index + 1].base, reason: LossReason.missingSegment)
            fetchPlace = .start(of: segments[index + 1].number)
        }
    }

    /// Counts the items between the expected sequence and `sequence` as lost, and expects `sequence` next.
    private mutating func skip(to sequence: UInt64, reason: String) {
        guard sequence > fetched else { return }
        let from = max(fetched, countedTo)
        if sequence > from {
            let done = max(restored.items(in: from..<sequence), settled.items(in: from..<sequence))
            let lost = sequence - from - done
            if lost > 0 { losses[reason, default: 0] += lost }
        }
        countedTo = max(countedTo, sequence)
        fetched = sequence
    }

    /// Takes over frames that follow `fetchPlace`, and goes on at `place`.
    mutating func fetch(_ frames: ArraySlice<PlacedFrame>, goingOnAt place: Place? = nil) {
        for frame in frames {
            skip(to: frame.stored.sequence.value, reason: LossReason.corruptRecord)
            fetchPlace = frame.next
            guard frame.stored.end.value > fetched else { continue }
            fetched = frame.stored.end.value
            let isDone = !restored.isEmpty && restored.covers(frame.stored.sequence.value..<frame.stored.end.value)
            if !isDone { ready.append(frame) }
        }
        if let place { fetchPlace = place }
        settle()
    }

    /// Takes over frames from memory; `appended` is `JournalIndex.appendedBytes`. With `near` unread bytes or fewer a
    /// reader that was behind keeps up again.
    mutating func fetch(_ frames: ArraySlice<PlacedFrame>, appended: Int, near: Int) {
        fetch(frames)
        guard let read = frames.last?.appended else { return }
        if fetchedAppended != nil || appended - read <= near { fetchedAppended = read }
    }

    /// The segment at `fetchPlace` can't be read at all: everything in it that is not fetched is lost.
    mutating func skipSegment(_ segment: SegmentInfo) {
        skip(to: segment.end, reason: LossReason.missingSegment)
        fetchPlace = Place(segment: segment.number, offset: segment.dataEnd, frame: segment.frames)
        settle()
    }

    /// When nothing is on its way, what was fetched is done. Moves the acknowledged position over losses, which
    /// nobody will acknowledge.
    private mutating func settle() {
        guard readyFirst == ready.count, handedFirst == handed.count, fetched >= acknowledged else { return }
        move(to: fetched)
        acknowledgedPlace = max(acknowledgedPlace, fetchPlace)
    }

    private mutating func move(to position: UInt64) {
        acknowledged = position
        settled.drop(before: position)
        restored.drop(before: position)
    }

    /// A reader thread starts. Gives the generation to finish with.
    mutating func beginFetch() -> Int {
        isFetching = true
        fetchedAppended = nil
        return generation
    }

    /// A reader thread is done. False when the cursor was moved in the meantime and the result must be thrown away.
    mutating func endFetch(_ begun: Int) -> Bool {
        guard begun == generation else { return false }
        isFetching = false
        return true
    }

    // MARK: Done

    /// Everything before `sequence` is done; `end` is where the journal ends.
    mutating func acknowledge(before sequence: UInt64, end: UInt64) {
        var sequence = min(sequence, end)
        guard sequence > acknowledged else { return }
        // Over the frames behind it that are done already, up to where one begins that is not.
        let reach = settled.reach(from: sequence)
        while handedFirst < handed.count, handed[handedFirst].end <= reach {
            acknowledgedPlace = max(acknowledgedPlace, handed[handedFirst].next)
            handedFirst += 1
        }
        let open: UInt64? =
            if handedFirst < handed.count {
                handed[handedFirst].start
            } else if readyFirst < ready.count {
                ready[readyFirst].stored.sequence.value
            } else { nil }
        sequence = max(sequence, min(reach, open ?? fetched))
        move(to: sequence)
        if handedFirst == handed.count {
            handed.removeAll(keepingCapacity: true)
            handedFirst = 0
        } else if handedFirst > 256, handedFirst * 2 > handed.count {
            handed.removeSubrange(..<handedFirst)
            handedFirst = 0
        }
        fetched = max(fetched, sequence)
        countedTo = max(countedTo, sequence)
    }

    /// Frames or items at or behind the acknowledged position are done; `end` is where the journal ends.
    mutating func settle(_ items: Range<UInt64>, end: UInt64) {
        guard items.lowerBound >= acknowledged, items.upperBound <= end else { return }
        settled.insert(items)
        settledCount += 1
    }

    /// The overflow policy removed `segment`: what was not fetched of it is lost, the rest can't be read again.
    mutating func lose(_ segment: SegmentInfo, goingOnAt place: Place) {
        if fetchPlace < place {
            skip(to: segment.end, reason: LossReason.overflow)
            fetchPlace = place
            generation += 1
            isFetching = false
        }
        if segment.end > acknowledged { move(to: segment.end) }
        acknowledgedPlace = max(acknowledgedPlace, place)
    }

    /// Hands out the losses counted since the last call, by reason, in order of reason.
    mutating func takeLosses() -> [(reason: String, items: Int)] {
        defer { losses = [:] }
        return losses.sorted { $0.key < $1.key }.map { ($0.key, Int(clamping: $0.value)) }
    }

    private mutating func clearRead() {
        ready = []
        readyFirst = 0
        handed = []
        handedFirst = 0
    }
}
