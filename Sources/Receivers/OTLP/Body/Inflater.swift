import CDeflate
import NIOCore

/// Undoes the content codings of whole request bodies. One per event loop; not safe to share between threads.
///
/// The size cap is the capacity that a decoder is offered: none can write more. The room grows from a multiple of the
/// bytes that were received, and a length that the sender wrote is believed only as far as the coding could reach.
final class Inflater {
    /// Members of one gzip body (RFC 1952, 2.2); more are refused, since each may be 20 bytes that yield nothing.
    static let membersMax = 10_000
    /// First room, in bytes for each byte received.
    static let firstRatio = 8
    /// The length in the gzip trailer is believed up to this many bytes for each byte received.
    static let hintRatioMax = 32
    static let roomMin = 16 << 10

    private let deflate: OpaquePointer?
    private let zstd = ZstdDecoder()
    private let lz4 = LZ4Decoder()

    init() { deflate = libdeflate_alloc_decompressor() }

    deinit {
        if let deflate { libdeflate_free_decompressor(deflate) }
    }

    /// Inflates `input` into a buffer of `resources`, at most `sizeMax` bytes. What the buffer takes is reserved with
    /// `ticket` first.
    func inflate(
        _ input: UnsafeRawBufferPointer, coding: ContentCoding, sizeMax: Int, ticket: AdmissionTicket,
        resources: LoopResources
    ) throws(BodyFault) -> ByteBuffer {
        guard !input.isEmpty else { throw .corrupt("the body is empty, which is no \(coding.name) stream") }
        // Decoders that go step by step need a byte beyond the cap to tell a body that ends there from a larger one.
        let steps = coding == .zstd || coding == .lz4
        let first = try firstRoom(for: input, coding, sizeMax: sizeMax)
        var target = try InflateTarget(
            first: first, sizeMax: steps ? sizeMax + 1 : sizeMax, ticket: ticket, resources: resources)
        do throws(BodyFault) {
            switch coding {
            case .gzip, .zlib: try members(input, coding, &target)
            case .zstd: try zstd.decode(input, &target)
            case .lz4: try lz4.decode(input, &target)
            case .snappy, .snappyFramed: try Snappy.decode(input, isFramed: coding == .snappyFramed, &target)
            case .identity: throw .corrupt("the body is not compressed")
            }
            guard target.buffer.readableBytes <= sizeMax else { throw .tooLarge(inflated: true) }
        } catch {
            resources.give(target.buffer)
            throw error
        }
        return target.buffer
    }

    /// Decodes the members of a gzip body, or the one stream of a zlib body.
    ///
    /// libdeflate decodes one member per call into memory of a given size and stops when it is full, so a member that
    /// did not fit is decoded again with more room.
    private func members(
        _ input: UnsafeRawBufferPointer, _ coding: ContentCoding, _ target: inout InflateTarget
    ) throws(BodyFault) {
        var consumed = 0
        var members = 0
        while consumed < input.count {
            let rest = UnsafeRawBufferPointer(rebasing: input[consumed...])
            switch member(rest, coding, &target) {
            case .member(let used):
                guard coding != .gzip || GzipHeader.isIntact(rest) else {
                    throw .corrupt("the header of a gzip member does not have the CRC that it tells")
                }
                consumed += used
                members += 1
                guard members <= Self.membersMax else { throw .corrupt("more than \(Self.membersMax) gzip members") }
                guard coding == .gzip || consumed == input.count else {
                    throw .corrupt("\(input.count - consumed) bytes follow the \(coding.name) stream")
                }
            case .full: try target.grow()
            case .damaged: throw .corrupt("the \(coding.name) data is damaged or cut short")
            }
        }
    }

    private enum Step {
        /// A member or stream ended after this many bytes of input.
        case member(used: Int)
        case full
        case damaged
    }

    private func member(
        _ input: UnsafeRawBufferPointer, _ coding: ContentCoding, _ target: inout InflateTarget
    ) -> Step {
        guard let deflate else { return .damaged }
        var used = 0
        var result = LIBDEFLATE_BAD_DATA
        target.write { address, free in
            var written = 0
            result =
                coding == .gzip
                ? libdeflate_gzip_decompress_ex(
                    deflate, input.baseAddress, input.count, address, free, &used, &written)
                : libdeflate_zlib_decompress_ex(
                    deflate, input.baseAddress, input.count, address, free, &used, &written)
            return result == LIBDEFLATE_SUCCESS ? written : 0
        }
        switch result {
        case LIBDEFLATE_SUCCESS: return used > 0 ? .member(used: used) : .damaged
        case LIBDEFLATE_INSUFFICIENT_SPACE: return .full
        default: return .damaged
        }
    }

    /// Room to begin with: the length that the body tells when it is plausible, otherwise a multiple of the input.
    private func firstRoom(
        for input: UnsafeRawBufferPointer, _ coding: ContentCoding, sizeMax: Int
    ) throws(BodyFault) -> Int {
        let guess = max(Self.roomMin, input.count.multipliedReportingOverflow(by: Self.firstRatio).partialValue)
        switch coding {
        case .gzip where input.count >= 18:
            let hint = Int(UInt32(littleEndian: input.loadUnaligned(fromByteOffset: input.count - 4, as: UInt32.self)))
            let believed = input.count.multipliedReportingOverflow(by: Self.hintRatioMax).partialValue
            return hint > 0 && hint <= believed ? hint : guess
        case .snappy where !Snappy.isFramed(input):
            let length = try Snappy.declaredLength(input)
            guard length <= sizeMax else { throw .tooLarge(inflated: true) }
            return length
        default: return guess
        }
    }
}
