import Configuration
import Dispatch
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Receivers
import Synchronization

/// An answer of the admin listener.
struct AdminAnswer: Sendable {
    var status: HTTPResponseStatus
    var contentType: String
    var body: String
}

/// What is asked of the admin listener.
struct AdminRequest: Sendable {
    var path: String
    /// Values of the query by name, decoded; the last of a name wins.
    var query: [String: String] = [:]
    /// Whether the asker is on this machine and knows whom it asks.
    var isLocal: Bool
    /// The header of that name.
    var accept = ""

    /// `host` and `accept` are the headers of those names.
    init(uri: String, isLocal: Bool, host: String? = nil, accept: String = "") {
        self.accept = accept
        let parts = uri.split(separator: "?", maxSplits: 1)
        path = parts.first.map(String.init) ?? ""
        self.isLocal = isLocal && AdminRequest.isThisMachine(host)
        guard parts.count == 2 else { return }
        for pair in parts[1].split(separator: "&") {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[AdminRequest.decoded(sides[0])] = sides.count == 2 ? AdminRequest.decoded(sides[1]) : ""
        }
    }

    /// Whether who has this address is on the machine of a listener that is bound to `own`. A listener on one address
    /// of the machine is not asked over the loopback address; one on all of them may get the machine's address from
    /// whatever forwards to it.
    static func isHere(_ peer: String, own: String?) -> Bool {
        if peer == "::1" || peer.hasPrefix("127.") || peer.hasPrefix("::ffff:127.") { return true }
        return !peer.isEmpty && peer == own
    }

    /// False for a name that may be anybody's: a web page whose name resolves to this machine could otherwise read
    /// answers through the browser of somebody who works on it.
    private static func isThisMachine(_ host: String?) -> Bool {
        guard let host, !host.hasPrefix("[") else { return true }
        let name = host.prefix { $0 != ":" }.lowercased()
        return name == "localhost" || name.hasSuffix(".localhost") || name.allSatisfy { $0 == "." || $0.isNumber }
    }

    /// Percent signs with two digits are bytes; anything else stays as it is.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A small read-only HTTP listener: the metrics endpoint and the health check. Answers are made on a thread of its own,
/// since some look at files, and some are long.
final class AdminServer: Sendable {
    private let routes: @Sendable (AdminRequest) -> AdminAnswer?
    private let address: TelemetryConfiguration.Address
    private let channel = Mutex<(any Channel)?>(nil)
    private let queue = DispatchQueue(label: "sluice.admin")

    init(address: TelemetryConfiguration.Address, routes: @escaping @Sendable (AdminRequest) -> AdminAnswer?) {
        self.address = address
        self.routes = routes
    }

    /// Listens; returns the port. Throws `GatewayStartFailure` when the address cannot be had.
    func start(_ group: any EventLoopGroup, what: String) async throws -> Int {
        let (routes, queue) = (routes, queue)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer(AcceptGate.install)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard DescriptorRoom.hasRoom(for: channel) else { return channel.close(promise: nil) }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
                        withPipeliningAssistance: true, withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandlers([
                        IdleStateHandler(readTimeout: .seconds(30)), AdminHandler(routes: routes, queue: queue),
                    ])
                }
            }
        do {
            let bound = try await bootstrap.bind(host: address.host, port: address.port).get()
            channel.withLock { $0 = bound }
            return bound.localAddress?.port ?? address.port
        } catch {
            let advice = Self.advice((error as? IOError)?.errnoCode, port: address.port)
            throw GatewayStartFailure(
                "\(what) cannot listen on \(address.host):\(address.port): \(advice ?? "\(error)")")
        }
    }

    /// What to do about an address that could not be had, by the system's number of the error.
    static func advice(_ number: Int32?, port: Int) -> String? {
        switch number {
        case EADDRINUSE:
            "the address is in use: another process listens there (see `ss -ltnp sport = :\(port)`); end it, or choose "
                + "another port"
        case EACCES, EPERM: "permission denied; use a port above 1023"
        case EADDRNOTAVAIL: "this machine has no such address; use 127.0.0.1 or 0.0.0.0"
        default: nil
        }
    }

    func stop() async {
        let open = channel.withLock { channel in
            defer { channel = nil }
            return channel
        }
        try? await open?.close()
    }
}

/// Answers one request after the other on one admin connection.
private final class AdminHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let routes: @Sendable (AdminRequest) -> AdminAnswer?
    private let queue: DispatchQueue
    private var head: HTTPRequestHead?
    private var date = DateText()

    init(routes: @escaping @Sendable (AdminRequest) -> AdminAnswer?, queue: DispatchQueue) {
        self.routes = routes
        self.queue = queue
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let peer = context.channel.remoteAddress?.ipAddress ?? ""
        let isLocal = AdminRequest.isHere(peer, own: context.channel.parent?.localAddress?.ipAddress)
        let asked = AdminRequest(
            uri: request.uri, isLocal: isLocal, host: request.headers.first(name: "host"),
            accept: request.headers[canonicalForm: "accept"].joined(separator: ","))
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        // The next request of the connection comes when this one is answered.
        queue.async { [routes, loop = context.eventLoop] in
            let answer =
                routes(asked)
                ?? AdminAnswer(status: .notFound, contentType: "text/plain; charset=utf-8", body: "not found\n")
            loop.execute {
                let (handler, context) = bound.value
                handler.write(answer, to: request, context)
            }
        }
    }

    private func write(_ answer: AdminAnswer, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        var answer = answer
        if request.method != .GET && request.method != .HEAD {
            answer = AdminAnswer(status: .methodNotAllowed, contentType: "text/plain", body: "only GET\n")
        }
        var head = HTTPResponseHead(version: request.version, status: answer.status)
        head.headers.add(name: "content-type", value: answer.contentType)
        head.headers.add(name: "content-length", value: String(answer.body.utf8.count))
        head.headers.add(name: "date", value: date.value())
        if answer.status == .methodNotAllowed { head.headers.add(name: "allow", value: "GET, HEAD") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            let body = context.channel.allocator.buffer(string: answer.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let isKept = request.isKeepAlive
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !isKept { loopBound.value.close(promise: nil) }
        }
    }
}
