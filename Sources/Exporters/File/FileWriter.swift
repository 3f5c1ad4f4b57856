import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry

/// What a file is made of: a head, then one piece of text or bytes per request.
protocol FileForm: ~Copyable {
    /// What the records are, for messages: "OTLP json records".
    var kind: String { get }
    /// What a new file begins with.
    func appendHead(to output: inout ByteColumn)
    /// One request. Returns why it cannot be written; then nothing is appended that counts.
    mutating func append(_ batch: ExportBatch, to output: inout ByteColumn) -> String?
    /// Size of the file up to its last whole piece; nil when the file holds something else, which must not be touched.
    func goodSize(_ descriptor: Int32, size: Int) -> Int?
}

/// Where a file lies and when it ends.
struct FilePlace: Sendable {
    var path: String
    var appends: Bool
    var createsDirectory: Bool
    /// Mode of directories that are created.
    var directoryMode: UInt32
    /// Nil for one file that only grows.
    var rotation: RotationOptions?
    var durability = FileOptions.Durability.syncData
}

/// The paths of files that this process has emptied at their start. An exporter that a reload puts in the place of
/// another goes on with what is there by then.
private enum EmptiedFiles {
    private static let paths = Mutex<Set<String>>([])

    static func contains(_ path: String) -> Bool { paths.withLock { $0.contains(path) } }

    static func insert(_ path: String) { paths.withLock { _ = $0.insert(path) } }
}

/// Writes groups of requests to one file and makes them durable; begins new files when the current one is full.
///
/// Used by one thread at a time. After a failure the file is closed; the next group opens and repairs it again.
struct FileWriter<Form: FileForm & ~Copyable>: ~Copyable {
    private let options: FilePlace
    private var form: Form
    private let effects: FileEffects
    private let log: @Sendable (LogLevel, String) -> Void
    private let names: RotationNames
    private let compressor: ClosedFileCompressor?
    /// Unix milliseconds of the last write into the open file.
    private var lastWrite: Int64 = 0
    private var descriptor: Int32 = -1
    private var size = 0
    private var isRegular = true
    private var identity: FileIdentity?
    /// Whether the open file was not there before.
    private var isMade = false
    private var buffer = ByteColumn()
    /// Bytes behind `size` that are written and not synced.
    private var unsynced = 0

    /// Rendered bytes from which on they are written before the rest of a group is rendered.
    private static var bufferBytes: Int { 4 << 20 }

    /// Closed files stay plain without a compressor.
    init(
        place: FilePlace, form: consuming Form, effects: FileEffects, compressor: ClosedFileCompressor? = nil,
        log: @escaping @Sendable (LogLevel, String) -> Void
    ) {
        options = place
        self.form = form
        self.effects = effects
        self.log = log
        names = RotationNames(path: place.path)
        self.compressor = compressor
    }

    deinit {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// Opens the file and cuts off a torn last record.
    mutating func open() throws(FileFailure) {
        // A file that somebody has moved or removed, as logrotate does, takes no more records.
        if descriptor >= 0, isRegular, FileIdentity(options.path) != identity { close() }
        guard descriptor < 0 else { return }
        // Also one that somebody has removed since.
        if options.createsDirectory, access(names.directory, F_OK) != 0 { try createDirectory() }
        try openPrepared()
    }

    /// Open afterwards, and ours, unless it throws: a file that somebody else writes is not touched.
    private mutating func openPrepared() throws(FileFailure) {
        try openDescriptor()
        do throws(FileFailure) { try prepare() } catch {
            close()
            throw error
        }
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Makes the file's folder and those above it, with the mode of the options whatever the process's mask is.
    private func createDirectory() throws(FileFailure) {
        var made = names.directory.hasPrefix("/") ? "" : "."
        for part in names.directory.split(separator: "/") {
            made += "/" + part
            if mkdir(made, mode_t(options.directoryMode)) == 0 {
                _ = chmod(made, mode_t(options.directoryMode))
            } else if errno != EEXIST {
                throw FileFailure("cannot create the directory", made, errno)
            }
        }
    }

    private mutating func openDescriptor() throws(FileFailure) {
        isMade = LeftFacts(options.path) == nil
        descriptor = Glibc.open(options.path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o600)
        guard descriptor >= 0 else { throw FileFailure("cannot open", options.path, errno) }
        identity = FileIdentity(options.path)
    }

    private mutating func prepare() throws(FileFailure) {
        var facts = stat()
        guard fstat(descriptor, &facts) == 0 else { throw FileFailure("cannot inspect", options.path, errno) }
        isRegular = facts.st_mode & S_IFMT == S_IFREG
        guard isRegular else { return }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw FileFailure("another exporter or process writes to \(options.path): give each its own path")
        }
        size = Int(facts.st_size)
        lastWrite = FileEffects.milliseconds(facts.st_mtim)
        if !options.appends && !EmptiedFiles.contains(options.path) {
            try truncate(to: 0)
        } else {
            guard let good = form.goodSize(descriptor, size: size) else {
                throw FileFailure("\(options.path) holds something other than \(form.kind): choose another path")
            }
            if good < size {
                log(.warn, "\(options.path): cut off \(size - good) bytes of an unfinished record at its end")
                try truncate(to: good)
            }
        }
        EmptiedFiles.insert(options.path)
        names.syncDirectory()
    }

    private mutating func truncate(to length: Int) throws(FileFailure) {
        guard ftruncate(descriptor, off_t(length)) == 0 else { throw FileFailure("cannot cut", options.path, errno) }
        size = length
    }

    // MARK: Writing

    /// Writes the batches in order and syncs. Returns how many are durable or refused, why each refused one is, and why
    /// the rest is not written.
    mutating func append(_ batches: [ExportBatch]) -> (settled: Int, refused: [Int: String], failure: FileFailure?) {
        var settled = 0
        var refused: [Int: String] = [:]
        do throws(FileFailure) {
            try open()
            buffer.removeAll()
            for (index, batch) in batches.enumerated() {
                let start = buffer.count
                render(batch, index, &refused)
                let end = size + unsynced
                if let rotation = options.rotation, isRegular, end + start > 0, refused[index] == nil,
                    end + buffer.count > rotation.maxMegabytes << 20 || (unsynced + start == 0 && isOver(rotation))
                {
                    try flush(start)
                    settled = index
                    try rotate(rotation)
                    buffer.removeAll()
                    render(batch, index, &refused)
                }
                if isRegular, buffer.count >= Self.bufferBytes {
                    try write(buffer.count)
                    buffer.removeAll()
                }
            }
            try flush(buffer.count)
            buffer.removeAll()
            buffer.shrink(to: Self.bufferBytes)
            return (batches.count, refused, nil)
        } catch {
            giveUp()
            return (settled, refused, error)
        }
    }

    /// Whether the open file's last write was in an earlier window of time.
    private func isOver(_ rotation: RotationOptions) -> Bool {
        guard let seconds = rotation.interval?.components.seconds, seconds > 0 else { return false }
        let length = seconds * 1_000
        return size > 0 && effects.wallClock() / length != lastWrite / length
    }

    private mutating func render(_ batch: ExportBatch, _ index: Int, _ refused: inout [Int: String]) {
        let start = buffer.count
        if size + unsynced + start == 0 { form.appendHead(to: &buffer) }
        guard let reason = form.append(batch, to: &buffer) else { return }
        refused[index] = reason
        buffer.truncate(to: start)
    }

    /// Writes the first `count` bytes of the buffer.
    private mutating func write(_ count: Int) throws(FileFailure) {
        var at = 0
        while at < count {
            let result = effects.write(descriptor, UnsafeRawBufferPointer(rebasing: buffer.bytes[at..<count]))
            if result.count < 0 && result.error == EINTR { continue }
            guard result.count > 0 else {
                throw FileFailure("cannot write to", options.path, result.count < 0 ? result.error : EIO)
            }
            at += result.count
        }
        if isRegular { unsynced += count }
    }

    /// Writes the first `count` bytes of the buffer and syncs all that is written.
    private mutating func flush(_ count: Int) throws(FileFailure) {
        try write(count)
        guard isRegular else { return }
        if options.durability == .syncData {
            let error = effects.sync(descriptor)
            guard error == 0 else { throw FileFailure("cannot sync", options.path, error) }
        }
        size += unsynced
        unsynced = 0
        lastWrite = effects.wallClock()
    }

    /// Takes back what is not known to be durable and closes: after a failed sync the kernel's view of the file cannot
    /// be trusted any more.
    private mutating func giveUp() {
        buffer.removeAll()
        unsynced = 0
        if descriptor >= 0, isRegular {
            ftruncate(descriptor, off_t(size))
            // A disk that stays full would get an empty file for each date.
            if isMade, size == 0, FileIdentity(options.path) == identity { unlink(options.path) }
        }
        close()
    }

    private mutating func rotate(_ rotation: RotationOptions) throws(FileFailure) {
        let backup = names.free(at: effects.wallClock(), localTime: rotation.usesLocalTime)
        guard rename(options.path, backup) == 0 else { throw FileFailure("cannot rename", options.path, errno) }
        close()
        size = 0
        try openPrepared()
        compressor?.compress(backup)
        removeExpired(rotation)
    }

    private func removeExpired(_ rotation: RotationOptions) {
        guard rotation.maxBackups > 0 || rotation.maxDays > 0 else { return }
        guard let files = try? FileManager.default.contentsOfDirectory(atPath: names.directory) else { return }
        for name in names.expired(among: files, options: rotation, at: effects.wallClock()) {
            let path = names.path(name)
            // One that was compressed meanwhile goes by its new name at the next rotation.
            if unlink(path) != 0, errno != ENOENT {
                log(.warn, "cannot delete \(path): \(String(cString: strerror(errno)))")
            }
        }
    }
}
