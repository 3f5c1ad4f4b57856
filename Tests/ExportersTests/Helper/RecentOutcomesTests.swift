@testable import Exporters
import Pipeline
import Testing

@Suite struct RecentOutcomesTests {
    private func add(_ outcomes: inout RecentOutcomes, _ start: UInt64, _ end: UInt64, _ text: String) {
        outcomes.add(Sequence(start)..<Sequence(end), text)
    }

    @Test func `what ended alike is one run, in whatever order it ended`() {
        var outcomes = RecentOutcomes()
        for start in [0, 30, 10, 40, 20, 60] as [UInt64] { add(&outcomes, start, start + 10, "delivered") }
        add(&outcomes, 50, 60, "dropped: expired")
        #expect(
            outcomes.runs == [
                .init(start: 0, end: 50, text: "delivered"), .init(start: 50, end: 60, text: "dropped: expired"),
                .init(start: 60, end: 70, text: "delivered"),
            ])
        #expect(outcomes.runs[1].touches(55..<56) && !outcomes.runs[1].touches(60..<70))
    }

    @Test func `parts of a request that end differently are all told`() {
        var outcomes = RecentOutcomes()
        for text in ["delivered", "delivered", "refused"] { add(&outcomes, 5, 9, text) }
        #expect(outcomes.runs.filter { $0.touches(5..<9) }.map(\.text) == ["delivered", "refused"])
    }

    @Test func `keeps so many runs and no more, and texts of a bounded length`() {
        var outcomes = RecentOutcomes()
        for number in 0..<5_000 as Range<UInt64> {
            add(&outcomes, number, number + 1, String(repeating: number % 2 == 0 ? "a" : "b", count: 1_000))
        }
        #expect(outcomes.runs.count == RecentOutcomes.runsMax)
        #expect(
            outcomes.runs.last?.end == 5_000 && outcomes.runs.allSatisfy { $0.text.count == RecentOutcomes.textMax })
    }
}
