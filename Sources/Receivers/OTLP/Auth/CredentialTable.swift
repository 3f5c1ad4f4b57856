import Crypto

/// Credentials by their digests, so that none is compared, or lies in memory, as text.
struct CredentialTable: Sendable, Equatable {
    private struct Entry: Equatable {
        var digest: [UInt8]
        var tenant: String
    }

    /// A user whose password is kept as a hash with a salt: bcrypt or MD5.
    struct HashedUser: Equatable {
        var name: String
        var hash: String
    }

    private var entries: [Entry] = []
    private(set) var hashedUsers: [HashedUser] = []

    var isEmpty: Bool { entries.isEmpty && hashedUsers.isEmpty }
    var count: Int { entries.count + hashedUsers.count }

    init() {}

    /// The credentials of lines with one user each, of which the last one wins where several have the same name.
    init(users lines: [CredentialTable]) {
        var known: Set<[UInt8]> = []
        var last: [CredentialTable] = []
        for line in lines.reversed() where known.isDisjoint(with: line.names) {
            known.formUnion(line.names)
            last.append(line)
        }
        for line in last.reversed() { add(line) }
    }

    /// The names of all users and tenants, byte by byte.
    var names: Set<[UInt8]> {
        Set(entries.map { Array($0.tenant.utf8) } + hashedUsers.map { Array($0.name.utf8) })
    }

    /// Adds a credential. The last one wins where two are the same.
    mutating func add(_ credential: some Collection<UInt8>, tenant: String = "") {
        entries.append(Entry(digest: Self.digest(credential), tenant: tenant))
    }

    mutating func add(_ other: CredentialTable) {
        entries += other.entries
        hashedUsers += other.hashedUsers
    }

    mutating func add(_ user: HashedUser) { hashedUsers.append(user) }

    /// Two tenants that have one credential in common.
    var conflict: (first: String, second: String)? {
        var owners: [[UInt8]: String] = [:]
        for entry in entries {
            if let owner = owners.updateValue(entry.tenant, forKey: entry.digest), owner != entry.tenant {
                return (owner, entry.tenant)
            }
        }
        return nil
    }

    /// The tenant of a credential, nil when it is not in the table. Takes the same time wherever it stands, and when it
    /// is not there.
    func tenant(of credential: some Collection<UInt8>) -> String? {
        let digest = Self.digest(credential)
        var found = -1
        for (index, entry) in entries.enumerated() {
            var difference: UInt8 = 0
            for (one, other) in zip(digest, entry.digest) { difference |= one ^ other }
            // All ones when nothing differs, otherwise zero.
            let mask = (Int(difference) - 1) >> 8
            found = (found & ~mask) | (index & mask)
        }
        return found < 0 ? nil : entries[found].tenant
    }

    static func digest(_ credential: some Collection<UInt8>) -> [UInt8] {
        Array(SHA256.hash(data: Array(credential)))
    }
}
