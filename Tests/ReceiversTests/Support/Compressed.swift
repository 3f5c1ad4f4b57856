import CDeflate
import CLZ4
import CSnappy
import CSupport
import CZstd

/// Compressed forms for tests, made with the libraries that senders use.
enum Compressed {
    static func gzip(_ plain: [UInt8]) -> [UInt8] {
        run(plain, libdeflate_gzip_compress_bound, libdeflate_gzip_compress)
    }

    /// A gzip member whose header has these optional parts, and behind them its CRC, changed by `damage`.
    static func gzip(
        _ plain: [UInt8], extra: [UInt8]? = nil, name: String? = nil, comment: String? = nil, damage: UInt16? = nil
    ) -> [UInt8] {
        let member = gzip(plain)
        var header = Array(member[..<10])
        if let extra {
            header[3] |= 4
            header += [UInt8(extra.count & 0xFF), UInt8(extra.count >> 8)] + extra
        }
        if let name {
            header[3] |= 8
            header += Array(name.utf8) + [0]
        }
        if let comment {
            header[3] |= 16
            header += Array(comment.utf8) + [0]
        }
        if let damage {
            header[3] |= 2
            let sum = UInt16(truncatingIfNeeded: libdeflate_crc32(0, header, header.count)) ^ damage
            header += [UInt8(sum & 0xFF), UInt8(sum >> 8)]
        }
        return header + member[10...]
    }

    static func zlib(_ plain: [UInt8]) -> [UInt8] {
        run(plain, libdeflate_zlib_compress_bound, libdeflate_zlib_compress)
    }

    /// One frame; `windowLog` chooses the window as a power of two. A frame with a chosen one does not tell its length.
    static func zstd(
        _ plain: [UInt8], windowLog: Int32? = nil, tellsLength: Bool = true, hasChecksum: Bool = false
    ) -> [UInt8] {
        let context = ZSTD_createCCtx()
        defer { ZSTD_freeCCtx(context) }
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, tellsLength ? 1 : 0)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, hasChecksum ? 1 : 0)
        if let windowLog {
            ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, windowLog)
            ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
        }
        return [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(plain.count)) { target, count in
            var source = ZSTD_inBuffer(src: nil, size: plain.count, pos: 0)
            var sink = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
            plain.withUnsafeBytes { bytes in
                source.src = bytes.baseAddress
                while ZSTD_compressStream2(context, &sink, &source, ZSTD_e_end) > 0 {}
            }
            count = sink.pos
        }
    }

    /// One frame.
    static func lz4(_ plain: [UInt8], tellsLength: Bool = false, hasChecksums: Bool = false) -> [UInt8] {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.contentSize = tellsLength ? UInt64(plain.count) : 0
        if hasChecksums {
            preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
            preferences.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled
        }
        let bound = LZ4F_compressFrameBound(plain.count, &preferences)
        return [UInt8](unsafeUninitializedCapacity: bound) { target, count in
            count = plain.withUnsafeBytes {
                LZ4F_compressFrame(target.baseAddress, target.count, $0.baseAddress, $0.count, &preferences)
            }
        }
    }

    /// One block.
    static func snappy(_ plain: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: snappy_max_compressed_length(plain.count)) { target, count in
            count = target.count
            plain.withUnsafeBytes { bytes in
                _ = snappy_compress(
                    bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count,
                    UnsafeMutableRawPointer(target.baseAddress)?.assumingMemoryBound(to: CChar.self), &count)
            }
        }
    }

    /// The framed form of snappy: a mark, then chunks of at most 64 KiB with a masked CRC-32C each.
    static func snappyFramed(_ plain: [UInt8], isStored: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = [0xFF, 6, 0, 0] + Array("sNaPpY".utf8)
        for start in stride(from: 0, to: plain.count, by: 65_536) {
            let part = Array(plain[start..<min(start + 65_536, plain.count)])
            let crc = part.withUnsafeBytes { sluice_crc32c(0, $0.baseAddress, $0.count) }
            let sum = (crc >> 15 | crc << 17) &+ 0xA282_EAD8
            let content = isStored ? part : snappy(part)
            bytes.append(isStored ? 1 : 0)
            for shift in [0, 8, 16] { bytes.append(UInt8(truncatingIfNeeded: (content.count + 4) >> shift)) }
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: sum >> UInt32(shift))) }
            bytes += content
        }
        return bytes
    }

    private static func run(
        _ plain: [UInt8], _ bound: (OpaquePointer?, Int) -> Int,
        _ compress: (OpaquePointer?, UnsafeRawPointer?, Int, UnsafeMutableRawPointer?, Int) -> Int
    ) -> [UInt8] {
        let compressor = libdeflate_alloc_compressor(6)
        defer { libdeflate_free_compressor(compressor) }
        return [UInt8](unsafeUninitializedCapacity: bound(compressor, plain.count)) { target, count in
            count = plain.withUnsafeBytes {
                compress(
                    compressor, $0.baseAddress, $0.count, UnsafeMutableRawPointer(target.baseAddress), target.count)
            }
        }
    }
}
