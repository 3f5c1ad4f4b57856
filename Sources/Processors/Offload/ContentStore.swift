import Crypto
import Glibc
import Pipeline
import Synchronization
import Telemetry

/// Why content cannot be kept.
struct ContentFault: Error, Equatable {
    var reason: String
    var fix: String?
}

/// SHA-256 of stored content, in hexadecimal.
struct ContentHash: Hashable, Sendable {
    let hexadecimal: String

    /// Below the store's folder: two digits, then the rest.
    var path: String { "\(hexadecimal.prefix(2))/\(hexadecimal.dropFirst(2))" }
}

/// Files named by the hash of their content, each written once: 0600 in folders of 0700, under a temporary name first.
final class ContentStore: Sendable {
    let directory: String
    /// Hashes that are known to be stored, so that repeated content costs no call; forgotten when there are many.
    private let known = Mutex<Set<ContentHash>>([])
    private let counter = Atomic<UInt64>(0)

    private static let knownLimit = 100_000

    /// Without `makesFolder` it is only found out whether the folder could be made.
    init(_ directory: String, makesFolder: Bool = true) throws(ContentFault) {
        var path = directory
        while path.hasSuffix("/"), path.count > 1 { path.removeLast() }
        self.directory = path
        if !makesFolder {
            guard let fault = PathCheck.fault(ofFolder: path) else { return }
            throw ContentFault(reason: fault.reason, fix: fault.fix)
        }
        guard ContentStore.makeFolder(path) else {
            throw ContentFault(reason: "cannot be made: \(String(cString: strerror(errno)))")
        }
        guard access(path, W_OK | X_OK) == 0 else {
            throw ContentFault(reason: "cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Makes a folder and those above it, for the owner only; false when that is not possible.
    static func makeFolder(_ path: String) -> Bool {
        if mkdir(path, 0o700) == 0 { return true }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            // Another may make it in the meantime.
            return makeFolder(String(path[..<slash])) && (mkdir(path, 0o700) == 0 || errno == EEXIST)
        }
        guard errno == EEXIST else { return false }
        var facts = stat()
        return stat(path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFDIR
    }

    /// Stores content unless it is there; nil when that failed.
    func put(_ content: Text) -> ContentHash? {
        var digits = ByteColumn(capacity: 64)
        var sum = SHA256()
        sum.update(bufferPointer: content.bytes)
        Mask.appendHex(sum.finalize(), to: &digits)
        let hash = ContentHash(hexadecimal: digits.text.string)
        let target = "\(directory)/\(hash.path)"
        // Somebody may have removed it since it was stored.
        let isThere = access(target, F_OK) == 0
        if isThere, known.withLock({ $0.contains(hash) }) { return hash }
        if !isThere {
            let folder = "\(directory)/\(hash.hexadecimal.prefix(2))"
            guard ContentStore.makeFolder(folder), write(content, target, folder) else { return nil }
        }
        known.withLock { all in
            if all.count >= ContentStore.knownLimit { all.removeAll() }
            all.insert(hash)
        }
        return hash
    }

    private func write(_ content: Text, _ target: String, _ folder: String) -> Bool {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        let temporary = "\(folder)/.\(getpid())-\(number)"
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let descriptor = open(temporary, flags, 0o600)
        guard descriptor >= 0 else { return false }
        let isGood = Descriptor.writeAll(content.bytes, to: descriptor) && fdatasync(descriptor) == 0
        close(descriptor)
        guard isGood, rename(temporary, target) == 0 else {
            unlink(temporary)
            return false
        }
        // The name is to last as well.
        return Descriptor.syncFolder(folder)
    }
}
