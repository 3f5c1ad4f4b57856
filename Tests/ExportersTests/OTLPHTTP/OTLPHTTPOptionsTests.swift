@testable import Exporters
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

    @Test(arguments: [
        ("{}", "needs `endpoint`"),
        ("{endpoint: localhost:4318}", "needs a scheme"),
        ("{endpoint: 'ftp://h'}", "only http and https"),
        ("{endpoint: 'http://user:secret@h'}", "put credentials into headers"),
        ("{endpoint: 'http://h:99999'}", "port number"),
        ("{endpoint: 'http://'}", "has no host"),
        ("{endpoint: 'http://h/a b'}", "percent-encode"),
        ("{endpoint: 'http://h', compression: zstd}", "not supported: use gzip or none"),
        ("{endpoint: 'http://h', auth: {authenticator: x}}", "remove auth"),
        ("{endpoint: 'http://h', headers: {'a b': c}}", "header name"),
        ("{endpoint: 'http://h', headers: {a: \"b\\r\\nc\"}}", "line break"),
        ("{endpoint: 'http://h', headers: {Content-Type: text/plain}}", "set by the exporter"),
        ("{endpoint: 'http://h', tls: {cert_file: /a}}", "cert_file and key_file together"),
        ("{endpoint: 'http://h', sending_queue: {wait_for_result: true}}", "remove wait_for_result"),
        ("{endpoint: 'http://h', sending_queue: {batch: {max_size: 5}}}", "max_size"),
    ])
    func `says what is wrong`(yaml: String, words: String) {
        let problems = options(OTLPHTTPOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
        #expect(!problems.contains { $0.contains("secret") })
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
}
