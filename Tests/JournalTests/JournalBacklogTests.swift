import Pipeline
import Testing

@testable import Journal

/// What a look at a journal from outside counts.
@Suite struct JournalBacklogTests {
    private func options(_ segmentBytes: Int = 4 << 10) -> DiskJournalOptions {
        var options = DiskJournalOptions()
        options.segmentBytes = segmentBytes
        return options
    }

    /// Closed, so that all is sealed, or as a kill leaves it.
    @Test(arguments: [false, true])
    func `it is what the readers would be given, and nothing is changed`(isClosed: Bool) async throws {
        let scratch = try ScratchDirectory()
        let journal = try DiskJournal(directory: scratch.path, options: options())
        let cursors = try ["all", "some", "parts", "none"].map { try journal.cursor(named: $0) }
        await journal.storeAll(0..<60, bytes: 300)
        for cursor in cursors { _ = await cursor.drain() }
        cursors[0].acknowledge(before: Sequence(180))
        cursors[1].acknowledge(before: Sequence(33))
        cursors[2].acknowledge(before: Sequence(6))
        cursors[2].settle(Sequence(30)..<Sequence(39))
        cursors[2].settle(Sequence(100)..<Sequence(101))
        for cursor in cursors { await cursor.finishedWriting() }
        var contents = try scratch.contents()
        journal.close()
        if isClosed { contents = try scratch.contents() }
        let found = try ScratchDirectory.holding(contents)
        let read = try JournalBacklog.read(found.path, names: ["some", "new"])
        #expect(read.keys.sorted() == ["all", "new", "none", "parts", "some"])
        // What a start finds.
        let copy = try ScratchDirectory.holding(contents)
        let reopened = try DiskJournal(directory: copy.path, options: options())
        for name in ["all", "some", "parts", "none"] {
            let backlog = try reopened.cursor(named: name).backlog
            #expect(read[name]?.held.items == backlog.items, "\(name)")
            #expect(read[name]?.held.frames == backlog.frames, "\(name)")
        }
        reopened.close()
        withExtendedLifetime(copy) {}
        #expect(read["new"]?.held == read["none"]?.held)
        #expect(read["all"]?.oldestTime == nil)
        #expect(read["some"]?.oldestTime == 12)
        #expect(read["parts"]?.oldestTime == 3)
        #expect(try found.contents() == contents)
    }

    @Test func `a journal in use is read too, and one of a later release refused`() async throws {
        let scratch = try ScratchDirectory()
        let journal = try DiskJournal(directory: scratch.path, options: options())
        _ = try journal.cursor(named: "a")
        await journal.storeAll(0..<4)
        #expect(try JournalBacklog.read(scratch.path, names: [])["a"]?.held.items == 12)
        journal.close()
        var contents = try scratch.contents()
        let name = try #require(contents.keys.first { JournalFileName($0) == .cursor("a") })
        for start in JournalFormat.cursorSlotOffsets {
            contents[name]?.withUnsafeMutableBytes { bytes in
                bytes[start + 8] = UInt8(JournalFormat.version + 1)
                let slot = UnsafeRawBufferPointer(bytes).part(start..<start + JournalFormat.cursorSlotBytes)
                let rest = slot.part(16..<slot.count)
                bytes.put(crc32c(crc32c(0, slot.part(0..<12)), rest), at: start + 12)
            }
        }
        let later = try ScratchDirectory.holding(contents)
        #expect(throws: JournalError.self) { try JournalBacklog.read(later.path, names: []) }
    }
}
