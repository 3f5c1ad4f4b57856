import Configuration
import Exporters
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry

/// Options read from YAML, with the problems found.
func options<Options: ComponentOptions>(
    _ type: Options.Type, _ yaml: String
) -> (options: Options, problems: [String]) {
    var problems = ConfigProblems()
    let node = YAMLReader.read(yaml, file: "t.yaml", problems: &problems) ?? .null(at: .nowhere)
    let options = readOptions(type, node: node, path: "exporters.test", problems: &problems)
    return (options, problems.all.filter { $0.severity == .error }.map(\.message))
}

/// The warnings that options give, each with its advice.
func optionWarnings<Options: ComponentOptions>(_ type: Options.Type, _ yaml: String) -> [String] {
    var problems = ConfigProblems()
    let node = YAMLReader.read(yaml, file: "t.yaml", problems: &problems) ?? .null(at: .nowhere)
    _ = readOptions(type, node: node, path: "exporters.test", problems: &problems)
    return problems.warnings.map { "\($0.path): \($0.message); \($0.fix ?? "")" }
}

/// Collects log lines.
final class LogLines: Sendable {
    private let storage = Mutex<[String]>([])
    func add(_ level: LogLevel, _ message: String) { storage.withLock { $0.append("\(level.rawValue) \(message)") } }
    var lines: [String] { storage.withLock { $0 } }
}

/// What exporters get at start.
func exporterBuild(directory: String = "/nonexistent", log: LogLines = LogLines()) -> ExporterBuild {
    ExporterBuild(metrics: SelfMetrics(), id: "test", dataDirectory: directory) { log.add($0, $1) }
}

/// A directory of its own that is deleted with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/sluice-exporters-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
    func contents(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: file(name)) ?? Data(), as: UTF8.self)
    }
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

/// Time that flies: when everybody waits, the clock moves to the end of the shortest wait.
final class FlyingClock: Sendable {
    private struct State {
        var now = Duration.zero
        var ends: [Int: Duration] = [:]
        var lastID = 0
        /// Grows with everything that happens, so that a waiter can see whether others are still busy.
        var activity = 0
    }

    /// Turns of the scheduler without any activity after which everybody is taken to be waiting.
    private static let idleTurns = 500
    /// A wait of this length or more ends only by cancellation: it stands for a limit that the test must not reach.
    static let never = Duration.seconds(1_000_000)
    private let state = Mutex(State())

    var now: Duration { state.withLock { $0.now } }

    func advance(_ duration: Duration) {
        state.withLock { state in
            state.now += duration
            state.activity += 1
        }
    }

    func sleep(_ duration: Duration) async throws {
        let id = state.withLock { state in
            state.lastID += 1
            state.activity += 1
            if duration < Self.never { state.ends[state.lastID] = state.now + duration }
            return state.lastID
        }
        defer {
            state.withLock { state in
                state.ends[id] = nil
                state.activity += 1
            }
        }
        var seen = -1
        var turns = 0
        while true {
            try Task.checkCancellation()
            let isOver = state.withLock { state in
                guard let end = state.ends[id] else { return false }
                turns = state.activity == seen ? turns + 1 : 0
                if turns > Self.idleTurns, state.ends.values.allSatisfy({ $0 >= end }) {
                    state.now = max(state.now, end)
                    state.activity += 1
                }
                seen = state.activity
                return state.now >= end
            }
            if isOver { return }
            await Task.yield()
        }
    }

    func effects(random: @escaping @Sendable () -> Double = { 0.5 }) -> WorkerEffects {
        WorkerEffects(now: { self.now }, sleep: { try await self.sleep($0) }, random: random)
    }
}

/// Numbers from a seed (SplitMix64).
final class SeededRandom: Sendable {
    private let state: Mutex<UInt64>
    init(_ seed: UInt64) { state = Mutex(seed) }

    func next() -> UInt64 {
        state.withLock { state in
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }
}

/// A journal in memory with one reader, which checks every acknowledgement against what may be acknowledged.
final class FakeCursor: FrameCursor {
    struct State {
        var frames: [StoredFrame] = []
        var read = 0
        var acknowledged = Sequence(0)
        /// What of it survives the process.
        var written = Sequence(0)
        /// What was settled apart, in order of time, and how many of that survives the process.
        var settled: [Range<Sequence>] = []
        var writtenSettled = 0
        /// How often somebody waited for that.
        var writes = 0
        var losses: [(reason: String, items: Int)] = []
        var regressions = 0
    }

    let state = Mutex(State())
    let clock: FlyingClock
    /// Called with every frame that an acknowledgement covers for the first time.
    let covered: @Sendable (StoredFrame) -> Void

    /// What a record takes beside its request.
    let recordOverhead: Int

    init(
        clock: FlyingClock, recordOverhead: Int = 0, covered: @escaping @Sendable (StoredFrame) -> Void = { _ in }
    ) {
        self.clock = clock
        self.recordOverhead = recordOverhead
        self.covered = covered
    }

    func append(_ frame: Frame, isPaced: Bool = false) {
        state.withLock { state in
            var stored = StoredFrame(sequence: state.frames.last?.end ?? Sequence(0), frame: frame)
            stored.isPaced = isPaced
            state.frames.append(stored)
        }
    }

    func lose(_ items: Int, reason: String) { state.withLock { $0.losses.append((reason, items)) } }

    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        await Task.yield()
        let frames = state.withLock { state in
            let end = min(state.frames.count, state.read + min(maxFrames, 7))
            defer { state.read = end }
            return Array(state.frames[state.read..<end])
        }
        if frames.isEmpty { clock.advance(timeout) }
        return frames
    }

    func acknowledge(before sequence: Sequence) {
        let fresh = state.withLock { state -> [StoredFrame] in
            guard sequence > state.acknowledged else { return [] }
            let from = state.acknowledged
            state.acknowledged = sequence
            return state.frames.filter { $0.sequence >= from && $0.end <= sequence }
        }
        for frame in fresh { covered(frame) }
    }

    func settle(_ items: Range<Sequence>) { state.withLock { $0.settled.append(items) } }

    func finishedWriting() async {
        await Task.yield()
        state.withLock { state in
            (state.written, state.writtenSettled) = (state.acknowledged, state.settled.count)
            state.writes += 1
        }
    }

    func takeLosses() -> [(reason: String, items: Int)] {
        state.withLock { state in
            defer { state.losses = [] }
            return state.losses
        }
    }

    var backlog: HeldAmount {
        state.withLock { state in
            let open = state.frames.filter { $0.end > state.acknowledged }
            return HeldAmount(
                frames: open.count, items: open.reduce(0) { $0 + Int($1.frame.header.itemCount) },
                bytes: open.reduce(0) { $0 + $1.frame.bytes.count + recordOverhead })
        }
    }

    func amount(of frame: StoredFrame) -> HeldAmount {
        var amount = HeldAmount(frame.frame)
        amount.bytes += recordOverhead
        return amount
    }
}

/// An exporter that answers from a script.
final class ScriptedExporter: Exporter {
    let maxConcurrency: Int
    let batches = Mutex<[ExportBatch]>([])
    private let answer: @Sendable (ExportBatch) async -> ExportOutcome

    init(maxConcurrency: Int = .max, _ answer: @escaping @Sendable (ExportBatch) async -> ExportOutcome) {
        self.maxConcurrency = maxConcurrency
        self.answer = answer
    }

    func start() async throws {}
    func export(_ batch: ExportBatch) async -> ExportOutcome {
        batches.withLock { $0.append(batch) }
        return await answer(batch)
    }
    func shutdown() async {}
}
