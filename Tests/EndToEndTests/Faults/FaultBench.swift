import Foundation
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// A gateway between clients that write down what was answered 200, and a sink that writes down what came.
final class FaultBench: Sendable {
    /// Deliveries that run at once.
    static let consumers = 4

    let sink: FaultySink
    let gateway: RunningGateway
    let ledger: AcceptedLedger

    /// `exporter` holds further options of the exporter's queue, `storage` those of its journal, one `key: value` a
    /// line.
    init(
        exporter: [String] = [], storage: [String] = ["segment_size: 1MiB"], processors: [String] = [],
        pipeline: [String] = [], logLevel: String = "info"
    ) throws {
        sink = try FaultySink()
        let names = processors.compactMap { $0.split(separator: ":").first }.joined(separator: ", ")
        gateway = try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            processors: {\(processors.joined(separator: ", "))}
            exporters:
              otlp_http:
                endpoint: "http://127.0.0.1:\(sink.port)"
                compression: none
                timeout: 60s
                retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
                sending_queue: {storage: file_storage, num_consumers: \(Self.consumers)\
            \(exporter.map { ", " + $0 }.joined())}
            extensions:
              health_check: {endpoint: "127.0.0.1:CALLS"}
              file_storage: {directory: FOLDER/journal, \(storage.joined(separator: ", "))}
            service:
              extensions: [health_check, file_storage]
              telemetry:
                logs: {level: \(logLevel)}
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], processors: [\(names)], exporters: [otlp_http]\
            \(pipeline.map { ", " + $0 }.joined())}
            """)
        ledger = AcceptedLedger(gateway.folder.appending(path: "accepted.txt").path)
    }

    deinit { sink.stop() }

    /// Has the pipeline deliver to another exporter as well, with options in braces.
    func addExporter(_ name: String, _ options: String) {
        gateway.replace("exporters:\n", with: "exporters:\n  \(name): \(options)\n")
        gateway.replace("exporters: [otlp_http]", with: "exporters: [otlp_http, \(name)]")
    }

    /// Clients that post until they are stopped, and come back when the gateway does.
    func load(_ count: Int = 4, padding: Int = 8, pause: UInt32 = 20_000) -> LoadClients {
        LoadClients(
            count, port: gateway.port, ledger: ledger, padding: padding, persistent: true, pause: pause)
    }

    /// Restarts a gateway that has ended, waits for what was answered 200, and expects all of it.
    func expectNothingLost(
        restart: Bool, _ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        sink.behave(.accept)
        if restart { try await gateway.start() }
        let missing = try await sink.wait(for: ledger.all)
        if missing.isEmpty { return }
        let text = "\(missing.count) of \(ledger.all.count) accepted spans are missing \(comment)"
        Issue.record(
            "\(text), \(sink.requests) requests came; \(gateway.logText.suffix(3_000))", sourceLocation: sourceLocation)
    }

    /// Waits until `condition` holds, at most two minutes.
    func wait(
        _ what: String, sourceLocation: SourceLocation = #_sourceLocation,
        until condition: () async throws -> Bool
    ) async throws {
        for _ in 0..<4_800 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(25))
        }
        Issue.record("\(what): not within two minutes; \(gateway.logText.suffix(600))", sourceLocation: sourceLocation)
    }

    /// Status of the health check, 0 for no answer.
    func health() async -> Int {
        guard let url = URL(string: "http://127.0.0.1:\(gateway.grpcPort)/") else { return 0 }
        guard let (_, answer) = try? await URLSession.shared.data(from: url) else { return 0 }
        return (answer as? HTTPURLResponse)?.statusCode ?? 0
    }
}

/// How long the fault tests run: short by default; `SLUICE_FAULT_ROUNDS=1000` for the long form.
enum FaultRounds {
    static let count = max(1, Int(ProcessInfo.processInfo.environment["SLUICE_FAULT_ROUNDS"] ?? "") ?? 50)
    /// Printed with a failure; `SLUICE_FAULT_SEED` repeats it as far as a kill can be repeated.
    static let seed =
        UInt64(ProcessInfo.processInfo.environment["SLUICE_FAULT_SEED"] ?? "") ?? UInt64.random(in: 1...1 << 32)
}
