/// Takes what looks like a credential out of keys that are about to be printed: a faulty file may have a secret where a
/// key belongs.
enum KeyMask {
    /// The dotted path of an option as it may be printed.
    static func mask(path: String) -> String {
        var isBelowCredential = false
        return URLMask.mask(in: path).split(separator: ".", omittingEmptySubsequences: false).map { part in
            defer { isBelowCredential = SecretKeys.namesCredential(String(part)) }
            // Below `password` and its like a key is more likely the secret itself than an option.
            if isBelowCredential, !isWord(part) { return Secret.mask }
            return masked(part)
        }.joined(separator: ".")
    }

    /// One key, or some text around one.
    static func mask(key: String) -> String { masked(Substring(URLMask.mask(in: key))) }

    private static func masked(_ part: Substring) -> String {
        part.split(separator: " ", omittingEmptySubsequences: false).map { word -> String in
            if let at = word.lastIndex(of: "@"), at > word.startIndex { return Secret.mask + word[at...] }
            return word.split(separator: "/", omittingEmptySubsequences: false)
                .map { URLMask.looksRandom($0) && !isCamelCase($0) ? Secret.mask : String($0) }
                .joined(separator: "/")
        }.joined(separator: " ")
    }

    /// Names as `sendBatchMaxSize` have mixed case, but few capitals and no digits.
    private static func isCamelCase(_ word: Substring) -> Bool {
        let capitals = word.utf8.count { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        return capitals * 4 <= word.utf8.count && !word.utf8.contains { (0x30...0x39).contains($0) }
    }

    /// True for what options are called: lowercase letters and `_`, with the number of a list's element behind it.
    private static func isWord(_ part: Substring) -> Bool {
        part.prefix { $0 != "[" }.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "_")
        }
    }
}
