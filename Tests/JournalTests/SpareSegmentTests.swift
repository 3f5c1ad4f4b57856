import Glibc
import Pipeline
import Testing

@testable import Journal

/// Files of finished segments that are written over.
@Suite struct SpareSegmentTests {
    /// Stores and acknowledges until files have been written over a few times. Gives the next number.
    private func wearIn(_ journal: DiskJournal, _ cursor: any FrameCursor, _ disk: FakeDisk) async -> Int {
        var number = 0
        while disk.calls.count(where: { $0.name == "rename" && $0.path.hasSuffix(".tmp") }) < 12, number < 5_000 {
            await journal.storeAll(number..<number + 5)
            number += 5
            for stored in await cursor.drain() { cursor.acknowledge(before: stored.end) }
        }
        return number
    }

    private func isWrittenOver(_ disk: FakeDisk) -> Bool {
        let made = disk.calls.count { $0.name == "ftruncate" && $0.path.hasSuffix(".segment.tmp") }
        return made < disk.calls.count { $0.name == "rename" && $0.path.hasSuffix(".segment.tmp") }
    }

    @Test func `what such a file held before is never read again`() async throws {
        for seed in UInt64(0)..<40 {
            let disk = FakeDisk()
            let journal = try openFake(disk)
            let cursor = try journal.cursor(named: "a")
            let first = await wearIn(journal, cursor, disk)
            #expect(isWrittenOver(disk))
            let count = Int(seed % 30)
            await journal.storeAll(first..<first + count)
            let after = disk.afterPowerLoss(seed: seed)
            let killed = FakeDisk(disk.contents)
            journal.close()
            for found in [after, killed] {
                let log = Notices()
                let reopened = try openFake(found, log: log)
                let again = try reopened.cursor(named: "a")
                let numbers = await again.drainNumbers()
                // Cursors are saved a moment later, so what was acknowledged may come again; nothing else may.
                #expect(numbers.suffix(count) == Array(first..<first + count)[...], "seed \(seed)")
                #expect(numbers == Array((first + count - numbers.count)..<first + count), "seed \(seed)")
                #expect(again.takeLosses().isEmpty && !log.has("quarantined"), "seed \(seed)")
                reopened.close()
            }
        }
    }

    @Test func `a full disk still takes what fits into files that are there`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        let first = await wearIn(journal, cursor, disk)
        let sizes = disk.contents.filter { $0.key.contains(".segment") }.mapValues(\.count)
        disk.onCall { call in
            let isNew = call.name == "create" && sizes[call.path] == nil && !call.path.hasSuffix(".segment.tmp")
            return isNew || call.name == "fallocate" ? .error(ENOSPC) : nil
        }
        var stored = 0
        while stored < 100, !(await journal.store(frame(first + stored))).isRefused { stored += 1 }
        #expect(stored > 0)
        disk.onCall(nil)
        #expect(await cursor.drainNumbers() == Array(first..<first + stored))
        journal.close()
        #expect(!disk.contents.keys.contains { $0.hasSuffix(".tmp") })
    }

    @Test func `takes records of every size across the ends of blocks and of the buffer`() async throws {
        let disk = FakeDisk()
        var options = smallOptions()
        options.segmentBytes = 16 << 20
        let journal = try openFake(disk, options: options)
        let cursor = try journal.cursor(named: "a")
        var random = SplitMix(state: 11)
        var sizes = [4096 - 48 - 4, 4096, 4 << 20, (4 << 20) - 4096 - 48 - 4, 0, 1]
        sizes += (0..<60).map { _ in Int(random.next() % 20_000) }
        for (number, size) in sizes.enumerated() {
            #expect(!(await journal.store(frame(number, bytes: size))).isRefused)
        }
        let frames = sizes.enumerated().map { frame($0.offset, bytes: $0.element) }
        #expect(await cursor.drain().map(\.frame) == frames)
        let killed = FakeDisk(disk.contents)
        journal.close()
        let reopened = try openFake(killed)
        #expect(await (try reopened.cursor(named: "a")).drain().map(\.frame) == frames)
        reopened.close()
    }

    @Test func `the real disk takes a segment past its page cache, or through it`() async throws {
        let directory = try ScratchDirectory()
        var options = smallOptions()
        options.segmentBytes = 1 << 20
        let journal = try DiskJournal(directory: directory.path, options: options)
        let cursor = try journal.cursor(named: "a")
        for round in 0..<6 {
            await journal.storeAll(round * 50..<round * 50 + 50, bytes: 20_011)
            let frames = await cursor.drain(batch: 9)
            #expect(frames.map(\.frame) == (round * 50..<round * 50 + 50).map { frame($0, bytes: 20_011) })
            if let last = frames.last { cursor.acknowledge(before: last.end) }
        }
        journal.close()
    }
}
