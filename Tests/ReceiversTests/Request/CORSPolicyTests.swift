import Testing

@testable import Receivers

@Suite struct CORSPolicyTests {
    private func names(_ headers: [Refusal.Header]) -> Set<String> { Set(headers.map(\.name)) }

    @Test func `allows a listed origin and one that matches a pattern`() {
        let policy = CORSPolicy(allowedOrigins: ["https://a.example", "https://*.b.example"])
        #expect(policy.allowedOrigin("https://a.example") == "https://a.example")
        #expect(policy.allowedOrigin("https://x.y.b.example") == "https://x.y.b.example")
        #expect(policy.allowedOrigin("https://b.example") == nil)
        #expect(policy.allowedOrigin("https://a.example.evil") == nil)
        #expect(policy.allowedOrigin("null") == nil)
    }

    @Test func `any origin is answered with a star and never with credentials`() {
        let policy = CORSPolicy(allowedOrigins: ["*"])
        let headers = policy.preflight(origin: "https://x", method: "POST", headers: "content-type")
        #expect(headers.contains(Refusal.Header(name: "Access-Control-Allow-Origin", value: "*")))
        #expect(!names(headers).contains("Access-Control-Allow-Credentials"))
    }

    @Test func `a preflight for another method or header gets no permission`() {
        let policy = CORSPolicy(allowedOrigins: ["https://a"], allowedHeaders: ["X-Tenant"], maxAge: 60)
        let granted = policy.preflight(origin: "https://a", method: "POST", headers: "content-type, x-tenant")
        #expect(granted.contains(Refusal.Header(name: "Access-Control-Max-Age", value: "60")))
        #expect(granted.contains(Refusal.Header(name: "Access-Control-Allow-Headers", value: "content-type, x-tenant")))
        #expect(names(policy.preflight(origin: "https://a", method: "PUT", headers: nil)) == ["Vary"])
        #expect(names(policy.preflight(origin: "https://a", method: "POST", headers: "x-other")) == ["Vary"])
        #expect(names(policy.preflight(origin: "https://b", method: "POST", headers: nil)) == ["Vary"])
    }

    @Test func `pages of allowed origins may read the exposed headers`() {
        var policy = CORSPolicy(allowedOrigins: ["https://a"])
        policy.exposedHeaders = ["X-One", "X-Two"]
        let exposed = Refusal.Header(name: "Access-Control-Expose-Headers", value: "X-One, X-Two")
        #expect(policy.headers(origin: "https://a").contains(exposed))
        #expect(names(policy.headers(origin: "https://b")) == ["Vary"])
    }

    @Test func `an origin longer than any real one is not echoed`() {
        let policy = CORSPolicy(allowedOrigins: ["https://*"])
        let longest = "https://" + String(repeating: "a", count: CORSPolicy.originSizeMax - 8)
        #expect(policy.allowedOrigin(longest) == longest)
        #expect(policy.allowedOrigin(longest + "a") == nil)
        #expect(names(policy.headers(origin: longest + "a")) == ["Vary"])
        #expect(names(policy.preflight(origin: longest + "a", method: "POST", headers: nil)) == ["Vary"])
    }

    @Test func `a list of headers longer than any real one gets no permission`() {
        let policy = CORSPolicy(allowedOrigins: ["https://a"], allowedHeaders: ["*"])
        func granted(_ headers: String) -> Bool {
            names(policy.preflight(origin: "https://a", method: "POST", headers: headers))
                .contains("Access-Control-Allow-Headers")
        }
        let longest = String(repeating: "x", count: CORSPolicy.headersSizeMax)
        #expect(granted(longest))
        #expect(!granted(longest + "x"))
        // As it would be repeated, with blanks.
        #expect(!granted(String(repeating: "x,", count: CORSPolicy.headersSizeMax / 2) + "x"))
    }

    @Test func `an origin with a line break is not echoed`() {
        #expect(CORSPolicy(allowedOrigins: ["https://*"]).allowedOrigin("https://a\r\nSet-Cookie: x") == nil)
    }
}
