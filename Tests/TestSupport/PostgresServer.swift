package import Foundation
import Synchronization

/// A PostgreSQL server of its own on loopback, for the tests of one process.
///
/// A shell owns the server: it ends it and deletes its folder when the pipe to it closes, which also happens when the
/// test process crashes. As root, the server runs as the user postgres, since it refuses root.
package final class PostgresServer: Sendable {
    package let port: Int
    package let folder: URL
    private let shell: ChildProcess

    /// Started with the first use.
    package static let shared = Result { try PostgresServer() }

    /// Folder of initdb and postgres, nil when none is installed.
    package static var programs: String? {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let newest = versions.compactMap(Int.init).max()
        let paths = (newest.map { ["/usr/lib/postgresql/\($0)/bin"] } ?? []) + ["/usr/local/bin", "/usr/bin"]
        return paths.first { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") }
    }

    /// Whether its tests run: where a server is installed, and in CI always, so that its absence fails them.
    package static var isExpected: Bool {
        programs != nil || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private static let script = """
        set -e
        programs="$1" folder="$2" port="$3" as=
        if [ "$(id -u)" = 0 ]; then
            chown postgres "$folder"
            as="setpriv --reuid=postgres --regid=postgres --init-groups"
        fi
        cd "$folder"
        $as "$programs/initdb" -D "$folder/data" -A scram-sha-256 -U sluice --pwfile="$folder/password" -E UTF8 \
            --no-locale -N >"$folder/initdb.log" 2>&1
        $as openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
            -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/data/server.key" \
            -out "$folder/data/server.crt" >>"$folder/initdb.log" 2>&1
        cp "$folder/data/server.crt" "$folder/root.crt"
        chmod 644 "$folder/root.crt"
        $as "$programs/postgres" -D "$folder/data" -p "$port" -k "$folder" -c listen_addresses=127.0.0.1 -c ssl=on \
            -c fsync=off -c synchronous_commit=off -c full_page_writes=off >"$folder/server.log" 2>&1 &
        server=$!
        set +e
        read -r _
        kill -INT "$server"
        wait "$server"
        rm -rf "$folder"
        """

    private init() throws {
        guard let programs = Self.programs else {
            throw Failure(description: "no PostgreSQL server: install the Debian package postgresql")
        }
        var template = Array("/tmp/sluice-postgres-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "no folder below /tmp") }
        folder = URL(filePath: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        chmod(folder.path, 0o755)
        try Data("secret word\n".utf8).write(to: folder.appending(path: "password"))
        chmod(folder.appending(path: "password").path, 0o644)
        port = FreePort.next()
        shell = try ChildProcess(
            "/bin/sh", ["-c", Self.script, "sh", programs, folder.path, String(port)], input: .pipe)
        var last = ""
        for _ in 0..<3_600 {
            do {
                _ = try query("SELECT 1", database: "postgres")
                return
            } catch { last = "\(error)" }
            guard shell.isRunning else { break }
            usleep(50_000)
        }
        throw Failure(description: "PostgreSQL did not start: \(last)")
    }

    /// Rows of the statements' output, fields split.
    @discardableResult
    package func query(_ sql: String, database: String) throws -> [[String]] {
        let text = try psql(database, ["-c", sql])
        return text.split(separator: "\n").map { line in
            line.split(separator: "\u{1F}", omittingEmptySubsequences: false).map(String.init)
        }
    }

    /// Runs a file of statements.
    package func run(file: String, database: String) throws {
        _ = try psql(database, ["-f", file])
    }

    /// Locks a table until `unlock`, and gives the session that has the lock. A process of its own that nobody waits
    /// for: where tests side by side hold all threads of the pool, none would be left to begin a lock or to end it.
    package func lock(_ table: String, database: String) async throws -> ChildProcess {
        let session = try ChildProcess(
            "psql",
            arguments(database) + ["-c", "BEGIN; LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)"],
            environment: Self.environment, errors: .nothing)
        let count =
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted "
            + "AND relation = '\(table)'::regclass"
        while try query(count, database: database) == [["0"]] {
            guard session.isRunning else { throw Failure(description: "\(table) is not locked") }
            try await Task.sleep(for: .milliseconds(10))
        }
        return session
    }

    /// Ends the session that `lock` gave.
    package func unlock(_ session: ChildProcess, database: String) async throws {
        try query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(database)' AND query LIKE "
                + "'%pg_sleep(600)%' AND pid <> pg_backend_pid()", database: database)
        _ = await session.wait()
    }

    private func psql(_ database: String, _ work: [String]) throws -> String {
        let outcome = try ChildProcess.runBlocking(
            "psql", arguments(database) + work, environment: Self.environment)
        guard outcome.status == 0 else { throw Failure(description: outcome.errors) }
        return outcome.output
    }

    private static let environment = [
        "PGPASSWORD": "secret word", "PGOPTIONS": "-c client_min_messages=warning",
    ]

    private func arguments(_ database: String) -> [String] {
        [
            "-XAqt", "-F", "\u{1F}", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", String(port), "-U", "sluice",
            "-d", database,
        ]
    }

    private static let lastDatabase = Atomic<Int>(0)

    /// A new empty database.
    package func makeDatabase() throws -> String {
        let name = "t\(Self.lastDatabase.wrappingAdd(1, ordering: .relaxed).newValue)"
        try query("CREATE DATABASE \(name) TEMPLATE template0", database: "postgres")
        return name
    }

    /// A connection string with the password.
    package func datasource(_ database: String) -> String {
        "postgresql://sluice:secret%20word@127.0.0.1:\(port)/\(database)"
    }
}
