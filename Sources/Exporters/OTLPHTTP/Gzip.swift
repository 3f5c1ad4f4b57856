import CDeflate
import Synchronization

/// Whole-buffer gzip with libdeflate. Compressors are large, so they are kept and used again.
final class Gzip: Sendable {
    /// What is in use at once is bounded by the deliveries; what is kept idle, by this.
    private static let idleMax = 16

    private let level: Int32
    // Pointers to compressors that nobody uses at the moment, as integers because a mutex holds only Sendable values.
    private let idle = Mutex<[Int]>([])

    /// `level` is libdeflate's, 0 (store) to 12.
    init(level: Int) { self.level = Int32(level) }

    deinit {
        for address in idle.withLock({ $0 }) {
            if let compressor = OpaquePointer(bitPattern: address) { libdeflate_free_compressor(compressor) }
        }
    }

    /// One gzip member, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let address = idle.withLock { $0.popLast() }
        let compressor = address.flatMap { OpaquePointer(bitPattern: $0) } ?? libdeflate_alloc_compressor(level)
        guard let compressor else { return nil }
        defer {
            let isKept = idle.withLock { idle in
                guard idle.count < Self.idleMax else { return false }
                idle.append(Int(bitPattern: compressor))
                return true
            }
            if !isKept { libdeflate_free_compressor(compressor) }
        }
        let bound = libdeflate_gzip_compress_bound(compressor, bytes.count)
        let result = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            count = bytes.withUnsafeBytes {
                libdeflate_gzip_compress(compressor, $0.baseAddress, $0.count, buffer.baseAddress, bound)
            }
        }
        return result.isEmpty ? nil : result
    }
}
