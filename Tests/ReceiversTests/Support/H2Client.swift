import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization

/// What came back on one stream.
struct H2Answer: Sendable {
    var heads: [HPACKHeaders] = []
    var body: [UInt8] = []
    /// The stream ended before the answer did.
    var isCut = false

    /// A header of the last head: the trailers when there are some.
    subscript(name: String) -> String? { heads.last?.first(name: name) }

    var status: Int { heads.first?.first(name: ":status").flatMap { Int($0) } ?? 0 }
    var text: String { String(decoding: body, as: UTF8.self) }
    var grpcStatus: Int { self["grpc-status"].flatMap { Int($0) } ?? -1 }
    var grpcMessage: String { self["grpc-message"] ?? "" }
}

/// An HTTP/2 client on a connection of its own.
struct H2Client: Sendable {
    let channel: any Channel
    private let multiplexer: NIOHTTP2Handler.StreamMultiplexer

    /// Connects to a loopback port, with TLS when a configuration is given.
    static func connect(port: Int, tls: TLSConfiguration? = nil) async throws -> H2Client {
        let context = try tls.map { try NIOSSLContext(configuration: $0) }
        // All handlers before the first byte: the server's settings may come with the end of the handshake.
        let (channel, multiplexer) = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: "localhost"))
                    }
                    let multiplexer = try channel.pipeline.syncOperations.configureHTTP2Pipeline(
                        mode: .client, connectionConfiguration: .init(), streamConfiguration: .init()
                    ) { $0.eventLoop.makeSucceededVoidFuture() }
                    return (channel, multiplexer)
                }
            }
        return H2Client(channel: channel, multiplexer: multiplexer)
    }

    func close() async { try? await channel.close() }

    /// Opens a stream.
    func open() async throws -> H2Stream {
        let box = NIOLockedAnswer()
        let done = channel.eventLoop.makePromise(of: H2Answer.self)
        let made = channel.eventLoop.makePromise(of: (any Channel).self)
        multiplexer.createStreamChannel(promise: made) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(Gatherer(box: box, done: done))
            }
        }
        do {
            return H2Stream(channel: try await made.futureResult.get(), done: done)
        } catch {
            done.fail(error)
            throw error
        }
    }

    /// Sends a whole request and waits for its answer.
    func request(_ headers: HPACKHeaders, _ body: [UInt8] = []) async throws -> H2Answer {
        let stream = try await open()
        stream.send(headers, ends: body.isEmpty)
        if !body.isEmpty { stream.send(body, ends: true) }
        return try await stream.answer()
    }
}

/// One stream of a client. What the client itself cannot send, such as a head that is malformed, fails the answer.
struct H2Stream: Sendable {
    /// Time after which nobody waits for an answer any more.
    static let patience = TimeAmount.seconds(120)

    let channel: any Channel
    fileprivate let done: EventLoopPromise<H2Answer>

    /// The answer; fails after `patience`, so that no test waits for ever.
    func answer() async throws -> H2Answer {
        let done = done
        let limit = channel.eventLoop.scheduleTask(in: Self.patience) {
            done.fail(RawClient.Failure(what: "no answer on a stream within \(Self.patience)"))
        }
        defer { limit.cancel() }
        return try await done.futureResult.get()
    }

    func send(_ headers: HPACKHeaders, ends: Bool = false) {
        write(.headers(.init(headers: headers, endStream: ends)))
    }

    func send(_ bytes: [UInt8], ends: Bool) {
        // The server may end the stream before all of the body is sent.
        channel.writeAndFlush(
            HTTP2Frame.FramePayload.data(.init(data: .byteBuffer(ByteBuffer(bytes: bytes)), endStream: ends)),
            promise: nil)
    }

    func reset() { write(.rstStream(.cancel)) }

    private func write(_ payload: HTTP2Frame.FramePayload) {
        channel.writeAndFlush(payload).cascadeFailure(to: done)
    }
}

/// The head of a POST, or of another request, over HTTP/2.
func h2Post(
    _ path: String, method: String = "POST", type: String = "application/json", _ extra: [(String, String)] = []
) -> HPACKHeaders {
    var headers: HPACKHeaders = [
        ":method": method, ":scheme": "http", ":authority": "localhost", ":path": path, "content-type": type,
    ]
    for (name, value) in extra { headers.add(name: name, value: value) }
    return headers
}

extension EventLoopFuture where Value: Sendable {
    /// The value; fails after two minutes, so that no test waits for ever.
    func soon(_ what: String) async throws -> Value {
        let promise = eventLoop.makePromise(of: Value.self)
        let limit = eventLoop.scheduleTask(in: .seconds(120)) { promise.fail(RawClient.Failure(what: what)) }
        cascade(to: promise)
        defer { limit.cancel() }
        return try await promise.futureResult.get()
    }
}

private final class NIOLockedAnswer: Sendable {
    let value = Mutex(H2Answer())
}

private final class Gatherer: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload

    private let box: NIOLockedAnswer
    private let done: EventLoopPromise<H2Answer>

    init(box: NIOLockedAnswer, done: EventLoopPromise<H2Answer>) {
        self.box = box
        self.done = done
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var isWhole = false
        box.value.withLock { answer in
            switch unwrapInboundIn(data) {
            case .headers(let frame):
                answer.heads.append(frame.headers)
                isWhole = frame.endStream
            case .data(let frame):
                if case .byteBuffer(let bytes) = frame.data { answer.body += Array(bytes.readableBytesView) }
                isWhole = frame.endStream
            default: break
            }
        }
        if isWhole { done.succeed(box.value.withLock { $0 }) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {}

    func channelInactive(context: ChannelHandlerContext) {
        var answer = box.value.withLock { $0 }
        answer.isCut = true
        // Does nothing when the answer was whole.
        done.succeed(answer)
    }
}

/// Connects a socket to a loopback port.
enum NIOClient {
    static func connect(
        port: Int, _ configure: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> any Channel {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in channel.eventLoop.makeCompletedFuture { try configure(channel) } }
            .connect(host: "127.0.0.1", port: port).get()
    }
}

/// Gathers all that comes until the connection ends; fails when it ends by an error or without a byte.
final class TextGatherer: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private let text = Mutex("")
    private let done: EventLoopPromise<String>

    init(done: EventLoopPromise<String>) { self.done = done }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        text.withLock { $0 += String(buffer: bytes) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let text = text.withLock { $0 }
        // Closing without a last word of TLS is no error behind a whole answer.
        if text.isEmpty { done.fail(error) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let text = text.withLock { $0 }
        if text.isEmpty {
            done.fail(RawClient.Failure(what: "closed without an answer"))
        } else {
            done.succeed(text)
        }
    }
}
