import Foundation
import Testing

/// One bad trace brings all of its conversation along, whatever is killed in between.
@Suite(.serialized, .timeLimit(.minutes(15))) struct SessionKillTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        extensions: {file_storage: {directory: "FOLDER/journal"}}
        processors:
          tail_sampling:
            decision_wait: 600s
            decision_wait_after_root_received: 100ms
            policies: [{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}]
            session: {hold: 600s}
        exporters: {file: {path: "FOLDER/out.jsonl"}}
        service:
          extensions: [file_storage]
          telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}}
          pipelines: {traces: {receivers: [otlp], processors: [tail_sampling], exporters: [file]}}
        """

    /// A trace of two spans, named after its session and number.
    private func send(_ gateway: RunningGateway, session: Int, number: Int, isBad: Bool = false) async throws {
        let trace = AgentTraffic.hex(session * 100 + number + 1, 32)
        let status = isBad ? ",\"status\":{\"code\":2}" : ""
        let spans = (1...2).map { span in
            """
            {"traceId":"\(trace)","spanId":"\(AgentTraffic.hex(span, 16))","name":"\(session)/\(number)/\(span)",\
            \(span == 1 ? "" : "\"parentSpanId\":\"\(AgentTraffic.hex(1, 16))\",")\
            "attributes":[{"key":"gen_ai.conversation.id","value":{"stringValue":"s\(session)"}}]\(status)}
            """
        }
        let body = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        #expect(try await gateway.post(Array(body.utf8), path: "/v1/traces", type: "application/json") == 200)
    }

    private func spans(_ gateway: RunningGateway) -> [String: Int] {
        var counts: [String: Int] = [:]
        for line in gateway.lines("out.jsonl") {
            for match in line.matches(of: /"name":"(\d+\/\d+\/\d)"/) { counts[String(match.1), default: 0] += 1 }
        }
        return counts
    }

    private func names(_ sessions: [Int], _ numbers: ClosedRange<Int>) -> Set<String> {
        Set(sessions.flatMap { session in numbers.flatMap { ["\(session)/\($0)/1", "\(session)/\($0)/2"] } })
    }

    /// Waits until no trace is open: what is not sampled waits for its session.
    private func waitUntilDecided(_ gateway: RunningGateway) async throws {
        try await gateway.wait("decision") {
            let open = try await gateway.metric("sluice_trace_buffer_traces")
            let held = try await gateway.metric("sluice_trace_held_bytes")
            return open == 0 && held > 0
        }
    }

    @Test func `a conversation is kept whole over kills, and no other`() async throws {
        let gateway = try RunningGateway(Self.configuration)
        try await gateway.start()
        for session in 0..<6 { for number in 1...3 { try await send(gateway, session: session, number: number) } }
        try await waitUntilDecided(gateway)
        #expect(spans(gateway).isEmpty)
        #expect(gateway.end(SIGKILL) == 128 + SIGKILL)

        // The held traces are gathered again; killed before the bad ones are decided on.
        gateway.replace("received: 100ms", with: "received: 200s")
        try await gateway.start()
        for session in [0, 2, 4] { try await send(gateway, session: session, number: 4, isBad: true) }
        #expect(gateway.end(SIGKILL) == 128 + SIGKILL)
        gateway.replace("received: 200s", with: "received: 100ms")
        try await gateway.start()
        let bad = names([0, 2, 4], 1...4)
        try await gateway.wait("bad sessions") { Set(spans(gateway).keys) == bad }

        // The sessions that turned bad are remembered.
        try await gateway.waitUntilDelivered()
        try await gateway.waitUntilSaved()
        #expect(gateway.end(SIGKILL) == 128 + SIGKILL)
        try await gateway.start()
        for session in 0..<6 { try await send(gateway, session: session, number: 5) }
        try await gateway.wait("later traces of the bad sessions") {
            Set(spans(gateway).keys) == names([0, 2, 4], 1...5)
        }
        try await waitUntilDecided(gateway)
        #expect(gateway.end(SIGTERM) == 0)
        #expect(Set(spans(gateway).keys) == names([0, 2, 4], 1...5))
        #expect(spans(gateway).values.allSatisfy { $0 == 1 }, "\(spans(gateway))")
    }
}
