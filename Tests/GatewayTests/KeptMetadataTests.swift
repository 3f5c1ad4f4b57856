import Configuration
@testable import Gateway
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Which headers stay with requests behind the journal.
@Suite struct KeptMetadataTests {
    private func load(
        _ pipelines: String, exporters: String, receiver: String = "{http: {include_metadata: true}}",
        processors: String = "{}"
    ) -> (plan: GatewayPlan, report: String) {
        let loaded = LoadedConfiguration.load([
            .text(
                name: "c.yaml",
                """
                receivers: {otlp: {protocols: \(receiver)}}
                processors: \(processors)
                connectors: \(pipelines.contains("forward") ? "{forward: {}}" : "{}")
                exporters: \(exporters)
                service: {pipelines: {\(pipelines)}}
                """)
        ])
        return (loaded.plan, loaded.problems.report())
    }

    private func exporter(_ name: String, _ keys: String) -> String {
        "\(name): {endpoint: 'http://127.0.0.1:1', compression: none, "
            + "sending_queue: {batch: {partition: {metadata_keys: \(keys)}}}}"
    }

    @Test func `a pipeline keeps what its exporters ask for, and those behind its connectors`() {
        let exporters =
            "{\(exporter("otlp_http/a", "[X-Team, x-run]")), \(exporter("otlp_http/b", "[x-zone]")), "
            + "file: {path: /tmp/x}}"
        let (plan, report) = load(
            "traces/in: {receivers: [otlp], exporters: [otlp_http/a, forward]}, "
                + "traces/out: {receivers: [forward], exporters: [otlp_http/b, file]}, "
                + "logs: {receivers: [otlp], exporters: [file]}",
            exporters: exporters)
        #expect(report.isEmpty)
        let kept = Dictionary(uniqueKeysWithValues: plan.pipelines.map { ($0.id, $0.keptMetadata) })
        #expect(kept == ["traces/in": ["x-run", "x-team", "x-zone"], "traces/out": ["x-zone"], "logs": []])
    }

    @Test func `the batch processor's keys count for exporters without batching of their own`() {
        let (plan, report) = load(
            "traces: {receivers: [otlp], processors: [batch], exporters: [file]}", exporters: "{file: {path: /tmp/x}}",
            processors: "{batch: {metadata_keys: [X-Team]}}")
        #expect(report.isEmpty)
        #expect(plan.pipelines.map(\.keptMetadata) == [["x-team"]])
        #expect(plan.pipelines[0].metadataKeys(of: plan.pipelines[0].exporters[0].plan) == ["x-team"])
    }

    @Test func `headers that no receiver keeps, credentials and repeated names are told`() {
        let traces = "traces: {receivers: [otlp], exporters: [otlp_http]}"
        let closed = load(traces, exporters: "{\(exporter("otlp_http", "[x-team]"))}", receiver: "{http: {}}")
        #expect(closed.report.contains("include_metadata: true"))
        let tenant = load(traces, exporters: "{\(exporter("otlp_http", "[tenant]"))}", receiver: "{http: {}}")
        #expect(tenant.report.isEmpty)
        let secret = load(traces, exporters: "{\(exporter("otlp_http", "[Authorization]"))}")
        #expect(secret.report.contains("authorization is a credential, and is written to the journal on disk"))
        let twice = load(traces, exporters: "{\(exporter("otlp_http", "[x-a, X-A]"))}")
        #expect(twice.report.contains("X-A is named twice"))
    }

    @Test func `a chain puts into its frames what the pipeline keeps, and no more`() throws {
        var json =
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0123456789abcdef0123456789abcdef\","
            + "\"spanId\":\"0123456789abcdef\",\"name\":\"a\"}]}]}]}"
        var body = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &body)
        }
        let metadata = RequestMetadata([
            .init(name: "authorization", value: "Bearer s3cret"), .init(name: "x-team", value: "a"),
        ])
        let origin = RequestOrigin(tenant: "t", metadata: metadata)
        let chain = ProcessorChain(signal: .traces, steps: [], keptMetadata: ["x-team"])
        var summary = ReadSummary()
        let workspace = Workspace()
        let result = chain.prepare(body.text, origin: origin, keys: .empty, workspace, &summary)
        guard case .frame(let frame, _) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(frame.header.metadata == RequestMetadata([.init(name: "x-team", value: "a")]))
        #expect(frame.header.tenant == "t")
    }

    @Test func `a header that is too long to be kept is told once a minute`() {
        let lines = Mutex<[String]>([])
        let time = Mutex(0.0)
        let lost = LostHeaders(pipeline: "traces", now: { time.withLock { $0 } }) { level, text in
            lines.withLock { $0.append("\(level.rawValue) \(text)") }
        }
        func note(_ length: Int) {
            let all = RequestMetadata([
                .init(name: "x-other", value: String(repeating: "o", count: 9_000)),
                .init(name: "x-tenant", value: String(repeating: "t", count: length)),
            ])
            lost.note(["x-run", "x-tenant"], of: all, kept: all.kept(["x-run", "x-tenant"]))
        }
        note(3_000)
        let none = lines.withLock { $0 }
        #expect(none == [])
        for _ in 0..<3 { note(5_000) }
        let first = lines.withLock { $0 }
        #expect(first.count == 1 && first[0].hasPrefix("warn pipeline traces: the header x-tenant of a request"))
        time.withLock { $0 = 61 }
        note(5_000)
        let second = lines.withLock { $0 }
        #expect(second.count == 2 && second[1].hasSuffix(" (2 more such requests)"))
        #expect(!second[1].contains("tttt"))
    }
}
