@testable import Exporters
import Testing

@Suite struct EscapedTextTests {
    @Test func `lets nothing steer a terminal`() {
        #expect(
            EscapedText.make("a\nb\r\t\u{1B}]0;x\u{7}\u{202E}\u{9B}é", limit: 100)
                == "a\\nb\\r\\t\\u{1b}]0;x\\u{7}\\u{202e}\\u{9b}é")
    }

    private static let marks: [ClosedRange<UInt32>] = [
        0x7F...0x9F, 0x200E...0x200F, 0x2028...0x2029, 0x202A...0x202E, 0x2066...0x2069,
    ]

    @Test(arguments: marks) func `shows marks of direction and of ends of lines`(marks: ClosedRange<UInt32>) {
        for mark in marks.compactMap({ Unicode.Scalar($0) }) {
            let code = String(mark.value, radix: 16)
            #expect(EscapedText.make("a\(mark)b") == "a\\u{\(code)}b")
        }
    }

    @Test func `cuts long text and broken UTF-8 without failing`() {
        #expect(EscapedText.make("abcd", limit: 3) == "abc…")
        #expect(EscapedText.make("abc", limit: 3) == "abc")
        #expect(EscapedText.make(utf8: [0x61, 0xFF, 0x62], limit: 9) == "a\u{FFFD}b")
        #expect(EscapedText.make(utf8: [UInt8](repeating: 0x61, count: 1_000), limit: 3) == "aaa…")
    }

    @Test func `complains once per interval and tells how often it kept silent`() {
        var limiter = LogLimiter(interval: .seconds(10))
        #expect(limiter.allow(at: .seconds(1)) == 0)
        #expect(limiter.allow(at: .seconds(2)) == nil)
        #expect(limiter.allow(at: .seconds(3)) == nil)
        #expect(limiter.allow(at: .seconds(11)) == 2)
        #expect(limiter.allow(at: .seconds(21)) == 0)
    }

    @Test func `tells what it was silent about when nothing else comes`() {
        var limiter = LogLimiter(interval: .seconds(10))
        #expect(limiter.allow(at: .seconds(1)) == 0)
        #expect(limiter.takeLeftOut(at: .seconds(20)) == 0)
        for second in 22...71 { _ = limiter.allow(at: .seconds(second == 22 ? 22 : 23)) }
        #expect(limiter.takeLeftOut(at: .seconds(24)) == 0)
        #expect(limiter.takeLeftOut(at: .seconds(32)) == 49)
        #expect(limiter.takeLeftOut(at: .seconds(50)) == 0)
    }

    @Test func `tells another cause soon, but no more than one a second`() {
        var limiter = LogLimiter(interval: .seconds(10))
        #expect(limiter.allow(at: .seconds(1), cause: "refused, attempt 1") == 0)
        #expect(limiter.allow(at: .milliseconds(1_500), cause: "password") == nil)
        #expect(limiter.allow(at: .seconds(2), cause: "refused, attempt 2") == nil)
        #expect(limiter.allow(at: .seconds(3), cause: "password") == 2)
        #expect(limiter.allow(at: .milliseconds(3_500), cause: "refused, attempt 3") == nil)
        #expect(limiter.allow(at: .seconds(12), cause: "password") == nil)
        #expect(limiter.allow(at: .seconds(13), cause: "password") == 2)
    }
}
