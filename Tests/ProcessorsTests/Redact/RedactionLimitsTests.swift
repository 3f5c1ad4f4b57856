import Configuration
import Pipeline
import Processors
import Telemetry
import TestSupport
import Testing

@testable import Processors

/// What cannot be looked into, or not in time, is withheld; nothing stalls.
@Suite struct RedactionLimitsTests {
    private func run(_ text: String, _ request: [UInt8], _ signal: Signal = .traces) throws -> [UInt8] {
        var bench = Bench()
        var build = bench.build(signal)
        let read = options(RedactionOptions.self, text)
        #expect(read.headlines == [])
        return try Bench.run(RedactionProcessor(options: read.options, build: &build), build, request).bytes
    }

    private let all = "{allow_all_keys: true, detectors: all}"

    @Test func `values nested deeper than the limit are withheld`() throws {
        let read = options(RedactionOptions.self, all).options
        var keys = KeyTable.Builder()
        let policy = RedactionPolicy(read, &keys)
        for depth in [20, 40, 80, 200] {
            var content = Wire.field(1, Wire.string("jo@example.com"))
            for _ in 0..<depth { content = Wire.field(1, Wire.field(5, content)) }
            var state = RedactionState()
            let result = content.withUnsafeBytes { policy.redactNested(Text($0), isMap: false, .attribute, &state) }
            let after = Array(state.output.bytes)
            #expect(result == .changed && !after.contains("jo@example.com"), "\(depth)")
            #expect(after.contains("TOO_DEEP") == (depth > 31), "\(depth)")
        }
    }

    @Test func `a nested value with a group that no schema knows is read, masked and kept`() throws {
        let group: [UInt8] =
            [0x93, 0x03] + Wire.field(1, "in") + [0x9B, 0x03, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x9C, 0x03]
            + [0x94, 0x03]
        for value in [
            Wire.field(6, Wire.field(1, Wire.field(1, "k") + Wire.field(2, Wire.string("jo@example.com"))) + group),
            Wire.field(5, group + Wire.field(1, Wire.string("jo@example.com"))),
        ] {
            let after = try run(all, Wire.traces(span: Wire.attributes(9, [("k", value)])))
            #expect(after.contains("[REDACTED:EMAIL]") && !after.contains("TOO_DEEP"))
            #expect(after.firstRange(of: group) != nil)
        }
        // One that is not closed, closed by another number or too deep cannot come out of the reader, and is withheld.
        for broken in [[0x93, 0x03], [0x93, 0x03, 0x9C, 0x03], [UInt8](repeating: 0x0B, count: 200)] as [[UInt8]] {
            var fields = 0
            broken.withUnsafeBytes { bytes in
                var reader = NestedFields(Text(bytes))
                while reader.next() != nil { fields += 1 }
                #expect(reader.isBroken)
            }
            #expect(fields == 0)
        }
    }

    @Test func `JSON strings inside each other deeper than the limit are withheld`() throws {
        // Each level doubles the backslashes, so that fourteen levels are 60 KB.
        var text = "mail jo\\u0040example.com"
        for level in 1...14 {
            text = "[\"\(jsonEscaped(text))\"]"
            let after = try redact(text).text
            #expect(!after.contains("example.com"), "\(level)")
        }
    }

    @Test func `very many brackets are not taken for JSON and cost little`() throws {
        let text = String(repeating: "[", count: 200_000) + "\"jo@example.com\""
        let seconds = try ProcessorTime.measure {
            let after = try redact(text).text
            #expect(after.hasSuffix("[\"[REDACTED:EMAIL]\""))
        }
        #expect(seconds < 2)
    }

    @Test func `a catastrophic pattern ends in time and withholds the value`() throws {
        let text = "{allow_all_keys: true, blocked_values: ['^(a+)+$', '(x+x+)+y', '(.*a){20}b']}"
        let value = String(repeating: "a", count: 5_000) + String(repeating: "x", count: 5_000) + "!"
        let seconds = try ProcessorTime.measure {
            let after = try run(text, Wire.traces(span: Wire.strings(9, [("k", value)])))
            #expect(after.contains("[REDACTED:UNDECIDED]"))
            #expect(!after.contains("aaaa"))
        }
        #expect(seconds < 2)
    }

    @Test func `a catastrophic key pattern masks, and an allowing one does not allow`() throws {
        let key = String(repeating: "a", count: 3_000) + "!"
        let request = Wire.traces(span: Wire.strings(9, [(key, "jo@example.com")]))
        let blocked = try run("{allow_all_keys: true, blocked_key_patterns: ['^(a+)+$']}", request)
        #expect(blocked.contains("****") && !blocked.contains("jo@example.com"))
        let ignored = try run("{allow_all_keys: true, ignored_key_patterns: ['^(a+)+$'], detectors: all}", request)
        #expect(!ignored.contains("jo@example.com"))
        let value = Wire.traces(span: Wire.strings(9, [("k", key + " jo@example.com")]))
        let allowed = try run("{allow_all_keys: true, allowed_values: ['^(a+)+$'], detectors: all}", value)
        #expect(!allowed.contains("jo@example.com"))
    }

    @Test func `text that is cut anywhere or has one wrong byte never stops the processor`() throws {
        let texts = SecretCorpus.plants.prefix(40).map { Wrapping.jsonInJSON.wrap($0.text) }
        for (number, text) in texts.enumerated() {
            let bytes = Array(text.utf8)
            for cut in stride(from: number % 7, to: bytes.count, by: 7) {
                var broken = bytes
                broken[cut] ^= UInt8(truncatingIfNeeded: 1 << (cut % 8))
                for variant in [Array(bytes[..<cut]), broken] {
                    var state = RedactionState()
                    let redaction = TextRedaction(
                        detectors: DetectorScan(.all), blockedValues: BlockedValueScan([]), allowedValues: [],
                        mask: Mask())
                    variant.withUnsafeBytes { _ = redaction.redact(Text($0), &state) }
                }
            }
        }
    }

    @Test func `the vector search names every place that the plain one does`() throws {
        let text = SecretCorpus.plants.map(\.text).joined(separator: "; ") + SecretCorpus.lookalikes.joined()
        for start in 0..<70 {
            let bytes = Array(text.utf8.dropFirst(start))
            let fast = Column<Match>.collecting { DetectorScan(.all).scan($0, into: &$1) }
            let slow = Column<Match>.collecting { DetectorScan(.all, usesVectors: false).scan($0, into: &$1) }
            #expect(fast(bytes) == slow(bytes))
        }
    }
}

extension Column where Element == Match {
    /// Runs a scan over bytes and returns what it found as comparable values.
    fileprivate static func collecting(_ scan: @escaping (Text, inout Column<Match>) -> Void) -> ([UInt8]) -> [[Int]] {
        { bytes in
            var matches = Column<Match>()
            bytes.withUnsafeBytes { scan(Text($0), &matches) }
            return matches.indices.map {
                [Int(matches[$0].start), Int(matches[$0].end), Int(matches[$0].tag.rawValue)]
            }
        }
    }
}
