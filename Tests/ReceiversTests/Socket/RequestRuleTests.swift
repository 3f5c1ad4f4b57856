import Glibc
import OTLP
import Pipeline
import Telemetry
import Testing

@testable import Receivers

/// The rules of OTLP/HTTP on a real socket.
@Suite struct RequestRuleTests {
    private let body = Array("\u{0A}\u{00}".utf8)

    @Test func `takes each signal in each encoding on one connection and answers in kind`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            for type in ["application/x-protobuf", "application/json", "application/protobuf"] {
                for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
                    client.send(post(path, type: type, body: body))
                    let answer = try client.response()
                    #expect(answer.status == 200)
                    #expect(answer.headers["content-type"] == type)
                    #expect(answer.text == (type.hasSuffix("json") ? "{}" : ""))
                }
            }
            #expect(ingest.calls.count == 9)
            #expect(ingest.calls.map(\.signal).prefix(3) == [.traces, .logs, .metrics])
            #expect(ingest.calls.allSatisfy { $0.body == body })
            #expect(server.value("sluice_receiver_requests_total", "200") == 9)
        }
    }

    /// RFC 9110, 6.6.1.
    @Test func `answers say when they were made`() async throws {
        try await withServer { server in
            let client = try server.connect()
            for path in ["/v1/traces", "/"] {
                client.send(post(path, body: body))
                let (date, now) = (try #require(try client.response().headers["date"]), Int(time(nil)))
                // A second may have begun meanwhile.
                let near = (now - 2...now).map { second in
                    var text = DateText()
                    return text.value(at: second)
                }
                #expect(near.contains(date))
            }
        }
    }

    @Test func `fifty requests go over one connection`() async throws {
        let ingest = FakeIngest(.elsewhere(.accepted))
        try await withServer(ingest) { server in
            let client = try server.connect()
            for _ in 0..<50 {
                client.send(post(body: body))
                #expect(try client.response().status == 200)
            }
            #expect(ingest.calls.count == 50)
        }
    }

    @Test func `an empty request succeeds`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(post())
            #expect(try client.response().body == [])
            client.send(post(type: "application/json; charset=utf-8", body: Array("{}".utf8)))
            #expect(try client.response().text == "{}")
        }
    }

    @Test func `gzip in any spelling, in members, and deflate arrive plain`() async throws {
        let plain = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            let halves = Compressed.gzip(Array(plain[..<1000])) + Compressed.gzip(Array(plain[1000...]))
            let forms = [
                ("gzip", Compressed.gzip(plain)), ("X-GZIP", Compressed.gzip(plain)), ("gzip", halves),
                ("deflate", Compressed.zlib(plain)), ("identity", plain),
            ]
            for (coding, bytes) in forms {
                client.send(post(headers: ["Content-Encoding: \(coding)"], body: bytes))
                #expect(try client.response().status == 200)
            }
            #expect(ingest.calls.count == forms.count)
            #expect(ingest.calls.allSatisfy { $0.body == plain })
            #expect(server.budget.used == 0)
        }
    }

    @Test(arguments: CodingTests.codings) func `every coding of the Collector arrives plain`(
        coding: ContentCoding
    ) async throws {
        let plain = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            let bytes = CodingTests.compress(plain, coding)
            client.send(post(headers: ["Content-Encoding: \(coding.name.uppercased())"], body: bytes))
            #expect(try client.response().status == 200)
            client.send(post(headers: ["Content-Encoding: \(coding.name)"], body: Array(bytes.dropLast(9))))
            #expect(try client.response().status == 400)
            #expect(ingest.calls.map(\.body) == [plain])
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `an answer is plain, whatever its client accepts`() async throws {
        try await withServer { server in
            let client = try server.connect()
            for (path, words) in [("/v1/traces", "{}"), ("/", "/v1/traces")] {
                client.send(post(path, type: "application/json", headers: ["Accept-Encoding: gzip"], body: [1]))
                let answer = try client.response()
                #expect(answer.headers["content-encoding"] == nil)
                #expect(answer.text.contains(words))
            }
        }
    }

    @Test func `a coding that is not let in is 415 and the others are named`() async throws {
        try await withServer(http: ["compression_algorithms: [gzip]"]) { server in
            let client = try server.connect()
            client.send(post(headers: ["Content-Encoding: zstd"], body: Compressed.zstd(body)))
            let answer = try client.response()
            #expect(answer.status == 415)
            #expect(answer.headers["accept-encoding"] == "gzip")
            client.send(post(body: body))
            #expect(try client.response().status == 415)
            client.send(post(headers: ["Content-Encoding: gzip"], body: Compressed.gzip(body)))
            #expect(try client.response().status == 200)
        }
    }

    @Test func `logs that are sent to the path of traces are 400 with the right path`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(post(type: "application/json", body: Array("{\"resourceLogs\":[]}".utf8)))
            let answer = try client.response()
            #expect(answer.status == 400)
            #expect(answer.text.contains("post logs to /v1/logs"))
            // One log record with a time and a severity.
            let record: [UInt8] = [9, 1, 1, 1, 1, 1, 1, 1, 1, 16, 9]
            let scope = [18, UInt8(record.count)] + record
            let resource = [18, UInt8(scope.count)] + scope
            client.send(
                post(
                    headers: ["Content-Encoding: gzip"], body: Compressed.gzip([10, UInt8(resource.count)] + resource)))
            #expect(try client.response().status == 400)
            client.send(post("/v1/logs", body: [10, UInt8(resource.count)] + resource))
            #expect(try client.response().status == 200)
            #expect(ingest.calls.count == 1)
            #expect(server.value("sluice_receiver_refused_requests_total", "wrong_signal") == 2)
        }
    }

    @Test func `other paths may be configured and a 404 names them`() async throws {
        let http = ["traces_url_path: /otel/traces", "logs_url_path: otel/logs"]
        try await withServer(http: http) { server in
            let client = try server.connect()
            for path in ["/otel/traces", "/otel/logs", "/v1/metrics", "/otel/logs?key=value"] {
                client.send(post(path))
                #expect(try client.response().status == 200)
            }
            client.send(post("/v1/traces", type: "application/json"))
            let answer = try client.response()
            #expect(answer.status == 404)
            #expect(answer.text.contains("post traces to /otel/traces, logs to /otel/logs"))
        }
    }

    @Test func `every status of a refusal is in the body in the encoding of the request`() async throws {
        let reply = FakeIngest(.reply(.invalid(message: "m")))
        try await withServer(reply, http: ["max_request_body_size: 10"]) { server in
            let requests: [(bytes: (String) -> [UInt8], status: Int, code: Int)] = [
                ({ post(type: $0) }, 400, 3), ({ post("/x", type: $0) }, 404, 5),
                ({ post(type: $0, headers: ["Content-Encoding: br"]) }, 415, 3),
                ({ Array("PUT /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: \($0)\r\n\r\n".utf8) }, 405, 12),
                ({ post(type: $0, body: [UInt8](repeating: 0, count: 11)) }, 413, 8),
            ]
            for (bytes, status, code) in requests {
                for type in ["application/json", "application/x-protobuf"] {
                    let client = try server.connect()
                    client.send(bytes(type))
                    let answer = try client.response()
                    #expect(answer.status == status)
                    #expect(answer.headers["content-type"] == type)
                    if type == "application/json" {
                        #expect(answer.text.contains("\"code\":\(code)"))
                        #expect(answer.text.contains("\"message\":\""))
                    } else {
                        #expect(answer.body.prefix(3) == [8, UInt8(code), 0x12])
                    }
                }
            }
        }
    }

    @Test func `partial success is 200 with the count`() async throws {
        try await withServer(FakeIngest(.reply(.partial(rejected: 3, message: "policy")))) { server in
            let client = try server.connect()
            client.send(post(type: "application/json"))
            let answer = try client.response()
            #expect(answer.status == 200)
            #expect(answer.text.contains("\"rejectedSpans\":\"3\""))
            #expect(answer.text.contains("policy"))
        }
    }

    @Test func `invalid data is 400 and unavailable is 503 with whole seconds`() async throws {
        try await withServer(FakeIngest(.reply(.invalid(message: "bad tag")))) { server in
            let client = try server.connect()
            client.send(post(type: "application/json"))
            let answer = try client.response()
            #expect(answer.status == 400)
            #expect(answer.headers["content-type"] == "application/json")
            let details =
                #""details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","#
                + #""fieldViolations":[{"field":"body"}]}]"#
            #expect(answer.text == #"{"code":3,"message":"bad tag",\#(details)}"#)
            client.send(post())
            let binary = try client.response()
            #expect(binary.headers["content-type"] == "application/x-protobuf")
            let status = ControlMessages.status(code: 3, message: "bad tag", json: false)
            #expect(binary.body == status + StatusDetails.badRequest("body"))
            #expect(ControlMessages.decodeStatus(bytes: binary.body)?.message == "bad tag")
        }
        let hint = IngestReply.unavailable(message: "full", retryAfter: .milliseconds(1500))
        try await withServer(FakeIngest(.elsewhere(hint))) { server in
            let client = try server.connect()
            client.send(post())
            let answer = try client.response()
            #expect(answer.status == 503)
            #expect(answer.headers["retry-after"] == "2")
            #expect(server.value("sluice_receiver_refused_requests_total", "unavailable") == 1)
        }
    }

    @Test func `what the pipeline can never take at once is 413, not to be tried again`() async throws {
        try await withServer(FakeIngest(.elsewhere(.tooLarge(message: "16 bytes at most")))) { server in
            let client = try server.connect()
            client.send(post(type: "application/json", body: body))
            let answer = try client.response()
            #expect(answer.status == 413)
            #expect(answer.headers["retry-after"] == nil)
            #expect(answer.text == #"{"code":8,"message":"16 bytes at most"}"#)
            client.send(post())
            #expect(try client.response().status == 413)
            #expect(server.value("sluice_receiver_refused_requests_total", "body_too_large") == 2)
        }
    }

    @Test func `a wrong method, path or type is told in full and the connection goes on`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send("GET /v1/traces HTTP/1.1\r\nHost: a\r\n\r\n")
            let method = try client.response()
            #expect(method.status == 405)
            #expect(method.headers["allow"] == "POST")
            #expect(method.headers["content-type"] == "application/json")
            client.send("HEAD /v1/traces HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(try client.response(hasBody: false).status == 405)
            client.send(post("/", type: "application/json", body: body))
            let path = try client.response()
            #expect(path.status == 404)
            #expect(path.text.contains("/v1/traces"))
            client.send(post(type: "text/plain", body: body))
            #expect(try client.response().status == 415)
            client.send(post(type: nil, body: body))
            #expect(try client.response().status == 415)
            client.send(post(headers: ["Content-Encoding: br"], body: body))
            #expect(try client.response().status == 415)
            client.send(post())
            #expect(try client.response().status == 200)
        }
    }

    @Test(arguments: ["FOO", "post", "P0ST", "X-Y"])
    func `a method that nobody knows is 405 like all others`(method: String) async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send("\(method) /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            let answer = try client.response()
            #expect(answer.status == 405)
            #expect(answer.headers["allow"] == "POST" && answer.headers["connection"] == "close")
            #expect(answer.text.contains(method))
            #expect(client.isEnded)
            #expect(server.value("sluice_receiver_refused_requests_total", "method") == 1)
        }
    }

    @Test(arguments: ["\u{16}\u{3}\u{1} / HTTP/1.1\r\n\r\n", "F(O /v1/traces HTTP/1.1\r\n\r\n", "FOO\r\n\r\n"])
    func `what is no request line stays 400`(text: String) async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(text)
            #expect(try client.response().status == 400)
        }
    }

    @Test func `a signal without a pipeline is 404`() async throws {
        try await withServer(FakeIngest(signals: [.traces])) { server in
            let client = try server.connect()
            client.send(post("/v1/logs", type: "application/json"))
            let answer = try client.response()
            #expect(answer.status == 404)
            #expect(answer.text.contains("no pipeline takes logs"))
        }
    }

    @Test func `the cap holds for plain, chunked and inflated bodies`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest, http: ["max_request_body_size: 1MiB"]) { server in
            let exact = [UInt8](repeating: 0, count: 1 << 20)
            let client = try server.connect()
            client.send(post(body: exact))
            #expect(try client.response().status == 200)
            client.send(post(headers: ["Content-Encoding: gzip"], body: Compressed.gzip(exact)))
            #expect(try client.response().status == 200)
            client.send(post(headers: ["Content-Encoding: gzip"], body: Compressed.gzip(exact + [0])))
            #expect(try client.response().status == 413)
            client.send(post(body: exact + [0]))
            let plain = try client.response()
            #expect(plain.status == 413)
            #expect(plain.headers["connection"] == "close")
            let chunked = try server.connect()
            chunked.send(
                "POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n100001\r\n")
            chunked.send(exact + [0])
            #expect(try chunked.response().status == 413)
            #expect(ingest.calls.count == 2)
            #expect(server.budget.used == 0)
        }
    }

    @Test func `a bomb of 64 MB is 413 and its memory is never taken`() async throws {
        let ingest = FakeIngest()
        let bomb = Compressed.gzip([UInt8](repeating: 0, count: 64_000_000))
        try await withServer(ingest, http: ["max_request_body_size: 1MiB"], budgetBytes: 2 << 20) { server in
            let client = try server.connect()
            client.send(post(headers: ["Content-Encoding: gzip"], body: bomb))
            #expect(try client.response().status == 413)
            client.send(post())
            #expect(try client.response().status == 200)
            #expect(ingest.calls.count == 1)
        }
    }

    @Test func `corrupt gzip is 400 and the connection goes on`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(post(headers: ["Content-Encoding: gzip"], body: Array("no gzip at all, really".utf8)))
            #expect(try client.response().status == 400)
            client.send(post(headers: ["Content-Encoding: gzip"]))
            #expect(try client.response().status == 400)
            client.send(post())
            #expect(try client.response().status == 200)
            #expect(server.value("sluice_receiver_refused_requests_total", "corrupt_body") == 2)
        }
    }

    @Test func `a page of an allowed origin may send and another gets no permission`() async throws {
        try await withServer(http: ["cors: {allowed_origins: [\"https://app.example\"]}"]) { server in
            let client = try server.connect()
            client.send(
                "OPTIONS /v1/traces HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\n"
                    + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n")
            let preflight = try client.response()
            #expect(preflight.status == 204)
            #expect(preflight.headers["access-control-allow-origin"] == "https://app.example")
            #expect(preflight.headers["content-length"] == nil)
            client.send(post(headers: ["Origin: https://app.example"]))
            #expect(try client.response().headers["access-control-allow-origin"] == "https://app.example")
            client.send(post(headers: ["Origin: https://evil.example"]))
            #expect(try client.response().headers["access-control-allow-origin"] == nil)
        }
    }
}
