import Dispatch
import Exporters
import OTLP
import Pipeline
import Synchronization
import Telemetry

/// Stands between two journals of a traces pipeline: reads the first, gathers spans until their trace is complete, runs
/// the rest of the chain on each whole trace, and appends what is left to the second, from which the exporters read.
///
/// Spans stay in the first journal meanwhile; the stage remembers where they lie and reads them again when their trace
/// is complete. The first journal is acknowledged only behind what the second has stored. What a crash interrupts is
/// gathered again after the restart; `PassedTraces` knows what had passed.
final class TraceStage: Sendable {
    struct Setup: Sendable {
        var pipeline: String
        var wait: TraceWait
        var chain: ProcessorChain
        /// Whether the first journal keeps what is not acknowledged over a restart.
        var isDurable: Bool
        /// Where it is kept what has passed; nil when a restart keeps nothing.
        var passed: PassedTraces.Place?
        /// Whether nobody else appends to the second journal.
        var isSoleWriter = true
        var tap: TapHub?
        var effects: WorkerEffects
        var log: @Sendable (LogLevel, String) -> Void
    }

    static let framesPerRead = 256
    static let bytesPerRead = 4 << 20
    /// Bytes of complete traces that are appended as one frame.
    static let frameBytes = 1 << 20
    /// A request may take this many bytes, or this many times its size, when its traces are taken apart.
    static let copiedBytesMax = 8 << 20
    static let copiesMax = 4
    /// Most frames that may be read and unacknowledged; beyond it nothing is read until traces become complete.
    static let openFramesMax = 1_000_000
    static let pollInterval = Duration.milliseconds(250)

    private struct State {
        var traces = 0
        var bytes = 0
        var cost = 0
        var heldCost = 0
        /// Spans that are passed on and wait behind others to be acknowledged.
        var settled = 0
        var isDraining = false
        var isLeaving = false
    }

    /// Chosen by the task that runs; the lock is for the gauges and the drain.
    private let state = Mutex(State())
    let setup: Setup
    let input: any FrameCursor
    let output: any FrameLog
    let metrics: TraceStageMetrics

    init(
        setup: Setup, input: any FrameCursor, output: any FrameLog, intake: IntakeMetrics, metrics: SelfMetrics
    ) {
        self.setup = setup
        self.input = input
        self.output = output
        self.metrics = TraceStageMetrics(metrics, pipeline: setup.pipeline, intake: intake)
        let labels = [(name: "pipeline", value: setup.pipeline)]
        metrics.gauge("sluice_trace_buffer_traces", "Traces that are not complete yet.", labels) { [weak self] in
            Double(self?.state.withLock { $0.traces } ?? 0)
        }
        metrics.gauge("sluice_trace_buffer_bytes", "Encoded bytes of traces that are not complete yet.", labels) {
            [weak self] in Double(self?.state.withLock { $0.bytes } ?? 0)
        }
        metrics.gauge(
            "sluice_trace_buffer_memory_bytes",
            "Memory for traces that are not complete yet: the spans themselves only where the journal is in memory.",
            labels
        ) { [weak self] in Double(self?.state.withLock { $0.cost } ?? 0) }
        metrics.gauge(
            "sluice_trace_held_bytes", "Memory for traces that wait for their session to turn bad.", labels
        ) { [weak self] in Double(self?.state.withLock { $0.heldCost } ?? 0) }
        metrics.gauge(
            "sluice_pipeline_buffered_items", "Spans that the pipeline has taken and not yet passed on.", labels
        ) { [weak self] in Double(self?.buffered.items ?? 0) }
    }

    /// How the lines of `sluice queue` name it.
    static let readerName = "gathering"

    /// What it has taken and not passed on. Frames and bytes count until all of them is passed on.
    private var buffered: HeldAmount {
        var amount = input.backlog
        amount.items = max(0, amount.items - state.withLock { $0.settled })
        return amount.items == 0 ? HeldAmount() : amount
    }

    func status(now: UInt64) -> ExportWorkerStatus {
        ExportWorkerStatus(
            exporter: Self.readerName, pipeline: setup.pipeline, backlog: buffered, oldestTime: nil, now: now)
    }

    /// Bytes of memory for traces that are not complete or wait for their session.
    var heldBytes: Int { state.withLock { $0.cost + $0.heldCost } }

    /// Passes what is complete, until cancelled or drained. Call once. `keys` is the gateway's key table.
    func run(keys: KeyTable) async {
        var work = TraceStageWork(setup, output: output.position)
        while !Task.isCancelled {
            let (isDraining, isLeaving) = state.withLock { ($0.isDraining, $0.isLeaving) }
            guard let isEmpty = await fill(&work, keys, isDraining: isDraining) else { return }
            let now = setup.effects.now()
            let expired = work.held.takeExpired(now: now)
            guard await passComplete(now: now, &work, keys) else { return }
            if isDraining && (isEmpty || isLeaving) {
                // On disk the open traces wait for their other spans until after the restart.
                if !setup.isDurable {
                    guard await pass(work.takeAll(), &work, keys) else { return }
                }
                _ = await pass(expired + (setup.isDurable ? [] : work.held.takeAll()), &work, keys, isLast: true)
                return
            }
            guard await pass(expired, &work, keys, isLast: true) else { return }
            await work.tendMemories(now: now)
            report(work)
        }
    }

    private func report(_ work: borrowing TraceStageWork) {
        let (traces, bytes, cost) = (work.buffer.count, work.buffer.bytes, work.buffer.cost + work.orphans)
        let (held, settled) = (work.held.cost, work.tracker.settledItems)
        state.withLock { state in
            (state.traces, state.bytes, state.cost) = (traces, bytes, cost)
            (state.heldCost, state.settled) = (held, settled)
        }
    }

    /// Makes `run` end when it has read all that is there. Traces without an end stay in a journal on disk; from one in
    /// memory they are passed on as they are.
    func drain() { state.withLock { $0.isDraining = true } }

    /// Makes `run` end soon, so that another stage can go on with a journal on disk, whatever comes in meanwhile.
    func leave() { state.withLock { ($0.isDraining, $0.isLeaving) = (true, true) } }
}

/// What the task of a stage works with.
struct TraceStageWork: ~Copyable {
    var buffer: TraceBuffer
    var held: HeldTraces
    var store = PieceStore()
    var tracker = AcknowledgementTracker()
    var passed: PassedTraces?
    var memories: TraceMemories
    var index = TraceIndex()
    /// A trace on its way through the chain.
    var request = ByteColumn()
    let workspace = Workspace()
    /// Sequence behind the last frame that was read.
    var readTo = Sequence(0)
    /// Where the second journal ends.
    var outputEnd: Sequence
    /// The second journal has refused, and it was told.
    var isWaiting = false
    /// Bytes of memory for frames and heads that traces brought which left the buffer and are not let go of yet.
    var leaving = 0
    /// A sync takes milliseconds, which a task's thread must not be blocked for.
    private let syncQueue = DispatchQueue(label: "sluice.passed")

    init(_ setup: TraceStage.Setup, output: JournalPosition?) {
        buffer = TraceBuffer(wait: setup.wait, countsBytes: !setup.isDurable)
        held = HeldTraces(hold: setup.wait.hold, maxBytes: setup.wait.maxHeldBytes)
        outputEnd = output?.next ?? Sequence(0)
        let warn: (String) -> Void = { setup.log(.warn, "pipeline \(setup.pipeline): \($0)") }
        if let place = setup.passed, let output { passed = PassedTraces(place, output: output, log: warn) }
        memories = TraceMemories(setup.chain, setup.passed, output: output, log: warn)
    }

    /// Memory for frames and heads that neither open traces nor those on their way brought.
    var orphans: Int { buffer.orphans(in: store, leaving: leaving) }

    /// Takes out what is complete, and as much more as makes room for `growth` bytes of memory.
    mutating func takeComplete(now: Duration, growth: Int) -> [TraceBuffer.Complete] {
        leave(buffer.takeComplete(now: now, others: orphans + growth))
    }

    /// Most bytes of memory that the runs of the indexed request will take in the buffer.
    func growth(of stored: StoredFrame) -> Int {
        PieceStore.cost(of: index, stored.frame.header.metadata)
            + index.runs.count * TraceBuffer.traceCost
            + (buffer.countsBytes ? index.runs.reduce(0) { $0 + $1.bytes.count } : 0)
    }

    mutating func takeAll() -> [TraceBuffer.Complete] { leave(buffer.takeAll()) }

    /// Returns when what `passed` was told survives a loss of power.
    mutating func syncPassed() async {
        guard let sync = passed?.syncing() else { return }
        if await !TraceStageWork.run(sync, on: syncQueue) { passed?.didNotSync() }
    }

    /// Syncs and folds what processors remember, where it is time to. Only when everything that was passed is stored.
    mutating func tendMemories(now: Duration) async {
        if let fold = memories.folding(now: now) {
            let descriptor = await TraceStageWork.run(fold, on: syncQueue)
            memories.folded(descriptor)
        }
        guard let sync = memories.syncing(now: now) else { return }
        if await !TraceStageWork.run(sync, on: syncQueue) { memories.didNotSync() }
    }

    private static func run<Value: Sendable>(
        _ work: @escaping @Sendable () -> Value, on queue: DispatchQueue
    ) async -> Value {
        await withCheckedContinuation { done in queue.async { done.resume(returning: work()) } }
    }

    private mutating func leave(_ traces: [TraceBuffer.Complete]) -> [TraceBuffer.Complete] {
        var traces = traces
        for index in traces.indices {
            traces[index].readTo = readTo
            leaving += traces[index].shared
        }
        return traces
    }
}

/// Counters of a trace stage.
struct TraceStageMetrics: Sendable {
    let intake: IntakeMetrics
    /// Spans of requests that are kept in one piece.
    let joined: Counter
    private let reasons: [TraceBuffer.Reason: Counter]
    private let lossCounters: [String: Counter]

    /// Reasons for which spans that were taken can be lost here; a journal's own reasons and those of the stage.
    private static let lossReasons = [
        "corrupt_record", "missing_segment", "overflow", "unreadable", "processor_failed",
        tooLarge,
    ]
    /// A trace, alone in a frame, is larger than the second journal takes.
    static let tooLarge = "too_large"

    init(_ metrics: SelfMetrics, pipeline: String, intake: IntakeMetrics) {
        self.intake = intake
        joined = metrics.counter(
            "sluice_trace_buffer_joined_spans_total",
            "Spans of requests that were passed on whole, because each of their traces would copy a large resource.",
            [(name: "pipeline", value: pipeline)])
        var reasons: [TraceBuffer.Reason: Counter] = [:]
        for reason in TraceBuffer.Reason.allCases {
            reasons[reason] = metrics.counter(
                "sluice_trace_buffer_complete_total", "Traces that were taken as complete, by reason.",
                [(name: "pipeline", value: pipeline), (name: "reason", value: reason.rawValue)])
        }
        self.reasons = reasons
        var losses: [String: Counter] = [:]
        for reason in Self.lossReasons {
            losses[reason] = metrics.counter(
                "sluice_pipeline_lost_items_total", "Records that the pipeline had taken and lost, by reason.",
                [(name: "pipeline", value: pipeline), (name: "reason", value: reason)])
        }
        lossCounters = losses
    }

    func complete(_ reason: TraceBuffer.Reason) { reasons[reason]?.add() }

    /// A reason without a counter of its own counts as unreadable, so that no loss goes uncounted.
    func lost(_ items: Int, _ reason: String) { (lossCounters[reason] ?? lossCounters["unreadable"])?.add(items) }
}
