import CSupport
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
        /// What each exporter is done with.
        var done: [String: DoneItems] = [:]

        /// Exporters that have read from the journal.
        package var cursors: [String] { done.keys.sorted() }

        /// Whether an exporter is done with a record.
        package func isDone(_ hit: Hit, by cursor: String) -> Bool {
            done[cursor]?.covers(hit.sequence.value..<hit.end.value) ?? false
        }
    }

    /// Reads all segments of the directory that are of its journal. What is written or removed meanwhile may or may not
    /// be seen.
    package static func find(
        _ needle: [UInt8], in directory: String, files: any JournalFileSystem = DiskFileSystem()
    ) throws -> Found {
        var found = Found()
        var look = try JournalLook(directory, files)
        let scanner = SegmentScanner(chunkBytes: 1 << 20)
        for segment in look.segments where found.hits.count < hitsMax {
            guard let file = try look.open(segment) else { continue }
            defer { file.close() }
            found.hits += try hits(in: file, segment, needle, scanner, atMost: hitsMax - found.hits.count)
        }
        // A record that is delivered while the segments are read then counts as delivered.
        try look.readCursorsAgain()
        found.done = look.done
        return found
    }

    private static func hits(
        in file: any JournalFile, _ segment: SegmentHeader, _ needle: [UInt8], _ scanner: SegmentScanner,
        atMost limit: Int
    ) throws(SystemError) -> [Hit] {
        var hits: [Hit] = []
        try scanner.visitRecords(of: file, segment) { record, bytes in
            if let end = record.end, holds(bytes, needle) {
                hits.append(
                    Hit(
                        sequence: Sequence(record.sequence), end: Sequence(end), minTime: record.minTime,
                        maxTime: record.maxTime))
            }
            return hits.count < limit
        }
        return hits
    }

    /// Whether `needle` occurs in the bytes.
    package static func holds(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { holds($0, needle) }
    }

    private static func holds(_ bytes: UnsafeRawBufferPointer, _ needle: [UInt8]) -> Bool {
        guard let base = bytes.baseAddress else { return false }
        return sluice_find_bytes(base, 0, bytes.count, needle, needle.count) >= 0
    }
}
