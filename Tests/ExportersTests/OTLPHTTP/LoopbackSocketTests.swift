@testable import Exporters
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

/// How connections to this machine are opened.
@Suite(.timeLimit(.minutes(15))) struct LoopbackSocketTests {
    /// The congestion control of this process' own socket that is connected to a port of this machine.
    private static func congestionControl(ofConnectionTo port: UInt16) -> String? {
        for descriptor in Int32(3)..<2048 where peerPort(descriptor) == port {
            var name = [CChar](repeating: 0, count: 16)
            var length = socklen_t(name.count)
            guard getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_CONGESTION, &name, &length) == 0 else { return nil }
            return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return nil
    }

    private static func peerPort(_ descriptor: Int32) -> UInt16? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        return code == 0 && address.sin_family == sa_family_t(AF_INET) ? UInt16(bigEndian: address.sin_port) : nil
    }

    @Test func `a connection to this machine is not paced, whatever the system's default`() async throws {
        let seen = Mutex<String?>(nil)
        let port = Mutex<UInt16>(0)
        let server = ScriptedServer { _, _ in
            seen.withLock { $0 = Self.congestionControl(ofConnectionTo: port.withLock { $0 }) }
            return .answer(200)
        }
        defer { server.stop() }
        port.withLock { $0 = server.port }
        let read = options(OTLPHTTPOptions.self, "{endpoint: '\(server.url)', compression: none}")
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        try await exporter.start()
        let batch = ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan(id: 1)]))
        #expect(await exporter.export(batch) == .delivered)
        #expect(seen.withLock { $0 } == "reno")
    }
}
