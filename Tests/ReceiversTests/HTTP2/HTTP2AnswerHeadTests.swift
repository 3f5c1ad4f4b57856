import NIOCore
import NIOHPACK
import TestSupport
import Testing

@testable import Receivers

/// Heads of answers that grow with what their requests ask for.
struct HTTP2AnswerHeadTests {
    /// In an answer, whose values are Huffman-coded, 13 bits for each of these: more than a frame holds.
    private let long = String(repeating: "~", count: 11_000)

    private func request(
        _ stream: UInt32, _ method: String, _ path: String, _ extra: [(String, String)] = []
    ) -> [UInt8] {
        let fields = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)] + extra
        return H2Frame(type: H2Frame.headers, flags: 5, stream: stream, payload: H2Frame.block(fields)).bytes
    }

    private func connect(to server: TestServer) throws -> RawClient {
        let client = try server.connect()
        client.send(ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0).bytes)
        return client
    }

    /// The first frame of a stream but for windows; nil when the connection ends before.
    private func first(of stream: UInt32, from client: RawClient) -> H2Frame? {
        while let frame = client.frame() {
            if frame.stream == stream, frame.type != H2Frame.windowUpdate { return frame }
        }
        return nil
    }

    @Test func `an origin or headers that no browser sends leave the connection as it is`() async throws {
        let cors = "cors: {allowed_origins: [\"https://*.example\"], allowed_headers: [\"*\"]}"
        let origin = ("origin", "https://\(long).example")
        let method = ("access-control-request-method", "POST")
        let usual = ("origin", "https://a.example")
        let requests: [(method: String, path: String, extra: [(String, String)], origin: String?)] = [
            ("GET", "/nowhere", [usual], usual.1), ("GET", "/nowhere", [origin], nil),
            ("OPTIONS", "/v1/traces", [origin, method], nil),
            ("OPTIONS", "/v1/traces", [usual, method, ("access-control-request-headers", long)], nil),
            ("OPTIONS", "/v1/traces", [usual, method, ("access-control-request-headers", "x-a")], usual.1),
            ("GET", "/nowhere", [usual], usual.1),
        ]
        try await withServer(http: [cors]) { server in
            let client = try connect(to: server)
            var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
            for (index, asked) in requests.enumerated() {
                let stream = UInt32(index * 2 + 1)
                client.send(request(stream, asked.method, asked.path, asked.extra))
                let frame = try #require(first(of: stream, from: client))
                try #require(frame.type == H2Frame.headers)
                var block = ByteBuffer(bytes: frame.payload)
                let headers = try decoder.decodeHeaders(from: &block)
                #expect(headers.first(name: ":status") == (asked.method == "GET" ? "404" : "204"))
                #expect(headers.first(name: "access-control-allow-origin") == asked.origin)
            }
        }
    }

    @Test func `an answer whose headers are larger than a frame is not sent in part`() async throws {
        try await withServer(http: ["response_headers: {X-Long: \"\(long)\"}"]) { server in
            let client = try connect(to: server)
            client.send(request(1, "GET", "/nowhere"))
            var frames: [H2Frame] = []
            while let frame = client.frame() { frames.append(frame) }
            #expect(!frames.contains { $0.stream == 1 && $0.type != H2Frame.windowUpdate })
            #expect(frames.last?.type == H2Frame.goAway)
            #expect(frames.last?.code(at: 4) == 2)
            #expect(eventually { server.receiver.connectionCount == 0 && server.budget.used == 0 })
            let other = try server.connect()
            other.send(post())
            #expect(try other.response().headers["x-long"] == long)
        }
    }
}
