import Glibc
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
            let reading = segments.read(
                read.parts, isKept: { number in shared.withLock { $0.index.segment(number) != nil } },
                log: { self.note(.error, $0) })
            // A directory that was removed is made anew, so that the next reading tells what is lost.
            if reading.failure != nil { try? holdLock() }
            read.completion(reading)
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
    /// A part that the disk cannot read this often in a row is lost.
    private static let badReadsMax = 30

    let files: any JournalFileSystem
    let directory: String
    private var open: [UInt64: any JournalFile] = [:]
    /// The part that the disk could not read last, and how often in a row.
    private var badRead: (file: UInt64, offset: UInt64, count: Int)?

    init(files: any JournalFileSystem, directory: String) {
        self.files = files
        self.directory = directory
    }

    /// Closes those that are no longer needed.
    mutating func close(where isGone: (UInt64) -> Bool) {
        for number in open.keys.filter(isGone) { open.removeValue(forKey: number)?.close() }
    }

    /// Reads parts, whose segments the index has or not. Those that are gone or changed are missing; when one cannot be
    /// read for another reason, the reading fails as a whole and may be tried again.
    mutating func read(
        _ parts: [FramePart], isKept: (UInt64) -> Bool, log: (String) -> Void
    ) -> PartReading {
        var missing: [Int] = []
        var isDamaged = false
        var failure: SystemError?
        let total = parts.reduce(0) { $0 + $1.length }
        let bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
            let all = UnsafeMutableRawBufferPointer(buffer)
            var at = 0
            for (index, part) in parts.enumerated() where failure == nil {
                let room = UnsafeMutableRawBufferPointer(rebasing: all[at..<at + part.length])
                switch outcome(of: part, into: room, isKept) {
                case .read: break
                case .failed(let error): failure = error
                case .missing(let reason):
                    log("\(reason); the spans that lie there are lost")
                    room.initializeMemory(as: UInt8.self, repeating: 0)
                    missing.append(index)
                case .damaged:
                    // One tells of the segment, and there may be thousands.
                    if !isDamaged { log(changed(part.place)) }
                    room.initializeMemory(as: UInt8.self, repeating: 0)
                    missing.append(index)
                    isDamaged = true
                }
                at += part.length
            }
            count = failure == nil ? total : 0
        }
        if let failure { return .failed("\(failure)") }
        var reading = PartReading(bytes: bytes, missing: missing)
        reading.isDamaged = isDamaged
        return reading
    }

    private func changed(_ place: FramePlace) -> String {
        let name = JournalFileName.segment(number: place.file)
        return "\(directory)/\(name): what lies at \(place.offset) is not what was written; spans of it are lost"
    }

    private enum Outcome {
        case read
        /// The part cannot be had any more.
        case missing(SystemError)
        /// It is not what it was.
        case damaged
        case failed(SystemError)
    }

    private mutating func outcome(
        of part: FramePart, into room: UnsafeMutableRawBufferPointer, _ isKept: (UInt64) -> Bool
    ) -> Outcome {
        let number = part.place.file
        do throws(SystemError) {
            let file = try file(number)
            let (offset, overflow) = Int(clamping: part.place.offset).addingReportingOverflow(part.offset)
            guard !overflow, try file.readAll(into: room, at: offset) == part.length else { return .damaged }
            return crc32c(0, UnsafeRawBufferPointer(room)) == part.checksum ? .read : .damaged
        } catch {
            open.removeValue(forKey: number)?.close()
            return isFinal(error, of: part.place, isKept) ? .missing(error) : .failed(error)
        }
    }

    /// Whether a segment that could not be read never will be. Want of descriptors or memory passes; so does a folder
    /// that is not mounted, which a file of it that is gone does not tell from.
    private mutating func isFinal(_ error: SystemError, of place: FramePlace, _ isKept: (UInt64) -> Bool) -> Bool {
        switch error.code {
        case ENOENT: return !isKept(place.file) || files.isJournal(in: directory)
        case EIO:
            let isAgain = badRead?.file == place.file && badRead?.offset == place.offset
            let count = isAgain ? (badRead?.count ?? 0) + 1 : 1
            badRead = (place.file, place.offset, count)
            return count >= OpenSegments.badReadsMax
        default: return false
        }
    }

    private mutating func file(_ number: UInt64) throws(SystemError) -> any JournalFile {
        if let file = open[number] { return file }
        if open.count >= OpenSegments.openMax, let oldest = open.keys.min() {
            open.removeValue(forKey: oldest)?.close()
        }
        let file = try files.open(directory + "/" + JournalFileName.segment(number: number), writable: false)
        file.stopReadingAhead()
        open[number] = file
        return file
    }
}
