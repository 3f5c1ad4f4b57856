import Exporters
import FoundationEssentials
import Glibc
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport

@testable import Gateway

/// A trace stage between two journals on a clock of the test's own, which ends at a chosen effect as a killed process
/// or a machine without power does, and begins again.
///
/// Nothing of it waits: reading an empty journal moves the clock. So a story is the same each time, and each effect of
/// it can be its end.
final class TraceSimulation: Sendable {
    /// How a life of the stage ends.
    enum End: Sendable, CaseIterable {
        case kill
        /// Takes what was not synced, too.
        case powerLoss
    }

    /// What is wrong with the world, so that the story must show a fault: tells whether the test can find one.
    enum Canary: Sendable {
        case none
        /// The stage forgets what it passed.
        case forgetsPassed
        /// The second journal says that it has a frame before it does.
        case storesLate
        /// The first journal takes what was read for acknowledged.
        case acknowledgesUnpassed
        /// What was noted of passed traces is never synced.
        case neverSyncs
        /// What processors remember is gone after a restart.
        case forgetsMemory
    }

    private struct State {
        var now = Duration.seconds(1)
        var random: SeededRandom
        /// With the time at which each frame can be read.
        var frames: [(frame: StoredFrame, at: Duration)] = []
        var readTo = 0
        /// Where reading begins after a restart, and what was acknowledged since.
        var saved: UInt64 = 0
        var acknowledged: [(time: Duration, before: UInt64)] = []
        var output: [Frame] = []
        var outputEnd: UInt64 = 0
        /// Said to be stored, and lost when the stage ends now.
        var unstored: [Frame] = []
        /// Bytes that a sync has made durable, by inode.
        var synced: [UInt64: Int] = [:]
        var effects = 0
        var endsAt: Int?
        var isEnded = false
        /// What the processor of this life remembers.
        var memory = MemoryProbe()
        var whenDone: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>
    let folder: String
    let canary: Canary
    private let end: End

    init(seed: UInt64, end: End, canary: Canary = .none) throws {
        state = Mutex(State(random: SeededRandom(seed)))
        folder = FileManager.default.temporaryDirectory.path + "/sluice-passed-\(UInt64.random(in: 0 ... .max))"
        (self.canary, self.end) = (canary, end)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Puts a frame into the first journal that can be read at a time after the beginning.
    func add(_ frame: Frame, at time: Duration) {
        state.withLock { state in
            let start = state.frames.last?.frame.end ?? Sequence(0)
            var stored = StoredFrame(sequence: start, frame: frame)
            stored.place = FramePlace(file: 1, offset: UInt64(state.frames.count))
            state.frames.append((stored, .seconds(1) + time))
        }
    }

    /// What the second journal holds.
    var output: [Frame] { state.withLock { $0.output } }

    /// How often each span was counted by a processor that remembers.
    var counts: [String: UInt8] { state.withLock { $0.memory.counts } }

    // MARK: Running

    /// Runs the stage until all is passed on. It ends at these effects, each counted from the start of its life, and
    /// begins again after each. Gives the number of effects of the first life.
    func run(endingAt ends: [Int]) async throws -> Int {
        var first: Int?
        for end in ends + [.max] {
            state.withLock { state in
                (state.effects, state.endsAt, state.isEnded) = (0, end, false)
                state.readTo = state.frames.firstIndex { $0.frame.sequence.value >= state.saved } ?? state.frames.count
            }
            let stage = makeStage()
            state.withLock { $0.whenDone = { stage.drain() } }
            let task = Task { await stage.run(keys: .empty) }
            await task.value
            // It holds the stage, and the stage this.
            state.withLock { $0.whenDone = nil }
            first = first ?? state.withLock { $0.effects }
            guard state.withLock({ $0.isEnded }) else {
                state.withLock { $0.output += $0.unstored }
                return first ?? 0
            }
            restart()
        }
        return first ?? 0
    }

    private func makeStage() -> TraceStage {
        let metrics = SelfMetrics()
        let wait = TraceWait(
            idle: .milliseconds(600), afterRoot: .milliseconds(100), maxAge: .seconds(60), maxTraces: 1_000)
        var place = PassedTraces.Place(
            folder: folder, name: "traces", input: JournalPosition(high: 3, low: 4, next: Sequence(0)))
        place.sync = { [self] in sync($0) }
        let effects = WorkerEffects(
            now: { [self] in state.withLock { $0.now } },
            sleep: { [self] time in
                try Task.checkCancellation()
                state.withLock { $0.now += time }
            }, random: { 0.5 })
        let memory = MemoryProbe()
        state.withLock { $0.memory = memory }
        let chain = ProcessorChain(signal: .traces, steps: [DropProbe(), memory], names: ["probe", "memory"])
        return TraceStage(
            setup: TraceStage.Setup(
                pipeline: "traces", wait: wait, chain: chain, isDurable: true,
                passed: canary == .forgetsPassed ? nil : place, effects: effects, log: { _, _ in }),
            input: SimulatedInput(world: self), output: SimulatedOutput(world: self),
            intake: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), metrics: metrics)
    }

    /// What a restart finds: a place in the first journal that is the last one or up to a fifth of a second old, the
    /// second journal as far as it was synced, and of other files after a loss of power what was synced.
    private func restart() {
        let synced = state.withLock { state in
            let isFresh = state.random.chance(percent: 50)
            let age = isFresh ? .zero : Duration.milliseconds(state.random.below(200))
            let last = state.acknowledged.last { $0.time <= state.now - age }
            state.saved = max(state.saved, last?.before ?? 0)
            if canary == .acknowledgesUnpassed, state.readTo > 0 {
                state.saved = state.frames[state.readTo - 1].frame.end.value
            }
            state.acknowledged = []
            state.unstored = []
            state.now += .milliseconds(300)
            return state.synced
        }
        if canary == .forgetsMemory { unlink(folder + "/traces.memory") }
        guard end == .powerLoss else { return }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            var facts = stat()
            guard stat("\(folder)/\(name)", &facts) == 0 else { continue }
            truncate("\(folder)/\(name)", min(Int(facts.st_size), synced[UInt64(facts.st_ino)] ?? 0))
        }
    }

    private func sync(_ descriptor: Int32) -> Bool {
        guard canary != .neverSyncs else { return true }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { return false }
        let (file, size) = (UInt64(facts.st_ino), Int(facts.st_size))
        state.withLock { if !$0.isEnded { $0.synced[file] = size } }
        return true
    }

    // MARK: Effects

    /// Counts an effect; true when the life of the stage is over, with it or before.
    private func ends(_ state: inout State) -> Bool {
        if state.isEnded { return true }
        state.effects += 1
        guard state.effects == state.endsAt else { return false }
        state.isEnded = true
        withUnsafeCurrentTask { $0?.cancel() }
        return true
    }

    /// The next frames that have arrived; when there are none the clock moves to where there are, or by the timeout.
    func next(timeout: Duration) -> [StoredFrame] {
        let (frames, done) = state.withLock { state -> ([StoredFrame], (@Sendable () -> Void)?) in
            if ends(&state) { return ([], nil) }
            var frames: [StoredFrame] = []
            while frames.count < 3, state.readTo < state.frames.count, state.frames[state.readTo].at <= state.now {
                frames.append(state.frames[state.readTo].frame)
                state.readTo += 1
            }
            guard frames.isEmpty else { return (frames, nil) }
            let arrival = state.readTo < state.frames.count ? state.frames[state.readTo].at : nil
            state.now = max(state.now, min(arrival ?? .seconds(1_000_000), state.now + timeout))
            let isDone = state.acknowledged.last?.before ?? state.saved == state.frames.last?.frame.end.value
            return ([], isDone ? state.whenDone : nil)
        }
        done?()
        return frames
    }

    func acknowledge(before position: UInt64) {
        state.withLock { state in
            if ends(&state) { return }
            state.acknowledged.append((state.now, position))
        }
    }

    func read(_ parts: [FramePart]) -> PartReading {
        state.withLock { state in
            guard !state.isEnded else { return .ended }
            var reading = PartReading(bytes: [], missing: [])
            for part in parts {
                let bytes = state.frames[Int(part.place.offset)].frame.frame.bytes
                reading.bytes += bytes[part.offset..<part.offset + part.length]
            }
            return reading
        }
    }

    var outputPosition: JournalPosition {
        JournalPosition(high: 1, low: 2, next: Sequence(state.withLock { $0.outputEnd }))
    }

    /// Two effects: the life may end before the frame is stored, or behind it and before the stage is told.
    func append(_ frame: Frame) -> AppendResult {
        let refusal = AppendResult.refused(reason: "the stage has ended", retryAfter: .seconds(5))
        return state.withLock { state in
            if ends(&state) { return refusal }
            let start = state.outputEnd
            if canary == .storesLate {
                for earlier in state.unstored { state.output.append(earlier) }
                state.unstored = [frame]
            } else {
                state.output.append(frame)
            }
            state.outputEnd += UInt64(frame.header.itemCount)
            return ends(&state) ? refusal : .stored(Sequence(start))
        }
    }
}

private struct SimulatedInput: FrameCursor {
    let world: TraceSimulation

    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] { world.next(timeout: timeout) }
    func acknowledge(before sequence: Sequence) { world.acknowledge(before: sequence.value) }
    func read(_ parts: [FramePart]) async -> PartReading { world.read(parts) }
    func takeLosses() -> [(reason: String, items: Int)] { [] }
    var backlog: HeldAmount { HeldAmount() }
}

private struct SimulatedOutput: FrameLog {
    struct NotForReading: Error {}

    let world: TraceSimulation

    var position: JournalPosition? { world.outputPosition }
    var held: HeldAmount { HeldAmount() }
    func cursor(named name: String) throws -> any FrameCursor { throw NotForReading() }
    func close() {}

    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        completion(world.append(frame))
    }
}

/// Takes spans named "drop" out.
struct DropProbe: Processor {
    let counter = Counter()

    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        for index in batch.spans.indices where batch.text(batch.spans[index].name) == "drop" {
            batch.removeSpan(index)
            context.dropped(1, counter)
        }
    }
}
