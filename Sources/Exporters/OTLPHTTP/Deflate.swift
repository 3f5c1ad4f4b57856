import CDeflate

/// Whole-buffer gzip or zlib with libdeflate.
final class Deflate: Sendable {
    enum Format: Sendable {
        case gzip, zlib
    }

    private let format: Format
    private let handles: IdleHandles

    /// `level` is libdeflate's, 0 (store) to 12.
    init(_ format: Format, level: Int) {
        let level = Int32(level)
        self.format = format
        handles = IdleHandles(
            make: { libdeflate_alloc_compressor(level) }, free: { libdeflate_free_compressor($0) })
    }

    /// One gzip member or zlib stream, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let (measure, write) =
            switch format {
            case .gzip: (libdeflate_gzip_compress_bound, libdeflate_gzip_compress)
            case .zlib: (libdeflate_zlib_compress_bound, libdeflate_zlib_compress)
            }
        return handles.with { compressor in
            let bound = measure(compressor, bytes.count)
            return CompressedBytes.make(bound: bound) { room in
                bytes.withUnsafeBytes { write(compressor, $0.baseAddress, $0.count, room, bound) }
            }
        }
    }
}
