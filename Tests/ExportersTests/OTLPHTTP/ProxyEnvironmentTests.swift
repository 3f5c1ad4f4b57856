@testable import Exporters
import Pipeline
import Testing

@Suite(.timeLimit(.minutes(15))) struct ProxyEnvironmentTests {
    private func proxy(_ url: String, _ variables: [String: String]) throws -> String {
        ProxyEnvironment { variables[$0] }.proxy(for: try HTTPEndpoint(url))
    }

    @Test func `the proxies of the environment count as in Go`() throws {
        let both = ["HTTP_PROXY": "http://p:1", "https_proxy": "q:2"]
        #expect(try proxy("http://a.example/x", both) == "http://p:1")
        #expect(try proxy("https://a.example", both) == "q:2")
        #expect(try proxy("https://a.example", ["HTTP_PROXY": "p"]) == "")
        #expect(try proxy("http://a.example", ["HTTP_PROXY": "", "http_proxy": "low"]) == "low")
        #expect(try proxy("http://a.example", ["HTTP_PROXY": "up", "http_proxy": "low"]) == "up")
        #expect(try proxy("http://a.example", [:]) == "")
    }

    @Test(arguments: ["http://localhost:4318", "http://127.0.0.1", "http://[::1]:1"])
    func `this machine is reached without a proxy`(_ url: String) throws {
        #expect(try proxy(url, ["HTTP_PROXY": "http://p"]) == "")
    }

    @Test(arguments: [
        ("http://a.example", "*", true), ("http://a.example", "a.example", true),
        ("http://x.a.example", "a.example", true),
        ("http://xa.example", "a.example", false), ("http://a.example", ".a.example", false),
        ("http://x.a.example", "*.a.example", true), ("http://A.Example", " b , a.example:80 ", true),
        ("http://a.example:81", "a.example:80", false), ("http://10.1.2.3", "10.0.0.0/8", true),
        ("http://11.1.2.3", "10.0.0.0/8", false), ("http://10.1.2.3", "10.1.2.3", true),
        ("http://10.1.2.3:81", "10.1.2.3:80", false), ("http://[fd00::1]", "fd00::/8", true),
        ("http://[fd00::1]:80", "[fd00::1]:80", true), ("http://10.1.2.3", "10.1.2.0/25", true),
        ("http://10.1.2.200", "10.1.2.0/25", false), ("http://a.example", "", false),
        ("http://a.example", ",:,/", false),
    ]) func `NO_PROXY lists what is reached without one`(_ url: String, _ list: String, _ isListed: Bool) throws {
        for name in ["NO_PROXY", "no_proxy"] {
            #expect(try proxy(url, ["http_proxy": "http://p", name: list]) == (isListed ? "" : "http://p"))
        }
    }

    @Test func `a request goes through the proxy that the environment names, and proxy_url wins`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let engine = CurlEngine()
        var options = CurlTargetOptions(url: "http://backend.invalid:4318/v1/traces")
        options.proxies = ProxyEnvironment { $0 == "HTTP_PROXY" ? server.url : nil }
        _ = await engine.post([1], to: try CurlTarget(options, engine: engine))
        #expect(server.requests.map(\.line) == ["POST http://backend.invalid:4318/v1/traces HTTP/1.1"])
        options.proxies = ProxyEnvironment { _ in "http://127.0.0.1:1" }
        options.proxyURL = server.url
        _ = await engine.post([1], to: try CurlTarget(options, engine: engine))
        #expect(server.requests.count == 2)
        engine.stop()
    }
}
