import Foundation

/// Snowflake's SQL API on loopback: its documented answers over DuckDB, in the Python that script/python-clients makes.
package final class SnowflakeServer: Sendable {
    package let url: String
    /// The user's private key in PEM form.
    package let keyPath: String
    private let folder: URL
    private let server: ServerScript

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let environment = root.appending(path: ".build/python-clients")

    /// Whether its tests run: where the environment is made, and in CI always, so that its absence fails them.
    package static var isExpected: Bool {
        let made = try? String(contentsOf: environment.appending(path: "installed.txt"), encoding: .utf8)
        return made?.contains("duckdb") == true || ProcessInfo.processInfo.environment["CI"] == "true"
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    /// A server of its own with an empty database for the account and user.
    package init(account: String, user: String) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sluice-snowflake-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        keyPath = folder.appending(path: "key.p8").path
        let publicKey = folder.appending(path: "key.pub").path
        try Self.makeKey(at: keyPath)
        try Self.run("/usr/bin/openssl", ["pkey", "-in", keyPath, "-pubout", "-out", publicKey])
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "snowflake_server.py").path
        server = try ServerScript(
            Self.environment.appending(path: "bin/python").path, [script, publicKey, account, user])
        url = "http://127.0.0.1:\(server.port)"
    }

    deinit {
        server.end()
        try? FileManager.default.removeItem(at: folder)
    }

    /// A private key that no account knows.
    package static func makeKey(at path: String) throws {
        try run("/usr/bin/openssl", ["genpkey", "-algorithm", "RSA", "-out", path])
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let outcome = try ChildProcess.runBlocking(program, arguments)
        guard outcome.status == 0 else { throw Failure(description: "\(program) \(arguments): \(outcome.errors)") }
    }
}
