import Configuration
import GenAI
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

@testable import Processors

@Suite struct NormalizeProcessorTests {
    private func options(_ text: String) -> (options: NormalizeOptions, headlines: [String]) {
        var problems = ConfigProblems()
        let world = ConfigEnvironment(variable: { _ in nil }) { _ throws(ConfigReadFailure) in
            throw ConfigReadFailure(reason: "no such file")
        }
        let loader = ConfigLoader(environment: world)
        let tree = loader.load([.text(name: "c.yaml", text)], overrides: [], problems: &problems)
        let options = readOptions(NormalizeOptions.self, node: tree, path: "x", problems: &problems)
        return (options, problems.all.map(ConfigProblems.headline))
    }

    @Test func `all dialects run by default and originals stay`() {
        let (options, headlines) = options("{}")
        #expect(headlines == [])
        #expect(options.engine.sources == nil)
        #expect(!options.engine.removeOriginals)
        #expect(!options.engine.overwrite)
    }

    @Test func `every option is read`() {
        let (options, headlines) = options(
            """
            sources: [openinference, openllmetry]
            remove_originals: true
            overwrite: true
            custom_mappings: {my.model: gen_ai.request.model}
            max_json_bytes: 1MiB
            max_index: 100
            max_depth: 10
            max_json_values: 5000
            exclude_sources: [logfire]
            target_profile: semconv-1.37
            emit_aliases: true
            extensions_prefix: acme.
            rewrite_span_names: true
            explain: true
            quality_report: false
            """)
        #expect(options.engine.excluded == ["logfire"])
        #expect(options.engine.profile == .semconv137)
        #expect(options.engine.emitsAliases && options.engine.rewritesSpanNames && options.engine.explains)
        #expect(options.extensionsPrefix == "acme.")
        #expect(!options.reportsQuality)
        #expect(options.engine.limits.nodes == 5_000)
        #expect(headlines == [])
        #expect(options.engine.sources?.contains("openinference") == true)
        #expect(options.engine.sources?.contains("openllmetry_legacy") == true)
        #expect(options.engine.removeOriginals)
        #expect(options.engine.overwrite)
        #expect(options.engine.customMappings.map(\.to) == ["gen_ai.request.model"])
        #expect(options.engine.limits.bytes == 1 << 20)
        #expect(options.engine.maxIndex == 100)
        #expect(options.engine.limits.depth == 10)
    }

    @Test func `an unknown dialect is a problem with a suggestion`() {
        let (_, headlines) = options("sources: [openinferense]")
        #expect(headlines.count == 1)
        #expect(headlines.first?.contains("did you mean \"openinference\"?") == true)
    }

    @Test func `a prefix must end in a dot`() {
        #expect(options("extensions_prefix: acme").headlines.count == 1)
        #expect(options("extensions_prefix: 'a b.'").headlines.count == 1)
    }

    @Test func `gaps and conflicts are counted per service and rule`() throws {
        let metrics = SelfMetrics()
        var build = ProcessorBuild(
            keys: KeyTable.Builder(), metrics: metrics, id: "gen_ai_normalizer", pipeline: "traces", signal: .traces)
        let processor = try NormalizeProcessor(options: options("{}").options, build: &build)
        let keys = build.keys.build()
        let span = Wire.strings(
            9,
            [
                ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.system", "groq"),
                ("gen_ai.request.model", "m"),
            ])
        var batch = RecordBatch(keys: keys)
        try Wire.traces(span: span).withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: keys, into: &batch)
            var context = ProcessContext()
            try processor.process(&batch, &context)
        }
        func value(_ name: String, _ label: String) -> Double? {
            metrics.series.first { $0.name == name && $0.labels.contains { $0.value == label } }?.read()
        }
        #expect(value("sluice_gen_ai_quality_gaps_total", "no_usage") == 1)
        #expect(value("sluice_gen_ai_quality_gaps_total", "no_output") == 1)
        #expect(value("sluice_gen_ai_quality_gaps_total", "no_model") == 0)
        #expect(value("sluice_gen_ai_rule_outcomes_total", "renames") == 1)
    }

    /// What came, and what stands on the page.
    static let names: [(String, String)] = [
        ("checkout-agent", "checkout-agent"), ("Shop / agents: EU_1.2", "Shop / agents: EU_1.2"), ("", ""),
        ("@traceloop/instrumentation-openai", "@traceloop/instrumentation-openai"),
        ("Dienst-für-Käufe", "Dienst-für-Käufe"),
        ("agent of user0@example.com", "other"), ("sk-" + "proj-abcdef123456ghijkl789", "other"),
        ("svc ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a", "other"), ("agent {user}", "other"),
        (String(repeating: "a", count: 101), "other"),
    ]

    @Test(arguments: names)
    func `a name on the page of metrics holds no address and no key`(name: String, shown: String) {
        var name = name
        #expect(name.withUTF8 { QualityReport.label(Text(UnsafeRawBufferPointer($0))) } == shown)
    }

    @Test func `spans are rewritten, counted and never dropped`() throws {
        let metrics = SelfMetrics()
        var build = ProcessorBuild(
            keys: KeyTable.Builder(), metrics: metrics, id: "gen_ai_normalizer", pipeline: "traces", signal: .traces)
        let processor = try NormalizeProcessor(options: options("{}").options, build: &build)
        let keys = build.keys.build()
        let span = Wire.strings(9, [("openinference.span.kind", "LLM"), ("llm.model_name", "m")])
        var batch = RecordBatch(keys: keys)
        for _ in 0..<2 {
            try Wire.traces(span: span).withUnsafeBytes { raw in
                _ = try OTLPReader.read(Text(raw), signal: .traces, keys: keys, into: &batch)
                var context = ProcessContext()
                try processor.process(&batch, &context)
                #expect(context.droppedItems == 0)
                #expect(batch.spans.count == 1)
                let found = batch.find(name: Text("gen_ai.operation.name"), in: batch.spans[0].set)
                #expect(found != nil)
            }
        }
        let changed = metrics.series.first { $0.name == "sluice_gen_ai_normalized_spans_total" }
        #expect(changed?.read() == 2)
    }
}
