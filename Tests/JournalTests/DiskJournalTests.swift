import CSupport
import Foundation
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Journal

@Suite struct DiskJournalTests {
    @Test(arguments: [0, 1 << 20]) func `gives back what was stored, in order, from disk and from memory`(
        tailBytes: Int
    ) async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk, options: smallOptions(tailBytes: tailBytes))
        let cursor = try journal.cursor(named: "file")
        let results = await journal.storeAll(0..<200)
        #expect(results == (0..<200).map { .stored(Sequence(UInt64($0 * 3))) })
        let read = await cursor.drain()
        #expect(read.map(\.frame) == (0..<200).map { frame($0) })
        #expect(read.map(\.sequence.value) == (0..<200).map { UInt64($0 * 3) })
        #expect(cursor.takeLosses().isEmpty)
        journal.close()
    }

    @Test func `keeps the limits of one read but gives a large frame alone`() async throws {
        let journal = try openFake(FakeDisk(), options: smallOptions(tailBytes: 1 << 20))
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<5, bytes: 1000)
        #expect(await cursor.next(maxFrames: 2, maxBytes: 1 << 20, timeout: .zero).count == 2)
        #expect(await cursor.next(maxFrames: 9, maxBytes: 2500, timeout: .zero).count == 2)
        #expect(await cursor.next(maxFrames: 9, maxBytes: 1, timeout: .zero).count == 1)
        #expect(await cursor.next(maxFrames: 9, maxBytes: 9, timeout: .zero).isEmpty)
        journal.close()
    }

    @Test func `takes frames larger than a segment, a write buffer and a read`() async throws {
        let journal = try openFake(FakeDisk())
        let cursor = try journal.cursor(named: "a")
        let large = frame(1, bytes: 3 << 20)
        #expect(await journal.store(frame(0)) == .stored(Sequence(0)))
        #expect(await journal.store(large) == .stored(Sequence(3)))
        #expect(await journal.store(frame(2)) == .stored(Sequence(6)))
        #expect(await cursor.drain().map(\.frame) == [frame(0), large, frame(2)])
        journal.close()
    }

    @Test(arguments: [40, 900, 1_700, 2_500, 3_900, 9_000, 70_000], [4096, 20_000, .max])
    func `reads from disk about as much as there is, whatever the records' size`(size: Int, atMost: Int) throws {
        let disk = FakeDisk()
        let file = try disk.create("s", exclusive: true, isDirect: false)
        let records = (0..<120).map { record(frame($0, bytes: size), sequence: UInt64(3 * $0)) }
        // Not at a block's start, as behind a file's header.
        let first = 72
        try file.writeAll(records.flatMap { $0 }, at: first)
        let total = try file.size()
        let counted = CountingFile(file)
        let scanner = SegmentScanner(chunkBytes: 1 << 16)
        var (at, seen, chunks) = (first, [UInt64](), 0)
        while at < total {
            let chunk = try scanner.scan(counted, from: at, to: total, seed: 7, atMost: atMost) {
                header, bytes, offset in
                seen.append(header.sequence)
                #expect(header.frame(in: bytes) == frame(seen.count - 1, bytes: size))
                #expect(offset == first + (seen.count - 1) * records[0].count)
                return true
            }
            #expect(chunk.damage == nil && chunk.next > at)
            at = chunk.next
            chunks += 1
        }
        #expect(seen == (0..<120).map { UInt64(3 * $0) })
        // A record that has no room beside others is found at the end of a chunk, and read once more. Reads are of
        // whole blocks.
        let most = size < min(atMost, 1 << 16) ? total + total / 8 : 2 * total
        #expect(counted.bytes.load(ordering: .relaxed) <= most + chunks * 2 * 4096)
    }

    @Test(.timeLimit(.minutes(10)), arguments: [100, 5_000, 40_000, 66_000, 90_000])
    func `a record that is cut off ends the scan, wherever it begins in a read`(before: Int) throws {
        let file = try FakeDisk().create("s", exclusive: true, isDirect: false)
        let whole = record(frame(0, bytes: before), sequence: 0)
        let cut = record(frame(1, bytes: 100_000), sequence: 3)
        try file.writeAll(whole + cut.prefix(99_000), at: 0)
        let total = try file.size()
        let scanner = SegmentScanner(chunkBytes: 1 << 16)
        var (at, seen, isDamaged) = (0, [UInt64](), false)
        while at < total {
            let chunk = try scanner.scan(file, from: at, to: total, seed: 7) { header, _, _ in
                seen.append(header.sequence)
                return true
            }
            #expect(chunk.next > at)
            isDamaged = isDamaged || chunk.damage != nil
            at = chunk.next
        }
        #expect(seen == [0])
        #expect(isDamaged)
    }

    private func record(_ frame: Frame, sequence: UInt64) -> [UInt8] {
        let tenant = Array(frame.header.tenant.utf8)
        var header = RecordHeader(frame, metadataBytes: 0, sequence: sequence, bodyChecksum: 0)
        header.bodyChecksum = (tenant + frame.bytes).withUnsafeBytes { crc32c(0, $0) }
        var bytes = [UInt8](repeating: 0, count: header.recordBytes)
        bytes.withUnsafeMutableBytes { header.write(to: $0, seed: 7) }
        let start = JournalFormat.recordHeaderBytes
        bytes.replaceSubrange(start..<start + tenant.count + frame.bytes.count, with: tenant + frame.bytes)
        return bytes
    }

    @Test func `wakes a waiting reader with the next frame and with the end`() async throws {
        let journal = try openFake(FakeDisk())
        let cursor = try journal.cursor(named: "a")
        async let first = cursor.next(maxFrames: 1, maxBytes: 1, timeout: .seconds(3600))
        await journal.storeAll(0..<1)
        #expect(await first.count == 1)
        async let second = cursor.next(maxFrames: 1, maxBytes: 1, timeout: .seconds(3600))
        journal.close()
        #expect(await second.isEmpty)
    }

    @Test func `ends the wait of a cancelled task`() async throws {
        let journal = try openFake(FakeDisk())
        let cursor = try journal.cursor(named: "a")
        let task = Task { await cursor.next(maxFrames: 1, maxBytes: 1, timeout: .seconds(3600)) }
        task.cancel()
        #expect(await task.value.isEmpty)
        journal.close()
    }

    @Test func `what is done is in the cursor's file before the wait for that ends`() async throws {
        let disk = FakeDisk()
        var options = smallOptions()
        // Nothing is synced meanwhile: it is the process that ends, and not the machine.
        options.cursorInterval = .seconds(3600)
        let journal = try openFake(disk, options: options)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<9)
        let frames = await cursor.drain()
        for turn in 0..<3 {
            cursor.acknowledge(before: frames[turn].end)
            cursor.settle(frames[turn + 4].range)
            await cursor.finishedWriting()
            let killed = try openFake(FakeDisk(disk.contents))
            #expect(try await killed.cursor(named: "a").drainNumbers() == Array(turn + 1...3) + Array(turn + 5...8))
            killed.close()
        }
        // Nothing new, so nothing to wait for; and the end is no end of waiting.
        await cursor.finishedWriting()
        journal.close()
        await cursor.finishedWriting()
    }

    @Test func `a disk that takes no cursor keeps nobody waiting`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<9)
        disk.onCall { $0.path.contains("cursor") && $0.name != "open" ? .error(EIO) : nil }
        for frame in await cursor.drain() {
            cursor.acknowledge(before: frame.end)
            await cursor.finishedWriting()
        }
        disk.onCall(nil)
        journal.close()
    }

    @Test func `a cursor counts for its frames what its backlog counts`() async throws {
        let journal = try openFake(FakeDisk())
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<100)
        let backlog = cursor.backlog
        var sum = HeldAmount()
        for frame in await cursor.drain() { sum += cursor.amount(of: frame) }
        #expect(sum == backlog && sum.bytes > 10_000)
        journal.close()
    }

    @Test func `goes on behind what was acknowledged after a restart`() async throws {
        let disk = FakeDisk()
        var journal = try openFake(disk)
        var cursor = try journal.cursor(named: "otlp_http/vendor a")
        await journal.storeAll(0..<100)
        _ = await cursor.drain()
        cursor.acknowledge(before: Sequence(150))
        cursor.acknowledge(before: Sequence(30))
        journal.close()
        journal = try openFake(disk)
        cursor = try journal.cursor(named: "otlp_http/vendor a")
        #expect(cursor.backlog.items == 150)
        #expect(cursor.backlog.frames == 50)
        await journal.storeAll(100..<101)
        #expect(await cursor.drainNumbers() == Array(50...100))
        #expect(cursor.takeLosses().isEmpty)
        journal.close()
    }

    @Test func `gives unacknowledged frames again to a new handle and nothing to the old one`() async throws {
        let journal = try openFake(FakeDisk())
        let old = try journal.cursor(named: "a")
        await journal.storeAll(0..<10)
        #expect(await old.drainNumbers() == Array(0..<10))
        old.acknowledge(before: Sequence(12))
        let new = try journal.cursor(named: "a")
        #expect(await old.drainNumbers().isEmpty)
        #expect(await new.drainNumbers() == Array(4..<10))
        journal.close()
    }

    @Test func `removes segments that all cursors have passed, and none before there is a cursor`() async throws {
        let disk = FakeDisk()
        var journal = try openFake(disk)
        await journal.storeAll(0..<200)
        journal.close()
        let before = disk.segmentCount
        #expect(before > 5)
        journal = try openFake(disk)
        journal.close()
        #expect(disk.segmentCount == before)

        journal = try openFake(disk)
        let fast = try journal.cursor(named: "fast")
        let slow = try journal.cursor(named: "slow")
        _ = await fast.drain()
        fast.acknowledge(before: Sequence(600))
        _ = await slow.next(maxFrames: 1, maxBytes: 1, timeout: .zero)
        journal.close()
        #expect(disk.segmentCount == before)

        journal = try openFake(disk)
        #expect(journal.held.items == 600)
        journal.retainCursors(named: ["fast"])
        #expect(journal.held == HeldAmount())
        journal.close()
        #expect(disk.segmentCount == 0)
        #expect(disk.contents["j/slow.cursor"] == nil)

        journal = try openFake(disk)
        #expect(await journal.store(frame(200)) == .stored(Sequence(600)))
        journal.close()
    }

    @Test func `refuses what does not fit the queue, is too large or comes after the end`() async throws {
        var options = smallOptions()
        options.queueBytes = 300
        let disk = FakeDisk()
        let gate = Gate()
        let journal = try openFake(disk, options: options)
        await journal.storeAll(0..<1)
        disk.stopSyncs(at: gate)
        let results = Results()
        journal.append(frame(0)) { results.add($0) }
        gate.waitForVisitor()
        // 152 bytes are being written and 56 more may wait; another 152 do not fit.
        journal.append(frame(1, bytes: 0)) { results.add($0) }
        #expect(await journal.store(frame(2)).isRefused)
        #expect(await journal.store(frame(3, tenant: String(repeating: "t", count: 256))).isRefused)
        gate.open()
        journal.close()
        journal.close()
        #expect(results.all == [.stored(Sequence(3)), .stored(Sequence(6))])
        #expect(await journal.store(frame(4)).isRefused)
        #expect(throws: JournalError.closed) { try journal.cursor(named: "late") }
    }

    @Test func `stores appends that wait together with one sync`() async throws {
        let disk = FakeDisk()
        let gate = Gate()
        let journal = try openFake(disk, options: DiskJournalOptions())
        await journal.storeAll(0..<1)
        disk.stopSyncs(at: gate)
        let results = Results()
        journal.append(frame(1)) { results.add($0) }
        gate.waitForVisitor()
        let before = disk.calls.count { $0.name == "fdatasync" }
        for number in 2..<50 { journal.append(frame(number)) { results.add($0) } }
        gate.open()
        journal.close()
        #expect(results.all.count == 49)
        #expect(results.all.allSatisfy { !$0.isRefused })
        // One for the group, one for the seal.
        #expect(disk.calls.count { $0.name == "fdatasync" } == before + 2)
    }

    @Test func `the writer interrupts others while senders are answered before it has written`() async throws {
        let journal = try openFake(FakeDisk())
        #expect(!journal.interruptsOthers)
        for (number, hints) in [AppendHints.isAnswered, []].enumerated() {
            _ = await withCheckedContinuation { continuation in
                journal.append(frame(number), hints) { continuation.resume(returning: $0) }
            }
            #expect(journal.interruptsOthers == hints.contains(.isAnswered))
        }
        journal.close()
    }

    @Test func `the thread that reads a journal interrupts nobody`() async throws {
        let journal = try openFake(FakeDisk())
        await journal.storeAll(0..<1)
        var policies: [Int32] = []
        for thread in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task") {
            guard let name = try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8),
                name == "journal read\n", let id = pid_t(thread)
            else { continue }
            policies.append(sched_getscheduler(id))
        }
        // Of one that has ended since it was listed there is none.
        #expect(policies.contains(batch) && policies.allSatisfy { $0 == batch || $0 == -1 })
        journal.close()
    }

    @Test func `a thread that another one starts which interrupts nobody knows what it has from it`() throws {
        let policies = Mutex<[Int32]>([])
        let first = try DiskThread("gives way") {
            sluice_interrupt_others(false)
            // As the pool of threads does, which knows nothing of policies.
            var second = pthread_t()
            let body = Unmanaged.passRetained(Body { policies.withLock { $0.append(sched_getscheduler(0)) } })
            let code = pthread_create(
                &second, nil,
                { raw in
                    guard let raw else { return nil }
                    let body = Unmanaged<Body>.fromOpaque(raw).takeRetainedValue()
                    body.run()
                    sluice_interrupt_others(true)
                    body.run()
                    return nil
                }, body.toOpaque())
            if code == 0 { pthread_join(second, nil) }
        }
        _ = first.join()
        #expect(policies.withLock { $0 } == [batch, other])
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    @Test func `a thread that interrupts nobody starts threads that do, and does again itself`() throws {
        let policies = Mutex<[Int32]>([])
        let first = try DiskThread("gives way") {
            sluice_interrupt_others(false)
            policies.withLock { $0.append(sched_getscheduler(0)) }
            let second = try? DiskThread("is as usual") {
                policies.withLock { $0.append(sched_getscheduler(0)) }
            }
            _ = second?.join()
            sluice_interrupt_others(true)
            policies.withLock { $0.append(sched_getscheduler(0)) }
            sluice_interrupt_others(false)
            policies.withLock { $0.append(sched_getscheduler(0)) }
        }
        _ = first.join()
        #expect(policies.withLock { $0 } == [batch, other, other, batch])
    }

    @Test func `appends of which more follows are written together by the flush, or when they are many`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk, options: DiskJournalOptions())
        await journal.storeAll(0..<1)
        let before = disk.calls.count { $0.name == "fdatasync" }
        let results = Results()
        for number in 1..<6 { journal.append(frame(number), .moreFollows) { results.add($0) } }
        #expect(results.all.isEmpty)
        journal.flush()
        // Much needs no flush, and its answer comes behind the others.
        let large = await withCheckedContinuation { continuation in
            let frame = frame(6, bytes: JournalCore.gatheredMax)
            journal.append(frame, .moreFollows) { continuation.resume(returning: $0) }
        }
        #expect(!large.isRefused)
        #expect(results.all.count == 5)
        #expect(disk.calls.count { $0.name == "fdatasync" } <= before + 2)
        journal.close()
    }

    @Test func `refuses names that can not be a file and keeps strange ones apart`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        #expect(throws: JournalError.invalidCursorName("")) { try journal.cursor(named: "") }
        #expect(throws: JournalError.self) { try journal.cursor(named: String(repeating: "/", count: 90)) }
        for name in ["a/b", "a%2Fb", "..", "ä"] { _ = try journal.cursor(named: name) }
        journal.close()
        let names = disk.contents.keys.compactMap { path -> String? in
            if case .cursor(let name) = JournalFileName(String(path.dropFirst(2))) { name } else { nil }
        }
        #expect(Set(names) == ["a/b", "a%2Fb", "..", "ä"])
    }

    @Test func `blocks at the cap and takes appends again when exporters caught up`() async throws {
        var options = smallOptions()
        options.maxBytes = 40_000
        let journal = try openFake(FakeDisk(), options: options)
        let cursor = try journal.cursor(named: "a")
        var stored = 0
        while !(await journal.store(frame(stored, bytes: 1000))).isRefused { stored += 1 }
        #expect(stored > 30 && journal.diskBytes <= 40_000)
        #expect(await cursor.drain().count == stored)
        cursor.acknowledge(before: Sequence(UInt64(stored * 3)))
        var tries = 0
        while (await journal.store(frame(stored, bytes: 1000))).isRefused, tries < 100_000 { tries += 1 }
        #expect(tries < 100_000)
        #expect(await cursor.drainNumbers() == [stored])
        journal.close()
    }

    @Test func `drops the oldest at the cap and counts for each cursor what it had not read`() async throws {
        var options = smallOptions()
        options.maxBytes = 40_000
        options.overflow = .dropOldest
        let journal = try openFake(FakeDisk(), options: options)
        let idle = try journal.cursor(named: "idle")
        let keen = try journal.cursor(named: "keen")
        var seen = 0
        for number in 0..<200 {
            #expect(await journal.store(frame(number, bytes: 1000)) == .stored(Sequence(UInt64(number * 3))))
            for stored in await keen.drain() {
                seen += 1
                keen.acknowledge(before: stored.end)
            }
        }
        let left = await idle.drainNumbers()
        let lost = idle.takeLosses()
        #expect(left.last == 199 && left.count < 40)
        #expect(lost.map(\.reason) == [LossReason.overflow])
        #expect(lost.map(\.items) == [(200 - left.count) * 3])
        #expect(idle.takeLosses().isEmpty)
        #expect(seen == 200 && keen.takeLosses().isEmpty)
        #expect(journal.diskBytes <= 40_000)
        journal.close()
    }

    @Test func `stores a frame without items without keeping it`() async throws {
        let journal = try openFake(FakeDisk())
        let cursor = try journal.cursor(named: "a")
        #expect(await journal.store(frame(0, items: 0)) == .stored(Sequence(0)))
        #expect(await cursor.drain().isEmpty)
        journal.close()
    }
}

/// Policies of sched(7), of which Swift's module of the C library shows the first only.
private let other: Int32 = 0
private let batch: Int32 = 3
