import Exporters
@testable import Gateway
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Holds traces of sessions until a span named "bad" comes; what may not be held is dropped.
private final class SessionProbe: Processor {
    let counter = Counter()
    let runs = Mutex<[String]>([])

    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        let name = batch.text(batch.spans[0].name).string
        runs.withLock { $0.append(name) }
        let known = runs.withLock { $0.contains("bad") }
        if name == "bad" { return context.release("s") }
        if known { return }
        if context.trace?.canHold == true { return context.hold(for: "s") }
        batch.removeSpan(0)
        context.dropRule = "not bad"
        context.dropped(1, counter)
    }
}

@Suite(.timeLimit(.minutes(15))) struct HeldTracesTests {
    private func trace(_ number: UInt64, cost: Int = 10, tenant: String = "") -> TraceBuffer.Complete {
        var store = PieceStore()
        var tracker = AcknowledgementTracker()
        let frame = store.addFrame(
            FramePlace(file: 0, offset: 0), RequestMetadata(), tracker.register(Sequence(0)..<Sequence(1), parts: 1),
            pieces: 1)
        let run = TraceIndex.Run(
            trace: TraceID(high: 0, low: number), bytes: 0..<0, resource: -1, scope: -1, items: 1, hasRoot: true)
        let list = store.add(run, of: Text(""), frame: frame, resource: -1, scope: -1)
        return TraceBuffer.Complete(
            key: TraceBuffer.Key(trace: run.trace, tenant: tenant), pieces: list, bytes: 10, items: 1, cost: cost,
            shared: 0, reason: .root)
    }

    @Test func `gives a session's traces back in order, and the others when their time is over`() {
        var held = HeldTraces(hold: .seconds(10), maxBytes: 1_000)
        held.add(trace(1), session: "a", now: .seconds(0))
        held.add(trace(2), session: "b", now: .seconds(1))
        held.add(trace(3), session: "a", now: .seconds(2))
        held.add(trace(4, tenant: "t"), session: "a", now: .seconds(3))
        #expect(held.count == 4 && held.cost == 40)
        #expect(held.take(session: "a", tenant: "").map(\.key.trace.low) == [1, 3])
        #expect(held.take(session: "a", tenant: "").isEmpty)
        #expect(held.takeExpired(now: .seconds(10)).isEmpty)
        #expect(held.takeExpired(now: .seconds(11)).map(\.key.trace.low) == [2])
        #expect(held.takeAll().map(\.key.trace.low) == [4])
        #expect(held.count == 0 && held.cost == 0 && held.deadline == nil)
    }

    @Test func `holds no more bytes than it may, over many rounds`() {
        var held = HeldTraces(hold: .seconds(1_000_000), maxBytes: 1_000)
        var out = 0
        for number in 0..<10_000 as Range<UInt64> {
            held.add(trace(number), session: "s\(number % 7)", now: .seconds(Int(number)))
            out += held.takeExpired(now: .seconds(Int(number))).count
            #expect(held.cost <= 1_000)
        }
        #expect(out == 9_900 && held.count == 100)
    }

    private struct Bench {
        let input = MemoryJournal()
        let output = MemoryJournal()
        let probe = SessionProbe()
        let memory = MemoryProbe()
        let ledger = DropLedger()
        let metrics = SelfMetrics()
        let stage: TraceStage

        init(hold: Duration) throws {
            var wait = TraceWait(idle: .milliseconds(20), afterRoot: .milliseconds(5))
            wait.hold = hold
            let chain = ProcessorChain(
                signal: .traces, steps: [memory, probe], names: ["memory", "probe"],
                ledger: DropLedger.Book(ledger: ledger, pipeline: "traces"))
            stage = TraceStage(
                setup: TraceStage.Setup(
                    pipeline: "traces", wait: wait, chain: chain, isDurable: false, effects: .system(),
                    log: { _, _ in }),
                input: try input.cursor(named: "traces"), output: output,
                intake: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), metrics: metrics)
        }

        func put(_ trace: Character, _ name: String) async throws {
            var json = """
                {"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"\(String(repeating: trace, count: 32))",
                "spanId":"0000000000000011","name":"\(name)"}]}]}]}
                """
            var output = ByteColumn()
            try json.withUTF8 {
                try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
            }
            let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 1), bytes: [UInt8](output.bytes))
            _ = await input.append(frame)
        }
    }

    @Test func `a bad trace brings the held ones of its session through`() async throws {
        let bench = try Bench(hold: .seconds(600))
        let reader = try bench.output.cursor(named: "test")
        let task = Task { await bench.stage.run(keys: .empty) }
        try await bench.put("1", "first")
        while bench.stage.heldBytes == 0 || bench.probe.runs.withLock({ $0.count }) < 1 { await Task.yield() }
        // What is held is not acknowledged: a crash now would bring it again.
        #expect(bench.input.held.items == 1)
        // Nor is it remembered: it counts when it is decided on.
        #expect(bench.memory.counts == [:])
        try await bench.put("2", "bad")
        var items = 0
        while items < 2 {
            let frames = await reader.next(maxFrames: 9, maxBytes: 1 << 20, timeout: .seconds(20))
            items += frames.reduce(0) { $0 + Int($1.frame.header.itemCount) }
        }
        while bench.input.held.items > 0 { await Task.yield() }
        #expect(bench.probe.runs.withLock { $0 } == ["first", "bad", "first"])
        #expect(bench.memory.counts == ["first": 1, "bad": 1])
        #expect(bench.ledger.entries == [])
        bench.stage.drain()
        await task.value
    }

    @Test func `a held trace is decided on for good when its time is over, and the drop is in the ledger`() async throws
    {
        let bench = try Bench(hold: .milliseconds(30))
        let task = Task { await bench.stage.run(keys: .empty) }
        try await bench.put("1", "first")
        while bench.ledger.entries.isEmpty { await Task.yield() }
        while bench.input.held.items > 0 { await Task.yield() }
        let entry = try #require(bench.ledger.entries.first)
        #expect(entry.processor == "probe" && entry.rule == "not bad" && entry.pipeline == "traces")
        #expect(entry.traceID == String(repeating: "1", count: 32) && entry.spanID == "0000000000000011")
        #expect(bench.probe.counter.value == 1)
        bench.stage.drain()
        await task.value
    }
}
