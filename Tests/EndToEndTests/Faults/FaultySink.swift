import Foundation
import Synchronization

/// An OTLP/HTTP destination on loopback that misbehaves on demand and keeps a ledger of the spans it has.
final class FaultySink: Sendable {
    enum Behaviour: Sendable {
        case accept
        /// Answers so and keeps nothing.
        case status(Int)
        /// Answers 503, keeps nothing, and asks for so many seconds.
        case busy(retryAfter: Int)
        /// Keeps the data after this many milliseconds.
        case slow(Int)
        /// Hangs up before it has read the request, and keeps nothing.
        case reset
        /// Keeps the data and hangs up instead of answering.
        case lie
        /// Keeps the data and answers 200 with a body that is no OTLP.
        case garbage
        /// Answers so, keeps nothing, and quotes the lines of the request's head that hold this text.
        case quote(Int, String)
        /// Answers 503 to requests that hold this span, and takes all others.
        case takesAllBut(UInt64)
    }

    private struct State {
        var received: [UInt64: Int] = [:]
        var requests = 0
        var behaviour = Behaviour.accept
        var connections = 0
        var isStopped = false
    }

    let port: Int
    private let listener: Int32
    private let state = Mutex(State())

    /// Listens on `port`, on any free one when it is 0.
    init(port wanted: Int = 0) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(wanted).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x0100_007F)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 128) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw RunningGateway.Fault(text: "no port for the sink") }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in acceptLoop() }
    }

    /// Times that each span came.
    var received: [UInt64: Int] { state.withLock { $0.received } }
    var requests: Int { state.withLock { $0.requests } }
    /// Connections of which it still reads.
    var connections: Int { state.withLock { $0.connections } }
    /// Spans that came more than once, each as often as it was too many.
    var duplicates: Int { state.withLock { $0.received.values.reduce(0) { $0 + $1 - 1 } } }

    func behave(_ behaviour: Behaviour) { state.withLock { $0.behaviour = behaviour } }

    func stop() {
        // Wakes the accepting thread, which closes the listener: its number must not be another's while it accepts, and
        // may be another's afterwards, so a second call does nothing.
        state.withLock { state in
            if !state.isStopped { shutdown(listener, Int32(SHUT_RDWR)) }
            state.isStopped = true
        }
    }

    /// Waits until all of `numbers` are here; gives those that are not after two minutes.
    func wait(for numbers: Set<UInt64>) async throws -> Set<UInt64> {
        for _ in 0..<2_400 {
            let isComplete = state.withLock { state in numbers.allSatisfy { state.received[$0] != nil } }
            if isComplete { return [] }
            try await Task.sleep(for: .milliseconds(50))
        }
        return numbers.subtracting(received.keys)
    }

    private func acceptLoop() {
        defer { close(listener) }
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0 {
                if state.withLock({ $0.isStopped }) { return }
                usleep(1_000)
                continue
            }
            state.withLock { $0.connections += 1 }
            Thread.detachNewThread { [self] in
                serve(connection)
                close(connection)
                state.withLock { $0.connections -= 1 }
            }
        }
    }

    private func serve(_ connection: Int32) {
        var pending: [UInt8] = []
        while let (sent, body) = RawHTTP.read(connection, &pending) {
            let behaviour = state.withLock { state in
                state.requests += 1
                return state.behaviour
            }
            var status = 200
            var more = ""
            var answer: [UInt8] = []
            switch behaviour {
            case .accept: keep(body)
            case .status(let number): status = number
            case .busy(let seconds): (status, more) = (503, "Retry-After: \(seconds)\r\n")
            case .slow(let milliseconds):
                usleep(UInt32(milliseconds) * 1_000)
                keep(body)
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
                return
            case .lie:
                keep(body)
                return
            case .garbage:
                keep(body)
                answer = Array("<html>thank you</html>".utf8)
            case .quote(let number, let text):
                status = number
                let lines = sent.components(separatedBy: "\r\n").filter { $0.contains(text) }
                answer = Array("you sent \(lines.joined(separator: "; "))".utf8)
            case .takesAllBut(let number):
                if NumberedSpans.numbers(body).contains(number) { status = 503 } else { keep(body) }
            }
            let type = "Content-Type: text/html"
            let head = "HTTP/1.1 \(status) X\r\n\(type)\r\n\(more)Content-Length: \(answer.count)\r\n\r\n"
            guard RawHTTP.send(connection, Array(head.utf8) + answer) else { return }
        }
    }

    private func keep(_ body: [UInt8]) {
        let numbers = NumberedSpans.numbers(body)
        state.withLock { state in for number in numbers { state.received[number, default: 0] += 1 } }
    }
}
