import CLZ4
import CZstd

/// Decodes zstd bodies, of one frame or several (RFC 8878).
final class ZstdDecoder {
    /// Largest window as a power of two: 8 MiB, as RFC 8878 (7.1) advises, so that no sender chooses our memory.
    static let windowLogMax: Int32 = 23

    private let context: OpaquePointer?

    init() {
        context = ZSTD_createDCtx()
        if let context { ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.windowLogMax) }
    }

    deinit { if let context { ZSTD_freeDCtx(context) } }

    func decode(_ input: UnsafeRawBufferPointer, _ target: inout InflateTarget) throws(BodyFault) {
        guard let context else { throw .overBudget }
        // What a body that failed has left behind must not reach the next one.
        ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var rest = 0
        repeat {
            if target.free == 0 { try target.grow() }
            target.write { address, free in
                var sink = ZSTD_outBuffer(dst: address, size: free, pos: 0)
                rest = ZSTD_decompressStream(context, &sink, &source)
                return sink.pos
            }
            guard ZSTD_isError(rest) == 0 else {
                throw .corrupt("the zstd data is damaged: \(String(cString: ZSTD_getErrorName(rest)))")
            }
        } while source.pos < source.size || (rest != 0 && target.free == 0)
        guard rest == 0 else { throw .corrupt("the zstd data is cut short") }
    }
}

/// Decodes bodies in the frame format of LZ4, of one frame or several.
final class LZ4Decoder {
    /// Clean: made when a body needs it, kept behind bodies that ended whole.
    private var context: OpaquePointer?

    deinit { drop() }

    func decode(_ input: UnsafeRawBufferPointer, _ target: inout InflateTarget) throws(BodyFault) {
        if context == nil { context = Self.make() }
        guard let context else { throw .overBudget }
        // A reset does not do: liblz4 1.9.4 keeps what is left of a content size, and holds the next frame that does
        // not tell its own to it.
        var isWhole = false
        defer { if !isWhole { drop() } }
        var consumed = 0
        var rest = 1
        var moved = 0
        repeat {
            if target.free == 0 { try target.grow() }
            target.write { address, free in
                var written = free
                var read = input.count - consumed
                rest = LZ4F_decompress(
                    context, address, &written, input.baseAddress.map { $0 + consumed }, &read, nil)
                consumed += read
                moved = read + written
                return LZ4F_isError(rest) == 0 ? written : 0
            }
            guard LZ4F_isError(rest) == 0 else {
                throw .corrupt("the lz4 data is damaged: \(String(cString: LZ4F_getErrorName(rest)))")
            }
        } while moved > 0 && (consumed < input.count || (rest != 0 && target.free == 0))
        guard rest == 0, consumed == input.count else { throw .corrupt("the lz4 data is cut short") }
        isWhole = true
    }

    private static func make() -> OpaquePointer? {
        var made: OpaquePointer?
        return LZ4F_isError(LZ4F_createDecompressionContext(&made, UInt32(LZ4F_VERSION))) == 0 ? made : nil
    }

    private func drop() {
        if let context { LZ4F_freeDecompressionContext(context) }
        context = nil
    }
}
