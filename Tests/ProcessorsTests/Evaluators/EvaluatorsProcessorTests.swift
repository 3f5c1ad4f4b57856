import Configuration
import OTLP
import Pipeline
@testable import Processors
import Telemetry
import Testing

@Suite struct EvaluatorsProcessorTests {
    private func span(
        _ id: String, parent: String? = nil, start: UInt64, seconds: UInt64 = 1, trace: String,
        _ attributes: [(String, String)],
        numbers: [(String, Int64)] = []
    ) -> [UInt8] {
        func fixed(_ number: UInt64, _ value: UInt64) -> [UInt8] {
            Wire.varint(number << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var bytes = Wire.field(1, Wire.id(trace)) + Wire.field(2, Wire.id(id))
        if let parent { bytes += Wire.field(4, Wire.id(parent)) }
        return bytes + fixed(7, start) + fixed(8, start + seconds * 1_000_000_000) + Wire.strings(9, attributes)
            + Wire.attributes(9, numbers.map { ($0.0, Wire.int($0.1)) })
    }

    /// An agent, a model call and a tool call.
    private func request(
        trace: String = "0102030405060708090a0b0c0d0e0f10", session: String = "s1", result: String = #"{"orders":[1]}"#,
        answer: String = "All done.", tokens: Int64 = 10, start: UInt64 = 1_000_000_000
    ) -> [UInt8] {
        let output = #"[{"role":"assistant","parts":[{"type":"text","content":"\#(answer)"}]}]"#
        return Wire.traces(spans: [
            span(
                "aaaaaaaaaaaaaaaa", start: start, seconds: 5, trace: trace,
                [
                    ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "refunds"),
                    ("gen_ai.conversation.id", session),
                ]),
            span(
                "cccccccccccccccc", parent: "aaaaaaaaaaaaaaaa", start: start + 10, trace: trace,
                [
                    ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "fetch_order_history"),
                    ("gen_ai.tool.call.result", result),
                ]),
            span(
                "dddddddddddddddd", parent: "aaaaaaaaaaaaaaaa", start: start + 20, trace: trace,
                [("gen_ai.operation.name", "chat"), ("gen_ai.output.messages", output)],
                numbers: [("gen_ai.usage.input_tokens", tokens)]),
        ])
    }

    private func run(_ yaml: String, _ requests: [[UInt8]]) throws -> [[String]] {
        let (options, headlines) = options(EvaluatorsOptions.self, yaml)
        try #require(headlines == [], "\(headlines)")
        var bench = Bench()
        var build = bench.build(.traces)
        let processor = try EvaluatorsProcessor(options: options, build: &build)
        return try requests.map { try results(Bench.run(processor, build, $0).bytes) }
    }

    /// Span, name, label, tier and explanation of each event.
    private func results(_ bytes: [UInt8]) throws -> [String] {
        var batch = RecordBatch()
        return try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: .empty, into: &batch)
            var lines: [String] = []
            for event in batch.events.indices {
                let span = batch.spans[Int(batch.events[event].span)]
                let set = batch.events[event].set
                func text(_ key: StaticString) -> String {
                    guard let index = batch.find(name: Text(key), in: set),
                        case .string(let text) = batch.attributes[index].value
                    else { return "-" }
                    return batch.text(text).string
                }
                let id = batch.text(span.spanID).bytes.first.map { String($0, radix: 16) } ?? ""
                lines.append(
                    "\(id) \(text("gen_ai.evaluation.name")) \(text("gen_ai.evaluation.score.label")) "
                        + "\(text("sluice.finding.tier")): \(text("gen_ai.evaluation.explanation"))")
            }
            return lines
        }
    }

    private let onTool =
        "filter: 'attributes[\"gen_ai.tool.name\"] == \"fetch_order_history\"', of: gen_ai.tool.call.result"

    @Test(arguments: [
        ("json_schema: {type: object, required: [orders]}", #"{"orders":[]}"#, ""),
        ("json_schema: {type: object, required: [orders]}", #"{"order":[]}"#, "missing orders"),
        ("json_schema: '{\"type\":\"object\"}'", "plain", "no JSON"),
        ("matches: 'orders?'", "an order", ""), ("matches: '^\\d+$'", "x1", "does not match"),
        ("not_matches: 'error'", "an error", "matches error"),
        ("contains: [Orders, ids]", "no ORDERS", "lacks \"ids\""),
        ("lacks: [secret]", "the SECRET", "contains \"secret\""), ("equals: ok", "ok", ""),
        ("equals: ok", "no", "is not \"ok\""),
        ("min: 3, max: 4", "3.5", ""), ("min: 3", "2", "is 2, wanted at least 3"),
    ]) func `checks an attribute`(_ check: String, _ value: String, _ fault: String) throws {
        let found = try run("evaluators: [{name: e, \(onTool), \(check)}]", [request(result: value)])[0]
        if fault.isEmpty {
            #expect(found == [])
        } else {
            #expect(found.count == 1 && found[0].hasPrefix("cc e fail tag:") && found[0].contains(fault), "\(found)")
        }
    }

    @Test func `knows an empty result in whatever form`() throws {
        let filter = "attributes[\"gen_ai.tool.name\"] != nil"
        let yaml = "evaluators: [{name: e, filter: '\(filter)', of: empty_results, max: 0}]"
        for (result, isEmpty) in [("[]", true), (#"{"result":[]}"#, true), (#"{"orders":[1]}"#, false), ("", true)] {
            let found = try run(yaml, [request(result: result)])[0]
            #expect(found == (isEmpty ? ["cc e fail tag: empty_results is 1, wanted at most 0."] : []), "\(result)")
        }
    }

    @Test func `conditions hold on spans and on roots`() throws {
        let found = try run(
            """
            evaluators:
              - {name: fast, condition: 'attributes["gen_ai.operation.name"] != "chat"', tier: alert}
              - {name: named, level: trace, condition: 'attributes["gen_ai.agent.name"] == "refunds"', results: all}
            """, [request()])[0]
        #expect(
            found == [
                "aa named pass -: The condition holds.",
                "dd fast fail alert: The condition does not hold: attributes[\"gen_ai.operation.name\"] != \"chat\"",
            ])
    }

    @Test func `measures traces and sessions`() throws {
        let yaml = """
            evaluators:
              - {name: answer, level: trace, of: output, contains: [done]}
              - {name: tokens, level: session, of: tokens, max: 25}
              - {name: turns, level: session, of: turns, max: 2}
            """
        let traces = (1...3).map { "0102030405060708090a0b0c0d0e0f1\($0)" }
        let found = try run(
            yaml,
            [
                request(trace: traces[0], answer: "Sorry."), request(trace: traces[1]), request(trace: traces[1]),
                request(trace: traces[2]),
            ])
        #expect(found[0] == ["aa answer fail tag: output lacks \"done\"."])
        #expect(found[1] == [] && found[2] == [])
        #expect(
            found[3] == [
                "aa tokens fail tag: tokens is 30, wanted at most 25.",
                "aa turns fail tag: turns is 3, wanted at most 2.",
            ])
    }

    @Test func `baselines know what is usual for an agent`() throws {
        let yaml = "evaluators: [{name: b, level: trace, baseline: {measure: tokens, min_samples: 5}}]"
        let usual = (10...29).map { request(trace: "0102030405060708090a0b0c0d0e0f\($0)", tokens: 100) }
        let found = try run(yaml, usual + [request(trace: "ffffffffffffffffffffffffffffffff", tokens: 9_000)])
        #expect(found.dropLast().filter { !$0.isEmpty } == [])
        #expect(found.last == ["aa b fail tag: tokens of 9000, usually 100."])
    }

    @Test func `looks at a share, and at the first of a period`() throws {
        let requests = (100...299).map {
            request(trace: "0102030405060708090a0b0c0d0e0\($0)", start: UInt64($0) * 1_000_000_000)
        }
        let share = "evaluators: [{name: e, level: trace, sampling_percentage: 25, of: output, equals: x}]"
        let first = try run(share, requests).map(\.count)
        #expect((25...75).contains(first.reduce(0, +)))
        #expect(try run(share, requests.reversed()).map(\.count).reversed() == first)
        let period = "evaluators: [{name: e, level: trace, every: 50s, of: output, equals: x}]"
        #expect(try run(period, requests).map(\.count).reduce(0, +) == 4)
        // One whose clock is a year ahead silences none but itself.
        let ahead = request(trace: "0102030405060708090a0b0c0d0e0099", start: 31_536_000 * 1_000_000_000)
        #expect(try run(period, [ahead] + requests).map(\.count).reduce(0, +) == 5)
    }

    @Test func `names what failed where samplers look, and writes nothing twice`() throws {
        let yaml = "evaluators: [{name: short, \(onTool), max: 1}, {name: none, \(onTool), equals: x}]"
        let once = try run(yaml, [request()])[0]
        #expect(once.count == 1)
        var bench = Bench()
        var build = bench.build(.traces)
        let processor = try EvaluatorsProcessor(options: options(EvaluatorsOptions.self, yaml).options, build: &build)
        let written = try Bench.run(processor, build, request()).bytes
        let again = try Bench.run(processor, build, written).bytes
        #expect(again == written)
        let text = String(decoding: written, as: UTF8.self)
        #expect(text.contains("sluice.findings") && text.contains("sluice.trace.findings"))
        let unassessable = bench.metrics.series.first {
            $0.labels.contains { $0.value == "short" } && $0.labels.contains { $0.value == "not_assessable" }
        }
        #expect(unassessable?.read() == 2)
    }

    @Test(arguments: [
        ("{}", "at least one"), ("evaluators: [{name: a}]", "one check"),
        ("evaluators: [{name: a, equals: x}]", "is required"),
        ("evaluators: [{name: a, of: b, equals: x, min: 1}]", "found 2"),
        ("evaluators: [{name: a, of: b, matches: '('}]", "missing"),
        ("evaluators: [{name: a, of: b, json_schema: 5}]", "no JSON object"),
        ("evaluators: [{name: a, condition: 'nam == 1'}]", "did you mean"),
        ("evaluators: [{name: a, of: b, min: 1}, {name: a, of: b, min: 1}]", "two evaluators"),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let headlines = options(EvaluatorsOptions.self, yaml).headlines
        #expect(headlines.contains { $0.contains(words) }, "\(headlines)")
    }
}
