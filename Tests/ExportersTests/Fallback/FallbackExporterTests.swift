@testable import Exporters
import Journal
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct FallbackExporterTests {
    private let clock = FlyingClock()

    private func batch(_ number: UInt8) -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan(id: number)]))
    }

    /// Exporters that fail while their flag is set.
    private final class Child: Sendable {
        let isFailing = Mutex(false)
        let retryAfter = Mutex<Duration?>(nil)
        let refusal = Mutex<String?>(nil)
        let got = Mutex<[[UInt8]]>([])
        /// Works again when this one is given something.
        let helped = Mutex<Child?>(nil)

        var exporter: ScriptedExporter {
            ScriptedExporter { batch in
                if self.isFailing.withLock({ $0 }) {
                    return .retry(reason: "down", after: self.retryAfter.withLock { $0 })
                }
                if let reason = self.refusal.withLock(\.self) { return .permanent(reason: reason) }
                self.got.withLock { $0.append(batch.bytes) }
                self.helped.withLock(\.self)?.fail(false)
                return .delivered
            }
        }

        func fail(_ flag: Bool) { isFailing.withLock { $0 = flag } }
        var bytes: [[UInt8]] { got.withLock { $0 } }
    }

    private func make(
        _ children: [Child], _ yaml: String, journal: MemoryJournal? = nil, older: [String: MemoryJournal] = [:],
        log: LogLines = LogLines(), prepare: (FallbackExporter) -> Void = { _ in }
    ) async throws -> FallbackExporter {
        let names = children.indices.map { "x/\($0)" }
        let read = options(FallbackOptions.self, "exporters: [\(names.joined(separator: ", "))]\n" + yaml)
        #expect(read.problems == [])
        var build = exporterBuild(log: log)
        if let journal { build.openJournal = { older[$0] ?? journal } }
        build.hasJournal = { older[$0] != nil }
        let exporter = FallbackExporter(
            options: read.options, children: zip(names, children).map { ($0, $1.exporter) }, build: build,
            effects: clock.effects())
        prepare(exporter)
        try await exporter.start()
        return exporter
    }

    @Test func `stays with the first until it has failed long enough, and comes back by itself`() async throws {
        let (first, second) = (Child(), Child())
        let exporter = try await make([first, second], "switch_after: 10s\nretry_interval: 60s\nreplay: false")
        #expect(await exporter.export(batch(1)) == .delivered)
        first.fail(true)
        #expect(await exporter.export(batch(2)) == .retry(reason: "x/0: down", after: nil))
        clock.advance(.seconds(9))
        #expect(await exporter.export(batch(2)) == .retry(reason: "x/0: down", after: nil))
        clock.advance(.seconds(2))
        #expect(await exporter.export(batch(2)) == .delivered)
        #expect(first.bytes == [batch(1).bytes] && second.bytes == [batch(2).bytes])
        // Well again, but not asked before the interval is over.
        first.fail(false)
        #expect(await exporter.export(batch(3)) == .delivered)
        clock.advance(.seconds(61))
        for number in UInt8(4)...6 { #expect(await exporter.export(batch(number)) == .delivered) }
        #expect(first.bytes == [1, 4, 5, 6].map { batch($0).bytes })
        #expect(second.bytes == [2, 3].map { batch($0).bytes })
    }

    @Test func `a Retry-After of one exporter does not keep the data from the others`() async throws {
        let (first, second) = (Child(), Child())
        let exporter = try await make([first, second], "switch_after: 10s\nretry_interval: 20s\nreplay: false")
        for child in [first, second] {
            child.fail(true)
            child.retryAfter.withLock { $0 = .seconds(300) }
        }
        #expect(await exporter.export(batch(1)) == .retry(reason: "x/0: down", after: .seconds(10)))
        clock.advance(.seconds(4))
        #expect(await exporter.export(batch(1)) == .retry(reason: "x/0: down", after: .seconds(6)))
        clock.advance(.seconds(6))
        // The second fails as well: then the first is tried again when its interval is over.
        #expect(await exporter.export(batch(1)) == .retry(reason: "x/1: down", after: .seconds(20)))
        second.fail(false)
        #expect(await exporter.export(batch(1)) == .delivered)
        #expect(second.bytes == [batch(1).bytes])
    }

    @Test func `goes on to the last, and waits when that fails too`() async throws {
        let children = [Child(), Child(), Child()]
        let exporter = try await make(children, "switch_after: 0s\nreplay: false")
        for child in children { child.fail(true) }
        #expect(await exporter.export(batch(1)) == .retry(reason: "x/2: down", after: nil))
        children[2].fail(false)
        #expect(await exporter.export(batch(1)) == .delivered)
        #expect(children[2].bytes == [batch(1).bytes])
    }

    @Test func `replays to the first exporter what the second one got`() async throws {
        let (first, second) = (Child(), Child())
        let log = LogLines()
        let journal = MemoryJournal()
        let exporter = try await make(
            [first, second], "switch_after: 0s\nretry_interval: 1s", journal: journal, log: log)
        first.fail(true)
        for number in UInt8(1)...5 { #expect(await exporter.export(batch(number)) == .delivered) }
        #expect(first.bytes.isEmpty && second.bytes.count == 5)
        #expect(exporter.statuses(now: 0).first?.items == 5)
        first.fail(false)
        while first.bytes.count < 5 {
            clock.advance(.seconds(1))
            await Task.yield()
        }
        #expect(Set(first.bytes) == Set((UInt8(1)...5).map { batch($0).bytes }))
        // The replay has brought it back: nothing more goes to the second.
        #expect(await exporter.export(batch(6)) == .delivered)
        #expect(second.bytes.count == 5 && first.bytes.last == batch(6).bytes)
        #expect(log.lines.contains { $0.contains("x/0 works again") })
        await exporter.shutdown()
        await exporter.shutdown()
    }

    @Test func `what was kept for the first exporter stays its own when another one becomes the first`() async throws {
        let (first, second) = (Child(), Child())
        let (journal, older) = (MemoryJournal(), MemoryJournal())
        let missed = batch(1)
        let header = FrameHeader(
            signal: missed.signal, itemCount: UInt32(missed.itemCount), maxTime: missed.newest, tenant: missed.tenant)
        #expect(await older.append(Frame(header: header, bytes: missed.bytes)) == .stored(Sequence(0)))
        let exporter = try await make(
            [first, second], "switch_after: 0s\nretry_interval: 1s", journal: journal,
            older: ["missed~x/1": older])
        while second.bytes.isEmpty {
            clock.advance(.seconds(1))
            await Task.yield()
        }
        #expect(second.bytes == [missed.bytes] && first.bytes.isEmpty)
        first.fail(true)
        #expect(await exporter.export(batch(2)) == .delivered)
        #expect(exporter.statuses(now: 0).map(\.exporter) == ["test to x/0", "test to x/1"])
        #expect(exporter.statuses(now: 0).map(\.items) == [1, 0])
        await exporter.shutdown()
    }

    @Test func `what is kept on disk for the first exporter is the same delivery after a restart`() async throws {
        let directory = TemporaryDirectory()
        func open() async throws -> DiskJournal {
            // A program that another test starts has the files of this process, and so the lock, until it runs.
            for _ in 0..<500 {
                if let journal = try? DiskJournal(directory: directory.file("missed")) { return journal }
                try await Task.sleep(for: .milliseconds(10))
            }
            return try DiskJournal(directory: directory.file("missed"))
        }
        func number(isFailing: Bool) async throws -> UInt64? {
            let first = ScriptedExporter { _ in isFailing ? .retry(reason: "down", after: nil) : .delivered }
            let second = ScriptedExporter { _ in .delivered }
            let journal = try await open()
            var build = exporterBuild()
            build.openJournal = { _ in journal }
            let yaml = "exporters: [x/0, x/1]\nswitch_after: 0s\nretry_interval: 1s"
            let exporter = FallbackExporter(
                options: options(FallbackOptions.self, yaml).options,
                children: [("x/0", first), ("x/1", second)], build: build, effects: clock.effects())
            try await exporter.start()
            if isFailing { #expect(await exporter.export(batch(1)) == .delivered) }
            var number: UInt64?
            while number == nil {
                clock.advance(.seconds(1))
                await Task.yield()
                number = first.batches.withLock { $0.map(\.number) }.first { $0 != 0 }
            }
            await exporter.shutdown()
            return number
        }
        let before = try await number(isFailing: true)
        #expect(try await number(isFailing: false) == before)
    }

    @Test func `what a sick disk cannot keep for the first exporter is not called delivered`() async throws {
        let (first, second) = (Child(), Child())
        let journal = MemoryJournal()
        let log = LogLines()
        let exporter = try await make(
            [first, second], "switch_after: 0s\nretry_interval: 24h", journal: journal, log: log)
        first.fail(true)
        journal.close()
        let export = Task { await exporter.export(batch(1)) }
        while !log.lines.contains(where: { $0.contains("x/0 misses waits") }) { await Task.yield() }
        for _ in 0..<20 {
            clock.advance(.seconds(1))
            await Task.yield()
        }
        export.cancel()
        guard case .retry(let reason, _) = await export.value else {
            Issue.record("delivered")
            return
        }
        #expect(reason.contains("cannot be kept"))
        #expect(second.bytes.count == 1, "the second got it again")
        #expect(log.lines.count { $0.contains("misses waits") } == 1)
        await exporter.shutdown()
    }

    @Test func `what cannot be kept for the first exporter it takes itself when it works again`() async throws {
        let (first, second) = (Child(), Child())
        let journal = MemoryJournal()
        let log = LogLines()
        let exporter = try await make(
            [first, second], "switch_after: 0s\nretry_interval: 10s", journal: journal, log: log)
        first.fail(true)
        #expect(await exporter.export(batch(1)) == .delivered)
        journal.close()
        second.helped.withLock { $0 = first }
        #expect(await exporter.export(batch(2)) == .delivered)
        // What was kept of the first batch may have come by now too.
        #expect(first.bytes.filter { $0 != batch(1).bytes } == [batch(2).bytes])
        await exporter.shutdown()
    }

    @Test func `what cannot be kept for long goes to the others alone, counted`() async throws {
        let (first, second) = (Child(), Child())
        let journal = MemoryJournal()
        let log = LogLines()
        let exporter = try await make(
            [first, second], "switch_after: 0s\nretry_interval: 10s", journal: journal, log: log)
        first.fail(true)
        journal.close()
        #expect(await exporter.export(batch(1)) == .delivered)
        // Those behind it do not wait at all.
        #expect(await exporter.export(batch(2)) == .delivered)
        #expect(second.bytes == [1, 2].map { batch($0).bytes })
        #expect(log.lines.count { $0.contains("for want of room x/0 will not get what it misses") } == 1)
        await exporter.shutdown()
    }

    @Test func `that what the first misses waits is told once an outage, though room comes and goes`() async throws {
        let (first, second) = (Child(), Child())
        var caps = MemoryJournal.Options()
        caps.maxItems = 50
        let log = LogLines()
        let exporter = try await make(
            [first, second], "switch_after: 0s\nretry_interval: 24h", journal: MemoryJournal(options: caps), log: log)
        func export(_ items: Int) async -> ExportOutcome {
            await exporter.export(ExportBatch(signal: .traces, itemCount: items, bytes: batch(1).bytes))
        }
        first.fail(true)
        #expect(await export(40) == .delivered)
        let large = ExportBatch(signal: .traces, itemCount: 20, bytes: batch(1).bytes)
        let waiting = Task { await exporter.export(large) }
        while !log.lines.contains(where: { $0.contains("x/0 misses waits") }) { await Task.yield() }
        for _ in 0..<5 {
            #expect(await export(1) == .delivered)
            clock.advance(.seconds(1))
            for _ in 0..<1_000 { await Task.yield() }
        }
        waiting.cancel()
        _ = await waiting.value
        #expect(log.lines.count { $0.contains("misses waits") } == 1)
        await exporter.shutdown()
    }

    @Test func `what another refuses for good is kept for the first, and what that refuses too is a dead letter`()
        async throws
    {
        let (first, second) = (Child(), Child())
        let journal = MemoryJournal()
        let folder = TemporaryDirectory()
        let letters = DeadLetterFolder(path: folder.path + "/letters")
        let box = DeadLetterBox(
            folder: letters, options: options(DeadLetterOptions.self, "{}").options, exporterID: "fallback",
            metrics: SelfMetrics())
        let exporter = try await make([first, second], "switch_after: 0s\nretry_interval: 1s", journal: journal) {
            $0.keepLetters(in: box)
        }
        first.fail(true)
        second.refusal.withLock { $0 = "HTTP 400" }
        #expect(await exporter.export(batch(1)) == .delivered)
        #expect(first.bytes.isEmpty && second.bytes.isEmpty && exporter.statuses(now: 0).first?.items == 1)
        first.refusal.withLock { $0 = "HTTP 400, too" }
        first.fail(false)
        while letters.list().isEmpty {
            clock.advance(.seconds(1))
            await Task.yield()
        }
        #expect(letters.list().map(\.message) == ["HTTP 400, too"])
        // By this name `sluice dlq replay` finds who takes it: the one that has missed it, and no other.
        #expect(letters.list().map(\.exporter) == ["x/0"])
        await exporter.shutdown()
    }

    @Test func `tells once an interval that an exporter fails which works and fails by turns`() {
        var health = FallbackHealth(count: 2, switchAfter: .zero, retryInterval: .seconds(10))
        var told = 0
        for turn in 0..<100 {
            let (goesOn, isNews) = health.failed(0, now: .milliseconds(150 * turn))
            #expect(goesOn)
            if isNews { told += 1 }
            if health.succeeded(0) { told += 1 }
        }
        // Twice in 15 seconds, each time with its end.
        #expect(told == 4)
    }

    @Test func `needs two different exporters`() {
        #expect(!options(FallbackOptions.self, "exporters: [a]").problems.isEmpty)
        #expect(!options(FallbackOptions.self, "exporters: [a, a]").problems.isEmpty)
    }
}
