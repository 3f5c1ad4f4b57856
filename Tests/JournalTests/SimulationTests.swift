import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Journal

/// The journal on a simulated disk, from a seed: appends, reads, acknowledgements, faults and losses of power in any
/// order, over several lives. Of what was not synced, writes vanish, change places and tear.
///
/// The threads of the journal are real, so a seed repeats the story but not every interleaving. A failure names its
/// seed.
private struct Simulation {
    /// What went wrong in one story; empty when nothing did.
    private(set) var faults: [String] = []
    private var random: SplitMix
    private let lie: FakeDisk.Lie
    /// Frames that were reported stored, and those that were only offered.
    private var stored: Set<Int> = []
    private var offered: Set<Int> = []
    /// Sequences of items that were settled by themselves.
    private var doneItems: Set<UInt64> = []
    private var nextNumber = 0

    init(seed: UInt64, lie: FakeDisk.Lie = .none) {
        random = SplitMix(state: seed)
        self.lie = lie
    }

    /// Runs the story to its end.
    mutating func run() async throws {
        var disk = FakeDisk()
        disk.pretend(lie)
        for _ in 0...random.next() % 3 { disk = try await live(on: disk) }
        try await checkAll(disk)
    }

    private var options: DiskJournalOptions {
        mutating get {
            var options = smallOptions(tailBytes: random.next() % 2 == 0 ? 0 : 1 << 16)
            options.segmentBytes = 4096 * Int(random.next() % 3 + 2)
            // Long enough that most positions are written and not yet synced when the power goes.
            options.cursorInterval = random.next() % 2 == 0 ? .zero : .milliseconds(50)
            return options
        }
    }

    /// One life of the journal. Gives the disk that the next one finds.
    private mutating func live(on disk: FakeDisk) async throws -> FakeDisk {
        let journal = try openFake(disk, options: options)
        defer { journal.close() }
        let cursor = try journal.cursor(named: "a")
        var read: [StoredFrame] = []
        for _ in 0..<random.next() % 12 + 1 {
            switch random.next() % 8 {
            case 0...3: await append(to: journal, disk)
            case 4, 5:
                read += await cursor.next(
                    maxFrames: Int(random.next() % 5 + 1), maxBytes: 1 << 20, timeout: .zero)
            case 6: acknowledge(&read, cursor)
            case 7 where random.next() % 2 == 0: settle(&read, cursor)
            default: await append(to: journal, disk, fault: fault())
            }
        }
        if random.next() % 4 == 0 {
            journal.close()
            return disk
        }
        // What was reported stored by now must be in the picture.
        let after = disk.afterPowerLoss(seed: random.next())
        after.pretend(lie)
        return after
    }

    /// A call that fails once, now and then.
    private mutating func fault() -> (@Sendable (FakeDisk.Call) -> FakeDisk.Fault?)? {
        let names = ["fdatasync", "pwrite", "fallocate", "create", "rename", "fsync"]
        let name = names[Int(random.next() % UInt64(names.count))]
        let codes = [EIO, ENOSPC, EINTR]
        let code = codes[Int(random.next() % UInt64(codes.count))]
        let isShort = random.next() % 4 == 0
        let isOpen = Once()
        return { call in
            guard call.name == name, call.path.contains(".segment"), isOpen.take() else { return nil }
            return isShort && name == "pwrite" ? .short(7) : .error(name == "pwrite" || code != EINTR ? code : EIO)
        }
    }

    /// Appends a few frames at once, so that they share a sync, and waits for the answers.
    private mutating func append(
        to journal: DiskJournal, _ disk: FakeDisk, fault: (@Sendable (FakeDisk.Call) -> FakeDisk.Fault?)? = nil
    ) async {
        disk.onCall(fault)
        let numbers = nextNumber..<nextNumber + Int(random.next() % 6 + 1)
        nextNumber = numbers.upperBound
        offered.formUnion(numbers)
        let bytes = Int(random.next() % 900)
        let results = await withTaskGroup(of: (Int, AppendResult).self) { group in
            for number in numbers {
                group.addTask { (number, await journal.store(frame(number, bytes: bytes))) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for (number, result) in results where !result.isRefused { stored.insert(number) }
        disk.onCall(nil)
    }

    /// Acknowledges some of what was read; those frames need not come again.
    private mutating func acknowledge(_ read: inout [StoredFrame], _ cursor: any FrameCursor) {
        guard !read.isEmpty else { return }
        let count = Int(random.next() % UInt64(read.count)) + 1
        cursor.acknowledge(before: read[count - 1].end)
        stored.subtract(read.prefix(count).map { Int($0.frame.header.minTime) })
        read.removeFirst(count)
    }

    /// Some frame that is not the oldest, or an item of any, is done; it need not come again.
    private mutating func settle(_ read: inout [StoredFrame], _ cursor: any FrameCursor) {
        guard read.count > 1 else { return }
        if random.next() % 2 == 0 {
            let frame = read[Int(random.next() % UInt64(read.count))]
            let item = frame.sequence.value + random.next() % (frame.end.value - frame.sequence.value)
            cursor.settle(Sequence(item)..<Sequence(item + 1))
            doneItems.insert(item)
            let isDone = (frame.sequence.value..<frame.end.value).allSatisfy(doneItems.contains)
            if isDone { stored.remove(Int(frame.frame.header.minTime)) }
            return
        }
        let frame = read.remove(at: Int(random.next() % UInt64(read.count - 1)) + 1)
        cursor.settle(frame.range)
        stored.remove(Int(frame.frame.header.minTime))
    }

    private mutating func checkAll(_ disk: FakeDisk) async throws {
        let journal = try openFake(disk)
        defer { journal.close() }
        let cursor = try journal.cursor(named: "a")
        let frames = await cursor.drain()
        let numbers = frames.map { Int($0.frame.header.minTime) }
        let lost = stored.subtracting(numbers)
        if !lost.isEmpty { faults.append("lost \(lost.sorted())") }
        if !offered.isSuperset(of: numbers) { faults.append("made up \(numbers)") }
        if Set(numbers).count != numbers.count { faults.append("doubled \(numbers)") }
        for stored in frames {
            let number = Int(stored.frame.header.minTime)
            if stored.frame != frame(number, bytes: stored.frame.bytes.count) { faults.append("changed \(number)") }
            let left = stored.done.flatMap { Array($0) }.filter {
                !doneItems.contains(stored.sequence.value + UInt64($0))
            }
            if !left.isEmpty || stored.done == [0..<3] { faults.append("left out \(stored.done) of \(number)") }
        }
        if zip(frames, frames.dropFirst()).contains(where: { $0.end > $1.sequence }) { faults.append("out of order") }
    }
}

/// True once.
private final class Once: Sendable {
    private let isTaken = Atomic(false)
    func take() -> Bool { !isTaken.exchange(true, ordering: .relaxed) }
}

@Suite struct SimulationTests {
    private static let seedsPerPart: UInt64 = 250

    @Test(arguments: 0..<12 as Range<UInt64>)
    func `loses nothing in thousands of stories with faults and losses of power`(part: UInt64) async throws {
        for seed in part * Self.seedsPerPart..<(part + 1) * Self.seedsPerPart {
            var simulation = Simulation(seed: seed)
            try await simulation.run()
            #expect(simulation.faults.isEmpty, "seed \(seed)")
        }
    }

    @Test func `reads a record wherever the end of a read falls in it`() async throws {
        for bytes in stride(from: 3_600, to: 4_200, by: 8) {
            let journal = try openFake(FakeDisk())
            let cursor = try journal.cursor(named: "a")
            await journal.storeAll(0..<4, bytes: bytes)
            #expect(await cursor.drainNumbers() == [0, 1, 2, 3], "\(bytes)")
            #expect(cursor.takeLosses().isEmpty)
            journal.close()
        }
    }

    @Test(arguments: [FakeDisk.Lie.syncsNoFile, .syncsNoDirectory])
    func `finds a journal whose syncs do nothing`(lie: FakeDisk.Lie) async throws {
        var found = 0
        for seed in 0..<60 as Range<UInt64> {
            var simulation = Simulation(seed: seed, lie: lie)
            do {
                try await simulation.run()
                if !simulation.faults.isEmpty { found += 1 }
            } catch {
                // A directory that cannot be opened any more is a find too.
                found += 1
            }
        }
        #expect(found > 5, "the simulation is blind: \(found) of 60 stories show the fault")
    }
}
