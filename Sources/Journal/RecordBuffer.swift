import Glibc
import Pipeline

/// An append that waits for the disk.
struct PendingAppend: Sendable {
    var frame: Frame
    /// Its metadata as it will lie in the record.
    var metadata: [UInt8]
    var recordBytes: Int
    var hints: AppendHints
    var completion: @Sendable (AppendResult) -> Void
}

/// Turns records into writes of whole blocks, as files need them that are written past the page cache. For one thread.
///
/// What fills its last block only in part stays here and is written again with what follows: the same bytes at the same
/// place, so that such a write cannot harm what was acknowledged, however it is torn.
final class RecordBuffer {
    /// Multiple of the sector size of every disk, and the page size that the system copies by.
    static let blockBytes = 4096

    private static let hugePage = 2 << 20

    private let bytes: UnsafeMutableRawBufferPointer
    private var used = 0
    /// Where the first byte lies in the file, a multiple of the block size.
    private var offset = 0
    /// Something was written that is not synced.
    private var hasUnsynced = false

    /// `capacity` is a multiple of the block size that has room for everything of a record but its payload.
    init(capacity: Int) {
        // In huge pages, if the system gives them: the disk then takes them in few pieces.
        bytes = .allocate(byteCount: capacity, alignment: capacity >= Self.hugePage ? Self.hugePage : Self.blockBytes)
        _ = madvise(bytes.baseAddress, capacity, MADV_HUGEPAGE)
    }

    deinit { bytes.deallocate() }

    /// The next record lies at `offset`, a multiple of the block size.
    func begin(at offset: Int) {
        used = 0
        hasUnsynced = false
        self.offset = offset
    }

    /// Adds whole blocks as they are.
    func add(_ block: [UInt8]) { block.withUnsafeBytes { put($0) } }

    /// Adds a record; `file` takes what there is no room for.
    func add(_ append: PendingAppend, sequence: UInt64, seed: UInt32, to file: any JournalFile) throws(SystemError) {
        let (frame, metadata) = (append.frame, append.metadata)
        var tenant = frame.header.tenant
        let tenantChecksum = tenant.withUTF8 { crc32c(0, UnsafeRawBufferPointer($0)) }
        let frontChecksum = metadata.withUnsafeBytes { crc32c(tenantChecksum, $0) }
        var header = RecordHeader(
            frame, metadataBytes: metadata.count, sequence: sequence, bodyChecksum: frontChecksum)
        if used + header.recordBytes > bytes.count { try writeBlocks(to: file) }
        let isOnePiece = used + header.recordBytes <= bytes.count
        let start = used
        if isOnePiece {
            used += JournalFormat.recordHeaderBytes
        } else {
            header.bodyChecksum = frame.bytes.withUnsafeBytes { crc32c(frontChecksum, $0) }
            try add(header, seed: seed, to: file)
        }
        tenant.withUTF8 { put(UnsafeRawBufferPointer($0)) }
        metadata.withUnsafeBytes { put($0) }
        if isOnePiece {
            header.bodyChecksum = frame.bytes.withUnsafeBytes { putSummed($0, frontChecksum) }
            header.write(to: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]), seed: seed)
        } else {
            try frame.bytes.withUnsafeBufferPointer { payload throws(SystemError) in
                try put(UnsafeRawBufferPointer(payload), to: file)
            }
        }
        // To a multiple of eight, which the buffer ends at.
        let padding = header.recordBytes - header.unpaddedBytes
        bytes[used..<used + padding].initializeMemory(as: UInt8.self, repeating: 0)
        used += padding
    }

    /// Adds a header, with room behind it for a tenant and metadata.
    func add(_ header: RecordHeader, seed: UInt32, to file: any JournalFile) throws(SystemError) {
        if used + header.unpaddedBytes - header.payloadBytes > bytes.count { try writeBlocks(to: file) }
        header.write(to: UnsafeMutableRawBufferPointer(rebasing: bytes[used...]), seed: seed)
        used += JournalFormat.recordHeaderBytes
    }

    private func put(_ part: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: bytes[used...]).copyBytes(from: part)
        used += part.count
    }

    /// Adds what there is room for. Gives its checksum, continued from `checksum`.
    private func putSummed(_ payload: UnsafeRawBufferPointer, _ checksum: UInt32) -> UInt32 {
        defer { used += payload.count }
        return crc32c(checksum, payload, copiedTo: UnsafeMutableRawBufferPointer(rebasing: bytes[used...]))
    }

    private func put(_ payload: UnsafeRawBufferPointer, to file: any JournalFile) throws(SystemError) {
        var done = 0
        while true {
            let count = min(payload.count - done, bytes.count - used)
            put(payload.part(done..<done + count))
            done += count
            if done == payload.count { return }
            try writeBlocks(to: file)
        }
    }

    /// Writes all that is here and syncs it with what was written before. Calls `waiting` before it waits for the disk.
    func flush(to file: any JournalFile, waiting: () -> Void = {}) throws(SystemError) {
        if hasUnsynced {
            waiting()
            try write(to: file)
            try file.sync()
            hasUnsynced = false
        } else {
            try file.writeSynced(wholeBlocks(), at: offset, waiting: waiting)
            keepLastBlock()
        }
    }

    /// Writes all that is here.
    func write(to file: any JournalFile) throws(SystemError) {
        hasUnsynced = true
        try file.writeAll(wholeBlocks(), at: offset)
        keepLastBlock()
    }

    /// What is here, with zeros up to the end of the last block.
    private func wholeBlocks() -> UnsafeRawBufferPointer {
        let end = (used + Self.blockBytes - 1) & ~(Self.blockBytes - 1)
        bytes[used..<end].initializeMemory(as: UInt8.self, repeating: 0)
        return UnsafeRawBufferPointer(bytes).part(0..<end)
    }

    private func writeBlocks(to file: any JournalFile) throws(SystemError) {
        hasUnsynced = true
        try file.writeAll(UnsafeRawBufferPointer(bytes).part(0..<used & ~(Self.blockBytes - 1)), at: offset)
        keepLastBlock()
    }

    /// Goes on with the block that is not full.
    private func keepLastBlock() {
        let whole = used & ~(Self.blockBytes - 1)
        let rest = used - whole
        bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[whole..<used]))
        offset += whole
        used = rest
    }
}
