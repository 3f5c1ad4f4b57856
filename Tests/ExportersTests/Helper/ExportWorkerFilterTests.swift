@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What is counted of batches from which the exporter's own processors take records out.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerFilterTests {
    /// Takes out so many records of each batch.
    private struct FilteringExporter: Exporter {
        let maxConcurrency = 1
        var removed: Int
        var outcome: ExportOutcome

        func start() async throws {}
        func shutdown() async {}
        func export(_ batch: ExportBatch) async -> ExportOutcome { outcome }

        func export(_ batch: ExportBatch, filtered: inout Int) async -> ExportOutcome {
            filtered = removed
            return outcome
        }
    }

    struct Case: Sendable {
        var removed: Int
        var outcome: ExportOutcome
        var sent: Int
        var dropped: Int
    }

    @Test(arguments: [
        Case(removed: 7, outcome: .delivered, sent: 3, dropped: 0),
        Case(removed: 10, outcome: .delivered, sent: 0, dropped: 0),
        Case(removed: 0, outcome: .delivered, sent: 10, dropped: 0),
        Case(removed: 7, outcome: .partial(rejected: 2, message: "no"), sent: 1, dropped: 2),
        Case(removed: 7, outcome: .partial(rejected: 9, message: "no"), sent: 0, dropped: 3),
        Case(removed: 7, outcome: .permanent(reason: "no"), sent: 0, dropped: 3),
        Case(removed: 7, outcome: .tooLarge(reason: "413"), sent: 0, dropped: 3),
        Case(removed: 7, outcome: .retry(reason: "down", after: nil), sent: 0, dropped: 3),
    ])
    func `what is filtered is neither sent nor dropped`(of one: Case) async {
        let (clock, metrics) = (FlyingClock(), SelfMetrics())
        let lost = Mutex(0)
        let cursor = FakeCursor(clock: clock)
        // No request that could be cut.
        cursor.append(Frame(header: FrameHeader(signal: .traces, itemCount: 10), bytes: [0xFF, 0xFF]))
        var setup = ExportWorkerSetup(
            exporterID: "test", pipelineID: "traces",
            options: options(ExporterHelperOptions.self, "{retry_on_failure: {max_elapsed_time: 10s}}").options,
            isDurable: true, effects: clock.effects(random: { 0.5 }))
        setup.lost = { _, items, _ in lost.withLock { $0 += items } }
        let worker = ExportWorker(
            cursor: cursor, exporter: FilteringExporter(removed: one.removed, outcome: one.outcome),
            metrics: metrics, setup: setup)
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
        let filtered = metrics.series.first { $0.name == "sluice_exporter_filtered_spans" }?.read()
        #expect(filtered == Double(one.removed))
        #expect(Int(worker.account.deliveredItems) == one.sent && Int(worker.account.droppedItems) == one.dropped)
        #expect(lost.withLock { $0 } == one.dropped && worker.heldItems == 0)
    }
}
