import CDeflate

/// The header of a gzip member (RFC 1952, 2.3). libdeflate steps over its optional parts, and does not look at the CRC
/// that stands behind them where a sender writes one.
///
///     1f 8b 08 flags mtime(4) xfl os [length(2) extra] [name 00] [comment 00] [crc(2)]
enum GzipHeader {
    private static let fixedCount = 10
    private static let hasCRC: UInt8 = 1 << 1
    private static let hasExtra: UInt8 = 1 << 2
    private static let hasName: UInt8 = 1 << 3
    private static let hasComment: UInt8 = 1 << 4

    /// Whether the header at the start of `member` has no CRC, or the right one.
    static func isIntact(_ member: UnsafeRawBufferPointer) -> Bool {
        guard member.count > fixedCount, member[3] & hasCRC != 0 else { return true }
        guard let end = optionalPartsEnd(member), member.count - end >= 2 else { return false }
        let told = UInt16(littleEndian: member.loadUnaligned(fromByteOffset: end, as: UInt16.self))
        return told == UInt16(truncatingIfNeeded: libdeflate_crc32(0, member.baseAddress, end))
    }

    /// Where the CRC begins; nil when the header is cut short.
    private static func optionalPartsEnd(_ member: UnsafeRawBufferPointer) -> Int? {
        let flags = member[3]
        var end = fixedCount
        if flags & hasExtra != 0 {
            guard member.count - end >= 2 else { return nil }
            end += 2 + Int(UInt16(littleEndian: member.loadUnaligned(fromByteOffset: end, as: UInt16.self)))
        }
        for flag in [hasName, hasComment] where flags & flag != 0 {
            guard end < member.count, let zero = member[end...].firstIndex(of: 0) else { return nil }
            end = zero + 1
        }
        return end
    }
}
