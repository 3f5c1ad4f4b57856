import CSupport
import Glibc

/// The real disk.
package struct DiskFileSystem: JournalFileSystem {
    package init() {}

    package func makeDirectory(_ path: String) throws(SystemError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw lastError("mkdir", path) }
    }

    package func names(in directory: String) throws(SystemError) -> [String] {
        guard let stream = opendir(directory) else { throw lastError("opendir", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            // d_name is a C array inside the entry; it ends in NUL within the 256 bytes of the tuple.
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        if errno != 0 { throw lastError("readdir", directory) }
        return names
    }

    package func open(_ path: String, writable: Bool) throws(SystemError) -> any JournalFile {
        try DiskFile(path, flags: writable ? O_RDWR : O_RDONLY)
    }

    package func create(
        _ path: String, exclusive: Bool, isDirect: Bool
    ) throws(SystemError) -> any JournalFile {
        let flags = O_RDWR | O_CREAT | (exclusive ? O_EXCL : 0)
        guard isDirect else { return try DiskFile(path, flags: flags) }
        do throws(SystemError) {
            return try DiskFile(path, flags: flags | DiskFile.directFlag)
        } catch  where error.code == EINVAL {
            // A file system that always goes through the page cache. The file is there by now.
            return try DiskFile(path, flags: O_RDWR | O_CREAT)
        }
    }

    package func rename(_ path: String, to newPath: String) throws(SystemError) {
        if Glibc.rename(path, newPath) != 0 { throw lastError("rename", path) }
    }

    package func unlink(_ path: String) throws(SystemError) {
        if Glibc.unlink(path) != 0 { throw lastError("unlink", path) }
    }

    package func syncDirectory(_ path: String) throws(SystemError) {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw lastError("open", path) }
        defer { _ = Glibc.close(descriptor) }
        if fsync(descriptor) != 0 { throw lastError("fsync", path) }
    }
}

private func lastError(_ call: String, _ path: String) -> SystemError {
    SystemError(call: call, path: path, code: errno)
}

/// An open descriptor. Sendable although it has no lock: its calls are positional, and those that change what is noted
/// here come from the one thread that owns the file.
private final class DiskFile: JournalFile, @unchecked Sendable {
    private let path: String
    private var descriptor: Int32
    private var isDirect: Bool
    /// Most that is read at once.
    private var readMax = Int.max
    private var identity: sluice_file?
    /// Bytes from the beginning whose blocks are there, so that writing them changes nothing else of the file.
    private var allocated = 0
    /// Whether the system syncs what it writes, of files that go past the page cache.
    private lazy var syncsWrites = sluice_syncs_writes(descriptor)

    /// O_DIRECT, which the C library declares only when asked for; the processors differ.
    #if arch(arm64)
        static let directFlag: Int32 = 0o200000
    #else
        static let directFlag: Int32 = 0o40000
    #endif

    init(_ path: String, flags: Int32) throws(SystemError) {
        self.path = path
        isDirect = flags & Self.directFlag != 0
        // O_NOFOLLOW: a link planted in the directory must not lead writes elsewhere. O_NONBLOCK: nor may a named pipe
        // hold who opens it.
        descriptor = Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0o600)
        if descriptor < 0 { throw lastError("open", path) }
        do throws(SystemError) { try requirePlainFile() } catch {
            close()
            throw error
        }
        // io_uring heeds it for plain files too.
        _ = setFlags { $0 & ~O_NONBLOCK }
    }

    private func requirePlainFile() throws(SystemError) {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw lastError("fstat", path) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return
        case S_IFDIR: throw SystemError(call: "open", path: path, code: EISDIR)
        default: throw SystemError(call: "open", path: path, code: ENXIO)
        }
    }

    deinit { close() }

    func size() throws(SystemError) -> Int {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw lastError("fstat", path) }
        return Int(status.st_size)
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        let most = min(buffer.count, readMax)
        var count = pread(descriptor, buffer.baseAddress, most, off_t(offset))
        if count < 0, errno == EINVAL, isDirect, leaveDirect() {
            // Blocks larger than ours, or the end of a file that is asked for again.
            count = pread(descriptor, buffer.baseAddress, most, off_t(offset))
        }
        if count < 0 { throw lastError("pread", path) }
        return count
    }

    func stopReadingAhead() {
        readMax = 512 << 10
        _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM)
    }

    func bypassCache() {
        stopReadingAhead()
        isDirect = setFlags { $0 | Self.directFlag }
    }

    /// Reads and writes through the page cache from now on; false when the system does not let us.
    private func leaveDirect() -> Bool {
        isDirect = false
        return setFlags { $0 & ~Self.directFlag }
    }

    private func setFlags(_ change: (Int32) -> Int32) -> Bool {
        let flags = fcntl(descriptor, F_GETFL)
        return flags >= 0 && fcntl(descriptor, F_SETFL, change(flags)) == 0
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        var count = pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
        if count < 0, errno == EINVAL, isDirect, leaveDirect() {
            // Blocks larger than ours, or the rest of a write of which only a part was taken.
            count = pwrite(descriptor, buffer.baseAddress, buffer.count, off_t(offset))
        }
        if count < 0 { throw lastError("pwrite", path) }
        return count
    }

    func writeSynced(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, waiting: () -> Void
    ) throws(SystemError) {
        var done = 0
        let isBegun =
            isDirect && offset + bytes.count <= allocated && syncsWrites
            && sluice_begin_synced_write(descriptor, bytes.baseAddress, bytes.count, Int64(offset))
        waiting()
        if isBegun {
            let result = sluice_end_synced_write()
            if result == bytes.count { return }
            // Blocks larger than ours, or nothing that is for good: all is written again.
            let mayPass = [EINVAL, EINTR, EAGAIN, EOPNOTSUPP].contains { result == -Int($0) }
            guard result >= 0 || mayPass else {
                throw SystemError(call: "write and sync", path: path, code: Int32(-result))
            }
            done = max(result, 0)
        }
        try writeAll(bytes.part(done..<bytes.count), at: offset + done)
        try sync()
    }

    func allocate(_ bytes: Int) throws(SystemError) {
        while true {
            let code = posix_fallocate(descriptor, 0, off_t(bytes))
            if code == 0 {
                allocated = max(allocated, bytes)
                return
            }
            if code != EINTR { throw SystemError(call: "posix_fallocate", path: path, code: code) }
        }
    }

    func truncate(_ bytes: Int) throws(SystemError) {
        allocated = min(allocated, bytes)
        if ftruncate(descriptor, off_t(bytes)) != 0 { throw lastError("ftruncate", path) }
    }

    func sync() throws(SystemError) {
        // Interrupted before it began, as on file systems over a network: nothing was given up.
        while fdatasync(descriptor) != 0 { if errno != EINTR { throw lastError("fdatasync", path) } }
    }

    func isAt(_ path: String) throws(SystemError) -> Bool {
        let own = try identify()
        var found = sluice_file()
        if sluice_identify(-1, path, &found) != 0 {
            if errno == ENOENT || errno == ENOTDIR { return false }
            throw lastError("statx", path)
        }
        return own.device == found.device && own.inode == found.inode
    }

    func isRemoved() throws(SystemError) -> Bool {
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw lastError("fstat", path) }
        return status.st_nlink == 0
    }

    /// The file's device and number, which are the same as long as it is open.
    private func identify() throws(SystemError) -> sluice_file {
        if let identity { return identity }
        var own = sluice_file()
        if sluice_identify(descriptor, nil, &own) != 0 { throw lastError("statx", path) }
        identity = own
        return own
    }

    func tryLock() throws(SystemError) -> Bool {
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
        if errno == EWOULDBLOCK { return false }
        throw lastError("flock", path)
    }

    func close() {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        descriptor = -1
    }
}
