import Dispatch
import Glibc
import Pipeline
import Synchronization

/// Compresses closed files in the background, one after the other, in pieces of a few MiB.
///
/// A piece is a gzip member or zstd frame of its own; both formats allow several in a row. The plain file goes only
/// when the compressed one is synced under its name, so a crash leaves one of them whole.
final class ClosedFileCompressor: Sendable {
    private static let pieceBytes = 4 << 20
    private static let finishTime = DispatchTimeInterval.seconds(5)

    /// Files that are handed in and not done, of all compressors: one that is opened anew finds what the one before it
    /// has under way.
    private static let pending = Mutex<Set<String>>([])

    private let queue = DispatchQueue(label: "sluice.file.compress", qos: .background)
    private let compression: BodyCompression
    private let ending: String
    private let log: @Sendable (String) -> Void
    private let isEnding = Atomic(false)

    /// Nil when closed files stay plain. `log` gets what went wrong.
    init?(_ compression: FileOptions.Compression, log: @escaping @Sendable (String) -> Void) {
        switch compression {
        case .none: return nil
        case .gzip: self.compression = .gzip(Deflate(.gzip, level: 6))
        case .zstd: self.compression = .zstd(Zstd(level: 3))
        }
        ending = compression.ending
        self.log = log
    }

    func compress(_ path: String) {
        guard Self.pending.withLock({ $0.insert(path).inserted }) else { return }
        queue.async {
            defer { Self.pending.withLock { _ = $0.remove(path) } }
            guard !self.isEnding.load(ordering: .relaxed), let problem = self.run(path) else { return }
            self.log(problem)
        }
    }

    /// Waits until the files that were handed in are done. What takes longer is left for the next start.
    func finish() {
        let isDone = DispatchSemaphore(value: 0)
        queue.async { isDone.signal() }
        guard isDone.wait(timeout: .now() + Self.finishTime) == .timedOut else { return }
        isEnding.store(true, ordering: .relaxed)
        queue.sync {}
    }

    private func run(_ path: String) -> String? {
        let input = open(path, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { return errno == ENOENT ? nil : problem("open", path) }
        defer { close(input) }
        let partial = path + ending + ".tmp"
        unlink(partial)
        let output = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { return problem("create", partial) }
        // Nothing is there under this name when all went well.
        defer {
            close(output)
            unlink(partial)
        }
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        while true {
            let count = read(input, &piece, piece.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return problem("read", path) }
            if count == 0 { break }
            if isEnding.load(ordering: .relaxed) { return nil }
            guard let compressed = compression.compress(Array(piece[..<count])),
                Descriptor.writeAll(compressed, to: output)
            else { return problem("write", partial) }
        }
        guard fsync(output) == 0, rename(partial, path + ending) == 0, RotationNames(path: path).syncDirectory() else {
            return problem("sync", partial)
        }
        return unlink(path) == 0 ? nil : problem("remove", path)
    }

    private func problem(_ what: String, _ path: String) -> String {
        "cannot \(what) \(path) (\(String(cString: strerror(errno)))): the closed file stays plain for now"
    }
}
