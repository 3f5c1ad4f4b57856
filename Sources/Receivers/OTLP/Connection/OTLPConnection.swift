import NIOCore
import NIOHTTP1
import Pipeline

/// Serves one connection: takes the parts of requests from the HTTP parser and writes whole answers.
///
/// One request is handled at a time. While the pipeline works on one, or the client does not read its answers, nothing
/// is read from the socket; what the parser had already taken apart waits in `queue`. All of it runs on the
/// connection's event loop.
final class OTLPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between requests, or within a head that is not complete.
        case idle
        /// The body of an accepted head arrives.
        case body
        /// The pipeline has the request.
        case waiting
        /// The request is answered; the rest of its body is thrown away.
        case skipping
        /// The last answer is written; whatever still comes is thrown away until the client closes.
        case lingering
    }

    /// What the answer depends on besides the verdict.
    struct Current {
        var answerType: MediaType
        var keepsAlive = false
        var isOldHTTP = false
        var isHEAD = false
        var origin: String?
        var plan: RequestPlan?
        /// Bytes of the body as sent; nil when it is chunked.
        var declared: Int?
        /// A sender that waits for an interim answer may or may not send its body after a refusal.
        var mayHoldBody = false
    }

    /// Parts and heads that may wait behind a request; a client that pipelines more is cut off behind those.
    static let queuedPartsMax = 4096
    static let queuedHeadsMax = 256
    /// A refused body is read and thrown away up to this many bytes, so that the connection can go on.
    static let skippedBytesMax = 64 << 10

    let shared: ReceiverShared
    let resources: LoopResources
    let ticket: AdmissionTicket
    /// What the parser holds of the next head.
    let heldHead: HeldHead
    var context: ChannelHandlerContext?
    var phase = Phase.idle
    var clock: ConnectionClock
    var current = Current(answerType: .json)
    var collector: BodyCollector?
    /// Requests with the present head and another length come to the same.
    var isUsual = false
    /// Distinguishes the reply to the present request from one that comes too late.
    var replyNumber: UInt64 = 0
    /// Heads that were begun with.
    var headsBegun: UInt64 = 0
    var lingeredBytes = 0
    var hasInputClosed = false
    var isQuiescing = false
    var isHandling = false
    var pendingFailure: HTTPParserError?
    private var queue = CircularBuffer<HTTPServerRequestPart>(initialCapacity: 0)
    private var queuedHeads = 0
    /// The client pipelined more than may wait, and the rest was thrown away.
    private(set) var isOverflown = false
    private var tick: Scheduled<Void>?
    /// The client reads its answers; asking the channel goes through three objects.
    private var isWritable = true
    /// Most reads of the socket in one turn of the event loop.
    private var readsPerTurn: UInt = 1
    /// Whether the present read brought a whole part of a request.
    private(set) var readBroughtPart = false
    /// What the parser is reading now.
    var reading: ByteBuffer?
    /// Bodies are read by `BodyReads`.
    var readsBodyDirectly = false
    /// The head of the next request has begun to come while the present one waits.
    var hasBegunNext = false

    init(shared: ReceiverShared, resources: LoopResources, now: NIODeadline) {
        self.shared = shared
        self.resources = resources
        ticket = AdmissionTicket(budget: shared.budget)
        heldHead = HeldHead(budget: shared.budget)
        clock = ConnectionClock(shared.timeouts, now: now)
    }

    // MARK: Events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard tick == nil else { return }
        clock = ConnectionClock(shared.timeouts, now: context.eventLoop.now)
        scheduleTick(context)
        context.read()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    /// Lets go of everything; a request that was not complete is gone with it.
    private func end() {
        context = nil
        phase = .lingering
        tick?.cancel()
        tick = nil
        queue.removeAll()
        collector = nil
        ticket.release()
        heldHead.letGo()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        receive(unwrapInboundIn(data))
    }

    /// Takes the next part of a request.
    func receive(_ part: HTTPServerRequestPart) {
        readBroughtPart = true
        if phase == .lingering { return discard(part) }
        guard isBlocked || isHandling || !queue.isEmpty else {
            isHandling = true
            handle(part)
            isHandling = false
            return
        }
        enqueue(part)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Bytes came but no head: the request has begun, so its head has a deadline from now on.
        if !readBroughtPart, queue.isEmpty {
            if phase == .idle, clock.phase == .idle { clock.enter(.head, now: context.eventLoop.now) }
            hasBegunNext = phase == .waiting
        }
        readBroughtPart = false
        readIfWanted()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        clock.setStalled(!isWritable, now: context.eventLoop.now)
        drain()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            hasInputClosed = true
            if phase == .lingering { return close() }
            drain()
        case is ChannelShouldQuiesceEvent:
            isQuiescing = true
            drain()
        case is RoomWanted:
            let limit = RoomWanted.silenceMax(hasBroughtRequest: replyNumber > 0)
            if phase == .idle, clock.isSilent(for: limit, now: context.eventLoop.now) { close() }
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // The parser reports everything that follows a fault as a fault again.
        if phase == .lingering || pendingFailure != nil || error is ByteToMessageDecoderError { return }
        guard let failure = error as? HTTPParserError else { return close() }
        pendingFailure = failure
        drain()
    }

    // MARK: Order

    /// True while the next request must wait.
    private var isBlocked: Bool { phase == .waiting || !isWritable }

    /// True when a request that begins now is begun with at once.
    var canBegin: Bool { phase == .idle && !isBlocked && !isHandling && queue.isEmpty && pendingFailure == nil }

    /// Begins a request whose head is, but for the length of its body, one that was taken as `usual`.
    func begin(as usual: Current, length: Int) {
        readBroughtPart = true
        isHandling = true
        beginAgain(usual, length: length)
        isHandling = false
    }

    private func enqueue(_ part: HTTPServerRequestPart) {
        guard !isOverflown else { return }
        if case .head = part { queuedHeads += 1 }
        guard queue.count < Self.queuedPartsMax, queuedHeads <= Self.queuedHeadsMax else {
            isOverflown = true
            return
        }
        queue.append(part)
    }

    /// Goes on with what waits, after a reply or when the client reads again; acts on the end of the connection when
    /// nothing is left before it.
    func drain() {
        guard !isHandling else { return }
        isHandling = true
        while !isBlocked, phase != .lingering, let part = queue.popFirst() {
            if case .head = part { queuedHeads -= 1 }
            handle(part)
        }
        isHandling = false
        guard !isBlocked, phase != .lingering else { return }
        if let failure = pendingFailure { return fail(failure) }
        if isOverflown || hasInputClosed || (isQuiescing && phase == .idle) { return close() }
        readIfWanted()
    }

    /// One read stays open while a request waits for its reply: taking it back and asking again costs two system calls
    /// a request, and the end of the client is seen at once. What it brings ends the reading until the reply.
    private func readIfWanted() {
        guard let context, phase == .lingering || (queue.isEmpty && isWritable) else { return }
        setReadsPerTurn(context)
        context.read()
    }

    /// A large body is read to its end, as far as it is there, before other connections have their turn: its beginning
    /// is then still in the processor's cache. What follows a body is read once a turn, as everything else.
    private func setReadsPerTurn(_ context: ChannelHandlerContext) {
        let left = takesBody && !readsBodyDirectly ? collector?.left ?? 0 : 0
        let wanted = BodyCollector.reads(for: left)
        guard wanted != readsPerTurn else { return }
        readsPerTurn = wanted
        try? context.channel.syncOptions?.setOption(.maxMessagesPerRead, value: wanted)
    }

    /// True while what comes is of the body that is gathered.
    var takesBody: Bool { phase == .body && queue.isEmpty }

    /// True when requests wait behind the present one.
    var hasQueued: Bool { !queue.isEmpty }

    /// Throws away what comes on a connection that was answered for the last time.
    private func discard(_ part: HTTPServerRequestPart) {
        guard case .body(let bytes) = part, let context else { return }
        clock.received(bytes.readableBytes, now: context.eventLoop.now)
        lingeredBytes += bytes.readableBytes
        if lingeredBytes > shared.check.bodySizeMax { close() }
    }

    /// Stops serving: no answer follows any more.
    func linger() {
        phase = .lingering
        queue.removeAll()
        if let context { clock.enter(.linger, now: context.eventLoop.now) }
    }

    func close() {
        phase = .lingering
        // What was answered in this turn goes out first.
        context?.flush()
        context?.close(promise: nil)
    }

    // MARK: Time

    private func scheduleTick(_ context: ChannelHandlerContext) {
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        tick = context.eventLoop.scheduleTask(in: ConnectionClock.period(shared.timeouts)) {
            connection.value.checkClock()
        }
    }

    private func checkClock() {
        guard let context else { return }
        if let expiry = clock.expiry(now: context.eventLoop.now, claim: ticket.claim) { expired(expiry) }
        if self.context != nil { scheduleTick(context) }
    }
}
