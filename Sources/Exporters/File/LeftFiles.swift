import Dispatch
import Glibc
import Pipeline
import Synchronization

/// What an earlier run of a file exporter has left and no record may ever open again: closed files, and those of a path
/// with places in it. After a start, and whenever a date in the path is over, in the background: records that were not
/// finished are cut off, and closed files are compressed as the options say; one whose date is over is closed for that,
/// as by a rotation. Those of earlier dates go when they are too old, since no rotation comes by there any more.
///
/// Names alone do not make a file ours: links, pipes, files of other users, those that change and those that do not
/// hold what we write are left alone.
final class LeftFiles: Sendable {
    private let queue = DispatchQueue(label: "sluice.file.left", qos: .background)
    private let options: FileOptions
    private let files: SharedFiles
    private let effects: FileEffects
    private let log: @Sendable (LogLevel, String) -> Void
    private let compressor: ClosedFileCompressor?
    private let isEnding = Atomic(false)
    /// Whether a look is asked for that has not begun.
    private let isAsked = Atomic(false)
    /// When the last look began, in milliseconds since 1970 of the system's clock.
    private let lastLook = Atomic<Int64>(.min)

    /// Nil when nothing can be left but the one file that is opened at the start.
    init?(
        _ options: FileOptions, _ files: SharedFiles, _ compressor: ClosedFileCompressor?, effects: FileEffects,
        log: @escaping @Sendable (LogLevel, String) -> Void
    ) {
        if options.path.isFixed, options.rotation == nil, options.compression == .none { return nil }
        self.options = options
        self.files = files
        self.compressor = compressor
        self.effects = effects
        self.log = log
    }

    func begin() {
        isEnding.store(false, ordering: .relaxed)
        lastLook.store(.min, ordering: .relaxed)
        look()
    }

    /// Looks through the folders, again when a date in the path is over.
    func look() {
        guard !isAsked.exchange(true, ordering: .acquiringAndReleasing) else { return }
        queue.async {
            self.isAsked.store(false, ordering: .releasing)
            // Of the system, whose clock the files have.
            self.run(FileEffects.system.wallClock())
        }
    }

    /// Gives what is nearly seen to the time for it. What takes longer is left for the next start.
    func finish() {
        let isDone = DispatchSemaphore(value: 0)
        queue.async { isDone.signal() }
        guard isDone.wait(timeout: .now() + .milliseconds(effects.graceMilliseconds)) == .timedOut else { return }
        isEnding.store(true, ordering: .relaxed)
        // It must hold no lock behind this.
        queue.sync {}
    }

    /// `start` in milliseconds since 1970: what was changed later is in somebody's use.
    private func run(_ start: Int64) {
        if isEnding.load(ordering: .relaxed) { return }
        let now = Int(effects.wallClock() / 1_000)
        let last = lastLook.exchange(start, ordering: .relaxed)
        var search = LeftFileSearch(options.path, seconds: now, changedUntil: start, rotation: options.rotation)
        for file in search.run() {
            if isEnding.load(ordering: .relaxed) { return }
            if file.kind == .expired {
                delete(file, start)
            } else if file.changed >= last || (file.kind != .open && options.compression != .none) {
                if let closed = settle(file, start) { compressor?.compress(closed) }
            }
        }
        if search.isCut, last == .min {
            log(
                .info,
                "there are more than \(LeftFileSearch.filesMax) files of earlier runs, or \(LeftFileSearch.namesMax) "
                    + "names in their folders: the others stay as they are")
        }
    }

    /// Deletes a file of a date that is over.
    private func delete(_ file: LeftFile, _ start: Int64) {
        let descriptor = open(file.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        guard let facts = LeftFacts(file.path, descriptor: descriptor), facts.isOwn, facts.size > 0,
            facts.changed <= start, isOurs(descriptor, file.path, facts.size)
        else { return }
        files.storage.withLock { files in
            guard !files.isInUse(file.path), Self.take(descriptor, file.path, facts) else { return }
            defer { flock(descriptor, LOCK_UN) }
            if unlink(file.path) != 0 {
                log(.warn, "cannot delete \(file.path): \(String(cString: strerror(errno)))")
            }
        }
    }

    /// Whether a file holds what we write, as far as can be seen of a compressed one.
    private func isOurs(_ descriptor: Int32, _ path: String, _ size: Int) -> Bool {
        let magic = FileOptions.Compression(of: path).magic
        var head = magic
        if !magic.isEmpty { return pread(descriptor, &head, magic.count, 0) == magic.count && head == magic }
        let left = TornTail.left(descriptor, size: size, format: options.format) {
            self.isEnding.load(ordering: .relaxed)
        }
        return left != .foreign
    }

    /// Cuts off what was not finished. Gives the path of a file that is closed.
    private func settle(_ file: LeftFile, _ start: Int64) -> String? {
        let descriptor = open(file.path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let facts = LeftFacts(file.path, descriptor: descriptor), facts.isOwn, facts.size > 0,
            facts.changed <= start
        else { return nil }
        var good = facts.size
        let left = TornTail.left(descriptor, size: facts.size, format: options.format) {
            self.isEnding.load(ordering: .relaxed)
        }
        switch left {
        case .foreign: return nil
        case .whole: break
        case .torn(let end): good = end
        }
        // Nothing is to be done, and its lock is left to others, whose start fails without it.
        if file.kind == .open, good == facts.size { return nil }
        // What took long is done: records wait from here on.
        return files.storage.withLock { files -> String? in
            guard !files.isInUse(file.path), Self.take(descriptor, file.path, facts) else { return nil }
            defer { flock(descriptor, LOCK_UN) }
            if good < facts.size { cut(descriptor, file.path, facts.size, good) }
            switch file.kind {
            case .closed: return file.path
            case .over: return good > 0 ? closing(file.path, facts) : nil
            case .open, .expired: return nil
            }
        }
    }

    /// Takes the lock that who writes to a file has. False when somebody has it, or it is not what it was.
    private static func take(_ descriptor: Int32, _ path: String, _ facts: LeftFacts) -> Bool {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
        let isSame = LeftFacts(path) == facts
        if !isSame { flock(descriptor, LOCK_UN) }
        return isSame
    }

    private func cut(_ descriptor: Int32, _ path: String, _ size: Int, _ good: Int) {
        if ftruncate(descriptor, off_t(good)) == 0 {
            log(.warn, "\(path): cut off \(size - good) bytes of an unfinished record at its end")
        } else {
            log(.warn, "cannot cut \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// Gives a file the name of a closed one, so that one of its own name may come and both stay. Nil when it stays as
    /// it is.
    private func closing(_ path: String, _ facts: LeftFacts) -> String? {
        guard let rotation = options.rotation, options.compression != .none else { return nil }
        let names = RotationNames(path: path)
        let closed = names.free(at: facts.changed, localTime: rotation.usesLocalTime)
        guard rename(path, closed) == 0 else {
            log(.warn, "cannot rename \(path): \(String(cString: strerror(errno)))")
            return nil
        }
        return closed
    }
}
