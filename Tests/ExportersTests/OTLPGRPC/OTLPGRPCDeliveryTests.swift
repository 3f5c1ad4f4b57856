import Configuration
@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

/// The exporter against grpcio's server.
@Suite(.serialized, .timeLimit(.minutes(15)), .enabled(if: GRPCServer.isExpected)) struct OTLPGRPCDeliveryTests {
    private func exporter(_ yaml: String, port: Int) async throws -> OTLPGRPCExporter {
        let more =
            (yaml.contains("tls:") ? "" : ", tls: {insecure: true}")
            + (yaml.contains("timeout:") ? "" : ", timeout: 60s")
        let read = options(OTLPGRPCOptions.self, "{endpoint: 'localhost:\(port)'\(more)\(yaml)}")
        #expect(read.problems == [])
        let exporter = OTLPGRPCExporter(
            options: read.options, build: exporterBuild(), version: "1", engine: CurlEngine())
        try await exporter.start()
        return exporter
    }

    private func spans(_ count: Int) -> ExportBatch {
        let spans = (0..<count).map { TestSpan(id: UInt8($0 + 1)) }
        return ExportBatch(signal: .traces, itemCount: count, bytes: TestRequest.traces(spans))
    }

    @Test(arguments: ["none", "gzip", "zstd"]) func `calls the method of the signal with its metadata`(
        _ compression: String
    ) async throws {
        let server = try await GRPCServer()
        let exporter = try await exporter(
            ", compression: \(compression), timeout: 90s, headers: {X-Tenant: blue, X-Bin: red}", port: server.port)
        // grpcio knows no zstd: it says so, and nothing is lost without a word.
        if compression == "zstd" {
            let outcome = await exporter.export(spans(3))
            guard case .permanent(let reason) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(reason.contains("grpc-encoding"))
            return
        }
        for _ in 0..<3 { #expect(await exporter.export(spans(3)) == .delivered) }
        var pieces = spans(3)
        pieces = ExportBatch(signal: .traces, itemCount: 6, pieces: pieces.pieces + pieces.pieces)
        #expect(await exporter.export(pieces) == .delivered)
        let logs = ExportBatch(signal: .logs, itemCount: 0, bytes: [])
        #expect(await exporter.export(logs) == .delivered)
        let calls = server.calls
        #expect(calls.map(\.records) == [3, 3, 3, 6, 0])
        #expect(calls[0].method == "/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        #expect(calls[4].method == "/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        #expect(calls[0].metadata["x-tenant"] == "blue")
        #expect(calls[0].metadata["x-bin"] == "red", "sent in base64")
        #expect(calls[0].metadata["user-agent"] == "Sluice/1")
        let deadline = try #require(calls[0].deadline)
        #expect(deadline > 60 && deadline <= 90)
    }

    @Test func `reads partial success, warnings and pauses`() async throws {
        let server = try await GRPCServer(
            ["partial=2", "warning=slow down", "unavailable=3", "unavailable", "exhausted=4", "exhausted"])
        let exporter = try await exporter("", port: server.port)
        let (old, slow) = ("it says \"too old, 100% sure\"", "it says \"slow down\"")
        let restart = "UNAVAILABLE, it says \"rolling restart\""
        let full = "RESOURCE_EXHAUSTED, it says \"come back later\""
        #expect(await exporter.export(spans(3)) == .partial(rejected: 2, message: old))
        #expect(await exporter.export(spans(3)) == .partial(rejected: 0, message: slow))
        #expect(await exporter.export(spans(3)) == .retry(reason: restart, after: .seconds(3)))
        #expect(await exporter.export(spans(3)) == .retry(reason: restart, after: nil))
        #expect(await exporter.export(spans(3)) == .retry(reason: full, after: .seconds(4)))
        #expect(await exporter.export(spans(3)) == .permanent(reason: full))
        #expect(await exporter.export(spans(3)) == .delivered)
    }

    @Test func `halves what is larger than the server takes`() async throws {
        let server = try await GRPCServer(limit: 2_000)
        let exporter = try await exporter(", compression: none", port: server.port)
        let outcome = await exporter.export(spans(60))
        guard case .tooLarge(let reason) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.contains("RESOURCE_EXHAUSTED") && reason.contains("larger than max"))
        let small = try await self.exporter(", max_request_body_size: 1KiB", port: server.port)
        let own = await small.export(spans(60))
        guard case .tooLarge(let limit) = own else {
            Issue.record("\(own)")
            return
        }
        #expect(limit.contains("max_request_body_size"))
        #expect(server.calls.isEmpty)
    }

    @Test func `tries again after a server that dies or hangs in a call`() async throws {
        let mortal = try await GRPCServer(["die"])
        let first = try await exporter("", port: mortal.port)
        for _ in 0..<2 {
            let outcome = await first.export(spans(1))
            guard case .retry = outcome else {
                Issue.record("\(outcome)")
                return
            }
        }
        let slow = try await GRPCServer(["hang"])
        let second = try await exporter(", timeout: 300ms", port: slow.port)
        let outcome = await second.export(spans(1))
        guard case .retry = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test func `speaks TLS, checks the certificate, and shares one connection`() async throws {
        let files = try Certificates()
        try files.makeAuthority("ours")
        try files.makeAuthority("theirs")
        try files.make("server", by: "ours")
        let server = try await GRPCServer(tls: (files.path("server.pem"), files.path("server.key")))
        let exporter = try await exporter(", tls: {ca_file: \(files.path("ours.pem"))}", port: server.port)
        await withTaskGroup(of: ExportOutcome.self) { group in
            for _ in 0..<12 { group.addTask { await exporter.export(spans(2)) } }
            for await outcome in group { #expect(outcome == .delivered) }
        }
        #expect(server.calls.count == 12)
        let doubting = try await self.exporter(", tls: {ca_file: \(files.path("theirs.pem"))}", port: server.port)
        let outcome = await doubting.export(spans(1))
        guard case .retry(let reason, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.contains("certificate") || reason.contains("SSL"), "\(reason)")
        let trusting = try await self.exporter(", tls: {insecure_skip_verify: true}", port: server.port)
        #expect(await trusting.export(spans(1)) == .delivered)
    }

    @Test func `says what is wrong when the port speaks HTTP/1.1`() async throws {
        let server = ScriptedServer { _, _ in .answer(404, body: Array("no".utf8)) }
        defer { server.stop() }
        let exporter = try await exporter("", port: Int(server.port))
        let outcome = await exporter.export(spans(1))
        switch outcome {
        case .retry(let reason, _), .permanent(let reason): #expect(reason.contains("otlp_http"), "\(reason)")
        default: Issue.record("\(outcome)")
        }
    }
}
