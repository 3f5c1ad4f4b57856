@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

/// How many deliveries of a backlog run at once while others wait for the same processor.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerPaceTests {
    private static let frames = 40

    /// Most deliveries of 40 KB that ran at once, and how many frames were delivered, when each takes `time`.
    private func run(
        isPaced: Bool = true, taking time: @escaping @Sendable (_ number: Int) -> Duration
    ) async -> (most: Int, delivered: Int) {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for _ in 0..<Self.frames {
            cursor.append(
                Frame(
                    header: FrameHeader(signal: .traces, itemCount: 1),
                    bytes: TestRequest.traces([TestSpan(id: 1, name: String(repeating: "a", count: 40_000))])),
                isPaced: isPaced)
        }
        let counts = Mutex((begun: 0, running: 0, most: 0))
        let exporter = ScriptedExporter { _ in
            let number = counts.withLock { counts in
                counts.begun += 1
                counts.running += 1
                counts.most = max(counts.most, counts.running)
                return counts.begun
            }
            try? await clock.sleep(time(number))
            counts.withLock { $0.running -= 1 }
            return .delivered
        }
        let worker = ExportWorker(
            cursor: cursor, exporter: exporter, metrics: SelfMetrics(),
            setup: ExportWorkerSetup(
                exporterID: "test", pipelineID: "traces", options: options(ExporterHelperOptions.self, "{}").options,
                isDurable: true, effects: clock.effects()))
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
        return (counts.withLock(\.most), Int(worker.account.deliveredItems))
    }

    @Test func `two run to a destination that answers at once`() async {
        let (most, delivered) = await run { _ in .milliseconds(1) }
        #expect(most == 2 && delivered == Self.frames)
    }

    @Test func `all that may run do when nothing has to be spared`() async {
        let (most, delivered) = await run(isPaced: false) { _ in .milliseconds(1) }
        #expect(most == 10 && delivered == Self.frames)
    }

    @Test func `all that may run do to a destination that answers late`() async {
        let (most, delivered) = await run { _ in .milliseconds(100) }
        #expect(most == 10 && delivered == Self.frames)
    }

    @Test func `those that hang hold up none that follows`() async {
        let (most, delivered) = await run { number in number > 2 ? .milliseconds(1) : .seconds(60) }
        #expect(most == 4 && delivered == Self.frames)
    }
}
