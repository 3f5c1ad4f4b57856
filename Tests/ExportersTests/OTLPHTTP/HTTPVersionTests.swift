import Configuration
@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

/// Exporters of one process that speak different versions of HTTP with one server over TLS.
@Suite(.serialized, .timeLimit(.minutes(15))) struct HTTPVersionTests {
    private let files: Certificates
    private let server: HTTPVersionsServer
    private let engine = CurlEngine()

    init() throws {
        files = try Certificates()
        try files.makeAuthority("ours")
        try files.make("server", by: "ours")
        server = try HTTPVersionsServer(certificate: files.path("server.pem"), key: files.path("server.key"))
    }

    private func http(_ version: String) async throws -> OTLPHTTPExporter {
        let read = options(
            OTLPHTTPOptions.self,
            "{endpoint: 'https://localhost:\(server.port)', http_version: '\(version)', "
                + "tls: {ca_file: \(files.path("ours.pem"))}}")
        #expect(read.problems == [])
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1", engine: engine)
        try await exporter.start()
        return exporter
    }

    private func grpc() async throws -> OTLPGRPCExporter {
        let read = options(
            OTLPGRPCOptions.self,
            "{endpoint: 'https://localhost:\(server.port)', tls: {ca_file: \(files.path("ours.pem"))}}")
        #expect(read.problems == [])
        let exporter = OTLPGRPCExporter(options: read.options, build: exporterBuild(), version: "1", engine: engine)
        try await exporter.start()
        return exporter
    }

    private let batch = ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan()]))

    @Test func `HTTP 2 is spoken behind others that have left a connection of 1.1 to the same server`() async throws {
        let (one, two, calls) = (try await http("1.1"), try await http("2"), try await grpc())
        for _ in 0..<2 {
            #expect(await one.export(batch) == .delivered)
            #expect(await two.export(batch) == .delivered)
            #expect(await calls.export(batch) == .delivered)
        }
        // The two that speak HTTP/2 share a connection.
        #expect(server.requests == ["HTTP/1.1 1", "HTTP/2 2", "HTTP/2 2", "HTTP/1.1 1", "HTTP/2 2", "HTTP/2 2"])
        engine.stop()
    }

    @Test func `HTTP 1 is spoken behind others that have left a connection of 2 to the same server`() async throws {
        let (one, two) = (try await http("1.1"), try await http("2"))
        for _ in 0..<2 {
            #expect(await two.export(batch) == .delivered)
            #expect(await one.export(batch) == .delivered)
        }
        #expect(server.requests == ["HTTP/2 1", "HTTP/1.1 2", "HTTP/2 1", "HTTP/1.1 2"])
        engine.stop()
        for exporter in [one, two] {
            guard case .retry = await exporter.export(batch) else {
                Issue.record("an engine still runs")
                continue
            }
        }
    }
}
