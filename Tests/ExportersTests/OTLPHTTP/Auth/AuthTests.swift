@testable import Exporters
import FoundationEssentials
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Tokens that are fetched, and signed requests.
@Suite(.timeLimit(.minutes(15))) struct AuthTests {
    private let clock = FlyingClock()
    private let batch = ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan()]))

    private func exporter(_ server: ScriptedServer, _ more: String) async throws -> OTLPHTTPExporter {
        let read = options(OTLPHTTPOptions.self, "endpoint: \(server.url)\ncompression: none\n" + more)
        #expect(read.problems == [])
        let exporter = OTLPHTTPExporter(
            options: read.options, build: exporterBuild(), version: "1", engine: CurlEngine(),
            effects: clock.effects())
        try await exporter.start()
        return exporter
    }

    private func tokens(_ server: ScriptedServer) -> [ScriptedServer.Request] {
        server.requests.filter { $0.line.contains("/token") }
    }

    private func posts(_ server: ScriptedServer) -> [ScriptedServer.Request] {
        server.requests.filter { $0.line.contains("/v1/traces") }
    }

    private func oauth(_ server: ScriptedServer, _ more: String = "") -> String {
        "auth: {oauth2: {token_url: \"\(server.url)/token\", client_id: me, client_secret: \"p:a ss\"\(more)}}"
    }

    /// Hands out token1, token2, … for an hour each; `traces` answers what carries them.
    private func server(
        life: String = "3600", _ traces: @escaping @Sendable (ScriptedServer.Request) -> Int = { _ in 200 }
    ) -> ScriptedServer {
        let count = Mutex(0)
        return ScriptedServer { _, request in
            guard request.line.contains("/token") else { return .answer(traces(request)) }
            let number = count.withLock { count in
                count += 1
                return count
            }
            let text = "{\"access_token\":\"token\(number)\",\"token_type\":\"Bearer\",\"expires_in\":\(life)}"
            return .answer(200, headers: ["Content-Type: application/json"], body: Array(text.utf8))
        }
    }

    @Test func `fetches a token once for many requests, and again before it ends`() async throws {
        let server = server()
        defer { server.stop() }
        let exporter = try await exporter(
            server, oauth(server, ", scopes: [a, b], endpoint_params: {audience: \"x&y\"}"))
        await withTaskGroup(of: ExportOutcome.self) { group in
            for _ in 0..<8 { group.addTask { await exporter.export(batch) } }
            for await outcome in group { #expect(outcome == .delivered) }
        }
        #expect(tokens(server).count == 1)
        #expect(posts(server).allSatisfy { $0.headers["authorization"] == "Bearer token1" })
        let request = try #require(tokens(server).first)
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == "grant_type=client_credentials&scope=a%20b&audience=x%26y")
        let pair = Data("me:p%3Aa%20ss".utf8).base64EncodedString()
        #expect(request.headers["authorization"] == "Basic \(pair)")
        clock.advance(.seconds(3_299))
        #expect(await exporter.export(batch) == .delivered)
        #expect(tokens(server).count == 1)
        clock.advance(.seconds(2))
        #expect(await exporter.export(batch) == .delivered)
        #expect(posts(server).last?.headers["authorization"] == "Bearer token2")
        await exporter.shutdown()
    }

    @Test func `sends id and secret in the body when told to`() async throws {
        let server = server()
        defer { server.stop() }
        let exporter = try await exporter(server, oauth(server, ", client_auth: body"))
        #expect(await exporter.export(batch) == .delivered)
        let request = try #require(tokens(server).first)
        let body = String(decoding: request.body, as: UTF8.self)
        #expect(body == "grant_type=client_credentials&client_id=me&client_secret=p%3Aa%20ss")
        #expect(request.headers["authorization"] == nil)
        await exporter.shutdown()
    }

    @Test(arguments: ["", "retry_on: [401, 503]\n"])
    func `fetches another token for a request whose token is not taken any more`(more: String) async throws {
        let server = server()
        defer { server.stop() }
        let revoked = Mutex<Set<String>>([])
        let strict = ScriptedServer { _, request in
            let token = request.headers["authorization"] ?? ""
            return .answer(revoked.withLock { $0.contains(token) } ? 401 : 200)
        }
        defer { strict.stop() }
        let exporter = try await exporter(strict, more + oauth(server))
        #expect(await exporter.export(batch) == .delivered)
        // However young it is.
        revoked.withLock { $0 = ["Bearer token1"] }
        await withTaskGroup(of: ExportOutcome.self) { group in
            for _ in 0..<8 { group.addTask { await exporter.export(batch) } }
            for await outcome in group { #expect(outcome == .delivered) }
        }
        #expect(tokens(server).count == 2, "one for all")
        await exporter.shutdown()
    }

    @Test(arguments: [false, true])
    func `a destination that takes no token costs one now and then`(isRetried: Bool) async throws {
        let server = server { _ in 401 }
        defer { server.stop() }
        let exporter = try await exporter(server, (isRetried ? "retry_on: [401]\n" : "") + oauth(server))
        for _ in 0..<5 {
            switch await exporter.export(batch) {
            case .permanent(let reason): #expect(!isRetried && reason.contains("401"))
            case .retry(let reason, _): #expect(isRetried && reason.contains("401"))
            default: Issue.record("delivered?")
            }
        }
        #expect(tokens(server).count == 2 && posts(server).count == 6)
        clock.advance(.seconds(10))
        _ = await exporter.export(batch)
        #expect(tokens(server).count == 3 && posts(server).count == 8)
        await exporter.shutdown()
    }

    @Test func `keeps the data while no token can be had, and tells no secret`() async throws {
        let isUp = Mutex(false)
        let server = ScriptedServer { _, request in
            guard request.line.contains("/token") else { return .answer(200) }
            guard isUp.withLock({ $0 }) else { return .answer(400, body: Array("{\"error\":\"invalid_client\"}".utf8)) }
            return .answer(200, body: Array("{\"access_token\":\"t\"}".utf8))
        }
        defer { server.stop() }
        let exporter = try await exporter(server, oauth(server))
        for _ in 0..<3 {
            guard case .retry(let reason, _) = await exporter.export(batch) else {
                Issue.record("delivered without a token")
                return
            }
            #expect(reason.contains("invalid_client") && !reason.contains("p:a ss"))
        }
        // A failure is remembered for a moment, so that a token server that is down is not stormed.
        #expect(tokens(server).count == 1 && posts(server).isEmpty)
        isUp.withLock { $0 = true }
        clock.advance(.seconds(2))
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
    }

    @Test func `signs as the vectors of AWS say`() throws {
        let signature = AWSSignature(
            credentials: .init(
                accessKey: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", sessionToken: nil),
            region: "us-east-1", service: "service")
        let lines = signature.headerLines(
            try HTTPEndpoint("https://example.amazonaws.com/"), method: "POST", body: [], seconds: 1_440_938_160)
        #expect(
            lines == [
                "x-amz-date: 20150830T123600Z",
                "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
                    + "SignedHeaders=host;x-amz-date,"
                    + "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ])
    }

    @Test(arguments: [
        ("/?c", "c="), ("/?b=2&a", "a=&b=2"), ("/?a-b=2&a=1", "a=1&a-b=2"), ("/?a=2&a=1&B=x", "B=x&a=1&a=2"),
        ("/?a=b=c", "a=b=c"),
    ]) func `signs a query by its names, each with its sign`(path: String, query: String) throws {
        let signature = AWSSignature(
            credentials: .init(accessKey: "AK", secretKey: "SK", sessionToken: nil), region: "r", service: "s")
        let endpoint = try HTTPEndpoint("https://example.amazonaws.com\(path)")
        let lines = signature.headerLines(endpoint, method: "POST", body: [], seconds: 1_440_938_160)
        let time = AWSTime(seconds: 1_440_938_160)
        let request = AWSSignature.Request(
            method: "POST", path: "/", query: query,
            headers: [("host", "example.amazonaws.com"), ("x-amz-date", time.text)],
            payloadHash: AWSSignature.hash([]))
        #expect(lines.last == "Authorization: \(signature.authorization(request, time: time))")
    }

    @Test func `signs each request over its own body`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(
            server,
            "auth: {sigv4: {region: eu-central-1, service: xray, access_key_id: AK, secret_access_key: SK, "
                + "session_token: ST}}")
        let other = ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan(name: "other")]))
        #expect(await exporter.export(batch) == .delivered)
        #expect(await exporter.export(other) == .delivered)
        let headers = server.requests.map(\.headers)
        #expect(headers.allSatisfy { $0["x-amz-security-token"] == "ST" })
        let names = "SignedHeaders=host;x-amz-date;x-amz-security-token"
        #expect(headers.allSatisfy { $0["authorization"]?.contains(names) == true })
        #expect(Set(headers.map { $0["authorization"] }).count == 2)
        await exporter.shutdown()
    }

    @Test(arguments: [
        "auth: {oauth2: {token_url: \"http://127.0.0.1/t\", client_secret: s}}",
        "auth: {oauth2: {client_id: a, client_secret: s}}",
        "auth: {oauth2: {token_url: \"ftp://x\", client_id: a, client_secret: s}}",
        "auth: {sigv4: {region: a, service: b, access_key_id: c}}",
        "auth: {bearer: {token: t}, sigv4: {region: a, service: b}}",
        "http_version: \"2\"",
    ]) func `refuses what cannot work`(_ more: String) {
        #expect(!options(OTLPHTTPOptions.self, "endpoint: http://127.0.0.1:1\n" + more).problems.isEmpty)
    }
}
