package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
package import Pipeline
import Synchronization
import Telemetry

/// Why a receiver cannot start, and what to change.
package struct ReceiverStartFailure: Error, Equatable, CustomStringConvertible {
    package var description: String
}

/// The `otlp` receiver: OTLP over HTTP/1.1 on the event loops of `group`.
///
/// Life: `start`, then `stopAccepting` and `shutdown`, or `shutdown` alone. All calls are safe from any thread.
package final class OTLPReceiver: Sendable {
    private struct State {
        var listeners: [any Channel] = []
        var isStopped = false
    }

    /// Header caps: one field, all fields together, and their number. Beyond them the answer is 431.
    static let headerFieldSizeMax = 16 << 10
    static let headerListSizeMax = 64 << 10
    static let headerCountMax = 128
    /// Largest single read from a socket, in bytes.
    static let readSizeMax = 1 << 20

    private let options: OTLPHTTPOptions
    private let group: any EventLoopGroup
    private let shared: ReceiverShared
    private let registry: ConnectionRegistry
    private let state = Mutex(State())
    private let id: String

    /// Makes a receiver that is not listening yet.
    ///
    /// - Parameters:
    ///   - options: what the file says.
    ///   - ingest: takes the requests; asked once, here, which signals it accepts.
    ///   - metrics: the receiver's series are registered here, so make one receiver for each id.
    ///   - group: the event loops to run on; the caller shuts them down after the receiver.
    ///   - budget: bytes of bodies in memory, shared by all receivers.
    ///   - log: refusals at debug, start and end at info.
    ///   - id: `type/name` as in the file.
    package init(
        options: OTLPReceiverOptions, ingest: any Ingest, metrics: SelfMetrics, group: any EventLoopGroup,
        budget: AdmissionBudget, log: Logger, id: String = "otlp"
    ) {
        let http = options.http
        let registry = ConnectionRegistry(connectionsMax: http.connectionsMax)
        self.options = http
        self.group = group
        self.registry = registry
        self.id = id
        shared = ReceiverShared(
            check: HeadCheck(
                paths: http.paths, accepted: Set(Signal.allCases.filter { ingest.accepts($0) }),
                bodySizeMax: http.bodySizeMax, codings: http.codingSet, cors: http.cors),
            timeouts: http.timeouts, keepsAlive: http.keepsAlive,
            encoder: AnswerEncoder(headers: http.responseHeaders), ingest: ingest, budget: budget,
            metrics: ReceiverMetrics(metrics, id: id), log: log)
        let receiver = (name: "receiver", value: id)
        metrics.gauge("sluice_receiver_connections", "Open connections.", [receiver]) { Double(registry.count) }
        metrics.gauge("sluice_receiver_inflight_bytes", "Bytes of request bodies in memory.", [receiver]) {
            Double(budget.used)
        }
    }

    /// Connections that are open now.
    package var connectionCount: Int { registry.count }

    /// Listens, and returns the addresses with the ports that the system chose. Throws `ReceiverStartFailure` when that
    /// is not possible; nothing is left open then.
    package func start() async throws -> [SocketAddress] {
        let addresses = try ListenAddresses.resolve(options.endpoint, id: id)
        let bootstrap = makeBootstrap()
        var bound: [SocketAddress] = []
        for candidate in addresses {
            var address = candidate.address
            // With a port chosen by the system, the second loopback address takes the same one.
            if let port = bound.first?.port, options.endpoint.port == 0 { address.port = port }
            do {
                let channel = try await bootstrap.bind(to: address).get()
                let isStopped = state.withLock { state in
                    if !state.isStopped { state.listeners.append(channel) }
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
                await closeListeners()
                throw ListenAddresses.failure(error, address: address, endpoint: options.endpoint, id: id)
            }
        }
        guard !bound.isEmpty else {
            throw ReceiverStartFailure(description: "receiver \(id): no address to listen on")
        }
        shared.log.info(
            "receiver listens",
            metadata: ["receiver": "\(id)", "addresses": "\(bound.map { "\($0)" }.joined(separator: ", "))"])
        return bound
    }

    /// Lets no new connection in; those that are open go on.
    package func stopAccepting() async {
        state.withLock { $0.isStopped = true }
        await closeListeners()
    }

    /// Lets no new connection in, lets requests in progress finish, and cuts what is left at the deadline. Safe to call
    /// twice and without `start`.
    package func shutdown(deadline: Duration) async {
        await stopAccepting()
        registry.quiesce()
        let registry = registry
        let cut = group.any().scheduleTask(in: TimeAmount(deadline)) { registry.closeAll() }
        await registry.waitUntilEmpty()
        cut.cancel()
    }

    private func closeListeners() async {
        let listeners = state.withLock { state in
            defer { state.listeners = [] }
            return state.listeners
        }
        for listener in listeners { try? await listener.close() }
    }

    private func makeBootstrap() -> ServerBootstrap {
        var resources: [ObjectIdentifier: NIOLoopBoundBox<LoopResources>] = [:]
        for loop in group.makeIterator() {
            resources[ObjectIdentifier(loop)] = .makeBoxSendingValue(LoopResources(), eventLoop: loop)
        }
        let loops = resources
        let shared = shared
        let registry = registry
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: Self.readSizeMax)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    switch registry.admit(channel) {
                    case .close: channel.close(promise: nil)
                    case .turnAway:
                        shared.metrics.refused(.connections)
                        let handler = CrowdedHandler(answer: Self.crowded(shared))
                        try channel.pipeline.syncOperations.addHandler(handler)
                    case .serve:
                        let resources = loops[ObjectIdentifier(channel.eventLoop)]?.value ?? LoopResources()
                        try Self.configure(channel.pipeline.syncOperations, shared, resources, channel.eventLoop.now)
                    }
                }
            }
    }

    /// Adds the parser and the connection's handler.
    static func configure(
        _ pipeline: ChannelPipeline.SynchronousOperations, _ shared: ReceiverShared, _ resources: LoopResources,
        _ now: NIODeadline
    ) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = headerFieldSizeMax
        limits.maxHeaderListSize = headerListSizeMax
        limits.maxHeaderFieldCount = headerCountMax
        try pipeline.addHandler(
            ByteToMessageHandler(
                HTTPRequestDecoder(
                    leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop,
                    limitConfiguration: limits)))
        try pipeline.addHandler(OTLPConnection(shared: shared, resources: resources, now: now))
    }

    private static func crowded(_ shared: ReceiverShared) -> ByteBuffer {
        let refusal = Refusal(
            status: .serviceUnavailable, reason: .connections,
            message: "too many connections are open; use fewer senders, or raise max_connections of the receiver",
            retryAfter: 1)
        return shared.encoder.encode(.refusal(refusal, .json), AnswerEncoder.Context(closes: true))
    }
}
