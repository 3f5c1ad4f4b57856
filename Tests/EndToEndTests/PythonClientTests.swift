import Foundation
import TestSupport
import Testing

/// The exporters of OpenTelemetry for Python, as agents use them.
struct PythonClient {
    /// The project's folder, found from this file.
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Sends `count` spans, logs and metrics each; returns what the exporters said, such as `spans SUCCESS`.
    static func send(
        _ transport: String, _ endpoint: String, count: Int, _ variables: [String: String] = [:]
    ) async throws -> (results: [String], errors: String) {
        let result = try await script("send.py", [transport, endpoint, String(count)], variables)
        return (result.output.split(separator: "\n").map(String.init), result.errors)
    }

    /// Runs a script of Tests/Fixtures/PythonClient with the clients' interpreter.
    static func script(
        _ name: String, _ arguments: [String], _ variables: [String: String] = [:]
    ) async throws -> (output: String, errors: String) {
        let interpreter = try await run("/usr/bin/env", ["bash", root.appending(path: "script/python-clients").path])
            .output
        let script = root.appending(path: "Tests/Fixtures/PythonClient/\(name)").path
        return try await run(
            interpreter.trimmingCharacters(in: .whitespacesAndNewlines), [script] + arguments, variables)
    }

    private static func run(
        _ program: String, _ arguments: [String], _ variables: [String: String] = [:]
    ) async throws -> (output: String, errors: String) {
        // Without blocking a thread, of which all tests share two.
        let outcome = try await ChildProcess.run(program, arguments, environment: variables)
        guard outcome.status == 0 else {
            throw RunningGateway.Fault(text: "\(program) \(arguments.joined(separator: " ")): \(outcome.errors)")
        }
        return (outcome.output, outcome.errors)
    }
}

/// All signals into files, over both protocols.
private func configuration(grpcMore: String = "", extensions: String = "") -> String {
    """
    receivers:
      otlp:
        protocols:
          http: {endpoint: "127.0.0.1:PORT"}
          grpc: {endpoint: "127.0.0.1:CALLS"\(grpcMore)}
    \(extensions)
    exporters:
      file/traces: {path: FOLDER/traces.jsonl, flush_interval: 100ms}
      file/logs: {path: FOLDER/logs.jsonl, flush_interval: 100ms}
      file/metrics: {path: FOLDER/metrics.jsonl, flush_interval: 100ms}
    service:
      \(extensions.isEmpty ? "" : "extensions: [bearertokenauth]")
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces: {receivers: [otlp], exporters: [file/traces]}
        logs: {receivers: [otlp], exporters: [file/logs]}
        metrics: {receivers: [otlp], exporters: [file/metrics]}
    """
}

@Suite(.serialized) struct PythonClientTests {
    private let all = ["spans SUCCESS", "logs SUCCESS", "metrics SUCCESS"]

    /// How often a text occurs in a file of the gateway.
    private func occurrences(of text: String, in name: String, _ gateway: RunningGateway) throws -> Int {
        let file = try String(contentsOf: gateway.folder.appending(path: name), encoding: .utf8)
        return file.components(separatedBy: text).count - 1
    }

    @Test func `all signals of the Python exporters arrive over gRPC and HTTP, plain and gzip`() async throws {
        let gateway = try RunningGateway(configuration())
        try await gateway.start()
        for compression in ["none", "gzip"] {
            // The gRPC exporter knows no word for "not compressed".
            let variables = compression == "gzip" ? ["OTEL_EXPORTER_OTLP_COMPRESSION": compression] : [:]
            let grpc = try await PythonClient.send("grpc", "http://127.0.0.1:\(gateway.grpcPort)", count: 30, variables)
            #expect(grpc.results == all, "\(grpc.errors)")
            let http = try await PythonClient.send("http", "http://127.0.0.1:\(gateway.port)", count: 30, variables)
            #expect(http.results == all, "\(http.errors)")
        }
        try await gateway.waitUntilDelivered()
        for protocolName in ["grpc", "http"] {
            #expect(try occurrences(of: "python-\(protocolName)", in: "traces.jsonl", gateway) > 0)
        }
        #expect(try occurrences(of: "\"name\":\"step-29\"", in: "traces.jsonl", gateway) == 4)
        #expect(try occurrences(of: "line-29", in: "logs.jsonl", gateway) == 4)
        #expect(try occurrences(of: "\"name\":\"counter-29\"", in: "metrics.jsonl", gateway) == 4)
        #expect(try await gateway.metric("otelcol_receiver_accepted_spans") == 120)
        #expect(try await gateway.metric("sluice_receiver_grpc_calls_total") == 6)
        #expect(gateway.end(SIGTERM) == 0)
    }

    @Test func `gRPC over TLS takes the right token and refuses another`() async throws {
        let gateway = try RunningGateway(
            configuration(
                grpcMore: ", auth: {authenticator: bearertokenauth}, "
                    + "tls: {cert_file: FOLDER/cert.pem, key_file: FOLDER/key.pem}",
                extensions: "extensions: {bearertokenauth: {filename: FOLDER/tokens}}"))
        let certificate = gateway.folder.appending(path: "cert.pem").path
        try SelfSigned.make(certificate, key: gateway.folder.appending(path: "key.pem").path)
        try Data("right-token\n".utf8).write(to: gateway.folder.appending(path: "tokens"))
        try await gateway.start()
        let endpoint = "https://localhost:\(gateway.grpcPort)"
        func send(_ token: String) async throws -> (results: [String], errors: String) {
            try await PythonClient.send(
                "grpc", endpoint, count: 3,
                [
                    "OTEL_EXPORTER_OTLP_CERTIFICATE": certificate,
                    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20\(token)",
                ])
        }
        let right = try await send("right-token")
        #expect(right.results == all, "\(right.errors)")
        let wrong = try await send("wrong-token")
        #expect(wrong.results == ["spans FAILURE", "logs FAILURE", "metrics FAILURE"])
        #expect(wrong.errors.contains("UNAUTHENTICATED"))
        try await gateway.waitUntilDelivered()
        #expect(try await gateway.metric("otelcol_receiver_accepted_spans") == 3)
        #expect(gateway.end(SIGTERM) == 0)
        let log = try String(contentsOf: gateway.folder.appending(path: "log.txt"), encoding: .utf8)
        #expect(!log.contains("right-token") && !log.contains("wrong-token"))
    }

    @Test func `a batch over the cap of gRPC fails and smaller ones go on`() async throws {
        let gateway = try RunningGateway(configuration(grpcMore: ", max_recv_msg_size_mib: 1"))
        try await gateway.start()
        let endpoint = "http://127.0.0.1:\(gateway.grpcPort)"
        let large = try await PythonClient.send("grpc", endpoint, count: 4000)
        #expect(large.results.first == "spans FAILURE")
        #expect(large.errors.contains("RESOURCE_EXHAUSTED"), "\(large.errors)")
        let small = try await PythonClient.send("grpc", endpoint, count: 3)
        #expect(small.results == all, "\(small.errors)")
        #expect(gateway.end(SIGTERM) == 0)
    }
}
