/// Tells by its name whether a key usually holds a secret.
package enum SecretKeys {
    private static let credentialEndings = [
        "token", "password", "passwd", "passphrase", "secret", "apikey", "authorization", "cookie", "credential",
        "credentials", "privatekey", "accesskey", "secretkey", "dsn", "keypem",
    ]
    private static let doubtfulWords: Set<String> = ["key", "auth", "bearer", "signature", "pass", "pwd"]

    /// True for names that mean a secret beyond doubt: `authorization`, `api_key`, `X-Api-Key`, `clientSecret`.
    package static func namesCredential(_ key: String) -> Bool {
        let letters = lastPart(key).filter { $0.isLetter || $0.isNumber }
        return credentialEndings.contains { letters.hasSuffix($0) }
    }

    /// True also for names that may mean a secret, such as `key`: the test for values from the environment or a file.
    package static func looksSecret(_ key: String) -> Bool {
        if namesCredential(key) { return true }
        return lastPart(key).split { !($0.isLetter || $0.isNumber) }.contains { doubtfulWords.contains(String($0)) }
    }

    /// True for a key below which everything may be a secret: headers and their like, and lists of credentials.
    static func covers(_ key: String) -> Bool {
        let name = lastPart(key)
        if name.hasSuffix("headers") { return true }
        return looksSecret(name) || (name.hasSuffix("s") && looksSecret(String(name.dropLast())))
    }

    private static func lastPart(_ key: String) -> String {
        var name = Substring(key)
        if let dot = name.lastIndex(of: ".") { name = name[name.index(after: dot)...] }
        if let bracket = name.firstIndex(of: "[") { name = name[..<bracket] }
        return name.lowercased()
    }
}
