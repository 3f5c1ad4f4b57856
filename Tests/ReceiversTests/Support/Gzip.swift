import CDeflate

/// Compressed forms for tests, made with libdeflate.
enum Compressed {
    static func gzip(_ plain: [UInt8]) -> [UInt8] {
        run(plain, libdeflate_gzip_compress_bound, libdeflate_gzip_compress)
    }

    static func zlib(_ plain: [UInt8]) -> [UInt8] {
        run(plain, libdeflate_zlib_compress_bound, libdeflate_zlib_compress)
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
