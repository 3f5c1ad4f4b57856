import CZstd

/// Whole-buffer zstd with libzstd.
final class Zstd: Sendable {
    private let level: Int32
    private let handles = IdleHandles(make: { ZSTD_createCCtx() }, free: { ZSTD_freeCCtx($0) })

    /// `level` is libzstd's, 1 to 22.
    init(level: Int) { self.level = Int32(level) }

    /// One frame with its content size, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        handles.with { context in
            let bound = ZSTD_compressBound(bytes.count)
            return CompressedBytes.make(bound: bound) { room in
                let written = bytes.withUnsafeBytes {
                    ZSTD_compressCCtx(context, room, bound, $0.baseAddress, $0.count, level)
                }
                return ZSTD_isError(written) == 0 ? written : 0
            }
        }
    }
}
