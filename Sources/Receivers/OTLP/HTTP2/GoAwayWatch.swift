import NIOCore
import NIOHTTP2

/// Sees whether the HTTP/2 library has given a connection up.
///
/// The library reports errors of one stream and of the whole connection alike, and only for the latter it writes a
/// GOAWAY with an error first (RFC 9113, 5.4.1). So what it writes is the one thing that tells them apart.
final class GoAwayWatch: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Place of the error code: behind the header and the last stream's number.
    private static let errorOffset = FrameHead.bytes + 4

    /// GOAWAY without an error, for streams of any number.
    private static let farewell: [UInt8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]

    private var context: ChannelHandlerContext?
    /// The error with which the connection was given up.
    private(set) var error: HTTP2ErrorCode?
    private var frames = WrittenFrames()
    /// What the library writes does not reach the client any more.
    private var isOver = false

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Tells the client to open no more streams (RFC 9113, 6.8). Past the library, which from its own GOAWAY on refuses
    /// the streams that cross it, and then gives the whole connection up. Not to be called within a write.
    func sendFarewell() {
        context?.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer(bytes: Self.farewell))), promise: nil)
    }

    /// Gives the connection up for a fault of ours, and lets nothing through that the library still writes. To be
    /// called when it has failed to write a frame, of which nothing came here.
    func endForOwnFault() {
        guard !isOver else { return }
        isOver = true
        error = .internalError
        var bytes = ByteBuffer(bytes: Self.farewell)
        bytes.setInteger(UInt32(HTTP2ErrorCode.internalError.networkCode), at: bytes.readerIndex + Self.errorOffset)
        context?.writeAndFlush(wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isOver else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        if case .byteBuffer(let bytes) = unwrapOutboundIn(data) { look(at: bytes) }
        context.write(data, promise: promise)
    }

    /// Looks at one buffer as the library hands it over.
    func look(at bytes: ByteBuffer) {
        guard let head = frames.head(of: bytes), head.isGoAway,
            let code: UInt32 = bytes.getInteger(at: bytes.readerIndex + Self.errorOffset)
        else { return }
        let error = HTTP2ErrorCode(networkCode: Int(code))
        if error != .noError { self.error = error }
    }
}
