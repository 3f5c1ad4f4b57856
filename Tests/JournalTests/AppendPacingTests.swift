import Pipeline
import Synchronization
import Testing

@testable import Journal

@Suite struct AppendPacingTests {
    private let second: UInt64 = 1_000_000_000

    private func pacing(waiting sizes: [Int] = [], since: UInt64 = 0) -> AppendPacing {
        var pacing = AppendPacing(limit: 1000)
        for size in sizes { pacing.wait(size, since: since) {} }
        return pacing
    }

    @Test func `answers at once up to the limit, and when no reader moves`() {
        #expect(!pacing().mustWait(unread: 1000))
        #expect(pacing().mustWait(unread: 1001))
        #expect(!pacing().mustWait(unread: nil))
    }

    @Test func `gives as many answers as there is room for, oldest first`() {
        var pacing = pacing(waiting: [300, 300, 300, 300])
        #expect(pacing.takeDue(unread: 1200, now: 1).isEmpty)
        #expect(pacing.takeDue(unread: 500, now: 1).count == 2)
        #expect(!pacing.isEmpty)
        #expect(pacing.takeDue(unread: 0, now: 1).count == 2)
        #expect(pacing.isEmpty)
    }

    @Test func `what an answer holds goes with it, and not when all have been given`() {
        final class Held: Sendable {}
        var pacing = AppendPacing(limit: 1000)
        weak var first: Held?
        do {
            let held = Held()
            first = held
            pacing.wait(1000, since: 0) { withExtendedLifetime(held) {} }
        }
        pacing.wait(1000, since: 0) {}
        #expect(first != nil)
        for answer in pacing.takeDue(unread: 0, now: 1) { answer() }
        #expect(first == nil)
        #expect(!pacing.isEmpty)
    }

    @Test func `lets no answer wait longer than a second though readers move`() {
        var pacing = pacing(waiting: [1, 1], since: 1)
        #expect(pacing.takeDue(unread: 5000, now: second).isEmpty)
        #expect(pacing.takeDue(unread: 5000, now: second + 1).count == 2)
    }

    @Test func `gives all answers once no reader moves or the journal closes`() {
        var stalled = pacing(waiting: Array(repeating: 1, count: 600))
        #expect(stalled.takeDue(unread: nil, now: 1).count == 600)
        var closed = pacing(waiting: [1, 2, 3])
        #expect(closed.takeAll().count == 3)
        #expect(closed.isEmpty)
    }

    @Test(.timeLimit(.minutes(15)))
    func `a journal in memory answers late while its reader is behind and moves, and loses no answer`() async throws {
        var options = MemoryJournal.Options()
        options.paceBytes = 1000
        let journal = MemoryJournal(options: options)
        let cursor = try journal.cursor(named: "a")
        #expect(await journal.store(frame(0)) == .stored(Sequence(0)))
        #expect(await cursor.drain().count == 1)
        cursor.acknowledge(before: Sequence(3))
        let answered = Mutex<[AppendResult]>([])
        for number in 1...30 { journal.append(frame(number)) { result in answered.withLock { $0.append(result) } } }
        // The clock decides how many wait; none is lost.
        while await cursor.drain().isEmpty == false {}
        while answered.withLock({ $0.count }) < 30 { await Task.yield() }
        #expect(answered.withLock { $0 }.allSatisfy { !$0.isRefused })
        for number in 31...60 { journal.append(frame(number)) { result in answered.withLock { $0.append(result) } } }
        journal.close()
        #expect(answered.withLock { $0.count } == 60)
    }

    @Test(.timeLimit(.minutes(15)))
    func `a journal on disk answers late while its reader is behind and moves, and loses no answer`() async throws {
        var options = smallOptions(tailBytes: 1 << 20)
        options.paceBytes = 1000
        let journal = try openFake(FakeDisk(), options: options)
        let cursor = try journal.cursor(named: "a")
        #expect(await journal.store(frame(0)) == .stored(Sequence(0)))
        #expect(await cursor.drain().count == 1)
        let answered = Mutex<[AppendResult]>([])
        for number in 1...30 { journal.append(frame(number)) { result in answered.withLock { $0.append(result) } } }
        while answered.withLock({ $0.count }) < 30 { _ = await cursor.drain() }
        #expect(answered.withLock { $0 }.allSatisfy { !$0.isRefused })
        #expect(!journal.holdsAnswers)
        // Nobody reads any more: the time gives the answers, and what still waits at the end is answered by that.
        for number in 31...60 { journal.append(frame(number)) { result in answered.withLock { $0.append(result) } } }
        journal.close()
        #expect(answered.withLock { $0.count } == 60)
        #expect(answered.withLock { $0 }.allSatisfy { !$0.isRefused })
    }

    @Test(.timeLimit(.minutes(15)))
    func `a journal on disk tells while answers wait for its reader`() async throws {
        var options = smallOptions(tailBytes: 1 << 20)
        options.paceBytes = 1000
        options.paceWait = .seconds(600)
        let journal = try openFake(FakeDisk(), options: options)
        let cursor = try journal.cursor(named: "a")
        let answered = Mutex(0)
        var number = 0
        #expect(await journal.store(frame(number)) == .stored(Sequence(0)))
        while !journal.holdsAnswers {
            try #require(!Task.isCancelled && number < 100_000)
            // The reader has just moved, and what follows is more than it may be behind.
            _ = await cursor.drain()
            for _ in 0..<16 {
                number += 1
                journal.append(frame(number)) { _ in answered.withLock { $0 += 1 } }
            }
            while !journal.holdsAnswers, answered.withLock({ $0 }) < number { await Task.yield() }
        }
        while journal.holdsAnswers {
            try #require(!Task.isCancelled)
            _ = await cursor.drain()
        }
        journal.close()
        #expect(answered.withLock { $0 } == number)
    }
}

/// What a reader of the disk journal has not acknowledged.
@Suite struct BacklogTests {
    @Test func `a segment that has just begun counts nothing, whatever was done in an earlier life`() {
        let full = SegmentInfo(
            number: 1, base: 0, end: 100, dataEnd: JournalFormat.dataOffset + 1_000, frames: 10, seed: 0)
        var index = JournalIndex(segments: [full], nextSequence: 100, tailBytes: 0)
        let cursor = CursorState(position: 10, place: .start(of: 1), settled: SettledRanges([40..<85]))
        #expect(index.backlog(of: cursor) == HeldAmount(frames: 5, items: 45, bytes: 500))
        index.begin(2, seed: 0)
        #expect(index.backlog(of: cursor) == HeldAmount(frames: 5, items: 45, bytes: 500))
    }
}

/// How far behind a reader of the disk journal is, as far as answers wait for it.
@Suite struct UnreadBytesTests {
    private static let size = 100

    /// An index of one segment with frames of 100 bytes, the newest 20 of them in memory, and a cursor at its start.
    private func index(frames: Range<Int>) -> JournalIndex {
        var index = JournalIndex(segments: [], nextSequence: 0, tailBytes: 20 * Self.size)
        index.nearBytes = 8 * Self.size
        index.cursors["a"] = CursorState(position: 0, place: .start(of: 1))
        index.begin(1, seed: 0)
        publish(frames, to: &index)
        return index
    }

    private func publish(_ frames: Range<Int>, to index: inout JournalIndex) {
        _ = index.publish(frames.map { placed($0) })
    }

    private func placed(_ number: Int) -> PlacedFrame {
        let start = Place.start(of: 1).offset + number * Self.size
        return PlacedFrame(
            stored: StoredFrame(sequence: Sequence(UInt64(number)), frame: frame(number, items: 1)),
            place: Place(segment: 1, offset: start, frame: number),
            next: Place(segment: 1, offset: start + Self.size, frame: number + 1))
    }

    private func read(_ frames: Int, at now: UInt64, _ index: inout JournalIndex) -> Bool {
        let step = index.read("a", handle: 0, maxFrames: frames, maxBytes: .max, now: now, wakeup: Wakeup())
        if case .frames(let taken) = step { return taken.count == frames }
        return false
    }

    @Test func `what a reader of the newest frames has not taken is unread while it moves`() {
        var index = index(frames: 0..<10)
        #expect(index.unread(at: 0) == nil)
        #expect(read(4, at: 1, &index))
        #expect(index.unread(at: 1) == 6 * Self.size)
        publish(10..<15, to: &index)
        #expect(index.unread(at: AppendPacing.stallTime) == 11 * Self.size)
        #expect(index.unread(at: 1 + AppendPacing.stallTime) == nil)
        #expect(read(1, at: 2 + AppendPacing.stallTime, &index))
        #expect(index.unread(at: 2 + AppendPacing.stallTime) == 10 * Self.size)
    }

    @Test func `a reader that fell out of memory is given no time`() {
        var index = index(frames: 0..<4)
        #expect(read(1, at: 1, &index))
        publish(4..<21, to: &index)
        #expect(index.unread(at: 1) == 20 * Self.size)
        publish(21..<22, to: &index)
        #expect(index.unread(at: 1) == nil)
    }

    @Test func `a reader that was behind is given time once it is near the end`() {
        var index = index(frames: 0..<20)
        #expect(read(11, at: 1, &index))
        #expect(index.unread(at: 1) == nil)
        #expect(read(1, at: 1, &index))
        #expect(index.unread(at: 1) == 8 * Self.size)
    }

    @Test func `a read from disk ends the time that a reader is given`() throws {
        var index = index(frames: 0..<4)
        #expect(read(1, at: 1, &index))
        publish(4..<30, to: &index)
        let begun = index.beginFetch("a")
        let request = try #require(begun)
        let fetched = (1..<15).map { placed($0) }
        _ = index.endFetch("a", request, .read(fetched, goingOnAt: fetched[13].next, isDamaged: false))
        #expect(read(14, at: 1, &index))
        #expect(index.unread(at: 1) == nil)
        #expect(read(7, at: 1, &index))
        #expect(index.unread(at: 1) == 8 * Self.size)
    }
}
