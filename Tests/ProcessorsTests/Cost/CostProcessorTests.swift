import Foundation
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

@Suite struct CostProcessorTests {
    /// Attributes of the first span behind the processor, and the metrics.
    private func run(
        _ attributes: [(String, [UInt8])], _ text: String = "{}"
    ) throws -> (values: [String: String], metrics: SelfMetrics) {
        let metrics = SelfMetrics()
        var build = ProcessorBuild(
            keys: KeyTable.Builder(), metrics: metrics, id: "gen_ai_cost", pipeline: "traces", signal: .traces)
        let processor = try CostProcessor(options: options(CostOptions.self, text).options, build: &build)
        let keys = build.keys.build()
        var batch = RecordBatch(keys: keys)
        var values: [String: String] = [:]
        let request = Wire.traces(span: Wire.attributes(9, attributes))
        try request.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: keys, into: &batch)
            var context = ProcessContext()
            for _ in 0..<2 { try processor.process(&batch, &context) }
            for index in batch.range(of: batch.spans[0].set) {
                let record = batch.attributes[index]
                values[batch.text(record.key).string] = DecodedRequest.text(record.value, batch)
            }
        }
        return (values, metrics)
    }

    private func count(_ metrics: SelfMetrics, _ name: String, _ label: String) -> Double {
        metrics.series.first { $0.name == name && $0.labels.contains { $0.value == label } }?.read() ?? 0
    }

    private let call: [(String, [UInt8])] = [
        ("gen_ai.operation.name", Wire.string("chat")), ("gen_ai.provider.name", Wire.string("openai")),
        ("gen_ai.response.model", Wire.string("gpt-4.1-mini-2025-04-14")),
        ("gen_ai.usage.input_tokens", Wire.int(1_000)), ("gen_ai.usage.output_tokens", Wire.int(100)),
    ]

    @Test func `model calls get a cost, once`() throws {
        let (values, metrics) = try run(call)
        #expect(values["gen_ai.usage.cost"] == "0.00056d")
        #expect(values["gen_ai.usage.input_cost"] == "0.0004d")
        #expect(values["sluice.genai.cost.source"] == "\"computed\"")
        #expect(count(metrics, "sluice_gen_ai_cost_spans_total", "computed") == 1)
    }

    @Test func `a price in a unit that spans do not count is told with every call`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("prices-\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        let prices = """
            [{"id": "openai", "models": [{"id": "gpt-4.1-mini-2025-04-14", "match": {"equals": "x"},
              "prices": {"input_mtok": 1, "output_mtok": 2, "requests_kcount": 5, "web_searches_kcount": 10}}]}]
            """
        try prices.write(to: file, atomically: true, encoding: .utf8)
        let (values, metrics) = try run(call, "{price_files: ['\(file.path)'], built_in_prices: false}")
        #expect(values["gen_ai.usage.cost"] == "0.0062d")
        #expect(count(metrics, "sluice_gen_ai_cost_unread_units_total", "web_searches_kcount") == 1)
    }

    @Test func `a model is found by a regular expression of the file`() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("prices-\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        let prices = """
            [{"id": "openai", "models": [{"id": "house", "match": {"regex": "^house-\\\\d+$"},
              "prices": {"input_mtok": 1, "output_mtok": 2}}, {"id": "bad", "match": {"regex": "("},
              "prices": {"input_mtok": 9, "output_mtok": 9}}]}]
            """
        try prices.write(to: file, atomically: true, encoding: .utf8)
        let text = "{price_files: ['\(file.path)'], built_in_prices: false}"
        let house = call.map { $0.0 == "gen_ai.response.model" ? ($0.0, Wire.string("house-12")) : $0 }
        #expect(try run(house, text).values["gen_ai.usage.cost"] == "0.0012d")
        let other = call.map { $0.0 == "gen_ai.response.model" ? ($0.0, Wire.string("house-x")) : $0 }
        #expect(try run(other, text).values["gen_ai.usage.cost"] == nil)
    }

    @Test func `a reported cost stays`() throws {
        let (values, metrics) = try run(call + [("gen_ai.usage.cost", Wire.double(7))])
        #expect(values["gen_ai.usage.cost"] == "7.0d")
        #expect(values["gen_ai.usage.input_cost"] == nil)
        #expect(values["sluice.genai.cost.source"] == "\"reported\"")
        #expect(count(metrics, "sluice_gen_ai_cost_spans_total", "reported") == 2)
    }

    @Test func `an unknown model gets none and is counted by name`() throws {
        let (values, metrics) = try run([
            ("gen_ai.operation.name", Wire.string("chat")), ("gen_ai.request.model", Wire.string("in-house-7b")),
            ("gen_ai.usage.input_tokens", Wire.int(5)),
        ])
        #expect(values["gen_ai.usage.cost"] == nil)
        #expect(count(metrics, "sluice_gen_ai_cost_unknown_models_total", "in-house-7b") == 2)
    }

    @Test func `agents and tools cost nothing themselves`() throws {
        var agent = call
        agent[0] = ("gen_ai.operation.name", Wire.string("invoke_agent"))
        #expect(try run(agent).values["gen_ai.usage.cost"] == nil)
    }

    @Test func `the operator's file goes first, and a bad one is refused with its name`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "cost-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "prices.json")
        try #"{"gpt-4.1-mini": {"litellm_provider": "openai", "input_cost_per_token": 1, "output_cost_per_token": 2}}"#
            .write(to: file, atomically: true, encoding: .utf8)
        #expect(try run(call, "{price_files: ['\(file.path)']}").values["gen_ai.usage.cost"] == "1200.0d")
        try "[]".write(to: file, atomically: true, encoding: .utf8)
        #expect {
            try run(call, "{price_files: ['\(file.path)']}")
        } throws: { "\($0)".contains("prices.json holds no prices") }
        #expect(throws: (any Error).self) { try run(call, "{price_files: [/nowhere.json]}") }
        #expect(options(CostOptions.self, "{built_in_prices: false}").headlines.count == 1)
    }
}
