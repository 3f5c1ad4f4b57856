import Telemetry

/// Detectors whose finds are words: addresses, keys, tokens.
extension DetectorScan {
    // MARK: Tokens

    /// `Bearer` or `Basic` and what belongs to it; `index` is that of the B.
    @inline(never)
    func scheme(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard bytes.isTokenStart(index) else { return nil }
        if detectors.has(.bearerToken), bytes.hasFolded("bearer", at: index) { return bearer(bytes, index) }
        if detectors.has(.basicAuth), bytes.hasFolded("basic", at: index) { return basic(bytes, index) }
        return nil
    }

    /// `Basic` and base64 of `user:password` (RFC 7617): what decodes to printable text with a colon.
    private func basic(_ bytes: ByteCursor, _ index: Int) -> Match? {
        var start = index &+ 5
        while start &- index < 12, bytes[start] == 0x20 || bytes.has("%20", at: start) {
            start &+= bytes[start] == 0x20 ? 1 : 3
        }
        guard start > index &+ 5 else { return nil }
        var end = start
        var bits: UInt32 = 0
        var held: UInt32 = 0
        var hasColon = false
        while let value = ByteClass.base64Value(bytes[end]) {
            bits = bits << 6 | UInt32(value)
            held &+= 6
            if held >= 8 {
                held &-= 8
                let byte = UInt8(truncatingIfNeeded: bits >> held)
                if byte == 0x3A { hasColon = true }
                guard byte >= 0x20, byte != 0x7F else { return nil }
            }
            end &+= 1
        }
        guard hasColon, end &- start >= 4 else { return nil }
        while bytes[end] == 0x3D { end &+= 1 }
        return Match(start, end, Detector.basicAuth.tag)
    }

    /// `Bearer` and a token; only the token is masked. A word without digits is a word, unless it is long.
    private func bearer(_ bytes: ByteCursor, _ index: Int) -> Match? {
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

    /// Three (JWS) or five (JWE) parts of base64url, the first an encoded JSON object (RFC 7519), hence
    /// the `eyJ`.
    @inline(never)
    func webToken(_ bytes: ByteCursor, _ start: Int, _ run: inout KeyRun) -> Match? {
        var end = run.end(bytes, from: start)
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
    func amazon(_ bytes: ByteCursor, _ start: Int, _ first: Int, _ matches: inout Column<Match>) -> Int? {
        guard bytes[start] == 0x41 else { return nil }
        // Behind a small letter or an underscore only a key of the documented length.
        let before = bytes[start &- 1]
        let isGlued = before == 0x5F || ByteClass.isLetter(before) && !ByteClass.isUpper(before)
        let isAlone = bytes.isTokenStart(start)
        guard isAlone || isGlued else { return nil }
        let most = isAlone ? 128 : 20
        var end = start
        while end &- start < most, ByteClass.isUpper(bytes[end]) || bytes.isDigit(end) { end &+= 1 }
        guard end &- start >= (isAlone ? 16 : 20), !ByteClass.isWord(bytes[end]) else { return nil }
        if let secret = secret(bytes, max(0, start &- 256), start) { DetectorScan.merge(secret, first, &matches) }
        DetectorScan.merge(Match(start, end, Detector.awsKey.tag), first, &matches)
        guard let secret = secret(bytes, end, min(bytes.count, end &+ 256)) else { return end }
        DetectorScan.merge(secret, first, &matches)
        return Int(secret.end)
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

    // MARK: Private keys

    /// A PEM block whose label ends with PRIVATE KEY (RFC 7468) or is PGP's; to its END line, or as far as it goes.
    @inline(never)
    func privateKey(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard bytes.has("-----BEGIN ", at: index) else { return nil }
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
