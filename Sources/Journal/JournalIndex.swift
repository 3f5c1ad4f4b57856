import Pipeline

/// A place in the files: between two records. Ordered as the records are.
struct Place: Equatable, Comparable, Sendable {
    var segment: UInt64
    var offset: Int
    /// Frames of the segment before the offset.
    var frame: Int

    static func start(of segment: UInt64) -> Place {
        Place(segment: segment, offset: JournalFormat.dataOffset, frame: 0)
    }

    static func < (left: Place, right: Place) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}

/// What is known of a segment without reading it.
struct SegmentInfo: Equatable, Sendable {
    var number: UInt64
    /// Sequence of the first record.
    var base: UInt64
    /// Sequence behind the last synced record.
    var end: UInt64
    /// File offset behind the last synced record.
    var dataEnd: Int
    var frames: Int
    /// Seed of its records' checksums.
    var seed: UInt32
    /// A reader met damage: the file is kept aside instead of removed.
    var isDamaged = false
    /// All cursors are done with it, one of them while something older is open. The file is gone; what is known stays,
    /// so that the backlog of that cursor counts what it was told. Neighbours become one.
    var isRemoved = false

    var bytes: Int { dataEnd - JournalFormat.dataOffset }
}

/// A frame and the places before and behind it.
struct PlacedFrame: Sendable {
    var stored: StoredFrame
    var place: Place
    var next: Place
    /// `JournalIndex.appendedBytes` behind it, of frames that were just appended.
    var appended: Int?

    /// The same, of a read that keeps to its rate, see `CatchUpPacing.isAtPace`.
    var paced: PlacedFrame {
        var frame = self
        frame.stored.isPaced = true
        return frame
    }

    /// The frame with the place of its bytes.
    var readable: StoredFrame {
        var frame = stored
        let header = stored.frame.header
        let head =
            JournalFormat.recordHeaderBytes + header.tenant.utf8.count + RecordMetadata.byteCount(of: header.metadata)
        frame.place = FramePlace(file: place.segment, offset: UInt64(place.offset + head))
        return frame
    }
}

/// Reasons under which lost items are counted.
package enum LossReason {
    /// A record in the middle of a segment was unreadable.
    package static let corruptRecord = "corrupt_record"
    /// A whole segment, or the end of one, is gone.
    package static let missingSegment = "missing_segment"
    /// Removed unread to make room, as the overflow policy says.
    package static let overflow = "overflow"
}

/// Everything a disk journal knows in memory: its segments, its cursors and the newest frames. A value without
/// effects; the journal holds it under one lock and does what the answers say.
struct JournalIndex: Sendable {
    /// By rising number. The last one is being written when `isWriting`.
    private(set) var segments: [SegmentInfo] = []
    private(set) var isWriting = false
    /// The sequence of the next record.
    private(set) var nextSequence: UInt64
    var cursors: [String: CursorState] = [:]
    /// The newest synced frames, so that a cursor that keeps up never touches the disk.
    private(set) var tail: BoundedTail
    /// Unread bytes with which a cursor keeps up again.
    var nearBytes = Int.max
    /// Segments taken out of service by the overflow policy, to be removed once the cursors are saved.
    private(set) var dropped: [SegmentInfo] = []

    init(segments: [SegmentInfo], nextSequence: UInt64, tailBytes: Int) {
        self.segments = segments
        bytes = segments.reduce(0) { $0 + $1.bytes }
        self.nextSequence = nextSequence
        tail = BoundedTail(bytesMax: tailBytes)
    }

    /// Bytes of records on disk, acknowledged or not, without preallocation.
    private(set) var bytes: Int

    /// Bytes of records that were appended since the journal was opened.
    private(set) var appendedBytes = 0

    /// Where the oldest kept frame lies, and its sequence.
    var oldest: (place: Place, sequence: UInt64) {
        guard let first = segments.first else { return (.start(of: 0), nextSequence) }
        return (.start(of: first.number), first.base)
    }

    // MARK: Writing

    /// A new segment takes the next records.
    mutating func begin(_ number: UInt64, seed: UInt32) {
        segments.append(
            SegmentInfo(
                number: number, base: nextSequence, end: nextSequence, dataEnd: JournalFormat.dataOffset, frames: 0,
                seed: seed))
        isWriting = true
    }

    /// The segment being written takes no more records.
    mutating func retire() { isWriting = false }

    /// The segment being written has failed. One without records is not there any more.
    mutating func abandon(_ number: UInt64) {
        isWriting = false
        if let last = segments.last, last.number == number, last.frames == 0 { segments.removeLast() }
    }

    /// Synced frames become visible. Gives the waits that this ends.
    mutating func publish(_ frames: [PlacedFrame]) -> [Wakeup] {
        guard let last = frames.last, isWriting, let index = segments.indices.last else { return [] }
        bytes += last.next.offset - segments[index].dataEnd
        appendedBytes += last.next.offset - segments[index].dataEnd
        segments[index].end = last.stored.end.value
        segments[index].dataEnd = last.next.offset
        segments[index].frames += frames.count
        nextSequence = last.stored.end.value
        tail.append(frames, endingAt: appendedBytes)
        return cursors.keys.compactMap { cursors[$0]?.takeAppendWakeup() }
    }

    /// Takes the oldest finished segment out of service, counting what each cursor had not read of it. False when
    /// there is none.
    mutating func dropOldest() -> Bool {
        guard let segment = segments.first, segments.count > 1 || !isWriting else { return false }
        segments.removeFirst()
        if !segment.isRemoved {
            bytes -= segment.bytes
            dropped.append(segment)
        }
        let after = segments.first.map { Place.start(of: $0.number) } ?? .start(of: segment.number &+ 1)
        for name in cursors.keys { cursors[name]?.lose(segment, goingOnAt: after) }
        return true
    }

    /// Lets go of the newest frames that all cursors have read, but for those that are so far behind that they read
    /// from disk: what is in use is then what the processor's caches hold.
    mutating func trimTail() {
        guard let start = tail.start else { return }
        var needed: Place?
        for cursor in cursors.values where cursor.fetchPlace >= start {
            needed = min(needed ?? cursor.fetchPlace, cursor.fetchPlace)
        }
        if let needed { tail.drop(before: needed) }
    }

    /// Unread bytes of the cursor that is most behind of those that move and keep up; nil when none does. Who had to
    /// read from disk is given no time until it is near the end again: it may be hours behind.
    func unread(at now: UInt64) -> Int? {
        guard let start = tail.start else { return nil }
        var most: Int?
        for cursor in cursors.values where cursor.fetchPlace >= start && cursor.isMoving(at: now) {
            guard let appended = cursor.fetchedAppended else { continue }
            most = max(most ?? 0, appendedBytes - appended)
        }
        return most
    }

    // MARK: Removing

    /// Takes out the segments that every cursor has durably passed. Nothing goes before a cursor exists.
    mutating func takeFinished() -> [SegmentInfo] {
        guard let passed = cursors.values.map(\.saved).min() else { return [] }
        let finished = segments.prefix { $0.end <= passed && !(isWriting && $0.number == segments.last?.number) }
        segments.removeFirst(finished.count)
        let gone = finished.filter { !$0.isRemoved } + takeSettled()
        bytes -= gone.reduce(0) { $0 + $1.bytes }
        return gone
    }

    /// Takes out what every cursor is durably done with while one of them has something older open.
    private mutating func takeSettled() -> [SegmentInfo] {
        guard cursors.values.contains(where: \.hasSavedSettled) else { return [] }
        var gone: [SegmentInfo] = []
        var kept: [SegmentInfo] = []
        for var segment in segments {
            let isCurrent = isWriting && segment.number == segments.last?.number
            if !segment.isRemoved, !isCurrent, cursors.values.allSatisfy({ $0.isDone(with: segment) }) {
                gone.append(segment)
                segment.isRemoved = true
            }
            if segment.isRemoved, let last = kept.last, last.isRemoved, last.end == segment.base {
                segment.base = last.base
                segment.frames += last.frames
                segment.dataEnd += last.bytes
                kept.removeLast()
            }
            kept.append(segment)
        }
        if !gone.isEmpty { segments = kept }
        return gone
    }

    /// Takes the list of segments that the overflow policy removed.
    mutating func takeDropped() -> [SegmentInfo] {
        defer { dropped = [] }
        return dropped
    }

    mutating func markDamaged(_ number: UInt64) {
        if let index = segments.firstIndex(where: { $0.number == number }) { segments[index].isDamaged = true }
    }

    // MARK: Amounts

    /// What lies at or behind a place and sequence.
    func amount(from place: Place, sequence: UInt64, without done: SettledRanges = SettledRanges()) -> HeldAmount {
        var amount = HeldAmount(items: Int(clamping: nextSequence - min(sequence, nextSequence)))
        guard amount.items > 0 else { return HeldAmount() }
        amount.items = max(0, amount.items - Int(clamping: done.items))
        for segment in segments where segment.number >= place.segment && segment.end > sequence {
            let isSame = segment.number == place.segment
            let range = max(segment.base, sequence)..<segment.end
            // A segment that has just been begun has no records yet.
            let open =
                done.isEmpty || range.isEmpty ? 1 : max(0, 1 - Double(done.items(in: range)) / Double(range.count))
            let frames = max(0, segment.frames - (isSame ? place.frame : 0))
            let bytes = max(0, isSame ? segment.dataEnd - place.offset : segment.bytes)
            amount.frames += open == 1 ? frames : Int((Double(frames) * open).rounded(.up))
            amount.bytes += open == 1 ? bytes : Int((Double(bytes) * open).rounded(.up))
        }
        return amount
    }

    /// What a cursor has not acknowledged, without what an earlier life was done with. How many frames and bytes that
    /// was is not known: the items of a segment count alike.
    func backlog(of cursor: CursorState) -> HeldAmount {
        amount(from: cursor.acknowledgedPlace, sequence: cursor.acknowledged, without: cursor.restored)
    }

    /// What the slowest cursor has not acknowledged; everything while there is no cursor.
    var held: HeldAmount {
        guard let slowest = cursors.values.min(by: { $0.acknowledged < $1.acknowledged }) else {
            return amount(from: oldest.place, sequence: oldest.sequence)
        }
        return amount(from: slowest.acknowledgedPlace, sequence: slowest.acknowledged)
    }

    func segment(_ number: UInt64) -> SegmentInfo? { segments.first { $0.number == number } }
}

/// The newest frames in order, at most so many bytes of them.
struct BoundedTail: Sendable {
    private var frames: [PlacedFrame] = []
    private var first = 0
    private var bytes = 0
    private let bytesMax: Int

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    /// Takes frames in, behind the last of which `appended` bytes were appended in all.
    mutating func append(_ new: [PlacedFrame], endingAt appended: Int) {
        var rest = new.reduce(0) { $0 + $1.next.offset - $1.place.offset }
        bytes += rest
        for var frame in new {
            rest -= frame.next.offset - frame.place.offset
            frame.appended = appended - rest
            frames.append(frame)
        }
        while bytes > bytesMax, first < frames.count { dropFirst() }
        cut()
    }

    /// Cuts off in bulk, so that the cost per frame stays constant; what waits to be cut is at most as much as what is
    /// held, and one batch.
    private mutating func cut() {
        if first == frames.count {
            frames.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 64, first * 2 > frames.count {
            frames.removeSubrange(..<first)
            first = 0
        }
    }

    /// Lets go of the frames before `place`.
    mutating func drop(before place: Place) {
        while first < frames.count, frames[first].place < place { dropFirst() }
        cut()
    }

    private mutating func dropFirst() {
        bytes -= frames[first].next.offset - frames[first].place.offset
        // The memory goes now, the entry later.
        frames[first].stored.frame.bytes = []
        first += 1
    }

    /// Bytes of requests that it keeps in memory.
    var payloadBytes: Int { frames.reduce(0) { $0 + $1.stored.frame.bytes.count } }

    /// Where the oldest frame that is held lies.
    var start: Place? { first < frames.count ? frames[first].place : nil }

    /// The frame at exactly `place` and those behind it, if it is still held.
    func frames(from place: Place) -> ArraySlice<PlacedFrame>? {
        var low = first
        var high = frames.count
        while low < high {
            let middle = (low + high) / 2
            if frames[middle].place < place { low = middle + 1 } else { high = middle }
        }
        guard low < frames.count, frames[low].place.segment == place.segment, frames[low].place.offset == place.offset
        else { return nil }
        return frames[low...]
    }
}
