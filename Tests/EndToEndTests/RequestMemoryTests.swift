import Foundation
import OTLP
import Telemetry
import TestSupport
import Testing

/// How much memory one request takes, measured on the process: the numbers of docs/otlp.md.
@Suite(.serialized, .timeLimit(.minutes(15))) struct RequestMemoryTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        exporters: {nop: {}}
        service:
          telemetry:
            metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
          pipelines:
            traces: {receivers: [otlp], exporters: [nop]}
        """

    /// Recorded requests behind each other, which are one, until there are this many bytes.
    private func request(bytes: Int) -> [UInt8] {
        let recorded = CorpusPayload.protobuf.filter { $0.signal == .traces }
        var request: [UInt8] = []
        while request.count < bytes { for payload in recorded { request += payload.bytes } }
        return request
    }

    /// The highest resident size of a process so far, in bytes.
    private func peak(_ pid: pid_t) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
        return (Int(line.filter(\.isNumber)) ?? 0) << 10
    }

    private func gzip(_ bytes: [UInt8], in folder: URL) throws -> [UInt8] {
        let file = folder.appending(path: "body")
        try Data(bytes).write(to: file)
        _ = try ChildProcess.runBlocking("gzip", ["-1", "-f", file.path])
        return [UInt8](try Data(contentsOf: folder.appending(path: "body.gz")))
    }

    /// Bytes that a gateway takes for a body beyond what it takes for a small one.
    private func held(
        _ body: [UInt8], type: String = "application/x-protobuf", headers: [String] = []
    ) async throws
        -> Int
    {
        let gateway = try RunningGateway(Self.configuration)
        try await gateway.start()
        guard let connection = LoopbackConnection(port: gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        #expect(connection.post(NumberedSpans.request(1)) == 200)
        let before = try peak(gateway.pid)
        #expect(connection.post(body, type: type, headers: headers) == 200, "\(connection.lastBody)")
        let after = try peak(gateway.pid)
        #expect(gateway.end(SIGTERM) == 0)
        return after - before
    }

    @Test func `a request holds at most the stated multiple of its bytes`() async throws {
        let protobuf = request(bytes: 24 << 20)
        var text = ByteColumn()
        protobuf.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: .traces, into: &text) }
        let json = [UInt8](text.bytes)
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-memory-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let zipped = try gzip(protobuf, in: folder)

        let ratios = [
            ("protobuf", Double(try await held(protobuf)) / Double(protobuf.count), 3.5),
            ("JSON", Double(try await held(json, type: "application/json")) / Double(json.count), 4.0),
            (
                "gzip, of the inflated bytes",
                Double(try await held(zipped, headers: ["Content-Encoding: gzip"])) / Double(protobuf.count), 3.5
            ),
        ]
        print("memory per request: \(ratios.map { "\($0.0) \(($0.1 * 10).rounded() / 10)" }.joined(separator: ", "))")
        for (what, ratio, limit) in ratios {
            #expect(ratio > 0.5 && ratio < limit, "\(what): \(ratio) bytes held for each byte")
        }
    }
}
