import Foundation
import Synchronization
import TestSupport
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The built binary as a child process in a folder of its own.
///
// Unchecked: `process` changes only in `start`, which a test awaits before it lets other tasks in.
final class RunningGateway: @unchecked Sendable {
    let folder: URL
    let port: Int
    let grpcPort: Int
    let metricsPort: Int
    /// What the binary is started with, such as `strace -D -f …`; it must leave the gateway the process's id.
    var wrapper: [String] = []
    /// Further arguments of `sluice run`.
    var arguments: [String] = []
    private var configuration = ""
    private var process: ChildProcess?

    /// `configuration` may use PORT, CALLS (the port for gRPC), METRICS and FOLDER.
    init(_ configuration: String) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "sluice-e2e-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        port = FreePort.next()
        grpcPort = FreePort.next()
        metricsPort = FreePort.next()
        configure(configuration)
    }

    /// Sets what the next start reads.
    func configure(_ text: String) {
        configuration =
            text
            .replacingOccurrences(of: "PORT", with: String(port))
            .replacingOccurrences(of: "CALLS", with: String(grpcPort))
            .replacingOccurrences(of: "METRICS", with: String(metricsPort))
            .replacingOccurrences(of: "FOLDER", with: folder.path)
    }

    /// Changes what the next start reads.
    func replace(_ text: String, with other: String) {
        configuration = configuration.replacingOccurrences(of: text, with: other)
    }

    deinit {
        process?.signal(SIGKILL)
        try? FileManager.default.removeItem(at: folder)
    }

    /// The binary lies beside the test bundle.
    static var binary: URL {
        var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
        for _ in 0..<4 {
            let candidate = folder.appending(path: "sluice")
            if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
            folder = folder.deletingLastPathComponent()
        }
        return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/debug/sluice")
    }

    func start() async throws {
        try launch()
        for _ in 0..<4_800 {
            if (try? await metrics()) != nil, try await post([], path: "/v1/traces") == 200 { return }
            guard isRunning else { break }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw Fault(text: "the gateway did not start: \(logText)")
    }

    /// What all runs wrote to their log.
    var logText: String { (try? String(contentsOf: folder.appending(path: "log.txt"), encoding: .utf8)) ?? "" }

    var isRunning: Bool { process?.isRunning ?? false }
    var pid: pid_t { process?.pid ?? 0 }

    /// Waits for an end that nobody asked for; gives the exit status.
    func waitForExit() -> Int32 { process?.waitBlocking() ?? -1 }

    /// Runs another command of the binary to its end; gives its exit status and what it wrote.
    func command(_ arguments: [String]) throws -> (status: Int32, text: String) {
        let outcome = try ChildProcess.runBlocking(RunningGateway.binary.path, arguments)
        return (outcome.status, outcome.output + outcome.errors)
    }

    /// Lets the gateway read the configuration again, and waits until it says what became of it. False when it goes on
    /// with the one before.
    func reload() async throws -> Bool {
        func outcomes(_ text: String) -> Int { logText.components(separatedBy: text).count }
        let (taken, refused) = ("the new configuration is in force", "the configuration stays as it was")
        let before = (outcomes(taken), outcomes(refused))
        try writeConfiguration()
        process?.signal(SIGHUP)
        for _ in 0..<4_800 where isRunning {
            if outcomes(taken) > before.0 { return true }
            if outcomes(refused) > before.1 { return false }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw Fault(text: "nothing was said of SIGHUP: \(logText)")
    }

    /// Gives where the configuration lies.
    @discardableResult
    private func writeConfiguration() throws -> URL {
        let file = folder.appending(path: "config.yaml")
        try configuration.write(to: file, atomically: true, encoding: .utf8)
        return file
    }

    /// Tells the process something and does not wait.
    func signal(_ number: Int32) { process?.signal(number) }

    /// Starts the process and does not wait until it serves.
    func launch() throws {
        let file = try writeConfiguration()
        let words =
            wrapper + [
                RunningGateway.binary.path, "run", "--config", file.path, "--data-directory",
                folder.appending(path: "data").path,
            ] + arguments
        let log = ChildProcess.Output.file(folder.appending(path: "log.txt").path)
        // A backtracer that outlives a killed gateway would keep its ports.
        process = try ChildProcess(
            words[0], Array(words.dropFirst()), environment: ["SWIFT_BACKTRACE": "enable=no"], output: log, errors: log)
    }

    struct Fault: Error { var text: String }

    func end(_ signal: Int32) -> Int32 {
        process?.signal(signal)
        let status = waitForExit()
        if [128 + SIGSEGV, 128 + SIGILL, 128 + SIGABRT].contains(status) { print("THE GATEWAY CRASHED: \(status)") }
        return status
    }

    /// The status of the answer; 0 when there was none.
    func post(
        _ body: [UInt8], path: String, type: String = "application/x-protobuf", headers: [String: String] = [:]
    ) async throws -> Int {
        var request = URLRequest(url: URL(string: "http://127.0.0.1:\(port)\(path)")!)
        request.httpMethod = "POST"
        request.httpBody = Data(body)
        request.setValue(type, forHTTPHeaderField: "content-type")
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        request.timeoutInterval = 120
        guard let (_, answer) = try? await URLSession.shared.data(for: request) else { return 0 }
        return (answer as? HTTPURLResponse)?.statusCode ?? 0
    }

    /// Sum of a metric over its series.
    func metric(_ name: String) async throws -> Double {
        try await metrics().split(separator: "\n").filter { $0.hasPrefix(name + "{") || $0.hasPrefix(name + " ") }
            .reduce(0) { $0 + (Double($1.split(separator: " ").last ?? "0") ?? 0) }
    }

    /// Waits until nothing is held any more.
    func waitUntilDelivered() async throws {
        for _ in 0..<4_800 {
            if try await metric("sluice_exporter_held_items") == 0 { return }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw Fault(text: "records are still held after two minutes")
    }

    /// What the metrics listener answers at a path.
    func answer(_ path: String) async throws -> String {
        let (data, _) = try await URLSession.shared.data(from: URL(string: "http://127.0.0.1:\(metricsPort)\(path)")!)
        return String(decoding: data, as: UTF8.self)
    }

    private func metrics() async throws -> String { try await answer("/metrics") }
}

/// A number that tasks count up together.
final class SharedCount: Sendable {
    private let count = Atomic(0)

    var value: Int { count.load(ordering: .relaxed) }
    func add(_ number: Int) { count.wrappingAdd(number, ordering: .relaxed) }
}
