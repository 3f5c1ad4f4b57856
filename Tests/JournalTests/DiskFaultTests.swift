import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Journal

@Suite struct DiskFaultTests {
    @Test func `acknowledges nobody after a failed sync and goes on in a new segment`() async throws {
        let disk = FakeDisk()
        let log = Notices()
        let journal = try openFake(disk, log: log)
        let cursor = try journal.cursor(named: "a")
        #expect(await journal.store(frame(0)) == .stored(Sequence(0)))
        let failures = Atomic(1)
        disk.onCall { call in
            guard call.name == "fdatasync", call.path.contains(".segment") else { return nil }
            return failures.exchange(0, ordering: .relaxed) == 1 ? .error(EIO) : nil
        }
        #expect(await journal.store(frame(1)).isRefused)
        #expect(await journal.store(frame(2)) == .stored(Sequence(3)))
        #expect(journal.problem == nil)
        #expect(log.has("fdatasync") && log.has("stored again"))
        #expect(disk.segmentCount == 2)
        let crashed = disk.afterPowerLoss(seed: 1)
        #expect(await cursor.drainNumbers() == [0, 2])
        journal.close()
        let reopened = try openFake(crashed)
        let again = try reopened.cursor(named: "a")
        #expect(await again.drainNumbers() == [0, 2])
        #expect(again.takeLosses().isEmpty)
        reopened.close()
    }

    @Test func `a segment that fails before its first record leaves no file`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        let isBad = Atomic(true)
        // The head of a segment can be written, what follows cannot.
        let writes = Atomic(0)
        disk.onCall { call in
            guard call.path.contains(".segment") else { return nil }
            if call.name == "create" { writes.store(0, ordering: .relaxed) }
            guard call.name == "pwrite", isBad.load(ordering: .relaxed) else { return nil }
            return writes.wrappingAdd(1, ordering: .relaxed).newValue > 1 ? .error(EIO) : nil
        }
        for number in 0..<20 { #expect(await journal.store(frame(number)).isRefused) }
        // None, or the one that a look at the disk has begun by now.
        #expect(disk.segmentCount <= 1)
        isBad.store(false, ordering: .relaxed)
        #expect(await journal.store(frame(20)) == .stored(Sequence(0)))
        #expect(disk.segmentCount == 1)
        #expect(await cursor.drainNumbers() == [20])
        journal.close()
    }

    @Test func `says which limit a frame is over that it never takes, and what to do`() async throws {
        var options = DiskJournalOptions()
        options.maxBytes = 64 << 10
        let journal = try openFake(FakeDisk(), options: options)
        defer { journal.close() }
        var header = frame(0).header
        let large = Frame(header: header, bytes: [UInt8](repeating: 1, count: 64 << 10))
        guard case .refused(let reason, _, isFinal: true) = await journal.store(large) else {
            Issue.record("a frame larger than the journal was not refused for good")
            return
        }
        #expect(reason.contains("max_size of its storage, 65536 bytes") && reason.contains("raise max_size"))
        header.tenant = String(repeating: "t", count: 256)
        guard case .refused(let tenant, _, isFinal: true) = await journal.store(Frame(header: header, bytes: [1]))
        else {
            Issue.record("a tenant of 256 bytes was not refused for good")
            return
        }
        #expect(tenant.contains("256 bytes, and a journal takes 255"))
        #expect(await !journal.store(frame(1)).isRefused)
    }

    @Test func `loops over short and interrupted reads and writes`() async throws {
        let disk = FakeDisk()
        let calls = Atomic(0)
        disk.onCall { call in
            guard call.name == "pwrite" || call.name == "pread" else { return nil }
            let count = calls.wrappingAdd(1, ordering: .relaxed).newValue
            return count % 3 == 0 ? .error(EINTR) : .short(1 + count % 700)
        }
        var journal = try openFake(disk)
        _ = try journal.cursor(named: "a")
        #expect(await journal.storeAll(0..<50).allSatisfy { !$0.isRefused })
        journal.close()
        journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        #expect(await cursor.drain().map(\.frame) == (0..<50).map { frame($0) })
        #expect(cursor.takeLosses().isEmpty)
        journal.close()
    }

    @Test(arguments: ["fallocate", "pwrite", "create", "rename"])
    func `refuses on a full disk, keeps delivering, recovers`(
        call: String
    ) async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<20)
        disk.onCall { $0.name == call && $0.path.contains(".segment") ? .error(ENOSPC) : nil }
        var stored = 20
        while case .stored = await journal.store(frame(stored)), stored < 1000 { stored += 1 }
        #expect(stored < 1000)
        guard case .refused(_, let retryAfter, false) = await journal.store(frame(stored)) else {
            Issue.record("stored on a full disk")
            return
        }
        #expect(retryAfter > .zero)
        #expect(await cursor.drainNumbers() == Array(0..<stored))
        cursor.acknowledge(before: Sequence(UInt64(stored * 3)))
        disk.onCall(nil)
        #expect(await journal.store(frame(stored)) == .stored(Sequence(UInt64(stored * 3))))
        #expect(await cursor.drainNumbers() == [stored])
        journal.close()
    }

    @Test func `sees by itself that the disk takes records again`() async throws {
        let disk = FakeDisk()
        let log = Notices()
        let journal = try openFake(disk, log: log)
        await journal.storeAll(0..<2)
        disk.onCall { ["fallocate", "pwrite"].contains($0.name) ? .error(ENOSPC) : nil }
        #expect(await journal.store(frame(2)).isRefused)
        try await Task.sleep(for: .milliseconds(1_200))
        #expect(journal.problem?.contains("No space") == true)
        disk.onCall(nil)
        while journal.problem != nil { try await Task.sleep(for: .milliseconds(20)) }
        #expect(log.has("appends are stored again"))
        let cursor = try journal.cursor(named: "a")
        #expect(await journal.store(frame(2)) == .stored(Sequence(6)))
        #expect(await cursor.drainNumbers() == [0, 1, 2])
        journal.close()
    }

    @Test func `removes nothing before it knows all cursors, so that a lost one finds the oldest record`() async throws
    {
        let disk = FakeDisk()
        var journal = try openFake(disk)
        let done = try journal.cursor(named: "a")
        _ = try journal.cursor(named: "b")
        await journal.storeAll(0..<200)
        _ = await done.drain()
        done.acknowledge(before: Sequence(600))
        journal.close()
        let lost = try #require(JournalFileName.cursor(named: "b"))
        let segments = disk.segmentCount
        try disk.unlink("j/" + lost)
        var options = smallOptions()
        options.awaitsCursors = true
        journal = try openFake(disk, options: options)
        // The keeper has its first round at once.
        try await Task.sleep(for: .milliseconds(200))
        #expect(disk.segmentCount == segments)
        let cursor = try journal.cursor(named: "b")
        #expect(await cursor.drainNumbers() == Array(0..<200))
        cursor.acknowledge(before: Sequence(600))
        journal.retainCursors(named: ["a", "b"])
        journal.close()
        #expect(disk.segmentCount == 0)
    }

    @Test func `saves cursors and removes segments while no new block can be had`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<200)
        disk.onCall { ["fallocate", "create"].contains($0.name) ? .error(ENOSPC) : nil }
        _ = await cursor.drain()
        cursor.acknowledge(before: Sequence(600))
        journal.close()
        disk.onCall(nil)
        let reopened = try openFake(disk)
        #expect(try reopened.cursor(named: "a").backlog == HeldAmount())
        reopened.close()
        #expect(disk.segmentCount == 0)
    }

    @Test func `steps over pages the disk can not read`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<100)
        let failures = Atomic(2)
        disk.onCall { call in
            guard call.name == "pread", failures.load(ordering: .relaxed) > 0 else { return nil }
            failures.wrappingSubtract(1, ordering: .relaxed)
            return .error(EIO)
        }
        let read = await cursor.drain().count
        #expect(read < 100)
        #expect(cursor.takeLosses().map(\.items) == [(100 - read) * 3])
        journal.close()
    }

    @Test func `tries again when a segment can not be opened for now`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<10)
        disk.onCall { $0.name == "open" ? .error(EMFILE) : nil }
        #expect(await cursor.next(maxFrames: 9, maxBytes: 9999, timeout: .zero).isEmpty)
        #expect(journal.problem == nil)
        // When it goes on the health check says so.
        while journal.problem == nil {
            #expect(await cursor.next(maxFrames: 9, maxBytes: 9999, timeout: .milliseconds(20)).isEmpty)
        }
        #expect(journal.problem?.contains("open") == true)
        disk.onCall(nil)
        #expect(await cursor.drainNumbers() == Array(0..<10))
        #expect(cursor.takeLosses().isEmpty && journal.problem == nil)
        journal.close()
    }
    @Test func `a directory that is away for a while loses nothing`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<200)
        disk.onCall { ["open", "readdir"].contains($0.name) ? .error(ENOENT) : nil }
        #expect(await cursor.drain().isEmpty)
        disk.onCall(nil)
        #expect(await cursor.drainNumbers() == Array(0..<200))
        #expect(cursor.takeLosses().isEmpty)
        journal.close()
    }

    @Test(arguments: [true, false])
    func `what is written to a removed segment is refused, and the next goes into a new one`(
        isMoved: Bool
    ) async throws {
        let scratch = try ScratchDirectory()
        let directory = scratch.path + "/journal"
        let journal = try DiskJournal(directory: directory, options: smallOptions())
        await journal.storeAll(0..<3)
        if isMoved {
            #expect(rename(directory, scratch.path + "/away") == 0)
        } else {
            for name in try DiskFileSystem().names(in: directory) where name.hasSuffix(".segment") {
                #expect(unlink(directory + "/" + name) == 0)
            }
        }
        #expect(await journal.store(frame(3)).isRefused)
        if isMoved {
            #expect(journal.problem != nil)
            #expect(await journal.store(frame(3)).isRefused)
            #expect(journal.problem?.contains("moved or unmounted") == true)
            #expect(rename(scratch.path + "/away", directory) == 0)
        }
        #expect(await !journal.store(frame(3)).isRefused)
        #expect(journal.problem == nil)
        journal.close()
        let reopened = try DiskJournal(directory: directory, options: smallOptions())
        let cursor = try reopened.cursor(named: "a")
        #expect(await cursor.drainNumbers() == (isMoved ? [0, 1, 2, 3] : [3]))
        reopened.close()
    }

    /// As `rm -r` does.
    private func removeAll(_ directory: String) throws {
        for name in try DiskFileSystem().names(in: directory) { #expect(unlink(directory + "/" + name) == 0) }
        #expect(rmdir(directory) == 0)
    }

    @Test(arguments: [false, true])
    func `a directory that was removed is made anew, and what only lay in it counts as lost`(
        isParentToo: Bool
    ) async throws {
        let (scratch, log) = (try ScratchDirectory(), Notices())
        let (parent, directory) = (scratch.path + "/data", scratch.path + "/data/journal")
        #expect(mkdir(parent, 0o700) == 0)
        var options = smallOptions()
        options.makesParents = isParentToo
        let journal = try DiskJournal(directory: directory, options: options, log: { log.add($0) })
        let cursor = try journal.cursor(named: "a")
        _ = try journal.cursor(named: "unread")
        await journal.storeAll(0..<3)
        try removeAll(directory)
        if isParentToo { #expect(rmdir(parent) == 0) }
        #expect(await journal.store(frame(3)).isRefused)
        #expect(await !journal.store(frame(4)).isRefused)
        #expect(journal.problem == nil)
        #expect(log.has("error \(directory) was removed, with 9 undelivered records in it, and is made anew"))
        #expect(await cursor.drainNumbers() == [4])
        let losses = cursor.takeLosses()
        #expect(losses.map(\.items) == [9] && losses.map(\.reason) == [LossReason.missingSegment])
        #expect(throws: JournalError.self) { try DiskJournal(directory: directory, options: smallOptions()) }
        journal.close()
        let reopened = try DiskJournal(directory: directory, options: options)
        let again = try reopened.cursor(named: "a")
        #expect(await again.drainNumbers() == [4])
        let unread = try reopened.cursor(named: "unread")
        #expect(await unread.drainNumbers() == [4])
        #expect(unread.takeLosses().map(\.reason) == [LossReason.missingSegment])
        reopened.close()
        try removeAll(directory)
        #expect(rmdir(scratch.path + "/data") == 0)
    }

    @Test func `without a request too a removed directory is made anew, for what waits in vain for its files`()
        async throws
    {
        let (scratch, log) = (try ScratchDirectory(), Notices())
        let directory = scratch.path + "/journal"
        let journal = try DiskJournal(directory: directory, options: smallOptions(), log: { log.add($0) })
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<3)
        try removeAll(directory)
        #expect(await cursor.drain().isEmpty)
        #expect(cursor.takeLosses().map(\.items) == [9])
        #expect(log.has("is made anew") && cursor.backlog.items == 0)
        journal.close()
        try removeAll(scratch.path + "/journal")
    }

    @Test func `refuses while a directory that was removed cannot be made, and takes again when it can`() async throws {
        let (disk, log) = (FakeDisk(), Notices())
        let journal = try openFake(disk, log: log)
        await journal.storeAll(0..<3)
        let mayMake = Atomic(false)
        let isMade = Atomic(false)
        disk.onCall { call in
            switch call.name {
            case "mkdir" where !mayMake.load(ordering: .relaxed): return .error(EROFS)
            case "mkdir":
                isMade.store(true, ordering: .relaxed)
                return nil
            case "create" where !isMade.load(ordering: .relaxed): return .error(ENOENT)
            default: return nil
            }
        }
        for path in disk.contents.keys { try disk.unlink(path) }
        for _ in 0..<3 { #expect(await journal.store(frame(3)).isRefused) }
        #expect(journal.problem?.contains("mkdir j") == true && !log.has("is made anew"))
        mayMake.store(true, ordering: .relaxed)
        #expect(await !journal.store(frame(4)).isRefused)
        #expect(log.all.count { $0.contains("is made anew") } == 1)
        #expect(disk.contents.keys.contains("j/" + JournalFileName.lock))
        journal.close()
    }

    @Test func `a segment without records takes nothing away that another gateway has put under its name`() async throws
    {
        let scratch = try ScratchDirectory()
        var options = smallOptions()
        options.beginsAtOnce = true
        let journal = try DiskJournal(directory: scratch.path, options: options)
        let segment = JournalFileName.segment(number: 1)
        while try !DiskFileSystem().names(in: scratch.path).contains(segment) {
            try await Task.sleep(for: .milliseconds(1))
        }
        // It is there before the writer knows.
        try await Task.sleep(for: .milliseconds(100))
        scratch.remake()
        let other = try DiskJournal(directory: scratch.path, options: smallOptions())
        await other.storeAll(0..<2)
        #expect(await journal.store(frame(9)).isRefused)
        journal.close()
        other.close()
        #expect(try DiskFileSystem().names(in: scratch.path).contains(segment))
    }

    @Test func `a directory that was made anew is locked again, or left to the gateway that has it`() async throws {
        let scratch = try ScratchDirectory()
        let journal = try DiskJournal(directory: scratch.path, options: smallOptions())
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<3)
        scratch.remake()
        #expect(await journal.store(frame(3)).isRefused)
        #expect(await !journal.store(frame(4)).isRefused)
        #expect(throws: JournalError.self) { try DiskJournal(directory: scratch.path, options: smallOptions()) }

        scratch.remake()
        let other = try DiskJournal(directory: scratch.path, options: smallOptions())
        for _ in 0..<3 { #expect(await journal.store(frame(5)).isRefused) }
        #expect(journal.problem?.contains("LOCK: Device or resource busy") == true)
        await other.storeAll(0..<2)
        // What is done here takes nothing away there.
        cursor.acknowledge(before: Sequence(12))
        other.close()
        #expect(await journal.store(frame(6)).isRefused)
        journal.close()
        let reopened = try DiskJournal(directory: scratch.path, options: smallOptions())
        let again = try reopened.cursor(named: "a")
        #expect(await again.drainNumbers() == [0, 1])
        reopened.close()
    }

    @Test(arguments: [false, true])
    func `what a gateway that came and went has left without records does not outvote ours`(
        isClosed: Bool
    ) async throws {
        let scratch = try ScratchDirectory()
        let journal = try DiskJournal(directory: scratch.path, options: smallOptions())
        let cursors = try ["a", "b", "c"].map { try journal.cursor(named: $0) }
        await journal.storeAll(0..<3)
        cursors[0].acknowledge(before: Sequence(9))
        scratch.remake()
        let other = try DiskJournal(directory: scratch.path, options: smallOptions())
        for name in ["a", "b", "c", "d"] { _ = try other.cursor(named: name) }
        other.close()
        // The first finds that the segment is gone.
        #expect(await journal.store(frame(9)).isRefused)
        for number in 3..<6 { #expect(await !journal.store(frame(number)).isRefused) }
        cursors[0].acknowledge(before: Sequence(15))
        // As it is found after a kill, and after an orderly end.
        var contents = try scratch.contents()
        journal.close()
        if isClosed { contents = try scratch.contents() }
        #expect(contents.keys.contains { JournalFileName($0) == .cursor("d") } == false)
        let found = try ScratchDirectory.holding(contents)
        let reopened = try DiskJournal(directory: found.path, options: smallOptions())
        let (first, second) = (try reopened.cursor(named: "a"), try reopened.cursor(named: "b"))
        #expect(await first.drainNumbers().last == 5)
        #expect(await second.drainNumbers() == [3, 4, 5])
        reopened.close()
    }

    @Test func `a segment of another journal, or under another number, does not outvote ours`() async throws {
        let (own, other) = (try ScratchDirectory(), try ScratchDirectory())
        for (directory, count) in [(own.path, 2), (other.path, 60)] {
            let journal = try DiskJournal(directory: directory, options: smallOptions())
            _ = try journal.cursor(named: "a")
            await journal.storeAll(0..<count, bytes: 1_000)
            journal.close()
        }
        var contents = try own.contents()
        let (first, second) = (JournalFileName.segment(number: 1), JournalFileName.segment(number: 2))
        contents[second] = try other.contents()[second]
        contents[JournalFileName.segment(number: 255)] = contents[first]
        #expect(contents.keys.count { $0.hasSuffix(".segment") } == 3)
        let found = try ScratchDirectory.holding(contents)
        #expect(try JournalBacklog.read(found.path, names: [])["a"]?.held.items == 6)
        let reopened = try DiskJournal(directory: found.path, options: smallOptions())
        let cursor = try reopened.cursor(named: "a")
        #expect(await cursor.drainNumbers() == [0, 1])
        reopened.close()
    }

    @Test func `a journal that nobody has open is found, one in use is not`() async throws {
        let scratch = try ScratchDirectory()
        let (old, new) = (scratch.path + "/old", scratch.path + "/new")
        let first = try DiskJournal(directory: old, options: smallOptions())
        _ = try first.cursor(named: "a")
        await first.storeAll(0..<3)
        let second = try DiskJournal(directory: new, options: smallOptions())
        await second.storeAll(0..<3)
        #expect(DiskJournal.unread(in: scratch.path).isEmpty)
        first.close()
        #expect(DiskJournal.unread(in: scratch.path) == ["old"])
        let again = try DiskJournal(directory: old, options: smallOptions())
        #expect(DiskJournal.unread(in: scratch.path).isEmpty)
        again.close()
        second.close()
    }

    @Test func `a journal whose readers are done is not told, and one with anything left is`() async throws {
        let scratch = try ScratchDirectory()
        let folder = scratch.path + "/old"
        let options = smallOptions()
        let first = try DiskJournal(directory: folder, options: options)
        let (done, late) = (try first.cursor(named: "done"), try first.cursor(named: "late"))
        await first.storeAll(0..<20)
        for cursor in [done, late] { _ = await cursor.drain() }
        done.acknowledge(before: Sequence(60))
        late.acknowledge(before: Sequence(57))
        first.close()
        #expect(DiskJournal.unread(in: scratch.path) == ["old"])
        let second = try DiskJournal(directory: folder, options: options)
        let again = try second.cursor(named: "late")
        #expect(await again.drainNumbers() == [19])
        again.acknowledge(before: Sequence(60))
        second.close()
        #expect(DiskJournal.unread(in: scratch.path).isEmpty)
        let third = try DiskJournal(directory: folder, options: options)
        await third.storeAll(20..<21)
        third.close()
        #expect(DiskJournal.unread(in: scratch.path) == ["old"])
    }

    @Test func `a cursor that is not retained is told with what it had left`() async throws {
        let log = Notices()
        let journal = try openFake(FakeDisk(), log: log)
        _ = try journal.cursor(named: "kept")
        _ = try journal.cursor(named: "old")
        await journal.storeAll(0..<4)
        let gone = journal.retainCursors(named: ["kept"])
        #expect(gone.map(\.name) == ["old"] && gone.map(\.items) == [12])
        #expect(log.has("old reads this journal no longer, and gives up 12 records"))
        journal.close()
    }

    @Test func `a cursor that cannot be saved is told once, and tried again in peace`() async throws {
        let disk = FakeDisk()
        let log = Notices()
        var options = smallOptions()
        options.cursorInterval = .milliseconds(20)
        let journal = try openFake(disk, options: options, log: log)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<20)
        let tries = Atomic(0)
        disk.onCall { call in
            guard call.path.contains("cursor"), call.name == "create" || call.name == "pwrite" else { return nil }
            tries.wrappingAdd(1, ordering: .relaxed)
            return .error(EROFS)
        }
        let began = ContinuousClock.now
        for frame in await cursor.drain() { cursor.acknowledge(before: frame.end) }
        for _ in 0..<6_000 where tries.load(ordering: .relaxed) < 20 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(log.all.count { $0.contains("is not saved yet") } == 1)
        // At most two tries in each interval, however long this machine took, and some that a slow start allows.
        let intervals = (ContinuousClock.now - began) / Duration.milliseconds(20)
        #expect(Double(tries.load(ordering: .relaxed)) < 2 * intervals + 50)
        disk.onCall(nil)
        for _ in 0..<6_000 where !log.has("is saved again") { try await Task.sleep(for: .milliseconds(10)) }
        #expect(log.has("is saved again"))
        journal.close()
    }

    @Test func `a directory in the place of a cursor's file is to be removed`() async throws {
        let disk = FakeDisk()
        let log = Notices()
        var options = smallOptions()
        options.cursorInterval = .milliseconds(20)
        let journal = try openFake(disk, options: options, log: log)
        let cursor = try journal.cursor(named: "a")
        await journal.storeAll(0..<4)
        disk.onCall { call in call.name == "pwrite" && call.path.contains("cursor") ? .error(EISDIR) : nil }
        for frame in await cursor.drain() { cursor.acknowledge(before: frame.end) }
        for _ in 0..<6_000 where !log.has("is not saved yet") { try await Task.sleep(for: .milliseconds(10)) }
        #expect(log.has("remove the directory that has the name of its file"))
        journal.close()
    }
}
