import CDeflate

/// Whole-buffer gzip with libdeflate.
final class Gzip: Sendable {
    private let handles: IdleHandles

    /// `level` is libdeflate's, 0 (store) to 12.
    init(level: Int) {
        let level = Int32(level)
        handles = IdleHandles(
            make: { libdeflate_alloc_compressor(level) }, free: { libdeflate_free_compressor($0) })
    }

    /// One gzip member, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        handles.with { compressor in
            let bound = libdeflate_gzip_compress_bound(compressor, bytes.count)
            let result = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
                count = bytes.withUnsafeBytes {
                    libdeflate_gzip_compress(compressor, $0.baseAddress, $0.count, buffer.baseAddress, bound)
                }
            }
            if result.isEmpty { return nil }
            // The room that was offered is given back: the body is held until it is delivered.
            return result.withUnsafeBytes { [UInt8]($0) }
        }
    }
}

/// Whole-buffer zlib with libdeflate.
final class Zlib: Sendable {
    private let handles: IdleHandles

    /// `level` is libdeflate's, 0 (store) to 12.
    init(level: Int) {
        let level = Int32(level)
        handles = IdleHandles(
            make: { libdeflate_alloc_compressor(level) }, free: { libdeflate_free_compressor($0) })
    }

    /// One stream, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        handles.with { compressor in
            let bound = libdeflate_zlib_compress_bound(compressor, bytes.count)
            let result = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
                count = bytes.withUnsafeBytes {
                    libdeflate_zlib_compress(compressor, $0.baseAddress, $0.count, buffer.baseAddress, bound)
                }
            }
            return result.isEmpty ? nil : result
        }
    }
}
