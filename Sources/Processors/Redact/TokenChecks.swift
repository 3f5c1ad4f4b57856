import Telemetry

/// Detectors whose finds are words: addresses, keys, tokens.
extension DetectorScan {
    // MARK: Mail addresses

    /// `at` is the sign, `domain` the index behind it (they differ by more than one for `%40`).
    @inline(never)
    func email(_ bytes: ByteCursor, _ at: Int, _ domain: Int) -> Match? {
        var start = at
        let lowest = max(0, at &- 64)
        while start > lowest, isLocalPart(bytes[start &- 1]) { start &-= 1 }
        // A dot or sign at the front belongs to the sentence; `\n` before the name is an escape.
        if bytes[start &- 1] == 0x5C, ByteClass.isEscapeLetter(bytes[start]), at &- start > 1 { start &+= 1 }
        while start < at, !ByteClass.isAlphanumeric(bytes[start]), bytes[start] != 0x5F { start &+= 1 }
        guard start < at, bytes[at &- 1] != 0x2E else { return nil }
        guard let end = endOfDomain(bytes, domain) else { return nil }
        // git@host:path is an address of a repository, not of a person.
        if bytes[end] == 0x3A, at &- start == 3, bytes.has("git", at: start) { return nil }
        return Match(start, end, Detector.email.tag)
    }

    @inline(__always)
    private func isLocalPart(_ byte: UInt8) -> Bool {
        ByteClass.isWord(byte) || byte == 0x2E || byte == 0x2D || byte == 0x2B || byte == 0x25 || byte == 0x27
    }

    /// End of the longest run of labels whose last is a possible top-level domain, nil when there is none.
    private func endOfDomain(_ bytes: ByteCursor, _ start: Int) -> Int? {
        var index = start
        var best: Int?
        var labels = 0
        while index &- start <= 253 {
            let label = index
            var hasOnlyLetters = true
            while ByteClass.isAlphanumeric(bytes[index]) || bytes[index] == 0x2D {
                if !ByteClass.isLetter(bytes[index]) { hasOnlyLetters = false }
                index &+= 1
                if index &- label > 63 { return best }
            }
            guard index > label, bytes[label] != 0x2D else { return best }
            labels += 1
            var end = index
            while bytes[end &- 1] == 0x2D {
                end &-= 1
                hasOnlyLetters = false
            }
            let isTop = hasOnlyLetters ? index &- label >= 2 : bytes.hasFolded("xn--", at: label)
            if labels > 1, isTop { best = end }
            guard bytes[index] == 0x2E else { return best }
            index &+= 1
        }
        return best
    }

    // MARK: Keys with a dash or underscore in their prefix

    @inline(never)
    func dashed(_ bytes: ByteCursor, _ index: Int) -> Match? {
        let before = bytes[index &- 1]
        if before == 0x2D || bytes[index &+ 1] == 0x2D {
            return detectors.has(.pemKey) && bytes.has("-----BEGIN ", at: index) ? privateKey(bytes, index) : nil
        }
        guard detectors.has(.apiKey) else { return nil }
        switch before {
        case 0x6B where bytes[index &- 2] == 0x73: return secretKey(bytes, index)
        case 0x74: return prefixed(bytes, index, "glpat", 16)
        case 0x78: return prefixed(bytes, index, "pplx", 20)
        case 0x69: return prefixed(bytes, index, "xai", 20) ?? prefixed(bytes, index, "nvapi", 20)
        case 0x70: return prefixed(bytes, index, "xapp", 10) ?? prefixed(bytes, index, "xoxp", 10)
        case 0x79: return prefixed(bytes, index, "tvly", 16)
        case 0x58: return prefixed(bytes, index, "GOCSPX", 20)
        default: break
        }
        if bytes.has("xox", at: index &- 4), bytes.isTokenStart(index &- 4) {
            return bodied(bytes, index &- 4, index &+ 1, 10)
        }
        return nil
    }

    @inline(never)
    func underscored(_ bytes: ByteCursor, _ index: Int) -> Match? {
        if detectors.has(.apiKey) {
            switch bytes[index &- 1] {
            case 0x70, 0x6F, 0x75, 0x73, 0x72:
                if bytes.has("gh", at: index &- 3) { return alphanumericKey(bytes, index &- 3, index &+ 1, 16) }
            case 0x74:
                if bytes.has("github_pat", at: index &- 10) {
                    return bytes.isTokenStart(index &- 10) ? bodied(bytes, index &- 10, index &+ 1, 16) : nil
                }
                if bytes.has("shpat", at: index &- 5) { return alphanumericKey(bytes, index &- 5, index &+ 1, 16) }
            case 0x66: return prefixedAlphanumeric(bytes, index, "hf", 20)
            case 0x6B:
                if bytes.has("gs", at: index &- 3) { return prefixedAlphanumeric(bytes, index, "gsk", 20) }
                let isLive = bytes.has("live_", at: index &+ 1) || bytes.has("test_", at: index &+ 1)
                if isLive, bytes.has("sk", at: index &- 2) || bytes.has("rk", at: index &- 2) {
                    return alphanumericKey(bytes, index &- 2, index &+ 6, 16)
                }
            case 0x6D: return prefixedAlphanumeric(bytes, index, "npm", 30)
            case 0x38: return prefixedAlphanumeric(bytes, index, "r8", 24)
            case 0x63: return prefixedAlphanumeric(bytes, index, "whsec", 20)
            case 0x32:
                if bytes.has("lsv2", at: index &- 4), bytes.isTokenStart(index &- 4) {
                    return bodied(bytes, index &- 4, index &+ 1, 24)
                }
            default: break
            }
        }
        if detectors.has(.awsKey), bytes.hasFolded("key", at: index &+ 1),
            bytes.hasFolded("secret_access", at: index &- 13)
        {
            return labelledSecret(bytes, index &+ 4)
        }
        return nil
    }

    private func prefixed(_ bytes: ByteCursor, _ index: Int, _ prefix: StaticString, _ least: Int) -> Match? {
        let start = index &- prefix.utf8CodeUnitCount
        guard bytes.has(prefix, at: start), bytes.isTokenStart(start) else { return nil }
        return bodied(bytes, start, index &+ 1, least)
    }

    private func prefixedAlphanumeric(
        _ bytes: ByteCursor, _ index: Int, _ prefix: StaticString, _ least: Int
    ) -> Match? {
        let start = index &- prefix.utf8CodeUnitCount
        guard bytes.has(prefix, at: start) else { return nil }
        return alphanumericKey(bytes, start, index &+ 1, least)
    }

    private func alphanumericKey(_ bytes: ByteCursor, _ start: Int, _ body: Int, _ least: Int) -> Match? {
        guard bytes.isTokenStart(start) else { return nil }
        let end = bytes.endOfAlphanumerics(body)
        return end &- body >= least ? Match(start, end, Detector.apiKey.tag) : nil
    }

    /// At least `least` characters of base64url, a digit among them.
    private func bodied(_ bytes: ByteCursor, _ start: Int, _ body: Int, _ least: Int) -> Match? {
        var end = body
        var hasDigit = false
        while ByteClass.isURLBase64(bytes[end]) {
            if ByteClass.isDigit(bytes[end]) { hasDigit = true }
            end &+= 1
        }
        return hasDigit && end &- body >= least ? Match(start, end, Detector.apiKey.tag) : nil
    }

    /// `sk-…`: OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek and others. Words in kebab case are told apart by
    /// needing a digit and one run of at least twelve letters and digits, unless a provider's infix follows.
    private func secretKey(_ bytes: ByteCursor, _ index: Int) -> Match? {
        let start = index &- 2
        guard bytes.isTokenStart(start), bytes[start &- 1] != 0x2D else { return nil }
        let body = index &+ 1
        var end = body
        var run = 0
        var longest = 0
        var digits = 0
        while ByteClass.isURLBase64(bytes[end]) {
            let byte = bytes[end]
            if ByteClass.isDigit(byte) { digits &+= 1 }
            run = ByteClass.isAlphanumeric(byte) ? run &+ 1 : 0
            longest = max(longest, run)
            end &+= 1
        }
        let hasInfix =
            bytes.has("ant-", at: body) || bytes.has("proj-", at: body) || bytes.has("svcacct-", at: body)
            || bytes.has("or-v1-", at: body) || bytes.has("lf-", at: body) || bytes.has("admin-", at: body)
        let least = hasInfix ? 12 : 16
        guard end &- body >= least, digits > 0, hasInfix || longest >= 12 else { return nil }
        return Match(start, end, Detector.apiKey.tag)
    }

    /// `AIza` and 35 more characters; the trigger is the z.
    @inline(never)
    func googleKey(_ bytes: ByteCursor, _ index: Int) -> Match? {
        let start = index &- 2
        guard bytes.has("AIza", at: start), bytes.isTokenStart(start) else { return nil }
        return bodied(bytes, start, index &+ 2, 30)
    }

    // MARK: Tokens

    /// `Bearer` and a token; only the token is masked. A word without digits is a word, unless it is long.
    @inline(never)
    func bearer(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard bytes.hasFolded("bearer", at: index), bytes.isTokenStart(index) else { return nil }
        var start = index &+ 6
        while start &- index < 24,
            ByteClass.isSpace(bytes[start]) || bytes[start] == 0x3A || bytes.has("%20", at: start)
        {
            start &+= bytes[start] == 0x25 ? 3 : 1
        }
        guard start > index &+ 6 else { return nil }
        var end = start
        var hasDigit = false
        while ByteClass.isBase64(bytes[end]) || bytes[end] == 0x2E || bytes[end] == 0x7E {
            if ByteClass.isDigit(bytes[end]) { hasDigit = true }
            end &+= 1
        }
        if bytes[end &- 1] == 0x2E { end &-= 1 }
        let length = end &- start
        guard length >= (hasDigit ? 8 : 24) else { return nil }
        return Match(start, end, Detector.bearerToken.tag)
    }

    /// Three (JWS) or five (JWE) parts of base64url, the first an encoded JSON object (RFC 7519); the trigger is the J.
    @inline(never)
    func webToken(_ bytes: ByteCursor, _ index: Int) -> Match? {
        let start = index &- 2
        guard bytes.has("eyJ", at: start) else { return nil }
        var end = start
        while ByteClass.isURLBase64(bytes[end]) { end &+= 1 }
        guard end &- start >= 10, bytes[end] == 0x2E else { return nil }
        let payload = end &+ 1
        end = payload
        while ByteClass.isURLBase64(bytes[end]) { end &+= 1 }
        guard end &- payload >= 8 || (bytes[end] == 0x2E && bytes[payload] == 0x2E) else { return nil }
        var parts = 2
        while parts < 5, bytes[end] == 0x2E, ByteClass.isURLBase64(bytes[end &+ 1]) || parts == 2 {
            end &+= 1
            while ByteClass.isURLBase64(bytes[end]) { end &+= 1 }
            parts += 1
        }
        return Match(start, end, Detector.jwt.tag)
    }

    // MARK: Amazon

    /// `AKIA` or `ASIA` with 16 more capitals and digits, and a secret of 40 characters close to it.
    @inline(never)
    func amazon(_ bytes: ByteCursor, _ index: Int, _ first: Int, _ matches: inout Column<Match>) -> Int? {
        if bytes[index] == 0x4B, bytes.hasFolded("secretaccess", at: index &- 12), bytes.hasFolded("ey", at: index &+ 1)
        {
            return record(bytes, labelledSecret(bytes, index &+ 3), first, &matches)
        }
        let start = index &- 1
        guard bytes.has("AKIA", at: start) || bytes.has("ASIA", at: start), bytes.isTokenStart(start) else {
            return nil
        }
        let end = bytes.endOfAlphanumerics(start)
        guard end &- start >= 16, end &- start <= 128, !ByteClass.isWord(bytes[end]) else { return nil }
        for offset in start..<end where ByteClass.isLetter(bytes[offset]) && !ByteClass.isUpper(bytes[offset]) {
            return nil
        }
        if let secret = secret(bytes, max(0, start &- 256), start) { DetectorScan.merge(secret, first, &matches) }
        DetectorScan.merge(Match(start, end, Detector.awsKey.tag), first, &matches)
        guard let secret = secret(bytes, end, min(bytes.count, end &+ 256)) else { return end }
        DetectorScan.merge(secret, first, &matches)
        return Int(secret.end)
    }

    /// A secret right behind its label.
    private func labelledSecret(_ bytes: ByteCursor, _ index: Int) -> Match? {
        secret(bytes, index, min(bytes.count, index &+ 64))
    }

    /// The first run of exactly 40 base64 characters with capitals, small letters and a digit or sign in `from..<to`.
    func secret(_ bytes: ByteCursor, _ from: Int, _ to: Int) -> Match? {
        var index = from
        while index < to {
            guard isSecretByte(bytes[index]) else {
                index &+= 1
                continue
            }
            let start = index
            var classes: UInt8 = 0
            while isSecretByte(bytes[index]), index &- start <= 64 {
                let byte = bytes[index]
                classes |= ByteClass.isUpper(byte) ? 1 : ByteClass.isLetter(byte) ? 2 : 4
                index &+= 1
            }
            if index &- start == 40, classes == 7, !isSecretByte(bytes[start &- 1]) {
                return Match(start, index, Detector.awsKey.tag)
            }
            if index &- start == 41, classes == 7, bytes[start &- 1] == 0x5C, ByteClass.isEscapeLetter(bytes[start]) {
                return Match(start &+ 1, index, Detector.awsKey.tag)
            }
            while index < to, isSecretByte(bytes[index]) { index &+= 1 }
        }
        return nil
    }

    @inline(__always)
    private func isSecretByte(_ byte: UInt8) -> Bool {
        ByteClass.isAlphanumeric(byte) || byte == 0x2F || byte == 0x2B
    }

    /// Whether a key such as `aws_secret_access_key` or `SecretAccessKey` names an Amazon secret.
    static func namesAmazonSecret(_ key: Text) -> Bool {
        guard key.count >= 15, key[key.count - 1] | 0x20 == 0x79 else { return false }
        let bytes = ByteCursor(key)
        return bytes.hasFolded("secretaccesskey", at: key.count - 15)
            || bytes.hasFolded("secret_access_key", at: key.count - 17)
    }

    // MARK: Private keys

    /// A PEM block whose label ends with PRIVATE KEY (RFC 7468) or is PGP's; to its END line, or as far as it goes.
    private func privateKey(_ bytes: ByteCursor, _ index: Int) -> Match? {
        var label = index &+ 11
        let labelStart = label
        while label &- labelStart < 48,
            ByteClass.isUpper(bytes[label]) || ByteClass.isDigit(bytes[label]) || bytes[label] == 0x20
        {
            label &+= 1
        }
        let isKey =
            bytes.has("PRIVATE KEY", at: label &- 11) || bytes.has("PRIVATE KEY BLOCK", at: label &- 17)
        guard isKey, bytes.has("-----", at: label) else { return nil }
        var end = label &+ 5
        while end < bytes.count {
            let byte = bytes[end]
            if byte == 0x2D, bytes.has("-----END ", at: end) {
                end &+= 9
                while end < bytes.count, bytes[end] != 0x2D, ByteClass.isUpper(bytes[end]) || bytes[end] == 0x20 {
                    end &+= 1
                }
                if bytes.has("-----", at: end) { end &+= 5 }
                break
            }
            let isBody =
                ByteClass.isBase64(byte) || ByteClass.isSpace(byte) || byte == 0x5C || byte == 0x3A || byte == 0x2C
                || byte == 0x2E || byte == 0x28 || byte == 0x29
            if !isBody { break }
            end &+= 1
        }
        return Match(index, end, Detector.pemKey.tag)
    }
}
