import NIOCore
import NIOHTTP2

/// The streams that were reset last. A value without effects.
struct RecentStreams {
    /// More than are reset for the client and still known to the library.
    static let most = 1_024

    private var numbers: Set<UInt32> = []
    private var order = CircularBuffer<UInt32>()

    mutating func insert(_ number: UInt32) {
        guard numbers.insert(number).inserted else { return }
        order.append(number)
        if order.count > Self.most { numbers.remove(order.removeFirst()) }
    }

    var isEmpty: Bool { numbers.isEmpty }

    func contains(_ number: UInt32) -> Bool { numbers.contains(number) }
}

/// Resets streams for the client while the library still knows them.
///
/// The library lets DATA pass that comes on a stream which it has reset, but ends the connection when trailers do
/// (swift-nio-http2 1.46). They may be under way when the client reads the reset, and their fields belong in the
/// table of HPACK, so they cannot be kept from it (RFC 9113, 5.1). So it learns of the reset later, from
/// `RequestStream`, and what it writes about the stream after that of which the client knows ends here.
///
/// Trailers that come later still are handed to it as those of another stream that it does not know to be reset, with
/// no end: it reads their fields, resets that stream, and counts a fault of a stream (`HTTP2Limits.errorsMax`).
final class EarlyResets: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private let incoming: WholeFrames
    private var context: ChannelHandlerContext?
    private var frames = WrittenFrames()
    /// Streams that were reset, whoever did it.
    private var streams = RecentStreams()
    /// Those of them that the library does not know to be reset, in the order of their resets.
    private var open: [UInt32] = []

    /// `incoming` stands before this handler.
    init(incoming: WholeFrames) { self.incoming = incoming }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Not to be called within a write.
    func reset(_ number: UInt32, _ code: HTTP2ErrorCode) {
        guard let context else { return }
        streams.insert(number)
        open.append(number)
        var frame = ByteBuffer()
        frame.reserveCapacity(FrameHead.bytes + 4)
        frame.writeBytes([0, 0, 4, 3, 0])
        frame.writeInteger(number)
        frame.writeInteger(UInt32(code.networkCode))
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(frame)), promise: nil)
    }

    /// A stream that was reset here has ended for the library too, or is about to.
    func ended(_ number: UInt32) { open.removeAll { $0 == number } }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let bytes) = unwrapOutboundIn(data), let head = frames.head(of: bytes),
            head.isReset || head.isWindowUpdate
        {
            let isTold = streams.contains(head.stream) || open.contains(head.stream)
            if head.isReset {
                streams.insert(head.stream)
                ended(head.stream)
            }
            if isTold {
                promise?.succeed(())
                return
            }
        }
        context.write(data, promise: promise)
    }

    // MARK: Trailers that come late

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !streams.isEmpty else { return context.fireChannelRead(data) }
        var piece = unwrapInboundIn(data)
        var place = incoming.carriedBytes
        while let head = FrameHead(piece, at: place) {
            guard isLate(head) else {
                if head.endsStream || head.isReset { ended(head.stream) }
                place += FrameHead.bytes + head.length
                continue
            }
            guard place == 0 else {
                // What is in front of it may change what streams there are.
                let before = piece.readSlice(length: place)
                place = 0
                if let before { context.fireChannelRead(wrapInboundOut(before)) }
                if self.context == nil { return }
                continue
            }
            // The library resets the one that has them.
            place = LateTrailers.redirect(&piece, to: open.removeFirst())
        }
        if piece.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(piece)) }
    }

    /// Whether these are trailers of a stream that the library knows to be reset, and another one can have them.
    private func isLate(_ head: FrameHead) -> Bool {
        head.isHeaders && !open.isEmpty && streams.contains(head.stream) && !open.contains(head.stream)
    }
}

/// Trailers on a stream that has ended.
enum LateTrailers {
    /// Makes the frames of the head at the front of `piece` those of another stream, which they do not end. Gives the
    /// place behind them.
    static func redirect(_ piece: inout ByteBuffer, to number: UInt32) -> Int {
        var place = 0
        while let head = FrameHead(piece, at: place), place == 0 || head.isContinuation {
            let start = piece.readerIndex + place
            piece.setInteger(number, at: start + FrameHead.streamOffset)
            if place == 0, let flags: UInt8 = piece.getInteger(at: start + FrameHead.flagsOffset) {
                // Without END_STREAM.
                piece.setInteger(flags & ~1, at: start + FrameHead.flagsOffset)
            }
            place += FrameHead.bytes + head.length
            if head.endsBlock { break }
        }
        return place
    }
}
