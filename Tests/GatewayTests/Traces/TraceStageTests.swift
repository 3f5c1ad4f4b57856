import Exporters
@testable import Gateway
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Remembers how many spans each batch had and takes out spans named "drop".
private final class BatchProbe: Processor {
    let sizes = Mutex<[Int]>([])
    let counter = Counter()

    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let count = batch.spans.count
        sizes.withLock { $0.append(count) }
        for index in batch.spans.indices where batch.text(batch.spans[index].name) == "drop" {
            batch.removeSpan(index)
            context.dropped(1, counter)
        }
        for index in batch.spans.indices where batch.text(batch.spans[index].name) == "refuse" {
            throw ProcessFailure(reason: "refused by the test")
        }
    }
}

@Suite(.timeLimit(.minutes(15))) struct TraceStageTests {
    private struct Bench {
        let input: any FrameLog
        let output: MemoryJournal
        let probe = BatchProbe()
        let metrics = SelfMetrics()
        let stage: TraceStage

        init(
            input: any FrameLog = MemoryJournal(), output: MemoryJournal = MemoryJournal(), wait: TraceWait,
            isDurable: Bool = false
        ) throws {
            self.input = input
            self.output = output
            stage = TraceStage(
                setup: TraceStage.Setup(
                    pipeline: "traces", wait: wait, chain: ProcessorChain(signal: .traces, steps: [probe]),
                    isDurable: isDurable, effects: .system(), log: { _, _ in }),
                input: try input.cursor(named: "traces"), output: output,
                intake: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), metrics: metrics)
        }

        func value(_ name: String, _ label: String? = nil) -> Double {
            metrics.series.filter { series in
                series.name == name && (label == nil || series.labels.contains { $0.value == label })
            }.reduce(0) { $0 + $1.read() }
        }
    }

    /// A frame with spans given as trace digit, name and whether it is a root.
    private func frame(_ spans: [(trace: Character, name: String, root: Bool)]) throws -> Frame {
        try frame(ofTraces: spans.map { (String(repeating: $0.trace, count: 32), $0.name, $0.root) })
    }

    private func frame(ofTraces spans: [(trace: String, name: String, root: Bool)]) throws -> Frame {
        let texts = spans.enumerated().map { index, span in
            """
            {"traceId":"\(span.trace)","spanId":"\(String(UInt64(1) << 63 | UInt64(index), radix: 16))",\
            \(span.root ? "" : "\"parentSpanId\":\"0000000000000099\",")"name":"\(span.name)"}
            """
        }
        var json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(texts.joined(separator: ","))]}]}]}"
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return Frame(
            header: FrameHeader(signal: .traces, itemCount: UInt32(spans.count)), bytes: [UInt8](output.bytes))
    }

    private func put(_ frame: Frame, into journal: any FrameLog) async {
        _ = await journal.append(frame)
    }

    private func spans(of frames: [StoredFrame]) -> Int {
        frames.reduce(0) { $0 + Int($1.frame.header.itemCount) }
    }

    @Test func `never has more memory than it may, whatever frames bring and leave behind`() async throws {
        let wait = TraceWait(idle: .seconds(3_600), maxBytes: 64 << 10)
        let bench = try Bench(wait: wait, isDurable: true)
        var work = TraceStageWork(bench.stage.setup, output: nil)
        for round in 0..<40 {
            // Each frame has a span of traces that stay for long, and many of traces that the next ones push out.
            let spans = (0..<100).map { number -> (trace: String, name: String, root: Bool) in
                let digits = String(number < 3 ? number + 1 : 1_000 + round * 100 + number)
                return (String(repeating: "0", count: 32 - digits.count) + digits, "s", false)
            }
            await put(try frame(ofTraces: spans), into: bench.input)
            #expect(await bench.stage.fill(&work, .empty, isDraining: false) == false)
            #expect(work.buffer.cost + work.orphans <= wait.maxBytes)
            #expect(await bench.stage.passComplete(now: bench.stage.setup.effects.now(), &work, .empty))
            #expect(work.buffer.cost + work.orphans <= wait.maxBytes)
        }
        #expect(work.buffer.count > 50 && bench.probe.sizes.withLock { $0.count } > 1_000)
    }

    @Test func `runs the chain once on each whole trace, however it came`() async throws {
        let bench = try Bench(wait: TraceWait(idle: .seconds(3_600), afterRoot: .milliseconds(50)))
        let reader = try bench.output.cursor(named: "test")
        let task = Task { await bench.stage.run(keys: .empty) }
        await put(try frame([("1", "a", false), ("2", "b", false)]), into: bench.input)
        await put(try frame([("2", "c", true), ("1", "d", false)]), into: bench.input)
        await put(try frame([("1", "e", true)]), into: bench.input)
        var frames: [StoredFrame] = []
        while spans(of: frames) < 5 {
            frames += await reader.next(maxFrames: 9, maxBytes: 1 << 20, timeout: .seconds(20))
        }
        #expect(bench.probe.sizes.withLock { $0.sorted() } == [2, 3])
        while bench.input.held.items > 0 { await Task.yield() }
        #expect(bench.value("sluice_pipeline_stored_spans") == 5)
        #expect(bench.value("sluice_trace_buffer_complete_total", "root") == 2)
        bench.stage.drain()
        await task.value
    }

    @Test func `counts what the chain takes out and what it cannot process`() async throws {
        let bench = try Bench(wait: TraceWait(idle: .milliseconds(20), afterRoot: .milliseconds(20)))
        let task = Task { await bench.stage.run(keys: .empty) }
        await put(try frame([("1", "drop", true), ("1", "keep", false)]), into: bench.input)
        await put(try frame([("2", "refuse", true), ("3", "drop", true)]), into: bench.input)
        while bench.input.held.items > 0 { await Task.yield() }
        #expect(bench.value("sluice_pipeline_stored_spans") == 1)
        #expect(bench.value("sluice_pipeline_filtered_spans") == 2)
        #expect(bench.value("sluice_pipeline_lost_items_total", "processor_failed") == 1)
        bench.stage.drain()
        await task.value
    }

    @Test func `passes open traces on at a shutdown when nothing would keep them`() async throws {
        let bench = try Bench(wait: TraceWait(idle: .seconds(3_600), maxAge: .seconds(3_600)))
        let task = Task { await bench.stage.run(keys: .empty) }
        await put(try frame([("1", "a", false)]), into: bench.input)
        while bench.value("sluice_trace_buffer_traces") == 0 { await Task.yield() }
        bench.stage.drain()
        await task.value
        #expect(bench.value("sluice_trace_buffer_complete_total", "shutdown") == 1)
        #expect(bench.input.held.items == 0)
    }

    @Test func `gathers again after a restart what was not passed on`() async throws {
        let journal = MemoryJournal()
        let first = try Bench(input: journal, wait: TraceWait(idle: .seconds(3_600)), isDurable: true)
        let task = Task { await first.stage.run(keys: .empty) }
        await put(try frame([("1", "a", false)]), into: journal)
        while first.value("sluice_trace_buffer_traces") == 0 { await Task.yield() }
        first.stage.drain()
        await task.value
        #expect(journal.held.items == 1)
        let second = try Bench(
            input: journal, wait: TraceWait(idle: .seconds(3_600), afterRoot: .milliseconds(20)), isDurable: true)
        let next = Task { await second.stage.run(keys: .empty) }
        await put(try frame([("1", "b", true)]), into: journal)
        while journal.held.items > 0 { await Task.yield() }
        #expect(second.probe.sizes.withLock { $0 } == [2])
        second.stage.drain()
        await next.value
    }

    @Test func `a group for which there is no room goes on in parts`() async throws {
        var options = MemoryJournal.Options()
        options.maxBytes = 1_000
        let output = MemoryJournal(options: options)
        let bench = try Bench(output: output, wait: TraceWait(idle: .seconds(3_600), afterRoot: .milliseconds(20)))
        let reader = try output.cursor(named: "test")
        await put(
            Frame(header: FrameHeader(signal: .traces, itemCount: 1), bytes: [UInt8](repeating: 0, count: 700)),
            into: output)
        let name = String(repeating: "n", count: 40)
        let frame = try frame("12345678".map { ($0, name, true) })
        #expect(frame.bytes.count > 300)
        let task = Task { await bench.stage.run(keys: .empty) }
        await put(frame, into: bench.input)
        while bench.value("sluice_pipeline_stored_spans") < 2 { await Task.yield() }
        var count = 0
        while count < 9 {
            let frames = await reader.next(maxFrames: 9, maxBytes: 1 << 20, timeout: .seconds(20))
            count += spans(of: frames)
            if let last = frames.last { reader.acknowledge(before: last.end) }
        }
        #expect(bench.value("sluice_pipeline_lost_items_total") == 0)
        bench.stage.drain()
        await task.value
    }

    @Test func `drops and counts a frame that holds no request`() async throws {
        let bench = try Bench(wait: TraceWait(idle: .seconds(3_600), maxAge: .seconds(3_600)))
        let task = Task { await bench.stage.run(keys: .empty) }
        await put(
            Frame(header: FrameHeader(signal: .traces, itemCount: 3), bytes: [0xFF, 0xFF]), into: bench.input)
        while bench.input.held.items > 0 { await Task.yield() }
        #expect(bench.value("sluice_pipeline_lost_items_total", "unreadable") == 3)
        bench.stage.drain()
        await task.value
    }
}
