import Foundation
import Patterns
import Telemetry
import TestSupport
import Testing

@testable import Patterns
@testable import Processors

/// Patterns of `blocked_values` are searched around places that hold a row of bytes; what they find must be what they
/// find in whole texts.
@Suite struct BlockedValueTests {
    private static let secrets = [
        #"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"#, #"\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}\b"#,
        #"\bsk-[A-Za-z0-9]{20,}\b"#, #"\bghp_[A-Za-z0-9]{30,}\b"#, #"\+1 [0-9]{3} [0-9]{4} [0-9]{3}"#,
        #"(?i)bearer\s+[a-z0-9._-]{8,}"#, #"(?<=password=)[^ ]+"#, #"(?:\d[ -]*?){13,16}"#, "geheim|secret",
        #"[^x]{0,3}AKIA[0-9A-Z]{16}"#,
    ]

    @Test(arguments: [
        (#"[a-z0-9.]+@[a-z]+"#, 1, UInt8(ascii: "@")), (#"\bsk-[A-Z]{4}"#, 2, UInt8(ascii: "-")),
        ("(?i)api_key=", 2, UInt8(ascii: "_")),
    ]) func `the rarest three bytes in a row are looked for`(_ pattern: String, _ place: Int, _ byte: UInt8) throws {
        let factor = try #require(PatternFactor(pattern))
        #expect(factor.triple[place].contains(byte), "\(factor.triple.map(\.bytes))")
        #expect(factor.isStable)
    }

    @Test(arguments: [
        "[a-z]+", ".*", "ab", "geheim|secret", #"(\w)\1{3}xyz-"#, #"\Qa-b-c\E"#, "(?x) a - b - c", #"a\Kbc-d"#, "(abc-",
        #"\p{L}@@@"#, "(?(1)abc|d-f)", "x{2,1}-..", "é", "(?i)ſecret-[0-9]", "(?i)to\u{212A}en-[0-9]", "(?i)skskss",
        "[[:digit:]]{4}", "(?>a)(?R)",
    ]) func `a pattern that does not tell its bytes has none`(_ pattern: String) {
        #expect(PatternFactor(pattern) == nil)
    }

    @Test func `a row with a byte that escapes stand for is not stable`() {
        #expect(PatternFactor("\"\t\"\t\"")?.isStable == false)
        #expect(PatternFactor("\tpass:\t")?.isStable == true)
    }

    @Test func `secrets are found at places as in the whole text`() throws {
        var random = SeededRandom(20_261_127)
        for round in 0..<200 {
            let text = BlockedValueTests.text(&random)
            let patterns = (0...random.below(3)).map { _ in random.pick(BlockedValueTests.secrets) }
            for wrapping in Wrapping.allCases where round % 20 == 0 || wrapping == .plain {
                try expectSame(wrapping.wrap(text), patterns)
            }
        }
    }

    @Test func `so are matches of patterns made at random`() throws {
        var random = SeededRandom(20_261_128)
        var placed = 0
        for _ in 0..<500 {
            let pattern = BlockedValueTests.pattern(&random, 3)
            guard let compiled = try? CompiledPattern(pattern) else { continue }
            if compiled.factor != nil { placed += 1 }
            for _ in 0..<2 {
                let text = BlockedValueTests.noise(&random, 1 + random.below(160))
                try expectSame(text, [pattern])
                try expectSame("{\"a\": [\"\(text.replacing("\"", with: "\\n"))\"]}", [pattern])
            }
        }
        #expect(placed > 50)
    }

    @Test func `more than eight patterns find what each finds`() throws {
        let patterns = (0..<20).map { "k\($0)-[0-9]{3}-z" } + BlockedValueTests.secrets
        let text = (0..<20).map { "k\($0)-123-z" }.joined(separator: "\n") + " a@b.cd"
        try expectSame(text, patterns)
        try expectSame("{\"t\": \"\(text.replacing("\n", with: "\\n"))\"}", patterns)
        #expect(try redact(text, [], blocked: patterns).text.contains("k") == false)
    }

    @Test func `nothing behind a text is read, whatever its length`() throws {
        let guarded = try #require(GuardedBytes(capacity: 4096))
        let redaction = TextRedaction(
            detectors: DetectorScan(.all),
            blockedValues: BlockedValueScan(try BlockedValueTests.secrets.map { try CompiledPattern($0) }),
            allowedValues: [], mask: Mask())
        for count in 0...300 {
            let isChanged = guarded.with([UInt8](repeating: UInt8(ascii: "a"), count: count)) { bytes in
                var state = RedactionState()
                return redaction.redact(Text(bytes), &state)
            }
            #expect(!isChanged)
        }
    }

    @Test func `broken text is searched in the same way`() throws {
        var random = SeededRandom(20_261_129)
        let patterns = try BlockedValueTests.secrets.map { try CompiledPattern($0) }
        for _ in 0..<200 {
            var bytes = Array(BlockedValueTests.text(&random).utf8)
            for _ in 0..<random.below(6) { bytes[random.below(bytes.count)] = UInt8(0x80 + random.below(0x80)) }
            let found = [true, false].map { matches(bytes, patterns, usesPlaces: $0) }
            #expect(found[0] == found[1], "\(String(decoding: bytes, as: UTF8.self))")
        }
    }

    @Test(.timeLimit(.minutes(10))) func `a text of nothing but places is searched in one pass`() throws {
        let patterns = try BlockedValueTests.secrets.map { try CompiledPattern($0) }
        for part in ["1", "a@", "sk-", "+1 1", "1111 "] {
            let bytes = Array(String(repeating: part, count: 20_000 / part.utf8.count).utf8)
            _ = matches(bytes, patterns, usesPlaces: true)
        }
    }

    // MARK: Comparing

    private func expectSame(_ text: String, _ patterns: [String]) throws {
        let placed = try redact(text, [], blocked: patterns)
        let whole = try redact(text, [], blocked: patterns, usesPlaces: false)
        #expect(placed.text == whole.text, "\(patterns) in \(text.debugDescription)")
    }

    private func matches(_ bytes: [UInt8], _ patterns: [CompiledPattern], usesPlaces: Bool) -> [[Int]] {
        let scan = BlockedValueScan(patterns, usesPlaces: usesPlaces)
        var state = RedactionState()
        bytes.withUnsafeBytes { scan.scan(Text($0), &state) }
        return state.raw.indices.map { [Int(state.raw[$0].start), Int(state.raw[$0].end)] }.sorted {
            $0.lexicographicallyPrecedes($1)
        }
    }

    // MARK: Making texts

    private static func text(_ random: inout SeededRandom) -> String {
        var text = ""
        for _ in 0..<1 + random.below(20) {
            switch random.below(14) {
            case 0: text += "a.b\(random.below(9))@c-d.ef"
            case 1: text += "4111 1111-11111111"
            case 2: text += "sk-abcdefghij0123456789\(random.below(99))"
            case 3: text += "ghp_\(String(repeating: "a1", count: 14 + random.below(3)))"
            case 4: text += "+1 123 4567 890"
            case 5: text += "Bearer abc.def-123"
            case 6: text += "password=x"
            case 7: text += "AKIA1234567890ABCDEF"
            case 8: text += random.pick(["\n", "\\", "/", "é", "\u{212A}", "@", "-", "+1 "])
            default: text += random.pick([" ", " word ", "x", "1234", ".", "geheim", "sk-"])
            }
        }
        return text
    }

    private static func noise(_ random: inout SeededRandom, _ count: Int) -> String {
        (0..<count).map { _ in random.pick(["a", "b", "x", "-", "@", "1", "2", " ", "é", "\n", "a-b", "x@"]) }.joined()
    }

    /// A pattern of three to eight parts over the letters of `noise`.
    private static func pattern(_ random: inout SeededRandom, _ depth: Int) -> String {
        var pattern = random.chance(percent: 5) ? "(?i)" : ""
        for _ in 0..<3 + random.below(6) {
            switch random.below(10) {
            case 0 where depth > 0:
                pattern += random.pick(["(?:", "(", "(?=", "(?!", "(?<=a|b"]) + Self.pattern(&random, depth - 1) + ")"
            case 1 where depth > 0: pattern += "(?:" + Self.pattern(&random, 0) + "|" + Self.pattern(&random, 0) + ")"
            case 2: pattern += random.pick(["[ab]", "[^a-]", #"[\d-]"#, "[a-b1-2]", "[x@é]"])
            case 3: pattern += random.pick([#"\d"#, #"\w"#, #"\S"#, #"\s"#, "."])
            case 4: pattern += random.pick([#"\b"#, #"\B"#, "^", "$"])
            default: pattern += random.pick(["a", "b", "-", "@", "1", "x"])
            }
            guard random.chance(percent: 25) else { continue }
            pattern += random.pick(["?", "+", "*", "{2}", "{1,3}", "{0,2}", "+?", "*+"])
        }
        return pattern.replacing("(?i)", with: "", maxReplacements: depth == 3 ? 0 : 9)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a letter that stands there in the other case only is not looked for again behind each match`() throws {
        let pattern = try CompiledPattern("(?i)[0-9]+k")
        let matcher = PatternMatcher()
        // A look through what is left for each match would be two terabytes.
        let text = [UInt8](String(repeating: "12K ", count: 1 << 20).utf8)
        let count = text.withUnsafeBytes { bytes in
            var (count, from) = (0, 0)
            while case .found(let range) = pattern.find(in: Text(bytes), from: from, matcher) {
                count += 1
                from = range.upperBound
            }
            return count
        }
        #expect(count == 1 << 20)
    }
}
