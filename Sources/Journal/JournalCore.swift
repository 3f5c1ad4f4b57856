import Glibc
import Pipeline
import Synchronization

/// What the handle, the cursors and the threads of a disk journal share.
final class JournalCore: Sendable {
    struct Shared: Sendable {
        var index: JournalIndex
        var pending: [PendingAppend] = []
        /// Bytes of records in `pending` and in the group being written.
        var pendingBytes = 0
        /// Cursors that wait for a read from disk.
        var fetches: [String] = []
        /// Parts of frames that are to be read again.
        var partReads: [PartRead] = []
        /// Segments that all known cursors have passed stay, since others may be to come.
        var awaitsCursors: Bool
        /// The largest record that was refused for the present problem, in bytes.
        var refusedBytes = 0
        /// A keeper round is coming.
        var isKeeping = false
        /// Answers to stored appends that wait for a reader.
        var pacing: AppendPacing
        /// An append was refused for want of room.
        var wantsRoom = false
        var isClosing = false
        var problem: String?
        /// Reads from disk that failed for a reason that may pass, in a row, and why the last one did.
        var failedReads = (count: 0, reason: "")
        /// Names of cursors that could not be saved, until they are.
        var unsavedCursors: Set<String> = []

        /// The answers that wait no longer.
        mutating func takeDue(now: UInt64) -> [AppendPacing.Answer] {
            pacing.isEmpty ? [] : pacing.takeDue(unread: index.unread(at: now), now: now)
        }
    }

    let directory: String
    let options: DiskJournalOptions
    let files: any JournalFileSystem
    let log: @Sendable (JournalNotice) -> Void
    let journal: JournalID
    let firstNumber: UInt64
    let segmentBytes: Int
    /// Unread bytes above which answers wait for readers.
    let pace: Int
    let shared: Mutex<Shared>
    /// Held while cursor files are written, so never while `shared` is held.
    let cursorFiles: Mutex<CursorFiles>
    let spares: Mutex<SpareSegments>
    /// Bytes appended in all at the last round of the keeper. The first round spares senders, who come back at a start.
    let keptAppended = Atomic(-1)
    /// Whether the writer has reason to interrupt others. The keeper, for which deliveries wait, does as it does.
    let interruptsOthers = Atomic(false)
    let writerEvent = Event()
    let readerEvent = Event()
    let keeperEvent = Event()
    private let lock: Mutex<any JournalFile>

    init(
        directory: String, options: DiskJournalOptions, files: any JournalFileSystem,
        log: @escaping @Sendable (JournalNotice) -> Void, state: Recovery.State
    ) {
        self.directory = directory
        self.options = options
        self.files = files
        self.log = log
        journal = state.journal
        firstNumber = state.nextNumber
        lock = Mutex(state.lock)
        let least = JournalFormat.dataOffset + 4096
        let cap = options.maxBytes > 0 ? options.maxBytes / 8 : Int.max
        segmentBytes = max(least, min(options.segmentBytes, cap))
        var index = state.index
        pace = min(options.paceBytes, options.tailBytes / 2)
        index.nearBytes = pace
        shared = Mutex(
            Shared(
                index: index, awaitsCursors: options.awaitsCursors,
                pacing: AppendPacing(limit: pace, longestWait: UInt64(options.paceWait.nanoseconds))))
        spares = Mutex(SpareSegments(state.leftovers))
        cursorFiles = Mutex(CursorFiles(files: files, directory: directory, journal: state.journal))
    }

    func note(_ level: JournalNotice.Level, _ text: String) { log(JournalNotice(level: level, text: text)) }

    // MARK: Appending

    func append(_ frame: Frame, _ hints: AppendHints, completion: @escaping @Sendable (AppendResult) -> Void) {
        let tenantBytes = frame.header.tenant.utf8.count
        if let reason = Self.reasonNeverToTake(frame, tenantBytes: tenantBytes) {
            return completion(.refused(reason: reason, retryAfter: .seconds(60), isFinal: true))
        }
        let metadata = RecordMetadata.encode(frame.header.metadata)
        let size = JournalFormat.recordBytes(
            tenant: tenantBytes, metadata: metadata.count, payload: frame.bytes.count)
        let append = PendingAppend(
            frame: frame, metadata: metadata, recordBytes: size, hints: hints, completion: completion)
        let (immediate, mayWait) = shared.withLock { shared in
            let immediate = shared.add(append, options)
            return (immediate, hints.contains(.moreFollows) && shared.pendingBytes < Self.gatheredMax)
        }
        if !mayWait { writerEvent.set() }
        if let immediate { completion(immediate) }
    }

    /// With so many bytes there is work enough for the writer, whatever follows.
    static let gatheredMax = 4 << 20

    /// Starts the writer on what was appended when more was to follow.
    func flush() {
        if shared.withLock({ !$0.pending.isEmpty }) { writerEvent.set() }
    }

    /// What no journal can hold, whatever its options.
    private static func reasonNeverToTake(_ frame: Frame, tenantBytes: Int) -> String? {
        let bytesMax = JournalFormat.recordBytesMax
        if frame.bytes.count > bytesMax {
            let size = frame.bytes.count
            return "\(size) bytes at once are more than a journal takes (\(bytesMax)); send smaller batches"
        }
        let tenantMax = JournalFormat.tenantBytesMax
        guard tenantBytes > tenantMax else { return nil }
        return "the tenant's name has \(tenantBytes) bytes, and a journal takes \(tenantMax); give it a shorter one"
    }

    // MARK: Cursors

    func openCursor(_ name: String) throws(JournalError) -> Int {
        guard JournalFileName.cursor(named: name) != nil else { throw .invalidCursorName(name) }
        let state = shared.withLock { shared -> (handle: Int, wakeup: Wakeup?, new: CursorState?)? in
            if shared.isClosing { return nil }
            let oldest = shared.index.oldest
            let isNew = shared.index.cursors[name] == nil
            // In the index before on disk: from here on nothing it needs is removed.
            var cursor =
                shared.index.cursors.removeValue(forKey: name)
                ?? CursorState(position: oldest.sequence, place: oldest.place)
            let wakeup = cursor.takeWakeup()
            let handle = cursor.renew()
            shared.index.cursors[name] = cursor
            return (handle, wakeup, isNew ? cursor : nil)
        }
        guard let state else { throw .closed }
        state.wakeup?.fire(true)
        guard let new = state.new else { return state.handle }
        do throws(SystemError) {
            try cursorFiles.withLock { files throws(SystemError) in
                try files.save(name, new.picture)
            }
        } catch {
            shared.withLock { _ = $0.index.cursors.removeValue(forKey: name) }
            throw .system(error)
        }
        return state.handle
    }

    /// Gives those that are removed with something left, and how many records that is.
    func retainCursors(_ names: Set<String>) -> [(name: String, items: Int)] {
        let gone = shared.withLock { shared in
            shared.awaitsCursors = false
            return shared.index.cursors.keys.filter { !names.contains($0) }.sorted().map { name in
                var cursor = shared.index.cursors.removeValue(forKey: name)
                // Without what it was done with aside, which is counted already.
                let backlog =
                    cursor.map {
                        shared.index.amount(
                            from: $0.acknowledgedPlace, sequence: $0.acknowledged, without: $0.settled
                        ).items
                    } ?? 0
                return (name: name, items: backlog, wakeup: cursor?.takeWakeup())
            }
        }
        for (name, items, wakeup) in gone {
            wakeup?.fire(true)
            if items > 0 {
                note(
                    .warning,
                    "\(name) reads this journal no longer, and gives up \(items) records that it had not delivered")
            }
            do throws(SystemError) {
                try cursorFiles.withLock { files throws(SystemError) in try files.remove(name) }
            } catch {
                note(.warning, "the cursor of \(name) stays until the next start: \(error)")
            }
        }
        requestKeeping()
        return gone.compactMap { $0.items > 0 ? ($0.name, $0.items) : nil }
    }

    func read(_ name: String, handle: Int, maxFrames: Int, maxBytes: Int, wakeup: Wakeup) -> ReadStep {
        let now = monotonicNanoseconds()
        let (step, mustFetch, answers) = shared.withLock { shared -> (ReadStep, Bool, [AppendPacing.Answer]) in
            if shared.isClosing { return (.ended, false, []) }
            let step = shared.index.read(
                name, handle: handle, maxFrames: maxFrames, maxBytes: maxBytes, now: now, wakeup: wakeup)
            let mustFetch =
                switch step {
                case .frames: shared.index.mustReadAhead(name)
                case .wait(.forDisk(let isNew), _): isNew
                case .wait, .ended: false
                }
            if mustFetch, !shared.fetches.contains(name) { shared.fetches.append(name) }
            return (step, mustFetch, shared.takeDue(now: now))
        }
        for answer in answers { answer() }
        if case .wait(_, let older) = step { older?.fire(false) }
        if mustFetch { readerEvent.set() }
        return step
    }

    func acknowledge(_ name: String, before sequence: Sequence) {
        move(name) { $0.acknowledge(before: sequence.value, end: $1) }
    }

    func settle(_ name: String, _ items: Range<Sequence>) {
        move(name) { $0.settle(items.lowerBound.value..<items.upperBound.value, end: $1) }
    }

    /// Changes what is done of a cursor, with where the journal ends, and asks for a keeper round.
    private func move(_ name: String, _ change: (inout CursorState, _ end: UInt64) -> Void) {
        let isFirst = shared.withLock { shared in
            if var cursor = shared.index.cursors.removeValue(forKey: name) {
                change(&cursor, shared.index.nextSequence)
                shared.index.cursors[name] = cursor
            }
            return shared.beginKeeping()
        }
        if isFirst { keeperEvent.set() }
    }

    /// Registers a wait for what is done to be in the cursor's file; false when it is, or will not be soon.
    func mustWait(forWriting name: String, _ wakeup: Wakeup) -> Bool {
        let mustWait = shared.withLock { shared in
            guard !shared.isClosing, !shared.unsavedCursors.contains(name) else { return false }
            return shared.index.cursors[name]?.waitForWrite(wakeup) ?? false
        }
        if mustWait { keeperEvent.set() }
        return mustWait
    }

    /// Asks for a keeper round, unless one is coming anyway.
    func requestKeeping() {
        if shared.withLock({ $0.beginKeeping() }) { keeperEvent.set() }
    }

    // MARK: Ending

    var isClosing: Bool { shared.withLock { $0.isClosing } }

    /// Begins the end: no intake, no reading. The threads finish by themselves, the writer first.
    func stop() {
        let wakeups = shared.withLock { shared in
            shared.isClosing = true
            return shared.index.cursors.keys.compactMap { shared.index.cursors[$0]?.takeWakeup() }
        }
        for wakeup in wakeups { wakeup.fire(true) }
        writerEvent.set()
        readerEvent.set()
        keeperEvent.set()
    }

    /// Closes the cursor files and lets go of the directory, once the threads have ended.
    func release() {
        cursorFiles.withLock { $0.close() }
        lock.withLock { $0.close() }
    }

    /// Makes sure that the directory is there and still ours. One that was removed is made anew. Others may have done
    /// that, and then no lock keeps them from writing there: ours is taken again, unless another gateway was quicker.
    /// Where that one has left records, ours among them would count as foreign at the next start. Cursors that it has
    /// left without records go, and ours are written anew: their files went with the directory.
    func holdLock() throws(SystemError) {
        let path = directory + "/" + JournalFileName.lock
        try lock.withLock { lock throws(SystemError) in
            if try lock.isAt(path) { return }
            let new = try makeLock(path, after: lock)
            guard try Recovery.take(new), try !holdsOtherJournal() else {
                throw SystemError(call: "lock for this gateway alone", path: path, code: EBUSY)
            }
            try rewriteCursors()
            lock.close()
            lock = new
        }
    }

    /// A lock file under the name of `lock`, which is not there any more. What lies in a directory that was moved away
    /// or unmounted comes back with it, so another one in its place would only be in the way.
    private func makeLock(_ path: String, after lock: any JournalFile) throws(SystemError) -> any JournalFile {
        do throws(SystemError) {
            return try files.create(path, exclusive: false)
        } catch {
            guard error.code == ENOENT else { throw error }
            guard try lock.isRemoved() else {
                throw SystemError(call: "find the moved or unmounted directory", path: directory, code: ENOENT)
            }
            let items = shared.withLock { $0.index.held.items }
            try files.makeDirectory(directory, parents: options.makesParents)
            note(
                .error,
                "\(directory) was removed, with \(items) undelivered records in it, and is made anew; those that are "
                    + "not in memory are lost")
            return try files.create(path, exclusive: false)
        }
    }

    private func rewriteCursors() throws(SystemError) {
        let names = try files.names(in: directory)
        try cursorFiles.withLock { cursors throws(SystemError) in
            cursors.close()
            // Under the lock: what was saved before went into files that are gone.
            let pictures = shared.withLock { $0.index.cursors.mapValues(\.picture) }
            for (name, picture) in pictures { try cursors.save(name, picture) }
            for file in names {
                guard case .cursor(let name) = JournalFileName(file), pictures[name] == nil else { continue }
                try cursors.remove(name)
            }
        }
    }

    private func holdsOtherJournal() throws(SystemError) -> Bool {
        for name in try files.names(in: directory) {
            guard case .segment = JournalFileName(name) else { continue }
            let file = try files.open(directory + "/" + name, writable: false)
            let page = try file.readAll(count: JournalFormat.dataOffset, at: 0)
            file.close()
            if case .valid(let header) = page.withUnsafeBytes({ SegmentHeader.read(page: $0) }),
                header.journal != journal
            {
                return true
            }
        }
        return false
    }
}

extension JournalCore.Shared {
    /// Whether the keeper has to be told of something to do, which it then is.
    fileprivate mutating func beginKeeping() -> Bool {
        defer { isKeeping = true }
        return !isKeeping
    }

    /// Queues an append for the writer. Gives the answer of one that is not queued.
    fileprivate mutating func add(_ append: PendingAppend, _ options: DiskJournalOptions) -> AppendResult? {
        if isClosing { return .refused(reason: "the journal is closed", retryAfter: .seconds(1)) }
        // A sequence counts items; a frame without any has no place in it and nothing to deliver.
        if append.frame.header.itemCount == 0 { return .stored(Sequence(index.nextSequence)) }
        if pendingBytes > 0, pendingBytes + append.recordBytes > options.queueBytes {
            return .refused(reason: "too much waits for the disk", retryAfter: .seconds(1))
        }
        if let refusal = refusalByCap(append.recordBytes, options) { return refusal }
        pending.append(append)
        pendingBytes += append.recordBytes
        return nil
    }

    private mutating func refusalByCap(_ size: Int, _ options: DiskJournalOptions) -> AppendResult? {
        guard options.maxBytes > 0 else { return nil }
        if size > options.maxBytes {
            let reason =
                "\(size) bytes at once are more than the journal may hold (max_size of its storage, "
                + "\(options.maxBytes) bytes); send smaller batches or raise max_size"
            return .refused(reason: reason, retryAfter: .seconds(60), isFinal: true)
        }
        guard options.overflow == .block, index.bytes + pendingBytes + size > options.maxBytes else {
            return nil
        }
        wantsRoom = true
        return .refused(reason: "the journal is full: exporters are behind", retryAfter: .seconds(1))
    }
}
