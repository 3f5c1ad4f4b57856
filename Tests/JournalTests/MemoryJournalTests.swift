import Pipeline
import Testing

@testable import Journal

@Suite struct MemoryJournalTests {
    @Test func `gives every cursor all frames in order and lets go of what all have acknowledged`() async throws {
        let journal = MemoryJournal()
        let first = try journal.cursor(named: "first")
        let second = try journal.cursor(named: "second")
        #expect(await journal.storeAll(0..<1000).last == .stored(Sequence(2997)))
        #expect(await first.drain().map(\.frame) == (0..<1000).map { frame($0) })
        first.acknowledge(before: Sequence(3000))
        #expect(journal.held == HeldAmount(frames: 1000, items: 3000, bytes: 100_000))
        #expect(first.backlog == HeldAmount())
        #expect(await second.drainNumbers() == Array(0..<1000))
        second.acknowledge(before: Sequence(2700))
        #expect(journal.held == HeldAmount(frames: 100, items: 300, bytes: 10_000))
        #expect(second.backlog == HeldAmount(frames: 100, items: 300, bytes: 10_000))
        journal.retainCursors(named: ["first"])
        #expect(journal.held == HeldAmount())
    }

    @Test func `a new reader does not get what of a frame the one before is done with`() async throws {
        let journal = MemoryJournal()
        let first = try journal.cursor(named: "a")
        for number in 0..<2 { _ = await journal.append(frame(number, items: 10)) }
        let frames = await first.drain()
        first.settle(Sequence(0)..<Sequence(3))
        first.settle(Sequence(12)..<Sequence(14))
        #expect(first.backlog.items == 20, "its reader knows what it has settled")
        let second = try journal.cursor(named: "a")
        #expect(second.backlog.items == 15 && second.backlog.frames == 2)
        #expect(await second.drain().map(\.done) == [[0..<3], [2..<4]])
        second.settle(Sequence(14)..<Sequence(20))
        let third = try journal.cursor(named: "a")
        #expect(third.backlog.items == 9)
        #expect(await third.drain().map(\.done) == [[0..<3], [2..<10]])
        third.acknowledge(before: frames[0].end)
        #expect(third.backlog == HeldAmount(frames: 1, items: 2, bytes: frames[1].frame.bytes.count))
        third.settle(Sequence(10)..<Sequence(11))
        #expect(journal.retainCursors(named: []).map(\.items) == [1])
        third.acknowledge(before: frames[1].end)
        #expect(third.backlog == HeldAmount())
    }

    @Test func `a cursor that is not retained is told with what it had left`() async throws {
        let journal = MemoryJournal()
        _ = try journal.cursor(named: "kept")
        let done = try journal.cursor(named: "done")
        let old = try journal.cursor(named: "old")
        let settled = try journal.cursor(named: "settled")
        await journal.storeAll(0..<4)
        done.acknowledge(before: Sequence(12))
        settled.acknowledge(before: Sequence(4))
        settled.settle(Sequence(6)..<Sequence(11))
        #expect(old.skip(StoredFrame(sequence: Sequence(9), frame: frame(3))) == .gone)
        let gone = journal.retainCursors(named: ["kept"])
        #expect(gone.map(\.name) == ["old", "settled"])
        #expect(gone.map(\.items) == [9, 3], "not what was skipped, acknowledged or settled")
        #expect(journal.held.items == 12)
        #expect(journal.retainCursors(named: ["kept"]).isEmpty)
    }

    @Test func `refuses at the cap in bytes or items until something is acknowledged`() async throws {
        var options = MemoryJournal.Options()
        options.maxBytes = 1000
        options.maxItems = 15
        let journal = MemoryJournal(options: options)
        let cursor = try journal.cursor(named: "a")
        #expect(await journal.storeAll(0..<6).map(\.isRefused) == [false, false, false, false, false, true])
        #expect(await journal.store(frame(9, items: 16)).isRefused)
        #expect(await cursor.drain().count == 5)
        cursor.acknowledge(before: Sequence(3))
        #expect(await journal.store(frame(6)) == .stored(Sequence(15)))
        #expect(await journal.store(frame(7, bytes: 1001)).isRefused)
    }

    @Test func `drops the oldest at the cap and counts what was unread`() async throws {
        var options = MemoryJournal.Options()
        options.maxBytes = 1000
        options.overflow = .dropOldest
        let journal = MemoryJournal(options: options)
        let idle = try journal.cursor(named: "idle")
        let keen = try journal.cursor(named: "keen")
        for number in 0..<25 {
            _ = await journal.store(frame(number))
            _ = await keen.drain()
        }
        #expect(await idle.drainNumbers() == Array(15..<25))
        #expect(idle.takeLosses().map(\.items) == [45])
        #expect(keen.takeLosses().isEmpty)
    }

    @Test func `wakes a waiting reader with a frame and with the end`() async throws {
        let journal = MemoryJournal()
        let cursor = try journal.cursor(named: "a")
        async let first = cursor.next(maxFrames: 1, maxBytes: 1, timeout: .seconds(3600))
        await journal.storeAll(0..<1)
        #expect(await first.count == 1)
        async let second = cursor.next(maxFrames: 1, maxBytes: 1, timeout: .seconds(3600))
        journal.close()
        #expect(await second.isEmpty)
        #expect(await journal.store(frame(1)).isRefused)
    }
}
