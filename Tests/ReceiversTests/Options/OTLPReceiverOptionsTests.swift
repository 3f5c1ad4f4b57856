import Configuration
import Testing

@testable import Receivers

@Suite struct OTLPReceiverOptionsTests {
    @Test func `has the Collector's names and safe defaults`() throws {
        let (read, problems) = try options()
        let http = try #require(read.http)
        #expect(read.grpc == nil)
        #expect(problems.isEmpty)
        #expect(http.endpoint == ListenEndpoint(host: .named("127.0.0.1"), port: 4318))
        #expect(http.paths == RequestPaths())
        #expect(http.bodySizeMax == 64 << 20)
        #expect(http.timeouts == ConnectionTimeouts())
        #expect(http.keepsAlive)
        #expect(http.cors == nil)
        #expect(http.codings == .all)
    }

    @Test func `reads what is given`() throws {
        let (read, problems) = try options(
            """
            protocols:
              http:
                endpoint: "[::1]:0"
                traces_url_path: otel/v1/traces
                max_request_body_size: 20MiB
                read_header_timeout: 5s
                keep_alives_enabled: false
                compression_algorithms: ["", gzip]
                cors:
                  allowed_origins: ["https://*.example.com"]
                  max_age: 7200
                response_headers: {X-Gateway: a}
            """)
        let http = try #require(read.http)
        #expect(problems.isEmpty)
        #expect(http.endpoint == ListenEndpoint(host: .named("::1"), port: 0))
        #expect(http.paths.traces == "/otel/v1/traces")
        #expect(http.bodySizeMax == 20 << 20)
        #expect(http.timeouts.readHeader == .seconds(5))
        #expect(!http.keepsAlive)
        #expect(http.codings == CodingSet([.identity, .gzip]))
        #expect(http.cors == CORSPolicy(allowedOrigins: ["https://*.example.com"], maxAge: 7200))
        #expect(http.responseHeaders.map(\.name) == ["X-Gateway"])
    }

    @Test(arguments: [
        ("{grpc: {endpoint: 0.0.0.0:4317}, http: {endpoint: 0.0.0.0:4318}}", true, true),
        ("{grpc: , http: }", true, true), ("{grpc: {}}", false, true), ("{http: }", true, false), ("{}", true, false),
    ])
    func `the protocols that are named are served, and HTTP when none is`(
        yaml: String, http: Bool, grpc: Bool
    ) throws {
        let (read, problems) = try options("protocols: \(yaml)")
        #expect(problems.isEmpty)
        #expect((read.http != nil) == http)
        #expect((read.grpc != nil) == grpc)
        #expect(read.grpc?.endpoint.port ?? 4317 == 4317)
    }

    @Test func `gRPC has the Collector's names and defaults`() throws {
        let (read, problems) = try options(
            """
            protocols:
              grpc:
                endpoint: localhost:0
                max_recv_msg_size_mib: 64
                max_concurrent_streams: 7
                keepalive:
                  server_parameters: {max_connection_idle: 11s, max_connection_age: 12s, time: 30s, timeout: 5s}
            """)
        let grpc = try #require(read.grpc)
        #expect(problems.isEmpty)
        #expect(grpc.messageSizeMax == 64 << 20)
        #expect(grpc.streamsMax == 7)
        #expect(grpc.lifetime.idle == .seconds(11) && grpc.lifetime.age == .seconds(12))
        #expect(grpc.lifetime.ping == .seconds(30) && grpc.lifetime.pingTimeout == .seconds(5))
        #expect(try options("protocols: {grpc: {}}").options.grpc?.messageSizeMax == 4 << 20)
    }

    @Test func `a size of 0 stands for the default`() throws {
        let (read, problems) = try options(
            "protocols: {http: {max_request_body_size: 0}, grpc: {max_recv_msg_size_mib: 0}}")
        #expect(problems.isEmpty)
        #expect(read.http?.bodySizeMax == 64 << 20)
        #expect(read.grpc?.messageSizeMax == 4 << 20)
    }

    @Test func `what says nothing new is taken`() throws {
        for name in ["http", "grpc"] {
            #expect(try options("protocols: {\(name): {transport: tcp, middlewares: []}}").problems.isEmpty)
        }
        let read = try options("protocols: {http: {cors: {allowed_origins: ['*'], exposed_headers: [X-Request-ID]}}}")
        #expect(read.problems.isEmpty && read.options.http?.cors?.exposedHeaders == ["X-Request-ID"])
    }

    @Test(arguments: [
        "transport: unix", "middlewares: [{id: x}]", "auth: {}", "auth: {authenticator: a, request_params: [b]}",
    ])
    func `what would be unsafe to ignore is refused`(line: String) throws {
        for name in ["http", "grpc"] { #expect(try options("protocols: {\(name): {\(line)}}").problems.count == 1) }
    }

    @Test func `TLS and authentication with nothing behind them are off, with a warning`() throws {
        for name in ["http", "grpc"] {
            let (read, problems) = try options("protocols: {\(name): {tls: , auth: }}")
            #expect(read.http?.tls == nil && read.grpc?.tls == nil)
            #expect(read.http?.authenticator == nil && read.grpc?.authenticator == nil)
            #expect(problems.count == 2, "\(problems)")
            #expect(problems.contains { $0.contains("\(name).tls") && $0.contains("plain text") }, "\(problems)")
            #expect(problems.contains { $0.contains("\(name).auth") && $0.contains("everybody") }, "\(problems)")
        }
        var problems = ConfigProblems()
        let node = YAMLReader.read("protocols: {grpc: {tls: , auth: }}", file: "test.yaml", problems: &problems)
        let body = try #require(node)
        _ = readOptions(OTLPReceiverOptions.self, node: body, path: "receivers.otlp", problems: &problems)
        #expect(!problems.hasErrors)
    }

    @Test(arguments: [
        "{}", "{cert_file: a}", "{key_file: b}", "{cert_file: a, cert_pem: b, key_file: c}",
        "{cert_file: a, key_file: b, min_version: \"1.4\"}",
        "{cert_file: a, key_file: b, min_version: \"1.3\", max_version: \"1.2\"}",
        "{cert_file: a, key_file: b, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}",
    ])
    func `a faulty TLS group is a problem`(group: String) throws {
        #expect(try !options("protocols: {http: {tls: \(group)}}").problems.isEmpty)
    }

    @Test(arguments: [
        "endpoint: http://localhost:4318", "endpoint: localhost", "traces_url_path: /v1/logs",
        "compression_algorithms: [gzpi]", "response_headers: {Content-Length: a}",
        "response_headers: {\"a b\": c}", "cors: {allowed_origins: [\"*.*\"]}", "max_connections: 0", "endpont: a",
    ])
    func `a faulty value is one problem`(line: String) throws {
        #expect(try options("protocols: {http: {\(line)}}").problems.count == 1)
    }

    @Test func `describes all options`() {
        let described = describeOptions(OTLPReceiverOptions.self)
        #expect(described.first?.key == "protocols")
    }

    @Test(arguments: [
        ("127.0.0.1:4318", ListenEndpoint(host: .named("127.0.0.1"), port: 4318)),
        ("localhost:4318", ListenEndpoint(host: .localhost, port: 4318)),
        (":4318", ListenEndpoint(host: .all, port: 4318)), ("[::]:1", ListenEndpoint(host: .named("::"), port: 1)),
        ("gateway.local:65535", ListenEndpoint(host: .named("gateway.local"), port: 65535)),
    ])
    func `reads the forms of an endpoint`(text: String, expected: ListenEndpoint) throws {
        #expect(try ListenEndpoint(parsing: text) == expected)
    }

    @Test func `a variable without env is told how it is written`() {
        let fault = #expect(throws: ListenEndpoint.Fault.self) { try ListenEndpoint(parsing: "$HOST:4318") }
        #expect(fault?.description.hasSuffix("a variable is ${env:HOST}") == true)
    }

    @Test(arguments: [
        "", "4318", "::1:4318", "a:", "a:65536", "a:-1", "a:+1", "[a]:1", "a/b:1", "https://a:1", "[::1:4318",
    ])
    func `refuses what is no endpoint`(text: String) {
        #expect(throws: ListenEndpoint.Fault.self) { try ListenEndpoint(parsing: text) }
    }
}
