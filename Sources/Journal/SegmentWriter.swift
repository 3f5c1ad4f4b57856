import Glibc
import Pipeline

/// An append that waits for the disk.
struct PendingAppend: Sendable {
    var frame: Frame
    /// Its metadata as it will lie in the record.
    var metadata: [UInt8]
    var recordBytes: Int
    var completion: @Sendable (AppendResult) -> Void
}

/// Writes records to the newest segment. Used by the writer thread alone; makes every system call of an append.
///
/// A segment in which any write or sync has failed is left at once and for good: after a failed sync nobody knows
/// what the disk holds, and a second sync would report success for pages that were thrown away.
struct SegmentWriter {
    private let files: any JournalFileSystem
    private let directory: String
    private let journal: JournalID
    private let seed: UInt32
    private let segmentBytes: Int
    private let buffer: WriteBuffer

    private var file: (any JournalFile)?
    private var nextNumber: UInt64
    private(set) var number: UInt64 = 0
    /// Behind the last synced record.
    private var offset = 0
    private var frames = 0
    private var capacity = 0

    init(
        files: any JournalFileSystem, directory: String, journal: JournalID, nextNumber: UInt64, segmentBytes: Int
    ) {
        self.files = files
        self.directory = directory
        self.journal = journal
        seed = journal.checksumSeed
        self.nextNumber = nextNumber
        self.segmentBytes = segmentBytes
        buffer = WriteBuffer(capacity: 1 << 20)
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
        let least = JournalFormat.dataOffset + recordBytes + JournalFormat.recordHeaderBytes
        let header = SegmentHeader(journal: journal, number: nextNumber, base: base)
        let path = directory + "/" + JournalFileName.segment(number: nextNumber)
        let temporary = path + ".tmp"
        let made = try files.create(temporary, exclusive: false)
        do throws(SystemError) {
            try made.truncate(0)
            let size = max(segmentBytes, least)
            do throws(SystemError) {
                try made.allocate(size)
            } catch  where error.isFull && least < size {
                // Not much room: take what this record needs.
                try made.allocate(least)
            } catch  where error.code == EOPNOTSUPP || error.code == EINVAL || error.code == ENOSYS {
                // A file system without preallocation. A full disk then shows at a write instead.
            }
            capacity = try made.size() >= least ? made.size() : size
            try made.writeAll(header.page(), at: 0)
            try made.sync()
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
        number = nextNumber
        nextNumber &+= 1
        offset = JournalFormat.dataOffset
        frames = 0
    }

    /// Writes and syncs `appends`, the first at `sequence`; all are durable when this returns. They must have room.
    mutating func write(
        _ appends: ArraySlice<PendingAppend>, from sequence: UInt64
    ) throws(SystemError) -> [PlacedFrame] {
        guard let file else { throw SystemError(call: "write", path: directory, code: EBADF) }
        var placed: [PlacedFrame] = []
        placed.reserveCapacity(appends.count)
        var place = Place(segment: number, offset: offset, frame: frames)
        var sequence = sequence
        buffer.begin(at: offset)
        for append in appends {
            try buffer.add(append, sequence: sequence, seed: seed, to: file)
            let next = Place(
                segment: number, offset: place.offset + append.recordBytes, frame: place.frame + 1)
            let stored = StoredFrame(sequence: Sequence(sequence), frame: append.frame)
            placed.append(PlacedFrame(stored: stored, place: place, next: next))
            sequence = stored.end.value
            place = next
        }
        try buffer.flush(to: file)
        try file.sync()
        offset = place.offset
        frames = place.frame
        return placed
    }

    /// Ends the segment with a seal. A failure harms nothing: the next start reads the whole segment instead.
    mutating func seal(at sequence: UInt64) throws(SystemError) {
        guard let file else { return }
        defer { leave() }
        try file.writeSeal(at: offset, sequence: sequence, frames: frames, seed: seed)
    }

    /// Gives up the segment after a failure, cutting off what was not acknowledged if the disk still lets us.
    mutating func abandon() {
        try? file?.truncate(offset)
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

/// Gathers records for few large writes. Payloads larger than the buffer are written from where they are.
private final class WriteBuffer {
    private let bytes: UnsafeMutableRawBufferPointer
    private var used = 0
    private var offset = 0

    init(capacity: Int) { bytes = .allocate(byteCount: capacity, alignment: 16) }

    deinit { bytes.deallocate() }

    func begin(at offset: Int) {
        used = 0
        self.offset = offset
    }

    func flush(to file: any JournalFile) throws(SystemError) {
        guard used > 0 else { return }
        try file.writeAll(UnsafeRawBufferPointer(bytes).part(0..<used), at: offset)
        offset += used
        used = 0
    }

    func add(
        _ append: PendingAppend, sequence: UInt64, seed: UInt32, to file: any JournalFile
    ) throws(SystemError) {
        let (frame, metadata, recordBytes) = (append.frame, append.metadata, append.recordBytes)
        var tenant = frame.header.tenant
        let tenantChecksum = tenant.withUTF8 { crc32c(0, UnsafeRawBufferPointer($0)) }
        let frontChecksum = metadata.withUnsafeBytes { crc32c(tenantChecksum, $0) }
        let checksum = frame.bytes.withUnsafeBytes { crc32c(frontChecksum, $0) }
        let header = RecordHeader(
            frame, metadataBytes: metadata.count, sequence: sequence, bodyChecksum: checksum)
        let metadataStart = JournalFormat.recordHeaderBytes + header.tenantBytes
        let front = metadataStart + metadata.count
        let padding = recordBytes - front - frame.bytes.count
        if used + recordBytes > bytes.count {
            try flush(to: file)
        }
        header.write(to: UnsafeMutableRawBufferPointer(rebasing: bytes[used...]), seed: seed)
        tenant.withUTF8 { text in
            bytes[(used + JournalFormat.recordHeaderBytes)...].copyBytes(from: text)
        }
        bytes[(used + metadataStart)...].copyBytes(from: metadata)
        used += front
        if used + frame.bytes.count + padding > bytes.count {
            try flush(to: file)
            try file.writeAll(frame.bytes, at: offset)
            offset += frame.bytes.count
        } else {
            UnsafeMutableRawBufferPointer(rebasing: bytes[used...]).copyBytes(from: frame.bytes)
            used += frame.bytes.count
        }
        bytes[used..<used + padding].initializeMemory(as: UInt8.self, repeating: 0)
        used += padding
    }
}
