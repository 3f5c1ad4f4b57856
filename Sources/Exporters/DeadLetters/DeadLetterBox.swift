import Dispatch
import Glibc
package import Pipeline
import Synchronization

/// Keeps one exporter's dead letters within their bounds. Safe to use from any task; writes run one by one on a queue
/// of its folder, since they sync.
package final class DeadLetterBox: Sendable {
    /// Most letters of one exporter, so that a backend that refuses everything does not fill a folder with small files.
    package static let lettersMax = 10_000

    private struct Kept {
        var isStarted = false
        var letters: [(id: String, time: UInt64, bytes: Int)] = []
        var bytes = 0
        /// `DeadLetterFolder.changeTime` before the folder was read.
        var changeTime: [Int] = []
    }

    /// What was removed to make room and no line of the log has told.
    private struct Crowded {
        var letters = 0
        var limiter = LogLimiter(interval: .seconds(60))
    }

    private let folder: DeadLetterFolder
    private let exporterID: String
    private let maxBytes: Int
    private let maxAge: UInt64
    /// Time between two looks for letters that are too old.
    private let sweepInterval: Duration
    private let now: @Sendable () -> UInt64
    private let queue: DispatchQueue
    private let kept = Mutex(Kept())
    private let crowded = Mutex(Crowded())
    private let removed: Counter
    private let effects = WorkerEffects.system()
    private let log: @Sendable (LogLevel, String) -> Void

    /// By the path of the folder. A worker whose attempts go on under the next configuration keeps letters in a box of
    /// the one before, beside that of its successors.
    private static let queues = Mutex<[String: DispatchQueue]>([:])

    private static func queue(of folder: DeadLetterFolder) -> DispatchQueue {
        queues.withLock { queues in
            let queue = queues[folder.path] ?? DispatchQueue(label: "sluice.dead-letters")
            queues[folder.path] = queue
            return queue
        }
    }

    /// `now` is Unix time in nanoseconds. Registers the box's metrics.
    package init(
        folder: DeadLetterFolder, options: DeadLetterOptions, exporterID: String, metrics: SelfMetrics,
        sweepInterval: Duration? = nil, now: @escaping @Sendable () -> UInt64 = DeadLetterBox.systemTime,
        log: @escaping @Sendable (LogLevel, String) -> Void = { _, _ in }
    ) {
        self.exporterID = exporterID
        self.log = log
        self.sweepInterval = sweepInterval ?? min(max(options.maxAge / 20, .seconds(1)), .seconds(600))
        self.folder = folder
        queue = Self.queue(of: folder)
        self.now = now
        maxBytes = options.maxBytes
        maxAge = UInt64(clamping: options.maxAge.components.seconds) &* 1_000_000_000
        let labels = [(name: "exporter", value: exporterID)]
        removed = metrics.counter(
            "sluice_dead_letters_removed_total", "Letters removed for their age or to make room.", labels)
        metrics.gauge("sluice_dead_letters", "Letters kept: batches that failed for good.", labels) { [weak self] in
            Double(self?.look().count ?? 0)
        }
        metrics.gauge("sluice_dead_letters_bytes", "Bytes of the letters kept.", labels) { [weak self] in
            Double(self?.look().bytes ?? 0)
        }
    }

    /// Unix time in nanoseconds.
    package static let systemTime: @Sendable () -> UInt64 = {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }

    /// Reads what an earlier run left and removes what is too old, now and from time to time. Without it, only `keep`
    /// does that.
    package func start() async {
        await withCheckedContinuation { continuation in
            queue.async {
                self.prepare()
                continuation.resume()
            }
        }
        scheduleSweep()
    }

    private func scheduleSweep() {
        queue.asyncAfter(deadline: .now() + .milliseconds(Int(sweepInterval / .milliseconds(1)))) { [weak self] in
            self?.removeOld(room: 0)
            self?.scheduleSweep()
        }
    }

    /// Writes a letter and syncs it. The oldest ones go when there is no room.
    package func keep(_ letter: DeadLetter) async -> Result<String, DeadLetterFailure> {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.write(letter)) }
        }
    }

    /// What is kept now, without what commands have removed.
    private func look() -> (count: Int, bytes: Int) {
        kept.withLock { kept in
            if kept.isStarted { refresh(&kept) }
            return (kept.letters.count, kept.bytes)
        }
    }

    /// Reads the folder when its entries have changed.
    private func refresh(_ kept: inout Kept) {
        let time = folder.changeTime
        guard time != kept.changeTime else { return }
        // What else happens in the same tick of the file system's clock would not show.
        let isRecent = Int(clamping: Self.systemTime() / 1_000_000_000) - (time.first ?? 0) < 2
        kept.changeTime = isRecent ? [] : time
        kept.letters = folder.sizes()
        kept.bytes = kept.letters.reduce(0) { $0 + $1.bytes }
    }

    // MARK: On the queue

    private func prepare() {
        kept.withLock { kept in
            refresh(&kept)
            kept.isStarted = true
        }
        removeOld(room: 0)
    }

    private func write(_ letter: DeadLetter) -> Result<String, DeadLetterFailure> {
        guard letter.bytes.count <= maxBytes else {
            let reason = "\(letter.bytes.count) bytes are more than dead_letters.max_size"
            return .failure(DeadLetterFailure(reason, isFinal: true))
        }
        if let failure = folder.makeFolder() { return .failure(failure) }
        if !kept.withLock({ $0.isStarted }) { prepare() }
        removeOld(room: letter.bytes.count)
        let time = now()
        return folder.write(letter, time: time).map { written in
            kept.withLock { kept in
                // Somebody who looked in between has found it already.
                if kept.letters.contains(where: { $0.id == written.id }) { return }
                kept.letters.append((written.id, time, written.bytes))
                kept.bytes += written.bytes
            }
            return written.id
        }
    }

    /// Removes letters that are too old, and the oldest until `room` more bytes and one more letter fit.
    private func removeOld(room: Int) {
        let time = now()
        let gone = kept.withLock { kept -> [(id: String, isOld: Bool)] in
            if kept.bytes + room > maxBytes || kept.letters.count >= Self.lettersMax { refresh(&kept) }
            var gone: [(id: String, isOld: Bool)] = []
            for letter in kept.letters {
                let isOld = time > letter.time && time - letter.time > maxAge
                let isCrowded = kept.bytes + room > maxBytes || kept.letters.count - gone.count >= Self.lettersMax
                guard isOld || isCrowded else { break }
                kept.bytes -= letter.bytes
                gone.append((letter.id, isOld))
            }
            kept.letters.removeFirst(gone.count)
            return gone
        }
        var crowdedOut = 0
        for (id, isOld) in gone where folder.remove(id) {
            removed.add()
            if !isOld { crowdedOut += 1 }
        }
        tellCrowded(crowdedOut)
    }

    /// Adds to what was removed to make room, and tells of it now and then.
    private func tellCrowded(_ letters: Int) {
        let now = effects.now()
        let told = crowded.withLock { crowded -> Int in
            crowded.letters += letters
            guard crowded.letters > 0, crowded.limiter.allow(at: now) != nil else { return 0 }
            defer { crowded.letters = 0 }
            return crowded.letters
        }
        guard told > 0 else { return }
        log(
            .warn,
            "exporter \(exporterID): dead letters: \(told) of the oldest were removed to make room "
                + "(dead_letters.max_size, or \(Self.lettersMax) letters); see `sluice dlq list`")
    }
}
