import Configuration
import Exporters
@testable import Gateway
import OTLP
import Pipeline
import Processors
import Synchronization
import Telemetry
import Testing

/// Remembers what it is given, and answers what it is told.
private final class RecordingExporter: Exporter {
    let batches = Mutex<[ExportBatch]>([])
    let outcome: ExportOutcome
    let maxConcurrency = 3

    init(_ outcome: ExportOutcome = .delivered) { self.outcome = outcome }

    func start() async throws {}
    func shutdown() async {}
    func export(_ batch: ExportBatch) async -> ExportOutcome {
        batches.withLock { $0.append(batch) }
        return outcome
    }
}

/// `process:` of an exporter: its deliveries go through a chain of their own.
@Suite struct OwnChainTests {
    private func exporter(
        _ inner: RecordingExporter, process: String, processors: String
    ) throws -> (exporter: ProcessedExporter, metrics: SelfMetrics) {
        let loaded = LoadedConfiguration.load([
            .text(
                name: "c.yaml",
                """
                receivers: {otlp: {protocols: {http: {}}}}
                processors: \(processors)
                exporters: {nop: {process: \(process)}}
                service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}
                """)
        ])
        try #require(loaded.problems.isEmpty, "\(loaded.problems.report())")
        var pipeline = try #require(loaded.plan.pipelines.first)
        pipeline.steps = try #require(pipeline.ownSteps["nop"])
        let metrics = SelfMetrics()
        var keys = KeyTable.Builder()
        let (chain, _) = try StepMaker.make(pipeline, metrics: metrics, keys: &keys)
        let exporter = ProcessedExporter(inner, chain: chain)
        exporter.link(keys.build())
        return (exporter, metrics)
    }

    private func batch(_ names: [String]) throws -> ExportBatch {
        let spans = names.map {
            "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\",\"name\":\"\($0)\"}"
        }
        var json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return ExportBatch(
            signal: .traces, itemCount: names.count, bytes: [UInt8](output.bytes), tenant: "t")
    }

    private static let processors =
        "{redaction: {allow_all_keys: true, detectors: all}, filter: {traces: {span: ['name == \"x\"']}}}"

    @Test func `the sink gets the masked rendering, and the batch itself is as before`() async throws {
        let inner = RecordingExporter()
        let (exporter, _) = try exporter(inner, process: "[redaction, filter]", processors: Self.processors)
        let batch = try batch(["write to jo@example.com", "x"])
        #expect(await exporter.export(batch) == .delivered)
        let sent = try #require(inner.batches.withLock { $0.first })
        #expect(sent.itemCount == 1 && sent.tenant == "t")
        let text = String(decoding: sent.bytes, as: UTF8.self)
        #expect(text.contains("[REDACTED:EMAIL]") && !text.contains("jo@example.com"))
        #expect(String(decoding: batch.bytes, as: UTF8.self).contains("jo@example.com"))
        #expect(exporter.maxConcurrency == 3)
    }

    @Test func `a delivery of which nothing is left is done, and what is filtered is told`() async throws {
        let inner = RecordingExporter(.permanent(reason: "no"))
        let (exporter, _) = try exporter(
            inner, process: "[filter]", processors: "{filter: {traces: {span: ['name == \"x\"']}}}")
        var filtered = 0
        let empty = await exporter.export(try batch(["x", "x"]), filtered: &filtered)
        #expect(empty == .delivered && filtered == 2)
        #expect(inner.batches.withLock { $0.isEmpty })
        let refused = await exporter.export(try batch(["x", "y", "z"]), filtered: &filtered)
        #expect(refused == .permanent(reason: "no") && filtered == 1)
    }

    @Test func `a request that a later step empties is settled`() async throws {
        let inner = RecordingExporter()
        let (exporter, metrics) = try exporter(
            inner, process: "[dedupe, filter]",
            processors: "{dedupe: {}, filter: {traces: {span: ['name == \"x\"']}}}")
        func dropped() -> Double? {
            metrics.series.first { $0.name == "sluice_dedupe_dropped_spans_total" }.map { $0.read() }
        }
        #expect(await exporter.export(try batch(["x"])) == .delivered)
        #expect(dropped() == 0)
        #expect(await exporter.export(try batch(["x"])) == .delivered)
        #expect(dropped() == 1)
        #expect(inner.batches.withLock { $0.isEmpty })
    }

    @Test func `records that a sink refuses are nobody's where the chain has changed places`() async throws {
        let inner = RecordingExporter(.refused(records: [0], message: "too odd"))
        let (changing, _) = try exporter(
            inner, process: "[filter]", processors: "{filter: {traces: {span: ['name == \"x\"']}}}")
        #expect(await changing.export(try batch(["x", "y", "z"])) == .refusedTogether(message: "too odd"))
        #expect(await changing.export(try batch(["y", "z"])) == .refused(records: [0], message: "too odd"))
        let (masking, _) = try exporter(
            inner, process: "[redaction]", processors: "{redaction: {allow_all_keys: true, detectors: all}}")
        #expect(await masking.export(try batch(["jo@example.com"])) == .refusedTogether(message: "too odd"))
    }

    @Test func `what a step fails on is a fault of its own, not of the sink, and is not passed on`() async throws {
        let inner = RecordingExporter()
        let (exporter, _) = try exporter(
            inner, process: "[transform]",
            processors: """
                {transform: {error_mode: propagate, trace_statements: [{context: span, \
                statements: ['set(attributes["x"], name - 1) where name == "bad"']}]}}
                """)
        guard case .unprocessed(let message) = await exporter.export(try batch(["good", "bad"])) else {
            Issue.record("a step that fails is not told")
            return
        }
        #expect(message.hasPrefix("transform: ") && !message.contains("unavailable"), "\(message)")
        #expect(inner.batches.withLock { $0.isEmpty })
        #expect(await exporter.export(try batch(["good"])) == .delivered)
    }

    @Test func `more than can be read at once is halved by the helper`() async throws {
        let inner = RecordingExporter()
        let (exporter, _) = try exporter(
            inner, process: "[redaction]", processors: "{redaction: {allow_all_keys: true, detectors: all}}")
        let resources = (0..<4_000_000).map { UInt8($0 % 2 == 0 ? 0x0A : 0) }
        let outcome = await exporter.export(ExportBatch(signal: .traces, itemCount: 1, bytes: resources))
        guard case .tooLarge(let reason) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.contains("too many elements"))
    }

    @Test func `bytes that cannot be read are not passed on`() async throws {
        let inner = RecordingExporter()
        let (exporter, _) = try exporter(
            inner, process: "[redaction]", processors: "{redaction: {allow_all_keys: true, detectors: all}}")
        let outcome = await exporter.export(ExportBatch(signal: .traces, itemCount: 1, bytes: [0xFF, 0xFF]))
        guard case .permanent = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(inner.batches.withLock { $0.isEmpty })
    }
}
