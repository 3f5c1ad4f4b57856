import Configuration
@testable import Exporters
import Telemetry
import Testing

@Suite struct OTLPHTTPOptionsTests {
    @Test func `takes the Collector's form and its defaults`() {
        let (options, problems) = options(
            OTLPHTTPOptions.self,
            """
            endpoint: https://otel.example.com:4318/base/
            traces_endpoint: http://127.0.0.1:1/t
            headers: {authorization: "Bearer x", X-Empty: ""}
            tls: {insecure_skip_verify: true, min_version: "1.3"}
            """)
        #expect(problems == [])
        let urls = options.urls.map { "\($0.signal) \($0.url)" }
        #expect(urls.contains("traces http://127.0.0.1:1/t"))
        #expect(urls.contains("logs https://otel.example.com:4318/base/v1/logs"))
        #expect(options.helper.timeout == .seconds(30))
        #expect(options.compression == .gzip)
        #expect(options.helper.queue.consumers == 10)
        #expect(options.helper.queue.batch == nil)
        #expect(!"\(options.headers)".contains("Bearer"))
    }

    @Test func `options of the Collector's client are taken`() {
        let (options, problems) = options(
            OTLPHTTPOptions.self,
            """
            endpoint: https://h
            logs_endpoint: ""
            profiles_endpoint: https://h/p
            force_attempt_http2: true
            http2_ping_timeout: 10s
            cookies: {enabled: true}
            tls:
              max_version: "1.3"
              include_system_ca_certs_pool: true
              curve_preferences: [X25519]
              cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
            """)
        #expect(problems == [])
        #expect(options.urls.first { $0.signal == .logs }?.url == "https://h/v1/logs")
        #expect(options.tls.maxVersion == .v1_3 && options.tls.trustsSystem)
        #expect(options.tls.cipherSuites == ["ECDHE-RSA-AES128-GCM-SHA256"])
    }

    @Test func `certificates are taken as texts, which nobody sees`() throws {
        let yaml = """
            {endpoint: 'https://h', tls: {ca_pem: "-----BEGIN a", cert_file: /b, key_pem: "-----BEGIN secret"}}
            """
        let (options, problems) = options(OTLPHTTPOptions.self, yaml)
        #expect(problems == [])
        #expect(!"\(options)".contains("-----BEGIN"))
        var target = CurlTargetOptions(url: "https://h")
        target.tls = options.tls
        let engine = CurlEngine()
        _ = try CurlTarget(target, engine: engine)
        engine.stop()
    }

    @Test func `libcurl takes the versions and suites`() throws {
        let yaml = """
            {endpoint: 'https://h', tls: {min_version: "1.2", max_version: "1.2",
             cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]}}
            """
        var target = CurlTargetOptions(url: "https://h")
        target.tls = options(OTLPHTTPOptions.self, yaml).options.tls
        let engine = CurlEngine()
        _ = try CurlTarget(target, engine: engine)
        engine.stop()
    }

    @Test(arguments: [
        ("{endpoint: 'http://h', tls: {max_version: '1.4'}}", "expects 1.0, 1.1, 1.2 or 1.3"),
        ("{endpoint: 'http://h', tls: {min_version: '1.3', max_version: '1.2'}}", "is older than min_version"),
        ("{endpoint: 'http://h', tls: {cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}", "is not supported; known are"),
        ("{}", "needs `endpoint`"),
        ("{endpoint: localhost:4318}", "needs a scheme"),
        ("{endpoint: 'ftp://h'}", "only http and https"),
        ("{endpoint: 'http://user:secret@h'}", "put credentials into headers"),
        ("{endpoint: 'http://h:99999'}", "port number"),
        ("{endpoint: 'http://'}", "has no host"),
        ("{endpoint: 'http://h/a b'}", "percent-encode"),
        ("{endpoint: 'http://h', compression: brotli}", "is not a compression: use one of gzip"),
        ("{endpoint: 'http://h', compression_params: {level: 19}}", "gzip knows levels up to 12"),
        ("{endpoint: 'http://h', compression: zstd, compression_params: {level: 0}}", "zstd knows levels from 1"),
        ("{endpoint: 'http://h', retry_on: [503, 200]}", "an integer from 400 to 599"),
        ("{endpoint: 'http://h', auth: {bearer: {}}}", "give either token or token_file"),
        ("{endpoint: 'http://h', auth: {bearer: {token: a}, basic: {password: b}}}", "exclude each other"),
        ("{endpoint: 'http://h', auth: {bearer: {token: a}}, headers: {authorization: b}}", "given twice"),
        ("{endpoint: 'http://h', header_files: {content-type: /f}}", "set by the exporter"),
        ("{endpoint: 'http://h', auth: {authenticator: x, bearer: {token: y}}}", "exclude each other"),
        ("{endpoint: 'http://h', headers: {'a b': c}}", "header name"),
        ("{endpoint: 'http://h', headers: {a: \"b\\r\\nc\"}}", "line break"),
        ("{endpoint: 'http://h', headers: {Content-Type: text/plain}}", "set by the exporter"),
        ("{endpoint: 'http://h', tls: {cert_file: /a}}", "cert_file and key_file together"),
        ("{endpoint: 'http://h', tls: {ca_file: /a, ca_pem: '-----BEGIN '}}", "is given beside ca_pem"),
        ("{endpoint: 'http://h', tls: {cert_file: /a, key_pem: secret}}", "holds no PEM"),
        ("{endpoint: 'http://h', sending_queue: {wait_for_result: true}}", "remove wait_for_result"),
        ("{endpoint: 'http://h', sending_queue: {batch: {max_size: 5}}}", "max_size"),
    ])
    func `says what is wrong`(yaml: String, words: String) {
        let problems = options(OTLPHTTPOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
        #expect(!problems.contains { $0.contains("secret") })
    }

    @Test(arguments: [
        ("/a/./b/../c", "/a/c"), ("/a/..", "/"), ("/../a/", "/a/"), ("/a/b/..?x=/../y", "/a/?x=/../y"),
        ("/a//../b", "/a/b"), ("/a/b/.", "/a/b/"), ("/v1/tr..ces/.../x", "/v1/tr..ces/.../x"), ("", ""),
        ("?x=..", "?x=.."), ("//", "//"),
    ])
    func `a path is kept as it is sent, without dots between its slashes`(_ path: String, _ sent: String) throws {
        #expect(try HTTPEndpoint("https://backend.example" + path).path == sent)
    }

    @Test func `splits endpoints into their parts`() throws {
        let endpoint = try HTTPEndpoint("HTTPS://[::1]:4318/a?b=c")
        #expect(endpoint.host == "[::1]")
        #expect(endpoint.port == 4_318)
        #expect(endpoint.url == "https://[::1]:4318/a?b=c")
        let override = try HTTPEndpoint("https://10.0.0.1/v1/traces").override(name: "otel.example")
        #expect(override.url == "https://otel.example:443/v1/traces")
        #expect(override.connectTo == "otel.example:443:10.0.0.1:443")
        #expect(override.hostHeader == "Host: 10.0.0.1")
    }

    @Test(arguments: [
        ("endpoint: 'https://h/q?token=x'", 1), ("endpoint: 'https://h/q'", 0),
        ("traces_endpoint: 'https://h/q?token=x'", 0),
        (
            "endpoint: 'https://h/?x=1', traces_endpoint: 'https://h/t', logs_endpoint: 'https://h/l', "
                + "metrics_endpoint: 'https://h/m'", 0
        ),
        ("preset: maxim, api_key: a, headers: {x-maxim-repo-id: b}, endpoint: 'https://h/v1/otel?token=x'", 0),
    ]) func `warns of a query in front of the paths`(yaml: String, count: Int) {
        let warnings = optionWarnings(OTLPHTTPOptions.self, "{\(yaml)}").filter { $0.contains("has a query") }
        #expect(warnings.count == count, "\(warnings)")
        #expect(warnings.allSatisfy { $0.contains("traces_endpoint") }, "\(warnings)")
    }

    @Test func `warns of plain http to another machine`() {
        func warnings(_ url: String) -> [String] {
            var problems = ConfigProblems()
            let node = YAMLReader.read("{endpoint: '\(url)'}", file: "t.yaml", problems: &problems)
            _ = readOptions(
                OTLPHTTPOptions.self, node: node ?? .null(at: .nowhere), path: "exporters.x", problems: &problems)
            #expect(!problems.hasErrors)
            return problems.warnings.map(\.message)
        }
        #expect(warnings("http://collector.example:4318").contains { $0.contains("unencrypted") })
        #expect(warnings("http://127.example.com").count == 1)
        for url in ["http://127.0.0.1:4318", "http://localhost:4318", "http://[::1]:4318", "https://h"] {
            #expect(warnings(url) == [], "\(url)")
        }
    }

    @Test func `object stores and databases over plain http to another machine are told as well`() {
        func counts(_ options: (_ endpoint: String) -> [String]) -> [Int] {
            ["http://db.example:80", "http://localhost:80", "https://db.example"].map { url in
                options(url).count { $0.hasPrefix("exporters.test.") && $0.contains("unencrypted") }
            }
        }
        #expect(counts { optionWarnings(ClickHouseOptions.self, "{endpoint: '\($0)'}") } == [1, 0, 0])
        let account = "account: a, user: u, database: D, private_key_file: k"
        #expect(counts { optionWarnings(SnowflakeOptions.self, "{\(account), endpoint: '\($0)'}") } == [1, 0, 0])
        func s3(_ more: String) -> [String] {
            optionWarnings(S3Options.self, "{s3uploader: {s3_bucket: b, \(more)}}")
        }
        #expect(counts { s3("endpoint: '\($0)'") } == [1, 0, 0])
        #expect(s3("endpoint: 'minio:9000', disable_ssl: true").count { $0.contains("minio unencrypted") } == 1)
        #expect(s3("endpoint: 'minio:9000'").allSatisfy { !$0.contains("unencrypted") })
    }
}
