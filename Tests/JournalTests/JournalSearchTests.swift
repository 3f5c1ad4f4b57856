import Pipeline
import Testing

@testable import Journal

/// What a look into a journal says that no gateway has open.
@Suite struct JournalSearchTests {
    @Test func `a cursor that cannot be read has everything before it, as at the next start`() async throws {
        let directory = try ScratchDirectory()
        let journal = try DiskJournal(directory: directory.path, options: DiskJournalOptions())
        let cursors = try ["a", "b"].map { try journal.cursor(named: $0) }
        // The last one keeps the segment.
        await journal.storeAll(0..<3)
        for cursor in cursors { cursor.acknowledge(before: Sequence(6)) }
        journal.close()
        var contents = try directory.contents()
        let name = try #require(contents.keys.first { JournalFileName($0) == .cursor("b") })
        contents[name] = [UInt8](repeating: 0xA5, count: 8192)
        let damaged = try ScratchDirectory.holding(contents)
        let needle = Array(frame(0).bytes.prefix(16))
        let found = try JournalSearch.find(needle, in: damaged.path)
        #expect(found.cursors == ["a", "b"])
        let hit = try #require(found.hits.first)
        #expect(found.isDone(hit, by: "a"))
        #expect(!found.isDone(hit, by: "b"))
    }
}
