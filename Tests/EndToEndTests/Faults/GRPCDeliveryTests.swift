import Foundation
import TestSupport
import Testing

/// Two gateways with gRPC between them.
@Suite(.serialized, .timeLimit(.minutes(15))) struct GRPCDeliveryTests {
    private func last(_ tls: String) throws -> RunningGateway {
        try RunningGateway(
            """
            receivers:
              otlp: {protocols: {grpc: {endpoint: "127.0.0.1:CALLS"\(tls)}}}
              otlp/plain: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}
            exporters: {file: {path: FOLDER/out.bin, format: proto}}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp, otlp/plain], exporters: [file]}
            """)
    }

    private func first(to port: Int, _ more: String) throws -> RunningGateway {
        try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters:
              otlp:
                endpoint: "127.0.0.1:\(port)"
                retry_on_failure: {initial_interval: 100ms, max_interval: 200ms}
                sending_queue: {num_consumers: 8}
                \(more)
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], exporters: [otlp]}
            """)
    }

    private func numbers(_ gateway: RunningGateway) throws -> Set<UInt64> {
        Set(NumberedSpans.numbers([UInt8](try Data(contentsOf: gateway.folder.appending(path: "out.bin")))))
    }

    @Test(arguments: [
        "compression: gzip", "compression: none", "compression: zstd", "compression: snappy",
    ]) func `all that was accepted arrives, whatever the compression`(_ compression: String) async throws {
        let last = try last("")
        try await last.start()
        let first = try first(to: last.grpcPort, "tls: {insecure: true}\n    " + compression)
        try await first.start()
        for number in 0..<20 {
            let request = NumberedSpans.request(UInt64(number) * NumberedSpans.perRequest + 1, padding: 2_000)
            #expect(try await first.post(request, path: "/v1/traces") == 200)
        }
        try await first.waitUntilDelivered()
        #expect(first.end(SIGTERM) == 0)
        try await last.waitUntilDelivered()
        #expect(last.end(SIGTERM) == 0)
        #expect(try numbers(last) == Set(1...(20 * NumberedSpans.perRequest)))
    }

    @Test func `over TLS with a client certificate, nothing is lost while the receiver is killed and comes back`()
        async throws
    {
        let files = try Certificates()
        try files.makeAuthority("ours")
        try files.make("server", by: "ours")
        try files.make("client", by: "ours")
        let last = try last(
            ", tls: {cert_file: \(files.path("server.pem")), key_file: \(files.path("server.key")), "
                + "client_ca_file: \(files.path("ours.pem"))}")
        try await last.start()
        let first = try first(
            to: last.grpcPort,
            "tls: {ca_file: \(files.path("ours.pem")), cert_file: \(files.path("client.pem")), "
                + "key_file: \(files.path("client.key"))}")
        try await first.start()
        let ledger = AcceptedLedger(first.folder.appending(path: "accepted.txt").path)
        let clients = LoadClients(4, port: first.port, ledger: ledger, persistent: true)
        try await first.wait("some load") { ledger.all.count > 100 }
        _ = last.end(SIGKILL)
        try await Task.sleep(for: .milliseconds(300))
        try await last.start()
        try await Task.sleep(for: .milliseconds(300))
        await clients.stop()
        try await first.waitUntilDelivered()
        #expect(first.end(SIGTERM) == 0)
        try await last.waitUntilDelivered()
        #expect(last.end(SIGTERM) == 0)
        // What was in flight may come twice, so sets are compared.
        #expect(try numbers(last).isSuperset(of: ledger.all) && ledger.all.count > 100)
        let letters = try first.command(["dlq", "list", "--data-directory", first.folder.path + "/data"]).text
        #expect(letters.contains("no "))
    }
}
