@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Requests that are delivered in several parts: each is done by itself.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerPartsTests {
    private let clock = FlyingClock()

    /// A cursor with one request of 25 spans whose first byte of the id counts from 1, and one of 3.
    private func cursor(done: [Range<Int>] = []) -> FakeCursor {
        let cursor = FakeCursor(clock: clock)
        for places in [1...25, 26...28] {
            let spans = places.map { TestSpan(id: UInt8($0), name: "s\($0)") }
            cursor.append(
                Frame(
                    header: FrameHeader(signal: .traces, itemCount: UInt32(spans.count)),
                    bytes: TestRequest.traces(spans)))
        }
        cursor.state.withLock { $0.frames[0].done = done }
        return cursor
    }

    private func worker(_ cursor: FakeCursor, _ exporter: ScriptedExporter, _ batch: String) -> ExportWorker {
        let yaml = "{sending_queue: {num_consumers: 1, batch: \(batch)}}"
        return ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: ExportWorkerSetup(
                exporterID: "test", pipelineID: "traces", options: options(ExporterHelperOptions.self, yaml).options,
                isDurable: true, effects: clock.effects(random: { 0.5 })))
    }

    private func drain(_ worker: ExportWorker) async {
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
    }

    private func settled(_ cursor: FakeCursor) -> [Range<UInt64>] {
        cursor.state.withLock { $0.settled.map { $0.lowerBound.value..<$0.upperBound.value } }
    }

    /// Deliveries that began before what was settled survives a kill.
    private func unwritten(_ cursor: FakeCursor) -> Bool {
        cursor.state.withLock { $0.writtenSettled < $0.settled.count || $0.written < $0.acknowledged }
    }

    @Test func `each part of a request that is split is done by itself`() async {
        let cursor = cursor()
        let early = Mutex(0)
        let exporter = ScriptedExporter { _ in
            if self.unwritten(cursor) { early.withLock { $0 += 1 } }
            return .delivered
        }
        let worker = worker(cursor, exporter, "{max_size: 10, min_size: 1, flush_timeout: 1ms}")
        await drain(worker)
        #expect(exporter.batches.withLock { $0.map(\.itemCount) } == [10, 10, 5, 3])
        #expect(settled(cursor) == [0..<10, 10..<20])
        #expect(cursor.state.withLock { $0.acknowledged } == Sequence(28))
        #expect(worker.heldItems == 0 && worker.account.deliveredItems == 28)
        #expect(early.withLock { $0 } == 0)
    }

    @Test func `what was done before a restart is not sent again`() async {
        let cursor = cursor(done: [0..<10, 12..<20])
        let exporter = ScriptedExporter { _ in .delivered }
        let worker = worker(cursor, exporter, "{max_size: 10, min_size: 1, flush_timeout: 1ms}")
        await drain(worker)
        let batches = exporter.batches.withLock { $0 }
        #expect(batches.map(\.itemCount) == [2, 5, 3])
        #expect(
            batches.map(\.bytes)
                == [11...12, 21...25, 26...28].map { places in
                    TestRequest.traces(places.map { TestSpan(id: UInt8($0), name: "s\($0)") })
                })
        #expect(settled(cursor) == [10..<12])
        #expect(cursor.state.withLock { $0.acknowledged } == Sequence(28))
    }

    @Test(arguments: [
        ExportOutcome.delivered, .partial(rejected: 0, message: "slow down"), .partial(rejected: 1, message: "one"),
        .permanent(reason: "bad"),
    ])
    func `each half of a batch that is too large is done by itself`(outcome: ExportOutcome) async {
        let cursor = cursor()
        let early = Mutex(0)
        let exporter = ScriptedExporter { batch in
            if self.unwritten(cursor) { early.withLock { $0 += 1 } }
            return batch.itemCount > 8 ? .tooLarge(reason: "413") : outcome
        }
        let worker = worker(cursor, exporter, "{min_size: 28, flush_timeout: 1h}")
        await drain(worker)
        let sizes = exporter.batches.withLock { $0.map(\.itemCount) }
        #expect(sizes == [28, 25, 13, 7, 6, 12, 6, 6, 3])
        // The last one acknowledges all.
        #expect(settled(cursor) == [0..<7, 7..<13, 13..<19, 19..<25])
        #expect(cursor.state.withLock { $0.acknowledged } == Sequence(28))
        #expect(worker.heldItems == 0 && worker.account.deliveredItems + worker.account.droppedItems == 28)
        #expect(early.withLock { $0 } == 0)
    }

    @Test func `a stop between two halves keeps the books`() async {
        let cursor = cursor()
        let exporter = ScriptedExporter { batch in
            if batch.itemCount > 13 { return .tooLarge(reason: "413") }
            return batch.itemCount == 13 ? .delivered : .retry(reason: "down", after: nil)
        }
        let worker = worker(cursor, exporter, "{min_size: 28, flush_timeout: 1h}")
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) || settled(cursor).isEmpty { await Task.yield() }
        await worker.drain(deadline: .seconds(30))
        await running
        #expect(worker.account.deliveredItems == 13)
        #expect(worker.heldItems == 15)
        #expect(settled(cursor) == [0..<13])
        #expect(cursor.state.withLock { $0.acknowledged } == Sequence(0))
    }
}
