import Configuration
import Exporters
import OTLP
import Pipeline
import Telemetry

/// The first chain and journal of one pipeline, as its receivers see it. A class, because every request hands it on
/// several times: as a struct, counting the references of its parts took a twentieth of the time of a small request.
final class PipelineIntake: Sendable {
    let id: String
    let chain: ProcessorChain
    let journal: any FrameLog
    let metrics: IntakeMetrics
    /// Whether a stage that gathers traces stands between the journal and the exporters.
    let isBuffered: Bool
    let tap: TapHub?
    /// Exporters whose backlog has a cap.
    let capped: [ExportWorker]
    /// When senders are answered.
    let acknowledgement: PipelineOptions.Acknowledgement
    /// Knows what is delivered, for `ack: delivered`.
    let watch: DeliveryWatch?

    init(
        id: String, chain: ProcessorChain, journal: any FrameLog, metrics: IntakeMetrics, isBuffered: Bool,
        tap: TapHub?, capped: [ExportWorker], acknowledgement: PipelineOptions.Acknowledgement, watch: DeliveryWatch?
    ) {
        self.id = id
        self.chain = chain
        self.journal = journal
        self.metrics = metrics
        self.isBuffered = isBuffered
        self.tap = tap
        self.capped = capped
        self.acknowledgement = acknowledgement
        self.watch = watch
    }

    var signal: Signal { chain.signal }
}

/// Processors that run one after the other on each batch of a signal.
struct ProcessorChain: Sendable {
    let signal: Signal
    let steps: [any Processor]
    /// Ids of the steps as in the file.
    var names: [String] = []
    /// Where drops are noted; nil notes none.
    var ledger: DropLedger.Book?
    /// Headers, in lowercase, that stay with a request behind the journal.
    var keptMetadata: [String] = []
    /// Told of those that do not; nil for nobody.
    var lostHeaders: LostHeaders?

    /// Whether a step waits for a disk.
    var waitsForDisk: Bool { steps.contains(where: \.waitsForDisk) }

    /// Id of the first step that only a running gateway can take (`Processor.needsEarlierRequests`), if any. Of metrics
    /// alone earlier ones are needed.
    var boundStep: String? {
        signal == .metrics ? zip(names, steps).first { $0.1.needsEarlierRequests }?.0 : nil
    }
}

/// Counters of one pipeline's intake. Per pipeline: received = filtered + stored + lost.
struct IntakeMetrics: Sendable {
    let received: Counter
    let filtered: Counter
    let stored: Counter
    let refused: Counter
    /// Told the sender that they are taken, and then the journal could not keep them.
    let lost: Counter

    init(_ metrics: SelfMetrics, pipeline: String, signal: Signal) {
        let labels = [(name: "pipeline", value: pipeline)]
        let what = signal.itemName
        received = metrics.counter(
            "sluice_pipeline_received_\(what)", "Records that entered the pipeline and were taken.", labels)
        filtered = metrics.counter(
            "sluice_pipeline_filtered_\(what)", "Records that processors of the pipeline took out.", labels)
        stored = metrics.counter(
            "sluice_pipeline_stored_\(what)", "Records that the pipeline's journal holds for its exporters.", labels)
        lost = metrics.counter(
            "sluice_pipeline_lost_\(what)",
            "Records that the journal could not keep after `ack: received` had said that they are taken.", labels)
        refused = metrics.counter(
            "sluice_pipeline_refused_\(what)", "Records that the pipeline could not take; senders were told.", labels)
    }
}

/// What a chain made of a request.
enum ChainResult {
    /// A frame to append, and how many records processors took out.
    case frame(Frame, filtered: Int)
    /// Nothing is left to store: the request is taken as it is, and what was to be done once it is stored is due.
    case empty(filtered: Int, actions: [@Sendable () -> Void])
    /// A step wants the trace again when its session is released, or its time is over.
    case held(session: String)
    /// The request cannot be read, or not at once.
    case failed(IngestReply)
    /// A step fails on some record of it, the same each time.
    case stepFailed(message: String)
}

extension PipelineIntake {
    /// Appends the frame of a request that lost `filtered` records on its way, and counts how it ended. `completion`
    /// runs exactly once, on an unspecified thread, and must not block. With the hint `moreFollows` the caller flushes
    /// the journal soon.
    func append(
        _ frame: Frame, filtered: Int, _ hints: AppendHints = [],
        completion: @escaping @Sendable (AppendResult) -> Void
    ) {
        offer(frame, filtered: filtered, hints) { [self] result in
            if case .refused = result { countRefused(frame, filtered: filtered) }
            completion(result)
        }
    }

    /// Counts a request that was not taken.
    func countRefused(_ frame: Frame, filtered: Int) {
        metrics.refused.add(Int(frame.header.itemCount) + filtered)
    }

    /// Counts a request whose sender was told that it is taken, and that the journal could not keep.
    func countLost(_ frame: Frame, filtered: Int) {
        let items = Int(frame.header.itemCount)
        metrics.received.add(items + filtered)
        metrics.filtered.add(filtered)
        metrics.lost.add(items)
    }

    /// Appends like `append`, and leaves it to the caller to count what is refused. False while the frame waits for
    /// room before it is appended.
    @discardableResult
    func offer(
        _ frame: Frame, filtered: Int, _ hints: AppendHints, completion: @escaping @Sendable (AppendResult) -> Void
    ) -> Bool {
        let admission = admission(of: frame)
        guard let full = admission.full else {
            store(frame, filtered, admission.skipping, hints, completion)
            return true
        }
        let refusal = AppendResult.refused(
            reason: "the queue of exporter \(full.exporterID) is full (sending_queue.queue_size)",
            retryAfter: .seconds(1))
        guard full.letsSendersWait else {
            completion(refusal)
            return true
        }
        // As many wait as requests may be in memory at once, which the receivers bound.
        Task {
            for _ in 0..<PipelineIntake.waitsMax {
                try? await WorkerEffects.system().sleep(PipelineIntake.waitInterval)
                let admission = self.admission(of: frame)
                guard let full = admission.full else {
                    return store(frame, filtered, admission.skipping, hints.subtracting(.moreFollows), completion)
                }
                if !full.letsSendersWait { break }
            }
            completion(refusal)
        }
        return false
    }

    /// With `block_on_overflow` a sender waits this long for room.
    private static let waitInterval = Duration.milliseconds(20)
    private static let waitsMax = 500

    /// An exporter that has no room, if any, and those that pass the frame over.
    private func admission(of frame: Frame) -> (full: ExportWorker?, skipping: [ExportWorker]) {
        var skipping: [ExportWorker] = []
        for worker in capped {
            switch worker.admission(of: frame) {
            case .take: break
            // Behind a stage that gathers traces `SkippingLog` sees to it.
            case .skip: if !isBuffered { skipping.append(worker) }
            case .refuse: return (worker, [])
            }
        }
        return (nil, skipping)
    }

    private func store(
        _ frame: Frame, _ filtered: Int, _ skipping: [ExportWorker], _ hints: AppendHints,
        _ completion: @escaping @Sendable (AppendResult) -> Void
    ) {
        let items = Int(frame.header.itemCount)
        journal.append(frame, hints) { [self] result in
            switch result {
            case .stored(let sequence):
                for worker in skipping { worker.skip(StoredFrame(sequence: sequence, frame: frame)) }
                metrics.received.add(items + filtered)
                metrics.filtered.add(filtered)
                if !isBuffered {
                    metrics.stored.add(items)
                    tap?.offer(frame.bytes, of: id, signal: frame.header.signal)
                }
                for action in frame.whenStored { action() }
            case .refused: break
            }
            completion(result)
        }
    }

    /// Counts a request that processors took out whole, and does what was to be done once it is stored.
    func settleEmpty(_ items: Int, _ actions: [@Sendable () -> Void]) {
        metrics.received.add(items)
        metrics.filtered.add(items)
        for action in actions { action() }
    }
}

extension ProcessorChain {
    /// Decodes, processes and encodes one request. `body` is protobuf, and all of the array `whole` when there is one.
    /// The summary tells what was rejected.
    func prepare(
        _ body: Text, whole: [UInt8]? = nil, origin: RequestOrigin, keys: KeyTable, _ workspace: Workspace,
        _ summary: inout ReadSummary, trace: GatheredTrace? = nil
    ) -> ChainResult {
        do throws(DecodeFailure) {
            summary = try OTLPReader.read(body, signal: signal, keys: keys, into: &workspace.batch)
        } catch {
            var failure = error
            // Not a place in what the sender sent.
            if whole == nil { failure.offset = nil }
            // Valid as far as it was read; a sender that halves what is too large gets it through.
            if failure.reason == .tooManyElements { return .failed(.tooLarge(message: failure.message)) }
            return .failed(.invalid(message: "the request is not a valid OTLP \(signal) request: \(failure.message)"))
        }
        let accepted = workspace.batch.liveCount
        if accepted == 0, workspace.batch.metrics.count > 0 {
            summary.rejectedMessage =
                "\(workspace.batch.metrics.count) metrics have no data point; the request has nothing to pass on"
        }
        workspace.released = []
        var context = ProcessContext(tenant: origin.tenant, metadata: origin.metadata, trace: trace)
        context.notesDrops = ledger != nil
        var gone = Set<Int>()
        for (number, step) in steps.enumerated() {
            let before = context.droppedItems
            context.beginStep()
            do throws(ProcessFailure) {
                try step.process(&workspace.batch, &context)
            } catch {
                return .stepFailed(message: error.reason)
            }
            if let session = context.heldSession { return .held(session: session) }
            let dropped = context.droppedItems - before
            if dropped > 0, let ledger {
                ledger.note(workspace.batch, context, dropped, by: names[number], seen: &gone)
            }
        }
        workspace.released = context.releasedSessions
        let left = workspace.batch.liveCount
        let filtered = max(0, accepted - left)
        guard left > 0 else { return .empty(filtered: filtered, actions: context.actionsWhenStored) }
        let bytes: [UInt8]
        if workspace.batch.isEdited {
            workspace.output.removeAll()
            OTLPWriter.write(workspace.batch, into: &workspace.output)
            bytes = [UInt8](workspace.output.bytes)
        } else {
            bytes = Self.kept(body, whole)
        }
        let span = workspace.batch.timeSpan
        let metadata = origin.metadata.kept(keptMetadata)
        if !keptMetadata.isEmpty { lostHeaders?.note(keptMetadata, of: origin.metadata, kept: metadata) }
        let header = FrameHeader(
            signal: signal, itemCount: UInt32(clamping: left), minTime: span.min, maxTime: span.max,
            tenant: origin.tenant, metadata: metadata)
        var frame = Frame(header: header, bytes: bytes)
        frame.whenStored = context.actionsWhenStored
        return .frame(frame, filtered: filtered)
    }

    /// The same for a request that did not just come from a sender.
    func prepare(
        _ request: [UInt8], origin: RequestOrigin, keys: KeyTable, _ pool: WorkspacePool
    ) -> ChainResult {
        pool.withWorkspace { workspace in
            request.withUnsafeBytes { bytes in
                var summary = ReadSummary()
                return prepare(Text(bytes), whole: request, origin: origin, keys: keys, workspace, &summary)
            }
        }
    }

    /// The bytes of a request that nobody changed: its array, unless that has much more room than they take.
    private static func kept(_ body: Text, _ whole: [UInt8]?) -> [UInt8] {
        guard let whole, whole.capacity - whole.count <= whole.count / 8 + unusedMax else { return [UInt8](body.bytes) }
        return whole
    }

    /// Unused bytes that a frame may keep beside an eighth of its size.
    private static let unusedMax = 1 << 10
}

extension RecordBatch {
    /// Earliest and latest record time, Unix nanoseconds; zero when no record has one.
    fileprivate var timeSpan: (min: UInt64, max: UInt64) {
        var low = UInt64.max
        var high: UInt64 = 0
        func add(_ time: UInt64) {
            guard time != 0 else { return }
            low = min(low, time)
            high = max(high, time)
        }
        switch signal {
        case .traces: for index in spans.indices { add(spans[index].start) }
        case .logs:
            for index in logs.indices { add(logs[index].time != 0 ? logs[index].time : logs[index].observedTime) }
        case .metrics: for index in points.indices { add(points[index].time) }
        }
        return high == 0 ? (0, 0) : (low, high)
    }
}
