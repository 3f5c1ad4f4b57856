import CChildProcess
import Foundation
import Synchronization

/// A program that a test runs.
///
/// Foundation's `Process` does not do for tests side by side: descriptors of one test reach a child of another, which
/// then keeps pipes and connections open, and an end is seen only once nobody holds a certain socket any more. Here a
/// child gets its three standard streams and nothing else, no signal is blocked or ignored in it, and a thread of its
/// own waits for its end.
package final class ChildProcess: Sendable {
    package enum Input: Sendable {
        case nothing
        case file(String)
        /// Open until `closeInput`, or until the tests are gone.
        case pipe
    }

    package enum Output: Sendable {
        case nothing
        /// That of the tests.
        case inherited
        /// Written at the file's end; made when it is not there.
        case file(String)
    }

    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private struct State {
        var status: Int32?
        var waiters: [@Sendable (Int32) -> Void] = []
        var input: Int32 = -1
    }

    package let pid: Int32
    private let state: Mutex<State>

    /// Starts `program`, which is looked for in PATH when it has no slash.
    package init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], input: Input = .nothing,
        output: Output = .nothing, errors: Output = .inherited
    ) throws {
        var ends: [Int32] = [-1, -1]
        if case .pipe = input, sluice_test_pipe(&ends) != 0 { throw Failure(description: "no pipe: errno \(errno)") }
        defer { if ends[0] >= 0 { close(ends[0]) } }
        let started = Self.spawn(
            program, arguments, environment: environment, input: input, pipe: ends[0], output: output, errors: errors)
        guard case .success(let pid) = started else {
            if ends[1] >= 0 { close(ends[1]) }
            throw Failure(description: "\(program) does not start: \(started)")
        }
        self.pid = pid
        state = Mutex(State(input: ends[1]))
        Thread.detachNewThread { [self] in watch() }
    }

    /// Not before its end, since the watching thread holds the value.
    deinit { closeInput() }

    package var isRunning: Bool { state.withLock { $0.status == nil } }

    /// Sends a signal, unless it has ended.
    package func signal(_ number: Int32) {
        state.withLock { if $0.status == nil { kill(pid, number) } }
    }

    package func write(_ text: String) {
        let descriptor = state.withLock { $0.input }
        let bytes = Array(text.utf8)
        if descriptor >= 0 { _ = Glibc.write(descriptor, bytes, bytes.count) }
    }

    package func closeInput() {
        state.withLock { state in
            if state.input >= 0 { close(state.input) }
            state.input = -1
        }
    }

    /// Its exit status, 128 and the signal's number after a signal, as a shell has it.
    package func wait() async -> Int32 {
        await withCheckedContinuation { continuation in whenEnded { continuation.resume(returning: $0) } }
    }

    /// As `wait`, holding the thread; what does not end in time is killed.
    @discardableResult
    package func waitBlocking(seconds: Double = 600) -> Int32 {
        let ended = DispatchSemaphore(value: 0)
        whenEnded { _ in ended.signal() }
        if ended.wait(timeout: .now() + seconds) == .timedOut {
            signal(SIGKILL)
            ended.wait()
        }
        return state.withLock { $0.status ?? -1 }
    }

    private func whenEnded(_ body: @escaping @Sendable (Int32) -> Void) {
        let status = state.withLock { state in
            if state.status == nil { state.waiters.append(body) }
            return state.status
        }
        if let status { body(status) }
    }

    private func watch() {
        var information = siginfo_t()
        // Without taking it, so that the process id is nobody else's while `signal` may use it.
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0 && errno == EINTR {}
        let (status, waiters) = state.withLock { state in
            var word: Int32 = 0
            waitpid(pid, &word, 0)
            let signal = word & 0x7F
            let status = signal == 0 ? (word >> 8) & 0xFF : 128 + signal
            state.status = status
            defer { state.waiters = [] }
            return (status, state.waiters)
        }
        for waiter in waiters { waiter(status) }
    }

    // MARK: Starting

    private static func spawn(
        _ program: String, _ arguments: [String], environment: [String: String], input: Input, pipe: Int32,
        output: Output, errors: Output
    ) -> Result<pid_t, ChildProcess.Failure> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        switch input {
        case .nothing: posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        case .file(let path): posix_spawn_file_actions_addopen(&actions, 0, path, O_RDONLY, 0)
        case .pipe: posix_spawn_file_actions_adddup2(&actions, pipe, 0)
        }
        for (descriptor, output) in [(Int32(1), output), (2, errors)] {
            switch output {
            case .nothing: posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_WRONLY, 0)
            case .inherited: break
            case .file(let path):
                posix_spawn_file_actions_addopen(&actions, descriptor, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
            }
        }
        sluice_test_close_from(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
        var pid: pid_t = 0
        let status = withWords([program] + arguments) { words in
            withWords(variables) { posix_spawnp(&pid, program, &actions, &attributes, words, $0) }
        }
        guard status == 0 else { return .failure(Failure(description: String(cString: strerror(status)))) }
        return .success(pid)
    }

    /// `words` as C has them, ended by a null pointer.
    private static func withWords<Result>(
        _ words: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = words.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers + [nil])
    }
}

extension ChildProcess {
    package struct Outcome: Sendable {
        package var status: Int32
        package var output: String
        package var errors: String
    }

    /// Runs a program to its end. What it writes goes through files, so that no reader waits for whoever holds a pipe.
    package static func run(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], input: Input = .nothing
    ) async throws -> Outcome {
        let run = try Run(program, arguments, environment: environment, input: input)
        return run.outcome(await run.process.wait())
    }

    /// As `run`, holding the thread.
    package static func runBlocking(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], input: Input = .nothing
    ) throws -> Outcome {
        let run = try Run(program, arguments, environment: environment, input: input)
        return run.outcome(run.process.waitBlocking())
    }

    private final class Run: Sendable {
        let process: ChildProcess
        private let folder: String

        init(_ program: String, _ arguments: [String], environment: [String: String], input: Input) throws {
            folder = try makeTemporaryFolder()
            process = try ChildProcess(
                program, arguments, environment: environment, input: input, output: .file(folder + "/output"),
                errors: .file(folder + "/errors"))
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func outcome(_ status: Int32) -> Outcome {
            let texts = ["output", "errors"].map { name in
                String(decoding: FileManager.default.contents(atPath: "\(folder)/\(name)") ?? Data(), as: UTF8.self)
            }
            return Outcome(status: status, output: texts[0], errors: texts[1])
        }
    }
}

/// An empty folder of its own below the temporary one.
package func makeTemporaryFolder() throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}
