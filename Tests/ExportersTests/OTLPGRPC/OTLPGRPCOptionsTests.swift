import Configuration
@testable import Exporters
import Testing

@Suite struct OTLPGRPCOptionsTests {
    private func target(_ endpoint: String, insecure: Bool = false) -> (base: String?, problems: [String]) {
        let read = options(OTLPGRPCOptions.self, "{endpoint: \"\(endpoint)\", tls: {insecure: \(insecure)}}")
        return (read.options.target?.base, read.problems)
    }

    @Test(arguments: [
        ("jaeger:4317", true, "http://jaeger:4317"), ("jaeger:4317", false, "https://jaeger:4317"),
        ("http://jaeger:4317", true, "http://jaeger:4317"), ("http://jaeger:4317/", false, "https://jaeger:4317"),
        ("https://api.vendor.com:443", true, "https://api.vendor.com"),
        ("https://api.vendor.com", true, "https://api.vendor.com"),
        ("dns:///jaeger:4317", true, "http://jaeger:4317"), ("dns:jaeger:4317", true, "http://jaeger:4317"),
        ("[::1]:4317", true, "http://[::1]:4317"), ("api.vendor.com:443", false, "https://api.vendor.com"),
    ]) func `takes the forms of the Collector's endpoint`(endpoint: String, insecure: Bool, base: String) {
        let read = target(endpoint, insecure: insecure)
        #expect(read.problems == [])
        #expect(read.base == base)
    }

    @Test(arguments: [
        ("insecure: true, ca_file: /ca", "https", 1), ("insecure: true, ca_pem: '-----BEGIN '", "https", 1),
        ("ca_file: /ca", "https", 0), ("insecure: true, ca_file: '', ca_pem: ''", "http", 0),
        ("insecure: true, cert_file: /c, key_file: /k", "http", 0),
    ]) func `a certificate of the server's authority wins over insecure`(tls: String, scheme: String, warnings: Int) {
        let yaml = "{endpoint: 'localhost:4317', tls: {\(tls)}}"
        let read = options(OTLPGRPCOptions.self, yaml)
        #expect(read.problems == [])
        #expect(read.options.target?.base == "\(scheme)://localhost:4317")
        let told = optionWarnings(OTLPGRPCOptions.self, yaml)
        #expect(told.count == warnings, "\(told)")
        #expect(told.allSatisfy { $0.contains("tls.insecure") && $0.contains("TLS is used") }, "\(told)")
    }

    @Test(arguments: [
        ("jaeger", "write jaeger:4317"), ("http://jaeger:4317/v1/traces", "use otlp_http"),
        ("unix:///tmp/x", "socket file"),
        ("jaeger:http", "port number"), ("user@jaeger:4317", "credentials"), (":4317", "no host"),
    ]) func `says what to write instead`(endpoint: String, words: String) {
        let problems = target(endpoint, insecure: true).problems
        #expect(problems.count == 1 && problems[0].contains(words), "\(problems)")
    }

    @Test func `has the Collector's defaults and takes its other options`() {
        let read = options(
            OTLPGRPCOptions.self,
            """
            endpoint: otel:4317
            keepalive: {time: 20s, timeout: 10s, permit_without_stream: true}
            balancer_name: round_robin
            wait_for_ready: true
            write_buffer_size: 524288
            authority: other.example:443
            sending_queue: {enabled: true, num_consumers: 4}
            retry_on_failure: {enabled: true}
            """)
        #expect(read.problems == [])
        #expect(read.options.helper.timeout == .seconds(5))
        #expect(read.options.compression == .gzip)
        #expect(read.options.tls.serverName == "other.example")
        let wrong = options(
            OTLPGRPCOptions.self,
            "{endpoint: 'a:1', compression: lz4, auth: {sigv4: {region: a, service: b}}, headers: {'bad name': x}}")
        #expect(wrong.problems.count == 3, "\(wrong.problems)")
    }
}
