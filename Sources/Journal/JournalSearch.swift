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
            guard let bytes = try? CursorSlot.bytes(in: directory + "/" + name, files) else { continue }
            // One that can't be read has the next start read everything anew.
            found.done[cursor] = CursorSlot.valid(bytes)?.done ?? DoneItems()
        }
        return found
    }

    private static func hits(
        in file: any JournalFile, _ needle: [UInt8], _ scanner: SegmentScanner, atMost limit: Int
    ) throws(SystemError) -> [Hit] {
        var hits: [Hit] = []
        try scanner.visitRecords(of: file) { record, bytes in
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
