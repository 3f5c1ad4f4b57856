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

    /// The text with the password of any `scheme://user:password@host` replaced by the mask.
    package static func maskingPasswords(in text: String) -> String {
        var result = ""
        var rest = Substring(text)
        while let scheme = rest.firstRange(of: "://") {
            result += rest[..<scheme.upperBound]
            rest = rest[scheme.upperBound...]
            let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" && !$0.isWhitespace }
            guard let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") else {
                continue
            }
            result += "\(authority[..<colon]):\(Secret.mask)"
            rest = rest[at...]
        }
        return result + rest
    }

    private static func lastPart(_ key: String) -> String {
        var name = Substring(key)
        if let dot = name.lastIndex(of: ".") { name = name[name.index(after: dot)...] }
        if let bracket = name.firstIndex(of: "[") { name = name[..<bracket] }
        return name.lowercased()
    }
}

extension Substring {
    /// The first place of a pattern, compared by Unicode scalars so that combining marks hide nothing.
    fileprivate func firstRange(of pattern: String) -> Range<Index>? {
        let wanted = Array(pattern.unicodeScalars)
        var index = startIndex
        while index < endIndex {
            if unicodeScalars[index...].starts(with: wanted) {
                return index..<unicodeScalars.index(index, offsetBy: wanted.count)
            }
            index = unicodeScalars.index(after: index)
        }
        return nil
    }
}
