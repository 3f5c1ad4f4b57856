import Foundation
import TestSupport
import Testing

/// Single calls with gRPC's Python stub: what a client reads of each way in which a call can end.
@Suite(.serialized, .timeLimit(.minutes(15))) struct PythonCallTests {
    private struct Call: Decodable {
        var code: String
        var rejected: Int
        var message: String
        var retry_seconds: Int?
    }

    private func call(
        _ gateway: RunningGateway, _ kind: String = "good", timeout: Double = 120, certificate: String? = nil
    ) async throws -> Call {
        let address = (certificate == nil ? "127.0.0.1" : "localhost") + ":\(gateway.grpcPort)"
        let arguments = [address, kind, String(timeout)] + (certificate.map { [$0] } ?? [])
        let output = try await PythonClient.script("calls.py", arguments).output
        return try JSONDecoder().decode(Call.self, from: Data(output.utf8))
    }

    /// A gateway that sends traces on to `sink`.
    private func gateway(
        _ sink: FaultySink, grpc: String = "", queue: String = "", pipeline: String = "", processors: String = ""
    ) throws
        -> RunningGateway
    {
        try RunningGateway(
            """
            receivers:
              otlp:
                protocols:
                  http: {endpoint: "127.0.0.1:PORT"}
                  grpc: {endpoint: "127.0.0.1:CALLS"\(grpc)}
            processors: {\(processors)}
            exporters:
              otlp_http:
                endpoint: "http://127.0.0.1:\(sink.port)"
                compression: none
                retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
                sending_queue: {num_consumers: 1\(queue)}
            service:
              telemetry:
                metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
              pipelines:
                traces: {receivers: [otlp], exporters: [otlp_http]\(pipeline)}
            """)
    }

    private func calls(_ code: String, _ gateway: RunningGateway) async throws -> Double {
        let line = try await gateway.answer("/metrics").split(separator: "\n").first {
            $0.hasPrefix("sluice_receiver_grpc_calls_total{") && $0.contains("\"\(code)\"")
        }
        return Double(line?.split(separator: " ").last ?? "") ?? -1
    }

    @Test func `the stub reads how many spans were rejected and why, over TLS too`() async throws {
        let sink = try FaultySink()
        defer { sink.stop() }
        let gateway = try gateway(sink)
        try await gateway.start()
        let mixed = try await call(gateway, "mixed")
        #expect(mixed.code == "OK" && mixed.rejected == 2)
        #expect(mixed.message.contains("16 bytes"), "\(mixed.message)")
        let good = try await call(gateway)
        #expect(good.code == "OK" && good.rejected == 0 && good.message.isEmpty)
        #expect(gateway.end(SIGTERM) == 0)

        let secure = try self.gateway(sink, grpc: ", tls: {cert_file: FOLDER/cert.pem, key_file: FOLDER/key.pem}")
        let certificate = secure.folder.appending(path: "cert.pem").path
        try SelfSigned.make(certificate, key: secure.folder.appending(path: "key.pem").path)
        try await secure.start()
        let overTLS = try await call(secure, "mixed", certificate: certificate)
        #expect(overTLS.code == "OK" && overTLS.rejected == 2)
        #expect(secure.end(SIGTERM) == 0)
    }

    @Test func `a call that its client gives up is not counted as answered with OK`() async throws {
        let sink = try FaultySink()
        defer { sink.stop() }
        // Nothing is answered before the sink has it, and the sink takes its time.
        sink.behave(.slow(20_000))
        let gateway = try gateway(sink, pipeline: ", ack: delivered")
        try await gateway.start()
        let late = try await call(gateway, timeout: 5)
        #expect(late.code == "DEADLINE_EXCEEDED")
        try await gateway.waitUntilDelivered()
        #expect(try await calls("OK", gateway) == 0)
        // The deadline ran out here too, or the client's reset came first; in neither case is there an answer.
        #expect(try await calls("DEADLINE_EXCEEDED", gateway) <= 1)
        // The data is kept all the same: the client sends it again, which doubles it rather than loses it.
        #expect(sink.requests == 1)
        sink.behave(.accept)
        #expect(try await call(gateway).code == "OK")
        #expect(try await calls("OK", gateway) == 1)
        #expect(gateway.end(SIGTERM) == 0)
    }

    @Test func `a full queue is UNAVAILABLE with the time to wait`() async throws {
        let sink = try FaultySink()
        defer { sink.stop() }
        sink.behave(.status(503))
        let gateway = try gateway(sink, queue: ", queue_size: 1")
        try await gateway.start()
        #expect(try await call(gateway).code == "OK")
        let full = try await call(gateway)
        #expect(full.code == "UNAVAILABLE")
        #expect(full.retry_seconds == 1)
        #expect(full.message.contains("queue of exporter otlp_http is full"), "\(full.message)")
        sink.behave(.accept)
        try await gateway.waitUntilDelivered()
        #expect(try await call(gateway).code == "OK")
        #expect(gateway.end(SIGTERM) == 0)
    }

    /// Sends spans with names of so many bytes until one is refused with 503.
    private func fill(_ gateway: RunningGateway, _ size: Int) async throws {
        let name = String(repeating: "x", count: size)
        let ids = "\"traceId\":\"\(AgentTraffic.hex(1, 32))\",\"spanId\":\"\(AgentTraffic.hex(1, 16))\""
        let body = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\(ids),\"name\":\"\(name)\"}]}]}]}"
        var status = 200
        for _ in 0..<2_000 where status == 200 {
            status = try await gateway.post(Array(body.utf8), path: "/v1/traces", type: "application/json")
        }
        #expect(status == 503)
    }

    @Test func `a memory_limiter that is full is UNAVAILABLE with the time to wait, and 503 over HTTP`() async throws {
        let sink = try FaultySink()
        defer { sink.stop() }
        sink.behave(.status(503))
        let limit = "memory_limiter: {check_interval: 1s, limit_mib: 80, spike_limit_mib: 8}"
        let gateway = try gateway(
            sink, queue: ", storage: memory, queue_size: 100000", pipeline: ", processors: [memory_limiter]",
            processors: limit)
        try await gateway.start()
        #expect(try await call(gateway).code == "OK")
        // The journal is in memory and the sink takes nothing, so what is sent adds up.
        for size in [200_000, 5_000, 10] { try await fill(gateway, size) }
        // Room that an attempt to deliver gives back for a moment may be enough for one more.
        var full = try await call(gateway)
        for _ in 0..<50 where full.code == "OK" { full = try await call(gateway) }
        #expect(full.code == "UNAVAILABLE" && full.retry_seconds ?? 0 > 0, "\(full)")
        sink.behave(.accept)
        try await gateway.waitUntilDelivered()
        try await gateway.wait("room") { try await call(gateway).code == "OK" }
        #expect(gateway.end(SIGTERM) == 0)
    }
}

/// Certificates for a test's own server.
enum SelfSigned {
    static func make(_ certificate: String, key: String) throws {
        let made = try ChildProcess.runBlocking(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                "-out", certificate,
            ])
        #expect(made.status == 0, "\(made.errors)")
    }
}
