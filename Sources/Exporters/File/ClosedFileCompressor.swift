import Dispatch
import Glibc
import Pipeline
import Synchronization

/// Compresses closed files in the background, one after the other, in pieces of a few MiB.
///
/// A piece is a gzip member or zstd frame of its own; both formats allow several in a row. The plain file goes only
/// when the compressed one is synced under its name, so a crash leaves one of them whole. Nothing is taken away that
/// has one of the two names and is not ours.
final class ClosedFileCompressor: Sendable {
    private static let pieceBytes = 4 << 20
    /// More files that could not be compressed are forgotten until the next start.
    private static let failedMax = 1_000

    /// Files that are handed in and not done, of all compressors: one that is opened anew finds what the one before it
    /// has under way, and goes on with what that one leaves as it ends.
    private static let pending = Mutex<[String: [ClosedFileCompressor]]>([:])

    private let queue = DispatchQueue(label: "sluice.file.compress", qos: .background)
    private let compression: BodyCompression
    private let ending: String
    private let graceMilliseconds: Int
    private let log: @Sendable (String) -> Void
    private let isEnding = Atomic(false)
    /// Files that could not be compressed, and whether another attempt may end otherwise.
    private let failed = Mutex<[String: Bool]>([:])

    private struct Failure {
        var text: String
        var isPassing: Bool
    }

    /// Nil when closed files stay plain. An end waits for `graceMilliseconds`; `log` gets what went wrong.
    init?(
        _ compression: FileOptions.Compression, graceMilliseconds: Int, log: @escaping @Sendable (String) -> Void
    ) {
        switch compression {
        case .none: return nil
        case .gzip: self.compression = .gzip(Deflate(.gzip, level: 6))
        case .zstd: self.compression = .zstd(Zstd(level: 3))
        }
        ending = compression.ending
        self.graceMilliseconds = graceMilliseconds
        self.log = log
    }

    func begin() {
        isEnding.store(false, ordering: .relaxed)
        failed.withLock { $0 = [:] }
    }

    /// Compresses a closed file, and those that could not be before.
    func compress(_ path: String) {
        let paths = failed.withLock { failed in
            Set(failed.filter(\.value).keys).union(failed[path] == nil ? [path] : [])
        }
        for path in paths.sorted() { take(path) }
    }

    /// Gives files that are nearly done the time for it. What takes longer is left to a successor or the next start:
    /// nobody waits for it, and what it has written goes with its next piece.
    func finish() {
        let isDone = DispatchSemaphore(value: 0)
        queue.async { isDone.signal() }
        guard isDone.wait(timeout: .now() + .milliseconds(graceMilliseconds)) == .timedOut else { return }
        isEnding.store(true, ordering: .relaxed)
    }

    private func take(_ path: String) {
        let isMine = Self.pending.withLock { pending -> Bool in
            let isMine = pending[path] == nil
            pending[path] = isMine ? [] : [self]
            return isMine
        }
        guard isMine else { return }
        queue.async {
            self.work(path)
            let waiting = Self.pending.withLock { $0.removeValue(forKey: path) } ?? []
            for other in waiting where other !== self { other.take(path) }
        }
    }

    private func work(_ path: String) {
        if isEnding.load(ordering: .relaxed) { return }
        guard let failure = run(path) else {
            failed.withLock { _ = $0.removeValue(forKey: path) }
            return
        }
        let isNew = failed.withLock { failed -> Bool in
            let isNew = failed[path] == nil
            if !isNew || failed.count < Self.failedMax { failed[path] = failure.isPassing }
            return isNew
        }
        if isNew { log(failure.text) }
    }

    private func run(_ path: String) -> Failure? {
        // What has its name may be a link or a pipe of somebody else.
        let input = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
        guard input >= 0 else { return errno == ENOENT ? nil : problem("open", path) }
        defer { close(input) }
        guard let facts = LeftFacts(path, descriptor: input), facts.isOwn, facts.size > 0 else {
            let text = "\(path) is empty, has another user or another name too: the closed file stays plain"
            return Failure(text: text, isPassing: false)
        }
        let partial = path + ending + ".tmp"
        unlink(partial)
        let output = open(partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { return problem("create", partial) }
        // Nothing is there under this name when all went well.
        defer {
            close(output)
            unlink(partial)
        }
        if let failure = copy(input, path, output, partial) { return failure }
        if isEnding.load(ordering: .relaxed) { return nil }
        guard fsync(output) == 0 else { return problem("sync", partial) }
        // Deleted meanwhile, as one of too many, or changed by somebody.
        guard LeftFacts(path) == facts else { return nil }
        return replace(path, by: partial, output)
    }

    /// Writes what is read until it is all, or the end has come.
    private func copy(_ input: Int32, _ path: String, _ output: Int32, _ partial: String) -> Failure? {
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        while !isEnding.load(ordering: .relaxed) {
            let count = read(input, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return problem("read", path) }
            if count == 0 { break }
            guard let compressed = compression.compress(Array(piece[..<count])),
                Descriptor.writeAll(compressed, to: output)
            else { return problem("write", partial) }
        }
        return nil
    }

    private func replace(_ path: String, by partial: String, _ output: Int32) -> Failure? {
        let target = path + ending
        if LeftFacts(target) == nil {
            guard rename(partial, target) == 0 else { return problem("rename", partial) }
        } else if !Self.isSame(output, as: target) {
            let text = "\(target) is there and holds something else: the closed file beside it stays plain"
            return Failure(text: text, isPassing: false)
        }
        // The same lies there when the process was killed right here.
        guard RotationNames(path: path).syncDirectory() else { return problem("sync", target) }
        return unlink(path) == 0 || errno == ENOENT ? nil : problem("remove", path)
    }

    private static func isSame(_ descriptor: Int32, as path: String) -> Bool {
        let other = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
        guard other >= 0 else { return false }
        defer { close(other) }
        var own = [UInt8](repeating: 0, count: 1 << 16)
        var found = own
        var at = 0
        while true {
            let count = pread(descriptor, &own, own.count, off_t(at))
            guard count >= 0, pread(other, &found, found.count, off_t(at)) == count, own[..<count] == found[..<count]
            else { return false }
            if count == 0 { return true }
            at += count
        }
    }

    private func problem(_ what: String, _ path: String) -> Failure {
        let reason = String(cString: strerror(errno))
        let text = "cannot \(what) \(path) (\(reason)): the closed file stays plain until one is closed after it"
        return Failure(text: text, isPassing: true)
    }
}
