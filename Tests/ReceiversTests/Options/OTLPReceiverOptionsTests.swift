import Configuration
import Testing

@testable import Receivers

@Suite struct OTLPReceiverOptionsTests {
    @Test func `has the Collector's names and safe defaults`() throws {
        let (read, problems) = try options()
        #expect(problems.isEmpty)
        #expect(read.http.endpoint == ListenEndpoint(host: .named("127.0.0.1"), port: 4318))
        #expect(read.http.paths == RequestPaths())
        #expect(read.http.bodySizeMax == 64 << 20)
        #expect(read.http.timeouts == ConnectionTimeouts())
        #expect(read.http.keepsAlive)
        #expect(read.http.cors == nil)
        #expect(read.http.codingSet == HeadCheck.CodingSet())
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
        #expect(problems.isEmpty)
        #expect(read.http.endpoint == ListenEndpoint(host: .named("::1"), port: 0))
        #expect(read.http.paths.traces == "/otel/v1/traces")
        #expect(read.http.bodySizeMax == 20 << 20)
        #expect(read.http.timeouts.readHeader == .seconds(5))
        #expect(!read.http.keepsAlive)
        #expect(read.http.codingSet == HeadCheck.CodingSet(identity: true, gzip: true, zlib: false))
        #expect(read.http.cors == CORSPolicy(allowedOrigins: ["https://*.example.com"], maxAge: 7200))
        #expect(read.http.responseHeaders.map(\.name) == ["X-Gateway"])
    }

    @Test(arguments: [
        "protocols: {grpc: {endpoint: 0.0.0.0:4317}, http: {endpoint: 0.0.0.0:4318}}",
        "protocols:\n  grpc:\n  http:\n", "protocols: {grpc: {}}",
    ])
    func `OTLP over gRPC is refused with one problem that says what to do`(yaml: String) throws {
        let (_, problems) = try options(yaml)
        #expect(problems.count == 1)
        #expect(problems.first?.contains("gRPC is not served") == true)
        #expect(problems.first?.contains("http") == true)
    }

    @Test(arguments: ["tls: {cert_file: a}", "auth: {authenticator: basicauth}", "middlewares: [{id: x}]"])
    func `what would be unsafe to ignore is refused`(line: String) throws {
        let (_, problems) = try options("protocols: {http: {\(line)}}")
        #expect(problems.count == 1)
        #expect(problems.first?.contains("not supported in this version") == true)
    }

    @Test(arguments: [
        "endpoint: http://localhost:4318", "endpoint: localhost", "traces_url_path: /v1/logs",
        "compression_algorithms: [zstd]", "compression_algorithms: [gzpi]", "response_headers: {Content-Length: a}",
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

    @Test(arguments: [
        "", "4318", "::1:4318", "a:", "a:65536", "a:-1", "a:+1", "[a]:1", "a/b:1", "https://a:1", "[::1:4318",
    ])
    func `refuses what is no endpoint`(text: String) {
        #expect(throws: ListenEndpoint.Fault.self) { try ListenEndpoint(parsing: text) }
    }
}
