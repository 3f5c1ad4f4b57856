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
        let before = try ProcessMemory.peak(gateway.pid)
        #expect(connection.post(body, type: type, headers: headers) == 200, "\(connection.lastBody)")
        let after = try ProcessMemory.peak(gateway.pid)
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

    /// Takes the whole frames from the front of `bytes`; gives how many of them end a stream.
    private func takeEnds(_ bytes: inout [UInt8]) -> Int {
        var ends = 0
        while let frame = H2Frame.next(&bytes) {
            if frame.type <= H2Frame.headers, frame.flags & 1 != 0 { ends += 1 }
        }
        return ends
    }

    @Test func `an HTTP/2 connection whose heads never end where a read ends takes no more memory`() async throws {
        let gateway = try RunningGateway(Self.configuration)
        try await gateway.start()
        let connection = try #require(LoopbackConnection(port: gateway.port))
        // GET of a path that is not there, with 10 KB of fields that enter no table (RFC 7541, 6.2.3).
        let field: [UInt8] = [0x10, 1, 0x78, 120] + [UInt8](repeating: 0x61, count: 120)
        let head = [0x82, 0x86, 0x04, 5] + Array("/nope".utf8) + [[UInt8]](repeating: field, count: 80).joined()
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        let settings = H2Frame(type: H2Frame.settings, stream: 0)
        let window = H2Frame(type: H2Frame.windowUpdate, stream: 0, payload: [0x40, 0, 0, 0])
        #expect(connection.send(preface + settings.bytes + window.bytes))
        var (stream, sent, answered): (UInt32, Int, Int) = (1, 0, 0)
        var (unsent, received) = ([UInt8](), [UInt8]())
        var before = 0
        for round in 0..<160 {
            for _ in 0..<40 {
                unsent += H2Frame(type: H2Frame.headers, flags: 5, stream: stream, payload: head).bytes
                stream += 2
            }
            #expect(connection.send(Array(unsent.dropLast(5_000))))
            unsent = Array(unsent.suffix(5_000))
            sent += 40
            while answered < sent - 1, connection.receive(&received) { answered += takeEnds(&received) }
            if round == 9 { before = try ProcessMemory.peak(gateway.pid) }
        }
        #expect(answered == sent - 1)
        let grown = try ProcessMemory.peak(gateway.pid) - before
        #expect(grown < 16 << 20, "\(grown >> 20) MiB for \(sent * head.count >> 20) MiB of heads")
        #expect(gateway.end(SIGTERM) == 0)
    }
}
