import Configuration
import Exporters
import Journal
import Logging
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Gateway

/// What a reload does about parts that do not end.
@Suite(.timeLimit(.minutes(5))) struct WaitsTests {
    private let lines = Lines()

    private var log: Logger {
        let lines = lines
        return Logger(label: "test", factory: { _ in LineHandler(lines: lines) })
    }

    @Test func `an exporter that does not close is left to itself, and the others are closed`() async {
        let gate = Gate()
        let hung = ClosingExporter(gate)
        let others = [ClosingExporter(), ClosingExporter()]
        let all: [(id: String, exporter: any Exporter)] = [("a", others[0]), ("hung", hung), ("b", others[1])]
        let closing = await Waits(log: log).close(all, within: .milliseconds(500))
        #expect(closing == ["hung"])
        #expect(others.allSatisfy(\.isClosed) && !hung.isClosed)
        #expect(lines.all.count == 1 && lines.all.first?.hasPrefix("exporter hung does not close") == true)
        gate.open()
        // By itself, some time.
        while !hung.isClosed { await Task.yield() }
    }

    /// They may wait under the next configuration too, which finds the same file locked.
    @Test func `exporters that have not started when their attempts end are told`() async {
        let started = Task { () -> Bool in true }
        let waiting = Task { () -> Bool in (try? await Task.sleep(for: .seconds(3_600))) != nil }
        let left = await Gateway.end([("started", started), ("waiting", waiting)], Waits(log: log))
        #expect(left == ["waiting"])
    }

    @Test func `an attempt to start that hangs is left to itself, and its exporter closed behind it`() async {
        let (gate, exporter) = (Gate(), ClosingExporter())
        let starts = [
            (
                id: "hung",
                task: Task { () -> Bool in
                    await gate.wait()
                    return true
                }
            )
        ]
        let waits = Waits(log: log)
        #expect(await Gateway.end(starts, waits, within: .milliseconds(50)) == ["hung"])
        #expect(await waits.close([("hung", exporter)], within: .milliseconds(50), behind: starts) == ["hung"])
        #expect(!exporter.isClosed)
        gate.open()
        while !exporter.isClosed { await Task.yield() }
    }

    /// So that none of the others waits for it.
    @Test func `a worker whose attempt hangs is told while the others end`() async throws {
        let gate = Gate()
        let exporters = [ClosingExporter(), ClosingExporter(delivery: gate)]
        let journal = MemoryJournal()
        var workers: [(pipeline: String, worker: ExportWorker, task: Task<Void, Never>)] = []
        for (index, exporter) in exporters.enumerated() {
            let worker = try worker("\(index)", exporter, journal)
            workers.append(("traces", worker, Task { await worker.run() }))
        }
        _ = await journal.append(Frame(header: FrameHeader(signal: .traces, itemCount: 1), bytes: [1]))
        while !exporters[1].isDelivering || workers[0].worker.heldItems > 0 { await Task.yield() }
        let late = await Gateway.end(workers, Waits(log: log), within: .seconds(20)) { worker, _ in
            await worker.leave(deadline: .seconds(600))
        }
        #expect(late.map(\.seat) == [WorkerSeat(pipeline: "traces", exporter: "1")])
        gate.open()
        for one in late { await one.task.value }
        #expect(workers[1].worker.heldItems == 0)
    }

    @Test func `who comes while attempts go on reads behind what these have delivered`() async throws {
        let journal = MemoryJournal()
        for number: UInt8 in 0..<4 {
            _ = await journal.append(Frame(header: FrameHeader(signal: .traces, itemCount: 1), bytes: [number]))
        }
        let before = try journal.cursor(named: "a")
        let frames = await before.next(maxFrames: 4, maxBytes: 1_000, timeout: .seconds(1))
        try #require(frames.count == 4)
        let gate = Gate()
        let attempts = Task { await gate.wait() }
        let late = LateCursor(try journal.cursor(named: "a"), behind: [attempts]) { try journal.cursor(named: "a") }
        #expect(await late.next(maxFrames: 4, maxBytes: 1_000, timeout: .milliseconds(10)).isEmpty)
        before.acknowledge(before: frames[0].end)
        before.settle(frames[2].range)
        #expect(late.backlog.items == 3)
        gate.open()
        await attempts.value
        let left = await late.next(maxFrames: 4, maxBytes: 1_000, timeout: .seconds(60))
        #expect(left.map(\.frame.bytes) == [[1], [3]])
        late.acknowledge(before: frames[3].end)
        #expect(journal.held.items == 0)
    }

    @Test func `who reads behind attempts that hang ends when it is cancelled`() async throws {
        let (journal, gate) = (MemoryJournal(), Gate())
        let attempts = Task { await gate.wait() }
        let late = LateCursor(try journal.cursor(named: "a"), behind: [attempts]) { try journal.cursor(named: "a") }
        let reader = Task { await late.next(maxFrames: 1, maxBytes: 1_000, timeout: .seconds(3_600)).count }
        reader.cancel()
        #expect(await reader.value == 0)
        gate.open()
    }

    private func worker(_ id: String, _ exporter: any Exporter, _ journal: MemoryJournal) throws -> ExportWorker {
        var problems = ConfigProblems()
        let node = try #require(YAMLReader.read("{}", file: "t.yaml", problems: &problems))
        let options = readOptions(ExporterHelperOptions.self, node: node, path: "x", problems: &problems)
        return ExportWorker(
            cursor: try journal.cursor(named: id), exporter: exporter, metrics: SelfMetrics(),
            setup: ExportWorkerSetup(exporterID: id, pipelineID: "traces", options: options, isDurable: false))
    }

    @Test func `who is waited for is told again and again, and not once the wait is over`() async {
        let sleeps = Mutex<[Duration]>([])
        var effects = WorkerEffects.system()
        effects.sleep = { time in
            let count = sleeps.withLock { sleeps in
                sleeps.append(time)
                return sleeps.count
            }
            if count > 2 { try await Task.sleep(for: .seconds(3_600)) }
        }
        let waits = Waits(log: log, effects: effects)
        let lines = lines
        await waits.telling("exporter x", after: .seconds(10)) {
            while lines.all.count < 2 { await Task.yield() }
        }
        #expect(lines.all == ["still waiting for exporter x", "still waiting for exporter x"])
        #expect(sleeps.withLock { $0 }.prefix(2) == [.seconds(40), .seconds(30)])
        await waits.telling("nobody", after: .seconds(10)) {}
        #expect(lines.all.count == 2)
    }
}

/// Lets waiters go when it is opened, cancelled ones too.
private final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let end: AsyncStream<Void>.Continuation

    init() { (stream, end) = AsyncStream.makeStream() }

    func open() { end.finish() }

    func wait() async { await Task { for await _ in stream {} }.value }
}

/// Closes when its gate is open, and delivers when the one of deliveries is.
private final class ClosingExporter: Exporter {
    let maxConcurrency = 1
    private let gate: Gate?
    private let delivery: Gate?
    private let closed = Atomic(false)
    private let delivering = Atomic(false)

    init(_ gate: Gate? = nil, delivery: Gate? = nil) { (self.gate, self.delivery) = (gate, delivery) }

    var isClosed: Bool { closed.load(ordering: .acquiring) }
    var isDelivering: Bool { delivering.load(ordering: .acquiring) }

    func start() async throws {}

    func export(_ batch: ExportBatch) async -> ExportOutcome {
        delivering.store(true, ordering: .releasing)
        await delivery?.wait()
        return .delivered
    }

    func shutdown() async {
        await gate?.wait()
        closed.store(true, ordering: .releasing)
    }
}
