import Foundation

/// A server on loopback that writes its port as its first line, and ends when its standard input does.
final class ServerScript: Sendable {
    let port: Int
    private let process: ChildProcess
    private let folder: String

    init(_ program: String, _ arguments: [String]) throws {
        folder = try makeTemporaryFolder()
        process = try ChildProcess(program, arguments, input: .pipe, output: .file(folder + "/output"))
        for _ in 0..<7_200 where process.isRunning {
            if let port = Self.read(folder).first.flatMap({ Int($0) }) {
                self.port = port
                return
            }
            usleep(25_000)
        }
        port = 0
        throw ChildProcess.Failure(
            description: "\(program) \(arguments): no port within three minutes: \(Self.read(folder))")
    }

    /// What it wrote so far, whole lines.
    var lines: [Substring] { Self.read(folder) }

    private static func read(_ folder: String) -> [Substring] {
        let text = String(decoding: FileManager.default.contents(atPath: folder + "/output") ?? Data(), as: UTF8.self)
        return Array(text.split(separator: "\n", omittingEmptySubsequences: false).dropLast())
    }

    func end() { process.closeInput() }

    deinit {
        process.closeInput()
        process.signal(SIGTERM)
        try? FileManager.default.removeItem(atPath: folder)
    }
}
