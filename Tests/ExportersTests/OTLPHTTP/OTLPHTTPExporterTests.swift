import CDeflate
@testable import Exporters
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct OTLPHTTPExporterTests {
    private func exporter(_ server: ScriptedServer, _ more: String = "") async throws -> OTLPHTTPExporter {
        let yaml = "endpoint: \(server.url)\n" + more
        let read = options(OTLPHTTPOptions.self, yaml)
        #expect(read.problems == [])
        let exporter = OTLPHTTPExporter(
            options: read.options, build: exporterBuild(), version: "1.2.3", engine: CurlEngine())
        try await exporter.start()
        return exporter
    }

    private let batch = ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan()]))

    @Test func `posts protobuf with the headers that OTLP asks for`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server, "compression: none\nheaders: {x-key: secret, x-empty: ''}\n")
        #expect(await exporter.export(batch) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.line == "POST /v1/traces HTTP/1.1")
        #expect(request.body == batch.bytes)
        #expect(request.headers["content-type"] == "application/x-protobuf")
        #expect(request.headers["user-agent"] == "Sluice/1.2.3")
        #expect(request.headers["x-key"] == "secret")
        #expect(request.headers["x-empty"] == "")
        #expect(request.headers["content-encoding"] == nil)
        #expect(request.headers["expect"] == nil)
    }

    @Test func `compresses with gzip by default and writes JSON on request`() async throws {
        let server = ScriptedServer { _, _ in
            .answer(200, headers: ["Content-Type: application/json"], body: [0x7B, 0x7D])
        }
        defer { server.stop() }
        let exporter = try await exporter(server, "encoding: json\n")
        #expect(await exporter.export(batch) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.headers["content-encoding"] == "gzip")
        #expect(request.headers["content-type"] == "application/json")
        let text = String(decoding: gunzip(request.body), as: UTF8.self)
        #expect(text.hasPrefix("{\"resourceSpans\":["))
        #expect(text.contains("\"traceId\":\"01010101010101010101010101010101\""))
    }

    private func gunzip(_ bytes: [UInt8]) -> [UInt8] {
        guard let decompressor = libdeflate_alloc_decompressor() else { return [] }
        defer { libdeflate_free_decompressor(decompressor) }
        var count = 0
        var out = [UInt8](repeating: 0, count: 1 << 20)
        let result = libdeflate_gzip_decompress(decompressor, bytes, bytes.count, &out, out.count, &count)
        return result == LIBDEFLATE_SUCCESS ? Array(out[..<count]) : []
    }

    @Test func `uses one connection for one request after the other`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server)
        for _ in 0..<20 { #expect(await exporter.export(batch) == .delivered) }
        #expect(server.requests.count == 20)
        #expect(server.connections == 1)
    }

    @Test func `sends an empty request and one of many megabytes`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server, "compression: none\n")
        let large = [UInt8](repeating: 7, count: 9_000_000)
        #expect(await exporter.export(ExportBatch(signal: .logs, itemCount: 0, bytes: [])) == .delivered)
        #expect(await exporter.export(ExportBatch(signal: .logs, itemCount: 1, bytes: large)) == .delivered)
        #expect(server.requests.map(\.body.count) == [0, 9_000_000])
    }

    @Test func `runs several requests at once without mixing their answers`() async throws {
        let server = ScriptedServer { _, request in
            .answer(request.body.count % 2 == 0 ? 200 : 400, body: Array("n\(request.body.count)".utf8))
        }
        defer { server.stop() }
        let exporter = try await exporter(server, "compression: none\n")
        await withTaskGroup(of: (Int, ExportOutcome).self) { group in
            for size in 1...40 {
                group.addTask {
                    let bytes = [UInt8](repeating: 1, count: size)
                    return (size, await exporter.export(ExportBatch(signal: .traces, itemCount: 1, bytes: bytes)))
                }
            }
            for await (size, outcome) in group {
                let refusal = "HTTP 400, it says \"n\(size)\""
                #expect(outcome == (size % 2 == 0 ? .delivered : .permanent(reason: refusal)))
            }
        }
    }

    @Test func `reads Retry-After in seconds and as a date`() async throws {
        let server = ScriptedServer { index, _ in
            .answer(503, headers: ["Retry-After: " + (index == 0 ? "17" : "Fri, 01 Jan 2100 00:00:00 GMT")])
        }
        defer { server.stop() }
        let exporter = try await exporter(server)
        #expect(await exporter.export(batch) == .retry(reason: "HTTP 503", after: .seconds(17)))
        guard case .retry(_, let after?) = await exporter.export(batch) else {
            Issue.record("no hint from the date")
            return
        }
        #expect(after == .seconds(86_400), "a far date is capped")
    }

    @Test func `retries after a reset, a refused connection and a silent server`() async throws {
        let server = ScriptedServer { index, _ in index == 0 ? .reset : .silence }
        let exporter = try await exporter(server, "timeout: 300ms\n")
        for _ in 0..<2 {
            guard case .retry = await exporter.export(batch) else {
                Issue.record("not a retry")
                return
            }
        }
        server.stop()
        guard case .retry = await exporter.export(batch) else {
            Issue.record("not a retry")
            return
        }
    }

    @Test func `stops reading an endless answer`() async throws {
        let server = ScriptedServer { _, _ in .answer(200, body: [UInt8](repeating: 65, count: 5 << 20)) }
        defer { server.stop() }
        let exporter = try await exporter(server)
        #expect(await exporter.export(batch) == .delivered, "the status has said that the data is there")
    }

    @Test func `follows no redirect`() async throws {
        let server = ScriptedServer { _, _ in .answer(307, headers: ["Location: http://127.0.0.1:1/elsewhere"]) }
        defer { server.stop() }
        let exporter = try await exporter(server)
        guard case .permanent(let reason) = await exporter.export(batch) else {
            Issue.record("not permanent")
            return
        }
        #expect(reason.contains("redirects are not followed"))
        #expect(server.requests.count == 1)
    }

    @Test func `stops a transfer when its task is cancelled`() async throws {
        let server = ScriptedServer { _, _ in .silence }
        defer { server.stop() }
        let exporter = try await exporter(server)
        let batch = batch
        let task = Task { await exporter.export(batch) }
        while server.requests.isEmpty { await Task.yield() }
        task.cancel()
        guard case .retry = await task.value else {
            Issue.record("not a retry")
            return
        }
        let early = Task { () -> ExportOutcome in
            while !Task.isCancelled { await Task.yield() }
            return await exporter.export(batch)
        }
        early.cancel()
        guard case .retry = await early.value else {
            Issue.record("not a retry")
            return
        }
    }

    @Test func `refuses what is too large and signals without endpoint`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let yaml = "{traces_endpoint: '\(server.url)/t', max_request_body_size: 1KiB, compression: none}"
        let read = options(OTLPHTTPOptions.self, yaml)
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        try await exporter.start()
        #expect(exporter.accepts(.traces))
        #expect(!exporter.accepts(.logs))
        guard case .permanent = await exporter.export(ExportBatch(signal: .logs, itemCount: 1, bytes: [1])) else {
            Issue.record("not permanent")
            return
        }
        let large = ExportBatch(signal: .traces, itemCount: 1, bytes: [UInt8](repeating: 0, count: 1_025))
        guard case .tooLarge(let reason) = await exporter.export(large) else {
            Issue.record("not too large")
            return
        }
        #expect(reason.contains("1025") && reason.contains("max_request_body_size"))
        #expect(server.requests.isEmpty)
    }

    @Test func `will not start with certificate files that are not there`() async throws {
        let read = options(OTLPHTTPOptions.self, "{endpoint: 'https://h', tls: {ca_file: /nonexistent/ca.pem}}")
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        await #expect(throws: ExporterStartFailure.self) { try await exporter.start() }
    }

    @Test func `ends the transfers of an engine that stops`() async throws {
        let server = ScriptedServer { _, _ in .silence }
        defer { server.stop() }
        let engine = CurlEngine()
        let target = try CurlTarget(CurlTargetOptions(url: server.url), engine: engine)
        async let result = engine.post([1], to: target)
        while server.requests.isEmpty { await Task.yield() }
        engine.stop()
        guard case .cancelled = await result else {
            Issue.record("not cancelled")
            return
        }
        guard case .cancelled = await engine.post([1], to: target) else {
            Issue.record("not cancelled")
            return
        }
    }
}
