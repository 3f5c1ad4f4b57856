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

    @Test(.timeLimit(.minutes(1)))
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
}
