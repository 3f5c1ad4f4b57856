import NIOCore
import NIOHPACK
import NIOHTTP2
import Pipeline

/// One request on a stream of an HTTP/2 connection: gathers its body within cap, budget and time, and writes the
/// answer. What a head means and how an answer looks is up to `HTTPStream` and `GRPCStream`.
///
/// Runs on the connection's event loop.
class RequestStream: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    enum Phase {
        case head
        /// The body of an accepted head arrives.
        case body
        /// The pipeline has the request.
        case waiting
        /// Nothing that still comes counts.
        case answered
    }

    /// What a stream reserves besides its body until it ends, about the memory that its head and handlers take: heads
    /// without bodies, and answers that wait for the client's window, are within the budget too.
    static let ownBytes = 4 << 10

    /// Time between an answer and the reset of a request that is not whole.
    private static let resetPause: TimeAmount = .milliseconds(100)

    let resources: LoopResources
    let ticket: AdmissionTicket
    private let connection: HTTP2Connection
    private(set) var context: ChannelHandlerContext?
    var phase = Phase.head
    var clock: ConnectionClock
    var collector: BodyCollector?
    /// The client has sent all of the request.
    private var isWhole = false
    private var hasHead = false
    private var isRefused = false
    /// Tells the library of a reset of which the client knows already.
    private var resetHold: Scheduled<Void>?
    /// The stream's number, once it is reset for the client.
    private(set) var resetNumber: UInt32?
    /// Fulfilled when the end of the answer has left for the socket.
    private var answerSent: EventLoopPromise<Void>?

    init(
        budget: AdmissionBudget, timeouts: ConnectionTimeouts, resources: LoopResources, connection: HTTP2Connection,
        now: NIODeadline
    ) {
        self.resources = resources
        self.connection = connection
        ticket = AdmissionTicket(budget: budget)
        clock = ConnectionClock(timeouts, now: now)
    }

    // MARK: For the protocols

    /// The client has more streams open than it was told that it may: this one is reset.
    func tooMany() {}
    /// There is no memory for another stream.
    func refused(_ fault: BodyFault) {}
    /// The head came; `isWhole` when nothing follows it.
    func begin(_ headers: HPACKHeaders, isWhole: Bool) {}
    /// Bytes of the body came while it was waited for.
    func take(_ bytes: ByteBuffer) {}
    /// The body ended while it was waited for.
    func complete() {}
    /// The pipeline's reply.
    func replied(_ reply: IngestReply) {}
    /// The request took too long.
    func expired(_ expiry: ConnectionClock.Expiry) {}
    /// The stream is gone.
    func ended() {}

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    /// Lets go of everything; a request that was not complete is gone with it.
    private func end() {
        guard context != nil else { return }
        context = nil
        resetHold?.cancel()
        resetHold = nil
        answerSent = nil
        phase = .answered
        release()
        connection.closed(self)
        ended()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    /// The client sends nothing more: a request that is not whole is gone.
    func inputClosed() { if !isWhole { context?.close(promise: nil) } }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let frame):
            isWhole = frame.endStream
            if !hasHead {
                hasHead = true
                guard connection.mayStay(self) else { return refuseStream() }
                clock.enter(.body, now: context.eventLoop.now)
                if let fault = BodyFault(ticket.grow(by: Self.ownBytes)) { return refused(fault) }
                begin(frame.headers, isWhole: isWhole)
            } else if isWhole, phase == .body {
                complete()
            }
        case .data(let frame):
            isWhole = frame.endStream
            guard case .byteBuffer(let bytes) = frame.data else { return }
            connection.received(bytes.readableBytes)
            if phase == .body { take(bytes) }
            if isWhole, phase == .body { complete() }
        default: break
        }
        // Nothing is under way any more.
        if isWhole, isRefused, resetHold != nil { letGo() }
    }

    /// Resets the stream, so that the client tries again when it has fewer open (RFC 9113, 5.1.2 and 8.7).
    private func refuseStream() {
        phase = .answered
        isRefused = true
        tooMany()
        reset(.refusedStream)
    }

    /// Resets the stream: at once for the client, and for the library when nothing more can come on it, since trailers
    /// that come later would end the connection. When there is no memory for that, at once for both.
    private func reset(_ code: HTTP2ErrorCode) {
        guard let context else { return }
        guard !isWhole, let number = try? context.channel.syncOptions?.getOption(HTTP2StreamChannelOptions.streamID),
            ticket.held > 0 || ticket.grow(by: Self.ownBytes) == .granted
        else {
            context.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: nil)
            return
        }
        let stream = NIOLoopBound(self, eventLoop: context.eventLoop)
        resetHold = context.eventLoop.scheduleTask(in: HTTP2Limits.resetHold) { stream.value.holdIsOver() }
        resetNumber = UInt32(Int(number))
        connection.resetEarly(self, UInt32(Int(number)), code)
    }

    /// The reset has reached the client. What few streams are kept beyond that counts as part of the connection.
    private func holdIsOver() {
        ticket.release()
        connection.holdIsOver(self)
    }

    /// Lets the library reset the stream, of which the client learns nothing new.
    func letGo() {
        guard let context else { return }
        resetHold?.cancel()
        resetHold = nil
        context.writeAndFlush(wrapOutboundOut(.rstStream(isRefused ? .refusedStream : .noError)), promise: nil)
    }

    func checkClock(now: NIODeadline) {
        guard let expiry = clock.expiry(now: now, claim: ticket.claim) else { return }
        switch expiry {
        case .body, .reply: expired(expiry)
        case .write: context?.close(promise: nil)
        case .head, .idle, .linger: break
        }
    }

    // MARK: Work

    /// Hands the whole body to the pipeline.
    func handOn(_ intake: RequestIntake, _ request: RequestIntake.Request) throws(RequestIntake.Fault) {
        guard let collector, let context else { return }
        self.collector = nil
        phase = .waiting
        let loop = context.eventLoop
        clock.enter(.reply, now: loop.now)
        connection.hasBroughtRequest = true
        let stream = NIOLoopBound(self, eventLoop: loop)
        try intake.take(collector.finish(), request, ticket: ticket, resources: resources) { reply in
            if loop.inEventLoop {
                stream.value.settle(reply)
            } else {
                loop.execute { stream.value.settle(reply) }
            }
        }
    }

    /// Passes a reply on unless the request was given up meanwhile.
    private func settle(_ reply: IngestReply) { if phase == .waiting { replied(reply) } }

    func write(_ headers: HPACKHeaders, ends: Bool = false) {
        context?.write(
            wrapOutboundOut(.headers(.init(headers: headers, endStream: ends))), promise: ends ? promiseSent() : nil)
    }

    func write(_ bytes: ByteBuffer, ends: Bool) {
        context?.write(
            wrapOutboundOut(.data(.init(data: .byteBuffer(bytes), endStream: ends))),
            promise: ends ? promiseSent() : nil)
    }

    /// A promise for the write that ends the answer, when something is to follow it.
    private func promiseSent() -> EventLoopPromise<Void>? {
        guard !isWhole else { return nil }
        answerSent = context?.eventLoop.makePromise(of: Void.self)
        return answerSent
    }

    func flush() { context?.flush() }

    /// Sends what was written, the last of it an end of the stream, and takes no more of the request.
    func finish() {
        guard let context else { return }
        phase = .answered
        release(keeping: Self.ownBytes)
        let now = context.eventLoop.now
        clock.enter(.idle, now: now)
        clock.setStalled(true, now: now)
        if let answerSent {
            self.answerSent = nil
            let stream = NIOLoopBound(self, eventLoop: context.eventLoop)
            answerSent.futureResult.whenSuccess { stream.value.cutRequest() }
        }
        context.flush()
    }

    /// The answer is whole, so the rest of the request is not wanted (RFC 9113, 8.1). Said no earlier: a reset drops
    /// what of the answer is still on its way to the socket, or waits for the client's window. And a moment later,
    /// since clients on libcurl 7.88 lose an answer that the reset comes together with.
    private func cutRequest() {
        guard !isWhole, let context else { return }
        let stream = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.resetPause) { stream.value.cutNow() }
    }

    private func cutNow() { if !isWhole { reset(.noError) } }

    private func release(keeping kept: Int = 0) {
        collector = nil
        ticket.release(keeping: kept)
    }
}
