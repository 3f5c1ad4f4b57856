import NIOHPACK
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Receivers

/// OTLP/HTTP over HTTP/2 by prior knowledge, on the port of HTTP/1.1.
struct HTTP2RuleTests {
    private func withClient(
        _ setup: TestSetup = TestSetup(), _ body: @escaping (H2Client, TestServer) async throws -> Void
    ) async throws {
        try await withServer(setup) { server in
            let client = try await H2Client.connect(port: server.port)
            try await body(client, server)
            await client.close()
        }
    }

    @Test func `takes each signal in each encoding on one connection and answers in kind`() async throws {
        let ingest = FakeIngest(.elsewhere(.accepted))
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            for type in ["application/x-protobuf", "application/json"] {
                for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
                    let answer = try await client.request(h2Post(path, type: type), [1, 2])
                    #expect(answer.status == 200)
                    #expect(answer["content-type"] == type)
                    #expect(answer.text == (type.hasSuffix("json") ? "{}" : ""))
                }
            }
            #expect(ingest.calls.count == 6)
            #expect(ingest.calls.allSatisfy { $0.body == [1, 2] })
            #expect(server.value("sluice_receiver_requests_total", "200") == 6)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `HTTP 1 and HTTP 2 share the port`() async throws {
        try await withClient { (client, server) async throws in
            #expect(try await client.request(h2Post("/v1/traces")).status == 200)
            let old = try server.connect()
            for byte in post() { old.send([byte]) }
            #expect(try old.response().status == 200)
        }
    }

    @Test func `a value with a blank at an end is malformed`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            for value in [" a", "a ", "\ta", "a\t", " "] {
                let answer = try await client.request(h2Post("/v1/traces", [("x-tenant", value)]), [1])
                #expect(answer.status == 400)
                #expect(answer.text.contains("a blank"))
            }
            #expect(try await client.request(h2Post("/v1/traces", [("x-tenant", "a b")])).status == 200)
            #expect(ingest.calls.count == 1)
        }
    }

    /// RFC 9113, 8.3.1: a proxy may have routed by the other name.
    @Test func `a host that is not the authority is malformed`() async throws {
        try await withClient { (client, _) async throws in
            let authority = try #require(h2Post("/v1/traces").first(name: ":authority"))
            for (host, status) in [(authority, 200), (authority.uppercased(), 200), ("other", 400), ("", 400)] {
                let answer = try await client.request(h2Post("/v1/traces", [("host", host)]))
                #expect(answer.status == status)
                if status == 400 { #expect(answer.text.contains("':authority'")) }
            }
        }
    }

    /// RFC 9110, 6.6.1.
    @Test func `answers say when they were made`() async throws {
        try await withClient { (client, _) async throws in
            for path in ["/v1/traces", "/"] {
                let date = try #require(try await client.request(h2Post(path))["date"])
                #expect(date.hasSuffix(" GMT") && date.utf8.count == 29)
            }
        }
    }

    @Test func `the rules of HTTP 1 hold`() async throws {
        let setup = TestSetup(http: [
            "max_request_body_size: 1KiB", "response_headers: {X-Gateway: a}",
            "cors: {allowed_origins: [\"https://a.example\"]}",
        ])
        try await withClient(setup) { (client, _) async throws in
            let method = try await client.request(h2Post("/v1/traces", method: "GET"))
            #expect(method.status == 405)
            #expect(method["allow"] == "POST, OPTIONS")
            #expect(method["x-gateway"] == "a")
            #expect(try await client.request(h2Post("/")).status == 404)
            #expect(try await client.request(h2Post("/v1/traces", type: "text/plain"), [1]).status == 415)
            let coding = try await client.request(h2Post("/v1/traces", [("content-encoding", "br")]), [1])
            #expect(coding.status == 415)
            #expect(coding["accept-encoding"]?.contains("zstd") == true)
            let plain = [UInt8](repeating: 0, count: 1000)
            let packed = try await client.request(
                h2Post("/v1/traces", [("content-encoding", "zstd")]), Compressed.zstd(plain))
            #expect(packed.status == 200)
            let preflight = h2Post(
                "/v1/traces", method: "OPTIONS",
                [("origin", "https://a.example"), ("access-control-request-method", "POST")])
            let allowed = try await client.request(preflight)
            #expect(allowed.status == 204)
            #expect(allowed["access-control-allow-origin"] == "https://a.example")
        }
    }

    @Test func `a body over the cap is 413 by its length, as it comes and after inflating`() async throws {
        let ingest = FakeIngest()
        let setup = TestSetup(ingest: ingest, http: ["max_request_body_size: 100KiB"])
        try await withClient(setup) { (client, server) async throws in
            let stream = try await client.open()
            stream.send(h2Post("/v1/traces", [("content-length", "200000")]))
            #expect(try await stream.answer().status == 413)
            let open = try await client.open()
            open.send(h2Post("/v1/traces"))
            open.send([UInt8](repeating: 1, count: 150_000), ends: false)
            #expect(try await open.answer().status == 413)
            let bomb = Compressed.gzip([UInt8](repeating: 0, count: 1 << 20))
            let inflated = try await client.request(h2Post("/v1/traces", [("content-encoding", "gzip")]), bomb)
            #expect(inflated.status == 413)
            #expect(try await client.request(h2Post("/v1/traces"), [1]).status == 200)
            #expect(ingest.calls.count == 1)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    /// Frames of stream 1 for a request whose body is still under way, up to the reset; `before` goes ahead of it.
    private func frames(
        of path: String, before: [UInt8] = [], settings: [UInt8] = [], then more: [UInt8] = []
    ) async throws -> [H2Frame] {
        let head = H2Frame.block([
            (":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", path),
            ("content-type", "application/json"), ("content-length", "4000000"),
        ])
        var frames: [H2Frame] = []
        try await withServer(TestSetup(http: ["max_request_body_size: 1MiB"])) { server in
            let client = try server.connect()
            client.send(
                ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0, payload: settings).bytes
                    + H2Frame(type: H2Frame.headers, flags: 4, stream: 1, payload: head).bytes + before)
            var isMoreSent = more.isEmpty
            while let frame = client.frame() {
                guard frame.stream == 1 else { continue }
                frames.append(frame)
                if frame.type == H2Frame.reset { break }
                if !isMoreSent, frame.type == H2Frame.data {
                    client.send(more)
                    isMoreSent = true
                }
            }
        }
        return frames
    }

    @Test(arguments: ["/nowhere", "/v1/traces"])
    func `a refusal arrives whole before the rest of its request is called off`(path: String) async throws {
        let body = H2Frame(type: H2Frame.data, stream: 1, payload: [UInt8](repeating: 0x20, count: 16_000)).bytes
        for before in [[], body] {
            let frames = try await frames(of: path, before: before)
            #expect(frames.map(\.type).filter { $0 != H2Frame.windowUpdate } == [1, 0, 3])
            let data = try #require(frames.first { $0.type == H2Frame.data })
            #expect(data.flags & 1 == 1 && String(decoding: data.payload, as: UTF8.self).contains("message"))
            #expect(frames.last?.code() == 0)
        }
    }

    @Test func `a refusal that waits for the client's window is not cut off either`() async throws {
        // SETTINGS_INITIAL_WINDOW_SIZE of 10 bytes; then room for the rest of the answer.
        let window = H2Frame(type: H2Frame.windowUpdate, stream: 1, payload: [0, 0, 16, 0]).bytes
        let frames = try await frames(of: "/nowhere", settings: [0, 4, 0, 0, 0, 10], then: window)
        let data = frames.filter { $0.type == H2Frame.data }
        #expect(data.count == 2 && data[0].payload.count == 10 && data[1].flags & 1 == 1)
        #expect(String(decoding: data.flatMap(\.payload), as: UTF8.self).hasSuffix("}"))
        #expect(frames.last?.type == H2Frame.reset)
    }

    @Test func `an interim answer comes before a body that is held back`() async throws {
        try await withClient { (client, _) async throws in
            let stream = try await client.open()
            stream.send(h2Post("/v1/traces", [("expect", "100-continue"), ("content-length", "2")]))
            stream.send(Array("{}".utf8), ends: true)
            let answer = try await stream.answer()
            #expect(answer.heads.count == 2)
            #expect(answer.status == 100)
            #expect(answer["content-type"] == "application/json")
        }
    }

    @Test func `a body that is reset is not handed on`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            let stream = try await client.open()
            stream.send(h2Post("/v1/traces", [("content-length", "100")]))
            stream.send([1, 2, 3], ends: false)
            #expect(eventually { server.budget.used > 0 })
            stream.reset()
            #expect(eventually { server.budget.used == 0 })
            #expect(ingest.calls.isEmpty)
        }
    }

    @Test func `a pipeline that never replies is given up with 503`() async throws {
        let setup = TestSetup(ingest: FakeIngest(.hold), http: ["write_timeout: 100ms"])
        try await withClient(setup) { (client, _) async throws in
            let answer = try await client.request(h2Post("/v1/traces"), [1])
            #expect(answer.status == 503)
            #expect(answer["retry-after"] == "1")
        }
    }

    @Test func `more than 128 headers are 431`() async throws {
        try await withClient { (client, _) async throws in
            let many = (0..<130).map { ("x-\($0)", "1") }
            #expect(try await client.request(h2Post("/v1/traces", many)).status == 431)
            #expect(try await client.request(h2Post("/v1/traces")).status == 200)
        }
    }

    @Test func `a head that is refused is answered in the coding that it names`() async throws {
        try await withClient { (client, _) async throws in
            let many = (0..<130).map { ("x-\($0)", "1") }
            let heads: [(extra: [(String, String)], status: Int)] = [
                (many, 431), ([("host", "other")], 400), ([("host", "localhost"), ("host", "localhost")], 400),
                ([("content-type", "application/json")], 400), ([("x", " a")], 400),
            ]
            for (extra, status) in heads {
                let answer = try await client.request(h2Post("/v1/traces", type: "application/x-protobuf", extra))
                #expect(answer.status == status)
                #expect(answer["content-type"] == "application/x-protobuf")
            }
        }
    }

    @Test func `an idle connection ends when its time is over`() async throws {
        try await withClient(TestSetup(http: ["idle_timeout: 5s"])) { (client, server) async throws in
            #expect(try await client.request(h2Post("/v1/traces")).status == 200)
            try await client.channel.closeFuture.soon("the connection stays open")
            #expect(eventually { server.receiver.connectionCount == 0 })
        }
    }

    @Test func `a large body over many frames arrives whole`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            let body = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 / 11) }
            #expect(try await client.request(h2Post("/v1/traces", type: "application/x-protobuf"), body).status == 200)
            #expect(ingest.calls.first?.body == body)
        }
    }
}
