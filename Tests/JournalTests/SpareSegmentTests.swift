import Glibc
import Pipeline
import Testing

@testable import Journal

/// Files of finished segments that are written over.
@Suite(.timeLimit(.minutes(15))) struct SpareSegmentTests {
    /// Stores and acknowledges until files have been written over a few times. Gives the next number.
    private func wearIn(_ journal: DiskJournal, _ cursor: any FrameCursor, _ disk: FakeDisk) async -> Int {
        var number = 0
        var renames: Int { disk.calls.count { $0.name == "rename" && $0.path.hasSuffix(".tmp") } }
        while renames < 12 || !isWrittenOver(disk), number < 5_000 {
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

    @Test func `a journal that begins at once has room on a disk that others fill`() async throws {
        for beginsAtOnce in [true, false] {
            let disk = FakeDisk()
            var options = DiskJournalOptions()
            options.beginsAtOnce = beginsAtOnce
            let journal = try openFake(disk, options: options)
            let cursor = try journal.cursor(named: "a")
            var tries = 0
            while beginsAtOnce, disk.segmentCount == 0, tries < 100_000 {
                tries += 1
                await Task.yield()
                usleep(100)
            }
            disk.onCall { $0.name == "fallocate" || $0.name == "create" ? .error(ENOSPC) : nil }
            #expect(await journal.store(frame(0)).isRefused == !beginsAtOnce)
            #expect(await cursor.drainNumbers() == (beginsAtOnce ? [0] : []))
            journal.close()
            // It leaves nothing behind that the next start does not know.
            let log = Notices()
            let reopened = try openFake(FakeDisk(disk.contents), log: log)
            #expect(try await reopened.cursor(named: "a").drainNumbers().count <= 1 && !log.has("quarantined"))
            reopened.close()
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

    // MARK: Their end

    private func spares(on disk: FakeDisk) -> [String] {
        disk.contents.keys.filter { $0.hasSuffix(".segment.tmp") }.sorted()
    }

    /// Segment files that an earlier life has left.
    private func leftovers(_ count: Int, bytes: (Int) -> Int = { _ in 4096 }) -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for number in 0..<count {
            let name = JournalFileName.segment(number: UInt64(number + 100))
            contents["j/\(name).tmp"] = [UInt8](repeating: 7, count: bytes(number))
        }
        return contents
    }

    private func wait(until isSo: () -> Bool) async throws {
        while !isSo() { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func `new segments take what a backlog has left, and the rest goes when nothing comes in`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        var number = 0
        while disk.contents.keys.count(where: { $0.hasSuffix(".segment") }) < 40 {
            await journal.storeAll(number..<number + 5)
            number += 5
        }
        if let last = await cursor.drain().last { cursor.acknowledge(before: last.end) }
        try await wait { spares(on: disk).count > 4 }
        #expect(!disk.calls.contains { $0.name == "unlink" && $0.path.hasSuffix(".segment") })
        try await wait { spares(on: disk).count <= SpareSegments.kept }
        await journal.storeAll(number..<number + 20)
        #expect(await cursor.drainNumbers() == Array(number..<number + 20))
        journal.close()
        #expect(spares(on: disk).isEmpty)
    }

    @Test func `a start removes a few that an earlier life has left, and the journal the others`() async throws {
        let disk = FakeDisk(leftovers(40))
        let journal = try openFake(disk)
        #expect(Set(leftovers(8).keys).isDisjoint(with: disk.contents.keys))
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<30)
        try await wait { spares(on: disk).count <= SpareSegments.kept }
        #expect(await cursor.drainNumbers() == Array(0..<30))
        let killed = FakeDisk(disk.contents)
        journal.close()
        let log = Notices()
        let reopened = try openFake(killed, log: log)
        #expect(await (try reopened.cursor(named: "a")).drainNumbers() == Array(0..<30))
        #expect(log.all.isEmpty)
        reopened.close()
    }

    @Test func `while appends come in a large one goes in steps`() async throws {
        let large = 2 * SpareSegments.stepBytes + 4096
        let steps = [large, large - SpareSegments.stepBytes, 4096]
        // A round between two appends is a quiet one, which frees all at once; most are not.
        var seen: [[Int]] = []
        for _ in 0..<100 where seen.last != steps { seen.append(try await sizes(of: large)) }
        #expect(seen.last == steps, "\(seen)")
        #expect(seen.allSatisfy { Set($0).isSubset(of: steps) })
    }

    /// What a spare file of this size is cut to while appends come in, until it is gone.
    private func sizes(of large: Int) async throws -> [Int] {
        let disk = FakeDisk(leftovers(8 + SpareSegments.keptWhileBusy + 1) { $0 == 8 ? large : 4096 })
        let journal = try openFake(disk)
        _ = try journal.cursor(named: "a")
        let leaving = "j/" + JournalFileName.segment(number: 108) + ".tmp"
        var sizes: [Int] = []
        var number = 0
        while let size = disk.contents[leaving]?.count {
            if sizes.last != size { sizes.append(size) }
            await journal.storeAll(number..<number + 1)
            number += 1
        }
        journal.close()
        return sizes
    }

    @Test func `the oldest goes first, and the newest is written over first`() {
        var spares = SpareSegments((0..<12).map { "\($0)" })
        #expect(spares.hasSurplus)
        // The one that has lost blocks already is finished before the next.
        var leaving = [spares.nextLeaving(isBusy: true), spares.nextLeaving(isBusy: true)]
        #expect(leaving == ["0", "0"])
        let taken = spares.take()
        #expect(taken == "11")
        for isBusy in [true, true, true, false] {
            spares.left()
            leaving.append(spares.nextLeaving(isBusy: isBusy))
        }
        #expect(leaving[2...] == ["1", "2", nil, "3"])
        #expect(spares.hasSurplus)
        let rest = spares.takeAll()
        #expect(Set(rest) == ["3", "4", "5", "6", "7", "8", "9", "10"])
        #expect(!spares.hasSurplus)
    }
}
