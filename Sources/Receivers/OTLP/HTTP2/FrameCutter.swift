import NIOCore

/// Cuts what comes on an HTTP/2 connection where the library's decoder is left without a rest: between frames, between
/// the blocks of a head and what follows it, and within the payload of a DATA frame without padding.
///
/// The decoder keeps what it has not used behind what it has, and takes the room back only when nothing is left over.
/// A client whose reads always ended within a head, in padding or before a CONTINUATION made its buffer as large as all
/// that the connection had brought, up to a trap at 4 GiB (swift-nio-http2 1.46). A value without effects.
struct FrameCutter {
    /// Bytes that go on as they are: the rest of a DATA frame, or of the client's preface.
    private(set) var passing = ProtocolChooser.preface.count
    /// What came is against the protocol: the library sees it, and ends the connection.
    private var isBroken = false
    /// The beginning of a frame, or of a head with its continuations.
    private var held = ByteBuffer()

    /// Bytes that are held back.
    var heldBytes: Int { held.readableBytes }
    var isHolding: Bool { heldBytes > 0 }

    /// What of the bytes that came so far can be handed on now; nil when all is held back.
    mutating func cut(_ read: ByteBuffer) -> ByteBuffer? {
        var bytes = read
        let isContinued = isHolding
        if isContinued {
            held.writeBuffer(&bytes)
            bytes = held
            held = ByteBuffer()
        }
        let end = wholeBytes(of: bytes)
        guard end < bytes.readableBytes else { return bytes }
        let piece = end > 0 ? bytes.readSlice(length: end) : nil
        if isContinued && piece == nil {
            held = bytes
        } else {
            // A copy, so that the memory of the read is not kept.
            held.writeBuffer(&bytes)
        }
        return piece
    }

    /// How many of `bytes`, from their front, can be handed on.
    private mutating func wholeBytes(of bytes: ByteBuffer) -> Int {
        let count = bytes.readableBytes
        if isBroken { return count }
        var end = min(passing, count)
        passing -= end
        while let frame = FrameHead(bytes, at: end) {
            switch extent(of: frame, at: end, in: bytes) {
            case .whole(let next): end = next
            case .unfinished: return end
            case .part(let rest):
                passing = rest
                return count
            case .broken:
                isBroken = true
                return count
            }
        }
        return end
    }

    private enum Extent {
        /// It ends here, with what belongs to it.
        case whole(Int)
        /// The rest of a DATA frame, of which so many bytes are missing, can be handed on.
        case part(rest: Int)
        case unfinished
        case broken
    }

    private func extent(of frame: FrameHead, at start: Int, in bytes: ByteBuffer) -> Extent {
        let count = bytes.readableBytes
        var next = start + FrameHead.bytes + frame.length
        if frame.isTooLarge { return .broken }
        if frame.beginsBlock {
            var continuations = 0
            var last = frame
            while !last.endsBlock {
                guard let more = FrameHead(bytes, at: next) else { return .unfinished }
                continuations += 1
                // The library refuses the same by the heads of the frames, before what they bring is there.
                guard more.isContinuation, !more.isTooLarge, continuations <= HTTP2Limits.continuationsMax else {
                    return .broken
                }
                next += FrameHead.bytes + more.length
                last = more
            }
        }
        if next <= count { return .whole(next) }
        let hasPayload = count > start + FrameHead.bytes
        return frame.isPlainData && hasPayload ? .part(rest: next - count) : .unfinished
    }
}

/// Stands before the library's handler and hands it what `FrameCutter` cuts.
///
/// What is held back is within the budget, as `HeldHead` says; where there is no room for it any more, `NoRoom` goes to
/// the connection's handler, and nothing more is handed on.
final class WholeFrames: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// There is no memory for the rest of a head.
    struct NoRoom {}

    private var cutter = FrameCutter()
    private let held: HeldHead
    private var hasEnded = false
    /// Something was handed on in a read that has not ended.
    private var isReading = false
    /// Since when the beginning of a frame or head waits for its rest; nil when none does.
    private(set) var heldSince: NIODeadline?
    /// How many bytes at the front of the piece that is handed on belong to a frame that began in one before it.
    private(set) var carriedBytes = 0

    init(budget: AdmissionBudget) { held = HeldHead(budget: budget) }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    private func end() {
        hasEnded = true
        cutter = FrameCutter()
        heldSince = nil
        held.letGo()
    }

    /// A read that the end of the connection cut off, as TLS does when a record is damaged, ends first: the library
    /// would keep the streams that it brought.
    func channelInactive(context: ChannelHandlerContext) {
        if isReading { channelReadComplete(context: context) }
        context.fireChannelInactive()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.fireChannelReadComplete()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasEnded else { return }
        isReading = true
        carriedBytes = cutter.passing
        let piece = cutter.cut(unwrapInboundIn(data))
        if !cutter.isHolding {
            heldSince = nil
        } else if piece != nil || heldSince == nil {
            heldSince = context.eventLoop.now
        }
        let hasRoom = held.hold(cutter.heldBytes)
        if let piece { context.fireChannelRead(wrapInboundOut(piece)) }
        guard !hasRoom else { return }
        end()
        context.fireUserInboundEventTriggered(NoRoom())
    }
}
