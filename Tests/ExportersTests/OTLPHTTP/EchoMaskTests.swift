import Configuration
@testable import Exporters
import Testing

@Suite struct EchoMaskTests {
    private func masked(_ text: String, _ secrets: [String], url: String = "", hidesPath: Bool = false) -> String {
        let mask = EchoMask(secrets.map { Secret($0) }, url: url, hidesPath: hidesPath)
        return String(decoding: mask.masked(Array(text.utf8)), as: UTF8.self)
    }

    @Test func `what a server repeats of a secret becomes asterisks of its length`() {
        #expect(masked("bad key hunter2!", ["hunter2"]) == "bad key *******!")
        #expect(masked("hunter2hunter2hunter", ["hunter2"]) == "**************hunter")
        #expect(masked("no Bearer s3cr3t1, s3cr3t1 is bad", ["Bearer s3cr3t1"]) == "no **************, ******* is bad")
        #expect(masked("abcdefgh", ["cdefgh", "abcdefgh"]) == "********")
        #expect(masked("", ["hunter2"]) == "" && masked("hunter", ["hunter2"]) == "hunter")
    }

    @Test(arguments: [
        #"k/1"2\3"#, #"k/1\"2\\3"#, #"k\/1\"2\\3"#, #"k/1\\\"2\\\\3"#, "k%2F1%222%5C3", "k%2f1%222%5c3", "k/1%222%5C3",
        "k/1&quot;2\\3", "k/1&#34;2\\3",
    ])
    func `a secret is found however the answer escapes it`(spelling: String) {
        #expect(!masked("x\(spelling)y", [#"k/1"2\3"#]).contains("k"))
    }

    @Test func `signs of JSON in Go's and of HTML are found too`() {
        for spelling in [
            "a<b>c&d'e", #"a\u003cb\u003ec\u0026d\u0027e"#, #"a\u003cb\u003ec\u0026d'e"#, "a&lt;b&gt;c&amp;d&#39;e",
            "a&lt;b&gt;c&amp;d&#x27;e",
        ] {
            #expect(
                masked("x \(spelling) y", ["a<b>c&d'e"]) == "x \(String(repeating: "*", count: spelling.utf8.count)) y")
        }
        #expect(masked("50%25off", ["50%off"]) == "********")
    }

    @Test func `of basic authentication user and password are hidden as well`() {
        // bob:hunter2secret
        let header = "Basic Ym9iOmh1bnRlcjJzZWNyZXQ="
        #expect(masked("no bob:hunter2secret", [header]) == "no *****************")
        #expect(masked("hunter2secret of bob", [header]) == "************* of bob")
        #expect(masked("Ym9iOmh1bnRlcjJzZWNyZXQ=", [header]) == "************************")
    }

    @Test func `an answer that takes the data is told without secrets too, unless it is data itself`() throws {
        var options = CurlTargetOptions(url: "http://127.0.0.1:1/v1/traces")
        options.secrets = [Secret("hunter2secret")]
        let answer = Array("key hunter2secret over quota".utf8)
        let told = try CurlTarget(options, engine: .shared).told(answer, status: 200)
        #expect(String(decoding: told, as: UTF8.self) == "key ************* over quota")
        options.readsAnswers = true
        #expect(try CurlTarget(options, engine: .shared).told(answer, status: 200) == answer)
        #expect(try CurlTarget(options, engine: .shared).told(answer, status: 400) == told)
    }

    @Test func `of a signed request the signature and the token of the session are hidden`() throws {
        let credentials = AWSSignature.Credentials(
            accessKey: "AKID1234", secretKey: "s", sessionToken: "token/1234+5==")
        let signature = AWSSignature(credentials: credentials, region: "eu-1", service: "xray")
        let endpoint = try HTTPEndpoint("https://xray.example/v1/traces")
        let lines = signature.headerLines(endpoint, method: "POST", body: [1], seconds: 1_700_000_000)
        let mask = EchoMask(signature.secrets(in: lines), url: "https://xray.example/v1/traces", hidesPath: false)
        let answer = lines.joined(separator: "\n") + " <Token-0>token/1234+5==</Token-0> token%2F1234%2B5%3D%3D"
        let told = String(decoding: mask.masked(Array(answer.utf8)), as: UTF8.self)
        let digits = lines.joined().suffix(64)
        let quoted = mask.masked(Array("<SignatureProvided>\(digits)</SignatureProvided>".utf8))
        #expect(!String(decoding: quoted, as: UTF8.self).contains(digits))
        #expect(!told.contains("token/1234") && !told.contains("%2F1234") && !told.contains("Signature="))
    }

    @Test func `a short value is left, since words hold it too`() {
        #expect(masked("the prod is down", ["prod", ""]) == "the prod is down")
    }

    @Test func `of a URL its credentials are hidden, and of a webhook's all of the path`() {
        let url = "https://h/v1/traces?api_key=hunter2&team=alpha-1"
        #expect(masked("POST /v1/traces?api_key=hunter2", [], url: url) == "POST /v1/traces?api_key=*******")
        let hook = "https://h/services/T0000001"
        #expect(masked("no /services/T0000001 here", [], url: hook, hidesPath: true) == "no ****************** here")
        #expect(masked("unknown T0000001", [], url: hook, hidesPath: true) == "unknown ********")
        #expect(masked("/v1/traces", [], url: "https://h/v1/traces") == "/v1/traces")
    }
}
