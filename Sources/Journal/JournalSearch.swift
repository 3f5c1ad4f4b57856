import Glibc
package import Pipeline

/// Finds records by bytes that they hold, in a directory that a running gateway may be using: nothing is locked,
/// repaired or written.
package enum JournalSearch {
    /// Most records that one search gives.
    static let hitsMax = 10_000

    /// A record that holds the bytes.
    package struct Hit: Sendable, Equatable {
        package var sequence: Sequence
        package var end: Sequence
        /// Unix nanoseconds, 0 when unknown.
        package var minTime: UInt64
        package var maxTime: UInt64
    }

    package struct Found: Sendable, Equatable {
        /// Oldest first.
        package var hits: [Hit] = []
        /// What each exporter is done with: everything before this.
        package var cursors: [String: Sequence] = [:]
        /// What it is done with behind that.
        var settled: [String: SettledRanges] = [:]

        /// Whether an exporter is done with a record.
        package func isDone(_ hit: Hit, by cursor: String) -> Bool {
            guard let position = cursors[cursor] else { return false }
            return hit.end <= position || settled[cursor]?.covers(hit.sequence.value..<hit.end.value) ?? false
        }
    }

    /// Reads all segments of the directory. What is written or removed meanwhile may or may not be seen.
    package static func find(
        _ needle: [UInt8], in directory: String, files: any JournalFileSystem = DiskFileSystem()
    ) throws -> Found {
        var found = Found()
        var segments: [UInt64] = []
        // Segments before cursors: a record that is delivered between the two then counts as delivered.
        let names = try files.names(in: directory)
        for name in names { if case .segment(let number) = JournalFileName(name) { segments.append(number) } }
        let scanner = SegmentScanner(chunkBytes: 1 << 20)
        for number in segments.sorted() where found.hits.count < hitsMax {
            let path = directory + "/" + JournalFileName.segment(number: number)
            // One that is removed meanwhile holds nothing that anybody still waits for.
            guard let file = try? files.open(path, writable: false) else { continue }
            defer { file.close() }
            found.hits += try hits(in: file, needle, scanner, atMost: hitsMax - found.hits.count)
        }
        for name in names {
            guard case .cursor(let cursor) = JournalFileName(name) else { continue }
            guard let file = try? files.open(directory + "/" + name, writable: false) else { continue }
            defer { file.close() }
            guard let bytes = try? file.readAll(count: JournalFormat.cursorFileBytes, at: 0) else { continue }
            if case .valid(let slot) = bytes.withUnsafeBytes({ CursorSlot.read(file: $0) }) {
                found.cursors[cursor] = Sequence(slot.position)
                found.settled[cursor] = slot.settled
            } else {
                // The next start has it read everything anew.
                found.cursors[cursor] = Sequence(0)
            }
        }
        return found
    }

    private static func hits(
        in file: any JournalFile, _ needle: [UInt8], _ scanner: SegmentScanner, atMost limit: Int
    ) throws(SystemError) -> [Hit] {
        var hits: [Hit] = []
        let size = try file.size() & ~7
        let page = try file.readAll(count: JournalFormat.dataOffset, at: 0)
        guard case .valid(let header) = page.withUnsafeBytes({ SegmentHeader.read(page: $0) }) else { return [] }
        var at = JournalFormat.dataOffset
        while at < size, hits.count < limit {
            let chunk = try scanner.scan(file, from: at, to: size, seed: header.seed) {
                record, bytes, _ in
                if let end = record.end, holds(bytes, needle) {
                    hits.append(
                        Hit(
                            sequence: Sequence(record.sequence), end: Sequence(end), minTime: record.minTime,
                            maxTime: record.maxTime))
                }
                return hits.count < limit
            }
            if chunk.seal != nil { return hits }
            at = max(chunk.next, at + 8)
        }
        return hits
    }

    /// Whether `needle` occurs in the bytes.
    package static func holds(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { holds($0, needle) }
    }

    private static func holds(_ bytes: UnsafeRawBufferPointer, _ needle: [UInt8]) -> Bool {
        guard let first = needle.first, let base = bytes.baseAddress else { return false }
        var at = 0
        while at + needle.count <= bytes.count {
            guard let hit = memchr(base + at, Int32(first), bytes.count - needle.count - at + 1) else { return false }
            at = UnsafeRawPointer(hit) - base
            if memcmp(base + at, needle, needle.count) == 0 { return true }
            at += 1
        }
        return false
    }
}
