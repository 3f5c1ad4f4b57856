package import Pipeline
import Synchronization

/// A journal in a directory of its own: what it reports stored is on disk and synced.
///
/// Three threads: one writes (one sync serves all appends that wait), one reads for cursors that do not keep up, one
/// saves cursors and removes finished segments. Everything they share is one `JournalIndex` under one lock, which is
/// never held during a system call.
///
/// They interrupt nobody: where all processors are busy, the disk's answer would otherwise stop the thread that takes
/// requests or sends batches in the middle of one, for each write and each sync. What that one still takes is in the
/// next group of appends then, so that groups are larger and fewer. `WriterTurns` knows the exceptions.
package final class DiskJournal: FrameLog {
    private let core: JournalCore
    private let threads = Mutex<[DiskThread]>([])

    /// Opens or makes the journal in `directory`, whose parent must exist, repairing what a crash or a bad disk left.
    /// Blocks for the disk. Throws `JournalError`.
    package init(
        directory: String, options: DiskJournalOptions = DiskJournalOptions(),
        files: any JournalFileSystem = DiskFileSystem(),
        log: @escaping @Sendable (JournalNotice) -> Void = { _ in }
    ) throws {
        var recovery = Recovery(files: files, directory: directory, log: log)
        let state = try recovery.run(tailBytes: options.tailBytes)
        let core = JournalCore(directory: directory, options: options, files: files, log: log, state: state)
        self.core = core
        var started: [DiskThread] = []
        do {
            started.append(try DiskThread("journal write") { core.runWriter() })
            started.append(try DiskThread("journal read") { core.runReader() })
            started.append(try DiskThread("journal keep") { core.runKeeper() })
        } catch {
            threads.withLock { $0 = started }
            close()
            throw JournalError.system(error)
        }
        threads.withLock { $0 = started }
        // Segments that all cursors passed before the last end go now.
        core.keeperEvent.set()
    }

    deinit { close() }

    package func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        core.append(frame, [], completion: completion)
    }

    package func append(
        _ frame: Frame, _ hints: AppendHints, completion: @escaping @Sendable (AppendResult) -> Void
    ) {
        core.append(frame, hints, completion: completion)
    }

    package func flush() { core.flush() }

    package var holdsAnswers: Bool { core.shared.withLock { !$0.pacing.isEmpty } }

    /// Whether the writer and the keeper interrupt others.
    var interruptsOthers: Bool { core.interruptsOthers.load(ordering: .relaxed) }

    package func cursor(named name: String) throws -> any FrameCursor {
        DiskCursor(core: core, name: name, handle: try core.openCursor(name))
    }

    /// Removes the cursors of all exporters but these. To be called when the configuration is known: the cursor of an
    /// exporter that is no longer configured would keep its segments for ever. Gives those that are removed with
    /// something left, and how many records that is.
    @discardableResult
    package func retainCursors(named names: Set<String>) -> [(name: String, items: Int)] { core.retainCursors(names) }

    package var held: HeldAmount { core.shared.withLock { $0.index.held } }

    package var position: JournalPosition? {
        JournalPosition(
            high: core.journal.high, low: core.journal.low,
            next: Sequence(core.shared.withLock { $0.index.nextSequence }))
    }

    package func hasCursor(named name: String) -> Bool { core.shared.withLock { $0.index.cursors[name] != nil } }

    /// Names of the cursors that the journal has.
    package var cursorNames: [String] { core.shared.withLock { $0.index.cursors.keys.sorted() } }

    /// Bytes of records on disk, acknowledged or not.
    package var diskBytes: Int { core.shared.withLock { $0.index.bytes } }

    /// Why the last append was refused by the disk, or nothing can be read; nil while it works. For the health check.
    package var problem: String? { core.shared.withLock { $0.problem ?? $0.readProblem } }

    /// Stops intake, syncs what waits, saves the cursors, releases the directory. Waits for all that, unless a
    /// completion calls it.
    package func close() {
        core.stop()
        let threads = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        var isOver = !threads.isEmpty
        for thread in threads { isOver = thread.join() && isOver }
        // Another process may have the directory only when no thread of ours writes to it any more. Asked for by the
        // writer itself, the lock goes with the last reference to the core.
        if isOver { core.release() }
    }
}

/// A handle of one cursor.
private struct DiskCursor: FrameCursor {
    let core: JournalCore
    let name: String
    let handle: Int

    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        let (sum, overflow) = monotonicNanoseconds().addingReportingOverflow(timeout.nanoseconds)
        let deadline = overflow ? UInt64.max : sum
        while true {
            let wakeup = Wakeup()
            let until: UInt64
            switch core.read(name, handle: handle, maxFrames: maxFrames, maxBytes: maxBytes, wakeup: wakeup) {
            case .frames(let frames): return frames
            case .ended: return []
            // A read under way ends soon whatever the timeout; its frames are there to be had.
            case .wait(.forDisk, _): until = .max
            case .wait(.forAppend, _): until = deadline
            case .wait(.pause, _): until = min(deadline, monotonicNanoseconds() &+ 250_000_000)
            }
            if await wakeup.wait(until: until) { continue }
            if until >= deadline || Task.isCancelled { return [] }
        }
    }

    func acknowledge(before sequence: Sequence) { core.acknowledge(name, before: sequence) }

    func read(_ parts: [FramePart]) async -> PartReading {
        await withCheckedContinuation { continuation in core.read(parts) { continuation.resume(returning: $0) } }
    }

    func settle(_ items: Range<Sequence>) { core.settle(name, items) }

    func finishedWriting() async {
        let wakeup = Wakeup()
        guard core.mustWait(forWriting: name, wakeup) else { return }
        // A disk that hangs must not keep from being delivered what is in memory.
        _ = await wakeup.wait(until: monotonicNanoseconds() &+ 100_000_000)
    }

    func skip(_ frame: StoredFrame) -> SkipOutcome {
        core.settle(name, frame.range)
        return .passing(amount(of: frame))
    }

    func amount(of frame: StoredFrame) -> HeldAmount {
        let header = frame.frame.header
        let bytes = JournalFormat.recordBytes(
            tenant: header.tenant.utf8.count, metadata: RecordMetadata.encode(header.metadata).count,
            payload: frame.frame.bytes.count)
        return HeldAmount(frames: 1, items: Int(header.itemCount), bytes: bytes)
    }

    func takeLosses() -> [(reason: String, items: Int)] {
        core.shared.withLock { $0.index.cursors[name]?.takeLosses() ?? [] }
    }

    var backlog: HeldAmount {
        core.shared.withLock { shared in
            shared.index.cursors[name].map { shared.index.backlog(of: $0) } ?? HeldAmount()
        }
    }

    var durable: Sequence { Sequence(core.shared.withLock { $0.index.cursors[name]?.saved ?? 0 }) }
}
