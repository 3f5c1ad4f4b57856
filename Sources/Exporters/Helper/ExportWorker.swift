package import Pipeline
import Synchronization
package import Telemetry

/// What an export worker needs to know besides its cursor and exporter.
package struct ExportWorkerSetup: Sendable {
    /// `type/name` of the exporter, as in the file.
    package var exporterID: String
    /// `signal/name` of the pipeline, as in the file.
    package var pipelineID: String
    package var options: ExporterHelperOptions
    /// Whether what is not delivered at shutdown is still there after a restart.
    package var isDurable: Bool
    /// Largest delivery in bytes; larger frames are split where they can be.
    package var batchBytesMax: Int
    /// Most bytes of deliveries that run at once, unless one alone has more.
    package var bytesInFlightMax = ExportWorker.bytesInFlightMax
    /// Headers, in lowercase, that its batches are parted by and carry.
    package var metadataKeys: [String] = []
    /// Cuts strings of a request until it has about so many bytes; nil when it cannot be cut. Without it a record that
    /// is too large fails for good.
    package var shorten: (@Sendable (_ request: [UInt8], _ signal: Signal, _ bytes: Int) -> [UInt8]?)?
    /// Where batches go that fail for good; nil drops them.
    package var deadLetters: DeadLetterBox?
    /// The exporter that a dead letter is sent to again; nil for `exporterID`.
    package var letterExporter: String?
    package var effects: WorkerEffects
    /// How long the destination wants no request yet, as it told the worker before this one.
    package var hold = Duration.zero
    /// Name of the journal that the cursor reads, `JournalPosition.name`; nil when it does not outlive the process.
    package var journal: String?
    /// Unix time in nanoseconds.
    package var wallTime: @Sendable () -> UInt64 = DeadLetterBox.systemTime
    package var log: @Sendable (LogLevel, String) -> Void
    /// Told, before they are acknowledged, of records of a frame that were not delivered: where it ends, how many they
    /// are and why. Of some frames several times, and of more than there were where the destination only counts them.
    package var lost: @Sendable (_ end: Sequence, _ items: Int, _ reason: String) -> Void = { _, _, _ in }

    package init(
        exporterID: String, pipelineID: String, options: ExporterHelperOptions, isDurable: Bool,
        batchBytesMax: Int = 16 << 20, deadLetters: DeadLetterBox? = nil, effects: WorkerEffects = .system(),
        log: @escaping @Sendable (LogLevel, String) -> Void = { _, _ in }
    ) {
        self.exporterID = exporterID
        self.pipelineID = pipelineID
        self.options = options
        self.isDurable = isDurable
        self.batchBytesMax = batchBytesMax
        self.deadLetters = deadLetters
        self.effects = effects
        self.log = log
    }
}

/// Carries frames from one cursor to one exporter: reads, batches, delivers, retries, acknowledges, counts.
///
/// `run()` holds at most `concurrency` deliveries and one read of frames in memory; the rest waits in the journal.
package final class ExportWorker: Sendable {
    /// Longest wait for a frame, so that a shutdown is noticed.
    static let pollInterval = Duration.milliseconds(250)
    static let framesPerRead = 256
    /// How long frames gather for a batch that is open before they are read.
    static let gatherTime = Duration.milliseconds(2)
    static let bytesPerRead = 2 << 20
    /// Bytes of deliveries that run at once where there is no limit of memory.
    package static let bytesInFlightMax = 128 << 20
    /// Most frames that may be read and unacknowledged, so that one batch that keeps failing while others pass it
    /// cannot make the list of what is settled behind it grow for ever.
    static let openFramesMax = 65_536

    /// Stands for the name of a journal that does not outlive the process.
    private static let life = UInt64.random(in: 0 ... .max).hexDigits

    let setup: ExportWorkerSetup
    let cursor: any FrameCursor
    let exporter: any Exporter
    package let account: DeliveryAccount
    let concurrency: Int
    /// Set when the exporter remembers what it has committed of this journal.
    let commitLane: CommitLane?
    private let committed: Counter?
    /// What the numbers of deliveries begin at: FNV-1a of the pipeline's name and the journal's, the same in each
    /// process that reads this journal, and another for the journal of another gateway.
    let firstNumber: UInt64
    let state = Mutex(State())
    /// Deliveries that have ended settled, of all that were begun.
    let ended = Atomic(0)
    /// What intake may take before it looks at the backlog again, in units of `sending_queue.sizer`.
    let intakeRoom = Atomic(0)
    private let drainRequests: AsyncStream<Duration>
    private let drainRequest: AsyncStream<Duration>.Continuation

    struct State {
        var tracker = AcknowledgementTracker()
        var isDraining = false
        /// When a drain is over that has begun.
        var drainEnd: Duration?
        /// What of `holdEnd` the destination has asked for; the rest is our own back-off.
        var askedEnd: Duration?
        /// Records that are left to the journal since their last attempt in a drain has failed.
        var givenUp = 0
        /// Nothing more is to be read, and no attempt to be made.
        var isLeaving = false
        /// Another worker may go on with what is left.
        var mayGoOn = false
        var turnsSendersAway = false
        var isStarted = false
        var isFinished = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var failures = LogLimiter()
        var losses = LogLimiter()
        var isFailing = false
        var skipped = SkippedFrames()
        var shedding = Shedding()
        var outcomes = RecentOutcomes()
        /// Until when nobody sends, because the destination asked for it.
        var holdEnd: Duration?
        /// Records of deliveries that have begun and are not settled.
        var underWay = 0
        /// The reason for which records count as dropped whose attempts end without success; nil while another worker
        /// may go on with them.
        var forsaken: String?
        /// The pauses before the next attempts, by number.
        var pauses: [Int: Pause] = [:]
        var lastPause = 0
        /// The last failed attempt or lost batch, and when that was.
        var lastError: (text: String, time: Duration)?

        /// Whether a drain is over before a pause that nobody has asked for.
        func cuts(_ pause: Pause) -> Bool {
            if pause.isCut { return true }
            guard let drainEnd else { return false }
            return pause.isOwn && pause.end > drainEnd
        }

        /// Ends pauses that nobody has asked for and that end behind `limit`.
        mutating func cutPauses(behind limit: Duration) {
            if let end = holdEnd, end > limit, let askedEnd, askedEnd <= limit { holdEnd = askedEnd }
            for (id, pause) in pauses where pause.end > limit && (pause.isOwn || pause.isHold) {
                pauses[id]?.isCut = true
                pause.sleep?.cancel()
            }
        }
    }

    struct Pause {
        var end: Duration
        /// A back-off of our own, not what the destination has asked for.
        var isOwn = false
        /// Lasts as long as `holdEnd`, which is to be looked at again when it is over.
        var isHold = false
        /// Over before its end.
        var isCut = false
        /// Ends the pause early.
        var sleep: Task<Void, any Error>?
    }

    /// Registers the worker's metrics; `run()` does the rest.
    package init(
        cursor: any FrameCursor, exporter: any Exporter, metrics: SelfMetrics, setup: ExportWorkerSetup
    ) {
        self.cursor = cursor
        self.exporter = exporter
        self.setup = setup
        concurrency = max(1, min(setup.options.queue.concurrency, exporter.maxConcurrency))
        firstNumber = FNV.hash("\(setup.pipelineID) \(setup.journal ?? Self.life)".utf8)
        let labels = [(name: "exporter", value: setup.exporterID), (name: "pipeline", value: setup.pipelineID)]
        account = DeliveryAccount(metrics: metrics, labels: labels)
        commitLane =
            exporter.recordsCommits ? setup.journal.map { CommitLane(journal: $0, exporter: setup.exporterID) } : nil
        committed = commitLane.map { _ in
            metrics.counter(
                "sluice_exporter_already_committed_items_total",
                "Records, counted as sent, that the destination had committed before the gateway was killed.", labels)
        }
        (drainRequests, drainRequest) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1))
        if setup.hold > .zero { hold(setup.hold) }
        let sizer = setup.options.queue.sizer
        metrics.gauge("otelcol_exporter_queue_size", "Backlog in units of sending_queue.sizer.", labels) {
            [weak self] in Double(self.map { sizer.measure($0.openBacklog) } ?? 0)
        }
        if let capacity = setup.options.queue.capacity {
            metrics.gauge("otelcol_exporter_queue_capacity", "sending_queue.queue_size.", labels) { Double(capacity) }
        }
        metrics.gauge("sluice_exporter_held_items", "Records neither delivered nor dropped yet.", labels) {
            [weak self] in Double(self?.heldItems ?? 0)
        }
    }

    /// Records that are neither delivered nor dropped yet.
    package var heldItems: Int { openBacklog.items }

    /// Delivers until the task is cancelled or a drain is over. Call once.
    package func run() async {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard isFirst else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.deliver() }
            group.addTask { await self.waitForDrainDeadline() }
            await group.next()
            group.cancelAll()
        }
        finish()
    }

    /// Keeps delivering what is held until all is gone or `deadline` from now has passed, and returns when `run()` has
    /// ended. What is left stays in a journal on disk; from a journal in memory it is counted as dropped. Safe to call
    /// twice.
    ///
    /// What would be tried again later than that gets one last attempt at once. It ends early when nothing else is
    /// left.
    ///
    /// With `mayGoOn` what is left is not given up yet: that is for `giveUp`, or for another worker.
    package func drain(deadline: Duration, mayGoOn: Bool = false) async {
        let limit: Duration? = deadline > .zero ? setup.effects.now() + deadline : nil
        await end(deadline) { state in
            state.isDraining = true
            state.mayGoOn = mayGoOn
            state.drainEnd = state.drainEnd ?? limit
            if let limit { state.cutPauses(behind: limit) }
        }
    }

    /// Tries at once what would be tried again later than `deadline` from now: a drain follows that is over then.
    package func tryAgain(before deadline: Duration) {
        let limit = setup.effects.now() + deadline
        state.withLock { $0.cutPauses(behind: limit) }
    }

    /// Ends so that another worker can go on with the cursor: reads no more, makes no new attempts, lets those under
    /// way end until `deadline` from now, and returns when `run()` has ended. What is not delivered stays in the
    /// journal.
    package func leave(deadline: Duration) async {
        await end(deadline) { state in
            (state.isLeaving, state.mayGoOn) = (true, true)
            for pause in state.pauses.values { pause.sleep?.cancel() }
        }
    }

    private func end(_ deadline: Duration, _ begin: (inout State) -> Void) async {
        let wasStarted = state.withLock { state in
            begin(&state)
            defer { state.isStarted = true }
            return state.isStarted
        }
        guard wasStarted else { return finish() }
        drainRequest.yield(deadline)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isFinished = state.withLock { state in
                if !state.isFinished { state.waiters.append(continuation) }
                return state.isFinished
            }
            if isFinished { continuation.resume() }
        }
    }

    private func waitForDrainDeadline() async {
        for await deadline in drainRequests {
            try? await setup.effects.sleep(deadline)
            return
        }
        // Cancelled: the other task of the group ends by itself.
    }

    private func finish() {
        countLosses()
        if !state.withLock({ $0.mayGoOn }) { giveUp() }
        let waiters = state.withLock { state in
            state.isFinished = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Name of the journal that the cursor reads; nil when it does not outlive the process.
    package var journal: String? { setup.journal }

    /// Tells what is left, and counts it as dropped unless it stays on disk. For what of it attempts are under way, of
    /// this worker or of `others` with the same cursor, see `forsake`.
    package func giveUp(behind others: [ExportWorker] = []) {
        let (isDurable, reason) = (setup.isDurable, "shutdown")
        let left = isDurable ? heldItems : Self.forsake(others, reason: reason) { forsake(reason: reason) { $0 } }
        if left > 0 {
            let fate = isDurable ? "stay in the journal on disk" : "are lost: sending_queue.storage is memory"
            setup.log(isDurable ? .info : .warn, "exporter \(setup.exporterID): \(left) undelivered records \(fate)")
        }
        if !isDurable { account.dropped(left, reason: reason) }
    }

    /// Nobody goes on with what the journal has for this worker: `left` gives it, from the worker's backlog or from
    /// elsewhere. Gives how many records of that are to be counted as dropped. Not those that attempts are under way
    /// for: they count when these have ended, as sent or for `reason`.
    ///
    /// Nothing is settled while `left` is asked. The second time, the attempts count by the first.
    package func forsake(reason: String, _ left: (_ backlog: Int) -> Int) -> Int {
        state.withLock { state in
            let all = left(backlog(state).items)
            guard state.forsaken == nil else { return all }
            state.forsaken = reason
            return max(0, all - state.underWay)
        }
    }

    /// The same for several workers that had one cursor, one after the other.
    package static func forsake(_ workers: [ExportWorker], reason: String, _ left: () -> Int) -> Int {
        guard let first = workers.first else { return left() }
        return first.forsake(reason: reason) { _ in forsake(Array(workers.dropFirst()), reason: reason, left) }
    }

    /// Counts records that the destination has had since before a restart.
    func known(_ items: Int, _ signal: Signal) {
        account.delivered(items, signal)
        committed?.add(items)
    }

    func countLosses() {
        let now = setup.effects.now()
        let leftOut = state.withLock { $0.losses.takeLeftOut(at: now) }
        if leftOut > 0 {
            setup.log(.error, "exporter \(setup.exporterID): \(leftOut) more lines about what was lost were left out")
        }
        for loss in cursor.takeLosses() where loss.items > 0 {
            account.dropped(loss.items, reason: loss.reason)
            complain("\(loss.items) records of the journal are skipped: \(loss.reason)")
        }
    }
}
