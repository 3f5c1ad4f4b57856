import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The sockets of one protocol of a receiver. All calls are safe from any thread.
final class ReceiverListener: Sendable {
    private struct State {
        var channels: [any Channel] = []
        var isStopped = false
    }

    let endpoint: ListenEndpoint
    /// The option that says where to listen, for messages.
    private let option: String
    private let id: String
    private let group: any EventLoopGroup
    private let log: Logger
    private let tls: ReceiverTLSOptions?
    private let makeSetup: @Sendable (TLSContexts?) -> ConnectionSetup
    private let crowded: Crowded
    let registry: ConnectionRegistry
    private let state = Mutex(State())

    /// What becomes of connections beyond the limit.
    struct Crowded: Sendable {
        /// Makes what is sent to a connection without TLS before it is closed; nil to close it without a word.
        var answer: (@Sendable () -> ByteBuffer)?
        var count: @Sendable () -> Void
    }

    /// - Parameters:
    ///   - setup: makes what serves the connections, when the listener starts.
    ///   - protocolName: `http` or `grpc`, under `protocols` of the receiver `id`.
    init(
        _ endpoint: ListenEndpoint, protocolName: String, id: String, connections: ConnectionLimits,
        group: any EventLoopGroup,
        budget: AdmissionBudget, log: Logger, tls: ReceiverTLSOptions?, crowded: Crowded,
        setup: @escaping @Sendable (TLSContexts?) -> ConnectionSetup
    ) {
        self.endpoint = endpoint
        option = "protocols.\(protocolName).endpoint"
        self.id = id
        self.group = group
        self.log = log
        self.tls = tls
        self.crowded = crowded
        makeSetup = setup
        registry = ConnectionRegistry(connections, budget: budget)
    }

    /// Listens, and returns the addresses with the ports that the system chose. Throws `ReceiverStartFailure` when that
    /// is not possible; nothing is left open then.
    func start() async throws -> [SocketAddress] {
        let bootstrap = try makeBootstrap()
        let addresses = try ListenAddresses.resolve(endpoint, id: id)
        var bound: [SocketAddress] = []
        for candidate in addresses {
            var address = candidate.address
            // With a port chosen by the system, the second loopback address takes the same one.
            if let port = bound.first?.port, endpoint.port == 0 { address.port = port }
            do {
                let channel = try await bootstrap.bind(to: address).get()
                let isStopped = state.withLock { state in
                    if !state.isStopped { state.channels.append(channel) }
                    return state.isStopped
                }
                if isStopped {
                    try? await channel.close()
                    throw ReceiverStartFailure(description: "receiver \(id) was shut down while it started")
                }
                if let local = channel.localAddress { bound.append(local) }
            } catch let failure as ReceiverStartFailure {
                throw failure
            } catch {
                if candidate.isOptional { continue }
                await stop()
                throw ListenAddresses.failure(error, address: address, endpoint: endpoint, option: option, id: id)
            }
        }
        guard !bound.isEmpty else {
            throw ReceiverStartFailure(description: "receiver \(id): no address to listen on")
        }
        log.info(
            "receiver listens",
            metadata: [
                "receiver": "\(id)", "option": "\(option)", "tls": "\(tls != nil)",
                "addresses": "\(bound.map { "\($0)" }.joined(separator: ", "))",
            ])
        return bound
    }

    /// Lets no new connection in.
    func stop() async {
        let channels = state.withLock { state in
            state.isStopped = true
            defer { state.channels = [] }
            return state.channels
        }
        for channel in channels { try? await channel.close() }
    }

    private func makeBootstrap() throws -> ServerBootstrap {
        let contexts = try tls.map { tls in
            try TLSContexts(tls, protocols: ConnectionSetup.protocols(makeSetup(nil).service), id: id, log: log)
        }
        let setup = makeSetup(contexts)
        let registry = registry
        let crowded = crowded
        let isSecure = contexts != nil
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer(AcceptGate.install)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 1 << 10, initial: 4 << 10, maximum: OTLPReceiver.readSizeMax)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    switch registry.admit(channel) {
                    case .close: channel.close(promise: nil)
                    case .turnAway:
                        crowded.count()
                        guard let answer = crowded.answer, !isSecure else { return channel.close(promise: nil) }
                        try channel.pipeline.syncOperations.addHandler(NoticeHandler(answer: answer()))
                    case .serve: try setup.configure(channel)
                    }
                }
            }
    }
}
