import CDeflate
import NIOCore

/// Inflates whole request bodies with libdeflate. One per event loop; not safe to share between threads.
///
/// libdeflate decodes one gzip member per call into memory of a given size and stops when it is full. So the size cap
/// is the capacity that is offered, and a member that did not fit is decoded again with more room. The room grows from
/// a multiple of the bytes that were received, never from a length that the sender wrote.
final class Inflater {
    /// Members of one gzip body (RFC 1952, 2.2); more are refused, since each may be 20 bytes that yield nothing.
    static let membersMax = 10_000
    /// First room, in bytes for each byte received.
    static let firstRatio = 8
    /// The length in the gzip trailer is believed up to this many bytes for each byte received.
    static let hintRatioMax = 32
    static let roomMin = 16 << 10
    static let growth = 4

    private let decompressor: OpaquePointer?

    init() { decompressor = libdeflate_alloc_decompressor() }

    deinit {
        if let decompressor { libdeflate_free_decompressor(decompressor) }
    }

    /// Inflates `input` into a buffer of `resources`, at most `sizeMax` bytes. What the buffer takes is reserved with
    /// `ticket` first.
    func inflate(
        _ input: UnsafeRawBufferPointer, coding: ContentCoding, sizeMax: Int, ticket: AdmissionTicket,
        resources: LoopResources
    ) throws(BodyFault) -> ByteBuffer {
        guard decompressor != nil else { throw .overBudget }
        guard !input.isEmpty else { throw .corrupt("the body is empty, which is no \(coding.name) stream") }
        var room = min(sizeMax, firstRoom(for: input, coding))
        if let fault = BodyFault(ticket.grow(by: room)) { throw fault }
        var output = resources.takeBuffer(capacity: room)
        var isDone = false
        defer { if !isDone { resources.give(output) } }
        var consumed = 0
        var members = 0
        while consumed < input.count {
            let rest = UnsafeRawBufferPointer(rebasing: input[consumed...])
            let free = room - output.readableBytes
            let step = decode(rest, coding, into: &output, room: free)
            switch step {
            case .member(let used):
                consumed += used
                members += 1
                guard members <= Self.membersMax else { throw .corrupt("more than \(Self.membersMax) gzip members") }
                guard coding == .gzip || consumed == input.count else {
                    throw .corrupt("\(input.count - consumed) bytes follow the \(coding.name) stream")
                }
            case .full:
                guard room < sizeMax else { throw .tooLarge(inflated: true) }
                let (grown, overflows) = room.multipliedReportingOverflow(by: Self.growth)
                let next = overflows ? sizeMax : min(sizeMax, grown)
                if let fault = BodyFault(ticket.grow(by: next - room)) { throw fault }
                room = next
                output.reserveCapacity(room)
            case .damaged:
                throw .corrupt("the \(coding.name) data is damaged or cut short")
            }
        }
        isDone = true
        return output
    }

    private enum Step {
        /// A member or stream ended after this many bytes of input.
        case member(used: Int)
        case full
        case damaged
    }

    /// Decodes one member behind what `output` holds, into at most `room` bytes.
    private func decode(
        _ input: UnsafeRawBufferPointer, _ coding: ContentCoding, into output: inout ByteBuffer, room: Int
    ) -> Step {
        var used = 0
        var written = 0
        var result = LIBDEFLATE_BAD_DATA
        // At least one byte, since a zero-length target would have no address.
        output.writeWithUnsafeMutableBytes(minimumWritableBytes: max(room, 1)) { target in
            switch coding {
            case .gzip:
                result = libdeflate_gzip_decompress_ex(
                    decompressor, input.baseAddress, input.count, target.baseAddress, room, &used, &written)
            case .zlib:
                result = libdeflate_zlib_decompress_ex(
                    decompressor, input.baseAddress, input.count, target.baseAddress, room, &used, &written)
            case .identity:
                break
            }
            return result == LIBDEFLATE_SUCCESS ? min(written, room) : 0
        }
        switch result {
        case LIBDEFLATE_SUCCESS: return used > 0 ? .member(used: used) : .damaged
        case LIBDEFLATE_INSUFFICIENT_SPACE: return .full
        default: return .damaged
        }
    }

    /// Room to begin with: the length in the trailer when it is plausible, otherwise a multiple of the input.
    private func firstRoom(for input: UnsafeRawBufferPointer, _ coding: ContentCoding) -> Int {
        let guess = max(Self.roomMin, input.count.multipliedReportingOverflow(by: Self.firstRatio).partialValue)
        guard coding == .gzip, input.count >= 18 else { return guess }
        let hint = Int(UInt32(littleEndian: input.loadUnaligned(fromByteOffset: input.count - 4, as: UInt32.self)))
        let believed = input.count.multipliedReportingOverflow(by: Self.hintRatioMax).partialValue
        return hint > 0 && hint <= believed ? hint : guess
    }
}
