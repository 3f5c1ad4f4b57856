@testable import Exporters
import Pipeline
import Telemetry
import Testing

@Suite struct EarlyEndsTests {
    private func batch(_ number: UInt64, bytes: Int) -> ExportBatch {
        var batch = ExportBatch(signal: .traces, itemCount: 2, bytes: [UInt8](repeating: 0, count: bytes))
        batch.number = number
        return batch
    }

    private func isTooLarge(_ outcome: ExportOutcome) -> Bool { if case .tooLarge = outcome { true } else { false } }

    @Test func `the third early end of a large delivery is for its size, whatever others do meanwhile`() {
        let ends = EarlyEnds()
        let (large, half) = (batch(1, bytes: 3 << 20), batch(1, bytes: 2 << 20))
        for attempt in 1...EarlyEnds.attemptsMax {
            #expect(isTooLarge(ends.outcome(of: large)) == (attempt == EarlyEnds.attemptsMax))
            if attempt == 1 { #expect(!isTooLarge(ends.outcome(of: half))) }
        }
        #expect(!isTooLarge(ends.outcome(of: large)))
    }

    @Test func `a single record is tried until the server has taken something else, since it may be out`() {
        let ends = EarlyEnds()
        var one = batch(3, bytes: 2 << 20)
        one.itemCount = 1
        for _ in 0..<10 { #expect(!isTooLarge(ends.outcome(of: one))) }
        ends.note(.retry(reason: "", after: nil), of: batch(4, bytes: 10))
        #expect(!isTooLarge(ends.outcome(of: one)))
        ends.note(.delivered, of: batch(4, bytes: 10))
        #expect(isTooLarge(ends.outcome(of: one)))
    }

    @Test func `a delivery that has ended is counted anew`() {
        let ends = EarlyEnds()
        let large = batch(1, bytes: 3 << 20)
        for _ in 0..<5 {
            for _ in 1..<EarlyEnds.attemptsMax { #expect(!isTooLarge(ends.outcome(of: large))) }
            ends.note(.delivered, of: large)
        }
    }

    @Test func `a small delivery is tried for ever, since an overloaded server may end it so`() {
        let ends = EarlyEnds()
        for _ in 0..<10 { #expect(!isTooLarge(ends.outcome(of: batch(1, bytes: EarlyEnds.usualLimit)))) }
    }
}
