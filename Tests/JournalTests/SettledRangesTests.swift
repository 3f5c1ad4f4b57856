import Glibc
import Pipeline
import Testing

@testable import Journal

@Suite struct SettledRangesTests {
    /// A set of numbers is what the ranges stand for.
    @Test(arguments: 0..<30 as Range<UInt64>) func `are what a set of numbers is`(seed: UInt64) {
        var random = SplitMix(state: seed)
        var ranges = SettledRanges()
        var numbers: Set<UInt64> = []
        var position: UInt64 = 0
        for _ in 0..<200 {
            let start = position + 1 + random.next() % 120
            let range = start..<start + random.next() % 9
            ranges.insert(range)
            numbers.formUnion(range)
            if random.next() % 10 == 0 {
                position += random.next() % 20
                let reach = ranges.reach(from: position)
                #expect(!numbers.contains(reach) && (position..<reach).allSatisfy(numbers.contains))
                ranges.drop(before: position)
                numbers = numbers.filter { $0 >= position }
            }
            #expect(ranges.items == UInt64(numbers.count))
            let some = start..<start + 17
            #expect(ranges.items(in: some) == UInt64(some.count(where: numbers.contains)))
            let asked = start + random.next() % 5..<start + 6
            #expect(ranges.covers(asked) == asked.allSatisfy(numbers.contains))
            #expect(ranges.parts(of: some).flatMap { Array($0) } == some.filter(numbers.contains))
            #expect(zip(ranges.ranges, ranges.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        }
    }

    @Test func `keep the longest when there is no room for more`() {
        var ranges = SettledRanges()
        for index in 0..<UInt64(SettledRanges.rangesMax) { ranges.insert(10 * index + 1..<10 * index + 4) }
        ranges.insert(100_000..<100_001)
        #expect(ranges.ranges.count == SettledRanges.rangesMax && !ranges.covers(100_000..<100_001))
        ranges.insert(100_000..<100_009)
        #expect(ranges.ranges.count == SettledRanges.rangesMax && ranges.covers(100_000..<100_009))
        var slot = CursorSlot(journal: .random(), generation: 3, position: 0, place: .start(of: 1))
        slot.settled = ranges
        var file = [UInt8](repeating: 0, count: JournalFormat.cursorFileBytes)
        let encoded = slot.encoded()
        file.replaceSubrange(..<encoded.count, with: encoded)
        let readings = [file, Array(file[..<2_000])].map { $0.withUnsafeBytes { CursorSlot.read(file: $0) } }
        guard case .valid(let whole) = readings[0], case .valid(let cut) = readings[1] else {
            Issue.record("a slot is not read")
            return
        }
        #expect(whole == slot)
        #expect(cut.position == slot.position && cut.settled.isEmpty)
    }

    @Test func `a slot says whose it is, and one of the format before does not`() {
        let place = Place(segment: 2, offset: 8_192, frame: 5)
        var slot = CursorSlot(journal: .random(), generation: 1, position: 7, place: place)
        slot.reader = CursorSlot.mark(of: "a")
        var bytes = slot.encoded()
        guard case .valid(let read) = bytes.withUnsafeBytes({ CursorSlot.read(file: $0) }) else {
            Issue.record("a slot is not read")
            return
        }
        #expect(read == slot && read.isOf("a") && !read.isOf("b"))
        bytes.withUnsafeMutableBytes { bytes in
            bytes.put(UInt32(2), at: 8)
            bytes.put(UInt64(5), at: 64)
            let header = UnsafeRawBufferPointer(bytes).part(0..<JournalFormat.cursorSlotBytes)
            bytes.put(crc32c(crc32c(0, header.part(0..<12)), header.part(16..<header.count)), at: 12)
        }
        guard case .valid(let old) = bytes.withUnsafeBytes({ CursorSlot.read(file: $0) }) else {
            Issue.record("a slot of version 2 is not read")
            return
        }
        #expect(old.position == 7 && old.place == place && old.isOf("a") && old.isOf("b"))
    }

    @Test func `a damaged range costs the ranges and not the position`() {
        var slot = CursorSlot(journal: .random(), generation: 1, position: 7, place: .start(of: 2))
        slot.settled.insert(9..<12)
        for at in 80..<96 {
            var bytes = slot.encoded()
            bytes[at] ^= 0x10
            guard case .valid(let read) = bytes.withUnsafeBytes({ CursorSlot.read(file: $0) }) else {
                Issue.record("byte \(at)")
                continue
            }
            #expect(read.position == 7 && read.settled.isEmpty)
        }
    }
}

/// Frames that were done while an older one was not do not come again.
@Suite struct SettledFramesTests {
    @Test(arguments: [false, true]) func `a restart gives only what was open`(isKilled: Bool) async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<50)
        let frames = await cursor.drain()
        for frame in frames.dropFirst(3) where frame.sequence.value % 5 != 0 { cursor.settle(frame.range) }
        let open = frames.filter { $0.sequence.value % 5 == 0 || $0.sequence.value < 9 }.map {
            Int($0.frame.header.minTime)
        }
        var contents = disk.contents
        var tries = 0
        while isKilled, !holdsRanges(contents, 32), tries < 100_000 {
            await Task.yield()
            contents = disk.contents
            tries += 1
        }
        journal.close()
        if !isKilled { contents = disk.contents }
        let reopened = try openFake(FakeDisk(contents))
        let again = try reopened.cursor(named: "a")
        #expect(again.backlog.items == open.count * 3)
        let left = await again.drain()
        #expect(left.map { Int($0.frame.header.minTime) } == open)
        #expect(again.takeLosses().isEmpty)
        // The oldest one is done now: the position moves over what was settled before.
        for frame in left { again.acknowledge(before: frame.end) }
        #expect(again.backlog == HeldAmount())
        reopened.close()
    }

    @Test(arguments: [false, true]) func `of a frame that was done in part the rest comes`(isAgain: Bool) async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        for number in 0..<3 { _ = await journal.store(frame(number, items: 10)) }
        let frames = await cursor.drain()
        #expect(frames.allSatisfy { $0.done.isEmpty })
        // From the very first on, the middle and the end, all but two; and all of one, in parts.
        cursor.settle(Sequence(0)..<Sequence(2))
        cursor.settle(Sequence(12)..<Sequence(15))
        cursor.settle(Sequence(17)..<Sequence(20))
        for part in [20, 24, 27] as [UInt64] { cursor.settle(Sequence(part)..<Sequence(min(part + 4, 30))) }
        journal.close()
        let reopened = try openFake(isAgain ? disk : disk.afterPowerLoss(seed: 1))
        let again = try reopened.cursor(named: "a")
        #expect(again.backlog.items == 12)
        let left = await again.drain()
        #expect(left.map(\.sequence.value) == [0, 10])
        #expect(left.map(\.done) == [[0..<2], [2..<5, 7..<10]])
        again.acknowledge(before: Sequence(10))
        #expect(again.backlog.items == 4)
        again.settle(Sequence(10)..<Sequence(12))
        again.settle(Sequence(15)..<Sequence(17))
        let new = try reopened.cursor(named: "a")
        #expect(await new.drain().isEmpty)
        #expect(new.backlog.items == 0 && new.takeLosses().isEmpty)
        reopened.close()
    }

    @Test func `items of an open frame stay in the backlog until a restart`() async throws {
        let journal = try openFake(FakeDisk())
        let cursor = try journal.cursor(named: "a")
        for number in 0..<3 { _ = await journal.store(frame(number, items: 10)) }
        let frames = await cursor.drain()
        cursor.settle(Sequence(10)..<Sequence(13))
        cursor.acknowledge(before: frames[0].end)
        // Its reader knows what it has settled.
        #expect(cursor.backlog.items == 20 && cursor.backlog.frames == 2)
        cursor.settle(Sequence(20)..<Sequence(30))
        cursor.settle(Sequence(13)..<Sequence(20))
        cursor.acknowledge(before: frames[1].end)
        #expect(cursor.backlog == HeldAmount())
        journal.close()
    }

    @Test func `a position within a frame is none before its place`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        for number in 0..<40 { _ = await journal.store(frame(number, items: 10)) }
        let frames = await cursor.drain()
        // What lies before is acknowledged after the first items of the next frame were settled.
        cursor.settle(Sequence(150)..<Sequence(153))
        cursor.acknowledge(before: frames[14].end)
        journal.close()
        let reopened = try openFake(disk)
        let again = try reopened.cursor(named: "a")
        #expect(again.backlog.items == 247 && again.backlog.frames == 25)
        let left = await again.drain()
        #expect(left.first?.sequence == Sequence(150) && left.first?.done == [0..<3])
        #expect(left.dropFirst().allSatisfy { $0.done.isEmpty } && left.count == 25)
        #expect(again.takeLosses().isEmpty)
        reopened.close()
    }

    private func holdsRanges(_ contents: [String: [UInt8]], _ count: Int) -> Bool {
        guard let bytes = contents["j/a.cursor"],
            case .valid(let slot) = bytes.withUnsafeBytes({ CursorSlot.read(file: $0) })
        else { return false }
        return slot.settled.ranges.count == count
    }

    @Test func `a new reader in the same life does not get them either`() async throws {
        let journal = try openFake(FakeDisk())
        let old = try journal.cursor(named: "a")
        await journal.storeAll(0..<6)
        let frames = await old.drain()
        old.settle(frames[2].range)
        old.settle(frames[5].range)
        let new = try journal.cursor(named: "a")
        #expect(await new.drainNumbers() == [0, 1, 3, 4])
        #expect(new.backlog.items == 12)
        new.acknowledge(before: frames[4].end)
        #expect(new.backlog == HeldAmount())
        journal.close()
    }

    @Test func `numbers that were settled are never given to other frames`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<20)
        for frame in await cursor.drain().dropFirst(10) { cursor.settle(frame.range) }
        journal.close()
        // All segments are gone, and the cursor says what was done.
        let reopened = try openFake(FakeDisk(disk.contents.filter { !$0.key.hasSuffix(".segment") }))
        let again = try reopened.cursor(named: "a")
        await reopened.storeAll(50..<60)
        #expect(await again.drainNumbers() == Array(50..<60))
        #expect(again.takeLosses().reduce(0) { $0 + $1.items } == 30)
        reopened.close()
    }

    @Test func `a file that failed is not taken over`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<20)
        let frames = await cursor.drain()
        disk.onCall { $0.name == "fdatasync" && $0.path.contains(".cursor") ? .error(EIO) : nil }
        cursor.acknowledge(before: frames[4].end)
        var tries = 0
        while !disk.calls.contains(where: { $0.name == "create" && $0.path.hasSuffix("a.cursor.tmp") }), tries < 100_000
        {
            await Task.yield()
            tries += 1
        }
        disk.onCall(nil)
        cursor.acknowledge(before: frames[9].end)
        journal.close()
        let reopened = try openFake(disk.afterPowerLoss(seed: 1))
        #expect(await (try reopened.cursor(named: "a")).drainNumbers() == Array(10..<20))
        reopened.close()
    }
}
