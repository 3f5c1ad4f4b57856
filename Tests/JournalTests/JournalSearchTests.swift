import Glibc
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

    /// A closed journal with a record for each of these tenants, more segments than one, and cursors that are done with
    /// none of it, but "c" with the first three.
    private func contents(_ tenants: [String]) async throws -> [String: [UInt8]] {
        let directory = try ScratchDirectory()
        let journal = try DiskJournal(directory: directory.path, options: smallOptions())
        let cursors = try ["a", "b", "c"].map { try journal.cursor(named: $0) }
        for (number, tenant) in tenants.enumerated() {
            _ = await journal.store(frame(number, bytes: 1_000, tenant: tenant))
        }
        cursors[2].acknowledge(before: Sequence(9))
        journal.close()
        return try directory.contents()
    }

    @Test func `what is of another journal is not found, as at the next start`() async throws {
        var own = try await contents(Array(repeating: "acme", count: 3))
        let other = try await contents(Array(repeating: "stranger", count: 60))
        let (first, second) = (JournalFileName.segment(number: 1), JournalFileName.segment(number: 2))
        try #require(own[second] == nil && other[second] != nil)
        own[second] = other[second]
        // Ours, but not where it belongs.
        own[JournalFileName.segment(number: 255)] = own[first]
        let found = try ScratchDirectory.holding(own)
        #expect(try JournalSearch.find(Array("stranger".utf8), in: found.path).hits.isEmpty)
        let ours = try JournalSearch.find(Array("acme".utf8), in: found.path)
        #expect(ours.hits.map(\.sequence) == [Sequence(0), Sequence(3), Sequence(6)])
        #expect(ours.hits.allSatisfy { ours.isDone($0, by: "c") && !ours.isDone($0, by: "a") })
    }

    @Test func `a cursor of another journal is done with nothing here`() async throws {
        var own = try await contents(Array(repeating: "acme", count: 3))
        let name = try #require(own.keys.first { JournalFileName($0) == .cursor("c") })
        own[name] = try await contents(Array(repeating: "stranger", count: 60))[name]
        let directory = try ScratchDirectory.holding(own)
        let found = try JournalSearch.find(Array("acme".utf8), in: directory.path)
        #expect(found.cursors == ["a", "b", "c"])
        #expect(found.hits.count == 3 && !found.hits.contains { found.isDone($0, by: "c") })
    }

    @Test func `cursors that somebody has swapped are done with nothing, as at the next start`() async throws {
        var own = try await contents(Array(repeating: "acme", count: 3))
        let first = try #require(JournalFileName.cursor(named: "a"))
        let last = try #require(JournalFileName.cursor(named: "c"))
        let kept = own[first]
        own[first] = own[last]
        own[last] = kept
        let directory = try ScratchDirectory.holding(own)
        let found = try JournalSearch.find(Array("acme".utf8), in: directory.path)
        #expect(found.hits.count == 3)
        for name in ["a", "c"] { #expect(!found.hits.contains { found.isDone($0, by: name) }, "\(name)") }
    }

    @Test(.timeLimit(.minutes(1))) func `a named pipe in the folder holds neither a look nor a start`() async throws {
        var own = try await contents(Array(repeating: "acme", count: 3))
        let cursor = try #require(JournalFileName.cursor(named: "a"))
        own[cursor] = nil
        let directory = try ScratchDirectory.holding(own)
        let segment = JournalFileName.segment(number: 255)
        for name in [cursor, segment] { try #require(mkfifo(directory.path + "/" + name, 0o600) == 0) }
        #expect(try JournalSearch.find(Array("acme".utf8), in: directory.path).hits.count == 3)
        let journal = try DiskJournal(directory: directory.path, options: smallOptions())
        #expect(try await journal.cursor(named: "a").drainNumbers() == [0, 1, 2])
        journal.close()
        #expect(try DiskFileSystem().names(in: directory.path).contains(segment + ".quarantined"))
    }

    @Test func `a journal of a later release is refused`() async throws {
        var own = try await contents(["acme"])
        let first = JournalFileName.segment(number: 1)
        own[first]?.withUnsafeMutableBytes { bytes in
            bytes[8] = UInt8(JournalFormat.version + 1)
            let header = UnsafeRawBufferPointer(bytes).part(0..<JournalFormat.segmentHeaderBytes)
            bytes.put(crc32c(crc32c(0, header.part(0..<12)), header.part(16..<header.count)), at: 12)
        }
        let later = try ScratchDirectory.holding(own)
        #expect(throws: JournalError.self) { try JournalSearch.find(Array("acme".utf8), in: later.path) }
    }

    @Test func `a segment whose header is known is read without its first page`() async throws {
        var own = try await contents(Array(repeating: "acme", count: 3))
        let first = JournalFileName.segment(number: 1)
        let page = try #require(own[first]).prefix(JournalFormat.dataOffset)
        guard case .valid(let header) = Array(page).withUnsafeBytes({ SegmentHeader.read(page: $0) }) else {
            Issue.record("no header")
            return
        }
        own[first]?.replaceSubrange(0..<page.count, with: repeatElement(0, count: page.count))
        let directory = try ScratchDirectory.holding(own)
        let file = try DiskFileSystem().open(directory.path + "/" + first, writable: false)
        let scanner = SegmentScanner(chunkBytes: 1 << 16)
        var sequences: [UInt64] = []
        let isSegment = try scanner.visitRecords(of: file) { _, _ in true }
        #expect(!isSegment)
        try scanner.visitRecords(of: file, header) { record, _ in
            sequences.append(record.sequence)
            return true
        }
        #expect(sequences == [0, 3, 6])
    }
}
