@testable import Processors
import Testing

@Suite struct BaselineTests {
    /// The excesses of values that come one after the other.
    private func judge(_ values: [Double], _ baseline: inout Baseline, minimum: Int = 20) -> [Excess?] {
        values.map { baseline.judge($0, minimum: minimum, deviations: 4) }
    }

    private func judge(_ outcomes: [Bool], _ drift: inout DriftBaseline) -> [Excess?] {
        outcomes.map { drift.judge(isEmpty: $0, minimum: 50, deviations: 4) }
    }

    @Test func `says nothing until enough was seen`() {
        var baseline = Baseline()
        let first = judge(Array(repeating: 10, count: 9) + [1_000], &baseline, minimum: 10)
        #expect(first.allSatisfy { $0 == nil })
    }

    @Test func `finds what is far above the usual and not what is below`() throws {
        var baseline = Baseline()
        let usual = judge((0..<50).map { 100 + Double($0 % 7) } + [140, 1], &baseline)
        #expect(usual.allSatisfy { $0 == nil })
        let found = judge([100_000, .nan], &baseline)
        let excess = try #require(found[0])
        #expect(abs(excess.usual - 103) < 20 && found[1] == nil)
    }

    @Test func `takes a new level for the usual after a while`() {
        var baseline = Baseline()
        _ = judge(Array(repeating: 10, count: 30), &baseline)
        let found = judge(Array(repeating: 100, count: 201), &baseline)
        let alarms = found.filter { $0 != nil }.count
        #expect((1...60).contains(alarms) && found.last == .some(nil))
    }

    @Test func `finds a tool that is empty more often than it was`() throws {
        var drift = DriftBaseline()
        let before = judge((0..<132).map { $0 % 20 == 0 }, &drift)
        #expect(before.allSatisfy { $0 == nil })
        let after = judge(Array(repeating: true, count: 32), &drift)
        let first = try #require(after.firstIndex { $0 != nil })
        #expect((5..<20).contains(first))
    }

    @Test func `a tool that is always empty does not drift`() {
        var drift = DriftBaseline()
        let found = judge(Array(repeating: true, count: 300), &drift)
        #expect(found.allSatisfy { $0 == nil })
    }
}
