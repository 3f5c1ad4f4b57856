import Foundation

/// Snowflake's SQL API on loopback: its documented answers over DuckDB, in the Python that script/python-clients makes.
package final class SnowflakeServer: Sendable {
    package let url: String
    /// The user's private key in PEM form.
    package let keyPath: String
    private let folder: URL
    private let input = Pipe()

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
        let process = Process()
        let output = Pipe()
        process.executableURL = Self.environment.appending(path: "bin/python")
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "snowflake_server.py").path
        process.arguments = [script, publicKey, account, user]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw Failure(description: "the server says \"\(line)\" instead of its port")
        }
        url = "http://127.0.0.1:\(port)"
    }

    deinit {
        try? input.fileHandleForWriting.close()
        try? FileManager.default.removeItem(at: folder)
    }

    /// A private key that no account knows.
    package static func makeKey(at path: String) throws {
        try run("/usr/bin/openssl", ["genpkey", "-algorithm", "RSA", "-out", path])
    }

    private static func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(description: "\(program) \(arguments) failed") }
    }
}
