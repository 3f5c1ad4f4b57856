import FoundationEssentials
@testable import Gateway
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct TraceCrashTests {
    // MARK: Stories

    /// What comes, and the spans that are to be passed on, each once.
    private struct Story {
        var frames: [(frame: Frame, at: Duration)] = []
        var kept: Set<String> = []
    }

    /// Spans of 16 traces over six seconds, mixed in requests of up to five. Two traces stay open for two seconds each,
    /// so that the first journal cannot be acknowledged though others have passed; roots come anywhere, so that some
    /// traces are complete before their last spans come. Every seventh span is to be dropped.
    private func story(_ seed: UInt64) throws -> Story {
        var random = SeededRandom(seed)
        var spans: [(trace: Int, number: Int, at: Int)] = []
        for trace in 0..<14 {
            let start = trace * 400
            for number in 0..<7 { spans.append((trace, number, start + random.below(350))) }
        }
        for (trace, start) in [(14, 100), (15, 3_200)] {
            for number in 0..<6 { spans.append((trace, 5 - number, start + number * 400)) }
        }
        spans.sort { ($0.at, $0.trace, $0.number) < ($1.at, $1.trace, $1.number) }
        var story = Story()
        story.kept = Set(spans.filter { $0.number != 6 }.map { "\($0.trace)/\($0.number)" })
        while !spans.isEmpty {
            let count = min(spans.count, 1 + random.below(5))
            let part = Array(spans.prefix(count))
            spans.removeFirst(count)
            story.frames.append((try frame(part.map { ($0.trace, $0.number) }), .milliseconds(part[count - 1].at)))
        }
        return story
    }

    /// A request of spans given by trace and number; number 0 is a root, number 6 is to be dropped.
    private func frame(_ spans: [(trace: Int, number: Int)]) throws -> Frame {
        let texts = spans.map { span in
            """
            {"traceId":"\(hex(span.trace + 1, 32))","spanId":"\(hex(span.number + 1, 16))",\
            \(span.number == 0 ? "" : "\"parentSpanId\":\"\(hex(1, 16))\",")\
            "name":"\(span.number == 6 ? "drop" : "\(span.trace)/\(span.number)")"}
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

    /// Plays a story that is interrupted at these effects. Gives what is wrong with the outcome, empty when nothing is,
    /// and the effects of the first life.
    private func play(
        _ story: Story, _ seed: UInt64, _ end: TraceSimulation.End, endingAt ends: [Int],
        _ canary: TraceSimulation.Canary = .none
    ) async throws -> (fault: String, effects: Int) {
        let world = try TraceSimulation(seed: seed, end: end, canary: canary)
        for (frame, time) in story.frames { world.add(frame, at: time) }
        let effects = try await world.run(endingAt: ends)
        var counts: [String: Int] = [:]
        for frame in world.output { for name in try names(frame) { counts[name, default: 0] += 1 } }
        let lost = story.kept.subtracting(counts.keys).sorted()
        let twice = counts.filter { $0.value > 1 }.keys.sorted()
        // A loss of power takes what was remembered since the last sync.
        let counted = world.counts.filter { $0.key != "drop" }
        let isRemembered =
            end == .powerLoss || ![.none, .forgetsMemory].contains(canary) || counted == counts.mapValues { UInt8($0) }
        let isRight = lost.isEmpty && twice.isEmpty && isRemembered
        let fault = "ends \(ends): lost \(lost), more than once \(twice), remembered \(counted)"
        return (isRight ? "" : fault, effects)
    }

    private func names(_ frame: Frame) throws -> [String] {
        var batch = RecordBatch()
        return try frame.bytes.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            return batch.spans.indices.map { batch.text(batch.spans[$0].name).string }
        }
    }

    // MARK: Tests

    @Test(arguments: 0..<3 as Range<UInt64>, TraceSimulation.End.allCases)
    func `passes every span on exactly once and remembers each once, whatever effect is its last`(
        seed: UInt64, end: TraceSimulation.End
    ) async throws {
        let story = try story(seed)
        let undisturbed = try await play(story, seed, end, endingAt: [])
        #expect(undisturbed.fault == "")
        #expect(undisturbed.effects > 60)
        var random = SeededRandom(seed)
        for effect in 1...undisturbed.effects {
            // And once more, early or late in the second life.
            let ends = [effect, 1 + random.below(undisturbed.effects)]
            let played = try await play(story, seed + UInt64(effect), end, endingAt: ends)
            #expect(played.fault == "")
        }
    }

    @Test(arguments: [
        (TraceSimulation.Canary.forgetsPassed, TraceSimulation.End.kill), (.storesLate, .kill),
        (.acknowledgesUnpassed, .kill),
        (.neverSyncs, .powerLoss), (.forgetsMemory, .kill),
    ])
    func `a stage that forgets, acknowledges early or does not sync is found out`(
        canary: TraceSimulation.Canary, end: TraceSimulation.End
    ) async throws {
        let story = try story(0)
        let undisturbed = try await play(story, 0, end, endingAt: [], canary)
        #expect(undisturbed.fault == "")
        for effect in 1...undisturbed.effects {
            let played = try await play(story, UInt64(effect), end, endingAt: [effect], canary)
            if played.fault != "" { return }
        }
        Issue.record("no end shows the fault")
    }

    @Test func `what was noted counts only when the second journal got there`() throws {
        let world = try TraceSimulation(seed: 0, end: .kill)
        defer { withExtendedLifetime(world) {} }
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
        let world = try TraceSimulation(seed: 0, end: .kill)
        defer { withExtendedLifetime(world) {} }
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
