import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Journal

/// Reading parts of frames again.
@Suite(.timeLimit(.minutes(15))) struct PartReadTests {
    private struct Bench {
        let disk = FakeDisk()
        let journal: DiskJournal
        let cursor: any FrameCursor
        let parts: [FramePart]

        init() async throws {
            journal = try openFake(disk)
            cursor = try journal.cursor(named: "a")
            await journal.storeAll(0..<200)
            let frames = await cursor.drain()
            parts = [0, 100].compactMap { index in
                guard let place = frames[index].place else { return nil }
                let bytes = Array(frames[index].frame.bytes[10..<50])
                let checksum = bytes.withUnsafeBytes { crc32c(0, $0) }
                return FramePart(place: place, offset: 10, length: 40, checksum: checksum)
            }
            try #require(parts.count == 2 && parts[0].place.file != parts[1].place.file)
        }

        var whole: [UInt8] { Array(frame(0).bytes[10..<50]) + Array(frame(100).bytes[10..<50]) }
        var segments: [String] { disk.contents.keys.filter { $0.hasSuffix(".segment") }.sorted() }
    }

    @Test(arguments: [
        ("open", EMFILE), ("open", ENFILE), ("open", ENOMEM), ("open", EACCES), ("pread", ENOMEM), ("pread", EIO),
    ])
    func `what the system cannot do for a moment is no loss`(call: String, code: Int32) async throws {
        let bench = try await Bench()
        bench.disk.onCall { $0.name == call && $0.path.hasSuffix(".segment") ? .error(code) : nil }
        for _ in 0..<3 {
            let reading = await bench.cursor.read(bench.parts)
            #expect(reading.failure != nil && reading.missing.isEmpty && !reading.isEnded)
        }
        bench.disk.onCall(nil)
        let reading = await bench.cursor.read(bench.parts)
        #expect(reading.failure == nil && reading.missing.isEmpty && reading.bytes == bench.whole)
        bench.journal.close()
    }

    @Test func `a folder that is away for a moment is no loss`() async throws {
        let bench = try await Bench()
        let contents = bench.disk.contents
        bench.disk.onCall { $0.name == "open" || $0.name == "readdir" ? .error(ENOENT) : nil }
        #expect(await bench.cursor.read(bench.parts).failure != nil)
        // What is mounted elsewhere leaves an empty folder behind.
        bench.disk.onCall { $0.name == "open" ? .error(ENOENT) : nil }
        bench.disk.contents = [:]
        #expect(await bench.cursor.read(bench.parts).failure != nil)
        bench.disk.onCall(nil)
        bench.disk.contents = contents
        #expect(await bench.cursor.read(bench.parts).bytes == bench.whole)
        bench.journal.close()
    }

    @Test func `a segment that somebody removed is a loss, and only its parts are`() async throws {
        let bench = try await Bench()
        let path = "j/" + JournalFileName.segment(number: bench.parts[0].place.file)
        try bench.disk.unlink(path)
        let reading = await bench.cursor.read(bench.parts)
        #expect(reading.failure == nil && reading.missing == [0] && !reading.isDamaged)
        #expect(Array(reading.bytes[40...]) == Array(frame(100).bytes[10..<50]))
        bench.journal.close()
    }

    @Test func `a part that the disk can never read again is a loss in the end`() async throws {
        let bench = try await Bench()
        let bad = JournalFileName.segment(number: bench.parts[1].place.file)
        bench.disk.onCall { $0.name == "pread" && $0.path.hasSuffix(bad) ? .error(EIO) : nil }
        var failures = 0
        while await bench.cursor.read(bench.parts).failure != nil, failures < 100 { failures += 1 }
        #expect(failures == 29)
        #expect(await bench.cursor.read(bench.parts).missing == [1])
        bench.journal.close()
    }

    @Test func `a part that changed is a loss`() async throws {
        let bench = try await Bench()
        var parts = bench.parts
        parts[0].checksum ^= 1
        let reading = await bench.cursor.read(parts)
        #expect(reading.failure == nil && reading.missing == [0] && reading.isDamaged)
        bench.journal.close()
    }

    /// Frames of every shape of what lies before their bytes.
    private var framesWithHeaders: [Frame] {
        let texts = ["", "v", String(repeating: "v", count: 26), String(repeating: "ü", count: 700)]
        return ["", "acme"].flatMap { tenant in
            texts.indices.flatMap { index in
                (0...2).map { count in
                    var frame = JournalTests.frame(index, tenant: tenant)
                    let field = RequestMetadata.Field(name: "x-k", value: texts[index])
                    frame.header.metadata = RequestMetadata(Array(repeating: field, count: count))
                    return frame
                }
            }
        }
    }

    @Test(arguments: [0, 8 << 20]) func `a part is where its frame says, whatever tenant and headers the record has`(
        tailBytes: Int
    ) async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk, options: smallOptions(tailBytes: tailBytes))
        let frames = framesWithHeaders
        for frame in frames { _ = await journal.store(frame) }
        try await expectParts(of: frames, in: journal)
        journal.close()
        let reopened = try openFake(disk)
        try await expectParts(of: frames, in: reopened)
        reopened.close()
    }

    private func expectParts(of frames: [Frame], in journal: DiskJournal) async throws {
        let cursor = try journal.cursor(named: "a")
        let stored = await cursor.drain()
        #expect(stored.map(\.frame) == frames)
        for frame in stored {
            let bytes = frame.frame.bytes
            let checksum = bytes.withUnsafeBytes { crc32c(0, $0) }
            let place = try #require(frame.place)
            let part = FramePart(place: place, offset: 0, length: bytes.count, checksum: checksum)
            let reading = await cursor.read([part])
            #expect(reading.missing.isEmpty && reading.bytes == bytes, "\(frame.frame.header)")
        }
    }
}
