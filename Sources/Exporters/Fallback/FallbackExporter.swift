package import Pipeline
import Synchronization
import Telemetry

/// Gives batches to the first of several exporters that works, goes back to it when it works again, and sends it what
/// the others got meanwhile.
///
/// What the first one missed lies in a journal of its own, with a worker that tries for ever: its first success is also
/// what brings the exporter back when no new data comes.
package final class FallbackExporter: Exporter {
    /// An exporter behind this one.
    package typealias Child = (id: String, exporter: any Exporter)

    /// What is kept for one exporter.
    private struct Missed {
        /// The exporter's index.
        var child: Int
        var log: any FrameLog
        var worker: ExportWorker
        var task: Task<Void, Never>
    }

    /// The want of room for what the first exporter misses.
    private struct Crowding {
        /// Set while nothing can be kept: how many records it will not get for that.
        var lost: Int?
        /// Whether this outage's line about it is in the log. Room that comes and goes is no news.
        var isTold = false
    }

    /// Stands for a pipeline where there is none: in names of journals that are kept for exporters, of their cursors
    /// and in labels.
    package static let missed = "missed"

    /// Name of the journal that is kept for the first exporter. It is that of no other: who else becomes the first has
    /// the data already.
    package static func missedJournal(of first: String) -> String { "\(missed)~\(first)" }

    /// How the lines of `sluice queue` name what is kept for the first exporter.
    package static func nameOfMissed(_ id: String, first: String) -> String { "\(id) to \(first)" }

    package let maxConcurrency: Int
    private let options: FallbackOptions
    private let children: [Child]
    private let build: ExporterBuild
    private let effects: WorkerEffects
    private let health: Mutex<FallbackHealth>
    private let missed = Mutex<[Missed]>([])
    private let diverted: Counter
    private let crowding = Mutex(Crowding())
    /// What the first exporter will not get, for want of room and as never to be kept.
    private let noRoom: Counter
    private let neverKept: Counter
    private let letters = Mutex<DeadLetterBox?>(nil)

    /// `children` in the order of `options.exporters`.
    package init(
        options: FallbackOptions, children: [Child], build: ExporterBuild, effects: WorkerEffects = .system()
    ) {
        self.options = options
        self.children = children
        self.build = build
        self.effects = effects
        maxConcurrency = children.map(\.exporter.maxConcurrency).min() ?? 1
        health = Mutex(
            FallbackHealth(
                count: children.count, switchAfter: options.switchAfter, retryInterval: options.retryInterval))
        let labels = [
            (name: "exporter", value: Self.nameOfMissed(build.id, first: children.first?.id ?? "")),
            (name: "pipeline", value: Self.missed),
        ]
        noRoom = DeliveryAccount.droppedCounter(build.metrics, labels, reason: "no_room")
        neverKept = DeliveryAccount.droppedCounter(build.metrics, labels, reason: "never_kept")
        diverted = build.metrics.counter(
            "sluice_exporter_fallback_items_total", "Records that another exporter than the first got.",
            [("exporter", build.id)])
    }

    /// Where what the first exporter refuses of what it missed is kept. To be called before the start.
    package func keepLetters(in box: DeadLetterBox) { letters.withLock { $0 = box } }

    package func check() throws {
        for (_, child) in children { try child.check() }
    }

    package func start() async throws {
        for (id, child) in children {
            do { try await child.start() } catch { throw ExporterStartFailure("exporter \(id): \(error)") }
        }
        guard options.replays, let open = build.openJournal else { return }
        for (index, (id, _)) in children.enumerated() where children.firstIndex(where: { $0.id == id }) == index {
            let name = Self.missedJournal(of: id)
            // Another one has what it missed while it was the first.
            guard index == 0 || build.hasJournal?(name) ?? false else { continue }
            let kept = try deliver(open(name), to: index)
            missed.withLock { $0.append(kept) }
        }
    }

    /// Begins to deliver what is kept for an exporter.
    private func deliver(_ log: any FrameLog, to index: Int) throws -> Missed {
        let child = children[index]
        let returning = ReturningExporter(child: child.exporter, longestWait: options.retryInterval) {
            [weak self] isWorking in
            self?.note(index, isWorking: isWorking)
        }
        var helper = options.helper
        helper.retry.maxElapsedTime = .zero
        helper.retry.isEnabled = true
        helper.retry.initialInterval = min(helper.retry.initialInterval, options.retryInterval)
        helper.retry.maxInterval = max(helper.retry.initialInterval, options.retryInterval)
        helper.queue.capacity = nil
        var setup = ExportWorkerSetup(
            exporterID: Self.nameOfMissed(build.id, first: child.id), pipelineID: Self.missed, options: helper,
            isDurable: log.position != nil, effects: effects, log: build.log)
        setup.journal = log.position?.name
        setup.metadataKeys = build.metadataKeys
        setup.deadLetters = letters.withLock(\.self)
        setup.letterExporter = child.id
        let worker = ExportWorker(
            cursor: try log.cursor(named: Self.missed), exporter: returning, metrics: build.metrics, setup: setup)
        return Missed(child: index, log: log, worker: worker, task: Task { await worker.run() })
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        var last = ExportOutcome.retry(reason: "no exporter could be tried", after: nil)
        for (index, child) in children.enumerated() {
            guard health.withLock({ $0.mayTry(index, now: effects.now()) }) else { continue }
            last = await child.exporter.export(batch)
            guard case .retry(let reason, let hint) = last else {
                note(index, isWorking: true)
                return index == 0 ? last : await diverted(batch, last)
            }
            guard note(index, isWorking: false) else {
                let most = health.withLock { $0.longestWait(index, now: effects.now()) }
                return .retry(reason: "\(child.id): \(reason)", after: hint.map { min($0, most) })
            }
        }
        return last
    }

    package func shutdown() async {
        let all = missed.withLock { missed in
            defer { missed = [] }
            return missed
        }
        for kept in all { kept.task.cancel() }
        for kept in all {
            await kept.task.value
            kept.log.close()
        }
        for (_, child) in children { await child.shutdown() }
    }

    /// What exporters still have to get of what they missed as the first one.
    package func statuses(now: UInt64) -> [ExportWorkerStatus] {
        missed.withLock { $0.map { $0.worker.status(now: now) } }
    }

    /// Takes note of an answer or failure. True when the batch shall go on to the next exporter.
    @discardableResult
    private func note(_ index: Int, isWorking: Bool) -> Bool {
        if isWorking {
            if index == 0 { noteBack() }
            if health.withLock({ $0.succeeded(index) }) {
                build.log(.info, "exporter \(build.id): \(children[index].id) works again and has the data again")
            }
            return false
        }
        let (goesOn, isNews) = health.withLock { $0.failed(index, now: effects.now()) }
        if isNews {
            let next = children[index + 1].id
            build.log(.warn, "exporter \(build.id): \(children[index].id) fails; its data goes to \(next)")
        }
        return goesOn
    }

    /// Deals with the answer of another exporter than the first: what it took, or will never take, is kept for the
    /// first one.
    private func diverted(_ batch: ExportBatch, _ outcome: ExportOutcome) async -> ExportOutcome {
        switch outcome {
        case .delivered, .partial, .refused: diverted.add(batch.itemCount)
        case .permanent: break
        case .tooLarge where batch.itemCount == 1: break
        case .retry, .notYet, .tooLarge, .committed, .refusedTogether, .unprocessed: return outcome
        }
        guard let log = missed.withLock({ $0.first { $0.child == 0 }?.log }) else { return outcome }
        switch await keep(batch, log) {
        case .kept:
            guard let reason = Self.refusal(outcome) else { return outcome }
            build.log(.warn, "exporter \(build.id): kept for \(children[0].id), as another refuses it: \(reason)")
            return .delivered
        case .notKept: return outcome
        case .taken(let answer):
            if Self.refusal(outcome) != nil { return answer }
            switch answer {
            case .permanent(let reason): neverKeeps(batch.itemCount, reason)
            case .partial(let rejected, let message) where rejected > 0: neverKeeps(rejected, message)
            case .refused(let records, let message, _): neverKeeps(records.count, message)
            default: break
            }
            return outcome
        case .cancelled: return .retry(reason: "what the first exporter misses cannot be kept", after: nil)
        }
    }

    /// Why all of a batch will never be taken.
    private static func refusal(_ outcome: ExportOutcome) -> String? {
        switch outcome {
        case .permanent(let reason), .tooLarge(let reason): reason
        default: nil
        }
    }

    private enum Keeping {
        case kept
        case notKept
        /// The first exporter works again and has answered.
        case taken(ExportOutcome)
        case cancelled
    }

    /// Keeps a batch for the first exporter. While there is no room it waits for that, or for the exporter itself, but
    /// not for ever: what could make room may wait behind it.
    private func keep(_ batch: ExportBatch, _ log: any FrameLog) async -> Keeping {
        let header = FrameHeader(
            signal: batch.signal, itemCount: UInt32(clamping: batch.itemCount), maxTime: batch.newest,
            tenant: batch.tenant, metadata: batch.metadata)
        let frame = Frame(header: header, bytes: batch.bytes)
        let begin = effects.now()
        while case .refused(let reason, let retryAfter, let isFinal) = await log.append(frame) {
            if isFinal {
                neverKeeps(batch.itemCount, reason)
                return .notKept
            }
            let left = waitLeft(since: begin, reason)
            guard left > .zero else {
                giveUp(batch.itemCount)
                return .notKept
            }
            do { try await effects.sleep(min(max(retryAfter, .milliseconds(250)), left)) } catch { return .cancelled }
            guard health.withLock({ $0.mayTry(0, now: effects.now()) }) else { continue }
            let answer = await children[0].exporter.export(batch)
            switch answer {
            case .retry: note(0, isWorking: false)
            // Nobody parts the batch here; what is kept is parted when it is replayed.
            case .tooLarge, .refusedTogether, .unprocessed, .committed, .notYet: note(0, isWorking: true)
            case .delivered, .partial, .refused, .permanent:
                note(0, isWorking: true)
                return .taken(answer)
            }
        }
        // What comes behind a batch that was given up does not wait again in this outage.
        crowding.withLock { if $0.lost == 0 { $0.lost = nil } }
        return .kept
    }

    /// How long a batch may still wait for room, and not at all when others have waited in vain. Tells once an outage
    /// that it has to.
    private func waitLeft(since begin: Duration, _ reason: String) -> Duration {
        let (lost, isTold) = crowding.withLock { crowding in
            let before = (crowding.lost ?? 0, crowding.isTold)
            crowding.lost = before.0
            crowding.isTold = true
            return before
        }
        if !isTold { build.log(.error, "exporter \(build.id): what \(children[0].id) misses waits: \(reason)") }
        // Twice, so that the exporter is tried meanwhile.
        return lost > 0 ? .zero : options.retryInterval * 2 - (effects.now() - begin)
    }

    private func neverKeeps(_ items: Int, _ reason: String) {
        neverKept.add(items)
        let reason = reason.isEmpty ? ExportWorker.noReason : reason
        build.log(.error, "exporter \(build.id): \(children[0].id) will not get \(items) records: \(reason)")
    }

    /// Counts what the first exporter will not get, and tells once that it begins.
    private func giveUp(_ items: Int) {
        noRoom.add(items)
        let isNew = crowding.withLock { crowding in
            defer { crowding.lost = (crowding.lost ?? 0) + items }
            return crowding.lost ?? 0 == 0
        }
        if isNew {
            build.log(.error, "exporter \(build.id): for want of room \(children[0].id) will not get what it misses")
        }
    }

    /// The first exporter works again.
    private func noteBack() {
        let before = crowding.withLock { crowding in
            defer { crowding = Crowding() }
            return crowding.lost
        }
        guard let before, before > 0 else { return }
        build.log(
            .error, "exporter \(build.id): \(children[0].id) will not get \(before) records, for want of room")
    }
}

/// Tells whether the exporter behind it works.
private struct ReturningExporter: Exporter {
    let child: any Exporter
    /// Cap of what it may ask for by Retry-After: new batches are tried that often too.
    let longestWait: Duration
    let note: @Sendable (Bool) -> Void

    var maxConcurrency: Int { min(child.maxConcurrency, 4) }

    func start() async throws {}

    func export(_ batch: ExportBatch) async -> ExportOutcome {
        let outcome = await child.export(batch)
        guard case .retry(let reason, let hint) = outcome else {
            note(true)
            return outcome
        }
        note(false)
        return .retry(reason: reason, after: hint.map { min($0, longestWait) })
    }

    func shutdown() async {}
}
