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

    private func worker(
        _ cursor: FakeCursor, _ exporter: ScriptedExporter, _ batch: String,
        lost: @escaping @Sendable (Sequence, Int, String) -> Void = { _, _, _ in }
    ) -> ExportWorker {
        let yaml = "{sending_queue: {num_consumers: 1, batch: \(batch)}}"
        var setup = ExportWorkerSetup(
            exporterID: "test", pipelineID: "traces", options: options(ExporterHelperOptions.self, yaml).options,
            isDurable: true, effects: clock.effects(random: { 0.5 }))
        setup.journal = "test"
        setup.lost = lost
        return ExportWorker(cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup)
    }

    /// What is told of the requests of a batch, 25 spans and 3: what of each was lost, and how each ended.
    private func told(
        _ answer: @escaping @Sendable (ExportBatch) -> ExportOutcome
    ) async -> (lost: [String], outcomes: [String]) {
        let lost = Mutex<[String]>([])
        let worker = worker(cursor(), ScriptedExporter(answer), "{min_size: 28, flush_timeout: 1h}") {
            (end, items, reason) in lost.withLock { $0.append("\(end.value): \(items) \(reason)") }
        }
        await drain(worker)
        return (lost.withLock { $0 }, worker.outcomes.runs.map { "\($0.start)..<\($0.end) \($0.text)" })
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

    @Test func `of requests that leave together each is told of by itself`() async {
        let apart = await told { batch in
            switch batch.itemCount {
            case 28: .tooLarge(reason: "413")
            case 25: .permanent(reason: "bad")
            default: .delivered
            }
        }
        #expect(apart.lost == ["25: 25 bad"])
        #expect(apart.outcomes == ["0..<25 refused for good and not kept (rejected): bad", "25..<28 delivered"])
        let one = await told { _ in .refused(records: [26], message: "odd") }
        #expect(one.lost == ["28: 1 odd"])
        #expect(
            one.outcomes == [
                "0..<25 delivered", "25..<28 delivered but for 1 of 3 spans, refused for good and not kept: odd",
            ])
        let both = await told { _ in .refused(records: [0, 24, 26], message: "odd") }
        #expect(both.lost == ["25: 2 odd", "28: 1 odd"])
    }

    @Test func `of requests that leave together, of which some spans are refused that nobody names, that is told`()
        async
    {
        let together = await told { _ in .partial(rejected: 4, message: "full") }
        let reason = "4 of 28 spans that left together: full"
        #expect(together.lost == ["25: 4 \(reason)", "28: 3 \(reason)"])
        #expect(together.outcomes == ["0..<28 delivered but for 4 of 28 spans of its batch, refused: full"])
        let apart = await told { batch in
            switch batch.itemCount {
            case 28: .tooLarge(reason: "413")
            case 25: .partial(rejected: 4, message: "full")
            default: .delivered
            }
        }
        #expect(apart.lost == ["25: 4 full"])
        #expect(apart.outcomes == ["0..<25 delivered but for 4 of 25 spans, refused: full", "25..<28 delivered"])
    }

    @Test func `records that are refused without a reason are told to be so`() async {
        let silent = await told { _ in .partial(rejected: 4, message: "") }
        let reason = "the destination gives no reason"
        #expect(silent.lost.first == "25: 4 4 of 28 spans that left together: \(reason)")
        #expect(silent.outcomes == ["0..<28 delivered but for 4 of 28 spans of its batch, refused: \(reason)"])
    }
}
