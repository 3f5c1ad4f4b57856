import Foundation

/// A current ClickHouse engine on loopback, behind a small HTTP server in Python.
///
/// It needs a Python with the package chdb-core (900 MB), which SLUICE_TEST_CHDB names; without it its tests do not
/// run.
package final class ClickHouseServer: Sendable {
    package let url: String
    private let folder: URL
    private let input = Pipe()

    package static var python: String? { ProcessInfo.processInfo.environment["SLUICE_TEST_CHDB"] }

    package struct Failure: Error {}

    package init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sluice-clickhouse-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: Self.python ?? "/nonexistent")
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "clickhouse_server.py").path
        process.arguments = [script, folder.path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else { throw Failure() }
        url = "http://127.0.0.1:\(port)"
    }

    deinit {
        try? input.fileHandleForWriting.close()
        try? FileManager.default.removeItem(at: folder)
    }
}
