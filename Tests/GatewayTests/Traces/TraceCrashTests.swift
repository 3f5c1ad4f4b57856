import Exporters
import FoundationEssentials
@testable import Gateway
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// A journal that outlives the stages of a test and stops at chosen appends: with the frame or without it, and without
/// an answer that the stage could act on.
private final class StoppingJournal: FrameLog {
    enum Stop { case before, after }

    let base = MemoryJournal()
    private let end = Mutex(UInt64(0))
    private let stops: Mutex<[Int: Stop]>
    private let appends = Mutex(0)
    let isStopped = Mutex(false)

    init(stops: [Int: Stop] = [:]) { self.stops = Mutex(stops) }

    var position: JournalPosition? { JournalPosition(high: 1, low: 2, next: Sequence(end.withLock { $0 })) }
    var held: HeldAmount { base.held }
    func cursor(named name: String) throws -> any FrameCursor { try base.cursor(named: name) }
    func close() { base.close() }

    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        let refusal = AppendResult.refused(reason: "the test stops here", retryAfter: .seconds(5))
        let number = appends.withLock { number in
            number += 1
            return number
        }
        let stop = stops.withLock { $0.removeValue(forKey: number) }
        if isStopped.withLock({ $0 }) { return completion(refusal) }
        if stop != nil { isStopped.withLock { $0 = true } }
        if stop == .before { return completion(refusal) }
        base.append(frame) { result in
            if case .stored(let sequence) = result {
                self.end.withLock { $0 = sequence.value + UInt64(frame.header.itemCount) }
            }
            completion(stop == nil ? result : refusal)
        }
    }
}

/// Takes spans named "drop" out and runs otherwise in silence.
private struct DropProbe: Processor {
    let counter = Counter()

    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        for index in batch.spans.indices where batch.text(batch.spans[index].name) == "drop" {
            batch.removeSpan(index)
            context.dropped(1, counter)
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct TraceCrashTests {
    private struct World {
        let folder: String
        let input = StoppingJournal()
        let output: StoppingJournal

        init(stops: [Int: StoppingJournal.Stop]) throws {
            output = StoppingJournal(stops: stops)
            folder = FileManager.default.temporaryDirectory.path + "/sluice-passed-\(UInt64.random(in: 0 ... .max))"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }

        func stage() throws -> TraceStage {
            let metrics = SelfMetrics()
            let wait = TraceWait(
                idle: .milliseconds(60), afterRoot: .milliseconds(10), maxAge: .seconds(5), maxTraces: 1_000)
            let position = try #require(input.position)
            return TraceStage(
                setup: TraceStage.Setup(
                    pipeline: "traces", wait: wait,
                    chain: ProcessorChain(signal: .traces, steps: [DropProbe()], names: ["probe"]), isDurable: true,
                    passed: PassedTraces.Place(folder: folder, name: "traces", input: position),
                    effects: .system(), log: { _, _ in }),
                input: try input.cursor(named: "traces"), output: output,
                intake: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), metrics: metrics)
        }

        /// Runs stages, each ended where the journal stops, until all is passed on.
        func run() async throws {
            while input.held.items > 0 {
                let stage = try stage()
                output.isStopped.withLock { $0 = false }
                let task = Task { await stage.run(keys: .empty) }
                while input.held.items > 0, !output.isStopped.withLock({ $0 }) { await Task.yield() }
                task.cancel()
                await task.value
            }
        }

        /// How often each span is in the second journal.
        func spans() async throws -> [String: Int] {
            let reader = try output.cursor(named: "test")
            var counts: [String: Int] = [:]
            var left = output.held.items
            while left > 0 {
                for frame in await reader.next(maxFrames: 99, maxBytes: 1 << 20, timeout: .seconds(20)) {
                    left -= Int(frame.frame.header.itemCount)
                    for name in try TraceCrashTests.names(frame.frame) { counts[name, default: 0] += 1 }
                }
            }
            return counts
        }
    }

    private static func names(_ frame: Frame) throws -> [String] {
        var batch = RecordBatch()
        return try frame.bytes.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            return batch.spans.indices.map { batch.text(batch.spans[$0].name).string }
        }
    }

    /// A request of spans given by trace and number; number 0 is a root, every seventh is to be dropped.
    private func frame(_ spans: [(trace: Int, number: Int)]) throws -> Frame {
        let texts = spans.map { span in
            """
            {"traceId":"\(hex(span.trace + 1, 32))","spanId":"\(hex(span.number + 1, 16))",\
            \(span.number == 0 ? "" : "\"parentSpanId\":\"\(hex(1, 16))\",")\
            "name":"\(span.number % 7 == 6 ? "drop" : "\(span.trace)/\(span.number)")"}
            """
        }
        let json = """
            {"resourceSpans":[{"resource":{"attributes":[{"key":"r","value":{"stringValue":"x"}}]},
            "scopeSpans":[{"scope":{"name":"s"},"spans":[\(texts.joined(separator: ","))]}]}]}
            """
        var output = ByteColumn()
        try Array(json.utf8).withUnsafeBytes {
            try OTLPJSONReader.transcode(Text($0), signal: .traces, into: &output)
        }
        return Frame(
            header: FrameHeader(signal: .traces, itemCount: UInt32(spans.count)), bytes: [UInt8](output.bytes))
    }

    private func hex(_ number: Int, _ width: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: width - digits.count) + digits
    }

    /// Spans of 20 traces, in an order and in requests that the seed chooses.
    private func fill(_ journal: StoppingJournal, _ random: inout SeededRandom) async throws -> Set<String> {
        var spans: [(trace: Int, number: Int)] = []
        for trace in 0..<20 { for number in 0..<12 { spans.append((trace, number)) } }
        spans.shuffle(using: &random)
        let kept = Set(spans.filter { $0.number % 7 != 6 }.map { "\($0.trace)/\($0.number)" })
        while !spans.isEmpty {
            let count = min(spans.count, 1 + random.below(9))
            let frame = try frame(Array(spans.prefix(count)))
            spans.removeFirst(count)
            await withCheckedContinuation { done in journal.append(frame) { _ in done.resume() } }
        }
        return kept
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func `passes every span on exactly once, however often it is interrupted`(seed: UInt64) async throws {
        var random = SeededRandom(seed)
        var stops: [Int: StoppingJournal.Stop] = [:]
        for _ in 0..<4 { stops[1 + random.below(8)] = random.chance(percent: 50) ? .before : .after }
        let world = try World(stops: stops)
        defer { try? FileManager.default.removeItem(atPath: world.folder) }
        let kept = try await fill(world.input, &random)
        try await world.run()
        let spans = try await world.spans()
        #expect(Set(spans.keys) == kept)
        #expect(spans.values.allSatisfy { $0 == 1 })
    }

    @Test func `what was noted counts only when the second journal got there`() throws {
        let world = try World(stops: [:])
        defer { try? FileManager.default.removeItem(atPath: world.folder) }
        let position = JournalPosition(high: 7, low: 8, next: Sequence(0))
        let place = PassedTraces.Place(folder: world.folder, name: "p", input: position)
        let output = JournalPosition(high: 9, low: 9, next: Sequence(10))
        let keys = (1...3).map { TraceBuffer.Key(trace: TraceID(high: 0, low: $0), tenant: "t") }
        do {
            var passed = PassedTraces(place, output: output) { _ in }
            passed.note([.init(keys[0], from: Sequence(1), to: Sequence(5), end: Sequence(12))])
            passed.note([.init(keys[1], from: Sequence(2), to: Sequence(6), end: Sequence(20))])
        }
        var later = output
        later.next = Sequence(12)
        for _ in 0..<2 {
            var passed = PassedTraces(place, output: later) { _ in }
            let answer1 = passed.isPassed(keys[0], frameEnd: Sequence(1))
            #expect(answer1)
            let answer2 = passed.isPassed(keys[1], frameEnd: Sequence(3))
            #expect(!answer2)
            let answer3 = passed.isPassed(keys[2], frameEnd: Sequence(3))
            #expect(!answer3)
            let answer4 = passed.isPassed(keys[0], frameEnd: Sequence(5))
            #expect(answer4)
            let answer5 = passed.isPassed(keys[0], frameEnd: Sequence(6))
            #expect(!answer5)
            // What did not come true is forgotten, though the journal gets there with other spans.
            later.next = Sequence(25)
        }
        // Another journal counts anew, so nothing of this holds there.
        var other = place
        other.input.low = 1
        var passed = PassedTraces(other, output: later) { _ in }
        let answer6 = passed.isPassed(keys[0], frameEnd: Sequence(1))
        #expect(!answer6)
    }

    @Test func `files that are no longer needed go, and damage costs only what is behind it`() throws {
        let world = try World(stops: [:])
        defer { try? FileManager.default.removeItem(atPath: world.folder) }
        let position = JournalPosition(high: 7, low: 8, next: Sequence(0))
        let place = PassedTraces.Place(folder: world.folder, name: "p", input: position)
        let key = TraceBuffer.Key(trace: TraceID(high: 3, low: 4), tenant: "")
        let other = TraceBuffer.Key(trace: TraceID(high: 3, low: 5), tenant: "")
        do {
            var passed = PassedTraces(place, output: position) { _ in }
            passed.note([
                .init(key, from: Sequence(1), to: Sequence(5), end: Sequence(0)),
                .init(other, from: Sequence(1), to: Sequence(5), end: Sequence(0)),
            ])
        }
        let path = world.folder + "/" + (try FileManager.default.contentsOfDirectory(atPath: world.folder)[0])
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[bytes.count - 20] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        var passed = PassedTraces(place, output: position) { _ in }
        let answer7 = passed.isPassed(key, frameEnd: Sequence(1))
        #expect(answer7)
        let answer8 = passed.isPassed(other, frameEnd: Sequence(1))
        #expect(!answer8)
        for second in 1...9 { passed.acknowledge(before: Sequence(5), now: .seconds(second)) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: world.folder) == [])
    }
}
