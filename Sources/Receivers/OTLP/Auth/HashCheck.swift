import CCrypt
import Crypto
import NIOCore
import Synchronization

/// Compares passwords with bcrypt hashes, and those of `MD5Crypt`, which is slow on purpose, so each password is worked
/// out once and its answer remembered by a digest. Safe to use from any thread.
///
/// A password that was not seen yet costs its work on an event loop; `costMax` bounds that to some 50 ms, and behind a
/// wrong one others have to wait, so that guessing takes no more than a fifth of a processor. Users that do not exist
/// cost nothing.
final class HashCheck: Sendable {
    /// Highest cost, as a power of two; `htpasswd -B` writes 5 and the Collector's documentation 10.
    static let costMax = 10
    /// Answers of one kind that are remembered; beyond, all of that kind are forgotten. So no number of wrong passwords
    /// makes a right one cost its work again.
    static let answersMax = 4096

    private struct Answers {
        var right: Set<[UInt8]> = []
        var wrong: Set<[UInt8]> = []

        func answer(_ key: [UInt8]) -> Bool? { right.contains(key) ? true : wrong.contains(key) ? false : nil }

        mutating func remember(_ key: [UInt8], _ isRight: Bool) {
            if isRight { Self.insert(key, &right) } else { Self.insert(key, &wrong) }
        }

        private static func insert(_ key: [UInt8], _ keys: inout Set<[UInt8]>) {
            if keys.count >= answersMax { keys = [] }
            keys.insert(key)
        }
    }

    /// A wrong password holds up others that were not seen for this many times of the work it was.
    private static let waitFactor = 4

    private let answers = Mutex(Answers())
    private let now: @Sendable () -> NIODeadline
    /// When a password that was not seen may be worked out.
    private let isFreeAt = Mutex(NIODeadline.uptimeNanoseconds(0))

    init(now: @escaping @Sendable () -> NIODeadline = { .now() }) { self.now = now }

    /// How often passwords were worked out, for tests.
    let worked = Atomic<Int>(0)

    /// Whether the password has this hash; nil when there was no time to work that out.
    func matches(_ password: some Collection<UInt8>, _ hash: String) -> Bool? {
        let key = CredentialTable.digest(Array(hash.utf8) + [0] + Array(password))
        if let known = answers.withLock({ $0.answer(key) }) { return known }
        let begin = now()
        guard isFreeAt.withLock({ $0 <= begin }) else { return nil }
        let matches = Self.work(Array(password), hash)
        let end = now()
        if !matches { isFreeAt.withLock { $0 = max($0, end + (end - begin) * Self.waitFactor) } }
        worked.wrappingAdd(1, ordering: .relaxed)
        answers.withLock { $0.remember(key, matches) }
        return matches
    }

    /// The cost of a bcrypt hash in the form `$2y$05$…`; nil when it is none.
    static func cost(of hash: Substring) -> Int? {
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0].isEmpty, ["2a", "2b", "2y"].contains(parts[1]), parts[2].utf8.count == 2,
            parts[3].utf8.count == 53, let cost = Int(parts[2]), (4...31).contains(cost)
        else { return nil }
        return cost
    }

    private static func work(_ password: [UInt8], _ hash: String) -> Bool {
        // crypt reads up to a zero, so a password that holds one would be another.
        guard !password.contains(0) else { return false }
        if let other = MD5Crypt(hash: Substring(hash)) {
            return password.count <= MD5Crypt.passwordBytesMax && isSame(other.stored(password), hash)
        }
        let memory = UnsafeMutablePointer<crypt_data>.allocate(capacity: 1)
        memory.initialize(to: crypt_data())
        defer { memory.deallocate() }
        let made = (password + [0]).withUnsafeBufferPointer { text in
            text.withMemoryRebound(to: CChar.self) { crypt_r($0.baseAddress, hash, memory) }
        }
        return made.map { isSame(String(cString: $0), hash) } ?? false
    }

    /// Takes the same time wherever the texts differ.
    private static func isSame(_ made: String, _ hash: String) -> Bool {
        var difference: UInt8 = 0
        let (one, other) = (Array(made.utf8), Array(hash.utf8))
        guard one.count == other.count else { return false }
        for (left, right) in zip(one, other) { difference |= left ^ right }
        return difference == 0
    }
}
