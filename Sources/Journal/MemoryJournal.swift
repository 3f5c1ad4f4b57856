package import Pipeline
import Synchronization

/// A journal in memory: what it reports stored is held, and gone when the process ends.
package final class MemoryJournal: FrameLog {
    /// Caps of a journal in memory.
    package struct Options: Sendable {
        /// Cap on the bytes of payloads held.
        package var maxBytes = 256 << 20
        /// Cap on spans, log records or points held.
        package var maxItems = Int.max
        package var overflow = OverflowPolicy.block
        /// Unread bytes above which `append` answers later, while readers move.
        package var paceBytes = 3 << 20

        package init() {}
    }

    private let store: MemoryStore

    package init(options: Options = Options()) { store = MemoryStore(options) }

    deinit { close() }

    /// Runs `completion` before it returns, on the calling thread; later, and on another, when readers are behind.
    package func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        let now = monotonicNanoseconds()
        let step = store.state.withLock { $0.append(frame, now: now, completion) }
        if let result = step.result { completion(result) }
        for wakeup in step.wakeups { wakeup.fire(true) }
        if step.startsTicking { store.tick() }
    }

    package func cursor(named name: String) throws -> any FrameCursor {
        let opened = store.state.withLock { $0.open(name) }
        guard let opened else { throw JournalError.closed }
        opened.older?.fire(true)
        return MemoryCursor(store: store, name: name, handle: opened.handle)
    }

    package func hasCursor(named name: String) -> Bool { store.state.withLock { $0.hasCursor(name) } }

    /// Removes the cursors of all exporters but these, and what only they kept. Gives those that are removed with
    /// something left, and how many records that is.
    @discardableResult
    package func retainCursors(named names: Set<String>) -> [(name: String, items: Int)] {
        let (gone, wakeups) = store.state.withLock { $0.retain(names) }
        for wakeup in wakeups { wakeup.fire(true) }
        store.answerDue()
        return gone.filter { $0.items > 0 }
    }

    package var held: HeldAmount { store.state.withLock { $0.held } }

    package func close() {
        let (wakeups, answers) = store.state.withLock { $0.close() }
        for answer in answers { answer() }
        for wakeup in wakeups { wakeup.fire(true) }
    }
}

/// The lock around the state, shared by the journal and its cursors.
private final class MemoryStore: Sendable {
    let state: Mutex<MemoryState>

    /// How often answers that wait are looked at when nothing else happens, in nanoseconds.
    private static let tickInterval: UInt64 = 50_000_000

    init(_ options: MemoryJournal.Options) { state = Mutex(MemoryState(options: options)) }

    /// Gives the answers that wait no longer; false when none waits any more.
    @discardableResult
    func answerDue() -> Bool {
        let now = monotonicNanoseconds()
        let (answers, isEmpty) = state.withLock { ($0.takeDue(now: now), $0.endsTicking()) }
        for answer in answers { answer() }
        return !isEmpty
    }

    /// Looks at waiting answers from now on, for as long as there are any.
    func tick() {
        Task.detached {
            repeat { _ = await Wakeup().wait(until: monotonicNanoseconds() + Self.tickInterval) } while self.answerDue()
        }
    }
}

private struct MemoryCursor: FrameCursor {
    let store: MemoryStore
    let name: String
    let handle: Int

    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        let (sum, overflow) = monotonicNanoseconds().addingReportingOverflow(timeout.nanoseconds)
        let deadline = overflow ? UInt64.max : sum
        while true {
            let wakeup = Wakeup()
            let now = monotonicNanoseconds()
            let (step, answers) = store.state.withLock { state in
                let step = state.read(
                    name, handle: handle, maxFrames: maxFrames, maxBytes: maxBytes, now: now, wakeup: wakeup)
                return (step, state.takeDue(now: now))
            }
            for answer in answers { answer() }
            switch step {
            case .frames(let frames): return frames
            case .ended: return []
            case .wait(_, let older):
                older?.fire(false)
                guard await wakeup.wait(until: deadline) else { return [] }
            }
        }
    }

    func acknowledge(before sequence: Sequence) {
        store.state.withLock { $0.acknowledge(name, before: sequence.value) }
    }

    func settle(_ items: Range<Sequence>) {
        store.state.withLock { $0.settle(name, items.lowerBound.value..<items.upperBound.value) }
    }

    func skip(_ frame: StoredFrame) -> SkipOutcome {
        store.state.withLock { $0.skip(name, frame.sequence.value) } ? .gone : .late
    }

    func read(_ parts: [FramePart]) async -> PartReading {
        let frames = store.state.withLock { state in parts.map { state.bytes(of: $0.place) } }
        var reading = PartReading(bytes: [], missing: [])
        reading.bytes.reserveCapacity(parts.reduce(0) { $0 + $1.length })
        for (index, part) in parts.enumerated() {
            let end = part.offset + part.length
            if let frame = frames[index], end <= frame.count {
                reading.bytes += frame[part.offset..<end]
            } else {
                reading.bytes += repeatElement(0, count: part.length)
                reading.missing.append(index)
            }
        }
        return reading
    }

    func takeLosses() -> [(reason: String, items: Int)] { store.state.withLock { $0.takeLosses(name) } }

    var backlog: HeldAmount { store.state.withLock { $0.backlog(name) } }
}

/// The frames and cursors of a journal in memory: a value without effects.
private struct MemoryState: Sendable {
    private struct Cursor: Sendable {
        var acknowledged: UInt64
        var read: UInt64
        var lost = 0
        var handle = 0
        var wakeup: Wakeup?
        /// Held frames that are not acknowledged as a whole.
        var backlog = HeldAmount()
        /// Bytes of held frames that are not read as a whole.
        var unread = 0
        /// When it last took frames, monotonic nanoseconds.
        var lastMove: UInt64?
        /// What it passes over behind `acknowledged`: runs in order and apart.
        var skipped: [Range<UInt64>] = []
        /// What its reader is done with behind `acknowledged`. The next reader passes over it.
        var settled = SettledRanges()
        /// What the readers before are done with: frames come without it.
        var restored = SettledRanges()

        /// Most runs; frames come one after the other, so a long outage is one run.
        static let skippedMax = 4_096

        /// What of a frame, never all of it, the readers before are done with.
        func done(_ place: Place) -> [Range<UInt64>] {
            let run = place.start..<place.end
            return restored.isEmpty || restored.covers(run) ? [] : restored.parts(of: run)
        }

        /// What `backlog` counts for a frame.
        func amount(_ place: Place) -> HeldAmount {
            var amount = place.amount
            for run in done(place) { amount.items -= run.count }
            return amount
        }

        func hasSkipped(_ sequence: UInt64) -> Bool {
            let index = firstSkipped(endingAfter: sequence)
            return index < skipped.count && skipped[index].lowerBound <= sequence
        }

        /// False when there is no room.
        mutating func addSkipped(_ run: Range<UInt64>) -> Bool {
            let index = firstSkipped(endingAfter: run.lowerBound)
            let joinsNext = index < skipped.count && skipped[index].lowerBound == run.upperBound
            if index > 0, skipped[index - 1].upperBound == run.lowerBound {
                skipped[index - 1] = skipped[index - 1].lowerBound..<(joinsNext ? skipped[index] : run).upperBound
                if joinsNext { skipped.remove(at: index) }
            } else if joinsNext {
                skipped[index] = run.lowerBound..<skipped[index].upperBound
            } else {
                guard skipped.count < Self.skippedMax else { return false }
                skipped.insert(run, at: index)
            }
            return true
        }

        mutating func dropSkipped(before sequence: UInt64) {
            let index = firstSkipped(endingAfter: sequence)
            if index > 0 { skipped.removeFirst(index) }
        }

        private func firstSkipped(endingAfter sequence: UInt64) -> Int {
            var (low, high) = (0, skipped.count)
            while low < high {
                let middle = (low + high) / 2
                if skipped[middle].upperBound <= sequence { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    private let options: MemoryJournal.Options
    /// What is asked of a frame most of the time. Looking at the frame itself counts three references each time.
    private struct Place: Sendable {
        var start: UInt64
        var end: UInt64
        var bytes: Int
        var items: Int
        /// Cursors that are not done with it.
        var owed: Int
        var isHeld = true
        var amount: HeldAmount { HeldAmount(frames: 1, items: items, bytes: bytes) }
    }

    /// Frames from `first` on; those before it are gone and cut off in bulk. Nil is what is gone between others.
    private var frames: [StoredFrame?] = []
    /// In step with `frames`.
    private var places: [Place] = []
    private var first = 0
    /// How many from `first` on are gone.
    private var holes = 0
    private var amount = HeldAmount()
    private var end: UInt64 = 0
    private var cursors: [String: Cursor] = [:]
    private var isClosed = false
    private var pacing: AppendPacing
    private var isTicking = false

    init(options: MemoryJournal.Options) {
        self.options = options
        pacing = AppendPacing(limit: options.paceBytes)
    }

    var held: HeldAmount { amount }

    private var oldest: UInt64 { first < places.count ? places[first].start : end }

    // MARK: Appending

    /// What is to be done after an append, outside the lock.
    struct AppendStep {
        /// Nil when the answer waits.
        var result: AppendResult?
        var wakeups: [Wakeup] = []
        var startsTicking = false
    }

    mutating func append(
        _ frame: Frame, now: UInt64, _ completion: @escaping @Sendable (AppendResult) -> Void
    ) -> AppendStep {
        let (result, wakeups) = append(frame)
        // What is unread is held.
        guard case .stored = result, amount.bytes > pacing.limit, pacing.mustWait(unread: unread(now)) else {
            return AppendStep(result: result, wakeups: wakeups)
        }
        pacing.wait(frame.bytes.count, since: now) { completion(result) }
        defer { isTicking = true }
        return AppendStep(wakeups: wakeups, startsTicking: !isTicking)
    }

    /// The answers that wait no longer.
    mutating func takeDue(now: UInt64) -> [AppendPacing.Answer] {
        pacing.isEmpty ? [] : pacing.takeDue(unread: unread(now), now: now)
    }

    /// Whether no answer waits now: then nobody looks again.
    mutating func endsTicking() -> Bool {
        if pacing.isEmpty { isTicking = false }
        return pacing.isEmpty
    }

    /// Unread bytes of the cursor that is most behind of those that move, nil when none does.
    private func unread(_ now: UInt64) -> Int? {
        var most: Int?
        for cursor in cursors.values {
            guard let lastMove = cursor.lastMove, now < lastMove &+ AppendPacing.stallTime else { continue }
            most = max(most ?? 0, cursor.unread)
        }
        return most
    }

    private mutating func append(_ frame: Frame) -> (AppendResult, [Wakeup]) {
        let items = Int(frame.header.itemCount)
        let (next, overflow) = end.addingReportingOverflow(UInt64(items))
        if isClosed || overflow { return (.refused(reason: "the journal is closed", retryAfter: .seconds(1)), []) }
        if items == 0 { return (.stored(Sequence(end)), []) }
        if frame.bytes.count > options.maxBytes || items > options.maxItems {
            let reason =
                "\(frame.bytes.count) bytes in \(items) records at once are more than the journal in memory may hold "
                + "(\(options.maxBytes) bytes); send smaller batches or set sending_queue.storage of the exporters"
            return (.refused(reason: reason, retryAfter: .seconds(60), isFinal: true), [])
        }
        while amount.bytes + frame.bytes.count > options.maxBytes || amount.items + items > options.maxItems {
            if options.overflow == .block {
                let reason = "the journal is full: exporters are behind"
                return (.refused(reason: reason, retryAfter: .seconds(1)), [])
            }
            dropOldest()
        }
        var stored = StoredFrame(sequence: Sequence(end), frame: frame)
        stored.place = FramePlace(file: 0, offset: end)
        frames.append(stored)
        places.append(
            Place(start: end, end: next, bytes: frame.bytes.count, items: items, owed: cursors.count))
        amount += HeldAmount(frame)
        for index in cursors.values.indices {
            cursors.values[index].backlog += HeldAmount(frame)
            cursors.values[index].unread += frame.bytes.count
        }
        end = next
        return (.stored(stored.sequence), takeWakeups())
    }

    private mutating func dropOldest() {
        guard first < places.count else { return }
        let place = places[first]
        for name in cursors.keys {
            guard var cursor = cursors[name], cursor.acknowledged < place.end else { continue }
            if !cursor.hasSkipped(place.start) {
                let amount = cursor.amount(place)
                cursor.backlog -= amount
                if cursor.read < place.end {
                    cursor.unread -= place.bytes
                    cursor.lost += max(0, amount.items - Int(clamping: max(cursor.read, place.start) - place.start))
                }
            }
            cursor.read = max(cursor.read, place.end)
            cursor.acknowledged = place.end
            cursor.dropSkipped(before: place.end)
            cursors[name] = cursor
        }
        release(first)
        cut()
    }

    /// A cursor is done with a frame that it has not skipped; the frame goes when it was the last one.
    private mutating func settle(_ index: Int, for cursor: inout Cursor) {
        let place = places[index]
        cursor.backlog -= cursor.amount(place)
        // Done with unread, as after a restart of the reader.
        if place.end > cursor.read { cursor.unread -= place.bytes }
        places[index].owed -= 1
        if place.owed == 1 { release(index) }
    }

    /// The bytes go now, the entry with the next cut.
    private mutating func release(_ index: Int) {
        amount -= places[index].amount
        frames[index] = nil
        places[index].isHeld = false
        holes += 1
    }

    /// Cuts off what is gone in bulk, so that the cost for each frame is constant: at the front, and between others
    /// when it is most of what is there.
    private mutating func cut() {
        while first < places.count, !places[first].isHeld {
            first += 1
            holes -= 1
        }
        if first == frames.count {
            frames.removeAll(keepingCapacity: true)
            places.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 256, first * 2 > frames.count {
            frames.removeSubrange(..<first)
            places.removeSubrange(..<first)
            first = 0
        }
        guard holes > 256, holes * 2 > frames.count - first else { return }
        let kept = (first..<frames.count).filter { places[$0].isHeld }
        frames = kept.map { frames[$0] }
        places = kept.map { places[$0] }
        first = 0
        holes = 0
    }

    private mutating func takeWakeups() -> [Wakeup] {
        var wakeups: [Wakeup] = []
        for index in cursors.values.indices {
            if let wakeup = cursors.values[index].wakeup.take() { wakeups.append(wakeup) }
        }
        return wakeups
    }

    // MARK: Cursors

    func hasCursor(_ name: String) -> Bool { cursors[name] != nil }

    mutating func open(_ name: String) -> (handle: Int, older: Wakeup?)? {
        if isClosed { return nil }
        let isNew = cursors[name] == nil
        var cursor = cursors[name] ?? Cursor(acknowledged: oldest, read: oldest)
        let older = cursor.wakeup
        cursor.wakeup = nil
        cursor.handle += 1
        cursor.read = cursor.acknowledged
        if isNew { cursor.backlog = oweAll() }
        cursor.unread = cursor.backlog.bytes
        skipSettled(&cursor)
        cursor.lastMove = nil
        cursors[name] = cursor
        return (cursor.handle, older)
    }

    /// What an earlier reader is done with is not read again.
    private mutating func skipSettled(_ cursor: inout Cursor) {
        for range in cursor.settled.ranges {
            var index = firstIndex(endingAfter: range.lowerBound)
            while index < places.count, places[index].end <= range.upperBound {
                let run = places[index].start..<places[index].end
                if places[index].isHeld, range.contains(run.lowerBound), !cursor.hasSkipped(run.lowerBound),
                    cursor.addSkipped(run)
                {
                    settle(index, for: &cursor)
                }
                index += 1
            }
        }
        cursor.restored = cursor.settled
        cut()
        cursor.backlog = backlog(of: cursor)
    }

    /// What is held and the reader of a cursor is not done with.
    private func backlog(of cursor: Cursor) -> HeldAmount {
        var backlog = HeldAmount()
        for place in places[firstIndex(endingAfter: cursor.acknowledged)...]
        where place.isHeld && !cursor.hasSkipped(place.start) {
            backlog += cursor.amount(place)
        }
        return backlog
    }

    /// The reader of a cursor is done with this, while something older is open.
    mutating func settle(_ name: String, _ items: Range<UInt64>) {
        guard let acknowledged = cursors[name]?.acknowledged, items.upperBound > acknowledged else { return }
        cursors[name]?.settled.insert(max(items.lowerBound, acknowledged)..<items.upperBound)
    }

    mutating func retain(_ names: Set<String>) -> (gone: [(name: String, items: Int)], wakeups: [Wakeup]) {
        var gone: [(name: String, items: Int)] = []
        var wakeups: [Wakeup] = []
        for name in cursors.keys.sorted() where !names.contains(name) {
            guard var cursor = cursors.removeValue(forKey: name) else { continue }
            if let wakeup = cursor.wakeup { wakeups.append(wakeup) }
            gone.append((name, itemsLeft(of: cursor)))
            acknowledge(&cursor, before: end, isLast: cursors.isEmpty)
        }
        cut()
        return (gone, wakeups)
    }

    /// Records that are held and that the reader of a cursor is not done with.
    private func itemsLeft(of cursor: Cursor) -> Int {
        var items: UInt64 = 0
        for place in places[firstIndex(endingAfter: cursor.acknowledged)...] where place.isHeld {
            if cursor.hasSkipped(place.start) { continue }
            let run = max(place.start, cursor.acknowledged)..<place.end
            items += run.upperBound - run.lowerBound - cursor.settled.items(in: run)
        }
        return Int(clamping: items)
    }

    mutating func read(
        _ name: String, handle: Int, maxFrames: Int, maxBytes: Int, now: UInt64, wakeup: Wakeup
    ) -> ReadStep {
        guard !isClosed, var cursor = cursors[name], cursor.handle == handle else { return .ended }
        defer { cursors[name] = cursor }
        var taken: [StoredFrame] = []
        var bytes = 0
        var index = firstIndex(endingAfter: cursor.read)
        while index < frames.count {
            let place = places[index]
            if var frame = frames[index], cursor.skipped.isEmpty || !cursor.hasSkipped(place.start) {
                for run in cursor.done(place) {
                    frame.done.append(Int(run.lowerBound - place.start)..<Int(run.upperBound - place.start))
                }
                bytes += place.bytes
                if !taken.isEmpty, taken.count >= maxFrames || bytes > maxBytes { break }
                taken.append(frame)
            }
            cursor.read = place.end
            index += 1
        }
        guard !taken.isEmpty else {
            defer { cursor.wakeup = wakeup }
            return .wait(.forAppend, older: cursor.wakeup)
        }
        cursor.unread -= taken.reduce(0) { $0 + $1.frame.bytes.count }
        cursor.lastMove = now
        return .frames(taken)
    }

    /// The bytes of a frame that is still held.
    func bytes(of place: FramePlace) -> [UInt8]? {
        let index = firstIndex(endingAfter: place.offset)
        guard index < frames.count, let frame = frames[index], frame.sequence.value == place.offset else { return nil }
        return frame.frame.bytes
    }

    private func firstIndex(endingAfter sequence: UInt64) -> Int {
        var low = first
        var high = frames.count
        while low < high {
            let middle = (low + high) / 2
            if places[middle].end <= sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func acknowledge(_ name: String, before sequence: UInt64) {
        guard var cursor = cursors.removeValue(forKey: name) else { return }
        acknowledge(&cursor, before: sequence)
        cursors[name] = cursor
        cut()
    }

    /// With `isLast` frames stay: nothing goes while there is no cursor.
    private mutating func acknowledge(_ cursor: inout Cursor, before sequence: UInt64, isLast: Bool = false) {
        let acknowledged = max(cursor.acknowledged, min(sequence, end))
        var index = firstIndex(endingAfter: cursor.acknowledged)
        while index < places.count, places[index].end <= acknowledged {
            if places[index].isHeld, cursor.skipped.isEmpty || !cursor.hasSkipped(places[index].start) {
                if isLast { places[index].owed -= 1 } else { settle(index, for: &cursor) }
            }
            index += 1
        }
        cursor.acknowledged = acknowledged
        cursor.read = max(cursor.read, acknowledged)
        cursor.dropSkipped(before: acknowledged)
        if !cursor.settled.isEmpty { cursor.settled.drop(before: acknowledged) }
        if !cursor.restored.isEmpty { cursor.restored.drop(before: acknowledged) }
    }

    /// The reader of a cursor passes over the frame at `sequence`. False when it has read it, or there is no room.
    mutating func skip(_ name: String, _ sequence: UInt64) -> Bool {
        guard var cursor = cursors[name], !isClosed, sequence >= cursor.read else { return false }
        let index = firstIndex(endingAfter: sequence)
        guard index < places.count, places[index].start == sequence, places[index].isHeld,
            !cursor.hasSkipped(sequence), cursor.addSkipped(sequence..<places[index].end)
        else { return false }
        settle(index, for: &cursor)
        cursors[name] = cursor
        cut()
        return true
    }

    mutating func takeLosses(_ name: String) -> [(reason: String, items: Int)] {
        guard let lost = cursors[name]?.lost, lost > 0 else { return [] }
        cursors[name]?.lost = 0
        return [(LossReason.overflow, lost)]
    }

    func backlog(_ name: String) -> HeldAmount {
        cursors[name]?.backlog ?? HeldAmount()
    }

    /// A new cursor has everything before it that is held.
    private mutating func oweAll() -> HeldAmount {
        var backlog = HeldAmount()
        for index in places.indices[first...] where places[index].isHeld {
            places[index].owed += 1
            backlog += places[index].amount
        }
        return backlog
    }

    mutating func close() -> ([Wakeup], [AppendPacing.Answer]) {
        isClosed = true
        return (takeWakeups(), pacing.takeAll())
    }
}
