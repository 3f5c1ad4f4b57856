@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import Testing

@Suite struct GRPCAnswerTests {
    private func outcome(
        _ fields: [String: String], _ result: HTTPResult? = nil, signal: Signal = .traces
    ) -> ExportOutcome {
        let usual = HTTPResult.answered(
            status: 200, body: [], contentType: "application/grpc", retryAfterSeconds: 0)
        return GRPCAnswer(HTTPExchange(result: result ?? usual, fields: fields)).outcome(signal: signal)
    }

    private func isRetry(_ outcome: ExportOutcome) -> Bool { if case .retry = outcome { true } else { false } }

    @Test(arguments: 1...18) func `retries exactly what OTLP calls retryable`(code: Int) {
        let outcome = outcome(["grpc-status": "\(code)", "grpc-message": "so"])
        #expect(isRetry(outcome) == [1, 4, 10, 11, 14, 15].contains(code))
        guard !isRetry(outcome) else { return }
        guard case .permanent(let reason) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.hasSuffix(", it says \"so\""))
    }

    @Test(arguments: [
        "grpc: received message larger than max (5242880 vs. 4194304)",
        "Received message larger than max (5 vs. 4)", "gRPC message exceeds maximum size 4194304: 5242880",
        "the message is larger than 4194304 bytes after inflating",
    ]) func `knows the words for a message that is too large`(words: String) {
        guard case .tooLarge = outcome(["grpc-status": "8", "grpc-message": words]) else {
            Issue.record("not too large")
            return
        }
    }

    @Test func `the status counts although the transfer failed`() {
        let broken = HTTPResult.unreadable(status: 200, reason: "stream error", retryAfterSeconds: 0)
        #expect(outcome(["grpc-status": "0"], broken) == .delivered)
        #expect(outcome(["grpc-status": "3"], broken) == .permanent(reason: "INVALID_ARGUMENT"))
        #expect(isRetry(outcome([:], broken)))
        #expect(isRetry(outcome([:])), "a call that ends without a status")
        #expect(isRetry(outcome([:], .failed(reason: "no route"))))
    }

    @Test func `proxies in between answer in HTTP`() {
        func answer(_ status: Int, after: Int = 0) -> ExportOutcome {
            outcome(
                [:],
                .answered(status: status, body: [], contentType: "text/html", retryAfterSeconds: after))
        }
        #expect(answer(503, after: 9) == .retry(reason: "HTTP 503", after: .seconds(9)))
        guard case .permanent(let login) = answer(200), case .permanent = answer(404) else {
            Issue.record("not permanent")
            return
        }
        #expect(login.contains("otlp_http"))
    }

    @Test func `reads the pause of a RetryInfo, padded or not`() {
        func details(_ type: String, seconds: UInt64, nanos: UInt64) -> [UInt8] {
            ProtoBytes.build { status in
                status.number(1, 14)
                status.text(2, "busy")
                status.message(3) { any in
                    any.text(1, "type.googleapis.com/google.rpc.DebugInfo")
                    any.text(2, "noise")
                }
                status.message(3) { any in
                    any.text(1, type)
                    any.message(2) { info in
                        info.message(1) { delay in
                            delay.number(1, seconds)
                            delay.number(2, nanos)
                        }
                    }
                }
            }
        }
        let retryInfo = "type.googleapis.com/google.rpc.RetryInfo"
        for padding in [true, false] {
            let field = base64(details(retryInfo, seconds: 2, nanos: 500_000_000), isPadded: padding)
            #expect(GRPCAnswer.retryDelay(field) == .milliseconds(2_500))
        }
        let other = base64(details("type.googleapis.com/google.rpc.Help", seconds: 2, nanos: 0), isPadded: true)
        #expect(GRPCAnswer.retryDelay(other) == nil)
        let never = base64(details(retryInfo, seconds: .max, nanos: .max), isPadded: true)
        #expect(GRPCAnswer.retryDelay(never) == .zero, "a negative delay is none")
        let long = base64(details(retryInfo, seconds: 1 << 40, nanos: 0), isPadded: true)
        #expect(GRPCAnswer.retryDelay(long) == .seconds(86_400))
    }

    @Test func `any bytes in the details are read without harm`() {
        let random = SeededRandom(41)
        for _ in 0..<3_000 {
            let bytes = (0..<Int(random.next() % 40)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = GRPCAnswer.retryDelay(base64(bytes, isPadded: false))
            _ = PercentEncoding.decoded(String(decoding: bytes, as: UTF8.self))
        }
        #expect(GRPCAnswer.retryDelay("&&&") == nil)
        #expect(PercentEncoding.decoded("100%25 sure, %C3%A4 %zz %4") == "100% sure, ä %zz %4")
    }

    private func base64(_ bytes: [UInt8], isPadded: Bool) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for index in 0...group.count { out.append(digits[value >> (18 - 6 * index) & 63]) }
            if isPadded { out += [UInt8](repeating: UInt8(ascii: "="), count: 3 - group.count) }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
