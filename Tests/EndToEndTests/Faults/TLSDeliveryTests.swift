import Foundation
import TestSupport
import Testing

/// Two gateways with TLS between them: authorities, client certificates, HTTP/2, files that change.
@Suite(.serialized, .timeLimit(.minutes(15))) struct TLSDeliveryTests {
    private func makeFiles() throws -> Certificates {
        let files = try Certificates()
        try files.makeAuthority("ours")
        try files.makeAuthority("theirs")
        try files.make("server", by: "ours")
        try files.make("client", by: "ours")
        try files.make("stranger", by: "theirs")
        try files.install("client", as: "shown")
        try files.install("ours", as: "trusted")
        return files
    }

    /// A gateway that takes requests over TLS from those whom our authority knows, and writes them to a file.
    private func last(_ files: Certificates) throws -> RunningGateway {
        try RunningGateway(
            """
            receivers:
              otlp:
                protocols:
                  http:
                    endpoint: "127.0.0.1:CALLS"
                    tls:
                      cert_file: \(files.path("server.pem"))
                      key_file: \(files.path("server.key"))
                      client_ca_file: \(files.path("ours.pem"))
              otlp/plain: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}
            exporters: {file: {path: FOLDER/out.bin, format: proto}}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp, otlp/plain], exporters: [file]}
            """)
    }

    private func first(
        _ files: Certificates, to port: Int, version: String, certificates: String? = nil
    ) throws -> RunningGateway {
        let certificates =
            certificates
                ?? """
                ca_file: \(files.path("trusted.pem")), cert_file: \(files.path("shown.pem")), \
                key_file: \(files.path("shown.key"))
                """
        return try RunningGateway(
            """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
            exporters:
              otlp_http:
                endpoint: "https://127.0.0.1:\(port)"
                http_version: "\(version)"
                max_connection_age: 1s
                retry_on: [400, 401, 403, 429, 502, 503, 504]
                retry_on_failure: {initial_interval: 100ms, max_interval: 200ms}
                sending_queue: {num_consumers: 8}
                tls: {\(certificates)}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], exporters: [otlp_http]}
            """)
    }

    private func numbers(_ gateway: RunningGateway) throws -> Set<UInt64> {
        Set(NumberedSpans.numbers([UInt8](try Data(contentsOf: gateway.folder.appending(path: "out.bin")))))
    }

    /// Established connections to a port of this machine, from its side.
    private func connections(to port: Int) throws -> Int {
        let wanted = ":" + String(format: "%04X", port)
        // In pieces: the file has no size that would tell how much to read.
        guard let file = FileHandle(forReadingAtPath: "/proc/net/tcp") else { return 0 }
        var data = Data()
        while let piece = try file.read(upToCount: 4_096), !piece.isEmpty { data += piece }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").count { line in
            let fields = line.split(separator: " ")
            return fields.count > 3 && fields[1].hasSuffix(wanted) && fields[3] == "01"
        }
    }

    @Test(arguments: ["1.1", "2"]) func `delivers with a client certificate`(_ version: String) async throws {
        let files = try makeFiles()
        let last = try last(files)
        try await last.start()
        let first = try first(files, to: last.grpcPort, version: version)
        try await first.start()
        let ledger = AcceptedLedger(first.folder.appending(path: "accepted.txt").path)
        let clients = LoadClients(4, port: first.port, ledger: ledger, persistent: true)
        // Over HTTP/2 all deliveries share a connection; one that grows old may stand beside the next.
        var most = 0
        try await first.wait("deliveries") {
            most = max(most, try connections(to: last.grpcPort))
            return ledger.all.count > 200 && most > (version == "2" ? 0 : 1)
        }
        await clients.stop()
        if version == "2" { #expect(most <= 2) }
        try await first.waitUntilDelivered()
        #expect(first.end(SIGTERM) == 0)
        try await last.waitUntilDelivered()
        #expect(last.end(SIGTERM) == 0)
        #expect(try numbers(last) == ledger.all && ledger.all.count > 100)
    }

    @Test func `delivers with certificates that stand in the configuration`() async throws {
        let files = try makeFiles()
        let last = try last(files)
        try await last.start()
        let texts = """
            ca_pem: "${file:\(files.path("ours.pem"))}", cert_pem: "${file:\(files.path("client.pem"))}", \
            key_pem: "${file:\(files.path("client.key"))}"
            """
        let first = try first(files, to: last.grpcPort, version: "1.1", certificates: texts)
        try await first.start()
        #expect(try await first.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
        try await first.waitUntilDelivered()
        #expect(first.end(SIGTERM) == 0)
        try await last.waitUntilDelivered()
        #expect(last.end(SIGTERM) == 0)
        #expect(try numbers(last) == Set(1..<(1 + NumberedSpans.perRequest)))
    }

    @Test func `follows files that change, and keeps what cannot be delivered meanwhile`() async throws {
        let files = try makeFiles()
        let last = try last(files)
        try await last.start()
        let first = try first(files, to: last.grpcPort, version: "1.1")
        try await first.start()
        var next: UInt64 = 1
        func send() async throws {
            #expect(try await first.post(NumberedSpans.request(next), path: "/v1/traces") == 200)
            next += NumberedSpans.perRequest
        }
        func sendAndExpectWaiting(_ what: String) async throws {
            // Longer than a connection lives: its age is counted in whole seconds.
            try await Task.sleep(for: .milliseconds(2_200))
            try await send()
            try await Task.sleep(for: .milliseconds(700))
            #expect(try await first.metric("sluice_exporter_held_items") == 10, "\(what)")
        }
        try await send()
        try await first.waitUntilDelivered()
        try files.install("stranger", as: "shown")
        try await sendAndExpectWaiting("a certificate of another authority")
        try files.install("client", as: "shown")
        try await first.waitUntilDelivered()
        try files.install("theirs", as: "trusted")
        try await sendAndExpectWaiting("a server that the new authority did not sign")
        try files.install("ours", as: "trusted")
        try await first.waitUntilDelivered()
        #expect(first.end(SIGTERM) == 0)
        try await last.waitUntilDelivered()
        #expect(last.end(SIGTERM) == 0)
        #expect(try numbers(last) == Set(1..<next))
        #expect(
            try first.command(["dlq", "list", "--data-directory", first.folder.path + "/data"]).text.contains("no "))
    }
}
