import Foundation
import Gateway
import Testing

@Suite struct NormalizeReportTests {
    private static let capture = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/Corpus/haystack/s5/000.traces.pb")

    @Test func `shows what is added and the rule of each`() throws {
        let report = try #require(NormalizeReport(removeOriginals: false, profile: "genai-dev", width: 60))
        let lines = try report.lines(Self.capture.path)
        #expect(lines.contains { $0.hasPrefix("  + gen_ai.operation.name = retrieval   [haystack:") })
        #expect(lines.contains { $0.hasPrefix("haystack.component.run (haystack)") })
        #expect(!lines.contains { $0.contains("sluice.genai.explain") })
    }

    @Test func `shows what is removed`() throws {
        let report = try #require(NormalizeReport(removeOriginals: true, profile: "semconv-1.41", width: 60))
        #expect(try report.lines(Self.capture.path).contains { $0.hasPrefix("  - haystack.") })
        #expect(NormalizeReport(removeOriginals: true, profile: "1.99", width: 60) == nil)
        #expect(throws: (any Error).self) { try report.lines("/nowhere.pb") }
    }
}
