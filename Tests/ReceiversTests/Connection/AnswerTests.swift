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

    @Test func `the usual answer is the one that would be encoded`() {
        let encoder = AnswerEncoder(headers: [(name: "X-Gateway", value: "s")])
        for type in MediaType.allCases {
            for signal in Signal.allCases {
                let answer = Answer.success(signal, rejected: 0, message: "", type)
                #expect(encoder.encode(answer, AnswerEncoder.Context()) == encoder.accepted(type))
            }
        }
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
            .refusal(refusal, .json), AnswerEncoder.Context(closes: true, omitsBody: true))
        let body = ControlMessages.status(code: 14, message: "m", json: true)
        #expect(
            String(buffer: bytes)
                == "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(body.count)\r\nRetry-After: 3\r\nConnection: close\r\n\r\n")
    }

    @Test func `a header with a line break is never written`() {
        let answer = Answer(status: .noContent, headers: [Refusal.Header(name: "X", value: "a\r\nEvil: b")])
        #expect(!String(buffer: AnswerEncoder().encode(answer, AnswerEncoder.Context())).contains("Evil"))
    }
}
