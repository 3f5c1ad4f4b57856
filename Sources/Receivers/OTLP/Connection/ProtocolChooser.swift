import NIOCore
import NIOTLS

/// Finds out what a new connection speaks, by ALPN or its first bytes, and makes the pipeline for that.
final class ProtocolChooser: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Choice {
        case http1
        case http2
    }

    /// What a client of HTTP/2 sends first (RFC 9113, 3.4).
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let timeout: Duration
    private let configure: (Choice, ChannelHandlerContext) throws -> Void
    private var held = ByteBuffer()
    private var isDecided = false
    private var deadline: Scheduled<Void>?
    private var start: NIODeadline?

    /// - Parameters:
    ///   - timeout: time until the first bytes must be there; zero for no limit.
    ///   - configure: adds the handlers behind this one. Runs once.
    init(timeout: Duration, configure: @escaping (Choice, ChannelHandlerContext) throws -> Void) {
        self.timeout = timeout
        self.configure = configure
    }

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { begin(context) } }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        start = start ?? context.eventLoop.now
        if deadline == nil, timeout > .zero {
            let channel = context.channel
            deadline = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) { channel.close(promise: nil) }
        }
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDecided else { return context.fireChannelRead(data) }
        var bytes = unwrapInboundIn(data)
        held.writeBuffer(&bytes)
        let count = min(held.readableBytes, Self.preface.count)
        if !held.readableBytesView.prefix(count).elementsEqual(Self.preface.prefix(count)) {
            decide(.http1, context)
        } else if count == Self.preface.count {
            decide(.http2, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard isDecided else { return context.read() }
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !isDecided {
            if let event = event as? TLSUserEvent, case .handshakeCompleted(let negotiated?) = event {
                decide(negotiated == "h2" ? .http2 : .http1, context)
            } else if event is ChannelShouldQuiesceEvent || event as? ChannelEvent == .inputClosed {
                return context.close(promise: nil)
            } else if event is RoomWanted, let start,
                context.eventLoop.now - start >= RoomWanted.silenceMax(hasBroughtRequest: false)
            {
                return context.close(promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A handshake that failed, for instance; there is nobody to explain to.
        guard isDecided else { return context.close(promise: nil) }
        context.fireErrorCaught(error)
    }

    private func decide(_ choice: Choice, _ context: ChannelHandlerContext) {
        isDecided = true
        deadline?.cancel()
        do {
            try configure(choice, context)
        } catch {
            return context.close(promise: nil)
        }
        if held.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(held))
            held = ByteBuffer()
        }
        // It would only pass on what comes from now on.
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
