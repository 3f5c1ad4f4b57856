import Foundation
import Testing

/// SIGKILL between the traces of a conversation: what was remembered of the earlier ones is remembered still.
@Suite(.serialized, .timeLimit(.minutes(15))) struct MemoryKillTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        extensions: {file_storage: {directory: "FOLDER/journal"}}
        processors:
          agent_findings:
            wait: {idle: 60s, after_root: 100ms}
            latency: {min_samples: 5}
          evaluators:
            wait: {idle: 60s, after_root: 100ms}
            evaluators:
              - {name: calls, level: session, of: tool_calls, max: 2}
              - {name: slow, level: trace, baseline: {measure: latency, by: agent, min_samples: 5}}
              - {name: hourly, level: trace, of: steps, max: 0, every: 1h}
        exporters: {sqlite: {path: "FOLDER/sluice.db"}}
        service:
          extensions: [file_storage]
          telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}}
          pipelines: {traces: {receivers: [otlp], processors: [agent_findings, evaluators], exporters: [sqlite]}}
        """

    private static let traces = 12

    /// The run of an agent whose tool fails with the same error; the last one also takes far longer than usual.
    private func request(_ trace: Int) -> [UInt8] {
        let start = 1_790_000_000_000_000_000 + trace * 1_000_000_000
        let length = trace == Self.traces - 1 ? 900_000_000 : 20_000_000 + trace * 100_000
        func span(_ number: Int, _ name: String, _ texts: [(String, String)], status: String = "") -> String {
            let all = texts + [("gen_ai.agent.name", "shop"), ("gen_ai.conversation.id", "conv-\(trace % 2)")]
            let attributes = all.map { "{\"key\":\"\($0)\",\"value\":{\"stringValue\":\"\($1)\"}}" }
            return """
                {"traceId":"\(AgentTraffic.hex(trace + 1, 32))","spanId":"\(AgentTraffic.hex(number, 16))",\
                \(number == 1 ? "" : "\"parentSpanId\":\"\(AgentTraffic.hex(1, 16))\",")"name":"\(name)","kind":1,\
                "startTimeUnixNano":"\(start)","endTimeUnixNano":"\(start + length)"\(status),\
                "attributes":[\(attributes.joined(separator: ","))]}
                """
        }
        let spans = [
            span(1, "invoke_agent shop", [("gen_ai.operation.name", "invoke_agent")]),
            span(
                2, "execute_tool refund",
                [
                    ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "refund"),
                    ("gen_ai.tool.call.arguments", "{}"),
                ], status: ",\"status\":{\"code\":2,\"message\":\"connection timed out\"}"),
        ]
        return Array("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}".utf8)
    }

    private func rows(_ gateway: RunningGateway) throws -> [String] {
        let answer = try gateway.command([
            "query", "sql", "--db", gateway.folder.appending(path: "sluice.db").path, "--format", "csv", "--limit", "0",
            "SELECT trace_id, span_id, pattern, rule, tier, label, evidence, cause_span_id FROM findings",
        ])
        return answer.status == 0 ? answer.text.split(whereSeparator: \.isNewline).map(String.init).sorted() : []
    }

    /// Sends the traces one after the other; the gateway is killed after some, as soon as they have passed.
    private func play(killedAfter kills: Set<Int>, isForgetting: Bool = false) async throws -> [String] {
        let gateway = try RunningGateway(Self.configuration)
        try await gateway.start()
        var passed = 0.0
        for trace in 0..<Self.traces {
            #expect(try await gateway.post(request(trace), path: "/v1/traces", type: "application/json") == 200)
            passed += 2
            try await gateway.wait("trace \(trace)") {
                try await gateway.metric("sluice_pipeline_stored_spans") == passed
            }
            guard kills.contains(trace) else { continue }
            #expect(gateway.end(SIGKILL) == 128 + SIGKILL)
            let memory = gateway.folder.appending(path: "data/processors/traces.memory")
            if isForgetting { try FileManager.default.removeItem(at: memory) }
            try await gateway.start()
            passed = 0
        }
        try await gateway.waitUntilDelivered()
        let found = try rows(gateway)
        #expect(gateway.end(SIGTERM) == 0)
        return found
    }

    @Test func `findings and evaluations across traces are the same after kills`() async throws {
        let wanted = try await play(killedAfter: [])
        for name in ["retry_storm", "calls", "slow", "latency_outlier", "hourly"] {
            #expect(wanted.contains { $0.contains(",\(name),") }, "\(name): \(wanted)")
        }
        #expect(wanted.count { $0.contains(",hourly,") } == 1)
        #expect(try await play(killedAfter: [0, 2, 3, 6, 9, 10]) == wanted)
        // Without the memory they are others, so the kills come where it counts.
        #expect(try await play(killedAfter: [3, 10], isForgetting: true) != wanted)
    }
}
