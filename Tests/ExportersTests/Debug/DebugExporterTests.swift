@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite struct DebugExporterTests {
    private func text(_ spans: [TestSpan], _ verbosity: DebugOptions.Verbosity = .normal) throws -> String {
        try TestRequest.traces(spans).withUnsafeBytes {
            try DebugPrinter(verbosity: verbosity).text(Text($0), signal: .traces)
        }
    }

    private let root = TestSpan(id: 1, name: "agent run", start: 0, end: 2_500_000_000)
    private let chat = TestSpan(
        id: 2, parent: 1, name: "chat m", start: 10,
        attributes: [
            ("gen_ai.operation.name", .text("chat")), ("gen_ai.request.model", .text("m")),
            ("gen_ai.usage.input_tokens", .int(10)), ("gen_ai.usage.output_tokens", .int(4)),
        ])
    private let tool = TestSpan(
        id: 3, parent: 2, name: "call", start: 20, end: 5_000_020, status: 2, message: "no\u{1B}[31m",
        attributes: [("gen_ai.tool.name", .text("search")), ("error.type", .text("timeout"))])

    @Test func `draws the steps of a trace as a tree in order of time`() throws {
        let lines = try text([tool, root, chat]).split(separator: "\n").map(String.init)
        #expect(
            lines == [
                "traces: 3 spans, 1 resources",
                "trace 01010101010101010101010101010101  agent",
                "  • agent run  2.5 s",
                "    • chat m  1.2 s · 10→4 tokens",
                "      ✗ call  search · 5 ms · error timeout: no\\u{1b}[31m",
            ])
    }

    @Test func `says little as told`() throws {
        #expect(try text([root, chat], .basic) == "traces: 2 spans, 1 resources\n")
    }

    @Test func `shows spans whose parents form a circle or are missing`() throws {
        let lines = try text([
            TestSpan(id: 1, parent: 2, name: "a"), TestSpan(id: 2, parent: 1, name: "b"),
            TestSpan(id: 3, parent: 3, name: "c"), TestSpan(id: 4, parent: 99, name: "d"),
        ]).split(separator: "\n")
        #expect(lines.count == 6)
    }

    @Test func `shows logs and metrics`() throws {
        let logs = try TestRequest.logs(["hello\u{7}"]).withUnsafeBytes {
            try DebugPrinter(verbosity: .normal).text(Text($0), signal: .logs)
        }
        #expect(logs.contains("  INFO  hello\\u{7}"))
        let metrics = try TestRequest.metrics().withUnsafeBytes {
            try DebugPrinter(verbosity: .normal).text(Text($0), signal: .metrics)
        }
        #expect(metrics.contains("tokens  gauge, 2 points, unit {token}"))
    }

    @Test func `shows the first batches of a second and then every so many-th`() async {
        let clock = FlyingClock()
        let shown = Mutex(0)
        let read = options(DebugOptions.self, "{sampling_initial: 2, sampling_thereafter: 5}")
        #expect(read.problems == [])
        let exporter = DebugExporter(
            options: read.options, build: exporterBuild(), write: { _ in shown.withLock { $0 += 1 } },
            now: { clock.now })
        let batch = ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([root]))
        for _ in 0..<12 { #expect(await exporter.export(batch) == .delivered) }
        #expect(shown.withLock { $0 } == 4)
        clock.advance(.seconds(1))
        #expect(await exporter.export(batch) == .delivered)
        #expect(shown.withLock { $0 } == 5)
        guard case .permanent = await exporter.export(ExportBatch(signal: .traces, itemCount: 1, bytes: [0xFF])) else {
            Issue.record("not permanent")
            return
        }
    }
}
