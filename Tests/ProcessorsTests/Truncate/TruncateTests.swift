import Configuration
import Foundation
import Pipeline
import Processors
import Telemetry
import Testing

@testable import Processors

/// Cuts one text; nil when it is left alone.
private func cut(_ text: String, to limit: Int) -> String? {
    var output = ByteColumn()
    var copy = text
    let isCut = copy.withUTF8 { TextCut.cut(Text(UnsafeRawBufferPointer($0)), to: limit, &output) }
    return isCut ? output.text.string : nil
}

private func json(_ text: String) -> Any? {
    try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
}

private func message(_ number: Int, _ content: String) -> String {
    "{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"\(content)\"}],\"n\":\(number)}"
}

@Suite struct TruncateTests {
    @Test func `text that fits stays, longer text is cut to the limit and ends in an ellipsis`() {
        #expect(cut("0123456789abcdef", to: 16) == nil)
        #expect(cut("0123456789abcdefg", to: 16) == "0123456789abc…")
    }

    @Test func `no character is split, at any limit`() throws {
        let text = "aé€😀ß漢字" + String(repeating: "😀é", count: 20)
        for limit in 4..<text.utf8.count {
            let after = try #require(cut(text, to: limit))
            #expect(after.utf8.count <= limit && after.hasSuffix("…"))
            #expect(text.hasPrefix(after.dropLast()) && !after.contains("\u{FFFD}"))
        }
    }

    @Test func `a list of messages loses its oldest, and stays JSON`() throws {
        let list = "[" + (0..<10).map { message($0, "text \($0)") }.joined(separator: ", ") + " ]"
        for limit in stride(from: 80, to: list.utf8.count, by: 7) {
            let after = try #require(cut(list, to: limit))
            #expect(after.utf8.count <= limit)
            let kept = try #require(json(after) as? [[String: Any]])
            let numbers = kept.compactMap { $0["n"] as? Int }
            #expect(numbers == Array((10 - numbers.count)..<10), "\(after)")
            #expect(!numbers.isEmpty)
        }
    }

    @Test func `a single message too long loses the end of its longest text`() throws {
        let long = String(repeating: "wörd \\\"q\\\" \\u00e9\\ud83d\\ude00 ", count: 100)
        for text in [
            "[\(message(1, "old")),\(message(2, long))]", message(2, long),
            "{\"a\":[1,2,{\"b\":\"\(long)\"}]}",
        ] {
            for limit in stride(from: 120, to: 400, by: 3) {
                let after = try #require(cut(text, to: limit))
                #expect(after.utf8.count <= limit)
                #expect(json(after) != nil, "\(after)")
                #expect(after.contains("…"))
            }
        }
    }

    @Test func `JSON that strings cannot shorten is cut as text`() throws {
        let numbers = "{\"a\":[" + (0..<500).map(String.init).joined(separator: ",") + "]}"
        let after = try #require(cut(numbers, to: 100))
        #expect(after.utf8.count <= 100 && after.hasSuffix("…"))
        let broken = try #require(cut("[{\"a\": \"" + String(repeating: "x", count: 100), to: 50))
        #expect(broken.utf8.count <= 50)
    }

    private func run(
        _ rules: String, _ request: [UInt8], _ signal: Signal = .traces
    ) throws
        -> DecodedRequest
    {
        var bench = Bench()
        var build = bench.build(signal)
        let read = options(TruncateOptions.self, rules)
        #expect(read.headlines == [])
        let processor = TruncateProcessor(options: read.options, build: &build)
        return try DecodedRequest(Bench.run(processor, build, request).bytes, signal)
    }

    @Test func `values over their limit are cut and their length is told`() throws {
        let long = String(repeating: "x", count: 100)
        let attributes = [
            ("a", Wire.string(long)), ("b", Wire.string(long)), ("c", Wire.string("short")),
            ("d", Wire.int(1)),
            ("e", Wire.array([Wire.string(long), Wire.map([("k", Wire.string(long))])])),
        ]
        let rules = "{limit: 32, limits: [{key: b, limit: 100}]}"
        let after = try run(rules, Wire.traces(span: Wire.attributes(9, attributes))).values(.span)
        #expect(
            after["a"] == "\"" + String(repeating: "x", count: 29) + "…\""
                && after["a.original_length"] == "100")
        #expect(
            after["b"] == "\"\(long)\"" && after["b.original_length"] == nil && after["c"] == "\"short\"")
        #expect(after["e"] == "array 81" && after["e.original_length"] != nil)
        let silent = try run(
            "{limit: 32, mark_original_length: false}", Wire.traces(span: Wire.attributes(9, attributes)))
        #expect(silent.keys(.span) == ["a", "b", "c", "d", "e"])
    }

    @Test func `log bodies are cut as well`() throws {
        let long = String(repeating: "y", count: 90)
        let after = try run(
            "{limit: 32}", Wire.logs(records: [Wire.field(5, Wire.string(long))]), .logs)
        #expect(after.body == "\"" + String(repeating: "y", count: 29) + "…\"")
        #expect(after.values(.log) == ["body.original_length": "90"])
    }

    @Test func `a request within the limits leaves as it came`() throws {
        let request = Wire.traces(span: Wire.strings(9, [("a", "short")]))
        var bench = Bench()
        var build = bench.build(.traces)
        let processor = TruncateProcessor(
            options: options(TruncateOptions.self, "{}").options, build: &build)
        #expect(try Bench.run(processor, build, request).bytes == request)
    }
}
