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

/// A receiver on a loopback port of its own.
struct TestServer {
    let receiver: OTLPReceiver
    let metrics: SelfMetrics
    let budget: AdmissionBudget
    let port: Int

    func connect() throws -> RawClient { try RawClient(port: port) }

    /// The value of a series, by name and one label value.
    func value(_ name: String, _ label: String) -> Double {
        metrics.series.first { $0.name == name && $0.labels.contains { $0.value == label } }?.read() ?? -1
    }
}

/// Runs a receiver with lines under `protocols.http` while `body` runs.
func withServer(
    _ ingest: FakeIngest = FakeIngest(), http: [String] = [], budgetBytes: Int = 256 << 20,
    _ body: (TestServer) async throws -> Void
) async throws {
    let lines = (["endpoint: 127.0.0.1:0"] + http).map { "    \($0)\n" }.joined()
    let (options, problems) = try options("protocols:\n  http:\n" + lines)
    guard problems.isEmpty else { throw RawClient.Failure(what: problems.joined(separator: "; ")) }
    let metrics = SelfMetrics()
    let budget = AdmissionBudget(limitBytes: budgetBytes)
    let receiver = OTLPReceiver(
        options: options, ingest: ingest, metrics: metrics, group: MultiThreadedEventLoopGroup.singleton,
        budget: budget, log: quietLogger())
    let addresses = try await receiver.start()
    let server = TestServer(receiver: receiver, metrics: metrics, budget: budget, port: addresses[0].port ?? 0)
    do {
        try await body(server)
    } catch {
        await receiver.shutdown(deadline: .zero)
        throw error
    }
    await receiver.shutdown(deadline: .zero)
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
