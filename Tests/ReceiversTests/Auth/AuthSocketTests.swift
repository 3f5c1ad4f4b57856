import NIOHPACK
import Pipeline
import Telemetry
import Testing

@testable import Receivers

/// Who is let in, on a real socket.
struct AuthSocketTests {
    /// Knows the tenant of each of a few words.
    private struct Words: RequestAuthenticator {
        let headerName = "x-word"
        let challenge = "Word realm=\"test\""
        func sender(of value: String) -> RequestSender {
            switch value {
            case "open": .tenant("")
            case "sesame": .tenant("ali")
            case "later": .busy
            default: .unknown
            }
        }
    }

    private func setup(_ ingest: FakeIngest, grpc: [String]? = nil) -> TestSetup {
        TestSetup(
            ingest: ingest, http: ["auth: {authenticator: words}"], grpc: grpc,
            authenticators: ["words": Words()])
    }

    @Test func `a request without a credential is 401 with a challenge before its body is read`() async throws {
        let ingest = FakeIngest()
        try await withServer(setup(ingest)) { server in
            let client = try server.connect()
            client.send(
                "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                    + "Content-Length: 1000000\r\n\r\n"
            )
            let answer = try client.response()
            #expect(answer.status == 401)
            #expect(answer.headers["www-authenticate"] == "Word realm=\"test\"")
            #expect(answer.headers["content-type"] == "application/json")
            #expect(answer.text.contains("x-word is missing"))
            #expect(server.budget.used == 0)
            #expect(server.value("sluice_receiver_refused_requests_total", "unauthenticated") == 1)
            let expecting = try server.connect()
            expecting.send(
                "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                    + "Expect: 100-continue\r\n\r\n")
            #expect(try expecting.response().status == 401)
            #expect(ingest.calls.isEmpty)
        }
    }

    @Test func `a wrong credential is 401 on every path and is not echoed`() async throws {
        try await withServer(setup(FakeIngest())) { server in
            let client = try server.connect()
            for path in ["/v1/traces", "/", "/v1/nothing"] {
                client.send(post(path, headers: ["X-Word: wrongwrong"]))
                let answer = try client.response()
                #expect(answer.status == 401)
                #expect(!answer.text.contains("wrongwrong"))
            }
            client.send(post(headers: ["X-Word: open", "X-Word: open"]))
            #expect(try client.response().status == 401)
        }
    }

    @Test func `the tenant of a credential goes with the request`() async throws {
        let ingest = FakeIngest()
        try await withServer(setup(ingest, grpc: ["auth: {authenticator: words}"])) { server in
            let client = try server.connect()
            for word in ["open", "sesame"] {
                client.send(post(headers: ["x-WORD: \(word)"]))
                #expect(try client.response().status == 200)
            }
            client.send(post(headers: ["x-word: later"]))
            let answer = try client.response()
            #expect(answer.status == 503 && answer.headers["retry-after"] == "1")
            let http2 = try await H2Client.connect(port: server.port)
            #expect(try await http2.request(h2Post("/v1/traces", [("x-word", "sesame")])).status == 200)
            #expect(try await http2.request(h2Post("/v1/traces")).status == 401)
            await http2.close()
            let grpc = try await H2Client.connect(port: server.grpcPort)
            func call(_ extra: [(String, String)]) async throws -> Int {
                let head = h2Post(GRPCCall.path(.traces), type: "application/grpc", extra)
                return try await grpc.request(head, [0, 0, 0, 0, 0]).grpcStatus
            }
            #expect(try await call([("x-word", "sesame")]) == 0)
            #expect(try await call([("x-word", "wrong")]) == 16)
            #expect(try await call([]) == 16)
            #expect(try await call([("x-word", "later")]) == 14)
            await grpc.close()
            #expect(ingest.calls.map(\.tenant) == ["", "ali", "ali", "ali"])
        }
    }

    @Test func `a preflight needs no credential, since browsers send none`() async throws {
        var setup = setup(FakeIngest())
        setup.http.append("cors: {allowed_origins: [\"https://a.example\"], allowed_headers: [x-word]}")
        try await withServer(setup) { server in
            let client = try server.connect()
            client.send(
                "OPTIONS /v1/traces HTTP/1.1\r\nHost: a\r\nOrigin: https://a.example\r\n"
                    + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-word\r\n\r\n")
            #expect(try client.response().status == 204)
            client.send(post(headers: ["Origin: https://a.example"]))
            #expect(try client.response().status == 401)
        }
    }

    @Test func `a receiver does not start without the extension that it names`() async throws {
        let (receiver, _) = try makeReceiver(
            "protocols: {http: {endpoint: 127.0.0.1:0, auth: {authenticator: bearertokenauth}}}")
        let failure = await #expect(throws: ReceiverStartFailure.self) { try await receiver.start() }
        #expect(failure?.description.contains("bearertokenauth") == true)
        await receiver.shutdown(deadline: .zero)
    }
}
