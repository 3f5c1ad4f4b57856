import Foundation
import Testing

@testable import GenAI

/// Every recorded capture against its manifest. `SLUICE_CORPUS=folder swift test --filter CorpusTruthTests` judges
/// another corpus of the same layout and prints its table and every miss.
@Suite struct CorpusTruthTests {
    @Test func `nothing that the recordings say is missed`() throws {
        let rows = try CorpusTruth(CorpusTests.folder).run(Bench())
        #expect(rows.count > 12)
        for (set, counts) in rows { #expect(counts.misses == [], "\(set)") }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["SLUICE_CORPUS"] != nil))
    func `another corpus`() throws {
        let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["SLUICE_CORPUS"] ?? "")
        let rows = try CorpusTruth(folder).run(Bench())
        for (set, counts) in rows {
            print(set, Concept.allCases.map { "\($0.rawValue) \(counts.cell($0))" }.joined(separator: ", "))
            for miss in counts.misses { print("  missed", miss) }
        }
        #expect(!rows.isEmpty)
    }
}
