import Pipeline
import Testing

@testable import Journal

@Suite struct RecordMetadataTests {
    private static let metadata = RequestMetadata([
        .init(name: "x-tenant", value: "blue"), .init(name: "x-tenant", value: "grün"),
        .init(name: "x-empty", value: ""),
    ])

    private func frame(_ number: Int, _ metadata: RequestMetadata) -> Frame {
        var frame = JournalTests.frame(number)
        frame.header.metadata = metadata
        return frame
    }

    @Test(arguments: [0, 8 << 20]) func `what is kept of the headers comes back with the frame`(
        tailBytes: Int
    ) async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk, options: smallOptions(tailBytes: tailBytes))
        let frames = [frame(0, Self.metadata), frame(1, RequestMetadata()), frame(2, Self.metadata)]
        for frame in frames { _ = await journal.store(frame) }
        let first = await (try journal.cursor(named: "a")).drain()
        #expect(first.map(\.frame) == frames)
        journal.close()
        let reopened = try openFake(disk)
        let cursor = try reopened.cursor(named: "a")
        #expect(await cursor.drain().map(\.frame) == frames)
        #expect(cursor.takeLosses().isEmpty)
        reopened.close()
    }

    /// Writes version 1 into the headers, and the checksums that records had then.
    private func makeFirstFormat(_ bytes: UnsafeMutableRawBufferPointer, _ name: String) {
        let isSegment = name.hasSuffix(".segment")
        guard isSegment || name.hasSuffix(".cursor") else { return }
        if isSegment, case .valid(let header) = SegmentHeader.read(page: UnsafeRawBufferPointer(bytes)) {
            var at = JournalFormat.dataOffset
            while let record = RecordHeader.read(UnsafeRawBufferPointer(rebasing: bytes[at...]), seed: header.seed) {
                let old = header.journal.checksumSeed(segment: header.number, version: 1)
                record.write(to: UnsafeMutableRawBufferPointer(rebasing: bytes[at...]), seed: old)
                at += record.recordBytes
            }
        }
        let size = isSegment ? 48 : 80
        for start in isSegment ? [0, 2048] : [0, 4096] where bytes[start] != 0 {
            bytes[start + 8] = 1
            // Where later versions have the reader's name.
            if !isSegment { bytes.put(UInt32(0), at: start + 68) }
            let header = UnsafeRawBufferPointer(rebasing: bytes[start..<start + size])
            bytes.put(crc32c(crc32c(0, header.part(0..<12)), header.part(16..<size)), at: start + 12)
        }
    }

    @Test func `a segment of the first format is read as before`() async throws {
        let disk = FakeDisk()
        let journal = try openFake(disk)
        _ = try journal.cursor(named: "a")
        await journal.storeAll(0..<3)
        var contents = disk.contents
        journal.close()
        for name in contents.keys { contents[name]?.withUnsafeMutableBytes { makeFirstFormat($0, name) } }
        let reopened = try openFake(FakeDisk(contents))
        #expect(await (try reopened.cursor(named: "a")).drainNumbers() == [0, 1, 2])
        _ = await reopened.store(frame(3, Self.metadata))
        #expect(await (try reopened.cursor(named: "a")).drain().last?.frame.header.metadata == Self.metadata)
        reopened.close()
    }

    @Test func `no bytes break the reader`() {
        let whole = RecordMetadata.encode(Self.metadata)
        #expect(whole.count % JournalFormat.metadataUnit == 0)
        for cut in 0...whole.count {
            let fields = Array(whole[..<cut]).withUnsafeBytes { RecordMetadata.decode($0).fields }
            #expect(Self.metadata.fields.starts(with: fields))
        }
        var random = SplitMix(state: 3)
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...96, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            #expect(bytes.withUnsafeBytes { RecordMetadata.decode($0).fields.count } <= bytes.count / 4)
        }
    }

    @Test func `no more is kept than a record can hold`() {
        let long = String(repeating: "v", count: 3_000)
        let fields = (0..<200).map { RequestMetadata.Field(name: "x-\($0 % 20)", value: $0 < 3 ? long : "v") }
        for count in [0, 1, 3, 200] {
            let metadata = RequestMetadata(Array(fields.prefix(count)))
            #expect(RecordMetadata.byteCount(of: metadata) == RecordMetadata.encode(metadata).count)
        }
        let kept = RequestMetadata(fields).kept((0..<20).map { "x-\($0)" })
        let bytes = kept.fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        #expect(bytes > 3_000 && bytes <= RequestMetadata.keptBytesMax)
        #expect(RecordMetadata.encode(kept).withUnsafeBytes { RecordMetadata.decode($0) } == kept)
        let many = RequestMetadata((0..<500).map { _ in .init(name: "x", value: "") }).kept(["x"])
        #expect(RecordMetadata.encode(many).withUnsafeBytes { RecordMetadata.decode($0) } == many)
        #expect(RequestMetadata(fields).kept([]) == RequestMetadata())
        #expect(
            RequestMetadata(fields).kept(["authorization", "x-19"])["x-19"]
                == Array(repeating: "v", count: 10).joined(separator: ";"))
    }
}
