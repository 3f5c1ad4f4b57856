import Pipeline
import Telemetry
import Testing

@testable import Receivers

/// What RFC 9112 allows and what could be read in two ways, on a real socket.
@Suite struct FramingTests {
    private let start = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"

    @Test func `chunks with extensions and trailers are one body`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(
                start + "Transfer-Encoding: chunked\r\n\r\n3;name=value\r\nabc\r\n4\r\ndefg\r\n0\r\nX-T: 1\r\n\r\n")
            #expect(try client.response().status == 200)
            client.send(post())
            #expect(try client.response().status == 200)
            #expect(ingest.calls.first?.body == Array("abcdefg".utf8))
        }
    }

    @Test func `pipelined requests are answered in order`() async throws {
        let ingest = FakeIngest(.elsewhere(.accepted))
        try await withServer(ingest) { server in
            let client = try server.connect()
            var bytes: [UInt8] = []
            for index in 0..<20 {
                bytes +=
                    index % 3 == 2
                    ? post("/nowhere", type: "application/json", body: [1])
                    : post(type: "application/json", body: Array("\(index)".utf8))
            }
            client.send(bytes)
            for index in 0..<20 { #expect(try client.response().status == (index % 3 == 2 ? 404 : 200)) }
            let bodies: [String] = ingest.calls.map { String(decoding: $0.body, as: UTF8.self) }
            let wanted: [String] = (0..<20).filter { $0 % 3 != 2 }.map { String($0) }
            #expect(bodies == wanted)
        }
    }

    @Test func `an interim answer comes before the body and a refusal in its place`() async throws {
        try await withServer(http: ["max_request_body_size: 1KiB"]) { server in
            let client = try server.connect()
            client.send(start + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            #expect(try client.response().status == 100)
            client.send("{}")
            #expect(try client.response().status == 200)
            client.send(start + "Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n")
            let refusal = try client.response()
            #expect(refusal.status == 413)
            #expect(refusal.headers["connection"] == "close")
            #expect(client.isEnded)
        }
    }

    @Test func `HTTP 1.0 closes unless it asks to stay`() async throws {
        try await withServer { server in
            let old = "POST /v1/logs HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            let client = try server.connect()
            client.send(old + "Connection: keep-alive\r\n\r\n{}")
            #expect(try client.response().headers["connection"] == "keep-alive")
            client.send(old + "\r\n{}")
            #expect(try client.response().headers["connection"] == "close")
            #expect(client.isEnded)
        }
    }

    @Test func `a client that asks to close is answered and closed`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(post(headers: ["Connection: close"]))
            let answer = try client.response()
            #expect(answer.status == 200)
            #expect(answer.headers["connection"] == "close")
            #expect(client.isEnded)
        }
    }

    @Test func `connections are not kept when that is switched off`() async throws {
        try await withServer(http: ["keep_alives_enabled: false"]) { server in
            let client = try server.connect()
            client.send(post())
            #expect(try client.response().headers["connection"] == "close")
            #expect(client.isEnded)
        }
    }

    @Test func `an absolute target is taken`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(post("http://gateway:4318/v1/traces"))
            #expect(try client.response().status == 200)
        }
    }

    @Test(arguments: [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "Content-Length: +2\r\n\r\n{}",
        "Content-Length: 2,2\r\n\r\n{}",
        "Content-Length: 99999999999999999999\r\n\r\n", "Content-Length : 2\r\n\r\n{}",
        "Transfer-Encoding: gzip\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx", "Host: b\r\nContent-Length: 0\r\n\r\n",
        "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", "X: a\0b\r\nContent-Length: 0\r\n\r\n",
        ": x\r\nContent-Length: 0\r\n\r\n",
        "X Y: x\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0\r\nX: a\rb: c\r\n\r\n",
    ])
    func `a request that could be read in two ways is refused and ends the connection`(rest: String) async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(start + rest + "POST /v1/traces HTTP/1.1\r\nHost: smuggled\r\n\r\n")
            let answer = try client.response()
            #expect(answer.status == 400 || answer.status == 501)
            #expect(answer.headers["connection"] == "close")
            #expect(client.isEnded)
            #expect(ingest.calls.isEmpty)
        }
    }

    @Test(arguments: [
        ("GARBAGE\r\n\r\n", 400), ("POST /v1/traces HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400),
        ("POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400), ("POST /v1/traces\r\n\r\n", 400),
        ("\u{16}\u{03}\u{01}\u{02}", 400),
    ])
    func `what is no HTTP 1 request is answered and closed`(text: String, status: Int) async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(text)
            let answer = try client.response()
            #expect(answer.status == status || answer.status == 400 || answer.status == 505)
            #expect(client.isEnded)
        }
    }

    @Test func `too many and too large headers are 431`() async throws {
        try await withServer { server in
            let forms = [
                String(repeating: "X-A: b\r\n", count: 200), "X-A: \(String(repeating: "b", count: 20_000))\r\n",
                String(repeating: "X-A: \(String(repeating: "b", count: 1000))\r\n", count: 100),
                "\(String(repeating: "n", count: 20_000)): b\r\n",
            ]
            for lines in forms {
                let client = try server.connect()
                client.send(start + lines + "\r\n")
                #expect(try client.response().status == 431)
                #expect(client.isEnded)
            }
            #expect(server.value("sluice_receiver_refused_requests_total", "headers_too_large") == 4)
        }
    }

    @Test(arguments: [
        ("POST /v1/traces HTTP/1.1", "Content-Length: 2\r\nTransfer-Encoding: chunked", 400),
        ("POST /v1/traces HTTP/1.1", "Content-Length: 2\r\nContent-Length: 2", 400),
        ("POST /v1/traces HTTP/1.1", String(repeating: "X-A: b\r\n", count: 128) + "X-A: b", 431),
        ("FOO /v1/traces HTTP/1.1", "Content-Length: 2", 405), ("POST /v1/traces HTTP/1.2", "Content-Length: 2", 505),
    ])
    func `a head that cannot be read is answered in the coding that it names`(
        line: String, rest: String, status: Int
    ) async throws {
        try await withServer { server in
            for type in ["application/json", "application/x-protobuf"] {
                let client = try server.connect()
                client.send("\(line)\r\nHost: a\r\ncontent-type: \(type)\r\n\(rest)\r\n\r\n{}")
                let answer = try client.response()
                #expect(answer.status == status)
                #expect(answer.headers["content-type"] == type)
            }
        }
    }

    @Test func `the unread body of a refused request never becomes a request`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let hidden = post(body: Array("smuggled".utf8))
            let client = try server.connect()
            client.send(post("/nowhere", body: hidden))
            #expect(try client.response().status == 404)
            client.send(post(body: [1]))
            #expect(try client.response().status == 200)
            #expect(ingest.calls.map(\.body) == [[1]])
            // Larger than what is skipped: the connection ends, and the rest is never looked at.
            let large = try server.connect()
            large.send(post("/nowhere", body: [UInt8](repeating: 10, count: 100_000) + hidden))
            #expect(try large.response().headers["connection"] == "close")
            large.send(hidden)
            #expect(large.isEnded)
            #expect(ingest.calls.count == 1)
        }
    }

    @Test func `a refused large body is read far enough for its sender to see the answer`() async throws {
        try await withServer(http: ["max_request_body_size: 4MiB"]) { server in
            let client = try server.connect()
            client.send(post(body: [UInt8](repeating: 0, count: 6 << 20)))
            #expect(try client.response().status == 413)
        }
    }

    @Test func `a body cut by the client is not handed on`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            for rest in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
                let client = try server.connect()
                client.send(start + rest)
                client.finishSending()
                #expect(try client.response().status == 400)
                #expect(client.isEnded)
            }
            #expect(ingest.calls.isEmpty)
            #expect(server.budget.used == 0)
        }
    }

    @Test func `a client that ends its direction behind a request is still answered`() async throws {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(post())
            client.finishSending()
            #expect(ingest.hasCalls(1))
            ingest.release(.accepted)
            #expect(try client.response().status == 200)
            #expect(client.isEnded)
        }
    }

    @Test func `a request to change the protocol is answered as it is and closes`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(
                post(
                    headers: ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
                    body: [1]))
            let answer = try client.response()
            #expect(answer.status == 200)
            #expect(answer.headers["connection"] == "close")
            #expect(ingest.calls.map(\.body) == [[1]])
        }
    }
}
