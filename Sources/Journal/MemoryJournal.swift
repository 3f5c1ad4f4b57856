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

    /// Removes the cursors of all exporters but these, and what only they kept.
    package func retainCursors(named names: Set<String>) {
        for wakeup in store.state.withLock({ $0.retain(names) }) { wakeup.fire(true) }
        store.answerDue()
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
    }

    private let options: MemoryJournal.Options
    /// What is asked of a frame most of the time. Looking at the frame itself counts three references each time.
    private struct Place: Sendable {
        var end: UInt64
        var bytes: Int
        var items: Int
    }

    /// Held frames from `first` on; those before it are gone and cut off in bulk.
    private var frames: [StoredFrame?] = []
    /// In step with `frames`.
    private var places: [Place] = []
    private var first = 0
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

    private var oldest: UInt64 { first < frames.count ? frames[first]?.sequence.value ?? end : end }

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
        guard case .stored = result, pacing.mustWait(unread: unread(now)) else {
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
        places.append(Place(end: next, bytes: frame.bytes.count, items: items))
        amount += HeldAmount(frame)
        for index in cursors.values.indices {
            cursors.values[index].backlog.frames += 1
            cursors.values[index].backlog.bytes += frame.bytes.count
            cursors.values[index].unread += frame.bytes.count
        }
        end = next
        return (.stored(stored.sequence), takeWakeups())
    }

    private mutating func dropOldest() {
        guard first < frames.count, let frame = frames[first] else { return }
        for name in cursors.keys {
            guard var cursor = cursors[name], cursor.acknowledged < frame.end.value else { continue }
            cursor.backlog.frames -= 1
            cursor.backlog.bytes -= frame.frame.bytes.count
            if cursor.read < frame.end.value {
                cursor.unread -= frame.frame.bytes.count
                cursor.lost += Int(clamping: frame.end.value - max(cursor.read, frame.sequence.value))
                cursor.read = frame.end.value
            }
            cursor.acknowledged = frame.end.value
            cursors[name] = cursor
        }
        removeFirst()
    }

    private mutating func removeFirst() {
        amount -= HeldAmount(frames: 1, items: places[first].items, bytes: places[first].bytes)
        frames[first] = nil
        first += 1
        if first == frames.count {
            frames.removeAll(keepingCapacity: true)
            places.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 256, first * 2 > frames.count {
            frames.removeSubrange(..<first)
            places.removeSubrange(..<first)
            first = 0
        }
    }

    /// Lets go of what every cursor has acknowledged. Nothing goes before a cursor exists.
    private mutating func removeFinished() {
        guard let done = cursors.values.lazy.map(\.acknowledged).min() else { return }
        while first < frames.count, places[first].end <= done { removeFirst() }
    }

    private mutating func takeWakeups() -> [Wakeup] {
        var wakeups: [Wakeup] = []
        for index in cursors.values.indices {
            if let wakeup = cursors.values[index].wakeup.take() { wakeups.append(wakeup) }
        }
        return wakeups
    }

    // MARK: Cursors

    mutating func open(_ name: String) -> (handle: Int, older: Wakeup?)? {
        if isClosed { return nil }
        var cursor = cursors[name] ?? Cursor(acknowledged: oldest, read: oldest)
        let older = cursor.wakeup
        cursor.wakeup = nil
        cursor.handle += 1
        cursor.read = cursor.acknowledged
        cursor.backlog = countBacklog(after: cursor.acknowledged)
        cursor.unread = cursor.backlog.bytes
        cursor.lastMove = nil
        cursors[name] = cursor
        return (cursor.handle, older)
    }

    mutating func retain(_ names: Set<String>) -> [Wakeup] {
        var wakeups: [Wakeup] = []
        for (name, cursor) in cursors where !names.contains(name) {
            if let wakeup = cursor.wakeup { wakeups.append(wakeup) }
            cursors[name] = nil
        }
        removeFinished()
        return wakeups
    }

    mutating func read(
        _ name: String, handle: Int, maxFrames: Int, maxBytes: Int, now: UInt64, wakeup: Wakeup
    ) -> ReadStep {
        guard !isClosed, var cursor = cursors[name], cursor.handle == handle else { return .ended }
        defer { cursors[name] = cursor }
        var taken: [StoredFrame] = []
        var bytes = 0
        var index = firstIndex(endingAfter: cursor.read)
        while index < frames.count, let frame = frames[index] {
            bytes += places[index].bytes
            if !taken.isEmpty, taken.count >= maxFrames || bytes > maxBytes { break }
            taken.append(frame)
            index += 1
        }
        guard let last = taken.last else {
            defer { cursor.wakeup = wakeup }
            return .wait(.forAppend, older: cursor.wakeup)
        }
        cursor.read = last.end.value
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
        guard var cursor = cursors[name] else { return }
        let acknowledged = max(cursor.acknowledged, min(sequence, end))
        var index = firstIndex(endingAfter: cursor.acknowledged)
        while index < places.count, places[index].end <= acknowledged {
            cursor.backlog.frames -= 1
            cursor.backlog.bytes -= places[index].bytes
            // Acknowledged unread, as after a restart of the reader.
            if places[index].end > cursor.read { cursor.unread -= places[index].bytes }
            index += 1
        }
        cursor.acknowledged = acknowledged
        cursor.read = max(cursor.read, acknowledged)
        cursors[name] = cursor
        removeFinished()
    }

    mutating func takeLosses(_ name: String) -> [(reason: String, items: Int)] {
        guard let lost = cursors[name]?.lost, lost > 0 else { return [] }
        cursors[name]?.lost = 0
        return [(LossReason.overflow, lost)]
    }

    func backlog(_ name: String) -> HeldAmount {
        guard let cursor = cursors[name] else { return HeldAmount() }
        var backlog = cursor.backlog
        backlog.items = Int(clamping: end - cursor.acknowledged)
        return backlog
    }

    /// Frames that others have acknowledged and this one has not are all still held.
    private func countBacklog(after acknowledged: UInt64) -> HeldAmount {
        var backlog = HeldAmount()
        for place in places[firstIndex(endingAfter: acknowledged)...] {
            backlog.frames += 1
            backlog.bytes += place.bytes
        }
        return backlog
    }

    mutating func close() -> ([Wakeup], [AppendPacing.Answer]) {
        isClosed = true
        return (takeWakeups(), pacing.takeAll())
    }
}
