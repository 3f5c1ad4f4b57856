import Configuration
import Testing

struct DurationTextTests {
    @Test(arguments: [
        ("0", Duration.zero), ("200ms", .milliseconds(200)), ("1.5s", .milliseconds(1500)), ("1m30s", .seconds(90)),
        ("1h", .seconds(3600)), ("1h2m3.5s", .milliseconds(3_723_500)), ("10us", .microseconds(10)),
        ("10µs", .microseconds(10)), ("10μs", .microseconds(10)), ("7ns", .nanoseconds(7)),
        (".5s", .milliseconds(500)),
        ("-2s", .seconds(-2)), ("+2s", .seconds(2)), ("0.1s", .milliseconds(100)), ("5.s", .seconds(5)),
        ("0.000000001s", .nanoseconds(1)), ("9223372036854775807ns", .nanoseconds(Int64.max)),
    ])
    func `reads the forms of Go`(text: String, duration: Duration) {
        #expect(DurationText.parse(text) == duration)
    }

    @Test(arguments: [
        "", "5", "s", ".", ".s", "1x", "1.2.3s", "1 s", "1s ", "--1s", "-", "1e3s", "9223372036854775808ns", "3000000h",
        "99999999999999999999s", "2562047h48m16.9s", "1d", "1MS", "１s", "1h-2m",
    ])
    func `refuses what is no duration or overflows`(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(arguments: ["0s", "200ms", "1.5s", "1m30s", "1h", "1h1m1s", "10us", "1.25ms", "7ns", "-2s", "24h", "1m0.5s"])
    func `writes the shortest text, which reads back as the same`(text: String) throws {
        #expect(DurationText.format(try #require(DurationText.parse(text))) == text)
    }
}
