@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import Testing

@Suite struct OTLPAnswerTests {
    private func outcome(
        _ status: Int, _ body: [UInt8] = [], type: String = "application/x-protobuf", retryAfter: Int = 0
    ) -> ExportOutcome {
        let exchange = HTTPResult.answered(
            status: status, body: body, contentType: type, retryAfterSeconds: retryAfter)
        return OTLPAnswer.outcome(exchange, signal: .traces)
    }

    @Test(arguments: [200, 202, 204]) func `takes every 2xx as delivered`(status: Int) {
        #expect(outcome(status) == .delivered)
        #expect(outcome(status, Array("<html>ok</html>".utf8), type: "text/html") == .delivered)
        #expect(outcome(status, [0xFF, 0xFF, 0xFF]) == .delivered, "a broken body is never a reason to send again")
        #expect(outcome(status, Array("{\"ok\": tru".utf8), type: "application/json") == .delivered)
    }

    @Test(arguments: [429, 502, 503, 504]) func `retries what OTLP calls passing`(status: Int) {
        guard case .retry(let reason, let after) = outcome(status, retryAfter: 7) else {
            Issue.record("not a retry")
            return
        }
        #expect(reason.contains("\(status)"))
        #expect(after == .seconds(7))
    }

    @Test(arguments: [301, 400, 401, 403, 404, 405, 408, 415, 422, 500, 501, 505])
    func `drops for good on every other status`(status: Int) {
        guard case .permanent(let reason) = outcome(status) else {
            Issue.record("not permanent")
            return
        }
        #expect(reason.contains("\(status)"))
    }

    @Test func `reads a partial success in both encodings`() {
        let binary = ControlMessages.exportResponse(signal: .traces, rejected: 3, message: "too old", json: false)
        #expect(outcome(200, binary) == .partial(rejected: 3, message: "it says \"too old\""))
        let text = ControlMessages.exportResponse(signal: .traces, rejected: 3, message: "too old", json: true)
        let type = "Application/JSON; charset=utf-8"
        #expect(outcome(200, text, type: type) == .partial(rejected: 3, message: "it says \"too old\""))
        let number = Array(#"{"partialSuccess":{"rejectedSpans":2}}"#.utf8)
        #expect(outcome(200, number, type: "application/json") == .partial(rejected: 2, message: ""))
    }

    @Test func `shows a short and harmless piece of the backend's words`() {
        let status = ControlMessages.status(code: 3, message: "bad\u{1B}[2Jspan\n", json: false)
        #expect(outcome(400, status) == .permanent(reason: "HTTP 400, it says \"bad\\u{1b}[2Jspan\\n\""))
        let json = ControlMessages.status(code: 3, message: "bad", json: true)
        #expect(outcome(400, json, type: "application/json") == .permanent(reason: "HTTP 400, it says \"bad\""))
        guard case .permanent(let reason) = outcome(404, Array(repeating: 0x41, count: 100_000), type: "text/html")
        else { return }
        #expect(reason.count < 400)
    }

    @Test func `retries when there was no answer and never after a 2xx that cannot be read`() {
        #expect(OTLPAnswer.outcome(.failed(reason: "refused"), signal: .logs) == .retry(reason: "refused", after: nil))
        func unreadable(_ status: Int) -> ExportOutcome {
            OTLPAnswer.outcome(.unreadable(status: status, reason: "reset", retryAfterSeconds: 3), signal: .logs)
        }
        #expect(unreadable(200) == .delivered)
        guard case .retry(let reason, .seconds(3)) = unreadable(503) else {
            Issue.record("not a retry")
            return
        }
        #expect(reason.contains("503") && reason.contains("reset"))
        guard case .permanent = unreadable(400) else {
            Issue.record("not permanent")
            return
        }
    }

    @Test func `asks for halves on 413 and lets the configuration choose what is retried`() {
        guard case .tooLarge(let reason) = outcome(413, Array("limit 1 MB".utf8), type: "text/plain") else {
            Issue.record("not too large")
            return
        }
        #expect(reason.contains("413") && reason.contains("limit 1 MB"))
        let unauthorized = HTTPResult.answered(status: 401, body: [], contentType: "", retryAfterSeconds: 0)
        guard case .retry = OTLPAnswer.outcome(unauthorized, signal: .traces, retryOn: [401]) else {
            Issue.record("not a retry")
            return
        }
        let busy = HTTPResult.answered(status: 503, body: [], contentType: "", retryAfterSeconds: 0)
        guard case .permanent = OTLPAnswer.outcome(busy, signal: .traces, retryOn: [401]) else {
            Issue.record("not permanent")
            return
        }
    }
}
