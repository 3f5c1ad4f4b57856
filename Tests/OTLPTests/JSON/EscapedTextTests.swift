import OTLP
import Telemetry
import TestSupport
import Testing

/// Strings with escapes, which are decoded 64 bytes at a time.
@Suite struct EscapedTextTests {
    /// A string as JSON has it, and what it means.
    private struct Sample {
        var json: [UInt8] = []
        var text: [UInt8] = []

        mutating func add(_ json: String, _ text: String) {
            self.json += json.utf8
            self.text += text.utf8
        }
    }

    private static let pieces: [(json: String, text: String)] = [
        (#"\""#, "\""), (#"\\"#, "\\"), (#"\/"#, "/"), (#"\n"#, "\n"), (#"\t"#, "\t"), (#"\r"#, "\r"),
        (#"\b"#, "\u{08}"), (#"\f"#, "\u{0C}"), (#"\u0041"#, "A"), (#"\u00e4"#, "ä"), (#"\ud83d\ude00"#, "😀"),
        ("x", "x"), ("ä", "ä"), ("/", "/"), ("plain", "plain"), ("u0041", "u0041"),
    ]

    private static func value(_ json: [UInt8]) -> [UInt8] {
        Array(#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"k","value":{"stringValue":""#.utf8)
            + json + Array(#""}}]}]}]}]}"#.utf8)
    }

    private static func text(_ json: [UInt8]) throws -> [UInt8]? {
        let request = OracleMessage.decode(try JSONCase.transcode(value(json), .traces), .request(.traces))
        let span = request?.messages(1).first?.messages(2).first?.messages(2).first
        return span?.messages(9).first?.messages(2).first?.bytes(1)
    }

    @Test func `an escape means its character wherever it stands among plain bytes`() throws {
        for piece in Self.pieces {
            for before in 0...140 {
                var sample = Sample()
                sample.add(String(repeating: "a", count: before), String(repeating: "a", count: before))
                sample.add(piece.json, piece.text)
                sample.add(#"\n"#, "\n")
                sample.add(String(repeating: "b", count: 140 - before), String(repeating: "b", count: 140 - before))
                #expect(try Self.text(sample.json) == sample.text, "\(piece.json) behind \(before) bytes")
            }
        }
    }

    @Test func `any mixture of escapes and text of any length means what its parts mean`() throws {
        var random = SeededRandom(7)
        for round in 0..<2_000 {
            var sample = Sample()
            for _ in 0..<random.below(round < 1_900 ? 60 : 6_000) {
                let piece = random.pick(Self.pieces)
                sample.add(piece.json, piece.text)
                if random.chance(percent: 25) {
                    let run = String(repeating: "r", count: random.below(100))
                    sample.add(run, run)
                }
            }
            #expect(try Self.text(sample.json) == sample.text, "round \(round)")
        }
    }

    @Test func `a string that is cut off or broken is refused, whatever stands before`() {
        for before in 0...140 {
            let plain = [UInt8](repeating: UInt8(ascii: "a"), count: before) + Array(#"\n"#.utf8)
            for broken in [#"\x"#, #"\"#, #"\u12"#, #"\ud83d"#, "\u{1}", "\n"] {
                #expect(throws: DecodeFailure.self) { try Self.text(plain + Array(broken.utf8)) }
            }
            let whole = Self.value(plain + Array(#"\"\""#.utf8))
            for left in 12...20 {
                #expect(throws: DecodeFailure.self) { try JSONCase.transcode(Array(whole.dropLast(left)), .traces) }
            }
        }
    }

    /// What an attribute becomes, or why it is refused, as it is written and with a blank that keeps it off the short
    /// way.
    private static func ways(_ key: String, _ value: String) -> [Result<[UInt8], DecodeFailure>] {
        ["", " "].map { blank in
            let json = Array(JSONCase.span(#""attributes":[{\#(blank)"key":"\#(key)","value":\#(value)}]"#).utf8)
            return Result { () throws(DecodeFailure) in try JSONCase.transcode(json, .traces) }
        }
    }

    @Test(
        arguments: ["k", ""],
        [
            #"{"stringValue":"a\nb"}"#, #"{"stringValue":"a\nb" }"#, #"{"stringValue":"a\nb","intValue":"1"}"#,
            #"{"stringValue":"a\nb","stringValue":"c"}"#, #"{"stringValue":"\u00e4\ud83d\ude00"}"#,
            #"{"stringValue":"a\n\x"}"#, #"{"stringValue":"a\n\ud83d"}"#, #"{"stringValue":"a\n"x}"#,
            #"{"stringValue":"a\n"]"#, "{\"stringValue\":\"a\\n\u{1}\"}", #"{"stringValue":"a\n\u12g4"}"#,
        ])
    func `what does not end as usual is read as if it had never been begun`(key: String, value: String) throws {
        for before in [0, 1, 63, 64, 65, 200, 20_000] {
            let filled = value.replacing("a", with: String(repeating: "a", count: before))
            let ways = Self.ways(key, filled)
            switch (ways[0], ways[1]) {
            case (.success(let short), .success(let general)): #expect(short == general, "\(before)")
            case (.failure(let short), .failure(let general)):
                #expect(short.reason == general.reason && short.offset.map { $0 + 1 } == general.offset, "\(before)")
                #expect(short.detail == general.detail)
            default: Issue.record("one way takes what the other refuses, \(before) bytes: \(ways)")
            }
        }
    }

    @Test(arguments: [126, 127, 128, 16_382, 16_383, 16_384, 1 << 21])
    func `lengths of every size are right`(count: Int) throws {
        let plain = [UInt8](repeating: UInt8(ascii: "a"), count: count - 1)
        #expect(try Self.text(plain + Array(#"\n"#.utf8)) == plain + [0x0A])
    }
}
