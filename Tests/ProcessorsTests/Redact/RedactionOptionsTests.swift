import Configuration
import Pipeline
import Processors
import Telemetry
import Testing

/// Each option of the Collector's redaction processor with its documented meaning, and ours.
@Suite struct RedactionOptionsTests {
    private func run(
        _ text: String, _ attributes: [(String, [UInt8])], signal: Signal = .traces
    ) throws -> [String: String] {
        let request =
            signal == .logs
            ? Wire.logs(records: [Wire.attributes(6, attributes)]) : Wire.traces(span: Wire.attributes(9, attributes))
        return try decoded(text, request, signal).values(signal == .logs ? .log : .span)
    }

    private func decoded(_ text: String, _ request: [UInt8], _ signal: Signal = .traces) throws -> DecodedRequest {
        var bench = Bench()
        var build = bench.build(signal)
        let (options, headlines) = options(RedactionOptions.self, text)
        #expect(headlines == [])
        let processor = RedactionProcessor(options: options, build: &build)
        return try DecodedRequest(Bench.run(processor, build, request).bytes, signal)
    }

    private let card = Wire.string("4111111111111111")

    @Test func `a pattern that needs backtracking is taken with a warning`() {
        let text = "{blocked_values: ['(foo)bar\\1', '(?=x)xy', 'plain[0-9]+'], allowed_values: ['(?<!a)b']}"
        let (read, headlines) = options(RedactionOptions.self, text)
        #expect(read.blockedValues.count == 3 && read.allowedValues.count == 1)
        #expect(headlines.count == 3 && headlines.allSatisfy { $0.contains("needs backtracking") }, "\(headlines)")
    }

    // MARK: Keys

    @Test func `without allow_all_keys and allowed_keys every attribute goes, everywhere`() throws {
        let attributes = { (field: Int) in Wire.strings(field, [("a", "1"), ("b", "2")]) }
        let span = attributes(9) + Wire.field(11, attributes(3)) + Wire.field(13, attributes(4))
        let after = try decoded("{}", Wire.traces(resource: attributes(1), scope: attributes(3), span: span))
        for kind in [OwnerKind.resource, .scope, .span, .event, .link] { #expect(after.keys(kind) == [], "\(kind)") }
    }

    @Test func `allowed_keys stay, others go`() throws {
        let after = try run("{allowed_keys: [b, c]}", [("a", card), ("b", Wire.string("x")), ("c", Wire.int(3))])
        #expect(after == ["b": "\"x\"", "c": "3"])
    }

    @Test func `ignored_keys pass unseen, whether allowed or not`() throws {
        let text = "{ignored_keys: [safe], blocked_values: ['4[0-9]{15}'], blocked_key_patterns: [sa.*]}"
        #expect(try run(text, [("safe", card), ("other", card)]) == ["safe": "\"4111111111111111\""])
    }

    @Test func `ignored_key_patterns pass keys that match anywhere`() throws {
        let text = "{ignored_key_patterns: ['^safe_'], blocked_values: ['4[0-9]{15}']}"
        #expect(try run(text, [("safe_1", card), ("unsafe_1", card)]) == ["safe_1": "\"4111111111111111\""])
    }

    @Test func `blocked_key_patterns mask the whole value, whatever its type`() throws {
        let text = "{allow_all_keys: true, blocked_key_patterns: ['.*token.*', '.*api_key.*']}"
        let after = try run(
            text,
            [
                ("my_token_1", Wire.string("abc")), ("x.api_key", Wire.int(5)), ("list_token", Wire.array([card])),
                ("plain", Wire.string("abc")), ("nested", Wire.map([("token", Wire.string("abc"))])),
            ])
        #expect(after["my_token_1"] == "\"****\"" && after["x.api_key"] == "\"****\"")
        #expect(after["list_token"] == "\"****\"" && after["plain"] == "\"abc\"")
        #expect(after["nested"] == "map 17")
    }

    // MARK: Values

    @Test func `blocked_values mask the matching parts with four asterisks, all of them`() throws {
        let text = "{allow_all_keys: true, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', '(5[1-5][0-9]{14})']}"
        let value = "a 4111111111111111 b 5105105105105100 c 4111111111111"
        #expect(try run(text, [("k", Wire.string(value))]) == ["k": "\"a **** b **** c ****\""])
        #expect(try run(text, [("k", Wire.string(value))], signal: .logs) == ["k": "\"a **** b **** c ****\""])
    }

    @Test func `allowed_values win over blocked values, keys and detectors`() throws {
        let text = """
            {allow_all_keys: true, blocked_values: ['mycompany.com'], allowed_values: ['.+@mycompany.com'],
             blocked_key_patterns: [secret], detectors: [email]}
            """
        let after = try run(
            text,
            [
                ("a", Wire.string("jo@mycompany.com")), ("b", Wire.string("www.mycompany.com")),
                ("secret", Wire.string("jo@mycompany.com")), ("c", Wire.string("jo@other.example")),
            ])
        #expect(after["a"] == "\"jo@mycompany.com\"" && after["secret"] == "\"jo@mycompany.com\"")
        #expect(after["b"] == "\"www.****\"" && after["c"] == "\"[REDACTED:EMAIL]\"")
    }

    @Test func `redact_all_types searches numbers and booleans as their text`() throws {
        let attributes = [
            ("int", Wire.int(4_111_111_111_111_111)), ("double", Wire.double(0.25)), ("bool", Wire.bool(true)),
            ("list", Wire.array([Wire.int(4_111_111_111_111_111), Wire.int(4)])),
        ]
        let rules = "blocked_values: ['4[0-9]{15}', '0\\.25', 'true']"
        let off = try run("{allow_all_keys: true, \(rules)}", attributes)
        #expect(off == ["int": "4111111111111111", "double": "0.25d", "bool": "true", "list": "array 15"])
        let on = try run("{allow_all_keys: true, redact_all_types: true, \(rules)}", attributes)
        #expect(on == ["int": "\"****\"", "double": "\"****\"", "bool": "\"****\"", "list": "array 12"])
    }

    @Test(arguments: [
        ("md5", "5910f4ea0062a0e29afd3dccc741e3ce"),
        ("sha1", "68bfb396f35af3876fc509665b3dc23a0930aab1"),
        ("sha3", "6099154214406cce6105a4688ab66533d3a55d1d7dd393cbccf22b487a22d922"),
        ("hmac-sha256", "6ab68ca2a9a5093ababdf00856c5692bf32152e770d12450e6c24d6e122a0086"),
        (
            "hmac-sha512",
            "7819d3c3d64f9db639566db5c186fc0c5ff2d2f3ba6c1ba868edb8bd5aa179c9"
                + "ded434a16c37a797117d2051cd70a620e073d6e4e2dbcf994f3c62487c9b7d4f"
        ),
    ])
    func `hash_function writes the hash of what was masked`(name: String, digits: String) throws {
        let text = """
            {allow_all_keys: true, blocked_values: ['4[0-9]{15}'], blocked_key_patterns: ['^whole'], detectors: [email],
             hash_function: \(name), hmac_key: 0123456789abcdef}
            """
        let after = try run(
            text,
            [
                ("a", Wire.string("<4111111111111111>")), ("whole", card), ("mail", Wire.string("jo@example.com")),
            ])
        #expect(after["a"] == "\"<\(digits)>\"" && after["whole"] == "\"\(digits)\"")
        #expect(after["mail"]?.hasPrefix("\"[REDACTED:EMAIL:") == true && after["mail"]?.count == 35)
    }

    // MARK: The summary

    private let mixed: [(String, [UInt8])] = [
        ("z", Wire.string("4111111111111111")), ("b", Wire.string("4111111111111111")), ("gone2", Wire.int(1)),
        ("gone1", Wire.int(2)), ("skip", Wire.int(3)), ("ok", Wire.string("fine@ok")),
    ]
    private func rules(_ summary: String) -> String {
        """
        {allowed_keys: [z, b, ok], ignored_keys: [skip], blocked_values: ['4[0-9]{15}'], allowed_values: ['@ok'],
         summary: \(summary)}
        """
    }

    @Test func `summary silent adds nothing, info counts, debug counts and names in order`() throws {
        let silent = try run(rules("silent"), mixed)
        #expect(Set(silent.keys) == ["z", "b", "skip", "ok"])
        let counts = [
            "redaction.redacted.count": "2", "redaction.masked.count": "2", "redaction.allowed.count": "1",
            "redaction.ignored.count": "1",
        ]
        let info = try run(rules("info"), mixed).filter { $0.key.hasPrefix("redaction.") }
        #expect(info == counts)
        let names = [
            "redaction.redacted.keys": "\"gone1,gone2\"", "redaction.masked.keys": "\"b,z\"",
            "redaction.allowed.keys": "\"ok\"",
        ]
        let debug = try run(rules("debug"), mixed).filter { $0.key.hasPrefix("redaction.") }
        #expect(debug == counts.merging(names) { $1 })
    }

    @Test func `a second processor adds to the summary of the first`() throws {
        let before: [(String, [UInt8])] = [
            ("b", card), ("redaction.masked.keys", Wire.string("a")), ("redaction.masked.count", Wire.int(1)),
        ]
        let after = try run("{allow_all_keys: true, blocked_values: ['4[0-9]{15}'], summary: debug}", before)
        #expect(after["redaction.masked.keys"] == "\"a,b\"" && after["redaction.masked.count"] == "2")
    }

    @Test func `log bodies obey the keys at every depth and have a summary of their own`() throws {
        let body = Wire.map([
            ("keep", Wire.map([("keep", card), ("gone", Wire.int(1))])), ("gone", card), ("skip", card),
        ])
        let text = "{allowed_keys: [keep], ignored_keys: [skip], blocked_values: ['4[0-9]{15}'], summary: debug}"
        let after = try decoded(text, Wire.logs(records: [Wire.field(5, body)]), .logs)
        let summary = after.values(.log)
        #expect(summary["redaction.body.redacted.keys"] == "\"gone,keep.gone\"")
        #expect(summary["redaction.body.masked.keys"] == "\"keep.keep\"")
        #expect(summary["redaction.body.ignored.count"] == "1" && summary["redaction.body.masked.count"] == "1")
    }

    // MARK: Problems

    @Test(arguments: [
        ("{detectors: [emial]}", "emial"), ("{detectors: {a: 1}}", "all"), ("{blocked_values: ['(']}", "("),
        ("{blocked_key_patterns: ['[a']}", "[a"), ("{hash_function: hmac-sha256}", "hmac_key"),
        ("{hash_function: md4}", "md5"), ("{pseudonym_key: short}", "16 bytes"),
        ("{blocked_keys: [a]}", "blocked_keys"),
    ])
    func `a faulty option is a problem that says what to do`(text: String, word: String) {
        let headlines = options(RedactionOptions.self, text).headlines
        #expect(headlines.count == 1 && headlines.first?.contains(word) == true, "\(headlines)")
    }

    @Test func `detectors are named singly, in groups or all`() {
        func set(_ text: String) -> DetectorSet {
            options(RedactionOptions.self, "{detectors: \(text)}").options.detectors
        }
        #expect(set("all") == .all && set("[all]") == .all && set("none") == [] && set("[]") == [])
        #expect(set("secrets").union(set("personal")) == .all && set("secrets").isDisjoint(with: set("personal")))
        #expect(set("[email, jwt]") == [DetectorSet(.email), DetectorSet(.jwt)])
        #expect(set("api_key").isSuperset(of: DetectorSet(.githubToken)) && !set("api_key").contains(DetectorSet(.jwt)))
    }

    @Test(arguments: [
        ("url_sanitizer: {enabled: true, attributes: [http.url]}", 1), ("url_sanitizer: {enabled: false}", 0),
        ("db_sanitizer: {sql: {enabled: true, attributes: [db.statement]}}", 1), ("db_sanitizer: {sql: {}}", 0),
    ]) func `sanitizers that do not run here are refused when they are wanted`(yaml: String, count: Int) {
        let headlines = options(RedactionOptions.self, yaml).headlines
        #expect(headlines.count == count && headlines.allSatisfy { $0.contains("replace_pattern") }, "\(headlines)")
    }
}
