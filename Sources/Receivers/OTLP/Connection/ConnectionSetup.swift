import NIOCore
import NIOHTTP1
import NIOHTTP2
import NIOSSL

/// What a listener serves, and how a connection that it took is set up for that.
struct ConnectionSetup: Sendable {
    enum Service: Sendable {
        case http(ReceiverShared)
        case grpc(GRPCShared)
    }

    let service: Service
    let tls: TLSContexts?
    /// Time until a new connection must have shown what it speaks; zero for no limit.
    let startTimeout: Duration
    let lifetime: HTTP2Lifetime
    let streamsMax: Int
    let cuts: CutLog
    let resources: [ObjectIdentifier: NIOLoopBoundBox<LoopResources>]

    /// Protocols to offer by ALPN.
    static func protocols(_ service: Service) -> [String] {
        switch service {
        case .http: ["h2", "http/1.1"]
        case .grpc: ["h2"]
        }
    }

    /// Adds the handlers of a new connection. Runs on its event loop.
    func configure(_ channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        let now = channel.eventLoop.now
        if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls.current(now: now))) }
        let resources = resources[ObjectIdentifier(channel.eventLoop)]?.value ?? LoopResources(of: channel.eventLoop)
        try pipeline.addHandler(
            ProtocolChooser(timeout: startTimeout) { choice, context in
                switch (choice, service) {
                case (.http2, _): try configureHTTP2(context, resources)
                case (.http1, .http(let shared)):
                    try Self.configureHTTP1(
                        context.pipeline.syncOperations, shared, resources, hasPlainSocket: tls == nil,
                        context.eventLoop.now)
                case (.http1, .grpc):
                    try context.pipeline.syncOperations.addHandler(
                        NoticeHandler(answer: Self.wrongPort(date: resources.dateText)))
                }
            })
    }

    /// Adds the parser of HTTP/1.1 and the connection's handler. With a plain socket, whose bytes are those of HTTP,
    /// large bodies are read past the parser.
    static func configureHTTP1(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ shared: ReceiverShared, _ resources: LoopResources,
        hasPlainSocket: Bool, _ now: NIODeadline
    ) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = OTLPReceiver.headerFieldSizeMax
        limits.maxHeaderListSize = OTLPReceiver.headerListSizeMax
        limits.maxHeaderFieldCount = OTLPReceiver.headerCountMax
        let connection = OTLPConnection(shared: shared, resources: resources, now: now)
        if hasPlainSocket { try pipeline.addHandler(BodyReads(connection)) }
        try pipeline.addHandler(ParserGate(connection))
        try pipeline.addHandler(
            ByteToMessageHandler(
                HTTPRequestDecoder(
                    leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop,
                    limitConfiguration: limits)))
        try pipeline.addHandler(connection)
    }

    private func configureHTTP2(_ context: ChannelHandlerContext, _ resources: LoopResources) throws {
        let loop = context.eventLoop
        let (timeouts, budget) =
            switch service {
            case .http(let shared): (shared.timeouts, shared.budget)
            case .grpc(let shared): (shared.timeouts, shared.budget)
            }
        let (frames, watch) = (WholeFrames(budget: budget), GoAwayWatch())
        let resets = EarlyResets(incoming: frames)
        let connection = HTTP2Connection(
            lifetime: lifetime, timeouts: timeouts, streamsMax: streamsMax, frames: frames, watch: watch,
            resets: resets, cuts: cuts, now: loop.now)
        let parts = NIOLoopBound((connection, resources), eventLoop: loop)
        let service = service
        // Windows hold a sender back; the frames that carry them must always be read.
        try context.channel.syncOptions?.setOption(.autoRead, value: true)
        try context.channel.syncOptions?.setOption(
            .recvAllocator,
            value: AdaptiveRecvByteBufferAllocator(
                minimum: 1 << 10, initial: 4 << 10, maximum: HTTP2Limits.readSizeMax))
        try context.pipeline.syncOperations.addHandler(frames)
        try context.pipeline.syncOperations.addHandler(watch)
        try context.pipeline.syncOperations.addHandler(resets)
        try context.pipeline.syncOperations.addHandler(OwnSettings(told: HTTP2Limits.told(streamsMax: streamsMax)))
        _ = try context.pipeline.syncOperations.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: HTTP2Limits.connection(streamsMax: streamsMax),
            streamConfiguration: HTTP2Limits.stream
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                let (connection, resources) = parts.value
                let now = channel.eventLoop.now
                switch service {
                case .http(let shared):
                    try channel.pipeline.syncOperations.addHandler(
                        HTTPStream(shared: shared, resources: resources, connection: connection, now: now))
                case .grpc(let shared):
                    try channel.pipeline.syncOperations.addHandler(
                        GRPCStream(shared: shared, resources: resources, connection: connection, now: now))
                }
            }
        }
        try context.pipeline.syncOperations.addHandler(connection)
    }

    private static func wrongPort(date: String) -> ByteBuffer {
        let refusal = Refusal(
            status: .badRequest, reason: .malformed,
            message: "this port takes OTLP over gRPC; post OTLP/HTTP to the port of protocols.http (4318)")
        return AnswerEncoder().encode(.refusal(refusal, .json), AnswerEncoder.Context(closes: true), date: date)
    }
}
