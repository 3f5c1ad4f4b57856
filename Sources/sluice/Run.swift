import ArgumentParser
@preconcurrency import Dispatch
import Gateway
import Glibc
import Logging

/// Writing to the terminal.
enum Terminal {
    /// A line on standard error.
    static func error(_ text: String) {
        var line = text.hasSuffix("\n") ? text : text + "\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }

    /// Bytes on standard output, as they are.
    static func output(_ bytes: [UInt8]) {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            at += count
        }
    }
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Runs the gateway until SIGTERM, SIGINT or SIGHUP.")
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Folder of the journals and databases for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Option(help: "Seconds that a shutdown may take to deliver what is held.")
    var shutdownTimeout = 10

    func run() async throws {
        // First of all: as the first process of a container it would not be ended by a signal that nobody takes.
        let signals = Signals([SIGTERM, SIGINT, SIGHUP])
        SystemFacts.raiseFileLimit()
        if let problem = SystemFacts.fileLimitProblem {
            Terminal.error("sluice: \(problem)")
            throw Exit.start
        }
        let loaded = try options.load(dataDirectory: dataDirectory, trial: .all)
        signal(SIGPIPE, SIG_IGN)
        umask(0o077)
        SystemFacts.tuneAllocator(softLimit: loaded.plan.softLimit)
        let log = Logger.gateway(loaded.plan.telemetry)
        let gateway = Gateway(plan: loaded.plan, dataDirectory: dataDirectory, log: log)
        do {
            _ = try await gateway.start()
        } catch {
            LogWriter.standardError.flush(atMost: Self.logTime)
            Terminal.error("sluice: \(error)")
            throw Exit.start
        }
        log.info("sluice \(Version.current) is ready")
        SystemFacts.releaseCode()
        await signals.first()
        log.info("shutting down: no new requests, delivering what is held for at most \(shutdownTimeout) s")
        // A second signal ends at once; what was answered 200 is in the journal.
        let impatient = Task {
            await signals.first()
            guard !Task.isCancelled else { return }
            log.warning("second signal: ending now; the journal keeps what is not delivered")
            LogWriter.standardError.flush(atMost: Self.logTime)
            Glibc._exit(0)
        }
        await gateway.shutdown(deadline: .seconds(max(0, shutdownTimeout)))
        impatient.cancel()
        log.info("ended")
        LogWriter.standardError.flush(atMost: Self.logTime)
    }

    /// How long the end of the process waits for whoever reads the log.
    private static let logTime = Duration.seconds(1)
}

/// Waits for signals of the process, from its initialization on. One for each process.
final class Signals: Sendable {
    private let stream: AsyncStream<Void>
    private let source: any DispatchSourceRead

    // Set before the handlers that use it, and not again.
    nonisolated(unsafe) private static var writeEnd: Int32 = -1

    init(_ numbers: [Int32]) {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
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
        source.setEventHandler {
            var byte: UInt8 = 0
            while read(readEnd, &byte, 1) == 1 { continuation.yield() }
        }
        source.resume()
        // A source of signals is registered some time after it is made, and what comes before is lost; a pipe keeps it.
        for number in numbers {
            signal(number) { _ in
                let code = errno
                var byte: UInt8 = 1
                _ = write(Signals.writeEnd, &byte, 1)
                errno = code
            }
        }
    }

    /// Returns when the next signal comes.
    func first() async {
        for await _ in stream { return }
    }
}
