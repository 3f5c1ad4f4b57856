import Dispatch
import Glibc
import Synchronization

/// Writes the lines of the log in order to a descriptor, on a thread that may block: whoever reads the log, and stops,
/// stops nobody else. What waits is bounded; lines beyond it are counted, and told when the log goes on.
package final class LogWriter: Sendable {
    /// The process's standard error.
    package static let standardError = LogWriter(descriptor: 2)

    /// Most bytes that wait, beside those that are being written.
    package static let waitingBytesMax = 256 << 10

    private struct State {
        var waiting: [UInt8] = []
        /// The thread is at work.
        var isWriting = false
        /// Lines that found no room since that was told last, and since the start.
        var untold = 0
        var lost = 0
    }

    private let descriptor: Int32
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "log")

    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// Lines that were not written, since the start.
    package var lostLines: Int { state.withLock { $0.lost } }

    /// Takes a line, with its end, and returns at once. `notice` makes the line that tells how many were lost.
    package func write(_ line: [UInt8], notice: @escaping @Sendable (Int) -> [UInt8]) {
        let starts = state.withLock { state in
            guard state.waiting.count + line.count <= Self.waitingBytesMax else {
                state.untold += 1
                state.lost += 1
                return false
            }
            state.waiting += line
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if starts { queue.async { self.writeWaiting(notice) } }
    }

    /// Waits until everything is written, or the time is over; then gives false. Blocks: for the end of the process.
    @discardableResult
    package func flush(atMost limit: Duration) -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while state.withLock({ $0.isWriting }) {
            if clock.now >= end { return false }
            usleep(1_000)
        }
        return true
    }

    private func writeWaiting(_ notice: (Int) -> [UInt8]) {
        while true {
            let chunk = state.withLock { state -> [UInt8] in
                // What was lost came behind what waits.
                if state.untold > 0 { state.waiting += notice(state.untold) }
                state.untold = 0
                state.isWriting = !state.waiting.isEmpty
                defer { state.waiting = [] }
                return state.waiting
            }
            if chunk.isEmpty { return }
            if !writeAll(chunk) {
                let lines = chunk.count { $0 == UInt8(ascii: "\n") }
                state.withLock { $0.lost += lines }
            }
        }
    }

    /// False when nobody will ever read it.
    private func writeAll(_ bytes: [UInt8]) -> Bool {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                at += count
            } else if errno == EAGAIN {
                // Somebody who shares the descriptor has made it so.
                var event = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&event, 1, 1_000)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
