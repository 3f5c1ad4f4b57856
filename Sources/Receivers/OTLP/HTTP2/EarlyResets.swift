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

    func contains(_ number: UInt32) -> Bool { numbers.contains(number) }
}

/// Resets streams for the client while the library still knows them.
///
/// The library lets DATA pass that comes on a stream which it has reset, but ends the connection when trailers do
/// (swift-nio-http2 1.46). They may be under way when the client reads the reset, and their fields belong in the
/// table of HPACK, so they cannot be kept from it (RFC 9113, 5.1). So it learns of the reset later, from
/// `RequestStream`, and what it writes about the stream after that of which the client knows ends here.
final class EarlyResets: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    private var context: ChannelHandlerContext?
    private var frames = WrittenFrames()
    private var streams = RecentStreams()

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Not to be called within a write.
    func reset(_ number: UInt32, _ code: HTTP2ErrorCode) {
        guard let context else { return }
        streams.insert(number)
        var frame = ByteBuffer()
        frame.reserveCapacity(FrameHead.bytes + 4)
        frame.writeBytes([0, 0, 4, 3, 0])
        frame.writeInteger(number)
        frame.writeInteger(UInt32(code.networkCode))
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(frame)), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let bytes) = unwrapOutboundIn(data), let head = frames.head(of: bytes),
            head.isReset || head.isWindowUpdate, streams.contains(head.stream)
        {
            promise?.succeed(())
            return
        }
        context.write(data, promise: promise)
    }
}
