/// Takes credentials out of URLs that are about to be printed.
package enum URLMask {
    /// Parameters beyond those of `SecretKeys` that carry a credential, such as Azure's `sig` and `code`.
    private static let parameters: Set<String> = ["sig", "code", "jwt", "sas", "access", "hash"]
    /// Letters and digits in a row from which on a part of a path may be drawn at random.
    private static let randomMin = 16

    /// The text with what may be a credential in any `scheme://…` replaced by the mask: passwords, lone users of http,
    /// query values whose name means a secret, and parts of the path that look drawn at random, as webhooks have them.
    package static func mask(in text: String) -> String {
        var result = ""
        var rest = Substring(text)
        while let scheme = rest.firstRange(of: "://") {
            let isHTTP =
                rest[..<scheme.lowerBound].lowercased().hasSuffix("http")
                || rest[..<scheme.lowerBound].lowercased().hasSuffix("https")
            result += rest[..<scheme.upperBound]
            rest = rest[scheme.upperBound...]
            let url = rest.prefix { !$0.isWhitespace && $0 != "\"" && $0 != "'" }
            let authority = url.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
            result += masked(authority: authority, isHTTP: isHTTP)
            result += masked(target: url[authority.endIndex...])
            rest = rest[url.endIndex...]
        }
        return result + rest
    }

    /// The URL up to its host, for one whose path is a credential.
    package static func host(of url: String) -> String {
        guard let scheme = Substring(url).firstRange(of: "://") else { return url.isEmpty ? "" : Secret.mask }
        let rest = url[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let target = rest[authority.endIndex...]
        let start = mask(in: String(url[..<authority.endIndex]))
        return target.isEmpty || target == "/" ? start + target : start + "/" + Secret.mask
    }

    /// What `mask` would take out of the path and query of a URL, or all their parts when the path is a credential.
    package static func secrets(of url: String, hidesPath: Bool = false) -> [String] {
        guard let scheme = Substring(url).firstRange(of: "://") else { return [] }
        let target = url[scheme.upperBound...].drop { $0 != "/" && $0 != "?" && $0 != "#" }
        let parts = target.split { "/?&#".contains($0) }
        var secrets = hidesPath && target.count > 1 ? [String(target)] : []
        for part in parts {
            let value = part.firstIndex(of: "=").map { part[part.index(after: $0)...] } ?? part
            if hidesPath || masked(pair: part) != String(part) { secrets.append(String(value)) }
        }
        return secrets
    }

    private static func masked(authority: Substring, isHTTP: Bool) -> String {
        guard let at = authority.lastIndex(of: "@") else { return String(authority) }
        let host = authority[at...]
        guard let colon = authority[..<at].firstIndex(of: ":") else {
            return isHTTP ? Secret.mask + host : String(authority)
        }
        // Without a password the user is the credential.
        if authority.index(after: colon) == at { return Secret.mask + host }
        return "\(authority[..<colon]):\(Secret.mask)\(host)"
    }

    /// Path, query and fragment.
    private static func masked(target: Substring) -> String {
        let path = target.prefix { $0 != "?" && $0 != "#" }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        var result = parts.map { looksRandom($0) ? Secret.mask : String($0) }.joined(separator: "/")
        var rest = target[path.endIndex...]
        while let mark = rest.first {
            let pair = rest.dropFirst().prefix { $0 != "&" && $0 != "#" }
            result += String(mark) + masked(pair: pair)
            rest = rest[pair.endIndex...]
        }
        return result
    }

    /// A parameter of a query, `name=value`.
    private static func masked(pair: Substring) -> String {
        guard let equals = pair.firstIndex(of: "=") else { return looksRandom(pair) ? Secret.mask : String(pair) }
        let name = pair[..<equals].lowercased()
        let value = pair[pair.index(after: equals)...]
        let isSecret = SecretKeys.looksSecret(name) || parameters.contains(name) || looksRandom(value)
        return isSecret ? "\(pair[...equals])\(Secret.mask)" : String(pair)
    }

    /// True when letters and digits stand in a long row that no word is: with digits among them, or of mixed case.
    static func looksRandom(_ text: Substring) -> Bool {
        text.utf8.split { byte in !isLetter(byte) && !isDigit(byte) }.contains { run in
            guard run.count >= randomMin else { return false }
            let hasUpper = run.contains { isLetter($0) && $0 & 0x20 == 0 }
            let hasLower = run.contains { isLetter($0) && $0 & 0x20 != 0 }
            return run.contains(where: isDigit) || (hasUpper && hasLower)
        } || isUUID(text)
    }

    private static func isUUID(_ text: Substring) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12]
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
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
