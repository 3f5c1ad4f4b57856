@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What a drain does about pauses that last longer than itself.
@Suite(.timeLimit(.minutes(5))) struct ExportWorkerDrainTests {
    /// Ends by itself neither before a drain that has all the time in the world nor behind it.
    private static let beyond = FlyingClock.never * 3

    /// A worker with so many requests of three records, each a byte with its number.
    private func worker(
        _ count: UInt8, consumers: Int, pause: Duration = ExportWorkerDrainTests.beyond, isDurable: Bool,
        _ clock: FlyingClock, _ exporter: ScriptedExporter
    ) -> ExportWorker {
        let cursor = FakeCursor(clock: clock)
        for number in 0..<count {
            cursor.append(Frame(header: FrameHeader(signal: .traces, itemCount: 3), bytes: [number]))
        }
        var helper = options(ExporterHelperOptions.self, "{sending_queue: {num_consumers: \(consumers)}}").options
        helper.retry = RetryOptions(
            initialInterval: pause, randomizationFactor: 0, maxInterval: pause, maxElapsedTime: .zero)
        return ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: ExportWorkerSetup(
                exporterID: "test", pipelineID: "traces", options: helper, isDurable: isDurable,
                effects: clock.effects()))
    }

    /// Drains once so many deliveries wait for their next attempt.
    private func drain(_ worker: ExportWorker, waiting: Int, deadline: Duration = FlyingClock.never) async {
        async let running: Void = worker.run()
        while worker.state.withLock({ $0.pauses.count }) < waiting { await Task.yield() }
        await worker.drain(deadline: deadline)
        await running
    }

    @Test(arguments: [false, true])
    func `what would be tried again behind the end is tried at once, and the rest follows`(isDurable: Bool) async {
        let attempts = Mutex(0)
        let exporter = ScriptedExporter { _ in
            let number = attempts.withLock { count in
                count += 1
                return count
            }
            return number == 1 ? .retry(reason: "HTTP 503", after: nil) : .delivered
        }
        let worker = worker(3, consumers: 1, isDurable: isDurable, FlyingClock(), exporter)
        await drain(worker, waiting: 1)
        #expect(worker.account.deliveredItems == 9 && worker.account.droppedItems == 0)
        #expect(worker.heldItems == 0 && attempts.withLock { $0 } == 4)
    }

    @Test(arguments: [false, true])
    func `a drain ends at once when the last attempts have failed`(isDurable: Bool) async {
        let exporter = ScriptedExporter { _ in .retry(reason: "down", after: nil) }
        let worker = worker(20, consumers: 2, isDurable: isDurable, FlyingClock(), exporter)
        await drain(worker, waiting: 2)
        // Those that have waited, twice; nobody walks through all that is behind them.
        #expect(exporter.batches.withLock { $0.count } == 4)
        #expect(worker.account.droppedItems(reason: "shutdown") == (isDurable ? 0 : 60))
        #expect(worker.heldItems == 60)
    }

    @Test(arguments: [false, true])
    func `one that fails holds up none of the others, and is left`(isDurable: Bool) async {
        let exporter = ScriptedExporter { batch in
            batch.bytes == [0] ? .retry(reason: "poison", after: nil) : .delivered
        }
        let worker = worker(20, consumers: 2, isDurable: isDurable, FlyingClock(), exporter)
        await drain(worker, waiting: 1)
        #expect(worker.account.deliveredItems == 57 && worker.heldItems == 3)
        #expect(worker.account.droppedItems(reason: "shutdown") == (isDurable ? 0 : 3))
        #expect(exporter.batches.withLock { $0.count { $0.bytes == [0] } } == 2)
    }

    @Test func `a pause that the destination has asked for is kept`() async {
        let clock = FlyingClock()
        let times = Mutex<[Duration]>([])
        let exporter = ScriptedExporter { _ in
            times.withLock { $0.append(clock.now) }
            return .retry(reason: "HTTP 503", after: .seconds(200))
        }
        let worker = worker(1, consumers: 1, pause: .seconds(1), isDurable: true, clock, exporter)
        await drain(worker, waiting: 1, deadline: .seconds(100))
        let all = times.withLock { $0 }
        #expect(zip(all, all.dropFirst()).allSatisfy { $1 - $0 >= .seconds(200) }, "\(all)")
        #expect(worker.heldItems == 3 && worker.account.droppedItems == 0)
    }

    @Test(arguments: [false, true])
    func `of a pause longer than the destination asks for it keeps what is asked for`(isDurable: Bool) async {
        let clock = FlyingClock()
        let times = Mutex<[Duration]>([])
        let exporter = ScriptedExporter { _ in
            let number = times.withLock { times in
                times.append(clock.now)
                return times.count
            }
            return number == 1 ? .retry(reason: "HTTP 503", after: .seconds(5)) : .delivered
        }
        let worker = worker(3, consumers: 2, isDurable: isDurable, clock, exporter)
        await drain(worker, waiting: 1, deadline: FlyingClock.never)
        let all = times.withLock { $0 }
        #expect(worker.account.deliveredItems == 9 && worker.account.droppedItems == 0)
        #expect(all.dropFirst().allSatisfy { $0 - all[0] < .seconds(100) }, "\(all)")
    }

    @Test func `what waits is tried again before the drain begins, and has its last attempt in it`() async {
        let exporter = ScriptedExporter { _ in .retry(reason: "down", after: nil) }
        let worker = worker(1, consumers: 1, isDurable: true, FlyingClock(), exporter)
        func attempts() -> Int { exporter.batches.withLock { $0.count } }
        func isWaiting() -> Bool { worker.state.withLock { $0.pauses.values.contains { !$0.isCut } } }
        async let running: Void = worker.run()
        while attempts() < 1 || !isWaiting() { await Task.yield() }
        worker.tryAgain(before: FlyingClock.never)
        while attempts() < 2 || !isWaiting() { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
        #expect(attempts() == 3 && worker.heldItems == 3 && worker.account.droppedItems == 0)
    }
}
