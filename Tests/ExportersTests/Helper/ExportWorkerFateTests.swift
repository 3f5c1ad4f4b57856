@testable import Exporters
import Foundation
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What becomes of batches that a destination will not or cannot take.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerFateTests {
    private func frame(_ spans: Int) -> Frame {
        let bytes = TestRequest.traces((0..<spans).map { TestSpan(id: UInt8($0 + 1)) })
        return Frame(
            header: FrameHeader(signal: .traces, itemCount: UInt32(spans), maxTime: 1_000_000_000), bytes: bytes)
    }

    private func worker(
        _ frames: [Frame], _ yaml: String = "{}", clock: FlyingClock, box: DeadLetterBox? = nil,
        log: LogLines = LogLines(), shorten: (@Sendable ([UInt8], Signal, Int) -> [UInt8]?)? = nil,
        hold: Duration = .zero, exporter: ScriptedExporter
    ) -> ExportWorker {
        let cursor = FakeCursor(clock: clock)
        for frame in frames { cursor.append(frame) }
        var setup = ExportWorkerSetup(
            exporterID: "test", pipelineID: "traces", options: options(ExporterHelperOptions.self, yaml).options,
            isDurable: true, deadLetters: box, effects: clock.effects(), log: { log.add($0, $1) })
        setup.shorten = shorten
        setup.hold = hold
        return ExportWorker(cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup)
    }

    /// A worker with a frame of two records that the destination refuses.
    private func refusedWorker(_ box: DeadLetterBox, _ log: LogLines) -> ExportWorker {
        worker(
            [frame(2)], clock: FlyingClock(), box: box, log: log,
            exporter: ScriptedExporter { _ in .permanent(reason: "no") })
    }

    private func deadLetterBox(_ folder: DeadLetterFolder, _ yaml: String = "{}") -> DeadLetterBox {
        DeadLetterBox(
            folder: folder, options: options(DeadLetterOptions.self, yaml).options, exporterID: "test",
            metrics: SelfMetrics())
    }

    private func deliver(_ worker: ExportWorker) async {
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
    }

    @Test func `keeps what is refused with the destination's words, and counts it`() async throws {
        let directory = TemporaryDirectory()
        let folder = DeadLetterFolder(path: directory.path + "/d/test")
        let box = deadLetterBox(folder)
        let log = LogLines()
        let worker = worker(
            [frame(2), frame(3)], clock: FlyingClock(), box: box, log: log,
            exporter: ScriptedExporter(maxConcurrency: 1) { batch in
                batch.itemCount == 2 ? .permanent(reason: "HTTP 400: bad span") : .delivered
            })
        await deliver(worker)
        #expect(worker.account.droppedItems(reason: "rejected") == 2)
        #expect(worker.account.deliveredItems == 3)
        let entry = try #require(folder.list().first)
        #expect(folder.list().count == 1)
        #expect(entry.message == "HTTP 400: bad span" && entry.exporter == "test" && entry.pipeline == "traces")
        #expect(folder.read(entry.id)?.bytes == frame(2).bytes)
        #expect(log.lines.contains { $0.contains("kept as a dead letter") })
        let status = worker.status(now: 5_000_000_000)
        #expect(status.items == 0 && status.oldestSeconds == nil && status.nextRetrySeconds == nil)
        #expect(status.lastError?.contains("HTTP 400: bad span") == true)
    }

    @Test func `tells of a loss of another kind soon, and of one of the same kind with the next line`() async {
        let log = LogLines()
        let isPostponed = Mutex(false)
        let worker = worker(
            [frame(2), frame(2), frame(3)], clock: FlyingClock(), log: log,
            exporter: ScriptedExporter(maxConcurrency: 1) { batch in
                guard batch.itemCount == 3 else { return .permanent(reason: "HTTP 400: bad span") }
                let wasPostponed = isPostponed.withLock { isPostponed in
                    defer { isPostponed = true }
                    return isPostponed
                }
                return wasPostponed
                    ? .permanent(reason: "HTTP 404: no such path") : .notYet(reason: "later", after: .seconds(2))
            })
        await deliver(worker)
        let lines = log.lines.filter { $0.contains("HTTP 4") }
        #expect(lines.count == 2 && lines.first?.contains("400: bad span") == true)
        #expect(lines.last?.contains("404: no such path (1 more such lines left out)") == true)
    }

    @Test func `a batch whose turn has not come waits without a failure`() async {
        let (clock, log) = (FlyingClock(), LogLines())
        let asked = Mutex(0)
        let worker = worker(
            [frame(2)], clock: clock, log: log,
            exporter: ScriptedExporter(maxConcurrency: 1) { _ in
                let count = asked.withLock { count in
                    count += 1
                    return count
                }
                return count < 50 ? .notYet(reason: "another first", after: .milliseconds(100)) : .delivered
            })
        await deliver(worker)
        let count = asked.withLock { $0 }
        #expect(worker.account.deliveredItems == 2 && count == 50)
        #expect(worker.status(now: 5_000_000_000).lastError == nil)
        #expect(!log.lines.contains { $0.contains("will try again") })
    }

    @Test func `keeps alone each record that a destination refuses`() async throws {
        let directory = TemporaryDirectory()
        let folder = DeadLetterFolder(path: directory.path + "/d/test")
        let box = deadLetterBox(folder)
        let worker = worker(
            [frame(5)], clock: FlyingClock(), box: box,
            exporter: ScriptedExporter(maxConcurrency: 1) { _ in
                .refused(records: [3, 1, 1, 99, -1], message: "too odd")
            })
        await deliver(worker)
        #expect(worker.account.droppedItems(reason: "rejected") == 2)
        #expect(worker.account.deliveredItems == 3)
        let letters = folder.list()
        #expect(letters.map(\.itemCount) == [1, 1] && letters.allSatisfy { $0.message == "too odd" })
        let kept = letters.compactMap { folder.read($0.id)?.bytes }
        #expect(kept == [2, 4].map { TestRequest.traces([TestSpan(id: $0)]) })
    }

    @Test func `parts what is refused together between requests first, and shortens nothing of it`() async throws {
        let directory = TemporaryDirectory()
        let folder = DeadLetterFolder(path: directory.path + "/d/test")
        let bad = TestSpan(id: 9)
        let names: [[UInt8]] = [[1, 2, 3], [4, 9, 5, 6], [7], [8]]
        let requests = names.map { TestRequest.traces($0.map { TestSpan(id: $0) }) }
        let frames = zip(names, requests).map { ids, bytes in
            Frame(
                header: FrameHeader(signal: .traces, itemCount: UInt32(ids.count), maxTime: 1_000_000_000), bytes: bytes
            )
        }
        let taken = Mutex<[[UInt8]]>([])
        let mark = TestRequest.traces([bad]).suffix(40)
        let worker = worker(
            frames, "{sending_queue: {num_consumers: 1, batch: {min_size: 9, flush_timeout: 10ms}}}",
            clock: FlyingClock(), box: deadLetterBox(folder),
            shorten: { _, _, _ in
                Issue.record("a refused record is shortened")
                return nil
            },
            exporter: ScriptedExporter(maxConcurrency: 1) { batch in
                let bytes = batch.bytes
                if bytes.indices.contains(where: { bytes[$0...].starts(with: mark) }) {
                    return .refusedTogether(message: "too odd")
                }
                taken.withLock { $0.append(bytes) }
                return .delivered
            })
        await deliver(worker)
        #expect(worker.account.droppedItems(reason: "rejected") == 1 && worker.account.deliveredItems == 8)
        let letter = try #require(folder.list().first)
        #expect(folder.list().count == 1 && letter.cause == .rejected && letter.message == "too odd")
        #expect(folder.read(letter.id)?.bytes == TestRequest.traces([bad]))
        // Requests without the odd record left whole, in deliveries of their own or with their neighbours.
        let all = taken.withLock { $0 }
        #expect(all.contains(requests[0]) && all.contains(requests[2] + requests[3]))
    }

    @Test func `what cannot be processed is found by parts, is one letter, and holds nothing up`() async throws {
        let directory = TemporaryDirectory()
        let folder = DeadLetterFolder(path: directory.path + "/d/test")
        let log = LogLines()
        let bad = [UInt8(2), 5].map { TestRequest.traces([TestSpan(id: $0)]).suffix(40) }
        let worker = worker(
            [frame(6), frame(1)], clock: FlyingClock(), box: deadLetterBox(folder), log: log,
            exporter: ScriptedExporter(maxConcurrency: 1) { batch in
                let bytes = batch.bytes
                let fails = bad.contains { mark in bytes.indices.contains { bytes[$0...].starts(with: mark) } }
                return fails ? .unprocessed(message: "no number") : .delivered
            })
        await deliver(worker)
        #expect(worker.account.droppedItems(reason: "processor_failed") == 2 && worker.account.deliveredItems == 5)
        #expect(worker.heldItems == 0 && worker.holdLeft == nil)
        let letter = try #require(folder.list().first)
        #expect(folder.list().count == 1 && letter.cause == .processorFailed && letter.message == "no number")
        #expect(folder.read(letter.id)?.bytes == TestRequest.traces([2, 5].map { TestSpan(id: $0) }))
        #expect(log.lines.contains { $0.contains("2 spans kept as a dead letter, processing fails: no number") })
    }

    @Test func `points of one metric are parted too`() async throws {
        let directory = TemporaryDirectory()
        let folder = DeadLetterFolder(path: directory.path + "/d/test")
        let bytes = TestRequest.metrics()
        let worker = worker(
            [Frame(header: FrameHeader(signal: .metrics, itemCount: 3), bytes: bytes)], clock: FlyingClock(),
            box: deadLetterBox(folder),
            exporter: ScriptedExporter(maxConcurrency: 1) { batch in
                // The second point of the gauge has a double.
                let odd = withUnsafeBytes(of: 1.5.bitPattern.littleEndian) { [0x21] + Array($0) }
                let bytes = batch.bytes
                return bytes.indices.contains(where: { bytes[$0...].starts(with: odd) })
                    ? .refusedTogether(message: "no halves") : .delivered
            })
        await deliver(worker)
        #expect(worker.account.deliveredItems == 2 && folder.list().map(\.itemCount) == [1])
    }

    @Test func `keeps a batch until its dead letter can be written`() async throws {
        let directory = TemporaryDirectory()
        try Data().write(to: URL(filePath: directory.file("d")))
        let folder = DeadLetterFolder(path: directory.path + "/d/test")
        let box = deadLetterBox(folder)
        let log = LogLines()
        let worker = refusedWorker(box, log)
        async let running: Void = worker.run()
        while !log.lines.contains(where: { $0.contains("a dead letter waits") }) { await Task.yield() }
        #expect(worker.account.droppedItems(reason: "rejected") == 0 && worker.heldItems == 2)
        try FileManager.default.removeItem(atPath: directory.file("d"))
        await worker.drain(deadline: FlyingClock.never)
        await running
        #expect(worker.account.droppedItems(reason: "rejected") == 2 && worker.heldItems == 0)
        #expect(folder.list().map(\.itemCount) == [2])
    }

    @Test func `leaves a batch to the journal when its dead letter cannot be written before the end`() async throws {
        let directory = TemporaryDirectory()
        try Data().write(to: URL(filePath: directory.file("d")))
        let box = deadLetterBox(DeadLetterFolder(path: directory.path + "/d/test"))
        let log = LogLines()
        let worker = refusedWorker(box, log)
        async let running: Void = worker.run()
        while !log.lines.contains(where: { $0.contains("a dead letter waits") }) { await Task.yield() }
        await worker.drain(deadline: .zero)
        await running
        #expect(worker.account.droppedItems(reason: "rejected") == 0 && worker.heldItems == 2)
    }

    @Test func `drops a batch that is too large for a dead letter, and says so`() async {
        let directory = TemporaryDirectory()
        let box = deadLetterBox(DeadLetterFolder(path: directory.path + "/d/test"), "{max_size: 1MiB}")
        let log = LogLines()
        var large = frame(2)
        large.bytes = [UInt8](repeating: 0, count: 2 << 20)
        let worker = worker(
            [large], clock: FlyingClock(), box: box, log: log,
            exporter: ScriptedExporter { _ in .permanent(reason: "no") })
        await deliver(worker)
        #expect(worker.account.droppedItems(reason: "rejected") == 2 && worker.heldItems == 0)
        #expect(log.lines.contains { $0.contains("more than dead_letters.max_size") })
    }

    @Test func `lets nobody send before the time that the destination asked for`() async {
        let clock = FlyingClock()
        let calls = Mutex<[Duration]>([])
        let worker = worker(
            (0..<6).map { _ in frame(1) }, "{sending_queue: {num_consumers: 3}}", clock: clock,
            exporter: ScriptedExporter { _ in
                let number = calls.withLock { calls in
                    calls.append(clock.now)
                    return calls.count
                }
                return number == 1 ? .retry(reason: "HTTP 429", after: .seconds(60)) : .delivered
            })
        await deliver(worker)
        #expect(worker.account.deliveredItems == 6)
        let times = calls.withLock { $0 }
        #expect(times.count == 7)
        // Two more deliveries may have been under way when the answer came.
        let early = times.filter { $0 < times[0] + .seconds(60) }
        #expect(early.count <= 3, "\(times)")
        #expect(times.allSatisfy { $0 < times[0] + .seconds(100) })
    }

    @Test func `sends nothing before the time that the destination has told an earlier worker`() async {
        let clock = FlyingClock()
        let calls = Mutex<[Duration]>([])
        let worker = worker(
            [frame(1), frame(1)], clock: clock, hold: .seconds(60),
            exporter: ScriptedExporter { _ in
                calls.withLock { $0.append(clock.now) }
                return .delivered
            })
        #expect(worker.holdLeft == .seconds(60))
        await deliver(worker)
        #expect(worker.account.deliveredItems == 2)
        let times = calls.withLock { $0 }
        #expect(times.count == 2 && times.allSatisfy { $0 >= .seconds(60) }, "\(times)")
        #expect(worker.holdLeft == nil)
    }

    @Test func `shows backlog, age, next attempt and last error`() async throws {
        let clock = FlyingClock()
        let isAsked = Mutex(false)
        let worker = worker(
            [frame(2), frame(3)], "{retry_on_failure: {initial_interval: 1h, max_interval: 1h}}", clock: clock,
            exporter: ScriptedExporter { _ in
                isAsked.withLock { $0 = true }
                return .retry(reason: "connection refused", after: nil)
            })
        let task = Task { await worker.run() }
        while worker.status(now: 0).nextRetrySeconds == nil { await Task.yield() }
        let status = worker.status(now: 11_000_000_000)
        task.cancel()
        await task.value
        #expect(status.items == 5 && status.requests == 2 && status.bytes > 0)
        #expect(status.oldestSeconds == 10)
        #expect((status.nextRetrySeconds ?? 0) > 0)
        #expect(status.lastError == "connection refused")
        #expect(ExportWorkerStatus.decode(Array(ExportWorkerStatus.encode([status]).utf8)) == [status])
        #expect(ExportWorkerStatus.decode(Array("<html>".utf8)) == nil)
        #expect(isAsked.withLock { $0 })
    }
}
