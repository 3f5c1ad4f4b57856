import OTLP
import Telemetry
import TestSupport
import Testing

@Suite struct TraceSplitterTests {
    /// Protobuf of an OTLP/JSON request.
    private func encode(_ json: String) throws -> [UInt8] {
        var output = ByteColumn()
        var json = json
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return [UInt8](output.bytes)
    }

    private func split(_ request: [UInt8]) throws -> [(piece: TracePiece, bytes: [UInt8])] {
        var batch = RecordBatch()
        return try request.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            var output = ByteColumn()
            let pieces = TraceSplitter.split(batch, into: &output)
            return pieces.map { ($0, [UInt8](output.text[$0.bytes].bytes)) }
        }
    }

    /// `trace/span resource-name scope-name` of each span, in order.
    private func spans(_ request: [UInt8]) throws -> [String] {
        var batch = RecordBatch()
        return try request.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            return batch.spans.indices.map { index in
                let span = batch.spans[index]
                let scope = batch.scopes[Int(span.scope)]
                let set = batch.resources[Int(scope.resource)].set
                let service = batch.find(name: Text("service.name"), in: set).map { batch.attributes[$0].text }
                let name = service.map { string(batch.text($0)) } ?? "-"
                return "\(string(batch.text(span.name))) \(name) \(string(batch.text(scope.name)))"
            }
        }
    }

    private func string(_ text: Text) -> String { String(decoding: text.bytes, as: UTF8.self) }

    private func span(_ name: String, trace: Character, parent: String? = nil) -> String {
        let parentField = parent.map { "\"parentSpanId\":\"\($0)\"," } ?? ""
        return """
            {"traceId":"\(String(repeating: trace, count: 32))","spanId":"00000000000000\(name)",\(parentField)\
            "name":"\(name)"}
            """
    }

    private func scope(_ name: String, _ spans: [String]) -> String {
        "{\"scope\":{\"name\":\"\(name)\"},\"spans\":[\(spans.joined(separator: ","))]}"
    }

    private func resource(_ name: String, _ scopes: [String]) -> String {
        """
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"\(name)"}}]},"schemaUrl":"s",\
        "scopeSpans":[\(scopes.joined(separator: ","))]}
        """
    }

    private func request(_ resources: [String]) throws -> [UInt8] {
        try encode("{\"resourceSpans\":[\(resources.joined(separator: ","))]}")
    }

    @Test func `gives each trace its spans under their own resource and scope`() throws {
        let bytes = try request([
            resource("a", [scope("x", [span("01", trace: "1"), span("02", trace: "2", parent: "0000000000000001")])]),
            resource(
                "b",
                [
                    scope("x", [span("03", trace: "2")]),
                    scope("y", [span("04", trace: "1", parent: "0000000000000001"), span("05", trace: "1")]),
                ]),
        ])
        let pieces = try split(bytes)
        #expect(pieces.map(\.piece.items) == [3, 2])
        #expect(pieces.map(\.piece.hasRoot) == [true, true])
        #expect(try spans(pieces[0].bytes) == ["01 a x", "04 b y", "05 b y"])
        #expect(try spans(pieces[1].bytes) == ["02 a x", "03 b x"])
    }

    @Test func `gives a request of one trace back as the very bytes`() throws {
        let bytes = try request([resource("a", [scope("x", [span("01", trace: "1", parent: "0000000000000009")])])])
        let pieces = try split(bytes)
        #expect(pieces.map(\.bytes) == [bytes])
        #expect(pieces[0].piece.hasRoot == false)
    }

    @Test func `keeps unknown fields of spans, scopes and resources`() throws {
        func unknown(_ text: String) -> [UInt8] { [0xA2, 0x06, UInt8(text.utf8.count)] + Array(text.utf8) }
        func message(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { [tag, UInt8(content.count)] + content }
        func span(_ trace: UInt8) -> [UInt8] {
            message(
                0x12,
                message(0x0A, Array(repeating: trace, count: 16)) + message(0x12, Array(repeating: 7, count: 8))
                    + unknown("s"))
        }
        let scope = message(0x12, span(1) + unknown("scope") + span(2))
        let bytes = message(0x0A, unknown("res") + scope)
        for piece in try split(bytes) {
            for text in ["s", "scope", "res"] {
                #expect(piece.bytes.indices.contains { piece.bytes[$0...].starts(with: unknown(text)) }, "\(text)")
            }
        }
        #expect(try split(bytes).count == 2)
    }

    @Test func `what no schema knows beside the resources is in the part of each trace`() throws {
        let first = WireBytes.build { $0.text(1_000, "in front") }
        let second = WireBytes.build { $0.text(1_001, "behind") }
        let known = try request([resource("a", [scope("x", [span("01", trace: "1"), span("02", trace: "2")])])])
        let whole = first + known + second
        let expected = try split(known).map { $0.bytes + first + second }
        let parts = try split(whole).map(\.bytes)
        #expect(parts == expected)
        #expect(parts.count == 2)
        var index = TraceIndex()
        try whole.withUnsafeBytes { bytes in
            try index.read(Text(bytes))
            let beside = [UInt8](index.unknown.bytes)
            #expect(beside == first + second)
            // As one piece it has them where they stood.
            index.join(Text(bytes))
            let left = index.unknown.count
            #expect(left == 0)
        }
    }

    @Test func `has the same spans for any number of traces`() throws {
        var random = SystemRandomNumberGenerator()
        for round in 0..<50 {
            let traces = Array("0123456789abcdef".dropFirst().prefix(1 + round % 15))
            let all = (10..<90).map { span(String($0), trace: traces.randomElement(using: &random) ?? "1") }
            let scopes = stride(from: 0, to: all.count, by: 8).map { scope("s\($0)", Array(all[$0..<$0 + 8])) }
            let bytes = try request([
                resource("a", Array(scopes.prefix(4))), resource("b", Array(scopes.dropFirst(4))),
            ])
            let pieces = try split(bytes)
            #expect(try pieces.flatMap { try spans($0.bytes) }.sorted() == (try spans(bytes)).sorted())
            #expect(pieces.reduce(0) { $0 + $1.piece.items } == 80)
            #expect(Set(pieces.map(\.piece.trace)).count == pieces.count)
        }
    }

    @Test func `reads ids of any length`() {
        #expect(TraceID(Text("")) == TraceID(high: 0, low: 0))
        #expect(TraceID(Text("\u{1}")) == TraceID(high: 1 << 56, low: 0))
        #expect(TraceID(Text("0123456789abcdefXX")) == TraceID(Text("0123456789abcdef")))
    }

    /// Takes a request apart with `TraceIndex` and puts the runs of each trace under their heads again.
    private func indexed(_ request: [UInt8]) throws -> [TraceID: [String]] {
        var index = TraceIndex()
        var found: [TraceID: [String]] = [:]
        try request.withUnsafeBytes { bytes in
            try index.read(Text(bytes))
            for run in index.runs {
                var output = ByteColumn()
                if run.resource >= 0 {
                    TraceAssembly.begin(
                        resource: index.resource(run.resource), scope: index.scope(run.scope),
                        spansSize: run.bytes.count, in: &output)
                }
                output.append(Text(bytes)[run.bytes])
                let spans = try spans([UInt8](output.bytes))
                #expect(spans.count == run.items)
                found[run.trace, default: []] += spans
            }
        }
        return found
    }

    @Test func `the index finds the spans that the splitter copies, under the same heads`() throws {
        var random = SeededRandom(5)
        for _ in 0..<60 {
            var number = 10
            let bytes = try request(
                (0...random.below(3)).map { resource in
                    self.resource(
                        "r\(resource)",
                        (0...random.below(3)).map { scope in
                            self.scope(
                                "s\(scope)",
                                (0..<random.below(5)).map { _ in
                                    number += 1
                                    let parent = random.chance(percent: 50) ? "0000000000000001" : nil
                                    return span("\(number)", trace: random.pick(["1", "2", "3"]), parent: parent)
                                })
                        })
                })
            var expected: [TraceID: [String]] = [:]
            for (piece, bytes) in try split(bytes) { expected[piece.trace] = try spans(bytes) }
            #expect(try indexed(bytes) == expected)
        }
    }

    @Test func `the index refuses what is cut off and finds nothing in what has no spans`() throws {
        let bytes = try request([resource("a", [scope("x", [span("01", trace: "1"), span("02", trace: "2")])])])
        var index = TraceIndex()
        for count in 1..<bytes.count {
            let isRefused = bytes.withUnsafeBytes { all in
                do throws(DecodeFailure) { try index.read(Text(all)[0..<count]) } catch { return true }
                return false
            }
            #expect(isRefused)
        }
        try index.read(Text(""))
        #expect(index.runs.isEmpty)
    }
}
