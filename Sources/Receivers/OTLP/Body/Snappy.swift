import CSnappy
import CSupport
import NIOCore

/// Snappy bodies: the plain block, as current Collectors send it, and the framed form, as older ones do.
enum Snappy {
    /// A block cannot grow more than this: its densest element is 64 bytes for 3.
    static let ratioMax = 22
    /// Bytes of one chunk of the framed form, after decoding (framing format, 4.2).
    static let chunkMax = 65_536

    private static let streamMark: [UInt8] = [0xFF, 0x06, 0x00, 0x00, 0x73, 0x4E, 0x61, 0x50, 0x70, 0x59]

    /// True for a body that begins with the mark of the framed form.
    static func isFramed(_ input: UnsafeRawBufferPointer) -> Bool { input.starts(with: streamMark) }

    /// The length that a block tells. One that the block could not yield is refused before memory is taken.
    static func declaredLength(_ block: UnsafeRawBufferPointer) throws(BodyFault) -> Int {
        var length = 0
        let base = block.baseAddress?.assumingMemoryBound(to: CChar.self)
        guard snappy_uncompressed_length(base, block.count, &length) == SNAPPY_OK, length >= 0,
            length <= block.count.multipliedReportingOverflow(by: ratioMax).partialValue
        else { throw .corrupt("the snappy data tells a length that it cannot have") }
        return length
    }

    static func decode(
        _ input: UnsafeRawBufferPointer, isFramed: Bool, _ target: inout InflateTarget
    ) throws(BodyFault) {
        if isFramed || Self.isFramed(input) {
            try frames(input, &target)
        } else {
            try block(input, &target)
        }
    }

    private static func block(
        _ block: UnsafeRawBufferPointer, _ target: inout InflateTarget
    ) throws(BodyFault) {
        let length = try declaredLength(block)
        while target.free < length { try target.grow() }
        var status = SNAPPY_INVALID_INPUT
        target.write { address, free in
            var written = free
            status = snappy_uncompress(
                block.baseAddress?.assumingMemoryBound(to: CChar.self), block.count,
                address.assumingMemoryBound(to: CChar.self), &written)
            return status == SNAPPY_OK ? written : 0
        }
        guard status == SNAPPY_OK else { throw .corrupt("the snappy data is damaged or cut short") }
    }

    /// Chunks of the framed form: one byte type, three bytes length, then for data a checksum and a block.
    private static func frames(
        _ input: UnsafeRawBufferPointer, _ target: inout InflateTarget
    ) throws(BodyFault) {
        guard isFramed(input) else { throw .corrupt("the framed snappy data lacks its mark") }
        var place = 0
        while place < input.count {
            guard input.count - place >= 4 else { throw .corrupt("the framed snappy data is cut short") }
            let length = Int(input[place + 1]) | Int(input[place + 2]) << 8 | Int(input[place + 3]) << 16
            guard length <= input.count - place - 4 else { throw .corrupt("the framed snappy data is cut short") }
            let chunk = UnsafeRawBufferPointer(rebasing: input[(place + 4)..<(place + 4 + length)])
            let type = input[place]
            switch type {
            case 0x00, 0x01: try data(chunk, isCompressed: type == 0x00, &target)
            case 0x02...0x7F: throw .corrupt("the framed snappy data has a chunk of unknown type \(type)")
            default: break
            }
            place += 4 + length
        }
    }

    private static func data(
        _ chunk: UnsafeRawBufferPointer, isCompressed: Bool, _ target: inout InflateTarget
    ) throws(BodyFault) {
        guard chunk.count >= 4 else { throw .corrupt("a chunk of the framed snappy data is too short") }
        let sum = UInt32(littleEndian: chunk.loadUnaligned(as: UInt32.self))
        let content = UnsafeRawBufferPointer(rebasing: chunk[4...])
        let length = isCompressed ? try declaredLength(content) : content.count
        guard length <= chunkMax else { throw .corrupt("a chunk of the framed snappy data is too large") }
        let start = target.buffer.readableBytes
        while target.free < length { try target.grow() }
        if isCompressed {
            try block(content, &target)
        } else if let base = content.baseAddress {
            target.write { address, _ in
                address.copyMemory(from: base, byteCount: length)
                return length
            }
        }
        let crc = target.buffer.withUnsafeReadableBytes { bytes in
            sluice_crc32c(0, bytes.baseAddress.map { $0 + start }, bytes.count - start)
        }
        guard (crc >> 15 | crc << 17) &+ 0xA282_EAD8 == sum else {
            throw .corrupt("a checksum of the framed snappy data is wrong")
        }
    }
}
