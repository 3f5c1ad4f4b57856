import NIOCore
import NIOHTTP2

/// Watches one HTTP/2 connection: its streams' time, idleness, age, signs of life, and its orderly end.
final class HTTP2Connection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// How long a client that was told to go may still open streams that cross the message, when it gives no sign that
    /// the message has come (RFC 9113, 6.8).
    static let goAwayPause: TimeAmount = .seconds(2)
    private static let pingData = HTTP2PingData(withInteger: 0x736C_7569_6365)
    /// Goes out behind the message; when it comes back, so has all that crossed it.
    private static let farewellData = HTTP2PingData(withInteger: 0x676F_2061_7761_7921)

    private let lifetime: HTTP2Lifetime
    private let period: TimeAmount
    private let readHeader: Duration
    /// Streams that the client was told it may have open at once.
    private let streamsMax: Int
    private let frames: WholeFrames
    private let watch: GoAwayWatch
    private let resets: EarlyResets
    private let cuts: CutLog
    /// The connection was ended for what its client sent.
    private var isCut = false
    /// It closes when the read that is under way has ended.
    private var isClosing = false
    private var context: ChannelHandlerContext?
    private var streams: [ObjectIdentifier: RequestStream] = [:]
    private var refused = RefusedStreams()
    /// Streams that are reset for the client but not for the library, in the order of their resets.
    private var held: [RequestStream] = []
    /// The last of those of which nothing is under way any more, most likely.
    private var kept: [RequestStream] = []
    private var tick: Scheduled<Void>?
    private let start: NIODeadline
    private var lastRead: NIODeadline
    private var idleSince: NIODeadline
    private var pinged: NIODeadline?
    private var leavingSince: NIODeadline?
    /// No streams are to come any more that were opened before the client knew that it is to go.
    private var hasAllStreams = false
    /// The client has ended its direction.
    private var isInputClosed = false
    /// The last look found nothing but answers that wait for a window, which cannot come any more.
    private var isStuck = false
    /// A whole request came on it, ever.
    var hasBroughtRequest = false
    /// Bytes of bodies since the last look.
    private var bodyBytes = 0

    /// `frames`, `watch` and `resets` stand between the library's handler and the socket.
    init(
        lifetime: HTTP2Lifetime, timeouts: ConnectionTimeouts, streamsMax: Int, frames: WholeFrames,
        watch: GoAwayWatch, resets: EarlyResets, cuts: CutLog, now: NIODeadline
    ) {
        self.lifetime = lifetime
        self.streamsMax = streamsMax
        self.frames = frames
        self.watch = watch
        self.resets = resets
        self.cuts = cuts
        readHeader = timeouts.readHeader
        period = ConnectionClock.period(timeouts)
        start = now
        lastRead = now
        idleSince = now
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        schedule()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        context = nil
        tick?.cancel()
        tick = nil
    }

    /// Frames of the connection itself.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .ping(Self.farewellData, ack: true) = unwrapInboundIn(data).payload, leavingSince != nil else {
            return
        }
        hasAllStreams = true
        closeWhenSent()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        lastRead = context.eventLoop.now
        pinged = nil
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent: leave()
        case is WholeFrames.NoRoom: giveUp(context, "there was no memory for a head that was not whole")
        case is RoomWanted:
            for stream in kept { stream.letGo() }
            let limit = RoomWanted.silenceMax(hasBroughtRequest: hasBroughtRequest)
            if streams.isEmpty, context.eventLoop.now - idleSince >= limit { leave() }
        case ChannelEvent.inputClosed:
            // What the client has sent whole is answered. The rest of other requests cannot come, and no window either.
            isInputClosed = true
            hasAllStreams = true
            for stream in streams.values { stream.inputClosed() }
            if streams.isEmpty { closeBehindRead(context) } else { leave() }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOHTTP2Errors.UnableToSerializeFrame {
            // The library writes a head in one frame alone, and what it has encoded is in its table already: the client
            // would take the body for one without a head, and understand no other head (swift-nio-http2 1.46).
            watch.endForOwnFault()
            tellCut(
                context, .internalError,
                "the headers of an answer are larger than one frame holds (16 KiB): shorten response_headers")
            return closeBehindRead(context)
        }
        // An error of the protocol without a GOAWAY concerns one stream, which the library has reset.
        if error is any NIOHTTP2Error, watch.error == nil { return }
        if let error = watch.error { tellCut(context, error) }
        closeBehindRead(context)
    }

    /// Closes when the read that is under way has ended: only with its end does the library let go of the streams that
    /// it brought, so that they would stay for ever (swift-nio-http2 1.46). `WholeFrames` ends reads that others cut.
    private func closeBehindRead(_ context: ChannelHandlerContext) {
        guard !isClosing else { return }
        isClosing = true
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { connection.value.context?.close(promise: nil) }
    }

    // MARK: Streams

    func opened(_ stream: RequestStream) { streams[ObjectIdentifier(stream)] = stream }

    /// Whether a stream that was opened is within what the client was told. If not, it is to be reset, and is none of
    /// the connection's any more.
    func mayStay(_ stream: RequestStream) -> Bool {
        guard streams.count > streamsMax else { return true }
        streams.removeValue(forKey: ObjectIdentifier(stream))
        if let context, refused.isOneTooMany(now: context.eventLoop.now) {
            giveUp(context, "more streams than may be open, again and again")
        }
        return false
    }

    /// Resets a stream for the client, which counts it no more, and lets the library know it a while longer.
    func resetEarly(_ stream: RequestStream, _ number: UInt32, _ code: HTTP2ErrorCode) {
        resets.reset(number, code)
        held.append(stream)
        if held.count > HTTP2Limits.resetsHeldMax { holdIsOver(held[0]) }
        noLongerOpen(stream)
    }

    /// The library may know that a stream is reset; the last few are kept from it, for trailers that come late.
    func holdIsOver(_ stream: RequestStream) {
        guard let place = held.firstIndex(where: { $0 === stream }) else { return }
        kept.append(held.remove(at: place))
        if kept.count > HTTP2Limits.resetsKeptMax { kept.removeFirst().letGo() }
    }

    /// Ends the connection of a client that floods, or for whose head there is no memory, with all that is open on it
    /// (RFC 9113, 10.5).
    private func giveUp(_ context: ChannelHandlerContext, _ why: String) {
        // The rest of what came in one read is still looked at.
        guard watch.error == nil else { return }
        tellCut(context, .enhanceYourCalm, why)
        let goAway = HTTP2Frame(
            streamID: .rootStream,
            payload: .goAway(lastStreamID: .maxID, errorCode: .enhanceYourCalm, opaqueData: nil))
        context.writeAndFlush(wrapOutboundOut(goAway), promise: nil)
        closeBehindRead(context)
    }

    private func tellCut(_ context: ChannelHandlerContext, _ error: HTTP2ErrorCode, _ why: String? = nil) {
        guard !isCut else { return }
        isCut = true
        cuts.cut(error, why: why, address: context.channel.remoteAddress, now: context.eventLoop.now)
    }

    /// Bytes of a body came on one of the streams.
    func received(_ bytes: Int) { bodyBytes += bytes }

    func closed(_ stream: RequestStream) {
        if let number = stream.resetNumber {
            resets.ended(number)
            held.removeAll { $0 === stream }
            kept.removeAll { $0 === stream }
        }
        noLongerOpen(stream)
    }

    private func noLongerOpen(_ stream: RequestStream) {
        guard streams.removeValue(forKey: ObjectIdentifier(stream)) != nil, streams.isEmpty, let context else { return }
        idleSince = context.eventLoop.now
        if mayClose(now: idleSince) { closeWhenSent() }
    }

    /// The client was told to go, nothing is open, and nothing that crossed the message is to come.
    private func mayClose(now: NIODeadline) -> Bool {
        guard let leavingSince, streams.isEmpty else { return false }
        return hasAllStreams || now - leavingSince >= Self.goAwayPause
    }

    /// Closes behind the answer that has just been written: the library tells of a stream's end before it sends that.
    private func closeWhenSent() {
        guard let context else { return }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { connection.value.closeIfIdle() }
    }

    private func closeIfIdle() { if streams.isEmpty { context?.close(promise: nil) } }

    // MARK: Time

    private func schedule() {
        guard let context else { return }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        tick = context.eventLoop.scheduleTask(in: period) { connection.value.check() }
    }

    private func check() {
        guard let context else { return }
        let now = context.eventLoop.now
        shareBytes(now)
        for stream in streams.values { stream.checkClock(now: now) }
        checkLife(context, now)
        schedule()
    }

    /// What came since the last look counts for all bodies that are on their way: a client that sends one after the
    /// other over a slow network is not slow.
    private func shareBytes(_ now: NIODeadline) {
        guard bodyBytes > 0 else { return }
        let open = streams.values.count { $0.phase == .body }
        for stream in streams.values where stream.phase == .body { stream.clock.received(bodyBytes / open, now: now) }
        bodyBytes = 0
    }

    private func checkLife(_ context: ChannelHandlerContext, _ now: NIODeadline) {
        if let heldSince = frames.heldSince, Self.isOver(readHeader, since: heldSince, now: now) {
            context.close(promise: nil)
        } else if let leavingSince {
            let isOver = Self.isOver(lifetime.ageGrace, since: leavingSince, now: now)
            if mayClose(now: now) || isOver || isStuckAgain() { context.close(promise: nil) }
        } else if streams.isEmpty, Self.isOver(lifetime.idle, since: idleSince, now: now) {
            leave()
        } else if Self.isOver(lifetime.age, since: start, now: now) {
            leave()
        } else if let pinged {
            if Self.isOver(lifetime.pingTimeout, since: pinged, now: now) { context.close(promise: nil) }
        } else if Self.isOver(lifetime.ping, since: lastRead, now: now) {
            pinged = now
            let ping = HTTP2Frame(streamID: .rootStream, payload: .ping(Self.pingData, ack: false))
            context.writeAndFlush(wrapOutboundOut(ping), promise: nil)
        }
    }

    /// Whether nothing is open but answers that wait for windows of a client that sends none, now and a look ago.
    private func isStuckAgain() -> Bool {
        let wasStuck = isStuck
        isStuck = isInputClosed && streams.values.allSatisfy { $0.phase == .answered }
        return isStuck && wasStuck
    }

    /// Tells the client to open no more streams; the connection closes behind those that are open, or come still.
    private func leave() {
        guard leavingSince == nil, let context else { return }
        leavingSince = context.eventLoop.now
        watch.sendFarewell()
        guard !isInputClosed else { return }
        let ping = HTTP2Frame(streamID: .rootStream, payload: .ping(Self.farewellData, ack: false))
        context.writeAndFlush(wrapOutboundOut(ping), promise: nil)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.goAwayPause) { connection.value.closeIfIdle() }
    }

    private static func isOver(_ limit: Duration, since start: NIODeadline, now: NIODeadline) -> Bool {
        limit > .zero && now - start >= TimeAmount(limit)
    }
}
