/// What a compressor of whole buffers makes.
enum CompressedBytes {
    /// The bytes that `write` puts into room for `bound` of them; it tells how many, 0 when it failed, which gives nil.
    /// The room beyond them is given back: a body is held until it is delivered.
    static func make(bound: Int, _ write: (UnsafeMutableRawPointer?) -> Int) -> [UInt8]? {
        let result = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            count = write(UnsafeMutableRawPointer(buffer.baseAddress))
        }
        return result.isEmpty ? nil : result.withUnsafeBytes { [UInt8]($0) }
    }
}
