import Configuration
@testable import Exporters
import FoundationEssentials
import Pipeline
import Telemetry
import Testing

/// Credentials that an authenticator extension gives to an exporter.
@Suite(.timeLimit(.minutes(15))) struct ClientAuthTests {
    private func exporter(_ server: ScriptedServer, _ more: String, _ auth: ClientAuth) async throws -> OTLPHTTPExporter
    {
        let read = options(OTLPHTTPOptions.self, "endpoint: \(server.url)\ncompression: none\n" + more)
        #expect(read.problems == [])
        let exporter = OTLPHTTPExporter(
            options: read.options.with(auth), build: exporterBuild(), version: "1", engine: CurlEngine())
        try await exporter.start()
        return exporter
    }

    private func batch(tenant: String = "") -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan()]), tenant: tenant)
    }

    private func setter(_ yaml: String) throws -> ClientAuth {
        let read = options(HeadersSetterOptions.self, yaml)
        try #require(read.problems == [], "\(read.problems)")
        return ClientAuth(read.options)
    }

    @Test func `a token takes the place of a header of the same name`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let auth = ClientAuth(scheme: "Token", header: "X-Key", token: Secret("abc"), filename: nil)
        let exporter = try await exporter(server, "headers: {x-key: old, x-other: kept}", auth)
        #expect(await exporter.export(batch()) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.headers["x-key"] == "Token abc")
        #expect(request.headers["x-other"] == "kept")
    }

    @Test func `the first line of a file of tokens is sent`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let folder = TemporaryDirectory()
        try Data("first\nsecond\n".utf8).write(to: URL(filePath: folder.file("tokens")))
        let auth = ClientAuth(scheme: "Bearer", header: "Authorization", token: nil, filename: folder.file("tokens"))
        let exporter = try await exporter(server, "", auth)
        #expect(await exporter.export(batch()) == .delivered)
        #expect(server.requests.first?.headers["authorization"] == "Bearer first")
    }

    @Test func `headers_setter inserts, updates, upserts and deletes`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let auth = try setter(
            """
            headers:
              - {action: insert, key: A, value: new}
              - {action: insert, key: b, value: new}
              - {action: update, key: c, value: new}
              - {action: update, key: d, value: new}
              - {key: e, value: new}
              - {action: delete, key: f}
            """)
        let exporter = try await exporter(server, "headers: {a: old, c: old, e: old, f: old}", auth)
        #expect(await exporter.export(batch()) == .delivered)
        let headers = try #require(server.requests.first?.headers)
        #expect(["a", "b", "c", "d", "e", "f"].map { headers[$0] } == ["old", "new", "new", nil, "new", nil])
    }

    @Test func `each tenant's requests carry its own header`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let auth = try setter(
            "{headers: [{key: X-Scope-OrgID, from_attribute: username, default_value: nobody}]}")
        let exporter = try await exporter(server, "headers: {x-team: core}", auth)
        for tenant in ["blue", "red", "", "blue", "bad\r\nx-evil: 1"] {
            #expect(await exporter.export(batch(tenant: tenant)) == .delivered)
        }
        #expect(server.requests.map { $0.headers["x-scope-orgid"] } == ["blue", "red", "nobody", "blue", "nobody"])
        #expect(server.requests.allSatisfy { $0.headers["x-team"] == "core" && $0.headers["x-evil"] == nil })
    }

    @Test func `headers of the received request go on`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let auth = try setter("{headers: [{key: X-Scope-OrgID, from_context: X-Tenant, default_value: nobody}]}")
        let exporter = try await exporter(server, "", auth)
        #expect(options(OTLPHTTPOptions.self, "endpoint: http://h").options.with(auth).contextKeys == ["x-tenant"])
        for tenant in ["blue", "red", nil] {
            var batch = batch()
            if let tenant { batch.metadata = RequestMetadata([.init(name: "x-tenant", value: tenant)]) }
            #expect(await exporter.export(batch) == .delivered)
        }
        #expect(server.requests.map { $0.headers["x-scope-orgid"] } == ["blue", "red", "nobody"])
    }

    @Test(arguments: [true, false]) func `metadata of gRPC named -bin is sent in base64`(isGRPC: Bool) async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let folder = TemporaryDirectory()
        try Data("file?\n".utf8).write(to: URL(filePath: folder.file("value")))
        let auth = try setter(
            """
            headers:
              - {key: set-bin, value: set}
              - {key: passed-bin, from_context: their-bin}
              - {key: made-bin, from_context: their-text}
              - {key: plain, from_context: their-bin}
              - {key: usual-bin, from_context: absent-bin, default_value: set}
              - {key: raw-bin, from_context: raw-bin}
            """)
        let plan = HTTPDestination.Plan(
            connection: CurlTargetOptions(url: ""), urls: [server.url], ownHeaders: [],
            headers: [("Own-Bin", Secret("a")), ("own", Secret("a"))],
            credentials: [HTTPCredential(name: "file-bin", source: .file(folder.file("value")))],
            headerActions: auth.headerActions, encodesBinary: isGRPC)
        let destination = HTTPDestination(plan, build: exporterBuild(), engine: CurlEngine(), now: { .zero })
        try destination.start()
        var batch = batch()
        batch.metadata = RequestMetadata([
            .init(name: "their-bin", value: "YQ"), .init(name: "their-text", value: "text"),
            .init(name: "raw-bin", value: "hello!"),
        ])
        guard case .success = await destination.exchange([[1]], with: 0, origin: batch.origin) else {
            Issue.record("not sent")
            return
        }
        let headers = try #require(server.requests.first?.headers)
        let names = [
            "own-bin", "file-bin", "set-bin", "passed-bin", "made-bin", "own", "plain", "usual-bin", "raw-bin",
        ]
        let encoded = ["YQ", "ZmlsZT8", "c2V0", "YQ", "dGV4dA", "a", "YQ", "c2V0", "aGVsbG8h"]
        let plain = ["a", "file?", "set", "YQ", "text", "a", "YQ", "set", "hello!"]
        #expect(names.map { headers[$0] } == (isGRPC ? encoded : plain))
    }

    @Test(arguments: [
        ("{headers: [{key: a}]}", "exactly one of"),
        ("{headers: [{key: a, value: x, from_context: y}]}", "exactly one of"),
        ("{headers: [{key: a, action: delete, value: x}]}", "takes no value"), ("{headers: []}", "at least one"),
        ("{headers: [{key: 'a b', value: x}]}", "no name"), ("{headers: [{key: a, from_attribute: role}]}", "tenant"),
    ]) func `headers_setter says what is wrong`(yaml: String, words: String) {
        let problems = options(HeadersSetterOptions.self, yaml).problems
        #expect(problems.count == 1 && problems[0].contains(words), "\(problems)")
    }

    @Test(arguments: [
        ("xray.eu-central-1.amazonaws.com", "eu-central-1", "xray"),
        ("aps-workspaces.us-east-1.amazonaws.com", "us-east-1", "aps"),
        ("search-logs-abc.us-west-2.es.amazonaws.com", "us-west-2", "es"),
    ]) func `region and service of a signature come from the endpoint`(host: String, region: String, service: String) {
        var signing = AWSSigningOptions(region: "", service: "")
        signing.complete(from: host)
        #expect(signing.region == region && signing.service == service)
    }
}
