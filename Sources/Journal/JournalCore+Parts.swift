import Pipeline
import Synchronization

/// Parts of frames that somebody wants to read again.
struct PartRead: Sendable {
    var parts: [FramePart]
    var completion: @Sendable (PartReading) -> Void
}

extension JournalCore {
    /// Reads parts on the reader thread. `completion` runs exactly once, on an unspecified thread.
    func read(_ parts: [FramePart], completion: @escaping @Sendable (PartReading) -> Void) {
        let isTaken = shared.withLock { shared in
            if !shared.isClosing { shared.partReads.append(PartRead(parts: parts, completion: completion)) }
            return !shared.isClosing
        }
        if isTaken { readerEvent.set() } else { completion(.ended) }
    }

    /// Serves all that wait; for the reader thread.
    func serveParts(_ segments: inout OpenSegments) {
        while let read = takePartRead() {
            read.completion(segments.read(read.parts) { self.note(.error, $0) })
        }
        segments.close { number in shared.withLock { $0.index.segment(number) == nil } }
    }

    /// Answers what still waits when the journal is closed.
    func endParts() {
        let rest = shared.withLock { shared in
            defer { shared.partReads = [] }
            return shared.partReads
        }
        for read in rest { read.completion(.ended) }
    }

    private func takePartRead() -> PartRead? {
        shared.withLock { shared in
            shared.isClosing || shared.partReads.isEmpty ? nil : shared.partReads.removeFirst()
        }
    }
}

/// Segments that parts were read from, kept open while they are likely to be read from again. For one thread.
struct OpenSegments {
    private static let openMax = 64

    let files: any JournalFileSystem
    let directory: String
    private var open: [UInt64: any JournalFile] = [:]

    init(files: any JournalFileSystem, directory: String) {
        self.files = files
        self.directory = directory
    }

    /// Closes those that are no longer needed.
    mutating func close(where isGone: (UInt64) -> Bool) {
        for number in open.keys.filter(isGone) { open.removeValue(forKey: number)?.close() }
    }

    mutating func read(_ parts: [FramePart], log: (String) -> Void) -> PartReading {
        var missing: [Int] = []
        let total = parts.reduce(0) { $0 + $1.length }
        let bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
            let all = UnsafeMutableRawBufferPointer(buffer)
            var at = 0
            for (index, part) in parts.enumerated() {
                let room = UnsafeMutableRawBufferPointer(rebasing: all[at..<at + part.length])
                if !read(part, into: room, log) {
                    room.initializeMemory(as: UInt8.self, repeating: 0)
                    missing.append(index)
                }
                at += part.length
            }
            count = total
        }
        return PartReading(bytes: bytes, missing: missing)
    }

    /// False when the part cannot be had as it was.
    private mutating func read(
        _ part: FramePart, into room: UnsafeMutableRawBufferPointer, _ log: (String) -> Void
    ) -> Bool {
        do throws(SystemError) {
            let file = try file(part.place.file)
            let (offset, overflow) = Int(clamping: part.place.offset).addingReportingOverflow(part.offset)
            guard !overflow, try file.readAll(into: room, at: offset) == part.length else { return false }
            return crc32c(0, UnsafeRawBufferPointer(room)) == part.checksum
        } catch {
            log("\(error); the spans that lie there are lost")
            open.removeValue(forKey: part.place.file)?.close()
            return false
        }
    }

    private mutating func file(_ number: UInt64) throws(SystemError) -> any JournalFile {
        if let file = open[number] { return file }
        if open.count >= OpenSegments.openMax, let oldest = open.keys.min() {
            open.removeValue(forKey: oldest)?.close()
        }
        let file = try files.open(directory + "/" + JournalFileName.segment(number: number), writable: false)
        open[number] = file
        return file
    }
}
