import Glibc
import Pipeline

/// Writes records to the newest segment. Used by the writer thread alone; makes every system call of an append.
///
/// A segment in which any write or sync has failed is left at once and for good: after a failed sync nobody knows
/// what the disk holds, and a second sync would report success for pages that were thrown away.
struct SegmentWriter {
    private let files: any JournalFileSystem
    private let directory: String
    private let journal: JournalID
    private let segmentBytes: Int
    private let buffer = RecordBuffer(capacity: 4 << 20)
    /// Gives the file of a finished segment to write over, if there is one.
    private let takeSpare: () -> String?

    private var file: (any JournalFile)?
    private var path = ""
    private var nextNumber: UInt64
    private(set) var number: UInt64 = 0
    /// Seed of the checksums of the open segment's records.
    private(set) var seed: UInt32 = 0
    /// Behind the last synced record.
    private var offset = 0
    private var frames = 0
    private var capacity = 0

    init(
        files: any JournalFileSystem, directory: String, journal: JournalID, nextNumber: UInt64, segmentBytes: Int,
        takeSpare: @escaping () -> String? = { nil }
    ) {
        self.files = files
        self.directory = directory
        self.journal = journal
        self.nextNumber = nextNumber
        self.segmentBytes = segmentBytes & ~(RecordBuffer.blockBytes - 1)
        self.takeSpare = takeSpare
    }

    var isOpen: Bool { file != nil }
    var isEmpty: Bool { frames == 0 }

    /// True when the open segment has room for a record of so many bytes behind `extra` bytes, and then its seal.
    func hasRoom(for recordBytes: Int, after extra: Int = 0) -> Bool {
        file != nil && offset + extra + recordBytes + JournalFormat.recordHeaderBytes <= capacity
    }

    /// Makes the next segment, large enough for a record of `recordBytes`: complete and durable under its name before
    /// anything refers to it.
    mutating func open(base: UInt64, recordBytes: Int) throws(SystemError) {
        let end = JournalFormat.dataOffset + recordBytes + JournalFormat.recordHeaderBytes
        let least = (end + RecordBuffer.blockBytes - 1) & ~(RecordBuffer.blockBytes - 1)
        let header = SegmentHeader(journal: journal, number: nextNumber, base: base)
        let path = directory + "/" + JournalFileName.segment(number: nextNumber)
        let temporary = path + ".tmp"
        let made = try make(temporary)
        do throws(SystemError) {
            try allocate(made, least: least)
            buffer.begin(at: 0)
            buffer.add(header.page())
            // Tells a segment without a record from a damaged one, whatever lies behind.
            buffer.add([UInt8](repeating: 0, count: RecordBuffer.blockBytes))
            try buffer.flush(to: made)
            try files.rename(temporary, to: path)
            try files.syncDirectory(directory)
        } catch {
            made.close()
            try? files.unlink(temporary)
            try? files.unlink(path)
            // The name may be taken already when only the last step failed.
            nextNumber &+= 1
            throw error
        }
        file = made
        self.path = path
        number = nextNumber
        seed = header.seed
        nextNumber &+= 1
        offset = JournalFormat.dataOffset
        frames = 0
        buffer.begin(at: offset)
    }

    /// A file for the next segment: that of a finished one, whose blocks the disk need not look for again, or a new
    /// one.
    private func make(_ path: String) throws(SystemError) -> any JournalFile {
        if let spare = takeSpare() {
            do throws(SystemError) {
                try files.rename(spare, to: path)
                return try files.create(path, exclusive: false, isDirect: true)
            } catch {
                try? files.unlink(spare)
                try? files.unlink(path)
            }
        }
        let made = try files.create(path, exclusive: false, isDirect: true)
        do throws(SystemError) { try made.truncate(0) } catch {
            made.close()
            throw error
        }
        return made
    }

    /// Makes sure of room for `least` bytes and, if there is, for a whole segment.
    private mutating func allocate(_ made: any JournalFile, least: Int) throws(SystemError) {
        let size = max(segmentBytes, least)
        do throws(SystemError) {
            try made.allocate(size)
        } catch  where error.isFull && least < size {
            // Not much room: take what this record needs.
            try made.allocate(least)
        } catch  where error.code == EOPNOTSUPP || error.code == EINVAL || error.code == ENOSYS {
            // A file system without preallocation. A full disk then shows at a write instead.
        }
        let got = try made.size() & ~(RecordBuffer.blockBytes - 1)
        capacity = got >= least ? got : size
    }

    /// Writes and syncs `appends`, the first at `sequence`; all are durable, and in the journal's directory, when this
    /// returns. They must have room. Calls `waiting` before it waits for the disk.
    mutating func write(
        _ appends: ArraySlice<PendingAppend>, from sequence: UInt64, waiting: () -> Void
    ) throws(SystemError) -> [PlacedFrame] {
        guard let file else { throw SystemError(call: "write", path: directory, code: EBADF) }
        var placed: [PlacedFrame] = []
        placed.reserveCapacity(appends.count)
        var place = Place(segment: number, offset: offset, frame: frames)
        var sequence = sequence
        for index in appends.indices {
            try buffer.add(appends[index], sequence: sequence, seed: seed, to: file)
            let next = Place(
                segment: number, offset: place.offset + appends[index].recordBytes, frame: place.frame + 1)
            let stored = StoredFrame(sequence: Sequence(sequence), frame: appends[index].frame)
            placed.append(PlacedFrame(stored: stored, place: place, next: next))
            sequence = stored.end.value
            place = next
        }
        try buffer.flush(to: file, waiting: waiting)
        // Synced, but to be found by nobody after this process: that is not stored.
        guard try file.isAt(path) else {
            throw SystemError(call: "write to a removed file", path: path, code: ENOENT)
        }
        offset = place.offset
        frames = place.frame
        return placed
    }

    /// Ends the segment with a seal. A failure harms nothing: the next start reads the whole segment instead.
    mutating func seal(at sequence: UInt64) throws(SystemError) {
        guard let file else { return }
        defer { leave() }
        try buffer.add(RecordHeader.seal(sequence: sequence, frames: frames), seed: seed, to: file)
        try buffer.write(to: file)
        try file.truncate(offset + JournalFormat.recordHeaderBytes)
        try file.sync()
    }

    /// Gives up the segment after a failure, cutting off what was not acknowledged if the disk still lets us. One that
    /// has no record goes: a disk that fails for hours would fill the directory with them. Not what others have put
    /// under its name meanwhile.
    mutating func abandon() {
        if frames > 0 {
            try? file?.truncate(offset)
        } else if (try? file?.isAt(path)) == true {
            try? files.unlink(path)
        }
        leave()
    }

    private mutating func leave() {
        file?.close()
        file = nil
    }
}

extension JournalFile {
    /// Writes a seal at `offset`, cuts the file behind it and syncs.
    func writeSeal(at offset: Int, sequence: UInt64, frames: Int, seed: UInt32) throws(SystemError) {
        var seal = [UInt8](repeating: 0, count: JournalFormat.recordHeaderBytes)
        seal.withUnsafeMutableBytes {
            RecordHeader.seal(sequence: sequence, frames: frames).write(to: $0, seed: seed)
        }
        try writeAll(seal, at: offset)
        try truncate(offset + seal.count)
        try sync()
    }
}
