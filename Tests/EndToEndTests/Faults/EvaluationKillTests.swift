import Foundation
import Testing

/// SIGKILL and spans in any order change nothing about what evaluators say and which examples a dataset has.
@Suite(.serialized, .timeLimit(.minutes(15))) struct EvaluationKillTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        extensions: {file_storage: {directory: "FOLDER/journal"}}
        processors:
          agent_findings: {wait: {idle: 600s, after_root: 300ms}}
          evaluators:
            wait: {idle: 600s, after_root: 300ms}
            evaluators:
              - name: history_found
                filter: IsMatch(attributes["gen_ai.tool.name"], "^fetch_orders_")
                of: empty_results
                max: 0
                tier: alert
              - name: customer_id
                filter: attributes["gen_ai.tool.name"] != nil
                of: gen_ai.tool.call.arguments
                json_schema: {type: object, properties: {customer_id: {type: string, pattern: '^C-'}}}
              - {name: tokens, level: trace, of: tokens, max: 900, results: all}
              - {name: refund, level: trace, sampling_percentage: 50, of: output, contains: [refund], results: all}
              - {name: calls, level: session, of: tool_calls, max: 0, tier: hint}
        exporters:
          dataset: {path: "FOLDER/examples.jsonl", select: {tiers: [hint, tag, alert]}}
          sqlite: {path: "FOLDER/sluice.db"}
        service:
          extensions: [file_storage]
          telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}}
          pipelines:
            traces: {receivers: [otlp], processors: [agent_findings, evaluators], exporters: [dataset, sqlite]}
        """

    private static let traces = 30

    private func send(_ requests: some Swift.Sequence<[UInt8]>, _ gateway: RunningGateway) async throws {
        for request in requests {
            #expect(try await gateway.post(request, path: "/v1/traces", type: "application/json") == 200)
        }
    }

    /// All rows of findings, which results of evaluators are too.
    private func rows(_ gateway: RunningGateway) throws -> [String] {
        let answer = try gateway.command([
            "query", "sql", "--db", gateway.folder.appending(path: "sluice.db").path, "--format", "csv", "--limit", "0",
            "SELECT trace_id, span_id, pattern, rule, tier, label, evidence, cause_span_id FROM findings",
        ])
        return answer.status == 0 ? answer.text.split(whereSeparator: \.isNewline).map(String.init).sorted() : []
    }

    /// Waits until every trace has become an example; all have one of the session's evaluator.
    private func outcome(_ gateway: RunningGateway) async throws -> (examples: [String], rows: [String]) {
        try await gateway.wait("end of the traces") { gateway.lines("examples.jsonl").count >= Self.traces }
        try await gateway.waitUntilDelivered()
        let found = try rows(gateway)
        #expect(gateway.end(SIGTERM) == 0)
        return (gateway.lines("examples.jsonl").sorted(), found)
    }

    @Test func `the same results and examples after kills and in any order of arrival`() async throws {
        var traffic = AgentTraffic(traces: Self.traces)
        let undisturbed = try RunningGateway(Self.configuration)
        try await undisturbed.start()
        try await send(traffic.inOrder(), undisturbed)
        let wanted = try await outcome(undisturbed)
        for name in ["history_found", "customer_id", "tokens", "refund", "calls", "malformed_tool_arguments"] {
            #expect(wanted.rows.contains { $0.contains(",\(name),") }, "\(name): \(wanted.rows.prefix(20))")
        }
        // Half of the traces were looked at by this one.
        #expect((5..<25).contains(wanted.rows.count { $0.contains(",refund,") }))

        let gateway = try RunningGateway(Self.configuration)
        try await gateway.start()
        try await send(traffic.shuffled(0..<10, roots: false), gateway)
        let second = traffic.shuffled(10..<20, roots: false)
        let half = second.count / 2
        try await send(second.prefix(half), gateway)
        try await send(traffic.shuffled(0..<10, roots: true), gateway)
        // One wave is complete and on its way, of the next the traces are half there.
        try await gateway.wait("first example") { !gateway.lines("examples.jsonl").isEmpty }
        #expect(gateway.end(SIGKILL) == 128 + SIGKILL)
        try await gateway.start()
        try await send(second.dropFirst(half), gateway)
        try await send(traffic.shuffled(10..<20, roots: true), gateway)
        #expect(gateway.end(SIGKILL) == 128 + SIGKILL)
        try await gateway.start()
        for roots in [false, true] { try await send(traffic.shuffled(20..<30, roots: roots), gateway) }
        let got = try await outcome(gateway)
        #expect(got.examples == wanted.examples)
        #expect(got.rows == wanted.rows)
    }
}
