import Configuration
import Foundation
import Logging
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Gateway

/// Gateways whose first exporter hangs in an attempt to deliver, over reloads and to the end.
@Suite(.timeLimit(.minutes(5))) struct LateWorkerTests {
    private let folder = Folder()
    private let lines = Lines()

    private var log: Logger {
        let lines = lines
        return Logger(label: "test", factory: { _ in LineHandler(lines: lines) })
    }

    /// A pipeline in memory whose exporters are those of `world`.
    private func load(_ pipeline: String, _ exporters: [String], _ world: World) throws -> LoadedConfiguration {
        let options = exporters.map { "\($0): {sending_queue: {storage: memory}}" }.joined(separator: ", ")
        let text = """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
            exporters: {\(options)}
            service:
              telemetry: {metrics: {level: none}}
              pipelines: {\(pipeline): {receivers: [otlp], exporters: [\(exporters.joined(separator: ", "))]}}
            """
        var loaded = LoadedConfiguration.load([.text(name: "test", text)], dataDirectory: folder.path)
        let problems = loaded.problems
        try #require(!problems.hasErrors, "\(problems.report())")
        for index in loaded.plan.pipelines[0].exporters.indices {
            loaded.plan.pipelines[0].exporters[index].plan.make = { _ in world.make() }
        }
        return loaded
    }

    private func start(_ world: World, _ exporters: [String] = ["nop"]) async throws -> Gateway {
        let plan = try load("traces", exporters, world).plan
        let gateway = Gateway(plan: plan, dataDirectory: folder.path, log: log)
        _ = try await gateway.start()
        return gateway
    }

    private func append(_ count: Int, to gateway: Gateway) async throws {
        let open = gateway.parts.withLock { $0.journals }
        let journal = try #require(open.first).journal
        for _ in 0..<count {
            _ = await journal.append(Frame(header: FrameHeader(signal: .traces, itemCount: 1), bytes: [1]))
        }
    }

    /// A gateway with records in memory, and an attempt for the first of them that hangs.
    private func startHanging(_ world: World, _ exporters: [String] = ["nop"], count: Int) async throws -> Gateway {
        let gateway = try await start(world, exporters)
        try await append(count, to: gateway)
        while world.attempts == 0 { await Task.yield() }
        return gateway
    }

    private func reload(
        _ gateway: Gateway, _ pipeline: String, _ exporters: [String], _ world: World,
        deadline: Duration = .seconds(600)
    ) async throws -> Bool {
        let loaded = try load(pipeline, exporters, world)
        if case .taken = await gateway.reload(loaded, log: log, deadline: deadline) { return true }
        return false
    }

    private func metric(_ name: String, _ exporter: String = "nop", of gateway: Gateway) -> Int {
        let series = gateway.context.metrics.series.filter { one in
            one.name == name && one.labels.contains { $0.value == exporter }
        }
        return Int(series.reduce(0) { $0 + $1.read() })
    }

    private func sent(_ gateway: Gateway, _ exporter: String = "nop") -> Int {
        metric("otelcol_exporter_sent_spans", exporter, of: gateway)
    }

    private func dropped(_ gateway: Gateway, _ exporter: String = "nop") -> Int {
        metric("sluice_exporter_dropped_items_total", exporter, of: gateway)
    }

    private func waitForLate(_ gateway: Gateway) async {
        while gateway.parts.withLock({ !$0.late.isEmpty }) { await Task.yield() }
    }

    @Test func `what waits in memory behind an attempt that ends in time is delivered before its pipeline goes`()
        async throws
    {
        let world = World()
        let gateway = try await startHanging(world, count: 3)
        #expect(try await reload(gateway, "traces", ["nop"], world))
        try await append(2, to: gateway)
        #expect(metric("sluice_exporter_held_items", of: gateway) == 5)
        async let isTaken = reload(gateway, "traces/other", ["nop"], world)
        // The configuration before is on its way out.
        while gateway.parts.withLock({ !$0.workers.isEmpty }) { await Task.yield() }
        world.open()
        #expect(try await isTaken)
        #expect(sent(gateway) == 5 && dropped(gateway) == 0 && world.records == 5)
        await gateway.shutdown(deadline: .seconds(10))
    }

    @Test(arguments: [(0, true), (0, false), (1, true), (1, false)])
    func `what is given up behind an attempt counts once, and the attempt by how it ends`(
        reloads: Int, isDelivered: Bool
    ) async throws {
        let world = World()
        let gateway = try await startHanging(world, count: 5)
        for _ in 0..<reloads { #expect(try await reload(gateway, "traces", ["nop"], world)) }
        #expect(try await reload(gateway, "traces/other", ["nop"], world, deadline: .milliseconds(100)))
        #expect(sent(gateway) == 0 && dropped(gateway) == 4)
        world.open(isDelivered ? .delivered : .retry(reason: "down", after: nil))
        await waitForLate(gateway)
        #expect(sent(gateway) == (isDelivered ? 1 : 0) && sent(gateway) + dropped(gateway) == 5)
        #expect(world.records == sent(gateway))
        await gateway.shutdown(deadline: .seconds(10))
    }

    @Test(arguments: [(0, true), (0, false), (1, true), (1, false)])
    func `an exporter that leaves its pipeline while an attempt hangs has each record counted once`(
        reloads: Int, isDelivered: Bool
    ) async throws {
        let world = World()
        let gateway = try await startHanging(world, ["nop", "nop/b"], count: 3)
        for _ in 0..<reloads { #expect(try await reload(gateway, "traces", ["nop", "nop/b"], world)) }
        #expect(try await reload(gateway, "traces", ["nop/b"], world))
        #expect(sent(gateway) == 0 && dropped(gateway) == 2)
        world.open(isDelivered ? .delivered : .retry(reason: "down", after: nil))
        await waitForLate(gateway)
        #expect(sent(gateway) == (isDelivered ? 1 : 0) && sent(gateway) + dropped(gateway) == 3)
        await gateway.shutdown(deadline: .seconds(10))
        #expect(sent(gateway, "nop/b") == 3 && dropped(gateway, "nop/b") == 0)
    }

    @Test func `the end waits neither for an attempt to start nor for one to deliver, and names them`() async throws {
        let world = World { world, number in
            if number > 0 { await world.untilOpen() }
        }
        let gateway = try await startHanging(world, count: 3)
        #expect(try await reload(gateway, "traces", ["nop"], world))
        let begin = ContinuousClock.now
        await gateway.shutdown(deadline: .milliseconds(500))
        #expect(ContinuousClock.now - begin < .seconds(60))
        let text = lines.all.joined(separator: "\n")
        #expect(text.contains("exporter nop takes long to start: the reload goes on"), "\(text)")
        #expect(text.contains("pipeline traces has not ended its attempts to deliver: the gateway ends without"))
        #expect(sent(gateway) == 0 && dropped(gateway) == 2)
        world.open()
        await waitForLate(gateway)
        #expect(sent(gateway) == 1 && dropped(gateway) == 2)
    }

    @Test func `what waits in memory behind an attempt is delivered at the end when there is time`() async throws {
        let world = World()
        let gateway = try await startHanging(world, count: 3)
        #expect(try await reload(gateway, "traces", ["nop"], world))
        async let ending: Void = gateway.shutdown(deadline: .seconds(600))
        while gateway.parts.withLock({ !$0.workers.isEmpty }) { await Task.yield() }
        world.open()
        await ending
        #expect(sent(gateway) == 3 && dropped(gateway) == 0 && world.records == 3)
    }

    @Test func `exporters start at the same time in a reload`() async throws {
        let exporters = ["nop", "nop/b", "nop/c"]
        let world = World { world, number in
            // One after the other, the first one would wait for those that follow.
            while number >= 3, world.starts < 6 { try? await Task.sleep(for: .milliseconds(1)) }
        }
        let gateway = try await start(world, exporters)
        #expect(try await reload(gateway, "traces", exporters, world))
        let late = lines.all.filter { $0.contains("takes long to start") }
        #expect(late == [])
        await gateway.shutdown(deadline: .seconds(10))
    }

    @Test(arguments: ["nop", "nop/b"])
    func `an exporter starts later that wants what a hung one has open, whatever its name`(name: String) async throws {
        let world = World { world, number in
            if number > 0, !world.isOpen { throw ExporterStartFailure("it is locked") }
        }
        let gateway = try await startHanging(world, count: 3)
        #expect(try await reload(gateway, "traces", [name], world))
        world.open()
        while !lines.all.contains("exporter \(name): started") { await Task.yield() }
        await gateway.shutdown(deadline: .seconds(600))
        #expect(sent(gateway, name) + dropped(gateway, name) == 3)
    }
}

/// What the exporters of a test do, by the order in which they are made: the first one hangs in each attempt until it
/// is told how these end.
private final class World: Sendable {
    private struct State {
        var made = 0
        var starts = 0
        var attempts = 0
        var records = 0
        /// Nil while the first one hangs.
        var outcome: ExportOutcome?
    }

    private let state = Mutex(State())
    private let whenStarted: @Sendable (World, _ number: Int) async throws -> Void

    init(whenStarted: @escaping @Sendable (World, _ number: Int) async throws -> Void = { _, _ in }) {
        self.whenStarted = whenStarted
    }

    /// Attempts of the first one.
    var attempts: Int { state.withLock { $0.attempts } }
    /// Begun by all.
    var starts: Int { state.withLock { $0.starts } }
    /// Delivered by all.
    var records: Int { state.withLock { $0.records } }
    var isOpen: Bool { state.withLock { $0.outcome != nil } }

    func open(_ outcome: ExportOutcome = .delivered) { state.withLock { $0.outcome = outcome } }

    /// Not ended by a cancellation.
    func untilOpen() async {
        await Task { while !isOpen { try? await Task.sleep(for: .milliseconds(5)) } }.value
    }

    func make() -> Destination {
        let number = state.withLock { state in
            state.made += 1
            return state.made - 1
        }
        return Destination(world: self, number: number)
    }

    func start(_ number: Int) async throws {
        state.withLock { $0.starts += 1 }
        try await whenStarted(self, number)
    }

    func deliver(_ batch: ExportBatch, _ number: Int) async -> ExportOutcome {
        if number == 0 {
            state.withLock { $0.attempts += 1 }
            await untilOpen()
        }
        return state.withLock { state in
            let outcome = number == 0 ? state.outcome ?? .delivered : .delivered
            if outcome == .delivered { state.records += batch.itemCount }
            return outcome
        }
    }
}

private struct Destination: Exporter {
    let maxConcurrency = 1
    let world: World
    let number: Int

    func start() async throws { try await world.start(number) }

    func export(_ batch: ExportBatch) async -> ExportOutcome { await world.deliver(batch, number) }

    func shutdown() async {}
}

/// A folder of the test's own.
private final class Folder: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "sluice-late-\(UUID().uuidString)").path

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
