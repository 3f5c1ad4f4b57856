import NIOCore
import OTLP
import Pipeline
import Telemetry
import Testing

@testable import Receivers

@Suite struct AnswerTests {
    @Test(arguments: [
        (Duration.zero, 1), (.milliseconds(1), 1), (.seconds(1), 1), (.milliseconds(1001), 2), (.seconds(-5), 1),
        (.seconds(1_000_000), 86_400),
    ])
    func `Retry-After is whole seconds, at least one`(hint: Duration, seconds: Int) {
        #expect(Answer.retrySeconds(hint) == seconds)
    }

    private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

    @Test func `the usual answer is the one that would be encoded`() {
        let encoder = AnswerEncoder(headers: [(name: "X-Gateway", value: "s")])
        var (usual, date) = (UsualAnswers(), DateText())
        for type in MediaType.allCases {
            for signal in Signal.allCases {
                let answer = Answer.success(signal, rejected: 0, message: "", type)
                let bytes = usual.accepted(type, by: encoder, &date)
                #expect(encoder.encode(answer, AnswerEncoder.Context(), date: date.value(at: date.second)) == bytes)
            }
        }
    }

    @Test func `the usual answers of two receivers are not mixed up`() {
        var (usual, date) = (UsualAnswers(), DateText())
        let encoders = ["a", "b"].map { AnswerEncoder(headers: [(name: "X-Gateway", value: $0)]) }
        for (encoder, name) in zip(encoders + encoders, ["a", "b", "a", "b"]) {
            #expect(String(buffer: usual.accepted(.json, by: encoder, &date)).contains("X-Gateway: \(name)\r\n"))
        }
    }

    /// The first is the example of RFC 9110, 5.6.7.
    @Test(arguments: [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        (Int.max, "Thu, 01 Jan 1970 00:00:00 GMT"),
    ])
    func `a date has the form of HTTP`(second: Int, text: String) {
        var date = DateText()
        #expect(date.value(at: 1) == "Thu, 01 Jan 1970 00:00:01 GMT")
        #expect(date.value(at: second) == text)
        #expect(date.value(at: second) == text)
    }

    @Test func `a warning without a rejected record is a success with a message`() throws {
        let plan = RequestPlan(
            signal: .logs, mediaType: .json, coding: .identity, contentLength: 0, wantsContinue: false)
        let answer = try Answer.reply(.partial(rejected: 0, message: "odd"), plan).get()
        #expect(answer.status == .ok)
        #expect(String(decoding: answer.body, as: UTF8.self) == #"{"partialSuccess":{"errorMessage":"odd"}}"#)
    }

    @Test func `an answer has the headers that its connection needs`() {
        let refusal = Refusal(status: .serviceUnavailable, reason: .overload, message: "m", retryAfter: 3)
        let bytes = AnswerEncoder().encode(
            .refusal(refusal, .json), AnswerEncoder.Context(closes: true, omitsBody: true), date: Self.date)
        let body = ControlMessages.status(code: 14, message: "m", json: true)
        #expect(
            String(buffer: bytes)
                == "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.count)\r\nRetry-After: 3\r\nConnection: close\r\n"
                + "Date: \(Self.date)\r\n\r\n")
    }

    @Test func `a header with a line break is never written`() {
        let answer = Answer(status: .noContent, headers: [Refusal.Header(name: "X", value: "a\r\nEvil: b")])
        let bytes = AnswerEncoder().encode(answer, AnswerEncoder.Context(), date: Self.date)
        #expect(!String(buffer: bytes).contains("Evil"))
    }
}
