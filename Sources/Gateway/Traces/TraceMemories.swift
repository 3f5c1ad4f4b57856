import Glibc
import OTLP
import Pipeline

/// Keeps on disk what the processors of a stage remember between traces, so that a trace after a kill is judged as one
/// without.
///
/// What a trace changed is appended before the second journal gets the trace, with the place where that journal will
/// end then, as in `PassedTraces`: it counts only if the journal does reach there, and if it does not, the trace comes
/// again. When the changes have grown larger than all that is remembered, everything is written anew beside the file
/// and put in its place. Changes survive the process; they are synced once a second, so a loss of power can take those
/// of the last second. For one task.
struct TraceMemories: ~Copyable {
    /// What one trace changed in one memory.
    struct Changes {
        fileprivate var memory: Int
        fileprivate var bytes: [UInt8]
    }

    private struct Member {
        var id: String
        var memory: any TraceMemory
        /// Of its records.
        var name: UInt64
    }

    private static let syncInterval = Duration.seconds(1)
    /// Until everything is written again after a failure.
    private static let retryInterval = Duration.seconds(60)
    /// The file is written anew when it has this many bytes of changes, and more of them than of all else.
    private static let changesBytesMax = 4 << 20
    /// Beyond it everything is not written: it would be read whole at a start.
    private static let wholeBytesMax = 512 << 20
    /// Beyond it nothing is appended, should the file never be written anew.
    private static let fileBytesMax = 1 << 30

    private let members: [Member]
    private let place: PassedTraces.Place?
    private let path: String
    private let output: JournalPosition
    private let log: (String) -> Void
    private var descriptor: Int32 = -1
    private var bytes = (whole: 0, changes: 0)
    private var isSynced = true
    private var syncedAt = Duration.zero
    private var retryAt = Duration.zero
    private var hasFailed = false

    /// Restores what earlier runs have left. Without a place nothing is kept on disk.
    init(
        _ chain: ProcessorChain, _ place: PassedTraces.Place?, output: JournalPosition?,
        log: @escaping (String) -> Void
    ) {
        var members: [Member] = []
        for (number, step) in chain.steps.enumerated() {
            guard let memory = step.traceMemory else { continue }
            let id = chain.names[number]
            members.append(Member(id: id, memory: memory, name: PassedTraces.Record.hash(id)))
        }
        self.members = members
        self.place = output == nil ? nil : place
        self.output = output ?? JournalPosition(high: 0, low: 0, next: Sequence(0))
        self.log = log
        path = place.map { "\($0.folder)/\($0.name).memory" } ?? ""
        guard self.place != nil else { return }
        if members.isEmpty { unlink(path) } else { recover() }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    // MARK: Changes

    /// What the last batch changed; to be noted when it is stored.
    func take() -> [Changes] {
        members.indices.compactMap { index in
            let bytes = members[index].memory.takeChanges()
            return bytes.isEmpty || place == nil ? nil : Changes(memory: index, bytes: bytes)
        }
    }

    /// Takes back what the last batch changed: it comes again, or is gone.
    func undo() { for member in members { member.memory.undoChanges() } }

    /// Writes changes that count when the second journal reaches `end`.
    mutating func note(_ changes: [Changes], end: Sequence) {
        guard let place, descriptor >= 0, !changes.isEmpty else { return }
        var bytes: [UInt8] = []
        for change in changes {
            let member = members[change.memory]
            TraceMemoryFormat.append(
                .init(
                    kind: .changes, name: member.name, version: member.memory.version, end: end.value,
                    bytes: change.bytes[...]), to: &bytes)
        }
        guard self.bytes.whole + self.bytes.changes <= TraceMemories.fileBytesMax else {
            return fail("is too large and cannot be written anew")
        }
        guard place.write(bytes, descriptor) else {
            // Half a record would hide what comes behind it.
            ftruncate(descriptor, off_t(self.bytes.whole + self.bytes.changes))
            return fail("cannot be written")
        }
        self.bytes.changes += bytes.count
        isSynced = false
    }

    /// The sync that is due, to be called from any thread before anything else is noted.
    mutating func syncing(now: Duration) -> (@Sendable () -> Bool)? {
        guard let place, descriptor >= 0, !isSynced, now - syncedAt >= TraceMemories.syncInterval else { return nil }
        (isSynced, syncedAt) = (true, now)
        let (sync, descriptor) = (place.sync, descriptor)
        return { sync(descriptor) }
    }

    mutating func didNotSync() { fail("cannot be synced") }

    private mutating func fail(_ what: String) {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        guard !hasFailed else { return }
        hasFailed = true
        log("\(path) \(what): what processors remember of traces from now on may be forgotten at a restart")
    }

    // MARK: Everything

    /// Writing of everything, when it is due, to be called from any thread and its result handed to `folded`. Only
    /// while all that was taken is noted and all that was noted has come true.
    mutating func folding(now: Duration) -> (@Sendable () -> Int32)? {
        guard place != nil, !members.isEmpty, now >= retryAt else { return nil }
        if descriptor >= 0, bytes.changes <= max(TraceMemories.changesBytesMax, bytes.whole) { return nil }
        retryAt = now + TraceMemories.retryInterval
        return whole()
    }

    /// On a failure the old file, if there is one, goes on.
    mutating func folded(_ fresh: Int32) {
        guard fresh >= 0 else {
            if descriptor < 0 { fail("cannot be written") }
            return
        }
        if descriptor >= 0 { close(descriptor) }
        (descriptor, isSynced, hasFailed) = (fresh, true, false)
        bytes = (whole: TraceMemories.size(of: fresh), changes: 0)
        retryAt = .zero
    }

    private static func size(of descriptor: Int32) -> Int {
        var facts = stat()
        return fstat(descriptor, &facts) == 0 ? Int(facts.st_size) : 0
    }

    /// Gives -1 when the file could not be replaced.
    private func whole() -> (@Sendable () -> Int32)? {
        guard let place else { return nil }
        var bytes = TraceMemoryFormat.head(output)
        for member in members {
            member.memory.writeAll { part in
                guard bytes.count <= TraceMemories.wholeBytesMax else { return }
                TraceMemoryFormat.append(
                    .init(kind: .part, name: member.name, version: member.memory.version, bytes: part[...]),
                    to: &bytes)
            }
        }
        guard bytes.count <= TraceMemories.wholeBytesMax else { return { -1 } }
        TraceMemoryFormat.append(.init(kind: .wholeEnd), to: &bytes)
        let path = path
        return { [bytes] in TraceMemoryFormat.replace(path, bytes, place) }
    }

    // MARK: Recovery

    private mutating func recover() {
        let reading = read()
        switch reading {
        case .whole: open()
        case .stale(let size):
            guard !fold() else { return }
            hasFailed = false
            // On a full disk what did not come true is cut off, so that it cannot seem to later.
            if let size {
                guard size >= bytes.whole else { return fail("did not come true") }
                bytes.changes = size - bytes.whole
                truncate(path, off_t(size))
            }
            open()
        case .none: _ = fold()
        case .damaged(let what):
            // By a second name, so that on a full disk what is whole of it is still there.
            unlink(path + ".damaged")
            let isKept = link(path, path + ".damaged") == 0
            log("\(path) \(what); it \(isKept ? "is" : "could not be") kept as \(path).damaged")
            guard !fold(), bytes.whole > 0 else { return }
            hasFailed = false
            truncate(path, off_t(bytes.whole + bytes.changes))
            open()
        }
    }

    private mutating func fold() -> Bool {
        guard let fold = whole() else { return false }
        folded(fold())
        return descriptor >= 0
    }

    private mutating func open() {
        descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0 { fail("cannot be opened") }
    }

    private enum Reading {
        case whole
        case none
        /// Some is of processors that are no more, or what lies behind so many bytes did not come true.
        case stale(Int?)
        case damaged(String)
    }

    private mutating func read() -> Reading {
        guard let contents = TraceMemoryFormat.contents(path) else {
            return access(path, F_OK) == 0 ? .damaged("cannot be read; processors remember nothing") : .none
        }
        guard contents.starts(with: TraceMemoryFormat.head(output)) else {
            return .damaged("is of another journal or version; processors remember nothing")
        }
        var at = TraceMemoryFormat.headBytes
        var untrue: Int?
        var isForeign = false
        bytes = (0, 0)
        while at < contents.count {
            let start = at
            guard let record = TraceMemoryFormat.record(contents, &at), (record.kind == .changes) == (bytes.whole > 0)
            else { return damaged(at: start, of: contents.count) }
            if record.kind == .wholeEnd {
                bytes.whole = at
            } else if record.end > output.next.value {
                untrue = untrue ?? start
            } else if let member = members.first(where: { $0.name == record.name }),
                member.memory.version == record.version
            {
                guard member.memory.restore(record.bytes) else {
                    bytes.whole = 0
                    return damaged(at: start, of: contents.count)
                }
            } else {
                isForeign = true
            }
        }
        guard bytes.whole > 0 else { return damaged(at: 0, of: 0) }
        bytes.changes = contents.count - bytes.whole
        return untrue != nil || isForeign ? .stale(untrue) : .whole
    }

    /// Before its end everything is of no use; of changes, those before the damage are.
    private mutating func damaged(at start: Int, of size: Int) -> Reading {
        if bytes.whole > 0 {
            bytes.changes = start - bytes.whole
            return .damaged("is damaged: the last \(size - start) bytes of what traces changed are left out")
        }
        for member in members { member.memory.forget() }
        return .damaged("is damaged; processors remember nothing")
    }
}
