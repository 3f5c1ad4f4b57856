import Configuration
import Logging
import NIOCore
import NIOPosix
import Pipeline
import Receivers
import Telemetry

/// Reads receiver options from YAML; fails the test run when there are problems.
func options(_ yaml: String = "{}") throws -> (options: OTLPReceiverOptions, problems: [String]) {
    var problems = ConfigProblems()
    let node = YAMLReader.read(yaml, file: "test.yaml", problems: &problems)
    let body = node ?? .null(at: ConfigPlace(file: "test.yaml"))
    let options = readOptions(OTLPReceiverOptions.self, node: body, path: "receivers.otlp", problems: &problems)
    return (options, problems.all.map { "\($0.path): \($0.message)" })
}

/// Quiet logger for tests.
func quietLogger() -> Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

/// A receiver on loopback ports of its own.
struct TestServer {
    let receiver: OTLPReceiver
    let metrics: SelfMetrics
    let budget: AdmissionBudget
    /// Ports of HTTP and gRPC; 0 for what is not served.
    let port: Int
    let grpcPort: Int

    func connect() throws -> RawClient { try RawClient(port: port) }

    /// The value of a series, by name and one label value.
    func value(_ name: String, _ label: String) -> Double {
        metrics.series.first { $0.name == name && $0.labels.contains { $0.value == label } }?.read() ?? -1
    }
}

/// What a receiver for a test is made of.
struct TestSetup {
    var ingest = FakeIngest()
    /// Lines under `protocols.http`, and under `protocols.grpc` when that is to be served.
    var http: [String] = []
    var grpc: [String]?
    var budgetBytes = 256 << 20
    var authenticators: [String: any RequestAuthenticator] = [:]

    var yaml: String {
        var text = "protocols:\n  http:\n" + Self.lines(http)
        if let grpc { text += "  grpc:\n" + Self.lines(grpc) }
        return text
    }

    private static func lines(_ lines: [String]) -> String {
        (["endpoint: 127.0.0.1:0"] + lines).map { "    \($0)\n" }.joined()
    }
}

/// A receiver for a test that is not started yet.
func makeReceiver(_ yaml: String, _ setup: TestSetup = TestSetup()) throws -> (OTLPReceiver, OTLPReceiver.Context) {
    let (options, problems) = try options(yaml)
    guard problems.isEmpty else { throw RawClient.Failure(what: problems.joined(separator: "; ")) }
    let context = OTLPReceiver.Context(
        ingest: setup.ingest, metrics: SelfMetrics(), group: MultiThreadedEventLoopGroup.singleton,
        budget: AdmissionBudget(limitBytes: setup.budgetBytes), log: quietLogger(),
        authenticators: setup.authenticators)
    return (OTLPReceiver(options: options, context: context), context)
}

/// Runs a receiver while `body` runs, which may block.
func withServer(_ setup: TestSetup, _ body: (TestServer) async throws -> Void) async throws {
    let (receiver, context) = try makeReceiver(setup.yaml, setup)
    let addresses = try await receiver.start()
    let server = TestServer(
        receiver: receiver, metrics: context.metrics, budget: context.budget, port: addresses.http.first?.port ?? 0,
        grpcPort: addresses.grpc.first?.port ?? 0)
    do {
        try await withTaskExecutorPreference(BlockingExecutor.shared) { try await body(server) }
    } catch {
        await receiver.shutdown(deadline: .zero)
        throw error
    }
    await receiver.shutdown(deadline: .zero)
}

/// Runs a receiver with lines under `protocols.http` while `body` runs, which may block.
func withServer(
    _ ingest: FakeIngest = FakeIngest(), http: [String] = [], budgetBytes: Int = 256 << 20,
    _ body: (TestServer) async throws -> Void
) async throws {
    try await withServer(TestSetup(ingest: ingest, http: http, budgetBytes: budgetBytes), body)
}

/// A well-formed POST.
func post(
    _ path: String = "/v1/traces", type: String? = "application/x-protobuf", headers: [String] = [], body: [UInt8] = []
) -> [UInt8] {
    var head = "POST \(path) HTTP/1.1\r\nHost: localhost\r\n"
    if let type { head += "Content-Type: \(type)\r\n" }
    for header in headers { head += header + "\r\n" }
    head += "Content-Length: \(body.count)\r\n\r\n"
    return Array(head.utf8) + body
}
