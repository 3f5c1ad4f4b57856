import Telemetry
import Testing

@testable import OTTL

/// Patterns that are no literals.
@Suite struct PatternTests {
    @Test(arguments: [
        "IsMatch(name, Concat([\"^GET\", \"/user\"], \" \"))", "IsMatch(\"hello world!\", attributes[\"text\"])",
        "not IsMatch(name, attributes[\"text\"])", "IsMatch(name, Substring(name, 0, 3))",
        "ExtractPatterns(name, Concat([\"(?P<verb>\", \")\"], \"\\\\w+\"))[\"verb\"] == \"GET\"",
    ])
    func `a pattern may be made from texts`(_ condition: String) throws {
        #expect(try Lab.holds(condition, .span, on: Sample.span))
    }

    @Test(arguments: [
        ("replace_pattern(name, Concat([\"/us\", \"er\"], \"\"), \"/u\")", "name == \"GET /u/7\""),
        ("replace_pattern(name, attributes[\"p\"], \"<$1>\")", "name == \"GET /user/<7>\""),
        (
            "replace_all_patterns(attributes, \"value\", attributes[\"p\"], \"n\")",
            "HasPrefix(attributes[\"pairs\"], \"kn=vn\")"
        ),
        ("replace_match(name, Concat([\"GET\", \"*\"], \" /\"), \"all\")", "name == \"all\""),
        (
            "replace_all_matches(attributes, Concat([\"hello\", \"*\"], \" \"), \"bye\")",
            "attributes[\"text\"] == \"bye\""
        ),
        ("delete_matching_keys(attributes, Concat([\"^t\", \"\"], \"\"))", "attributes[\"text\"] == nil"),
        ("keep_matching_keys(attributes, Concat([\"^\", \"xt\"], \"te\"))", "Keys(attributes) == [\"text\"]"),
    ])
    func `editors take patterns that are made from texts`(_ statement: String, _ then: String) throws {
        let changed = try Lab.run(["set(attributes[\"p\"], \"([0-9]+)\")", statement], .span, on: Sample.span)
        #expect(try Lab.holds(then, .span, on: changed), "\(changed)")
    }

    @Test(arguments: [
        "IsMatch(name, Concat([\"(\", name], \"\"))",
        "ExtractPatterns(name, attributes[\"text\"]) == nil",
    ])
    func `a text that is no pattern is a fault of the condition`(_ condition: String) throws {
        var words = ""
        do { _ = try Lab.holds(condition, .span, on: Sample.span) } catch let error as OTTLFailure {
            words = error.description
        }
        #expect(words.contains("the pattern is no regular expression"), "\(words)")
    }

    @Test func `a pattern that is not there is a fault, and a statement with one changes nothing`() {
        #expect(throws: OTTLFailure.self) {
            try Lab.holds("IsMatch(name, attributes[\"none\"])", .span, on: Sample.span)
        }
        #expect(throws: OTTLFailure.self) {
            try Lab.run(["replace_pattern(name, attributes[\"count\"], \"x\")"], .span, on: Sample.span)
        }
    }

    private func compile(_ text: String, _ cache: inout PatternCache, isGlob: Bool = false) throws {
        try Array(text.utf8).withUnsafeBytes { _ = try cache.pattern(Text($0), isGlob: isGlob) }
    }

    @Test func `the last patterns are compiled once, and long ones never`() throws {
        var cache = PatternCache()
        for _ in 0..<3 { for number in 0..<PatternCache.entriesMax { try compile("a\(number)", &cache) } }
        #expect(cache.compiled == PatternCache.entriesMax)
        try compile("a0", &cache, isGlob: true)
        #expect(cache.compiled == PatternCache.entriesMax + 1)
        // It took the place of the oldest.
        try compile("a1", &cache)
        #expect(cache.compiled == PatternCache.entriesMax + 1)
        try compile("a0", &cache)
        #expect(cache.compiled == PatternCache.entriesMax + 2)
        for _ in 0..<2 { #expect(throws: EvaluationFailure.self) { try compile("(", &cache) } }
        #expect(cache.compiled == PatternCache.entriesMax + 3)
        let long = String(repeating: "a", count: PatternCache.textBytesMax + 1)
        #expect(throws: EvaluationFailure.self) { try compile(long, &cache) }
        #expect(cache.compiled == PatternCache.entriesMax + 3)
    }

    @Test func `a batch gets so many new patterns and no more, and the next one again`() throws {
        var cache = PatternCache()
        for _ in 0..<2 {
            for number in 0..<PatternCache.compiledMax { try compile("a\(number)", &cache) }
            #expect(throws: EvaluationFailure.self) { try compile("b", &cache) }
            // One that is there costs nothing.
            try compile("a\(PatternCache.compiledMax - 1)", &cache)
            cache.finish()
        }
    }

    @Test func `a memory of the pool has room again with each batch`() throws {
        let pool = EvaluationPool()
        for batch in 0..<3 {
            let memory = pool.take()
            defer { pool.give(memory) }
            for number in 0..<PatternCache.compiledMax {
                try Array("a\(batch)_\(number)".utf8).withUnsafeBytes {
                    _ = try memory.state.patterns.pattern(Text($0), isGlob: false)
                }
            }
        }
    }
}
