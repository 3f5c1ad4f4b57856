package import Configuration
package import Patterns

/// How much the processor writes about its own work into the attributes it changed.
package enum RedactionSummary: String, CaseIterable, Sendable {
    case silent
    case info
    case debug
}

/// Options of the `redaction` processor: the Collector's, and `detectors`.
package struct RedactionOptions: ComponentOptions {
    package var allowAllKeys: Bool
    package var allowedKeys: [String]
    package var ignoredKeys: [String]
    package var ignoredKeyPatterns: [CompiledPattern]
    package var blockedKeyPatterns: [CompiledPattern]
    package var blockedValues: [CompiledPattern]
    package var allowedValues: [CompiledPattern]
    package var redactAllTypes: Bool
    package var hashFunction: HashFunction
    package var hmacKey: Secret?
    package var summary: RedactionSummary
    package var detectors: DetectorSet
    package var pseudonymKey: Secret?
    package var isDryRun: Bool
    package var decodesBase64: Bool

    package init(_ settings: inout Settings) {
        allowAllKeys = settings.bool(
            "allow_all_keys", default: false,
            "Keeps attributes whatever their key. When false, attributes not in `allowed_keys` are removed.")
        allowedKeys = settings.strings(
            "allowed_keys", default: [],
            "Attribute keys that are kept. Empty with `allow_all_keys: false` removes every attribute.")
        ignoredKeys = settings.strings(
            "ignored_keys", default: [], "Attribute keys that pass without being looked at.")
        ignoredKeyPatterns = settings.patterns(
            "ignored_key_patterns", "Regular expressions of keys that pass without being looked at.")
        blockedKeyPatterns = settings.patterns(
            "blocked_key_patterns",
            "Regular expressions of keys whose values are masked whole: of attributes, and of members of maps and of "
                + "texts that are JSON.")
        blockedValues = settings.patterns(
            "blocked_values", "Regular expressions; what they match in values is masked.")
        allowedValues = settings.patterns(
            "allowed_values", "Regular expressions; values that match are never masked.")
        redactAllTypes = settings.bool(
            "redact_all_types", default: false, "Also searches numbers and booleans, as their text.")
        hashFunction = settings.choice(
            "hash_function", default: HashFunction.none,
            "Writes a hash of what was masked instead of asterisks; the hmac functions need `hmac_key`.")
        hmacKey = settings.secret("hmac_key", "Key of hmac-sha256 and hmac-sha512.")
        summary = settings.choice(
            "summary", default: RedactionSummary.silent,
            "Adds attributes that count (`info`) and name (`debug`) what was removed and masked.")
        detectors = RedactionOptions.readDetectors(&settings)
        pseudonymKey = settings.secret(
            "pseudonym_key",
            "Writes what detectors find as `[EMAIL:3f9a…]`, digits of HMAC-SHA-256 under this key, so that equal "
                + "values stay equal. Keep it in a file: `${file:/etc/sluice/pseudonym.key}`.")
        isDryRun = settings.bool(
            "dry_run", default: false, "Changes nothing and only counts what would be masked, by detector.")
        decodesBase64 = settings.bool(
            "decode_base64", default: false,
            "Also looks into base64 of 24 characters and more that is text; what holds a find is masked whole. Not "
                + "into base64 within it, nor beyond its first MiB. Costs a second look at every text.")
        RedactionOptions.refuseSanitizers(&settings)
        if hashFunction.isKeyed, hmacKey?.reveal().isEmpty ?? true {
            settings.problem("\(hashFunction.rawValue) needs a key: set hmac_key", at: "hash_function")
        }
        if let pseudonymKey, !settings.isDescribing, pseudonymKey.reveal().utf8.count < 16 {
            settings.problem("needs at least 16 bytes, or the values could be guessed", at: "pseudonym_key")
        }
    }

    /// The Collector's sanitizers do not run here: a file that relies on them must not pass as if they did.
    private static func refuseSanitizers(_ settings: inout Settings) {
        let url = settings.value("url_sanitizer", "Not supported, refused when enabled: use transform.")
        if isEnabled(url) {
            settings.problem(
                "URLs are not generalised here: remove it and write a transform in its place, such as "
                    + "replace_pattern(span.attributes[\"url.path\"], \"/[0-9]+\", \"/*\")", at: "url_sanitizer")
        }
        let database = settings.value("db_sanitizer", "Not supported, refused when enabled: use transform.")
        if isEnabled(database) {
            settings.problem(
                "queries are not rewritten here: remove it and write a transform in its place, such as "
                    + "replace_pattern(span.attributes[\"db.query.text\"], \"'[^']*'|[0-9]+\", \"?\")",
                at: "db_sanitizer")
        }
    }

    /// Whether `enabled: true` stands anywhere in a mapping.
    private static func isEnabled(_ value: ConfigValue?) -> Bool {
        guard case .map(let members)? = value else { return false }
        return members.contains { ($0.0 == "enabled" && $0.1 == .bool(true)) || isEnabled($0.1) }
    }

    /// `all`, or a list of names.
    private static func readDetectors(_ settings: inout Settings) -> DetectorSet {
        let names = DetectorSet.names
        let value = settings.value(
            "detectors",
            "Built-in detectors: one or a list of \(names.joined(separator: ", ")). `api_key` stands for the keys of "
                + "all providers. None when absent.")
        var wanted: [String] = []
        switch value {
        case nil, .null: return []
        case .string("none"): return []
        case .string(let name): wanted = [name]
        case .list(let entries):
            for entry in entries {
                guard case .string(let name) = entry else {
                    settings.problem("detectors are named by strings, such as email", at: "detectors")
                    continue
                }
                wanted.append(name)
            }
        default: settings.problem("expects `all` or a list of detector names", at: "detectors")
        }
        var found: DetectorSet = []
        for name in wanted {
            if let set = DetectorSet(name: name) {
                found.formUnion(set)
            } else {
                settings.problem(
                    "there is no detector \(name); write all, or some of \(names.joined(separator: ", "))",
                    at: "detectors")
            }
        }
        return found
    }
}

extension Settings {
    /// A list of regular expressions, compiled; each bad one is a problem with PCRE2's words.
    package mutating func patterns(_ key: String, _ sentence: String) -> [CompiledPattern] {
        strings(key, default: [], sentence).compactMap {
            pattern(of: $0, at: key, undecided: "what could not be decided is masked")
        }
    }

    /// Compiles one expression that was read from `key`, and warns when it could take long; `undecided` says what
    /// becomes of texts on which it did.
    package mutating func pattern(
        of text: String, at key: String, undecided: String = "what could not be decided does not match"
    ) -> CompiledPattern? {
        do throws(PatternProblem) {
            let pattern = try CompiledPattern(text)
            if pattern.needsBacktracking {
                warning(
                    "\(text) needs backtracking: a search is given up after \(PatternMatcher.matchLimit) steps, and "
                        + undecided,
                    fix: "write it without looking around and without references to groups, as the Collector needs it",
                    at: key)
            }
            return pattern
        } catch {
            problem("\(text) is not a regular expression: \(error.message)", at: key, on: text)
            return nil
        }
    }
}
