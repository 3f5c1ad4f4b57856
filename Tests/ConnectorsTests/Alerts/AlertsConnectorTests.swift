@testable import Connectors
import Foundation
import OTLP
import Pipeline
import Telemetry
import Testing

/// The records of deliveries: state, rule and group.
private func told(_ deliveries: [ConnectorDelivery]) throws -> [[String: String]] {
    try deliveries.map { delivery in
        var text = ByteColumn()
        delivery.bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: .logs, into: &text) }
        let root = try #require(try JSONSerialization.jsonObject(with: Data(text.bytes)) as? [String: Any])
        let resource = try #require((root["resourceLogs"] as? [[String: Any]])?.first)
        let scope = try #require((resource["scopeLogs"] as? [[String: Any]])?.first)
        let record = try #require((scope["logRecords"] as? [[String: Any]])?.first)
        var facts: [String: String] = [:]
        for attribute in record["attributes"] as? [[String: Any]] ?? [] {
            let value = (attribute["value"] as? [String: Any])?.values.first
            facts[attribute["key"] as? String ?? ""] = value.map { "\($0)" }
        }
        for key in ["eventName", "traceId", "spanId", "severityNumber", "timeUnixNano"] {
            facts[key] = record[key].map { "\($0)" }
        }
        facts["body"] = (record["body"] as? [String: Any])?["stringValue"] as? String
        return facts
    }
}

/// A span with findings.
private func flagged(
    _ name: String, _ patterns: [String], tier: String = "tag", score: Double = 0.5, attributes: [String: Any] = [:]
) -> String {
    let events = patterns.map { pattern in
        """
        {"name":"gen_ai.evaluation.result","timeUnixNano":"5","attributes":[\
        {"key":"gen_ai.evaluation.name","value":{"stringValue":"\(pattern)"}},\
        {"key":"gen_ai.evaluation.score.value","value":{"doubleValue":\(score)}},\
        {"key":"gen_ai.evaluation.explanation","value":{"stringValue":"it was empty"}},\
        {"key":"sluice.finding.tier","value":{"stringValue":"\(tier)"}}]}
        """
    }
    let plain = span(name, 1, attributes)
    return plain.dropLast() + ",\"events\":[\(events.joined(separator: ","))]}"
}

@Suite struct AlertsConnectorTests {
    private let second: UInt64 = 1_000_000_000

    private func connector(
        _ yaml: String, _ clock: TestClock = TestClock(), folder: String? = nil
    ) throws -> AlertsConnector {
        let (options, problems) = read(AlertsOptions.self, yaml)
        try #require(problems == [], "\(problems)")
        let build = ConnectorBuild(
            metrics: SelfMetrics(), id: "alerts", input: "traces", inputSignal: .traces,
            outputs: [ConnectorOutput(pipeline: "logs", signal: .logs)], now: { clock.now }, dataDirectory: folder)
        let connector = try AlertsConnector(options: options, build: build)
        try connector.start()
        return connector
    }

    private func folder() throws -> String {
        let path = FileManager.default.temporaryDirectory.appending(path: "sluice-alerts-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test func `an alert is a log record that says what, where and with which key`() throws {
        let connector = try connector(
            """
            rules:
              - {name: Empty history, metric: findings, evaluations: [silent_empty_response], severity: critical,
                 group_by: [service.name], message: look at the argument}
            """)
        let records = try told(
            try connector.connect(
                batch([
                    flagged("fetch", ["silent_empty_response", "loop"], attributes: ["gen_ai.conversation.id": "s1"])
                ])))
        let record = try #require(records.first)
        #expect(records.count == 1 && record["eventName"] == "sluice.alert" && record["severityNumber"] == "21")
        #expect(record["traceId"] == "0123456789abcdef0123456789abcdef" && record["spanId"] == "0123456789abcdef")
        #expect(record["sluice.alert.state"] == "open" && record["sluice.alert.group"] == "service.name=shop")
        #expect(record["gen_ai.conversation.id"] == "s1" && record["sluice.alert.example"] == "it was empty")
        #expect(record["sluice.alert.message"] == "look at the argument")
        #expect(record["sluice.alert.dedup_key"]?.hasPrefix("sluice/alerts/empty-history/") == true)
        #expect(
            record["body"] == "Empty history for service.name=shop: findings (sum) is 1, > 0 over 300 s, 1 values")
    }

    @Test(arguments: [
        ("metric: tokens, operator: '>='", "30"), ("metric: input_tokens", "20"), ("metric: cost", "0.5"),
        ("metric: latency, aggregation: max", "2"), ("metric: error_rate", "0.25"), ("metric: finding_rate", "1"),
        ("metric: findings, tiers: [hint, tag]", "2"), ("metric: score, aggregation: max", "0.75"),
        ("metric: throughput, aggregation: count", "4"),
        ("metric: throughput, aggregation: count, filter: 'name == \"chat\"'", "1"),
    ]) func `measures`(_ rule: String, _ value: String) throws {
        let connector = try connector("rules: [{name: r, \(rule)}]")
        var outer = span("agent", 2_000, ["gen_ai.usage.input_tokens": 20])
        outer = outer.replacing("\"spanId\":\"0123456789abcdef\"", with: "\"spanId\":\"aaaaaaaaaaaaaaaa\"")
        var inner = span("chat", 1, ["gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 10])
        inner = inner.replacing(
            "\"spanId\":\"0123456789abcdef\"",
            with: "\"spanId\":\"bbbbbbbbbbbbbbbb\",\"parentSpanId\":\"aaaaaaaaaaaaaaaa\"")
        inner = inner.replacing(
            "\"attributes\":[", with: "\"attributes\":[{\"key\":\"gen_ai.usage.cost\",\"value\":{\"doubleValue\":0.5}},"
        )
        let spans = [outer, inner, span("failed", 1, status: 2), flagged("tool", ["loop", "soft_error"], score: 0.75)]
        let records = try told(try connector.connect(batch(spans)))
        #expect(records.map { Double($0["sluice.alert.value"] ?? "") } == [Double(value)])
    }

    @Test func `a negative number of tokens does not count`() throws {
        let connector = try connector("rules: [{name: r, metric: tokens, operator: '>='}]")
        let one = span("chat", 1, ["gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": -10])
        let records = try told(try connector.connect(batch([one])))
        #expect(records.map { Double($0["sluice.alert.value"] ?? "") } == [Double("20")])
    }

    @Test func `what was not stored did not count, and comes again`() throws {
        let connector = try connector("rules: [{name: r, metric: findings, threshold: 1}]")
        let one = try batch([flagged("a", ["loop"])])
        #expect(try connector.connect(one) == [])
        #expect(try connector.connect(one) == [])
        connector.stored()
        #expect(try told(try connector.connect(one)).count == 1)
        // Not stored: the alert is due again.
        #expect(connector.tick().isEmpty)
        #expect(try told(try connector.connect(one)).count == 1)
    }

    @Test func `windows outlive a kill, and a batch that comes again does not count twice`() throws {
        let (folder, clock) = (try folder(), TestClock())
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let yaml = "rules: [{name: r, metric: findings, threshold: 2, window: 60s}]"
        let (one, two) = (try batch([flagged("a", ["loop"])]), try batch([flagged("b", ["loop"])]))
        clock.set(second)
        let first = try connector(yaml, clock, folder: folder)
        #expect(try first.connect(one) == [])
        first.stored()
        #expect(try first.connect(two) == [])
        first.stored()
        // Nothing is closed here: what follows finds what a killed process leaves. The last line may be torn.
        let log = folder + "/alerts/alerts_traces.log"
        let handle = try #require(FileHandle(forWritingAtPath: log))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"time\":12,\"ha".utf8))
        try handle.close()
        clock.set(2 * second)
        let second = try connector(yaml, clock, folder: folder)
        #expect(try second.connect(two) == [])
        second.stored()
        let records = try told(try second.connect(batch([flagged("c", ["loop"])])))
        #expect(records.map { $0["sluice.alert.value"] } == ["3.0"])
        second.stored()
        // Open alerts outlive it too.
        clock.set(200 * self.second)
        let third = try connector(yaml, clock, folder: folder)
        #expect(try told(third.tick()).map { $0["sluice.alert.state"] } == ["resolved"])
    }

    @Test func `leaves the names of its rules for commands`() throws {
        let (folder, clock) = (try folder(), TestClock())
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(AlertDirectory.rules(folder) == [])
        let yaml = "rules: [{name: r, metric: findings}, {name: 'much \u{e9}', metric: tokens}]"
        let connector = try connector(yaml, clock, folder: folder)
        #expect(AlertDirectory.rules(folder) == ["r", "much \u{e9}"])
        #expect(connector.ruleNames == ["r", "much \u{e9}"])
        // What a gateway left that wrote no names: those that have measured.
        clock.set(second)
        _ = try connector.connect(batch([flagged("a", ["loop"])]))
        connector.stored()
        _ = try self.connector(yaml, clock, folder: folder)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder + "/alerts")
        where name.hasSuffix(".rules") {
            try FileManager.default.removeItem(atPath: folder + "/alerts/" + name)
        }
        #expect(AlertDirectory.rules(folder).contains("r"))
    }

    @Test func `listens to pause and resolve`() throws {
        let (folder, clock) = (try folder(), TestClock())
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let connector = try connector("rules: [{name: r, metric: findings}]", clock, folder: folder)
        func write(_ change: (inout AlertControl) -> Void) throws {
            var control = AlertControl.read(folder)
            change(&control)
            try Data(control.bytes).write(to: URL(filePath: AlertControl.path(folder)))
        }
        clock.set(second)
        try write { $0.paused["r"] = 10 }
        #expect(try connector.connect(batch([flagged("a", ["loop"])])) == [])
        connector.stored()
        clock.set(11 * second)
        #expect(try told(connector.tick()).map { $0["sluice.alert.state"] } == ["open"])
        connector.stored()
        try write { $0.resolved["r"] = 1 }
        #expect(try told(connector.tick()).map { $0["sluice.alert.state"] } == ["resolved"])
        connector.stored()
        #expect(connector.tick() == [])
    }

    @Test(arguments: [
        ("{}", "at least one rule"),
        ("rules: [{name: a, metric: tokens}, {name: a, metric: cost}]", "two rules are called"),
        ("rules: [{name: a, metric: tokens, filter: 'nam == 1'}]", "did you mean name?"),
        ("rules: [{name: a, metric: tokens, group_by: [a, b, c, d, e]}]", "at most 4"),
        ("rules: [{name: a, metric: findings, tiers: [page]}]", "no tier"),
        ("rules: [{name: a, metric: token}]", "expects one of"),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let problems = read(AlertsOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
