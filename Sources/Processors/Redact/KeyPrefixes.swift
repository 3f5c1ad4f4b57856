import Telemetry

/// A key that its provider gave a prefix, such as `ghp_`, and what must follow.
struct KeyPrefix: Sendable {
    /// What the characters behind the prefix may be.
    enum Body: Sendable {
        case alphanumeric, hexadecimal
        /// Letters, digits, `_` and `-`; a digit or letters of both cases among them, which kebab-case words lack.
        case url
        /// The same with dots.
        case dotted
    }

    let text: [UInt8]
    let body: Body
    /// Fewest characters behind the prefix.
    let least: Int
    let detector: Detector

    /// No prefix is longer.
    static let longest = 16

    /// Whether nothing else has the prefix, so that it is a key behind a letter or underscore too: `_ghp_…`.
    var isDistinct: Bool { text.count >= 4 && body != .hexadecimal && body != .dotted }

    /// Prefixes in one string, parted by spaces.
    private static func keys(
        _ detector: Detector, _ body: Body, _ least: Int, _ prefixes: String
    ) -> [KeyPrefix] {
        prefixes.split(separator: " ").map {
            KeyPrefix(text: Array($0.utf8), body: body, least: least, detector: detector)
        }
    }

    /// Prefixes that end with a sign, at which the search stops. Shapes as the providers document them; the fewest
    /// characters are kept low, because a masked word is better than a leaked key.
    static let known: [KeyPrefix] = {
        let groups: [[KeyPrefix]] = [
            keys(.githubToken, .alphanumeric, 16, "ghp_ gho_ ghu_ ghs_ ghr_"),
            keys(.githubToken, .url, 16, "github_pat_"),
            keys(.gitlabToken, .url, 16, "glpat- gldt- glrt- glptt- glcbt- glft- glsoat- glimt- glagent- gloas-"),
            keys(.slackToken, .url, 10, "xapp- xoxb- xoxp- xoxa- xoxe- xoxr- xoxs- xoxo- xoxd- xoxe.xoxp-"),
            keys(.stripeKey, .alphanumeric, 16, "sk_live_ sk_test_ rk_live_ rk_test_"),
            keys(.stripeKey, .alphanumeric, 20, "whsec_"),
            keys(.googleKey, .url, 20, "GOCSPX- ya29."),
            keys(.npmToken, .alphanumeric, 30, "npm_"),
            keys(.pypiToken, .url, 32, "pypi-"),
            keys(.sendGridKey, .dotted, 40, "SG."),
            keys(.huggingFaceToken, .alphanumeric, 20, "hf_"),
            keys(.huggingFaceToken, .alphanumeric, 30, "api_org_"),
            // OpenAI, Anthropic and many more; `secretKey` looks closer.
            keys(.apiKey, .url, 12, "sk-"),
            // Shopify, Groq, Fireworks, New Relic, Replicate, Notion, 1Password's age keys.
            keys(.apiKey, .alphanumeric, 16, "shpat_ shpss_ shppa_ shpca_"),
            keys(.apiKey, .alphanumeric, 20, "gsk_ fw_ NRAK- r8_"),
            keys(.apiKey, .alphanumeric, 30, "ntn_ dp.pt."),
            keys(.apiKey, .alphanumeric, 50, "AGE-SECRET-KEY-"),
            // DigitalOcean, Sentry, Supabase, E2B, Mailgun, Firecrawl, ElevenLabs, RubyGems, Pulumi.
            keys(.apiKey, .hexadecimal, 32, "dop_v1_ doo_v1_ dor_v1_ sntryu_ sbp_ e2b_ key- fc-"),
            keys(.apiKey, .hexadecimal, 40, "sk_ rubygems_ pul-"),
            // Perplexity, xAI, NVIDIA, Tavily, Docker, PlanetScale, Square, Vault, LangSmith.
            keys(.apiKey, .url, 16, "tvly-"),
            keys(.apiKey, .url, 20, "pplx- xai- nvapi- dckr_pat_ dckr_oat_ pscale_tkn_ pscale_pw_ sq0atp- hvs. hvb."),
            keys(.apiKey, .url, 24, "lsv2_"),
            // Figma, Linear, Sentry, Pinecone, Jina, PostHog, Grafana, Postman, Square, Doppler.
            keys(.apiKey, .url, 30, "figd_ lin_api_ sntrys_ pcsk_ jina_ phx_ glsa_ glc_ PMAK- sq0csp-"),
            keys(.apiKey, .dotted, 30, "dp.st."),
        ]
        return Array(groups.joined())
    }()
}

/// The prefixes of the enabled detectors, found by their last two characters.
struct KeyPrefixTable: Sendable {
    let all: [KeyPrefix]
    /// Index of the first prefix whose last character but one is this byte, and behind the last one.
    private let starts: [UInt16]

    init(_ detectors: DetectorSet) {
        all = KeyPrefix.known.filter { detectors.has(DetectorSet($0.detector)) }
            .sorted { KeyPrefixTable.group($0) < KeyPrefixTable.group($1) }
        var starts = [UInt16](repeating: 0, count: 257)
        for prefix in all { starts[KeyPrefixTable.group(prefix) + 1] += 1 }
        for index in 1...256 { starts[index] += starts[index - 1] }
        self.starts = starts
    }

    private static func group(_ prefix: KeyPrefix) -> Int { Int(prefix.text[prefix.text.count - 2]) }

    /// Prefixes that may end with `byte` and one more.
    @inline(__always)
    func candidates(_ byte: UInt8) -> Range<Int> { Int(starts[Int(byte)])..<Int(starts[Int(byte) + 1]) }
}

extension DetectorScan {
    /// Records the key whose prefix ends right before `body`, and those that begin where it ends, without a sign
    /// between them: `ghp_…ghp_…`. Returns where the last one ends.
    @inline(never)
    func prefixedKeys(
        _ bytes: ByteCursor, _ body: Int, _ first: Int, _ memory: inout ScanMemory, _ matches: inout Column<Match>
    ) -> Int? {
        guard var key = prefixedKey(bytes, body, &memory) else { return nil }
        while let next = keyBehind(key, bytes, &memory) {
            // The letters of the next prefix were taken for the end of this key.
            key.end = min(key.end, next.start)
            DetectorScan.merge(key, first, &matches)
            key = next
        }
        DetectorScan.merge(key, first, &matches)
        return Int(key.end)
    }

    /// A key whose prefix begins inside the end of another key or right behind it.
    private func keyBehind(_ key: Match, _ bytes: ByteCursor, _ memory: inout ScanMemory) -> Match? {
        let end = Int(key.end)
        var sign = end
        while sign &- end < KeyPrefix.longest {
            let byte = bytes[sign]
            if byte == 0x5F || byte == 0x2D || byte == 0x2E {
                if let next = prefixedKey(bytes, sign &+ 1, &memory, behind: end), Int(next.end) > end { return next }
            } else if !ByteClass.isAlphanumeric(byte) {
                return nil
            }
            sign &+= 1
        }
        return nil
    }

    /// The key whose prefix ends right before `body`. `behind` is where a key ends at which this one has to begin.
    private func prefixedKey(
        _ bytes: ByteCursor, _ body: Int, _ memory: inout ScanMemory, behind: Int? = nil
    ) -> Match? {
        for index in prefixes.candidates(bytes[body &- 2]) {
            let prefix = prefixes.all[index]
            let start = body &- prefix.text.count
            guard bytes.has(prefix.text, at: start) else { continue }
            if let behind {
                guard start <= behind, let end = end(of: prefix, bytes, body, &memory) else { continue }
                return Match(start, end, prefix.detector.tag)
            }
            let isGlued = !bytes.isTokenStart(start)
            if prefix.text.count == 3, bytes.has("sk-", at: start) {
                if !isGlued { return secretKey(bytes, start, &memory.keys) }
                continue
            }
            guard !isGlued || prefix.isDistinct, let end = end(of: prefix, bytes, body, &memory) else { continue }
            if !isGlued || looksRandom(bytes, body..<end) {
                return Match(start, end, prefix.detector.tag)
            }
        }
        return nil
    }

    /// Whether a key's body cannot be a word: as long as real ones, with digits and letters of both cases at its
    /// beginning, as all that are random have them.
    private func looksRandom(_ bytes: ByteCursor, _ body: Range<Int>) -> Bool {
        var (digits, uppers, lowers) = (0, 0, 0)
        for index in body.prefix(256) {
            let byte = bytes[index]
            if ByteClass.isDigit(byte) { digits &+= 1 }
            if ByteClass.isUpper(byte) { uppers &+= 1 } else if ByteClass.isLetter(byte) { lowers &+= 1 }
        }
        return body.count >= 20 && digits >= 2 && uppers >= 2 && lowers >= 2
    }

    private func end(
        of prefix: KeyPrefix, _ bytes: ByteCursor, _ body: Int, _ memory: inout ScanMemory
    ) -> Int? {
        var end = body
        var isRandom = true
        switch prefix.body {
        // The sign that ends the prefix is none of these, so no other key with such a prefix begins in the body.
        case .alphanumeric: end = bytes.endOfAlphanumerics(body)
        case .hexadecimal: while ByteClass.hexValue(bytes[end]) != nil { end &+= 1 }
        case .url:
            end = memory.keys.end(bytes, from: body)
            isRandom = memory.keys.hasDigit(from: body) || memory.keys.hasCases(from: body)
        case .dotted:
            end = memory.dottedKeys.end(bytes, from: body, withDots: true)
            isRandom = memory.dottedKeys.hasDigit(from: body) || memory.dottedKeys.hasCases(from: body)
        }
        return isRandom && end &- body >= prefix.least ? end : nil
    }

    /// `sk-…`: OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek and others. Words in kebab case are told apart by
    /// needing a digit and one run of at least twelve letters and digits, unless a provider's infix follows.
    private func secretKey(_ bytes: ByteCursor, _ start: Int, _ run: inout KeyRun) -> Match? {
        // Behind a dash it may be a part of a word such as `task-sk-…`, so it has to look more like a key.
        let isChained = bytes[start &- 1] == 0x2D
        let body = start &+ 3
        let end = run.end(bytes, from: body)
        let hasInfix =
            bytes.has("ant-", at: body) || bytes.has("proj-", at: body) || bytes.has("svcacct-", at: body)
            || bytes.has("or-v1-", at: body) || bytes.has("lf-", at: body) || bytes.has("admin-", at: body)
        let least = hasInfix ? 12 : 16
        let isLong = isChained ? run.hasTwenty(from: body) : run.hasTwelve(from: body)
        guard end &- body >= least, run.hasDigit(from: body), hasInfix || isLong else { return nil }
        return Match(start, end, Detector.apiKey.tag)
    }

    /// `AIza` and 35 more characters; `index` is that of the `I`.
    @inline(never)
    func googleKey(_ bytes: ByteCursor, _ index: Int, _ run: inout KeyRun) -> Match? {
        let start = index &- 1
        guard bytes[start] == 0x41, bytes.isTokenStart(start) else { return nil }
        let end = run.end(bytes, from: index &+ 3)
        return run.hasDigit(from: index &+ 3) && end &- start >= 33 ? Match(start, end, Detector.googleKey.tag) : nil
    }

    /// `SK` and 32 hexadecimal digits.
    @inline(never)
    func twilioKey(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard detectors.has(.twilioKey), bytes.isTokenStart(start) else { return nil }
        var end = start &+ 2
        while ByteClass.hexValue(bytes[end]) != nil { end &+= 1 }
        guard end &- start == 34, !ByteClass.isWord(bytes[end]) else { return nil }
        return Match(start, end, Detector.twilioKey.tag)
    }

    /// `dapi` of Databricks and 32 hexadecimal digits, with a number behind a dash where the token was made for another
    /// workspace.
    @inline(never)
    func databricksToken(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard detectors.has(.apiKey), bytes.has("dapi", at: start), bytes.isTokenStart(start) else { return nil }
        var end = start &+ 4
        while ByteClass.hexValue(bytes[end]) != nil { end &+= 1 }
        guard end &- start == 36 else { return nil }
        if bytes[end] == 0x2D, bytes.isDigit(end &+ 1) { end = bytes.endOfDigits(end &+ 1) }
        return ByteClass.isWord(bytes[end]) ? nil : Match(start, end, Detector.apiKey.tag)
    }

    /// A client secret of Microsoft Entra: three characters, a digit, `Q~` and at least 31 more; `index` is the
    /// digit's.
    @inline(never)
    func azureSecret(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard detectors.has(.azureKey) else { return nil }
        let start = index &- 3
        guard start >= 0, !isAzureByte(bytes[start &- 1]) else { return nil }
        for place in start..<index where !isAzureByte(bytes[place]) { return nil }
        var end = index &+ 3
        while end &- start <= 44, isAzureByte(bytes[end]) { end &+= 1 }
        guard end &- start >= 37, end &- start <= 44 else { return nil }
        return Match(start, end, Detector.azureKey.tag)
    }

    @inline(__always)
    private func isAzureByte(_ byte: UInt8) -> Bool {
        ByteClass.isURLBase64(byte) || byte == 0x7E || byte == 0x2E
    }

    /// A bot's number of 8 to 10 digits, a colon and 35 characters that begin with `AA`; `index` is the last digit's.
    @inline(never)
    func telegramToken(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard detectors.has(.telegramToken), bytes[index &+ 3] == 0x41 else { return nil }
        var start = index
        while bytes.isDigit(start &- 1), index &- start < 12 { start &-= 1 }
        // In a URL the number follows `/bot`.
        guard (7...9).contains(index &- start), bytes.isTokenStart(start) || bytes.has("bot", at: start &- 3) else {
            return nil
        }
        var end = index &+ 2
        while ByteClass.isURLBase64(bytes[end]) { end &+= 1 }
        guard end &- index == 37 else { return nil }
        return Match(start, end, Detector.telegramToken.tag)
    }

    /// A bot's token at Discord: its number of 17 to 20 digits in base64, a dot, six characters, a dot and at least 27.
    @inline(never)
    func discordToken(_ bytes: ByteCursor, _ start: Int) -> Match? {
        guard detectors.has(.apiKey), bytes.isTokenStart(start) else { return nil }
        var end = start
        var bits: UInt32 = 0
        var held: UInt32 = 0
        while end &- start < 28, let value = ByteClass.base64Value(bytes[end]) {
            bits = bits << 6 | UInt32(value)
            held &+= 6
            if held >= 8 {
                held &-= 8
                guard ByteClass.isDigit(UInt8(truncatingIfNeeded: bits >> held)) else { return nil }
            }
            end &+= 1
        }
        guard end &- start >= 23, bytes[end] == 0x2E else { return nil }
        let second = end &+ 1
        end = second
        while end &- second < 8, ByteClass.isURLBase64(bytes[end]) { end &+= 1 }
        guard end &- second == 6, bytes[end] == 0x2E else { return nil }
        let third = end &+ 1
        end = third
        while ByteClass.isURLBase64(bytes[end]) { end &+= 1 }
        return end &- third >= 27 ? Match(start, end, Detector.apiKey.tag) : nil
    }

    /// The three secret parts of a Slack webhook, behind `/services/`; `index` is that of the `s`.
    @inline(never)
    func slackHook(_ bytes: ByteCursor, _ index: Int) -> Match? {
        guard detectors.has(.slackToken), bytes.has("/service", at: index &- 8) else { return nil }
        var end = index &+ 2
        var slashes = 0
        while ByteClass.isAlphanumeric(bytes[end]) || (bytes[end] == 0x2F && bytes.isAlphanumeric(end &+ 1)) {
            if bytes[end] == 0x2F { slashes &+= 1 }
            // What has more parts is a path, in which `/services/T` may come again and again.
            if slashes > 2 { return nil }
            end &+= 1
        }
        guard slashes == 2, end &- index >= 30 else { return nil }
        return Match(index &+ 2, end, Detector.slackToken.tag)
    }
}
