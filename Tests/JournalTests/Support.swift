import Glibc
import Pipeline
import Synchronization
import Telemetry

@testable import Journal

/// A frame whose content tells which one it is.
func frame(_ number: Int, items: UInt32 = 3, bytes: Int = 100, tenant: String = "acme") -> Frame {
    let header = FrameHeader(
        signal: .traces, itemCount: items, minTime: UInt64(number), maxTime: UInt64(number) + 1, tenant: tenant)
    return Frame(header: header, bytes: (0..<bytes).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0) })
}

extension FrameLog {
    /// Appends and waits for the answer.
    func store(_ frame: Frame) async -> AppendResult { await append(frame) }

    /// Appends frames 0, 1, 2 … one by one.
    @discardableResult
    func storeAll(_ numbers: Range<Int>, bytes: Int = 100) async -> [AppendResult] {
        var results: [AppendResult] = []
        for number in numbers { results.append(await store(frame(number, bytes: bytes))) }
        return results
    }
}

extension FrameCursor {
    /// All that is there now, in reads of at most `batch`.
    func drain(batch: Int = 4) async -> [StoredFrame] {
        var all: [StoredFrame] = []
        while true {
            let frames = await next(maxFrames: batch, maxBytes: 1 << 20, timeout: .zero)
            if frames.isEmpty { return all }
            all += frames
        }
    }

    /// The numbers of the frames that are there now.
    func drainNumbers() async -> [Int] { await drain().map { Int($0.frame.header.minTime) } }
}

/// Options that make many small segments and send every read to the disk.
func smallOptions(tailBytes: Int = 0) -> DiskJournalOptions {
    var options = DiskJournalOptions()
    options.segmentBytes = 8192
    options.tailBytes = tailBytes
    options.readBytes = 4096
    options.cursorInterval = .zero
    return options
}

func openFake(
    _ disk: FakeDisk, options: DiskJournalOptions = smallOptions(), log: Notices = Notices()
) throws -> DiskJournal {
    try DiskJournal(directory: "j", options: options, files: disk, log: { log.add($0) })
}

/// Collects log lines.
final class Notices: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ notice: JournalNotice) { lines.withLock { $0.append("\(notice.level) \(notice.text)") } }

    var all: [String] { lines.withLock { $0 } }

    func has(_ part: String) -> Bool { all.contains { $0.contains(part) } }
}

/// A directory on the real disk, gone at the end of the test.
final class ScratchDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/journal-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError(call: "mkdtemp", path: "/tmp", code: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { remove() }

    private func remove() {
        for name in (try? DiskFileSystem().names(in: path)) ?? [] { _ = unlink(path + "/" + name) }
        _ = rmdir(path)
    }

    /// Removes it with all that is in it, and makes it again.
    func remake() {
        remove()
        _ = mkdir(path, 0o700)
    }

    /// The files by name.
    func contents() throws -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for name in try DiskFileSystem().names(in: path) {
            let file = try DiskFileSystem().open(path + "/" + name, writable: false)
            contents[name] = try file.readAll(count: try file.size(), at: 0)
        }
        return contents
    }

    /// A new directory with these files: what a process that was killed just now leaves behind.
    static func holding(_ contents: [String: [UInt8]]) throws -> ScratchDirectory {
        let directory = try ScratchDirectory()
        for (name, bytes) in contents {
            let file = try DiskFileSystem().create(directory.path + "/" + name, exclusive: true)
            try file.writeAll(bytes, at: 0)
        }
        return directory
    }
}

extension AppendResult {
    var isRefused: Bool { if case .refused = self { true } else { false } }
}

extension FakeDisk {
    var segmentCount: Int { contents.keys.count { $0.hasSuffix(".segment") } }
}

/// Collects answers.
final class Results: Sendable {
    private let results = Mutex<[AppendResult]>([])

    func add(_ result: AppendResult) { results.withLock { $0.append(result) } }

    var all: [AppendResult] { results.withLock { $0 } }
}

/// Holds the first thread that passes until it is opened, so that a test knows what runs meanwhile.
final class Gate: Sendable {
    private let isOpen = Atomic(false)
    private let hasVisitor = Atomic(false)
    private let arrived = Event()
    private let opened = Event()

    func pass() {
        if isOpen.load(ordering: .acquiring) || hasVisitor.exchange(true, ordering: .acquiringAndReleasing) { return }
        arrived.set()
        opened.wait()
    }

    func waitForVisitor() { arrived.wait() }

    func open() {
        isOpen.store(true, ordering: .releasing)
        opened.set()
    }
}

/// Counts what is read of the file behind it.
final class CountingFile: JournalFile {
    let bytes = Atomic(0)
    private let file: any JournalFile

    init(_ file: any JournalFile) { self.file = file }

    func size() throws(SystemError) -> Int { try file.size() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        let count = try file.read(into: buffer, at: offset)
        bytes.add(count, ordering: .relaxed)
        return count
    }

    func stopReadingAhead() { file.stopReadingAhead() }
    func bypassCache() { file.bypassCache() }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        try file.write(buffer, at: offset)
    }

    func allocate(_ bytes: Int) throws(SystemError) { try file.allocate(bytes) }
    func truncate(_ bytes: Int) throws(SystemError) { try file.truncate(bytes) }
    func sync() throws(SystemError) { try file.sync() }
    func isAt(_ path: String) throws(SystemError) -> Bool { try file.isAt(path) }
    func isRemoved() throws(SystemError) -> Bool { try file.isRemoved() }
    func tryLock() throws(SystemError) -> Bool { try file.tryLock() }
    func close() { file.close() }
}
