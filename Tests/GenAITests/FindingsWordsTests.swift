import Telemetry
import Testing

@testable import GenAI

/// Names, texts and pages that mean something else than a single word of theirs, and arguments of unusual size.
@Suite struct FindingsWordsTests {
    /// Lends a text to a check of the analyzer.
    private func ask<Value>(_ text: String, _ check: (Text) -> Value) -> Value {
        var text = text
        return text.withUTF8 { check(Text(UnsafeRawBufferPointer($0))) }
    }

    // MARK: Bounds

    private func batch(members: Int) throws -> [Finding] {
        let many = (0..<members).map { #""k\#($0)":true"# }.joined(separator: ",")
        var trace = TestTrace()
        let agent = trace.agent("a")
        for name in ["Ann", "Bob", "Eve", "Tom"] {
            let start = #"{"name":"\#(name)","team":"core platform team of the firm","role":"member""#
            let arguments = start + (members > 0 ? "," + many : "") + "}"
            trace.tool("add_member", in: agent, arguments: arguments, result: #"{"ok":true}"#)
        }
        trace.model(in: agent, text: "All of them are members.")
        return try findings(trace).of(.loop)
    }

    @Test func `arguments with very many members are not compared one by one`() throws {
        #expect(try batch(members: 0).isEmpty)
        let clock = ContinuousClock()
        let start = clock.now
        #expect(try batch(members: 20_000).map(\.rule) == [.repeatedNearly])
        #expect(start.duration(to: clock.now) < .seconds(20))
    }

    @Test func `an object of nothing but headings is read in one go`() throws {
        let headings = [String](repeating: #""columns":["a"]"#, count: 20_000).joined(separator: ",")
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("sql", in: agent, arguments: #"{"q":"select"}"#, result: #"{"rows":[],\#(headings)}"#)
        trace.model(in: agent, text: "There is nothing in it.")
        #expect(try findings(trace).of(.silentEmptyResponse).isEmpty)
    }
}
