import CSupport
import Glibc
import OTLP
import Pipeline

/// The bytes of the file of `TraceMemories`; numbers are little endian:
///
///     head     magic u64 | version u32 | crc u32 | second journal 16
///     record   crc u32 | size u32 | end u64 | name u64 | version u32 | kind u8 | bytes
///
/// First the parts of everything, then their end, then changes in the order in which they were made.
enum TraceMemoryFormat {
    enum Kind: UInt8 {
        case part, wholeEnd, changes
    }

    struct Record {
        var kind: Kind
        /// Of the processor.
        var name: UInt64 = 0
        /// Of its memory.
        var version: UInt32 = 0
        /// It counts when the second journal ends here or later.
        var end: UInt64 = 0
        var bytes: ArraySlice<UInt8> = []
    }

    private static let magic: UInt64 = 0x4D54_4543_4955_4C53  // "SLUICETM"
    private static let version: UInt32 = 1
    static let headBytes = 32
    private static let recordHeadBytes = 29
    /// A larger file is none of ours.
    private static let fileBytesMax = 2 << 30

    static func head(_ output: JournalPosition) -> [UInt8] {
        var bytes: [UInt8] = []
        append(magic, to: &bytes)
        append(version, to: &bytes)
        append(0 as UInt32, to: &bytes)
        append(output.high, to: &bytes)
        append(output.low, to: &bytes)
        set(sum(bytes[...]), at: 12, in: &bytes)
        return bytes
    }

    static func append(_ record: Record, to bytes: inout [UInt8]) {
        let start = bytes.count
        append(0 as UInt32, to: &bytes)
        append(UInt32(record.bytes.count), to: &bytes)
        append(record.end, to: &bytes)
        append(record.name, to: &bytes)
        append(record.version, to: &bytes)
        append(record.kind.rawValue, to: &bytes)
        bytes += record.bytes
        set(sum(bytes[(start + 4)...]), at: start, in: &bytes)
    }

    /// The record at `at`, which moves behind it; nil when there is no whole one.
    static func record(_ bytes: [UInt8], _ at: inout Int) -> Record? {
        guard bytes.count - at >= recordHeadBytes else { return nil }
        let size = Int(number(bytes, at + 4, UInt32.self))
        guard size <= bytes.count - at - recordHeadBytes else { return nil }
        let end = at + recordHeadBytes + size
        guard number(bytes, at, UInt32.self) == sum(bytes[at + 4..<end]), let kind = Kind(rawValue: bytes[at + 28])
        else { return nil }
        defer { at = end }
        return Record(
            kind: kind, name: number(bytes, at + 16, UInt64.self), version: number(bytes, at + 24, UInt32.self),
            end: number(bytes, at + 8, UInt64.self), bytes: bytes[at + recordHeadBytes..<end])
    }

    /// Puts a file of these bytes in the place of the one at `path`. Gives it open for appending, or -1.
    static func replace(_ path: String, _ bytes: [UInt8], _ place: PassedTraces.Place) -> Int32 {
        let fresh = path + ".new"
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return -1 }
        guard place.write(bytes, descriptor), place.sync(descriptor), rename(fresh, path) == 0 else {
            close(descriptor)
            unlink(fresh)
            return -1
        }
        _ = Descriptor.syncFolder(place.folder)
        return descriptor
    }

    static func contents(_ path: String) -> [UInt8]? { PassedFormat.contents(path, bytesMax: fileBytesMax) }

    private static func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func set(_ number: UInt32, at place: Int, in bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { source in
            for (index, byte) in source.enumerated() { bytes[place + index] = byte }
        }
    }

    private static func number<Number: FixedWidthInteger>(_ bytes: [UInt8], _ at: Int, _: Number.Type) -> Number {
        Number(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Number.self) })
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { sluice_crc32c(0, $0.baseAddress, $0.count) }
    }
}
