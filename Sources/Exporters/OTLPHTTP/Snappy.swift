import CSnappy
import CSupport

/// Snappy of whole buffers, as one block or in the framed form.
enum Snappy {
    /// Bytes of one chunk of the framed form before compression (framing format, 4.2).
    private static let chunkMax = 65_536
    private static let streamMark: [UInt8] = [0xFF, 0x06, 0x00, 0x00, 0x73, 0x4E, 0x61, 0x50, 0x70, 0x59]

    /// One block, nil when memory is short.
    static func block(_ bytes: [UInt8]) -> [UInt8]? { bytes.withUnsafeBytes { block($0) } }

    private static func block(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        let bound = snappy_max_compressed_length(bytes.count)
        let result = [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            var written = bound
            let status = buffer.withMemoryRebound(to: CChar.self) {
                snappy_compress(
                    bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, $0.baseAddress, &written)
            }
            count = status == SNAPPY_OK ? written : 0
        }
        return result.isEmpty ? nil : result
    }

    /// The framed form: a mark, then chunks of type, length, checksum and block.
    static func frames(_ bytes: [UInt8]) -> [UInt8]? {
        var output = streamMark
        output.reserveCapacity(bytes.count / 2)
        let isComplete = bytes.withUnsafeBytes { whole in
            for start in stride(from: 0, to: whole.count, by: chunkMax) {
                let plain = UnsafeRawBufferPointer(rebasing: whole[start..<min(start + chunkMax, whole.count)])
                guard let block = block(plain) else { return false }
                let crc = sluice_crc32c(0, plain.baseAddress, plain.count)
                let sum = (crc >> 15 | crc << 17) &+ 0xA282_EAD8
                let length = block.count + 4
                output += [0x00, UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16 & 0xFF)]
                for shift in [0, 8, 16, 24] as [UInt32] { output.append(UInt8(truncatingIfNeeded: sum >> shift)) }
                output += block
            }
            return true
        }
        return isComplete ? output : nil
    }
}
