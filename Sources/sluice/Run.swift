import ArgumentParser
import Configuration
@preconcurrency import Dispatch
import Gateway
import Glibc
import Logging
import Synchronization

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Runs the gateway until SIGTERM or SIGINT; with SIGHUP it goes on with the configuration as it is then.")
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Folder of the journals and databases for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Option(help: "Seconds that a shutdown may take to deliver what is held.")
    var shutdownTimeout = 10

    func run() async throws {
        let terminal = ControllingTerminal()
        // First of all: as the first process of a container it would not be ended by a signal that nobody takes.
        let signals = Signals([SIGTERM, SIGINT, SIGHUP], first: { endInTime(0) }) {
            // The second signal to end does so at once; what was answered 200 is in the journal.
            LogWriter.standardError.flush(atMost: Self.logTime)
            Terminal.error("sluice: second signal: ending now; the journal keeps what is not delivered")
            Glibc._exit(0)
        }
        SystemFacts.raiseFileLimit()
        if let problem = SystemFacts.fileLimitProblem {
            Terminal.error("sluice: \(problem)")
            throw Exit.start
        }
        let loaded = try options.load(dataDirectory: dataDirectory, trial: .all)
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        SystemFacts.tuneAllocator(softLimit: loaded.plan.softLimit)
        var inForce = ConfigurationInForce(loaded)
        let gateway = Gateway(plan: loaded.plan, dataDirectory: dataDirectory, log: inForce.log)
        do {
            _ = try await gateway.start()
        } catch {
            LogWriter.standardError.flush(atMost: Self.logTime)
            Terminal.error("sluice: \(error)")
            throw Exit.start
        }
        inForce.log.info("sluice \(Version.current) is ready")
        if let shortage = SystemFacts.fileShortage { inForce.log.error("\(shortage)") }
        SystemFacts.releaseCode()
        while await signals.next() == SIGHUP, !terminal.isGone {
            try await reload(gateway, &inForce)
        }
        let log = inForce.log
        log.info("shutting down: no new requests, delivering what is held for at most \(shutdownTimeout) s")
        await gateway.shutdown(deadline: deadline)
        log.info("ended")
        LogWriter.standardError.flush(atMost: Self.logTime)
    }

    /// Ends the process when its end takes longer than it may, whatever keeps it: an exporter whose disk or database
    /// does not answer, or a reload that waits for one.
    @Sendable private func endInTime(_ code: Int32) {
        let seconds = Double(min(max(0, shutdownTimeout), 1 << 30)) + Self.graceTime
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) {
            LogWriter.standardError.flush(atMost: Self.logTime)
            Terminal.error(
                "sluice: ending, though an exporter still waits for its disk or its database; what it has not "
                    + "delivered stays in the journal, and is lost where sending_queue.storage is memory")
            Glibc._exit(code)
        }
    }

    /// Seconds that exporters without any time left may take to end, such as for a file that is being compressed.
    private static let graceTime = 6.0

    private var deadline: Duration { .seconds(max(0, shutdownTimeout)) }

    /// Goes on with the configuration as it is now.
    private func reload(_ gateway: Gateway, _ inForce: inout ConfigurationInForce) async throws {
        let log = inForce.log
        log.info("SIGHUP: reading the configuration")
        let loaded = options.read(dataDirectory: dataDirectory, trial: .all)
        inForce.tellNew(loaded.problems)
        let next = ConfigurationInForce(loaded)
        switch await gateway.reload(loaded, log: next.log, deadline: deadline) {
        case .taken:
            let fields = inForce.outline.difference(to: next.outline).mapValues { Logger.MetadataValue.string($0) }
            next.log.info("the new configuration is in force", metadata: fields)
            if let shortage = SystemFacts.fileShortage { next.log.error("\(shortage)") }
            inForce = next
        case .refused(let reason):
            log.error("the configuration stays as it was: the new one cannot be taken: \(reason)")
        case .failed(let reason):
            log.error("no configuration can be taken: \(reason)")
            endInTime(Exit.start.rawValue)
            await gateway.shutdown(deadline: deadline)
            LogWriter.standardError.flush(atMost: Self.logTime)
            throw Exit.start
        }
    }

    /// How long the end of the process waits for whoever reads the log.
    private static let logTime = Duration.seconds(1)
}

/// What of the configuration in force the next one is held against.
struct ConfigurationInForce {
    let log: Logger
    let outline: ConfigOutline
    private let problems: ConfigProblems
    private let isJSON: Bool

    init(_ loaded: LoadedConfiguration) {
        log = Logger.gateway(loaded.plan.telemetry)
        outline = ConfigOutline(loaded.tree)
        problems = loaded.problems
        isJSON = loaded.plan.telemetry.logEncoding == .json
    }

    /// Tells what is wrong with the next one, but for warnings that this one has too. Lines of a log in JSON are in
    /// JSON, each a problem.
    func tellNew(_ next: ConfigProblems) {
        var next = next
        next.removeWarnings(toldBy: problems)
        guard isJSON else { return ConfigurationOptions.tell(next) }
        for problem in next.all {
            let line = ConfigProblems.headline(problem)
            if problem.severity == .error { log.error("\(line)") } else { log.warning("\(line)") }
        }
    }
}

/// The terminal that the process was started from, if any.
struct ControllingTerminal {
    private let wasThere = isatty(0) != 0

    /// It was closed, for which SIGHUP stands as well.
    var isGone: Bool { wasThere && isatty(0) == 0 }
}

/// Waits for signals of the process, from its initialization on. One for each process.
final class Signals: Sendable {
    private struct State {
        /// SIGHUP has come; several are one.
        var asksForReload = false
        /// How often the process was told to end.
        var ends = 0
    }

    private let stream: AsyncStream<Void>
    private let source: any DispatchSourceRead
    private let state = Mutex(State())

    // Set before the handlers that use it, and not again.
    nonisolated(unsafe) private static var writeEnd: Int32 = -1

    /// `first` and `impatient` are called on a thread of their own when the process is told to end, and when it is told
    /// so again.
    init(_ numbers: [Int32], first: @escaping @Sendable () -> Void, impatient: @escaping @Sendable () -> Void) {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.stream = stream
        var ends: [Int32] = [-1, -1]
        _ = pipe(&ends)
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        let readEnd = ends[0]
        Self.writeEnd = ends[1]
        source = DispatchSource.makeReadSource(fileDescriptor: readEnd)
        source.setEventHandler { [self] in
            var byte: UInt8 = 0
            while read(readEnd, &byte, 1) == 1 {
                switch note(Int32(byte)) {
                case 0: break
                case 1: first()
                default: impatient()
                }
                continuation.yield()
            }
        }
        source.resume()
        // A source of signals is registered some time after it is made, and what comes before is lost; a pipe keeps it.
        for number in numbers {
            signal(number) { number in
                let code = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(Signals.writeEnd, &byte, 1)
                errno = code
            }
        }
    }

    /// How often the process was told to end, with this signal.
    private func note(_ number: Int32) -> Int {
        state.withLock { state in
            if number == SIGHUP { state.asksForReload = true } else { state.ends += 1 }
            return number == SIGHUP ? 0 : state.ends
        }
    }

    /// The next signal, when it comes: SIGTERM for any that ends the process, whatever came first.
    func next() async -> Int32 {
        while true {
            let due = state.withLock { state -> Int32? in
                if state.ends > 0 { return SIGTERM }
                defer { state.asksForReload = false }
                return state.asksForReload ? SIGHUP : nil
            }
            if let due { return due }
            for await _ in stream { break }
        }
    }
}
