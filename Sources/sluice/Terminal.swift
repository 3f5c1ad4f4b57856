import Glibc
import Synchronization

/// Writing to the terminal.
enum Terminal {
    /// Why standard output cannot be written any more; 0 while it can.
    private static let outputFailure = Mutex<Int32>(0)

    /// A line on standard error.
    static func error(_ text: String) {
        var line = text.hasSuffix("\n") ? text : text + "\n"
        line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }

    /// Bytes on standard output, as they are. When they cannot be written, says so once; `isOutputLost` then makes the
    /// command fail in the end.
    static func output(_ bytes: [UInt8]) {
        var at = 0
        while at < bytes.count, !isOutputGone {
            let count = bytes[at...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if count > 0 {
                at += count
            } else if errno == EAGAIN {
                // Others who have the terminal may have made it so.
                var wanted = pollfd(fd: 1, events: Int16(POLLOUT), revents: 0)
                _ = poll(&wanted, 1, -1)
            } else if errno != EINTR {
                lose(errno)
            }
        }
    }

    private static func lose(_ code: Int32) {
        outputFailure.withLock { $0 = code }
        if code != EPIPE { error("sluice: standard output cannot be written: \(String(cString: strerror(code)))") }
    }

    /// Nobody gets what is printed any more.
    static var isOutputGone: Bool { outputFailure.withLock { $0 } != 0 }

    /// What was printed is not where it should be. A reader that has enough, such as `head`, loses nothing.
    static var isOutputLost: Bool {
        let code = outputFailure.withLock { $0 }
        return code != 0 && code != EPIPE
    }

    /// Fills the places of standard streams that are closed, so that no file of the command gets their numbers and what
    /// is printed with them. What is written there fails.
    static func fillStandardStreams() {
        var descriptor: Int32
        repeat { descriptor = open("/dev/null", O_RDONLY) } while (0...2).contains(descriptor)
        if descriptor > 2 { close(descriptor) }
    }
}

extension Int {
    /// With a noun: `1 finding`, `2 findings`.
    func of(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}

/// A text and a line's end on standard output. Stands in front of the standard library's, which passes over what cannot
/// be written.
func print(_ text: String, terminator: String = "\n") { Terminal.output(Array((text + terminator).utf8)) }
