@testable import Exporters
import Pipeline
import Synchronization
import Telemetry
import Testing

/// The cap of one exporter's backlog, `sending_queue.queue_size` with its policies.
@Suite(.timeLimit(.minutes(15))) struct ExportWorkerCapTests {
    private func frame(_ items: UInt32 = 1, bytes: Int = 100, newest: UInt64 = 0) -> Frame {
        Frame(
            header: FrameHeader(signal: .logs, itemCount: items, maxTime: newest),
            bytes: [UInt8](repeating: 0, count: bytes))
    }

    private func worker(
        _ cursor: FakeCursor, concurrency: Int = 2, _ yaml: String, clock: FlyingClock, wallTime: UInt64 = 0,
        _ answer: @escaping @Sendable (ExportBatch) async -> ExportOutcome = { _ in .delivered }
    ) -> ExportWorker {
        let read = options(ExporterHelperOptions.self, "{sending_queue: \(yaml)}")
        #expect(read.problems == [])
        var setup = ExportWorkerSetup(
            exporterID: "test", pipelineID: "logs", options: read.options, isDurable: true, effects: clock.effects())
        setup.wallTime = { wallTime }
        return ExportWorker(
            cursor: cursor, exporter: ScriptedExporter(maxConcurrency: concurrency, answer), metrics: SelfMetrics(),
            setup: setup)
    }

    private func deliver(_ worker: ExportWorker, deadline: Duration = FlyingClock.never) async {
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: deadline)
        await running
    }

    @Test(arguments: [
        ("{queue_size: 3}", 3), ("{queue_size: 7, sizer: items}", 4), ("{queue_size: 1KiB, sizer: bytes}", 11),
    ]) func `refuses at the cap, in requests, items and bytes`(yaml: String, frames: Int) {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        let worker = worker(cursor, yaml, clock: clock)
        for _ in 0..<frames {
            #expect(worker.admission(of: frame(2)) == .take)
            cursor.append(frame(2))
        }
        #expect(worker.admission(of: frame(2)) == .refuse)
        cursor.acknowledge(before: Sequence(2))
        #expect(worker.admission(of: frame(2)) == .take)
    }

    @Test(arguments: [
        "{queue_size: 50}", "{queue_size: 1000, sizer: items}", "{queue_size: 64KiB, sizer: bytes}",
        "{queue_size: 64KiB, sizer: bytes, overflow: drop_newest}",
    ]) func `whatever comes in and is done, a full queue takes nothing and another one does`(yaml: String) {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock, recordOverhead: 48)
        let worker = worker(cursor, yaml, clock: clock)
        let queue = worker.setup.options.queue
        let random = SeededRandom(7)
        var refused = 0
        for _ in 0..<3_000 {
            let frame = frame(UInt32(1 + random.next() % 40), bytes: Int(random.next() % 4) * 700)
            let isFull = queue.sizer.measure(worker.openBacklog) >= queue.capacity ?? 0
            if worker.admission(of: frame) == .take {
                #expect(!isFull)
                cursor.append(frame)
            } else {
                #expect(isFull)
                refused += 1
            }
            // Everything that is there is done with, now and then.
            guard random.next() % 100 == 0, let last = cursor.state.withLock({ $0.frames.last }) else { continue }
            cursor.acknowledge(before: last.end)
        }
        #expect(refused > 100)
    }

    @Test func `has no cap on disk unless one is given, and one in memory`() {
        func capacity(_ yaml: String) -> Int? { options(SendingQueueOptions.self, yaml).options.capacity }
        #expect(capacity("{}") == nil)
        #expect(capacity("{storage: memory}") == 1_000)
        #expect(capacity("{queue_size: 5}") == 5)
        #expect(capacity("{queue_size: 2GiB, sizer: bytes}") == 2 << 30)
        #expect(options(SendingQueueOptions.self, "{queue_size: 2GiB}").problems.count == 1)
        let batch = options(BatchOptions.self, "{min_size: 1MiB, max_size: 4MiB, sizer: bytes}")
        #expect(batch.problems == [] && batch.options.maxSize == 4 << 20)
    }

    @Test func `gives up the oldest of a dead destination, and only above the cap`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for _ in 0..<20 { cursor.append(frame()) }
        let worker = worker(cursor, concurrency: 1, "{queue_size: 6, overflow: drop_oldest}", clock: clock) { _ in
            .retry(reason: "down", after: nil)
        }
        #expect(worker.admission(of: frame()) == .take)
        await deliver(worker, deadline: .seconds(600))
        #expect(worker.account.droppedItems(reason: "overflow_oldest") == 14)
        #expect(worker.heldItems == 6)
        #expect(cursor.state.withLock { $0.acknowledged } == Sequence(14), "from the front")
    }

    @Test(
        arguments: [2, 10, 30],
        ["{queue_size: 6}", "{queue_size: 12, sizer: items}", "{queue_size: 600, sizer: bytes}"])
    func `keeps the newest up to the cap, however many deliveries wait`(concurrency: Int, cap: String) async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for _ in 0..<40 { cursor.append(frame(2)) }
        let yaml = cap.dropLast() + ", overflow: drop_oldest, num_consumers: 30}"
        let worker = worker(cursor, concurrency: concurrency, String(yaml), clock: clock) { _ in
            .retry(reason: "down", after: nil)
        }
        await deliver(worker, deadline: .seconds(60))
        #expect(worker.account.droppedItems(reason: "overflow_oldest") == 68)
        #expect(worker.heldItems == 12)
        // From the front, but for those that an attempt was running for at that moment: newer ones go instead.
        let (acknowledged, settled) = cursor.state.withLock { ($0.acknowledged, $0.settled) }
        let last = max(acknowledged, settled.map(\.upperBound).max() ?? acknowledged)
        #expect(acknowledged.value <= 68 && last.value <= 68 + 2 * UInt64(concurrency), "\(acknowledged) \(last)")
    }

    @Test func `gives up the oldest of those that wait, once`() {
        var shedding = Shedding()
        let numbers = (0..<3).map { _ in shedding.add() }
        let one = HeldAmount(frames: 1, items: 2, bytes: 100)
        shedding.attemptBegins(numbers[0])
        #expect(shedding.isOldest(numbers[1]), "an attempt is not given up")
        shedding.leave(numbers[1])
        #expect(shedding.amount == HeldAmount())
        shedding.attemptEnds(numbers[0])
        #expect(shedding.isOldest(numbers[0]))
        shedding.giveUp(numbers[0], one)
        #expect(shedding.amount == one)
        #expect(shedding.isGivenUp(numbers[0]) && shedding.isOldest(numbers[2]))
        shedding.leave(numbers[0])
        #expect(shedding.amount == HeldAmount() && !shedding.isGivenUp(numbers[0]))
    }

    @Test func `a request that is sent in parts counts once`() {
        var tracker = AcknowledgementTracker()
        let ticket = tracker.register(Sequence(10)..<Sequence(20), parts: 3)
        let all = [0..<4, 4..<8, 8..<10].map { items in
            let batch = ExportBatch(signal: .logs, itemCount: items.count, bytes: [UInt8](repeating: 0, count: 50))
            return Delivery(number: 1, prepared: PreparedBatch(batch: batch, parts: [(ticket, items)]))
        }
        #expect(all.map(\.left.frames) == [0, 0, 1])
        #expect(all.map(\.left.items) == [4, 4, 2])
        var halved = all[0]
        halved.settled = [0..<3]
        #expect(halved.left == HeldAmount(frames: 0, items: 1, bytes: 50))
        #expect(halved.open.map(\.items) == [[3..<4]])
    }

    @Test func `drops nothing that a working destination takes`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for _ in 0..<5 { cursor.append(frame()) }
        let worker = worker(cursor, "{queue_size: 6, overflow: drop_oldest}", clock: clock)
        await deliver(worker)
        #expect(worker.account.deliveredItems == 5 && worker.account.droppedItems == 0)
    }

    @Test func `passes over what comes while the queue is full, and takes again later`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        let seen = Mutex<[Int]>([])
        let worker = worker(cursor, "{queue_size: 3, overflow: drop_newest}", clock: clock) { batch in
            seen.withLock { $0.append(batch.bytes.count) }
            return .delivered
        }
        for number in 1...8 {
            let isSkipped = worker.admission(of: frame()) == .skip
            #expect(isSkipped == (number > 3), "\(number)")
            cursor.append(frame(bytes: number))
            if isSkipped, let stored = cursor.state.withLock({ $0.frames.last }) { worker.skip(stored) }
        }
        #expect(worker.heldItems == 3 && worker.openBacklog == HeldAmount(frames: 3, items: 3, bytes: 6))
        #expect(worker.account.droppedItems(reason: "overflow_newest") == 5, "at once")
        await deliver(worker)
        #expect(seen.withLock { $0.sorted() } == [1, 2, 3])
        #expect(worker.account.droppedItems(reason: "overflow_newest") == 5)
        #expect(worker.heldItems == 0)
        #expect(worker.admission(of: frame()) == .take)
    }

    @Test func `what was to be passed over is left to the next worker once that may have the cursor`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        let yaml = "{queue_size: 1, overflow: drop_newest}"
        let first = worker(cursor, yaml, clock: clock)
        cursor.append(frame())
        #expect(first.admission(of: frame()) == .skip)
        cursor.append(frame())
        await first.leave(deadline: .zero)
        if let stored = cursor.state.withLock({ $0.frames.last }) { first.skip(stored) }
        #expect(first.account.droppedItems == 0 && cursor.state.withLock { $0.settled.isEmpty })
        let second = worker(cursor, yaml, clock: clock)
        await deliver(second)
        #expect(second.account.deliveredItems == 2 && second.heldItems == 0)
    }

    @Test(arguments: ["drop_newest", "block"])
    func `what is done behind a request that waits takes no bytes of the queue`(overflow: String) async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock, recordOverhead: 48)
        let yaml = "{queue_size: 1KiB, sizer: bytes, overflow: \(overflow)}"
        let worker = worker(cursor, concurrency: 4, yaml, clock: clock) { batch in
            batch.bytes.count == 1 ? .retry(reason: "poison", after: nil) : .delivered
        }
        cursor.append(frame(bytes: 1))
        for _ in 0..<50 { cursor.append(frame()) }
        for _ in 0..<50 {
            cursor.append(frame())
            if let stored = cursor.state.withLock({ $0.frames.last }) { worker.skip(stored) }
        }
        await deliver(worker, deadline: .seconds(600))
        #expect(worker.openBacklog == HeldAmount(frames: 1, items: 1, bytes: 49))
        #expect(worker.admission(of: frame()) == .take)
    }

    @Test func `drops and counts what is older than the destination takes`() async {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for newest in [0, 10, 90, 100] as [UInt64] { cursor.append(frame(newest: newest * 1_000_000_000)) }
        let worker = worker(cursor, "{max_age: 60s}", clock: clock, wallTime: 100_000_000_000)
        await deliver(worker)
        #expect(worker.account.droppedItems(reason: "expired") == 1)
        #expect(worker.account.deliveredItems == 3, "what has no time has no age")
    }

    @Test func `keeps runs of skipped frames, whatever the order of the answers`() {
        var skipped = SkippedFrames()
        func stored(_ start: UInt64) -> StoredFrame { StoredFrame(sequence: Sequence(start), frame: frame(10)) }
        for start in [100, 120, 110, 90, 200] as [UInt64] {
            #expect(skipped.takes(stored(start)))
            skipped.add(stored(start), HeldAmount(stored(start).frame))
        }
        #expect(skipped.amount.items == 50 && skipped.amount.bytes == 500)
        let passed = ([80, 90, 100, 110, 120, 130, 200] as [UInt64]).filter {
            skipped.take(stored($0), HeldAmount(frame(10)))
        }
        #expect(passed == [90, 100, 110, 120, 200])
        #expect(skipped.amount == HeldAmount())
        // Taken before the answer came: it is delivered, and holds no place.
        #expect(!skipped.takes(stored(200)))
    }

    @Test func `what is skipped and never comes by holds no place for ever`() {
        var skipped = SkippedFrames()
        func stored(_ start: UInt64) -> StoredFrame { StoredFrame(sequence: Sequence(start), frame: frame(10)) }
        for start in [100, 110] as [UInt64] { skipped.add(stored(start), HeldAmount(stored(start).frame)) }
        let isSkipped = skipped.take(stored(130), HeldAmount(frame(10)))
        #expect(!isSkipped && skipped.amount == HeldAmount())
    }
}
