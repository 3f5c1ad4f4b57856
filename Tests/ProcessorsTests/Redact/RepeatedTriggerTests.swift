import Processors
import TestSupport
import Testing

@testable import Processors

/// Texts that repeat what makes a detector look closer take time in proportion to their length.
@Suite(.timeLimit(.minutes(5))) struct RepeatedTriggerTests {
    /// What finds begin with, and what stands around them.
    private static let triggers: [String] =
        KeyPrefix.known.map { String(decoding: $0.text, as: UTF8.self) } + [
            "eyJ", "eyJ.", "eyJ-", "eyJ_.eyJ", ".eyJ", "AKIA", "ASIA", "akAKIA", "_AKIA", "AIza", "SK", "dapi", "1Q~",
            "aaa1Q~", "12345678:AA", "/services/T", "bearer", "Bearer ", "bearer%20", "basic", "Basic ", "basic%20",
            "password=", "password: ", "password:[\"", "password=['", "\"password\":\"", "\\\"password\\\":\\\"",
            "pwd=\"", "pwd='", "secret=", "secret_key=", "api_key=", "token=", "token:", "?token=", "token=\\",
            "cookie:", "Cookie: ", "cookie: token: ", "Set-Cookie: a=", "JSESSIONID=", "?sig=", "Authorization: ",
            "AccountKey=", "SharedAccessKey=", "secret_access_key=", "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN PGP PRIVATE KEY BLOCK-----", "-----BEGIN ", "-----END ", "a://", "a://b:", "a://b:c@", "a@",
            "a@b.", "a@b.cc", "@", "\"a\"@", "%40", "a%40b.", "%20", "%2B1", "P<", "P<A", "bc1", "bc1q", "0x", "0xa",
            "1", "3", "1A", "1m", "\u{1B}[1m", "12-", "123.", "1.1", "4111-", "4111 ", "+1", "+1 (", "(555)", "555-",
            "DE89", "DE89 ", "GB", "::", "a:", "ab:", "ab-", "fe80:", "2001:db8:", "aHR0", "Zm9v\n", "\\u00e9",
            "\\u0041", "\\/", "\\n", "\\", "\"", "'", "{\"a\":\"", "[\"", "&#64;", "&amp;", "&", "%", "+", "\u{E9}",
            "\u{200B}", "\u{4E2D}@",
        ]

    private func repeated(_ unit: String, _ bytes: Int) -> String {
        String(repeating: unit, count: bytes / unit.utf8.count)
    }

    @Test(arguments: ["", "A", "-", "="])
    func `no trigger of a detector costs more than its length, however often it stands there`(tail: String) throws {
        for trigger in Self.triggers {
            let text = repeated(trigger + tail, 64 << 10)
            let seconds = try ProcessorTime.measure { _ = try redact(text, decodesBase64: true) }
            #expect(seconds < 3, "\(trigger)\(tail)")
        }
    }

    @Test(arguments: [
        "eyJ", "AKIA", "github_pat_", "sk-", "SG.", "bc1", "1Q~", "token=", "password=", "cookie: token: ", "\\u00e9",
    ])
    func `a megabyte of one trigger is read in seconds`(trigger: String) throws {
        // Read once per trigger it would take minutes.
        _ = try redact(repeated(trigger, 1 << 20), decodesBase64: true)
    }

    @Test func `values whose quotes have ever more backslashes are withheld once they were read too often`() throws {
        var text = ""
        for slashes in 0..<400 { text += "token=" + String(repeating: "\\", count: slashes) + "\"x y " }
        text += String(repeating: "a b ", count: 100_000) + "jo@example.com"
        let (after, found) = try redact(text)
        #expect(!after.contains("jo@example.com") && after.hasPrefix("token=\"x y "))
        #expect(found == [.password])
    }

    @Test func `a value under very many layers of escapes is withheld, and one under a few is read`() throws {
        let words = String(repeating: "word ", count: 13_000)
        let layers = String(repeating: "\\", count: 256) + "/ %" + String(repeating: "25", count: 9) + "41 "
        let seconds = try ProcessorTime.measure {
            let after = try redact(layers + words + "jo@example.com").text
            #expect(after.hasPrefix("[REDACTED:TOO_DEEP]"))
        }
        #expect(seconds < 2)
        let few = #"\\/ "# + words
        let after = try redact(few + "jo%2540example.com").text
        #expect(after == few + "[REDACTED:EMAIL]")
    }

    @Test(arguments: [
        ("eyJeyJeyJeyJ.eyJzdWIiOiJqbyJ9.c2lnbmF0dXJl", "[REDACTED:JWT]"),
        ("sk-a-sk-ant-b1-c2-d3-e4", "sk-a-[REDACTED:API_KEY]"),
        ("glpat-a.glpat-AbCd1234EfGh5678IjKl", "glpat-a.[REDACTED:GITLAB_TOKEN]"),
        ("token=token=abcdef123456", "token=[REDACTED:PASSWORD]"),
        ("token=/a/token=abcdef123456", "token=/a/token=[REDACTED:PASSWORD]"),
        ("token=a1://b/token=abcdef123456;", "token=a1://b/token=[REDACTED:PASSWORD];"),
        ("AKIAAKIA-AKIAIOSFODNN7EXAMPLF", "AKIAAKIA-[REDACTED:AWS_KEY]"),
    ])
    func `a key among triggers like its own is masked as if it stood alone`(text: String, expected: String) throws {
        let after = try redact(text, .secrets).text
        #expect(after == expected)
    }
}
