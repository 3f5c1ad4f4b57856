import NIOCore
import NIOHTTP2
import Pipeline
import TestSupport
import Testing

@testable import Receivers

/// Faults that concern one stream (RFC 9113, 5.4.2): the stream is reset, the others go on.
struct HTTP2StreamErrorTests {
    private static let usual = [
        (":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/v1/traces"),
        ("content-type", "application/json"),
    ]

    private static func head(_ fields: [(String, String)], ends: Bool = true) -> [UInt8] {
        H2Frame(type: H2Frame.headers, flags: ends ? 5 : 4, stream: 1, payload: H2Frame.block(fields)).bytes
    }

    private static func without(_ name: String) -> [(String, String)] { usual.filter { $0.0 != name } }

    private static func data(_ bytes: [UInt8], ends: Bool) -> [UInt8] {
        H2Frame(type: H2Frame.data, flags: ends ? 1 : 0, stream: 1, payload: bytes).bytes
    }

    private static func window(_ increment: [UInt8]) -> [UInt8] {
        H2Frame(type: H2Frame.windowUpdate, stream: 1, payload: increment).bytes
    }

    struct Fault: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var frames: [UInt8]
        var code: HTTP2ErrorCode = .protocolError

        init(_ what: String, _ frames: [UInt8], _ code: HTTP2ErrorCode = .protocolError) {
            testDescription = what
            self.frames = frames
            self.code = code
        }
    }

    private static let faults = [
        Fault("a name in upper case", head(usual + [("X-Upper", "1")])),
        Fault("a header of HTTP/1 connections", head(usual + [("connection", "close")])),
        Fault("te that is not trailers", head(usual + [("te", "gzip")])),
        Fault("no path", head(without(":path"))),
        Fault("no method", head(without(":method"))),
        Fault("two paths", head([(":path", "/")] + usual)),
        Fault("a pseudo header behind the others", head(without(":path") + [(":path", "/v1/traces")])),
        Fault("an unknown pseudo header", head([(":wrong", "1")] + usual)),
        Fault(
            "fewer bytes than Content-Length",
            head(usual + [("content-length", "5")], ends: false)
                + data([0x7B, 0x7D], ends: true)),
        Fault(
            "more bytes than Content-Length",
            head(usual + [("content-length", "1")], ends: false)
                + data([0x7B, 0x7D], ends: true)),
        Fault(
            "trailers that are a head", head(usual, ends: false) + head(usual, ends: true)),
        Fault(
            "a window that overflows", head(usual, ends: false) + window([0x7F, 0xFF, 0xFF, 0xFF]), .flowControlError),
    ]

    @Test(arguments: faults) func `the stream is reset with the code and the next one is answered`(
        fault: Fault
    ) async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            let good = H2Frame(type: H2Frame.headers, flags: 5, stream: 3, payload: H2Frame.block(Self.usual))
            client.send(
                ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0).bytes + fault.frames + good.bytes)
            var reset: Int?
            var isAnswered = false
            while let frame = client.frame() {
                #expect(frame.type != H2Frame.goAway)
                if frame.type == H2Frame.reset, frame.stream == 1 { reset = frame.code() }
                if frame.stream == 3, frame.flags & 1 == 1 { isAnswered = true }
                if reset != nil, isAnswered { break }
            }
            #expect(reset == fault.code.networkCode)
            #expect(isAnswered)
            #expect(server.value("sluice_receiver_requests_total", "200") == 1)
            #expect(ingest.calls.count == 1)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `a connection that ends answers what takes its time, and what crosses its GOAWAY`()
        async throws
    {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(
                ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0).bytes + Self.head(Self.usual))
            #expect(ingest.hasCalls(1))
            async let end: Void = server.receiver.shutdown(deadline: .seconds(60))
            var answered: Set<UInt32> = []
            let crossing =
                H2Frame(type: H2Frame.headers, flags: 4, stream: 3, payload: H2Frame.block(Self.usual)).bytes
                + H2Frame(type: H2Frame.data, flags: 1, stream: 3, payload: [0x7B, 0x7D]).bytes
            while let frame = client.frame() {
                if frame.type == H2Frame.goAway {
                    client.send(crossing)
                    #expect(ingest.hasCalls(2))
                    try await Task.sleep(for: .milliseconds(300))
                    ingest.release(.accepted)
                }
                if frame.stream > 0, frame.flags & 1 == 1 { answered.insert(frame.stream) }
            }
            await end
            #expect(answered == [1, 3])
        }
    }

    @Test func `what a client has sent whole before it ended its direction is answered, and the rest is gone`()
        async throws
    {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let client = try server.connect()
            let cut = H2Frame(type: H2Frame.headers, flags: 4, stream: 3, payload: H2Frame.block(Self.usual))
            client.send(
                ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0).bytes + Self.head(Self.usual)
                    + cut.bytes)
            #expect(ingest.hasCalls(1))
            client.finishSending()
            var answered: Set<UInt32> = []
            while let frame = client.frame() {
                if frame.type == H2Frame.goAway {
                    // Behind the time in which the connection would wait for more streams.
                    try await Task.sleep(for: .milliseconds(300))
                    ingest.release(.accepted)
                }
                if frame.stream > 0, frame.type == H2Frame.headers { answered.insert(frame.stream) }
            }
            #expect(answered == [1] && ingest.calls.count == 1)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `a sender that resets a call while its answer is written leaves the other calls alone`() async throws {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let client = try await H2Client.connect(port: server.port)
            let first = try await client.open()
            let second = try await client.open()
            for stream in [first, second] { stream.send(h2Post("/v1/traces"), ends: true) }
            #expect(ingest.hasCalls(2))
            first.reset()
            ingest.release(.accepted)
            #expect(try await second.answer().status == 200)
            #expect(try await client.open().channel.isActive)
            await client.close()
        }
    }

    @Test func `faults of streams again and again end the connection`() async throws {
        let fault = H2Frame.block(Self.without(":path"))
        let flood = (0..<1000).flatMap { index in
            H2Frame(type: H2Frame.headers, flags: 5, stream: UInt32(index * 2 + 1), payload: fault).bytes
        }
        try await withServer { server in
            let client = try server.connect()
            client.send(ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0).bytes + flood)
            var resets = 0
            while let frame = client.frame() { if frame.type == H2Frame.reset { resets += 1 } }
            #expect(resets <= HTTP2Limits.errorsMax)
            #expect(eventually { server.receiver.connectionCount == 0 })
        }
    }

    @Test func `a GOAWAY with an error is seen behind payloads in buffers of their own`() {
        let watch = GoAwayWatch()
        func see(_ bytes: [UInt8]) { watch.look(at: ByteBuffer(bytes: bytes)) }
        let noError = H2Frame(type: H2Frame.goAway, stream: 0, payload: [UInt8](repeating: 0, count: 8)).bytes
        let calm = H2Frame(type: H2Frame.goAway, stream: 0, payload: [0, 0, 0, 0, 0, 0, 0, 11]).bytes
        see(noError)
        // A DATA frame whose content looks like a GOAWAY.
        see(Array(H2Frame(type: H2Frame.data, stream: 1, payload: calm).bytes.prefix(9)))
        see(calm)
        #expect(watch.error == nil)
        see(calm)
        #expect(watch.error == .enhanceYourCalm)
    }
}
