import Glibc
import Pipeline
import Testing

@testable import Journal

@Suite struct RecoveryTests {
    /// A directory as a killed process leaves it: `count` frames in one unsealed segment, one cursor at 0.
    private func killed(_ count: Int) async throws -> [String: [UInt8]] {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        _ = try journal.cursor(named: "a")
        await journal.storeAll(0..<count)
        let contents = disk.contents
        journal.close()
        return contents
    }

    /// Opens, reads all, and gives the numbers of the frames and the items counted as lost.
    private func read(_ disk: FakeDisk, log: Notices = Notices()) async throws -> (numbers: [Int], lost: Int) {
        let journal = try openFake(disk, log: log)
        let cursor = try journal.cursor(named: "a")
        let numbers = await cursor.drainNumbers()
        let lost = cursor.takeLosses().reduce(0) { $0 + $1.items }
        journal.close()
        return (numbers, lost)
    }

    private static let segment = "j/0000000000000001.segment"

    @Test func `cuts a torn tail at every byte of the last record`() async throws {
        let contents = try await killed(4)
        let size = JournalFormat.recordBytes(tenant: 4, payload: 100)
        let lastRecord = JournalFormat.dataOffset + 3 * size
        for cut in lastRecord..<lastRecord + size {
            var torn = contents
            torn[Self.segment] = Array(try #require(contents[Self.segment])[..<cut])
            let disk = FakeDisk(torn)
            let found = try await read(disk)
            // The last bytes are padding: without them the record is still incomplete.
            #expect(found.numbers == [0, 1, 2] && found.lost == 0, "cut at \(cut)")
            let again = try await read(disk)
            #expect(again.numbers == [0, 1, 2] && again.lost == 0, "cut at \(cut), second start")
        }
    }

    @Test func `says how many records were in what it cuts at the end`() async throws {
        var contents = try await killed(4)
        let size = JournalFormat.recordBytes(tenant: 4, payload: 100)
        contents[Self.segment]?[JournalFormat.dataOffset + 3 * size + 80] ^= 0x41
        let log = Notices()
        try openFake(FakeDisk(contents), log: log).close()
        #expect(log.has("with 3 records whose request can't be read"))
    }

    @Test(arguments: [false, true]) func `loses at most one record to a flipped byte, and counts it`(
        isSealed: Bool
    ) async throws {
        var contents = try await killed(5)
        if isSealed {
            let disk = FakeDisk(contents)
            try openFake(disk).close()
            contents = disk.contents
        }
        let original = try #require(contents[Self.segment])
        let size = JournalFormat.recordBytes(tenant: 4, payload: 100)
        let used = JournalFormat.dataOffset + 5 * size
        let records = JournalFormat.dataOffset..<min(used + 48, original.count)
        for at in Array(0..<64) + Array(2048..<2112) + Array(records) {
            var flipped = original
            flipped[at] ^= 0x41
            contents[Self.segment] = flipped
            let disk = FakeDisk(contents)
            let found = try await read(disk)
            let record = (at - JournalFormat.dataOffset) / size
            let isInRecord = at >= JournalFormat.dataOffset && record < 5
            let isPadding = isInRecord && (at - JournalFormat.dataOffset) % size >= 152
            let expected = (0..<5).filter { !isInRecord || isPadding || $0 != record }
            #expect(found.numbers == expected, "flipped \(at)")
            // The last record of an unsealed segment can't be told from a torn tail.
            let isCounted = isInRecord && !isPadding && (record < 4 || isSealed)
            #expect(found.lost == (isCounted ? 3 : 0), "flipped \(at)")
        }
    }

    @Test func `survives any bytes for any file`() async throws {
        let contents = try await killed(3)
        var random = SplitMix(state: 99)
        for round in 0..<300 {
            var damaged = contents
            for name in contents.keys.sorted() where name != "j/LOCK" {
                guard var bytes = damaged[name], random.next() % 2 == 0 else { continue }
                for _ in 0..<Int(random.next() % 40) where !bytes.isEmpty {
                    let place = Int(random.next() % 3) * 2048 + Int(random.next() % 200)
                    if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: random.next()) }
                }
                if random.next() % 8 == 0 { bytes = Array(bytes.prefix(Int(random.next() % 5000))) }
                damaged[name] = bytes
            }
            let disk = FakeDisk(damaged)
            let first = try await read(disk)
            #expect(Set(first.numbers).isSubset(of: [0, 1, 2]), "round \(round)")
            let journal = try openFake(disk)
            #expect(!(await journal.store(frame(9))).isRefused, "round \(round)")
            journal.close()
        }
    }

    @Test func `sets a zeroed segment aside, delivers the others and counts the gap`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        _ = try journal.cursor(named: "a")
        await journal.storeAll(0..<60)
        journal.close()
        var contents = disk.contents
        let second = "j/0000000000000002.segment"
        contents[second] = [UInt8](repeating: 0, count: contents[second]?.count ?? 0)
        let broken = FakeDisk(contents)
        let log = Notices()
        let found = try await read(broken, log: log)
        #expect(found.numbers.count < 60 && found.lost == (60 - found.numbers.count) * 3 && found.lost > 0)
        #expect(broken.contents[second] == nil)
        #expect(broken.contents[second + ".quarantined"] != nil)
        #expect(log.has("set aside"))
        let again = try await read(broken)
        #expect(again.numbers == found.numbers && again.lost == found.lost)
    }

    @Test func `starts a missing or garbage cursor at the oldest frame`() async throws {
        var contents = try await killed(3)
        contents["j/a.cursor"] = nil
        #expect(try await read(FakeDisk(contents)).numbers == [0, 1, 2])
        contents["j/a.cursor"] = [1, 2, 3]
        let log = Notices()
        #expect(try await read(FakeDisk(contents), log: log).numbers == [0, 1, 2])
        #expect(log.has("cursor of a was unreadable"))
    }

    @Test func `cursors that somebody has swapped start at the oldest frame`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursors = try ["a", "b"].map { try journal.cursor(named: $0) }
        await journal.storeAll(0..<3)
        cursors[0].acknowledge(before: Sequence(6))
        journal.close()
        var contents = disk.contents
        let first = contents["j/a.cursor"]
        contents["j/a.cursor"] = contents["j/b.cursor"]
        contents["j/b.cursor"] = first
        let swapped = FakeDisk(contents)
        let log = Notices()
        let reopened = try openFake(swapped, log: log)
        for name in ["a", "b"] {
            let cursor = try reopened.cursor(named: name)
            #expect(await cursor.drainNumbers() == [0, 1, 2])
            #expect(log.has("cursor of \(name) is that of another reader"), "\(log.all)")
            cursor.acknowledge(before: Sequence(3))
        }
        reopened.close()
        // They have files of their own again.
        let again = Notices()
        let last = try openFake(swapped, log: again)
        for name in ["a", "b"] {
            let cursor = try last.cursor(named: name)
            #expect(await cursor.drainNumbers() == [1, 2])
        }
        #expect(!again.has("cursor of"), "\(again.all)")
        last.close()
    }

    @Test func `leaves foreign files alone and removes half-made ones`() async throws {
        var contents = try await killed(3)
        contents["j/notes.txt"] = [1]
        contents["j/1.segment"] = [2]
        contents["j/00000000000000FF.segment"] = [3]
        contents["j/0000000000000009.segment.tmp"] = [4]
        let disk = FakeDisk(contents)
        #expect(try await read(disk).numbers == [0, 1, 2])
        #expect(disk.contents["j/notes.txt"] == [1])
        #expect(disk.contents["j/1.segment"] == [2])
        #expect(disk.contents["j/00000000000000FF.segment"] == [3])
        #expect(disk.contents["j/0000000000000009.segment.tmp"] == nil)
    }

    @Test func `refuses a newer format and changes nothing`() async throws {
        var contents = try await killed(3)
        var bytes = try #require(contents[Self.segment])
        bytes[8] = UInt8(JournalFormat.version + 1)
        bytes.withUnsafeMutableBytes { bytes in
            let header = UnsafeRawBufferPointer(bytes)
            bytes.put(crc32c(crc32c(0, header.part(0..<12)), header.part(16..<48)), at: 12)
        }
        contents[Self.segment] = bytes
        contents["j/0000000000000009.segment.tmp"] = [4]
        let disk = FakeDisk(contents)
        let newer = JournalError.newerFormat(file: Self.segment, version: JournalFormat.version + 1)
        #expect(throws: newer) { try openFake(disk) }
        var after = disk.contents
        after["j/LOCK"] = contents["j/LOCK"]
        #expect(after == contents)
    }

    @Test func `a payload that holds records of its own never passes for them`() async throws {
        let foreign = try #require(try await killed(3)[Self.segment])
        let disk = FakeDisk()
        let journal = try openFake(disk)
        _ = try journal.cursor(named: "a")
        var carrier = frame(7)
        carrier.bytes = Array(foreign[JournalFormat.dataOffset..<JournalFormat.dataOffset + 800])
        _ = await journal.store(carrier)
        _ = await journal.store(frame(8))
        var contents = disk.contents
        journal.close()
        contents[Self.segment]?[JournalFormat.dataOffset + 13] ^= 0xFF
        let found = try await read(FakeDisk(contents))
        #expect(found.numbers == [8] && found.lost == 3)
    }

    @Test func `loses no acknowledged frame to a power loss at any moment`() async throws {
        for seed in UInt64(0)..<150 {
            let disk = FakeDisk()
            let journal = try openFake(disk)
            _ = try journal.cursor(named: "a")
            let results = Results()
            let count = Int(seed % 40) + 1
            for number in 0..<count { journal.append(frame(number)) { results.add($0) } }
            // Answers first, then the picture of the disk: what is answered by now must be in it.
            let stored = results.all.count
            let after = disk.afterPowerLoss(seed: seed)
            journal.close()
            let first = try await read(after)
            #expect(Set(first.numbers).isSuperset(of: 0..<stored) && first.lost % 3 == 0, "seed \(seed)")
            let again = try await read(after.afterPowerLoss(seed: seed))
            #expect(again.numbers == first.numbers, "seed \(seed)")
        }
    }

    @Test func `refuses a second journal on the directory and names the holder`() throws {
        let directory = try ScratchDirectory()
        let journal = try DiskJournal(directory: directory.path)
        #expect {
            try DiskJournal(directory: directory.path)
        } throws: { error in
            "\(error)".contains("pid \(getpid())")
        }
        journal.close()
        try DiskJournal(directory: directory.path).close()
    }

    @Test func `comes back from a kill on the real disk with all that was stored`() async throws {
        let directory = try ScratchDirectory()
        let journal = try DiskJournal(directory: directory.path, options: smallOptions())
        _ = try journal.cursor(named: "a")
        await journal.storeAll(0..<100)
        let left = try ScratchDirectory.holding(try directory.contents())
        journal.close()
        for path in [left.path, directory.path] {
            let reopened = try DiskJournal(directory: path, options: smallOptions())
            #expect(await reopened.store(frame(100)) == .stored(Sequence(300)))
            let cursor = try reopened.cursor(named: "a")
            #expect(await cursor.drainNumbers() == Array(0...100))
            #expect(cursor.takeLosses().isEmpty)
            reopened.close()
        }
        var status = stat()
        #expect(stat(directory.path + "/a.cursor", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
}
