import Configuration
import Testing

struct SecretTests {
    @Test func `a secret never prints`() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump([secret], to: &dumped)
        let texts = [
            "\(secret)", String(describing: secret), String(reflecting: secret), "\([secret])", "\(["k": secret])",
            "\(Optional(secret) as Any)", dumped,
        ]
        for text in texts { #expect(!text.contains("hunter2") && text.contains("[REDACTED]")) }
        #expect(secret.reveal() == "hunter2")
    }

    @Test func `keys are told to be secret by their name`() {
        for key in [
            "authorization", "X-Api-Key", "clientSecret", "set-cookie", "x.headers.Authorization", "api_key",
            "auth_token", "db.password",
        ] {
            #expect(SecretKeys.namesCredential(key), "\(key)")
        }
        for key in ["max_tokens", "key", "endpoint", "keys", "monkey", "secretary"] {
            #expect(!SecretKeys.namesCredential(key), "\(key)")
        }
        for key in ["key", "signing_key", "api_key"] { #expect(SecretKeys.looksSecret(key)) }
        #expect(!SecretKeys.looksSecret("monkey"))
    }

    @Test(arguments: [
        ("postgres://me:pw@h/x", "postgres://me:[REDACTED]@h/x"), ("postgres://me@h/x", "postgres://me@h/x"),
        ("a://u:p:q@h b://h:1/@x", "a://u:[REDACTED]@h b://h:1/@x"), ("no url, é://", "no url, é://"),
        ("https://ghp_abc@h/", "https://[REDACTED]@h/"), ("https://sk_live_1:@h/", "https://[REDACTED]@h/"),
        ("https://h/v1/traces?team=a&api_key=b&x", "https://h/v1/traces?team=a&api_key=[REDACTED]&x"),
        ("https://h/?sig=b#token=c", "https://h/?sig=[REDACTED]#token=[REDACTED]"),
        (
            "https://hooks.slack.com/services/T0/B0/abcdefGHIJKL0123456789xy",
            "https://hooks.slack.com/services/T0/B0/[REDACTED]"
        ),
        ("https://h/hooks/catch/4f1c2a9e-1111-4b2b-8c3c-123456789abc/", "https://h/hooks/catch/[REDACTED]/"),
        ("https://h/bot123456:AAF-x1234567890123456789abcd/send", "https://h/[REDACTED]/send"),
        ("see \"https://u:p@h/x\" or 'http://t@h'", "see \"https://u:[REDACTED]@h/x\" or 'http://[REDACTED]@h'"),
        ("http://localhost:4318/api/public/otel/v1/traces", "http://localhost:4318/api/public/otel/v1/traces"),
    ])
    func `credentials in URLs are masked and the rest stays`(text: String, masked: String) {
        #expect(URLMask.mask(in: text) == masked)
    }

    @Test(arguments: [
        ("https://hooks.slack.com/services/a", "https://hooks.slack.com/[REDACTED]"),
        ("https://h:8080?key=a", "https://h:8080/[REDACTED]"), ("https://u:p@h/a", "https://u:[REDACTED]@h/[REDACTED]"),
        ("https://h/", "https://h/"), ("https://h", "https://h"), ("h/services/a", "[REDACTED]"), ("", ""),
    ])
    func `of a webhook's URL the host is left`(url: String, shown: String) {
        #expect(URLMask.host(of: url) == shown)
    }
}
