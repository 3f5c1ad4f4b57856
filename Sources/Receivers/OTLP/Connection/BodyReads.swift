import NIOCore

/// Reads large bodies from the socket straight to where they are gathered, so that they are copied once less.
///
/// The parser, which only counts the bytes of a body, is told of as many zeros. Only for connections without TLS, whose
/// bytes on the socket are those of the requests; stands before everything else that looks at them. Bodies of unknown
/// length, those that fit one read, and heads are read the usual way.
final class BodyReads: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Buffers for heads while bodies are read here.
    static let headReadSize = 4 << 10
    private static let zeros = ByteBuffer(repeating: 0, count: BodyCollector.pieceMax)

    private let connection: OTLPConnection
    /// The present read's buffer.
    private var lastRead: ByteBuffer?
    /// Sizes of reads as they were before they became small.
    private var usualSizes: (any RecvByteBufferAllocator)?
    /// The channel reads into its buffer again, however large, unless somebody has it.
    private var heldBuffer: ByteBuffer?

    init(_ connection: OTLPConnection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastRead = unwrapInboundIn(data)
        context.fireChannelRead(data)
    }

    /// Everything that was read has gone through the parser: what is on the socket comes next.
    func channelReadComplete(context: ChannelHandlerContext) {
        setSizes(context)
        lastRead = nil
        if connection.readsBodyDirectly { readBody(context) }
        context.fireChannelReadComplete()
    }

    private func readBody(_ context: ChannelHandlerContext) {
        var left = BodyCollector.readAtOnce
        while left > 0, let taken = receive(context), taken.bytes > 0 {
            guard let zeros = Self.zeros.getSlice(at: 0, length: taken.bytes) else { return }
            context.fireChannelRead(wrapInboundOut(zeros))
            guard taken.mayBeMore else { return }
            left -= taken.bytes
        }
    }

    private func receive(_ context: ChannelHandlerContext) -> BodyCollector.Received? {
        guard connection.takesBody else { return nil }
        let operations = context.pipeline.syncOperations
        // A channel that was closed has none, nor has one of a test.
        return try? operations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            connection.collector?.receive(from: $0, ticket: connection.ticket)
        } ?? nil
    }

    /// With bodies to be read here the usual reads are small, so that they take little of these. A sender's requests
    /// are mostly of one kind, so it stays so between them.
    private func setSizes(_ context: ChannelHandlerContext) {
        let wanted =
            switch connection.phase {
            case .body: connection.current.declared ?? 0 > OTLPReceiver.readSizeMax
            case .idle, .waiting: connection.readsBodyDirectly
            case .skipping, .lingering: false
            }
        guard wanted != connection.readsBodyDirectly, let options = context.channel.syncOptions else { return }
        connection.readsBodyDirectly = wanted
        do {
            if wanted {
                usualSizes = try options.getOption(.recvAllocator)
                heldBuffer = lastRead
                let small = FixedSizeRecvByteBufferAllocator(capacity: Self.headReadSize)
                try options.setOption(.recvAllocator, value: small)
            } else {
                heldBuffer = nil
                if let usualSizes { try options.setOption(.recvAllocator, value: usualSizes) }
            }
        } catch {
            // Closed already.
        }
    }
}
