@testable import Exporters
import OTLP
import Pipeline
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct AnswerLimitTests {
    /// What comes of a POST to a server with these replies.
    private func result(
        _ reply: ScriptedServer.Reply, _ change: (inout CurlTargetOptions) -> Void = { _ in }
    ) async throws -> HTTPResult {
        let server = ScriptedServer { _, _ in reply }
        let engine = CurlEngine()
        defer {
            engine.stop()
            server.stop()
        }
        var options = CurlTargetOptions(url: server.url)
        change(&options)
        return await engine.post([1], to: try CurlTarget(options, engine: engine))
    }

    private func size(_ result: HTTPResult) -> Int? {
        if case .answered(_, let body, _, _) = result { body.count } else { nil }
    }

    @Test(arguments: [200, 400, 503]) func `of a long answer the beginning is kept`(status: Int) async throws {
        let long = ScriptedServer.Reply.answer(status, body: [UInt8](repeating: 65, count: 1 << 20))
        let usual = try await result(long)
        #expect(size(usual) == CurlTarget.keptMax)
        let data = try await result(long) { $0.readsAnswers = true }
        #expect(size(data) == (status == 200 ? 1 << 20 : CurlTarget.keptMax))
        let words = try await result(long) { $0.keptMax = CurlTarget.answerMax }
        #expect(size(words) == (status == 200 ? 1 << 20 : CurlTarget.keptMax))
    }

    @Test func `a connection is used again after a long answer`() async throws {
        let server = ScriptedServer { _, _ in .answer(503, body: [UInt8](repeating: 65, count: 1 << 20)) }
        let engine = CurlEngine()
        defer {
            engine.stop()
            server.stop()
        }
        let target = try CurlTarget(CurlTargetOptions(url: server.url), engine: engine)
        for _ in 0..<3 {
            let result = await engine.post([1], to: target)
            #expect(size(result) == CurlTarget.keptMax)
        }
        #expect(server.connections == 1)
    }

    @Test func `a partial success counts however long its message is`() {
        let message = String(repeating: "\u{1F600}\"", count: 40_000)
        for signal in [Signal.traces, .logs, .metrics] {
            for json in [false, true] {
                let whole = ControlMessages.exportResponse(signal: signal, rejected: 3, message: message, json: json)
                for cut in 0..<12 {
                    let body = Array(whole.prefix(CurlTarget.keptMax + cut))
                    let answer = HTTPResult.answered(
                        status: 200, body: body, contentType: json ? "application/json" : "application/x-protobuf",
                        retryAfterSeconds: 0)
                    guard case .partial(3, let told) = OTLPAnswer.outcome(answer, signal: signal) else {
                        Issue.record("not partial: \(signal) \(json) \(cut)")
                        return
                    }
                    #expect(told.contains("\u{1F600}"))
                }
            }
            let whole = ControlMessages.exportResponse(signal: signal, rejected: 3, message: message, json: false)
            let head: [UInt8] = [0] + (0..<4).map { UInt8(truncatingIfNeeded: whole.count >> (24 - 8 * $0)) }
            let answer = HTTPResult.answered(
                status: 200, body: Array((head + whole).prefix(CurlTarget.keptMax)), contentType: "application/grpc",
                retryAfterSeconds: 0)
            let exchange = HTTPExchange(result: answer, fields: ["grpc-status": "0"])
            guard case .partial(3, _) = GRPCAnswer(exchange).outcome(signal: signal) else {
                Issue.record("not partial over gRPC: \(signal)")
                return
            }
        }
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nConte", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConte",
    ]) func `a head that breaks off is no answer`(head: String) async throws {
        guard case .failed = try await result(.cut(Array(head.utf8))) else {
            Issue.record("an answer")
            return
        }
    }

    @Test(arguments: ["Content-Length: 5", "Transfer-Encoding: chunked"])
    func `a body that breaks off behind a whole head leaves the status`(field: String) async throws {
        let bytes = Array("HTTP/1.1 200 OK\r\n\(field)\r\n\r\n3".utf8)
        guard case .unreadable(status: 200, _, _) = try await result(.cut(bytes)) else {
            Issue.record("no status")
            return
        }
    }

    @Test(arguments: [403, 407, 502]) func `a proxy that opens no tunnel is named with its status`(
        status: Int
    ) async throws {
        let proxy = ScriptedServer { _, _ in .answer(status) }
        let engine = CurlEngine()
        defer {
            engine.stop()
            proxy.stop()
        }
        var options = CurlTargetOptions(url: "https://backend.invalid:443/v1/traces")
        options.proxyURL = "http://user:hidden-word@127.0.0.1:\(proxy.port)"
        let result = await engine.post([1], to: try CurlTarget(options, engine: engine))
        guard case .failed(let reason) = result else {
            Issue.record("an answer: \(result)")
            return
        }
        #expect(reason.contains("127.0.0.1:\(proxy.port)") && reason.contains("HTTP \(status)"))
        #expect(!reason.contains("hidden-word"))
        #expect(proxy.requests.first?.line.hasPrefix("CONNECT backend.invalid:443") == true)
    }
}
