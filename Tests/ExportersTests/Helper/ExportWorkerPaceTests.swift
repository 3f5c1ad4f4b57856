@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

/// How many deliveries of a backlog run at once while others wait for the same processor.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerPaceTests {
    private static let frames = 100
    /// The first ones tell how quick the destination is.
    private static let judged = 30

    /// How many deliveries of 40 KB run at once, on average behind the first ones, and how many frames were delivered,
    /// when each takes `time`. The clock may run away from a delivery while other programs have the processor, so that
    /// it seems to be late; hence no most.
    private func run(
        isPaced: Bool = true, taking time: @escaping @Sendable (_ number: Int) -> Duration
    ) async -> (atOnce: Double, delivered: Int) {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for _ in 0..<Self.frames {
            cursor.append(
                Frame(
                    header: FrameHeader(signal: .traces, itemCount: 1),
                    bytes: TestRequest.traces([TestSpan(id: 1, name: String(repeating: "a", count: 40_000))])),
                isPaced: isPaced)
        }
        let counts = Mutex((begun: 0, running: 0, sum: 0))
        let exporter = ScriptedExporter { _ in
            let number = counts.withLock { counts in
                counts.begun += 1
                counts.running += 1
                if counts.begun > Self.judged { counts.sum += counts.running }
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
        let sum = counts.withLock(\.sum)
        return (Double(sum) / Double(Self.frames - Self.judged), Int(worker.account.deliveredItems))
    }

    @Test func `two run to a destination that answers at once`() async {
        let (atOnce, delivered) = await run { _ in .microseconds(500) }
        #expect(atOnce < 3.5 && delivered == Self.frames)
    }

    @Test func `all that may run do when nothing has to be spared`() async {
        let (atOnce, delivered) = await run(isPaced: false) { _ in .microseconds(500) }
        #expect(atOnce > 4 && delivered == Self.frames)
    }

    @Test(arguments: [2, 8, 20, 100]) func `all that may run do to a destination that takes some ms`(ms: Int) async {
        let (atOnce, delivered) = await run { _ in .milliseconds(ms) }
        #expect(atOnce > 4 && delivered == Self.frames)
    }

    @Test func `those that hang hold up none that follows`() async {
        let (_, delivered) = await run { number in number % 40 > 1 ? .microseconds(500) : .seconds(60) }
        #expect(delivered == Self.frames)
    }
}
