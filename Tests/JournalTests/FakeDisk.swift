import Glibc
import Journal
import Synchronization

/// A disk in memory that fails on order and crashes: what was not synced may be lost, partly written, or there.
final class FakeDisk: JournalFileSystem {
    /// A call that a test may let fail.
    struct Call: Sendable {
        var name: String
        var path: String
    }

    enum Fault: Sendable {
        case error(Int32)
        /// Take only so many bytes of a read or write.
        case short(Int)
    }

    /// A disk that says it is done when it is not: what a journal that forgets a sync would look like.
    enum Lie: Sendable, CaseIterable {
        case none
        case syncsNoFile
        case syncsNoDirectory
    }

    fileprivate enum Change {
        case write(Int, [UInt8])
        case resize(Int)
    }

    fileprivate struct Inode {
        var durable: [UInt8] = []
        var current: [UInt8] = []
        var unsynced: [Change] = []
        var isLocked = false
    }

    fileprivate enum DirectoryChange {
        case link(String, Int)
        case unlink(String)
    }

    fileprivate struct State {
        var inodes: [Inode] = []
        var durable: [String: Int] = [:]
        var current: [String: Int] = [:]
        var unsynced: [DirectoryChange] = []
        var fault: (@Sendable (Call) -> Fault?)?
        var lie = Lie.none
        var calls: [Call] = []
    }

    fileprivate let state = Mutex(State())

    /// Asked before each call.
    func onCall(_ fault: (@Sendable (Call) -> Fault?)?) { state.withLock { $0.fault = fault } }

    /// Lets each sync wait at the gate.
    func stopSyncs(at gate: Gate) {
        onCall { call in
            if call.name == "fdatasync" { gate.pass() }
            return nil
        }
    }

    func pretend(_ lie: Lie) { state.withLock { $0.lie = lie } }

    var calls: [Call] { state.withLock { $0.calls } }

    /// The files by path, as a reader sees them now.
    var contents: [String: [UInt8]] {
        get { state.withLock { state in state.current.mapValues { state.inodes[$0].current } } }
        set {
            state.withLock { state in
                state.inodes = []
                state.current = [:]
                for (path, bytes) in newValue {
                    state.inodes.append(Inode(durable: bytes, current: bytes))
                    state.current[path] = state.inodes.count - 1
                }
                state.durable = state.current
                state.unsynced = []
            }
        }
    }

    convenience init(_ contents: [String: [UInt8]]) {
        self.init()
        self.contents = contents
    }

    /// What a machine finds after losing power now. Of each unsynced write any sectors may have reached the disk, of
    /// the directory's changes any first ones.
    func afterPowerLoss(seed: UInt64) -> FakeDisk {
        var random = SplitMix(state: seed)
        let contents = state.withLock { state in
            var names = state.durable
            for change in state.unsynced.prefix(Int(random.next() % UInt64(state.unsynced.count + 1))) {
                switch change {
                case .link(let path, let inode): names[path] = inode
                case .unlink(let path): names[path] = nil
                }
            }
            return names.mapValues { state.inodes[$0].afterPowerLoss(&random) }
        }
        return FakeDisk(contents)
    }

    fileprivate func check(_ name: String, _ path: String) throws(SystemError) -> Int? {
        let fault = state.withLock { state in
            state.calls.append(Call(name: name, path: path))
            return state.fault
        }
        switch fault?(Call(name: name, path: path)) {
        case .error(let code): throw SystemError(call: name, path: path, code: code)
        case .short(let count): return count
        case nil: return nil
        }
    }

    func makeDirectory(_ path: String) throws(SystemError) { _ = try check("mkdir", path) }

    func names(in directory: String) throws(SystemError) -> [String] {
        _ = try check("readdir", directory)
        return contents.keys.filter { $0.hasPrefix(directory + "/") }.map {
            String($0.dropFirst(directory.count + 1))
        }
    }

    func open(_ path: String, writable: Bool) throws(SystemError) -> any JournalFile {
        _ = try check("open", path)
        guard let inode = state.withLock({ $0.current[path] }) else {
            throw SystemError(call: "open", path: path, code: ENOENT)
        }
        return FakeFile(self, path, inode)
    }

    func create(_ path: String, exclusive: Bool, isDirect: Bool) throws(SystemError) -> any JournalFile {
        _ = try check("create", path)
        let inode = state.withLock { state -> Int? in
            if let inode = state.current[path] { return exclusive ? nil : inode }
            state.inodes.append(Inode())
            state.current[path] = state.inodes.count - 1
            state.unsynced.append(.link(path, state.inodes.count - 1))
            return state.inodes.count - 1
        }
        guard let inode else { throw SystemError(call: "open", path: path, code: EEXIST) }
        return FakeFile(self, path, inode, isDirect: isDirect)
    }

    func rename(_ path: String, to newPath: String) throws(SystemError) {
        _ = try check("rename", path)
        let found = state.withLock { state in
            guard let inode = state.current.removeValue(forKey: path) else { return false }
            state.current[newPath] = inode
            state.unsynced += [.link(newPath, inode), .unlink(path)]
            return true
        }
        if !found { throw SystemError(call: "rename", path: path, code: ENOENT) }
    }

    func unlink(_ path: String) throws(SystemError) {
        _ = try check("unlink", path)
        let found = state.withLock { state in
            state.unsynced.append(.unlink(path))
            return state.current.removeValue(forKey: path) != nil
        }
        if !found { throw SystemError(call: "unlink", path: path, code: ENOENT) }
    }

    func syncDirectory(_ path: String) throws(SystemError) {
        _ = try check("fsync", path)
        state.withLock { state in
            guard state.lie != .syncsNoDirectory else { return }
            state.durable = state.current
            state.unsynced = []
        }
    }
}

extension FakeDisk.Inode {
    fileprivate mutating func apply(_ change: FakeDisk.Change) {
        unsynced.append(change)
        Self.apply(change, to: &current)
    }

    /// Makes a write durable, with the file's size, and nothing that was written before.
    fileprivate mutating func sync(_ write: FakeDisk.Change, behind before: [FakeDisk.Change]) {
        unsynced = before.filter { change in
            guard case .resize = change else { return true }
            Self.apply(change, to: &durable)
            return false
        }
        Self.apply(write, to: &durable)
    }

    private static func apply(_ change: FakeDisk.Change, to bytes: inout [UInt8]) {
        switch change {
        case .resize(let count):
            if count < bytes.count { bytes.removeSubrange(count...) }
            bytes += [UInt8](repeating: 0, count: count - bytes.count)
        case .write(let offset, let new):
            if offset + new.count > bytes.count {
                bytes += [UInt8](repeating: 0, count: offset + new.count - bytes.count)
            }
            bytes.replaceSubrange(offset..<offset + new.count, with: new)
        }
    }

    fileprivate func afterPowerLoss(_ random: inout SplitMix) -> [UInt8] {
        var bytes = durable
        for change in unsynced {
            switch change {
            case .resize:
                if random.next() % 2 == 0 { Self.apply(change, to: &bytes) }
            case .write(let offset, let new):
                var at = 0
                while at < new.count {
                    let end = min(new.count, ((offset + at) / 512 + 1) * 512 - offset)
                    if random.next() % 2 == 0 { Self.apply(.write(offset + at, Array(new[at..<end])), to: &bytes) }
                    at = end
                }
            }
        }
        return bytes
    }
}

private final class FakeFile: JournalFile {
    private let disk: FakeDisk
    private let path: String
    private let inode: Int
    private let ownsLock = Mutex(false)
    /// Falls when a write was taken in part, as the real disk's does.
    private let isDirect: Mutex<Bool>

    init(_ disk: FakeDisk, _ path: String, _ inode: Int, isDirect: Bool = false) {
        self.isDirect = Mutex(isDirect)
        self.disk = disk
        self.path = path
        self.inode = inode
    }

    deinit { close() }

    func size() throws(SystemError) -> Int { disk.state.withLock { $0.inodes[inode].current.count } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        let cap = try disk.check("pread", path) ?? buffer.count
        let bytes = disk.state.withLock { state -> ArraySlice<UInt8> in
            let all = state.inodes[inode].current
            return offset < all.count ? all[offset..<min(all.count, offset + min(cap, buffer.count))] : []
        }
        buffer.copyBytes(from: bytes)
        return bytes.count
    }

    func stopReadingAhead() {}
    func bypassCache() {}

    func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(SystemError) -> Int {
        let count = min(try disk.check("pwrite", path) ?? buffer.count, buffer.count)
        let isRefused = isDirect.withLock { isDirect in
            defer { if count < buffer.count { isDirect = false } }
            let address = UInt(bitPattern: buffer.baseAddress)
            return isDirect && (buffer.count % 4096 != 0 || offset % 4096 != 0 || address % 4096 != 0)
        }
        if isRefused { throw SystemError(call: "pwrite", path: path, code: EINVAL) }
        let bytes = Array(buffer[..<count])
        disk.state.withLock { $0.inodes[inode].apply(.write(offset, bytes)) }
        return count
    }

    func allocate(_ bytes: Int) throws(SystemError) {
        _ = try disk.check("fallocate", path)
        disk.state.withLock { $0.inodes[inode].apply(.resize(max(bytes, $0.inodes[inode].current.count))) }
    }

    func truncate(_ bytes: Int) throws(SystemError) {
        _ = try disk.check("ftruncate", path)
        disk.state.withLock { $0.inodes[inode].apply(.resize(bytes)) }
    }

    func writeSynced(
        _ bytes: UnsafeRawBufferPointer, at offset: Int, waiting: () -> Void
    ) throws(SystemError) {
        waiting()
        let before = disk.state.withLock { $0.inodes[inode].unsynced }
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            do throws(SystemError) { done += try write(rest, at: offset + done) } catch  where error.code == EINTR {}
        }
        do throws(SystemError) {
            _ = try disk.check("fdatasync", path)
        } catch {
            disk.state.withLock { $0.inodes[inode].unsynced = [] }
            throw error
        }
        let written = FakeDisk.Change.write(offset, Array(bytes))
        disk.state.withLock { state in
            if state.lie != .syncsNoFile { state.inodes[inode].sync(written, behind: before) }
        }
    }

    /// As Linux does: after a failure the unsynced changes count as clean, and the next sync succeeds without them.
    func sync() throws(SystemError) {
        do throws(SystemError) {
            _ = try disk.check("fdatasync", path)
        } catch {
            disk.state.withLock { $0.inodes[inode].unsynced = [] }
            throw error
        }
        disk.state.withLock { state in
            guard state.lie != .syncsNoFile else { return }
            state.inodes[inode].durable = state.inodes[inode].current
            state.inodes[inode].unsynced = []
        }
    }

    func isAt(_ path: String) throws(SystemError) -> Bool {
        _ = try disk.check("lstat", path)
        return disk.state.withLock { $0.current[path] == inode }
    }

    func isRemoved() throws(SystemError) -> Bool {
        disk.state.withLock { !$0.current.values.contains(inode) }
    }

    func tryLock() throws(SystemError) -> Bool {
        let taken = disk.state.withLock { state in
            defer { state.inodes[inode].isLocked = true }
            return !state.inodes[inode].isLocked
        }
        if taken { ownsLock.withLock { $0 = true } }
        return taken
    }

    func close() {
        guard ownsLock.withLock({ $0 }) else { return }
        ownsLock.withLock { $0 = false }
        disk.state.withLock { state in
            if inode < state.inodes.count { state.inodes[inode].isLocked = false }
        }
    }
}

/// A small seeded generator.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
