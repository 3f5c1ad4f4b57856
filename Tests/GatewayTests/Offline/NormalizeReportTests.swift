import Foundation
import Gateway
import Testing

@Suite struct NormalizeReportTests {
    private static let capture = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/Corpus/haystack/s5/000.traces.pb")

    @Test func `shows what is added and the rule of each`() throws {
        let report = try #require(NormalizeReport(removeOriginals: false, profile: "genai-dev", width: 60))
        let lines = try report.lines(PayloadFile.read(Self.capture.path))
        #expect(lines.contains { $0.hasPrefix("  + gen_ai.operation.name = retrieval   [haystack:") })
        #expect(lines.contains { $0.hasPrefix("haystack.component.run (haystack)") })
        #expect(!lines.contains { $0.contains("sluice.genai.explain") })
    }

    @Test func `shows a value of which only the type changes`() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "types-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        let span =
            #"{"traceId":"00000000000000000000000000000001","spanId":"0000000000000001","name":"chat","#
            + #""attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},"#
            + #"{"key":"gen_ai.usage.input_tokens","value":{"stringValue":"7"}}]}"#
        try Data(#"{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"a"},"spans":[\#(span)]}]}]}"#.utf8).write(
            to: file)
        let report = try #require(NormalizeReport(removeOriginals: false, profile: "genai-dev", width: 60))
        let lines = try report.lines(PayloadFile.read(file.path))
        #expect(
            lines.contains("  ~ gen_ai.usage.input_tokens = 7 (string) -> 7 (int)   [engine:recast]"), "\(lines)")
    }

    @Test func `shows what is removed`() throws {
        let report = try #require(NormalizeReport(removeOriginals: true, profile: "semconv-1.41", width: 60))
        #expect(try report.lines(PayloadFile.read(Self.capture.path)).contains { $0.hasPrefix("  - haystack.") })
        #expect(NormalizeReport(removeOriginals: true, profile: "1.99", width: 60) == nil)
        #expect(throws: (any Error).self) { try report.lines(PayloadFile.read("/nowhere.pb")) }
    }
}
