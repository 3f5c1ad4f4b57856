import Pipeline
import Testing

@testable import Journal

/// Frames that one reader passes over while it has older ones open.
@Suite(.timeLimit(.minutes(15))) struct SkippedFrameTests {
    private func stored(_ number: Int, at sequence: UInt64) -> StoredFrame {
        StoredFrame(sequence: Sequence(sequence), frame: frame(number))
    }

    @Test func `in memory they go as soon as the others are done, and are not read`() async throws {
        var options = MemoryJournal.Options()
        options.maxBytes = 1_000
        let journal = MemoryJournal(options: options)
        let live = try journal.cursor(named: "live")
        let dead = try journal.cursor(named: "dead")
        let idle = try journal.cursor(named: "idle")
        for number in 0..<2_000 {
            #expect(await journal.store(frame(number)) == .stored(Sequence(UInt64(number) * 3)))
            let isOpen = number < 3 || number == 1_000
            if !isOpen { #expect(dead.skip(stored(number, at: UInt64(number) * 3)) == .gone) }
            if number == 1 { #expect(await dead.drainNumbers() == [0, 1]) }
            for frame in await live.drain() { live.acknowledge(before: frame.end) }
            idle.acknowledge(before: Sequence(UInt64(number) * 3 + 3))
        }
        #expect(journal.held == HeldAmount(frames: 4, items: 12, bytes: 400))
        #expect(dead.backlog == journal.held && idle.backlog == HeldAmount() && live.backlog == HeldAmount())
        #expect(await dead.drainNumbers() == [2, 1_000])
        #expect(dead.skip(stored(1_000, at: 3_000)) == .late)
        dead.acknowledge(before: Sequence(9))
        #expect(dead.backlog == HeldAmount(frames: 1, items: 3, bytes: 100))
        dead.acknowledge(before: Sequence(3_003))
        #expect(journal.held == HeldAmount() && dead.backlog == HeldAmount())
        #expect(dead.takeLosses().isEmpty)
        await journal.storeAll(3_000..<3_002)
        #expect(await dead.drainNumbers() == [3_000, 3_001])
        #expect(await idle.drainNumbers() == [3_000, 3_001])
    }

    @Test func `in memory one stays while another has to read it`() async throws {
        let journal = MemoryJournal()
        let slow = try journal.cursor(named: "slow")
        let dead = try journal.cursor(named: "dead")
        await journal.storeAll(0..<5)
        for number in [4, 2, 3, 1] { #expect(dead.skip(stored(number, at: UInt64(number) * 3)) == .gone) }
        #expect(dead.skip(stored(2, at: 6)) == .late, "once")
        #expect(dead.backlog.frames == 1 && journal.held.frames == 5)
        journal.retainCursors(named: ["slow", "dead"])
        #expect(await slow.drainNumbers() == [0, 1, 2, 3, 4])
        slow.acknowledge(before: Sequence(15))
        #expect(journal.held.frames == 1)
        journal.retainCursors(named: ["slow"])
        #expect(journal.held == HeldAmount())
    }

    @Test func `on disk the segments that hold nothing else go, and a restart gives none of them`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let live = try journal.cursor(named: "live")
        let dead = try journal.cursor(named: "dead")
        var skipped = HeldAmount()
        for number in 0..<600 {
            await journal.storeAll(number..<number + 1)
            if number == 1 { _ = await dead.next(maxFrames: 2, maxBytes: 1 << 20, timeout: .zero) }
            if number > 2, case .passing(let amount) = dead.skip(stored(number, at: UInt64(number) * 3)) {
                skipped += amount
            }
            for frame in await live.drain() { live.acknowledge(before: frame.end) }
        }
        var tries = 0
        while disk.segmentCount > 2, tries < 100_000 {
            await Task.yield()
            tries += 1
        }
        #expect(disk.segmentCount == 2, "the one with what is open, and the one that is written")
        var open = dead.backlog
        open -= skipped
        #expect(open == HeldAmount(frames: 3, items: 9, bytes: skipped.bytes / skipped.frames * 3))
        #expect(await dead.drainNumbers().first == 2)
        #expect(dead.takeLosses().isEmpty)
        journal.close()

        let reopened = try openFake(FakeDisk(disk.contents))
        let again = try reopened.cursor(named: "dead")
        #expect(again.backlog.items == 9 && again.backlog.frames <= 5 && again.backlog.bytes < open.bytes * 2)
        let left = await again.drain()
        #expect(left.map { Int($0.frame.header.minTime) } == [0, 1, 2])
        #expect(again.takeLosses().isEmpty)
        for frame in left { again.acknowledge(before: frame.end) }
        #expect(again.backlog == HeldAmount())
        await reopened.storeAll(700..<702)
        #expect(await again.drainNumbers() == [700, 701])
        #expect(again.takeLosses().isEmpty)
        reopened.close()
    }

    @Test func `on disk a reader goes on over segments that went`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let live = try journal.cursor(named: "live")
        let dead = try journal.cursor(named: "dead")
        for number in 0..<400 {
            await journal.storeAll(number..<number + 1)
            if number > 0, number < 390 { _ = dead.skip(stored(number, at: UInt64(number) * 3)) }
            for frame in await live.drain() { live.acknowledge(before: frame.end) }
        }
        var tries = 0
        while disk.segmentCount > 3, tries < 100_000 {
            await Task.yield()
            tries += 1
        }
        let numbers = await dead.drainNumbers()
        #expect(numbers.first == 0 && Array(numbers.suffix(10)) == Array(390..<400))
        #expect(numbers.count < 200)
        dead.acknowledge(before: Sequence(3))
        #expect(dead.backlog.items == 30, "it moves over what was skipped")
        dead.acknowledge(before: Sequence(1_200))
        #expect(dead.backlog == HeldAmount() && dead.takeLosses().isEmpty)
        journal.close()
    }
}
