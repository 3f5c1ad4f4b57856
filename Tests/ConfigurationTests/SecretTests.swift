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

    @Test func `passwords in URLs are masked`() {
        #expect(SecretKeys.maskingPasswords(in: "postgres://me:pw@h/x") == "postgres://me:[REDACTED]@h/x")
        #expect(SecretKeys.maskingPasswords(in: "a://u:p:q@h b://h:1/@x") == "a://u:[REDACTED]@h b://h:1/@x")
        #expect(SecretKeys.maskingPasswords(in: "no url, é://") == "no url, é://")
    }
}
