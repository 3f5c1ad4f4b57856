import Processors
import Telemetry
import Testing

/// Requests that are made smaller for a destination that does not take them as they are.
@Suite struct RequestShortenerTests {
    private func shorten(_ request: [UInt8], to size: Int, _ signal: Signal = .traces) -> [UInt8]? {
        RequestShortener.shorten(request, signal: signal, to: size)
    }

    private func text(_ count: Int) -> String { String(repeating: "x", count: count) }

    @Test func `the longest value is cut first, and marked once`() throws {
        let request = Wire.traces(
            span: Wire.strings(9, [("a", text(5_000)), ("b", text(900)), ("c", "short")]))
        let shorter = try #require(shorten(request, to: 3_000))
        #expect(shorter.count <= 3_000 && shorter.count > 2_800)
        let after = try DecodedRequest(shorter, .traces).values(.span)
        #expect(after["a.original_length"] == "5000" && after["a"]?.hasSuffix("…\"") == true)
        #expect(after["b"] == "\"\(text(900))\"" && after["b.original_length"] == nil && after["c"] == "\"short\"")
        #expect(after.count == 4)
    }

    @Test(arguments: [200, 300, 500, 1_000, 2_000, 6_000])
    func `all that are longer than what is left are cut to the same length`(size: Int) throws {
        let attributes = (0..<4).map { ("key\($0)", text(3_000 + $0)) } + [("list", text(100)), ("x", "y")]
        let request = Wire.traces(span: Wire.strings(9, attributes))
        guard let shorter = shorten(request, to: size) else {
            #expect(size < 500)
            return
        }
        #expect(shorter.count <= size)
        let lengths = try DecodedRequest(shorter, .traces).values(.span).values.filter { $0.contains("…") }.map(\.count)
        #expect(Set(lengths).count == 1)
    }

    @Test func `no character is split and JSON stays JSON, in nested values and bodies too`() throws {
        let words = String(repeating: "aé€😀", count: 400)
        let list = "[" + (0..<50).map { "{\"role\":\"user\",\"n\":\($0)}" }.joined(separator: ",") + "]"
        let nested = Wire.array([Wire.string(words), Wire.map([("k", Wire.string(words))])])
        let traces = Wire.traces(span: Wire.attributes(9, [("a", nested), ("m", Wire.string(list))]))
        for size in stride(from: 400, to: traces.count, by: 97) {
            guard let shorter = shorten(traces, to: size) else { continue }
            let after = try DecodedRequest(shorter, .traces)
            #expect(shorter.count <= size && after.keys(.span).contains("a"))
            #expect(!(after.values(.span)["m"]?.contains("{\"role\":\"user\",…") ?? true))
        }
        let logs = Wire.logs(records: [Wire.field(5, Wire.string(words))])
        let body = try DecodedRequest(try #require(shorten(logs, to: 500, .logs)), .logs)
        #expect(!body.body.contains("\u{FFFD}") && body.values(.log) == ["body.original_length": "4000"])
    }

    @Test func `what has no long strings, and what is no request, is left alone`() {
        let many = Wire.traces(span: Wire.strings(9, (0..<500).map { ("key.number.\($0)", "value") }))
        #expect(shorten(many, to: many.count / 2) == nil)
        #expect(shorten([0xFF, 0x01, 0x02], to: 1) == nil)
        #expect(shorten([], to: 1) == nil)
        let large = Wire.traces(span: Wire.strings(9, [("a", text(5_000))]))
        #expect(shorten(large, to: 10) == nil)
        #expect(shorten(large, to: -1) == nil && shorten(large, to: .min + large.count) == nil)
    }
}
