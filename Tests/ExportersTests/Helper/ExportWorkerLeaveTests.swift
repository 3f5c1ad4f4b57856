@testable import Exporters
import Journal
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Workers that hand their cursor over to others.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerLeaveTests {
    /// Writes down what it was given, after a few turns of others; fails now and then, and for ever when told to.
    private final class Ledger: Exporter {
        private struct State {
            var times: [UInt8: Int] = [:]
            var isDead = false
            var attempts = 0
        }

        let maxConcurrency = 4
        private let random: SeededRandom
        private let state = Mutex(State())

        init(_ seed: UInt64, isDead: Bool = false) {
            random = SeededRandom(seed)
            state.withLock { $0.isDead = isDead }
        }

        var times: [UInt8: Int] { state.withLock { $0.times } }
        var attempts: Int { state.withLock { $0.attempts } }
        func revive() { state.withLock { $0.isDead = false } }

        func start() async throws {}

        func export(_ batch: ExportBatch) async -> ExportOutcome {
            state.withLock { $0.attempts += 1 }
            for _ in 0..<random.next() % 8 { await Task.yield() }
            if state.withLock({ $0.isDead }) { return .retry(reason: "down", after: .seconds(3_600)) }
            if random.next() % 5 == 0 { return .retry(reason: "busy", after: nil) }
            state.withLock { state in for number in batch.bytes { state.times[number, default: 0] += 1 } }
            return .delivered
        }

        func shutdown() async {}
    }

    /// Tells when it is asked, and answers when it is told how.
    private final class HeldExporter: Exporter {
        let maxConcurrency = 1
        let asked = AsyncStream<Void>.makeStream()
        let answers = AsyncStream<ExportOutcome>.makeStream()

        func start() async throws {}

        func export(_ batch: ExportBatch) async -> ExportOutcome {
            asked.continuation.yield()
            for await answer in answers.stream { return answer }
            return .retry(reason: "nobody answers", after: nil)
        }

        func shutdown() async {}
    }

    private func worker(
        _ journal: MemoryJournal, _ exporter: any Exporter, _ metrics: SelfMetrics
    ) throws -> ExportWorker {
        let yaml = "{retry_on_failure: {initial_interval: 1ms, max_interval: 2ms, max_elapsed_time: 0s}}"
        return ExportWorker(
            cursor: try journal.cursor(named: "ledger"), exporter: exporter, metrics: metrics,
            setup: ExportWorkerSetup(
                exporterID: "ledger", pipelineID: "traces",
                options: options(ExporterHelperOptions.self, yaml).options, isDurable: false))
    }

    private func append(_ count: UInt8, to journal: MemoryJournal) async {
        for number in 0..<count {
            _ = await journal.append(Frame(header: FrameHeader(signal: .traces, itemCount: 1), bytes: [number]))
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `workers that follow each other deliver everything once`(seed: UInt64) async throws {
        let (journal, exporter, random) = (MemoryJournal(), Ledger(seed), SeededRandom(seed + 1))
        await append(200, to: journal)
        var metrics = SelfMetrics()
        for _ in 0..<6 {
            let worker = try worker(journal, exporter, metrics)
            async let running: Void = worker.run()
            let enough = exporter.times.count + Int(random.next() % 40)
            while exporter.times.count < min(enough, 200) { await Task.yield() }
            await worker.leave(deadline: .seconds(600))
            await running
            #expect(worker.account.droppedItems == 0)
            metrics = SelfMetrics(continuing: metrics)
        }
        let last = try worker(journal, exporter, metrics)
        async let running: Void = last.run()
        while !last.state.withLock({ $0.isStarted }) { await Task.yield() }
        await last.drain(deadline: .seconds(600))
        await running
        #expect(exporter.times.count == 200 && exporter.times.values.allSatisfy { $0 == 1 }, "seed \(seed)")
        let sent = metrics.series.filter { $0.name == "otelcol_exporter_sent_spans" }.map { $0.read() }
        #expect(sent == [200])
    }

    @Test(arguments: [ExportOutcome.delivered, .retry(reason: "down", after: nil)])
    func `what is given up behind an attempt counts once, and the attempt by how it ends`(
        outcome: ExportOutcome
    ) async throws {
        let (journal, exporter, metrics) = (MemoryJournal(), HeldExporter(), SelfMetrics())
        await append(3, to: journal)
        let first = try worker(journal, exporter, metrics)
        async let running: Void = first.run()
        for await _ in exporter.asked.stream { break }
        async let leaving: Void = first.leave(deadline: .seconds(600))
        while !first.state.withLock({ $0.isLeaving }) { await Task.yield() }
        let second = try worker(journal, exporter, metrics)
        second.giveUp(behind: [first])
        #expect(second.account.droppedItems == 2 && second.account.deliveredItems == 0)
        exporter.answers.continuation.yield(outcome)
        await leaving
        await running
        let sent = outcome == .delivered ? 1 : 0
        #expect(Int(second.account.deliveredItems) == sent && Int(second.account.droppedItems) == 3 - sent)
    }

    @Test func `a worker that waits for its next attempt leaves at once, without another one`() async throws {
        let (journal, exporter) = (MemoryJournal(), Ledger(1, isDead: true))
        await append(3, to: journal)
        let first = try worker(journal, exporter, SelfMetrics())
        async let running: Void = first.run()
        while first.status(now: 0).nextRetrySeconds ?? 0 < 10 { await Task.yield() }
        let attempts = exporter.attempts
        await first.leave(deadline: .seconds(3_000))
        await running
        #expect(exporter.attempts == attempts)
        exporter.revive()
        let second = try worker(journal, exporter, SelfMetrics())
        async let again: Void = second.run()
        while exporter.times.count < 3 { await Task.yield() }
        await second.leave(deadline: .seconds(600))
        await again
        #expect(journal.held.items == 0)
    }
}
