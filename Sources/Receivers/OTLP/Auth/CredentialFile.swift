import Glibc
import Logging
import NIOCore
import Pipeline
import Synchronization

/// Why an authentication extension cannot start; never with a word of a credential.
package struct CredentialFault: StartFault, Equatable {
    package var description: String
    package var option: String?
}

/// Credentials from a file that is read again when it changes. Safe to use from any thread.
///
/// A file that can no longer be read, or is broken, leaves the credentials that were read last in force.
final class CredentialFile: Sendable {
    /// Largest file in bytes.
    static let sizeMax = 16 << 20
    /// The file is looked at no more often than this.
    static let checkPause: TimeAmount = .seconds(1)

    /// What tells one state of a file from another.
    private struct Stamp: Equatable {
        var seconds = 0
        var nanoseconds = 0
        var size = 0
        var node: UInt = 0
    }

    private struct State {
        var stamp: Stamp
        var checked: NIODeadline
        var table: CredentialTable
    }

    private let path: String
    private let log: Logger
    private let now: @Sendable () -> NIODeadline
    /// Whether the lines are of users, so that of two with one name the last one wins.
    private let isOfUsers: Bool
    private let parse: @Sendable (Substring) throws(CredentialFault) -> CredentialTable
    private let state: Mutex<State>

    /// Reads the file, which `option` names. Throws when it cannot be read or holds nothing.
    init(
        path: String, option: String? = nil, isOfUsers: Bool = false, log: Logger,
        now: @escaping @Sendable () -> NIODeadline = { .now() },
        parse: @escaping @Sendable (Substring) throws(CredentialFault) -> CredentialTable
    ) throws(CredentialFault) {
        self.path = path
        self.log = log
        self.now = now
        self.parse = parse
        self.isOfUsers = isOfUsers
        let content: (stamp: Stamp, table: CredentialTable)
        do throws(CredentialFault) { content = try Self.read(path, isOfUsers, parse) } catch {
            throw CredentialFault(description: error.description, option: option)
        }
        state = Mutex(State(stamp: content.stamp, checked: now(), table: content.table))
    }

    /// The credentials of the file as it is now, give or take `checkPause`.
    var table: CredentialTable {
        let now = now()
        return state.withLock { state in
            guard now - state.checked >= Self.checkPause else { return state.table }
            state.checked = now
            guard let stamp = Self.stamp(path), stamp != state.stamp else { return state.table }
            do throws(CredentialFault) {
                (state.stamp, state.table) = try Self.read(path, isOfUsers, parse)
                log.info("credentials were read again", metadata: ["file": "\(path)", "count": "\(state.table.count)"])
            } catch {
                state.stamp = stamp
                log.warning("credentials stay as they were: \(error)")
            }
            return state.table
        }
    }

    private static func stamp(_ path: String) -> Stamp? {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        return Stamp(
            seconds: facts.st_mtim.tv_sec, nanoseconds: facts.st_mtim.tv_nsec, size: Int(facts.st_size),
            node: UInt(facts.st_ino))
    }

    private static func read(
        _ path: String, _ isOfUsers: Bool, _ parse: (Substring) throws(CredentialFault) -> CredentialTable
    ) throws(CredentialFault) -> (Stamp, CredentialTable) {
        // Before the content: a change in between is then seen at the next look.
        guard let stamp = stamp(path), let bytes = TextFile.bytes(of: path, sizeMax: sizeMax) else {
            throw CredentialFault(
                description: "\(path) cannot be read: \(String(cString: strerror(errno))); "
                    + "check the path and that the gateway's user may read it")
        }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let words = String(decoding: bytes.dropFirst(bytes.starts(with: mark) ? mark.count : 0), as: UTF8.self)
        var lines: [CredentialTable] = []
        for line in words.split(whereSeparator: \.isNewline) {
            let text = Substring(ASCII.trimmed(line.utf8))
            if text.isEmpty || text.hasPrefix("#") { continue }
            lines.append(try parse(text))
        }
        var table = isOfUsers ? CredentialTable(users: lines) : CredentialTable()
        if !isOfUsers { for line in lines { table.add(line) } }
        guard !table.isEmpty else { throw CredentialFault(description: "\(path) holds no credential") }
        if let (first, second) = table.conflict {
            throw CredentialFault(
                description: "\(path) has the same key for the tenants \(first) and \(second); "
                    + "give each a key of its own")
        }
        return (stamp, table)
    }
}

/// Reads small files whole.
enum TextFile {
    /// The bytes of a file, nil when it cannot be read (errno says why) or is larger than `sizeMax`.
    static func bytes(of path: String, sizeMax: Int) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
            guard bytes.count <= sizeMax else {
                errno = EFBIG
                return nil
            }
        }
    }
}
