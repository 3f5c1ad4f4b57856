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
