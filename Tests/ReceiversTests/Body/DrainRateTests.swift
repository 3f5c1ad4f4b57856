import NIOCore
import Testing

@testable import Receivers

@Suite struct DrainRateTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func `the advice is the time that the excess takes at the present rate`() {
        let budget = AdmissionBudget(limitBytes: 1000)
        let rate = DrainRate()
        #expect(budget.reserve(1000, held: 0) == .granted)
        #expect(rate.seconds(wanted: 400, budget: budget, now: start) == 1)
        // 200 bytes in two seconds; then 800 are used and 600 more are wanted: 400 too many.
        budget.release(200)
        #expect(rate.seconds(wanted: 600, budget: budget, now: start + .seconds(2)) == 4)
    }

    @Test func `a pipeline that stands still is left alone for long and never for more than a minute`() {
        let budget = AdmissionBudget(limitBytes: 1000)
        let rate = DrainRate()
        #expect(budget.reserve(1000, held: 0) == .granted)
        _ = rate.seconds(wanted: 1, budget: budget, now: start)
        #expect(rate.seconds(wanted: 1, budget: budget, now: start + .seconds(5)) == 30)
        budget.release(1)
        #expect(rate.seconds(wanted: 1000, budget: budget, now: start + .seconds(10)) == 60)
    }

    @Test func `who is refused while nothing else is in flight comes back soon`() {
        let budget = AdmissionBudget(limitBytes: 1000)
        budget.setRoom(0)
        let rate = DrainRate()
        _ = rate.seconds(wanted: 900, budget: budget, now: start)
        for second in [2, 4, 60, 600] {
            #expect(rate.seconds(wanted: 900, budget: budget, now: start + .seconds(Int64(second))) == 5)
        }
        #expect(rate.seconds(wanted: .max, budget: budget, now: start + .seconds(700)) == 30)
    }

    @Test func `what would fit by now may come at once`() {
        let budget = AdmissionBudget(limitBytes: 1000)
        let rate = DrainRate()
        _ = rate.seconds(wanted: 1, budget: budget, now: start)
        #expect(rate.seconds(wanted: 1, budget: budget, now: start + .seconds(2)) == 1)
    }
}
