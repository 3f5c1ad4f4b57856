import Exporters
import OTLP
import Pipeline
import Synchronization
import Telemetry

/// Stands between two journals of a traces pipeline: reads the first, gathers spans until their trace is complete, runs
/// the rest of the chain on each whole trace, and appends what is left to the second, from which the exporters read.
///
/// The first journal is acknowledged only behind what the second has stored. What a crash interrupts is gathered again
/// after the restart; traces that had passed and were not yet acknowledged pass twice.
final class TraceStage: Sendable {
    struct Setup: Sendable {
        var pipeline: String
        var wait: TraceWait
        var chain: ProcessorChain
        /// Whether the first journal keeps what is not acknowledged over a restart.
        var isDurable: Bool
        var tap: TapHub?
        var effects: WorkerEffects
        var log: @Sendable (LogLevel, String) -> Void
    }

    private static let framesPerRead = 256
    private static let bytesPerRead = 4 << 20
    /// Bytes of complete traces that are appended as one frame.
    private static let frameBytes = 1 << 20
    /// Most frames that may be read and unacknowledged; beyond it nothing is read until traces become complete.
    private static let openFramesMax = 1_000_000
    private static let pollInterval = Duration.milliseconds(250)

    private struct State {
        var traces = 0
        var bytes = 0
        var heldBytes = 0
        var isDraining = false
    }

    /// Chosen by the task that runs; the lock is for the gauges and the drain.
    private let state = Mutex(State())
    private let setup: Setup
    private let input: any FrameCursor
    private let output: any FrameLog
    private let metrics: TraceStageMetrics

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
            "sluice_trace_held_bytes", "Encoded bytes of traces that wait for their session to turn bad.", labels
        ) { [weak self] in Double(self?.state.withLock { $0.heldBytes } ?? 0) }
        metrics.gauge(
            "sluice_pipeline_buffered_items", "Spans that the pipeline has taken and not yet passed on.", labels
        ) { Double(input.backlog.items) }
    }

    /// Encoded bytes of traces that are not complete or wait for their session.
    var heldBytes: Int { state.withLock { $0.bytes + $0.heldBytes } }

    /// Passes what is complete, until cancelled or drained. Call once. `keys` is the gateway's key table.
    func run(keys: KeyTable) async {
        var work = Work(wait: setup.wait)
        while !Task.isCancelled {
            let isDraining = state.withLock { $0.isDraining }
            let isEmpty = await fill(&work, isDraining: isDraining)
            let now = setup.effects.now()
            var complete = work.buffer.takeComplete(now: now)
            let expired = work.held.takeExpired(now: now)
            if isDraining && isEmpty {
                // On disk the open traces wait for their other spans until after the restart.
                if !setup.isDurable { complete += work.buffer.takeAll() }
                guard await pass(complete, &work, keys) else { return }
                _ = await pass(expired + (setup.isDurable ? [] : work.held.takeAll()), &work, keys, isLast: true)
                return
            }
            guard await pass(complete, &work, keys) else { return }
            guard await pass(expired, &work, keys, isLast: true) else { return }
            let (traces, bytes, held) = (work.buffer.count, work.buffer.bytes, work.held.bytes)
            state.withLock { ($0.traces, $0.bytes, $0.heldBytes) = (traces, bytes, held) }
        }
    }

    /// Makes `run` end when it has read all that is there. Traces without an end stay in a journal on disk; from one in
    /// memory they are passed on as they are.
    func drain() { state.withLock { $0.isDraining = true } }

    // MARK: Reading

    private struct Work: ~Copyable {
        var buffer: TraceBuffer
        var held: HeldTraces
        var tracker = AcknowledgementTracker()
        let workspace = Workspace()
        var pieces = ByteColumn()

        init(wait: TraceWait) {
            buffer = TraceBuffer(wait: wait)
            held = HeldTraces(hold: wait.hold, maxBytes: wait.maxHeldBytes)
        }
    }

    /// Reads what is there into the buffer. Returns whether the journal had nothing.
    private func fill(_ work: inout Work, isDraining: Bool) async -> Bool {
        let before = setup.effects.now()
        var timeout = isDraining ? Duration.milliseconds(10) : Self.pollInterval
        for deadline in [work.buffer.deadline, work.held.deadline] {
            guard let deadline else { continue }
            timeout = min(timeout, max(deadline - before, .zero))
        }
        guard work.tracker.openFrames < Self.openFramesMax else {
            try? await setup.effects.sleep(max(timeout, .milliseconds(1)))
            return isDraining
        }
        let frames = await input.next(maxFrames: Self.framesPerRead, maxBytes: Self.bytesPerRead, timeout: timeout)
        for loss in input.takeLosses() { metrics.lost(loss.items, loss.reason) }
        let now = setup.effects.now()
        for frame in frames { take(frame, now: now, &work) }
        if frames.isEmpty, now - before < timeout / 2 {
            // A closed journal answers at once; without a pause this loop would spin.
            try? await setup.effects.sleep(timeout)
        }
        return frames.isEmpty
    }

    private func take(_ stored: StoredFrame, now: Duration, _ work: inout Work) {
        let items = Int(stored.frame.header.itemCount)
        work.pieces.removeAll()
        let pieces: [TracePiece]? = stored.frame.bytes.withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &work.workspace.batch)
            } catch { return nil }
            return TraceSplitter.split(work.workspace.batch, into: &work.pieces)
        }
        let ticket = work.tracker.register(end: stored.end, parts: max(1, pieces?.count ?? 1))
        guard let pieces, !pieces.isEmpty else {
            // The journal's checksum held, so this is a frame without spans, or a fault of ours.
            metrics.lost(items, "unreadable")
            acknowledge(work.tracker.settle(ticket, items: items))
            return
        }
        for piece in pieces {
            let bytes = [UInt8](work.pieces.text[piece.bytes].bytes)
            work.buffer.add(
                TraceBuffer.Key(trace: piece.trace, tenant: stored.frame.header.tenant), bytes, items: piece.items,
                hasRoot: piece.hasRoot,
                share: TraceBuffer.Share(
                    ticket: ticket, items: piece.items, metadata: stored.frame.header.metadata), now: now)
        }
    }

    private func acknowledge(_ sequence: Sequence?) {
        if let sequence { input.acknowledge(before: sequence) }
    }

    // MARK: Passing on

    /// Runs the chain on complete traces and stores what is left. Returns false when it was cancelled before that.
    /// `isLast` says that the traces were held back and may not be again.
    private func pass(
        _ traces: [TraceBuffer.Complete], _ work: inout Work, _ keys: KeyTable, isLast: Bool = false
    ) async -> Bool {
        var group = Outgoing()
        var waiting = traces.map { (trace: $0, isLast: isLast) }
        var next = 0
        while next < waiting.count {
            let (trace, isLast) = waiting[next]
            next += 1
            if !isLast { metrics.complete(trace.reason) }
            let origin = trace.origin
            if group.header.tenant != origin.tenant || group.header.metadata != origin.metadata {
                guard await store(&group, &work.tracker) else { return false }
                group = Outgoing(of: origin)
            }
            let result = run(trace, isLast: isLast, work.workspace, keys)
            if case .held(let session) = result {
                work.held.add(trace, session: session, now: setup.effects.now())
                continue
            }
            group.add(result, of: trace, metrics)
            if case .failed(let reply) = result {
                setup.log(.error, "pipeline \(setup.pipeline): \(trace.items) spans of a trace are dropped: \(reply)")
            }
            for session in work.workspace.released {
                waiting += work.held.take(session: session, tenant: trace.key.tenant)
                    .map { (trace: $0, isLast: true) }
            }
            if group.bytes.count >= Self.frameBytes {
                guard await store(&group, &work.tracker) else { return false }
            }
        }
        return await store(&group, &work.tracker)
    }

    private func run(
        _ trace: TraceBuffer.Complete, isLast: Bool, _ workspace: Workspace, _ keys: KeyTable
    ) -> ChainResult {
        let facts = GatheredTrace(reason: trace.reason, canHold: !isLast && setup.wait.hold > .zero)
        return trace.bytes.withUnsafeBytes { bytes in
            var summary = ReadSummary()
            return setup.chain.prepare(
                Text(bytes), origin: trace.origin, keys: keys, workspace, &summary,
                trace: facts)
        }
    }

    /// Complete traces on their way to the second journal.
    private struct Outgoing {
        var header = FrameHeader(signal: .traces, itemCount: 0)
        var bytes: [UInt8] = []
        var shares: [TraceBuffer.Share] = []

        init(of origin: RequestOrigin = RequestOrigin()) {
            header.tenant = origin.tenant
            header.metadata = origin.metadata
        }

        mutating func add(_ result: ChainResult, of trace: TraceBuffer.Complete, _ metrics: TraceStageMetrics) {
            shares += trace.shares
            switch result {
            case .frame(let frame, let filtered):
                metrics.intake.filtered.add(filtered)
                bytes += frame.bytes
                header.itemCount += frame.header.itemCount
                header.minTime = header.minTime == 0 ? frame.header.minTime : min(header.minTime, frame.header.minTime)
                header.maxTime = max(header.maxTime, frame.header.maxTime)
            case .empty(let filtered): metrics.intake.filtered.add(filtered)
            case .held: break
            case .failed: metrics.lost(trace.items, "processor_failed")
            }
        }
    }

    private func store(_ group: inout Outgoing, _ tracker: inout AcknowledgementTracker) async -> Bool {
        let origin = RequestOrigin(tenant: group.header.tenant, metadata: group.header.metadata)
        defer { group = Outgoing(of: origin) }
        if group.header.itemCount > 0 {
            let frame = Frame(header: group.header, bytes: group.bytes)
            while true {
                let result = await append(frame)
                guard case .refused(let reason, let retryAfter) = result else { break }
                setup.log(.warn, "pipeline \(setup.pipeline): complete traces wait for the journal: \(reason)")
                do { try await setup.effects.sleep(min(max(retryAfter, .milliseconds(50)), .seconds(5))) } catch {
                    return false
                }
                if Task.isCancelled { return false }
            }
            metrics.intake.stored.add(Int(group.header.itemCount))
            setup.tap?.offer(frame.bytes, of: setup.pipeline, signal: .traces)
        }
        for share in group.shares { acknowledge(tracker.settle(share.ticket, items: share.items)) }
        return true
    }

    private func append(_ frame: Frame) async -> AppendResult {
        await withCheckedContinuation { continuation in
            output.append(frame) { continuation.resume(returning: $0) }
        }
    }
}

/// Counters of a trace stage.
struct TraceStageMetrics: Sendable {
    let intake: IntakeMetrics
    private let reasons: [TraceBuffer.Reason: Counter]
    private let lossCounters: [String: Counter]

    /// Reasons for which spans that were taken can be lost here; a journal's own reasons and those of the stage.
    private static let lossReasons = [
        "corrupt_record", "missing_segment", "overflow", "unreadable", "processor_failed",
    ]

    init(_ metrics: SelfMetrics, pipeline: String, intake: IntakeMetrics) {
        self.intake = intake
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
