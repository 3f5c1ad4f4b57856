import Configuration
import GenAI
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

@Suite struct FindingsProcessorTests {
    private func options(_ text: String) -> (options: FindingsProcessorOptions, headlines: [String]) {
        var problems = ConfigProblems()
        let world = ConfigEnvironment(variable: { _ in nil }) { _ throws(ConfigReadFailure) in
            throw ConfigReadFailure(reason: "no such file")
        }
        let loader = ConfigLoader(environment: world)
        let tree = loader.load([.text(name: "c.yaml", text)], overrides: [], problems: &problems)
        let options = readOptions(FindingsProcessorOptions.self, node: tree, path: "x", problems: &problems)
        return (options, problems.all.map(ConfigProblems.headline))
    }

    private func span(_ id: String, parent: String? = nil, start: UInt64, _ attributes: [(String, String)]) -> [UInt8] {
        func fixed(_ number: UInt64, _ value: UInt64) -> [UInt8] {
            Wire.varint(number << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        var bytes = Wire.field(1, Wire.id("0102030405060708090a0b0c0d0e0f10")) + Wire.field(2, Wire.id(id))
        if let parent { bytes += Wire.field(4, Wire.id(parent)) }
        return bytes + fixed(7, start) + fixed(8, start + 100) + Wire.strings(9, attributes)
    }

    /// An agent whose tool answers nothing because of a space in its argument.
    private var request: [UInt8] {
        let output = """
            [{"role":"assistant","parts":[{"type":"tool_call","id":"call_1","name":"fetch_orders",\
            "arguments":{"customer_id":" C-10482"}}]}]
            """
        return Wire.traces(spans: [
            span(
                "aaaaaaaaaaaaaaaa", start: 100,
                [
                    ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "refund_agent"),
                    ("gen_ai.conversation.id", "session-1"),
                ]),
            span(
                "bbbbbbbbbbbbbbbb", parent: "aaaaaaaaaaaaaaaa", start: 200,
                [("gen_ai.operation.name", "chat"), ("gen_ai.output.messages", output)]),
            span(
                "cccccccccccccccc", parent: "aaaaaaaaaaaaaaaa", start: 400,
                [
                    ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "fetch_orders"),
                    ("gen_ai.tool.call.id", "call_1"), ("gen_ai.tool.call.result", "[]"),
                ]),
            span("dddddddddddddddd", parent: "aaaaaaaaaaaaaaaa", start: 600, [("gen_ai.operation.name", "chat")]),
        ])
    }

    private func run(_ request: [UInt8], _ text: String = "{}") throws -> (bytes: [UInt8], metrics: SelfMetrics) {
        var bench = Bench()
        var build = bench.build(.traces)
        let processor = FindingsProcessor(options: options(text).options, build: &build)
        return (try Bench.run(processor, build, request).bytes, bench.metrics)
    }

    /// Attributes of the events and of the span with this id.
    private func read(_ bytes: [UInt8], _ id: String) throws -> (events: [[String: String]], span: [String: String]) {
        var batch = RecordBatch()
        return try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: .empty, into: &batch)
            for index in batch.spans.indices where [UInt8](batch.text(batch.spans[index].spanID).bytes) == Wire.id(id) {
                let events = batch.spans[index].events.range.map { event in
                    var values = Self.attributes(batch.events[event].set, batch)
                    values["name"] = batch.text(batch.events[event].name).string
                    return values
                }
                return (events, Self.attributes(batch.spans[index].set, batch))
            }
            return ([], [:])
        }
    }

    private static func attributes(_ set: SetIndex, _ batch: borrowing RecordBatch) -> [String: String] {
        var values: [String: String] = [:]
        for index in batch.range(of: set) {
            let record = batch.attributes[index]
            let key = batch.text(record.key).string
            switch record.value {
            case .string(let text): values[key] = batch.text(text).string
            case .array(let content):
                var tree = JSONTree()
                var out = ByteColumn()
                tree.write(tree.read(batch.text(content), isMap: false), into: &out)
                values[key] = out.text.string
            case .double(let number): values[key] = "\(number)"
            case .bool(let flag): values[key] = "\(flag)"
            default: values[key] = ""
            }
        }
        return values
    }

    @Test func `a finding becomes an event of its span`() throws {
        let (events, attributes) = try read(try run(request).bytes, "cccccccccccccccc")
        let event = try #require(events.first { $0["gen_ai.evaluation.name"] == "silent_empty_response" })
        #expect(event["name"] == "gen_ai.evaluation.result")
        #expect(event["gen_ai.evaluation.score.value"] == "1.0")
        #expect(event["gen_ai.evaluation.score.label"] == "alert")
        #expect(event["gen_ai.evaluation.explanation"]?.contains("customer_id has leading space") == true)
        #expect(event["sluice.finding.rule"] == "result.empty")
        #expect(event["sluice.finding.version"] == "5")
        #expect(event["sluice.finding.tier"] == "alert")
        #expect(event["sluice.finding.cause_span_id"] == "bbbbbbbbbbbbbbbb")
        #expect(event["sluice.finding.first_bad_step"] == "true")
        #expect(event["sluice.finding.evidence"]?.contains("cause_argument=customer_id") == true)
        #expect(event["gen_ai.conversation.id"] == "session-1")
        // The tool's span does not name its agent.
        #expect(event["gen_ai.agent.name"] == "refund_agent")
        #expect(attributes["sluice.findings"] == #"["argument_anomaly","silent_empty_response"]"#)
    }

    @Test func `the root tells the findings of the trace`() throws {
        let (events, attributes) = try read(try run(request).bytes, "aaaaaaaaaaaaaaaa")
        #expect(events.isEmpty)
        #expect(attributes["sluice.trace.findings"] == #"["argument_anomaly","silent_empty_response"]"#)
        #expect(attributes["sluice.trace.findings.tier"] == "alert")
        #expect(attributes["sluice.findings"] == nil)
    }

    @Test func `findings that are there already are not written again`() throws {
        let once = try run(request).bytes
        #expect(try run(once).bytes.count == once.count)
        #expect(try read(try run(once).bytes, "cccccccccccccccc").events.count == 2)
    }

    @Test func `patterns that are not asked for are not written`() throws {
        let bytes = try run(request, "patterns: [loop]").bytes
        #expect(bytes == request)
    }

    @Test func `metrics count findings by pattern and tier`() throws {
        let metrics = try run(request).metrics
        let series = metrics.series.filter { $0.name == "sluice_findings_total" && $0.read() > 0 }
        let labels = series.map { one in one.labels.suffix(2).map(\.value).joined(separator: "/") }.sorted()
        #expect(labels == ["argument_anomaly/hint", "silent_empty_response/alert"])
        let checks = metrics.series.filter { $0.name == "sluice_findings_checks_total" && $0.read() > 0 }
        #expect(checks.contains { $0.labels.contains { $0.value == "not_assessable" } })
    }

    @Test func `every option is read`() {
        let (options, headlines) = options(
            """
            patterns: [loop, retry_storm]
            evidence_content: true
            max_value_bytes: 1KiB
            repeats: {window: 20, tag: 3, alert: 5, allow: [poll]}
            retrieval: {min_coverage: 0.5, min_score: 0.7}
            budgets: {steps: 0, tokens: 1000, cost: 2.5}
            latency: {min_samples: 50}
            rules:
              - {name: a, kind: must, tool: send, when: pay}
              - {name: b, kind: must_not, tool: pay, argument: method, one_of: [cash], tier: alert}
              - {name: c, kind: order, tool: check, before: pay}
              - {name: d, kind: value, tool: pay, argument: amount, max: 100}
              - {name: e, kind: forbidden, texts: [guarantee]}
            """)
        #expect(headlines == [])
        #expect(options.engine.enabled == [.loop, .retryStorm])
        #expect(options.engine.evidenceContent)
        #expect(options.engine.maxValueBytes == 1_024)
        #expect(options.engine.repeatWindow == 20)
        #expect(options.engine.repeatableTools == ["poll"])
        #expect(options.engine.retrievalMinScore == 0.7)
        #expect(options.engine.maxSteps == nil)
        #expect(options.engine.maxTokens == 1_000)
        #expect(options.engine.maxCost == 2.5)
        #expect(options.engine.rules.count == 5)
        #expect(options.engine.rules[1].tier == .alert)
    }

    @Test func `faulty options are told with what to do`() {
        let (_, headlines) = options(
            """
            patterns: [loops]
            rules:
              - {name: a, kind: order, tool: check}
              - {name: b, kind: value, tool: pay, argument: amount, max: many}
            """)
        #expect(headlines.count == 3, "\(headlines)")
        #expect(headlines.contains { $0.contains("\"loops\" is no pattern") })
        #expect(headlines.contains { $0.contains("kind: order needs before") })
    }
}
