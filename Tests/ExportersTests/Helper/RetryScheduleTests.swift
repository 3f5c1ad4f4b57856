import Exporters
import Testing

@Suite struct RetryScheduleTests {
    private let plain = RetryOptions(randomizationFactor: 0)

    @Test func `grows each pause by the multiplier up to the maximum`() {
        var schedule = RetrySchedule(plain, limit: nil, start: .zero)
        var pauses: [Duration] = []
        for _ in 0..<7 {
            if case .wait(let pause) = schedule.failed(at: .zero, hint: nil, random: 0.9) { pauses.append(pause) }
        }
        #expect(pauses.prefix(3) == [.seconds(5), .seconds(7.5), .seconds(11.25)])
        #expect(pauses.last == .seconds(30))
    }

    @Test func `draws the pause from around its value`() {
        var low = RetrySchedule(RetryOptions(), limit: nil, start: .zero)
        var high = RetrySchedule(RetryOptions(), limit: nil, start: .zero)
        #expect(low.failed(at: .zero, hint: nil, random: 0) == .wait(.seconds(2.5)))
        #expect(high.failed(at: .zero, hint: nil, random: 1) == .wait(.seconds(7.5)))
    }

    @Test func `honours a longer hint of the backend up to a cap`() {
        var schedule = RetrySchedule(plain, limit: nil, start: .zero)
        #expect(schedule.failed(at: .zero, hint: .seconds(60), random: 0) == .wait(.seconds(60)))
        #expect(schedule.failed(at: .zero, hint: .seconds(1), random: 0) == .wait(.seconds(7.5)))
        #expect(schedule.failed(at: .zero, hint: .seconds(1e9), random: 0) == .wait(.seconds(300)))
        #expect(schedule.failed(at: .zero, hint: .seconds(-5), random: 0) != .giveUp)
    }

    @Test func `gives up when the pause would end after the limit`() {
        var schedule = RetrySchedule(plain, limit: .seconds(300), start: .seconds(10))
        #expect(schedule.failed(at: .seconds(304), hint: nil, random: 0) == .wait(.seconds(5)))
        #expect(schedule.failed(at: .seconds(303), hint: nil, random: 0) == .giveUp)
    }

    @Test func `gives up at once when retrying is off`() {
        var schedule = RetrySchedule(RetryOptions(isEnabled: false), limit: nil, start: .zero)
        #expect(schedule.failed(at: .zero, hint: .seconds(1), random: 0) == .giveUp)
    }

    @Test func `retries for ever on disk and five minutes in memory unless the file says otherwise`() {
        #expect(RetryOptions().elapsedLimit(isDurable: true) == nil)
        #expect(RetryOptions().elapsedLimit(isDurable: false) == .seconds(300))
        #expect(RetryOptions(maxElapsedTime: .zero).elapsedLimit(isDurable: false) == nil)
        #expect(RetryOptions(maxElapsedTime: .seconds(9)).elapsedLimit(isDurable: true) == .seconds(9))
    }
}
