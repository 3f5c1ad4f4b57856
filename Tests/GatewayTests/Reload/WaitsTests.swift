import Exporters
import Logging
import Pipeline
import Synchronization
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
        let closing = await Waits(log: log).close(all, within: .milliseconds(50))
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
        let left = await Gateway.end([("started", started), ("waiting", waiting)])
        #expect(left == ["waiting"])
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

/// Lets waiters go when it is opened.
private final class Gate: Sendable {
    private let stream: AsyncStream<Void>
    private let end: AsyncStream<Void>.Continuation

    init() { (stream, end) = AsyncStream.makeStream() }

    func open() { end.finish() }

    func wait() async { for await _ in stream {} }
}

/// Closes when its gate is open.
private final class ClosingExporter: Exporter {
    let maxConcurrency = 1
    private let gate: Gate?
    private let closed = Atomic(false)

    init(_ gate: Gate? = nil) { self.gate = gate }

    var isClosed: Bool { closed.load(ordering: .acquiring) }

    func start() async throws {}
    func export(_ batch: ExportBatch) async -> ExportOutcome { .delivered }

    func shutdown() async {
        await gate?.wait()
        closed.store(true, ordering: .releasing)
    }
}

/// Collects the lines of a log.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }

    var all: [String] { lines.withLock { $0 } }
}

private struct LineHandler: LogHandler {
    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(event.message)") }
}
