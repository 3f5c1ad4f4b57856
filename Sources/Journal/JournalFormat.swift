import CSupport

// The format of a journal on disk, version 3. All numbers are little endian. Version 2 is the same without the reader's
// name in its cursor, version 1 also without metadata and without settled ranges; they are read, and what is written
// new beside them has version 3.
//
// A journal is one directory (0700) per pipeline; its files are 0600:
//
//   LOCK                                held with flock while open; text "pid N"
//   <number>.segment                    records; 16 lower-case hexadecimal digits, counted up, never reused
//   <number>.segment.quarantined        a segment that could not be used or held damage; kept for a human, newest 8
//   <name>.cursor                       one per exporter; bytes outside [A-Za-z0-9_-] of the name as %XX
//   *.segment.tmp, *.cursor.tmp         half-made files, and those of finished segments that wait to be written over;
//                                       removed at open
//
// Other names are left alone. Nothing is overwritten in place but cursor slots and the last block of a segment, with
// the same bytes and more.
//
// Segment: a header in the first page, repeated 2048 bytes further on so that one lost sector loses nothing; records
// from byte 4096 on, so that a torn write of a record cannot touch the header; each at a multiple of 8. Behind the last
// one lie zeros (preallocation), or what the segment held whose file was written over. A finished segment is cut to its
// length and ends in a seal.
//
//   segment header, 48 bytes        | record header, 48 bytes, then tenant, metadata, payload, zeros to a multiple of 8
//   at  size                        | at  size
//    0   8  magic "SLUICESG"        |  0   4  magic 8E 53 4C 52
//    8   4  format version          |  4   4  CRC32C of journal id, segment number and bytes 8 ..< 48
//   12   4  CRC32C of 0 ..< 12 and  |  8   4  CRC32C of tenant, metadata and payload
//           of 16 ..< 48            | 12   4  payload bytes
//   16  16  journal id              | 16   4  items (at least 1; 0 in a seal)
//   32   8  segment number          | 20   1  kind: 1 frame, 2 seal
//   40   8  base sequence           | 21   1  signal
//                                   | 22   1  tenant bytes
//                                   | 23   1  metadata bytes / 32
//                                   | 24   8  sequence (in a seal: the sequence behind the last record)
//                                   | 32   8  earliest time (in a seal: frames in the segment)
//                                   | 40   8  latest time (in a seal: 0)
//
// Metadata, per header that is kept: 1 byte length of the name, 2 bytes length of the value, name, value; zeros behind
// the last one.
//
// Cursor file: two slots, at 0 and 4096; the valid one with the higher generation counts. 80 bytes, then ranges:
//
//    0   8  magic "SLUICECU"        | 32   8  generation
//    8   4  format version          | 40   8  position: everything before this sequence is done
//   12   4  CRC32C as above, to 80  | 48   8  hint: number of the segment where the position lies
//   16  16  journal id              | 56   8  hint: offset of the first record that is not done
//                                   | 64   4  hint: frames of that segment before the offset (version 2: 8 bytes)
//                                   | 68   4  CRC32C of the reader's name, 1 for 0 (version 2: nothing)
//                                   | 72   4  ranges that follow, at most 251 (version 1: zero)
//                                   | 76   4  CRC32C of the ranges
//   80  16  per range that is done behind the position: first sequence, sequence behind the last
//
// Rules a reader needs:
// - The magic, version and checksum of a header keep their places in all versions. A version is believed only when the
//   checksum holds; a higher one than ours means: refuse, touch nothing.
// - Journal id and segment number seed every record's checksum (the id alone in version 1). A payload cannot forge a
//   record, whatever a client sends, and a record of the segment whose file was written over is none.
// - Sequences count items. A record whose sequence is higher than where the one before ended tells how many are lost.
// - A segment ends where the next one begins: records at or above the next base were refused to their senders (the
//   sync failed) and do not count.
// - Without a seal, what follows the last valid record is a torn tail. It was never acknowledged.

/// Names and sizes of the format that several files need.
enum JournalFormat {
    static let version: UInt32 = 3
    static let segmentHeaderBytes = 48
    static let segmentHeaderCopyOffset = 2048
    /// Where the first record of a segment lies.
    static let dataOffset = 4096
    static let recordHeaderBytes = 48
    /// What a record's metadata is a multiple of.
    static let metadataUnit = 32
    /// Largest tenant plus payload that an append takes; far below what 32 bits of length could say.
    static let recordBytesMax = 1 << 30
    /// Its length is one byte of the record's header.
    static let tenantBytesMax = 255
    static let cursorSlotBytes = 80
    static let cursorSlotOffsets = [0, 4096]
    static let cursorFileBytes = 8192

    /// Bytes of a whole record on disk.
    static func recordBytes(tenant: Int, metadata: Int = 0, payload: Int) -> Int {
        (recordHeaderBytes + tenant + metadata + payload + 7) & ~7
    }
}

/// Tells the journals of different pipelines and lives apart and seeds record checksums, so that records of another
/// journal, or of the segment whose file was written over, and bytes that a client chose, never pass for records.
struct JournalID: Hashable, Sendable {
    var high: UInt64
    var low: UInt64

    static func random() -> JournalID {
        var generator = SystemRandomNumberGenerator()
        return JournalID(high: generator.next(), low: generator.next())
    }

    /// What the checksums of a segment's records start from: CRC32C of the sixteen bytes as they lie in a segment
    /// header and, from version 2 on, of the segment's number.
    func checksumSeed(segment: UInt64, version: UInt32 = JournalFormat.version) -> UInt32 {
        var words = (high.littleEndian, low.littleEndian)
        let seed = withUnsafeBytes(of: &words) { crc32c(0, $0) }
        if version < 2 { return seed }
        var number = segment.littleEndian
        return withUnsafeBytes(of: &number) { crc32c(seed, $0) }
    }
}

/// CRC32C of `bytes`, continued from `seed`.
func crc32c(_ seed: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
    sluice_crc32c(seed, bytes.baseAddress, bytes.count)
}

/// The same, and copies the bytes to the beginning of `target`, which has room for them.
func crc32c(_ seed: UInt32, _ bytes: UnsafeRawBufferPointer, copiedTo target: UnsafeMutableRawBufferPointer) -> UInt32 {
    precondition(bytes.count <= target.count, "no room for a copy")
    guard let start = target.baseAddress else { return seed }
    return sluice_crc32c_copy(seed, start, bytes.baseAddress, bytes.count)
}

extension UnsafeRawBufferPointer {
    /// A little-endian number at `offset`, which must leave room for it; nothing about alignment is assumed.
    func little<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Number.Type) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The bytes `range`, which must lie inside.
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}

extension UnsafeMutableRawBufferPointer {
    /// Stores a little-endian number at `offset`.
    func put<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
    }
}
