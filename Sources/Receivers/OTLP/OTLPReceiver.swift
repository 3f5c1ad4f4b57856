package import Logging
package import NIOCore
package import Pipeline
import Telemetry

/// Why a receiver cannot start, and what to change.
package struct ReceiverStartFailure: StartFault, Equatable {
    package var description: String
    package var option: String?
}

/// The `otlp` receiver: OTLP over HTTP and gRPC on the event loops of `group`.
///
/// Life: `start`, then `stopAccepting` and `shutdown`, or `shutdown` alone. All calls are safe from any thread.
package final class OTLPReceiver: Sendable {
    /// Header caps: one field, all fields together, and their number. Beyond them the answer is 431.
    static let headerFieldSizeMax = 16 << 10
    static let headerListSizeMax = 64 << 10
    static let headerCountMax = 128
    /// Largest single read from a socket, in bytes. More takes memory for each connection and more time: what comes in
    /// several reads is copied once, into the array that a pipeline keeps, and from this size on it no longer lies in
    /// the processor's cache then.
    static let readSizeMax = 128 << 10

    /// What a receiver is given from outside.
    package struct Context: Sendable {
        /// Takes the requests of HTTP and of gRPC; asked once, at the start, which signals it accepts.
        package var ingest: any Ingest
        package var grpcIngest: any Ingest
        /// The receiver's series are registered here, so make one receiver for each id.
        package var metrics: SelfMetrics
        /// The event loops to run on; the caller shuts them down after the receiver.
        package var group: any EventLoopGroup
        /// Bytes of bodies in memory, shared by all receivers.
        package var budget: AdmissionBudget
        /// Refusals at debug, start and end at info.
        package var log: Logger
        /// Authentication extensions by their names in the file.
        package var authenticators: [String: any RequestAuthenticator]

        /// - Parameter grpcIngest: where requests of gRPC go when not to `ingest`.
        package init(
            ingest: any Ingest, grpcIngest: (any Ingest)? = nil, metrics: SelfMetrics, group: any EventLoopGroup,
            budget: AdmissionBudget, log: Logger, authenticators: [String: any RequestAuthenticator] = [:]
        ) {
            self.ingest = ingest
            self.grpcIngest = grpcIngest ?? ingest
            self.metrics = metrics
            self.group = group
            self.budget = budget
            self.log = log
            self.authenticators = authenticators
        }
    }

    /// Where a receiver that runs listens; empty for a protocol that it does not serve.
    package struct Addresses: Sendable {
        package var http: [SocketAddress] = []
        package var grpc: [SocketAddress] = []
    }

    private let options: OTLPReceiverOptions
    private let context: Context
    private let http: ReceiverListener?
    private let grpc: ReceiverListener?
    private let id: String

    /// Makes a receiver that is not listening yet. `id` is `type/name` as in the file.
    package init(options: OTLPReceiverOptions, context: Context, id: String = "otlp") {
        self.options = options
        self.context = context
        self.id = id
        let metrics = ReceiverMetrics(context.metrics, id: id)
        var resources: [ObjectIdentifier: NIOLoopBoundBox<LoopResources>] = [:]
        for loop in context.group.makeIterator() {
            resources[ObjectIdentifier(loop)] = .makeBoxSendingValue(LoopResources(of: loop), eventLoop: loop)
        }
        let loops = resources
        http = options.http.map { Self.httpListener($0, context, metrics, loops, id) }
        grpc = options.grpc.map { Self.grpcListener($0, context, metrics, loops, id) }
        let registries = [http?.registry, grpc?.registry].compactMap(\.self)
        let budget = context.budget
        let receiver = (name: "receiver", value: id)
        context.metrics.gauge("sluice_receiver_connections", "Open connections.", [receiver]) {
            Double(registries.reduce(0) { $0 + $1.count })
        }
        context.metrics.gauge("sluice_receiver_inflight_bytes", "Bytes of request bodies in memory.", [receiver]) {
            Double(budget.used)
        }
    }

    /// Finds what would keep a receiver with these options from starting, as far as that shows without listening.
    package static func check(_ options: OTLPReceiverOptions, id: String) throws(ReceiverStartFailure) {
        let all = [("http", options.http?.tls), ("grpc", options.grpc?.tls)]
        let log = Logger(label: "sluice", factory: { _ in SwiftLogNoOpLogHandler() })
        for case (let name, let tls?) in all {
            do throws(ReceiverStartFailure) {
                _ = try TLSContexts(tls, protocols: [], id: id, log: log)
            } catch {
                var failure = error
                failure.option = "protocols.\(name)." + (error.option ?? "tls")
                throw failure
            }
        }
    }

    private var listeners: [ReceiverListener] { [http, grpc].compactMap(\.self) }

    /// Connections that are open now.
    package var connectionCount: Int { listeners.reduce(0) { $0 + $1.registry.count } }

    /// Listens, and returns the addresses with the ports that the system chose. Throws `ReceiverStartFailure` when that
    /// is not possible; nothing is left open then.
    package func start() async throws -> Addresses {
        for name in options.authenticators where context.authenticators[name] == nil {
            throw ReceiverStartFailure(description: "receiver \(id): there is no authentication extension \(name)")
        }
        do {
            return Addresses(http: try await http?.start() ?? [], grpc: try await grpc?.start() ?? [])
        } catch {
            await stopAccepting()
            throw error
        }
    }

    /// Lets no new connection in; those that are open go on.
    package func stopAccepting() async { for listener in listeners { await listener.stop() } }

    /// Lets no new connection in, lets requests in progress finish, and cuts what is left at the deadline. Safe to call
    /// twice and without `start`.
    package func shutdown(deadline: Duration) async {
        await stopAccepting()
        let registries = listeners.map(\.registry)
        for registry in registries { registry.quiesce() }
        let cut = context.group.any().scheduleTask(in: TimeAmount(deadline)) {
            for registry in registries { registry.closeAll() }
        }
        for registry in registries { await registry.waitUntilEmpty() }
        cut.cancel()
    }

    private static func httpListener(
        _ http: OTLPHTTPOptions, _ context: Context, _ metrics: ReceiverMetrics,
        _ resources: [ObjectIdentifier: NIOLoopBoundBox<LoopResources>], _ id: String
    ) -> ReceiverListener {
        let auth = http.authenticator.flatMap { context.authenticators[$0] }.map { AuthCheck(authenticator: $0) }
        let ingest = context.ingest
        let shared = ReceiverShared(
            check: HeadCheck(
                paths: http.paths, accepted: Set(Signal.allCases.filter { ingest.accepts($0) }),
                bodySizeMax: http.bodySizeMax, codings: http.codings, cors: http.cors, auth: auth,
                keepsMetadata: http.keepsMetadata),
            timeouts: http.timeouts, keepsAlive: http.keepsAlive,
            encoder: AnswerEncoder(headers: http.responseHeaders),
            intake: RequestIntake(ingest: ingest, bodySizeMax: http.bodySizeMax, metrics: metrics),
            budget: context.budget, log: context.log)
        let cuts = CutLog(log: context.log, id: id)
        return ReceiverListener(
            http.endpoint, protocolName: "http", id: id, connections: http.connections, group: context.group,
            budget: context.budget, log: context.log, tls: http.tls,
            crowded: ReceiverListener.Crowded(answer: { crowded(shared) }, count: { metrics.refused(.connections) })
        ) { tls in
            ConnectionSetup(
                service: .http(shared), tls: tls, startTimeout: http.timeouts.readHeader,
                lifetime: HTTP2Lifetime(idle: http.timeouts.idle), streamsMax: HTTP2Limits.streamsMax,
                cuts: cuts, resources: resources)
        }
    }

    private static func grpcListener(
        _ grpc: GRPCOptions, _ context: Context, _ metrics: ReceiverMetrics,
        _ resources: [ObjectIdentifier: NIOLoopBoundBox<LoopResources>], _ id: String
    ) -> ReceiverListener {
        let auth = grpc.authenticator.flatMap { context.authenticators[$0] }.map { AuthCheck(authenticator: $0) }
        let ingest = context.grpcIngest
        let shared = GRPCShared(
            accepted: Set(Signal.allCases.filter { ingest.accepts($0) }), auth: auth,
            keepsMetadata: grpc.keepsMetadata, timeouts: grpc.timeouts,
            intake: RequestIntake(ingest: ingest, bodySizeMax: grpc.messageSizeMax, metrics: metrics),
            budget: context.budget, log: context.log)
        let cuts = CutLog(log: context.log, id: id)
        return ReceiverListener(
            grpc.endpoint, protocolName: "grpc", id: id, connections: grpc.connections, group: context.group,
            budget: context.budget, log: context.log, tls: grpc.tls,
            crowded: ReceiverListener.Crowded(answer: nil, count: { metrics.refused(.connections) })
        ) { tls in
            ConnectionSetup(
                service: .grpc(shared), tls: tls, startTimeout: grpc.timeouts.readHeader, lifetime: grpc.lifetime,
                streamsMax: grpc.streamsMax, cuts: cuts, resources: resources)
        }
    }

    private static func crowded(_ shared: ReceiverShared) -> ByteBuffer {
        let refusal = Refusal(
            status: .serviceUnavailable, reason: .connections,
            message: "too many connections are open; use fewer senders, or raise max_connections or"
                + " max_connections_per_address of the receiver",
            retryAfter: 1)
        var date = DateText()
        return shared.encoder.encode(
            .refusal(refusal, .json), AnswerEncoder.Context(closes: true), date: date.value())
    }
}
