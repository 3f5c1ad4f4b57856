@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct ExportWorkerTests {
    private func frame(_ number: UInt64, items: UInt32 = 3, tenant: String = "") -> Frame {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        return Frame(header: FrameHeader(signal: .traces, itemCount: items, tenant: tenant), bytes: bytes)
    }

    /// The numbers that `frame` put into the bytes of a batch.
    private func numbers(_ batch: ExportBatch) -> [UInt64] {
        stride(from: 0, to: batch.bytes.count, by: 8).map { number(batch.bytes[$0..<$0 + 8]) }
    }

    private func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func runAndDrain(_ worker: ExportWorker, deadline: Duration, after ready: () -> Bool = { true }) async {
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) || !ready() { await Task.yield() }
        await worker.drain(deadline: deadline)
        await running
    }

    private func setup(
        _ yaml: String, clock: FlyingClock, isDurable: Bool = true, random: @escaping @Sendable () -> Double = { 0.5 },
        log: LogLines = LogLines()
    ) -> ExportWorkerSetup {
        ExportWorkerSetup(
            exporterID: "test", pipelineID: "traces", options: options(ExporterHelperOptions.self, yaml).options,
            isDurable: isDurable, effects: clock.effects(random: random), log: { log.add($0, $1) })
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `loses nothing that is acknowledged and balances its books`(seed: UInt64) async {
        let clock = FlyingClock()
        let random = SeededRandom(seed)
        let settled = Mutex<Set<UInt64>>([])
        let uncovered = Mutex<[UInt64]>([])
        let cursor = FakeCursor(clock: clock) { frame in
            let number = self.number(frame.frame.bytes[...])
            if !settled.withLock({ $0.contains(number) }) { uncovered.withLock { $0.append(number) } }
        }
        for number in 0..<400 as Range<UInt64> {
            let tenant = random.next() % 4 == 0 ? "b" : "a"
            cursor.append(frame(number, items: UInt32(random.next() % 5 + 1), tenant: tenant))
        }
        let total = cursor.backlog.items
        cursor.lose(17, reason: "overflow")
        let exporter = ScriptedExporter { batch in
            for _ in 0..<random.next() % 4 { await Task.yield() }
            let outcome: ExportOutcome =
                switch random.next() % 10 {
                case 0...4: .delivered
                case 5: .partial(rejected: 1, message: "one")
                case 6: .permanent(reason: "bad")
                default: .retry(reason: "busy", after: random.next() % 2 == 0 ? .seconds(1) : nil)
                }
            if case .retry = outcome { return outcome }
            settled.withLock { $0.formUnion(self.numbers(batch)) }
            return outcome
        }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: setup(
                "{sending_queue: {num_consumers: \(seed % 4 + 1), batch: {min_size: 12}}}", clock: clock,
                random: { random.unit() }))
        await runAndDrain(worker, deadline: FlyingClock.never)
        #expect(uncovered.withLock { $0 } == [], "acknowledged before it was settled, seed \(seed)")
        #expect(worker.heldItems == 0)
        let lost = worker.account.droppedItems - worker.account.droppedItems(reason: "overflow")
        #expect(worker.account.droppedItems(reason: "overflow") == 17)
        #expect(Int(worker.account.deliveredItems + lost) == total)
        for batch in exporter.batches.withLock({ $0 }) { #expect(["a", "b"].contains(batch.tenant)) }
    }

    @Test func `keeps the order with one consumer`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for number in 0..<50 as Range<UInt64> { cursor.append(frame(number)) }
        let exporter = ScriptedExporter(maxConcurrency: 1) { _ in .delivered }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup("{}", clock: clock))
        await runAndDrain(worker, deadline: FlyingClock.never)
        #expect(exporter.batches.withLock { $0 }.flatMap(numbers) == Array(0..<50))
    }

    @Test func `begins no delivery before what is done survives a kill`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for number in 0..<20 as Range<UInt64> { cursor.append(frame(number)) }
        let unwritten = Mutex(0)
        let exporter = ScriptedExporter { _ in
            cursor.state.withLock { state in
                if state.written < state.acknowledged { unwritten.withLock { $0 += 1 } }
            }
            return .delivered
        }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: setup("{sending_queue: {num_consumers: 1}}", clock: clock))
        await runAndDrain(worker, deadline: FlyingClock.never)
        #expect(worker.account.deliveredItems == 60)
        #expect(exporter.batches.withLock { $0.count } > 1)
        #expect(unwritten.withLock { $0 } == 0)
    }

    @Test(arguments: [1, 3, 10])
    func `what a kill repeats is never more than what may run at once`(consumers: Int) async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for number in 0..<200 as Range<UInt64> { cursor.append(frame(number)) }
        let random = SeededRandom(UInt64(consumers))
        let state = Mutex((begun: 0, most: 0))
        let exporter = ScriptedExporter { _ in
            // Both at one moment: others go on between two locks.
            state.withLock { state in
                state.begun += 1
                let kept = cursor.state.withLock { state in
                    let behind = state.settled[..<state.writtenSettled].filter { $0.lowerBound >= state.written }
                    return state.frames.filter { $0.end <= state.written }.count + behind.count
                }
                state.most = max(state.most, state.begun - kept)
            }
            for _ in 0..<random.next() % 4 { await Task.yield() }
            return .delivered
        }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: setup("{sending_queue: {num_consumers: \(consumers)}}", clock: clock))
        await runAndDrain(worker, deadline: FlyingClock.never)
        #expect(worker.account.deliveredItems == 600)
        #expect((1...consumers).contains(state.withLock { $0.most }))
    }

    @Test func `one write of what is done serves many deliveries`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        let exporter = ScriptedExporter { _ in .delivered }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: setup("{sending_queue: {num_consumers: 10}}", clock: clock))
        async let running: Void = worker.run()
        for number in 0..<30 as Range<UInt64> {
            cursor.append(frame(number))
            while worker.heldItems > 0 { await Task.yield() }
        }
        await worker.drain(deadline: FlyingClock.never)
        await running
        #expect((3...4).contains(cursor.state.withLock { $0.writes }))
    }

    @Test func `leaves what a dead backend did not take in a journal on disk`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for number in 0..<20 as Range<UInt64> { cursor.append(frame(number)) }
        let log = LogLines()
        let exporter = ScriptedExporter { _ in .retry(reason: "connection refused", after: nil) }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup("{}", clock: clock, log: log))
        await runAndDrain(worker, deadline: .seconds(30), after: { !log.lines.isEmpty })
        #expect(worker.heldItems == 60)
        #expect(worker.account.droppedItems == 0)
        #expect(cursor.state.withLock { $0.acknowledged } == Sequence(0))
        #expect(log.lines.contains { $0.contains("connection refused") })
    }

    @Test func `counts what a memory journal still holds at shutdown as dropped`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for number in 0..<20 as Range<UInt64> { cursor.append(frame(number)) }
        let exporter = ScriptedExporter { _ in .retry(reason: "down", after: nil) }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: setup("{}", clock: clock, isDurable: false))
        await runAndDrain(worker, deadline: .seconds(30))
        #expect(worker.account.droppedItems(reason: "shutdown") == 60)
    }

    @Test func `gives up after the elapsed time and names the reason`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        cursor.append(frame(1))
        let exporter = ScriptedExporter { _ in .retry(reason: "down", after: nil) }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: setup("{retry_on_failure: {max_elapsed_time: 60s}}", clock: clock))
        await runAndDrain(worker, deadline: FlyingClock.never)
        #expect(worker.account.droppedItems(reason: "retries_exhausted") == 3)
        #expect(cursor.backlog.items == 0)
    }

    @Test func `ends when cancelled and can be drained before it ran and twice`() async {
        let clock = FlyingClock()
        let worker = ExportWorker(
            cursor: FakeCursor(clock: clock), exporter: ScriptedExporter { _ in .delivered }, metrics: SelfMetrics(),
            setup: setup("{}", clock: clock))
        let task = Task { await worker.run() }
        task.cancel()
        await task.value
        await worker.drain(deadline: .zero)
        let unborn = ExportWorker(
            cursor: FakeCursor(clock: clock), exporter: ScriptedExporter { _ in .delivered }, metrics: SelfMetrics(),
            setup: setup("{}", clock: clock))
        await unborn.drain(deadline: .zero)
        await unborn.drain(deadline: .zero)
        await unborn.run()
    }

    @Test func `registers the Collector's metric names`() {
        let metrics = SelfMetrics()
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        cursor.append(frame(1, items: 5))
        let worker = ExportWorker(
            cursor: cursor, exporter: ScriptedExporter { _ in .delivered }, metrics: metrics,
            setup: setup("{sending_queue: {sizer: items, queue_size: 77}}", clock: clock))
        let values = Dictionary(metrics.series.map { ($0.name, $0.read()) }) { first, _ in first }
        #expect(values["otelcol_exporter_queue_size"] == 5)
        #expect(values["otelcol_exporter_queue_capacity"] == 77)
        #expect(values["otelcol_exporter_sent_spans"] == 0)
        #expect(values["otelcol_exporter_send_failed_log_records"] == 0)
        #expect(worker.heldItems == 5)
    }

    @Test func `batches are parted by the headers that the exporter asked for, and by no others`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for number in 0..<8 as Range<UInt64> {
            var frame = frame(number)
            frame.header.metadata = RequestMetadata([
                .init(name: "x-other", value: "\(number)"), .init(name: "x-team", value: number % 2 == 0 ? "a" : "b"),
            ])
            cursor.append(frame)
        }
        let exporter = ScriptedExporter { _ in .delivered }
        var setup = setup("sending_queue: {batch: {min_size: 12, flush_timeout: 1h}}", clock: clock)
        setup.metadataKeys = ["x-team"]
        let worker = ExportWorker(cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup)
        await runAndDrain(worker, deadline: .seconds(10))
        let batches = exporter.batches.withLock { $0 }
        #expect(
            batches.map { $0.metadata.fields.map { "\($0.name) \($0.value)" } }.sorted { $0[0] < $1[0] }
                == [["x-team a"], ["x-team b"]])
        for batch in batches {
            #expect(Set(numbers(batch).map { $0 % 2 }).count == 1 && batch.itemCount == 12)
        }
    }

    /// Number of the delivery of a frame that begins the journal.
    private func delivery(of pipeline: String, from journal: String?) async -> UInt64? {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        cursor.append(frame(1))
        let exporter = ScriptedExporter { _ in .delivered }
        var setup = setup("{}", clock: clock, isDurable: journal != nil)
        (setup.pipelineID, setup.journal) = (pipeline, journal)
        let worker = ExportWorker(cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup)
        await runAndDrain(worker, deadline: .seconds(10))
        return exporter.batches.withLock { $0.first?.number }
    }

    @Test func `a delivery has another number than one with the same bytes of another journal`() async {
        let one = await delivery(of: "traces", from: "0a")
        #expect(await delivery(of: "traces", from: "0a") == one, "after a restart")
        let others = [
            await delivery(of: "traces", from: "0b"), await delivery(of: "logs", from: "0a"),
            await delivery(of: "traces", from: nil),
        ]
        #expect(one != nil && Set(others + [one]).count == 4)
        #expect(await delivery(of: "traces", from: nil) == others[2], "in one life of a journal in memory")
    }
}
