import Foundation
import TestSupport
import Testing

private let configuration = """
    receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
    exporters:
      postgres:
        datasource: "DATASOURCE"
        retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
    service:
      telemetry:
        metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
      pipelines:
        traces: {receivers: [otlp], exporters: [postgres]}
        logs: {receivers: [otlp], exporters: [postgres]}
    """

/// Spans and log records with the numbers of `range`.
private func bodies(_ range: Range<Int>) -> (spans: [UInt8], logs: [UInt8]) {
    let spans = range.map {
        """
        {"traceId":"0123456789abcdef0123456789abcdef","spanId":"\(String(format: "%016x", $0 + 1))","name":"step",\
        "startTimeUnixNano":"1","endTimeUnixNano":"2"}
        """
    }
    let logs = range.map { "{\"timeUnixNano\":\"1\",\"body\":{\"stringValue\":\"record \($0)\"}}" }
    return (
        [UInt8]("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}".utf8),
        [UInt8]("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[\(logs.joined(separator: ","))]}]}]}".utf8)
    )
}

@Suite(.serialized, .enabled(if: PostgresServer.isExpected)) struct PostgresEndToEndTests {
    @Test func `neither loses nor doubles a row when the gateway and its connections are killed`() async throws {
        let server = try PostgresServer.shared.get()
        let database = try server.makeDatabase()
        let gateway = try RunningGateway(
            configuration.replacingOccurrences(of: "DATASOURCE", with: server.datasource(database)))
        // The ledger: what was answered 200.
        var accepted: [String: Set<Int>] = ["spans": [], "logs": []]
        for round in 0..<3 {
            try await gateway.start()
            let stored = SharedCount()
            let killer = Task {
                for _ in 0..<12_000 where stored.value < 160 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                for _ in 0..<round + 1 {
                    try await Task.sleep(for: .milliseconds(400))
                    _ = try? server.query(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice' "
                            + "AND datname = '\(database)'", database: "postgres")
                }
                return gateway.end(SIGKILL)
            }
            let entries = try await withThrowingTaskGroup(of: [(String, Range<Int>)].self) { group in
                for client in 0..<3 {
                    group.addTask {
                        var mine: [(String, Range<Int>)] = []
                        for step in 0..<2_000 {
                            let first = ((round * 3 + client) * 2_000 + step) * 20
                            let range = first..<first + 20
                            let (spans, logs) = bodies(range)
                            let json = "application/json"
                            guard try await gateway.post(spans, path: "/v1/traces", type: json) == 200 else { break }
                            mine.append(("spans", range))
                            guard try await gateway.post(logs, path: "/v1/logs", type: json) == 200 else { break }
                            mine.append(("logs", range))
                            stored.add(40)
                        }
                        return mine
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            for (kind, range) in entries { accepted[kind]?.formUnion(range) }
            _ = try await killer.value
        }
        try await gateway.start()
        try await gateway.waitUntilDelivered()
        #expect(gateway.end(SIGTERM) == 0)
        let spans = try server.query("SELECT span_id FROM spans", database: database).map { $0[0] }
        let logs = try server.query("SELECT body FROM logs", database: database).map { $0[0] }
        #expect((accepted["spans"]?.count ?? 0) > 200 && (accepted["logs"]?.count ?? 0) > 200)
        let lostSpans = Set(accepted["spans", default: []].map { String(format: "%016x", $0 + 1) }).subtracting(spans)
        let lostLogs = Set(accepted["logs", default: []].map { "record \($0)" }).subtracting(logs)
        #expect(lostSpans.isEmpty && lostLogs.isEmpty, "\(lostSpans.count) spans, \(lostLogs.count) log records lost")
        #expect(Set(spans).count == spans.count && Set(logs).count == logs.count, "rows are there twice")
    }
}
