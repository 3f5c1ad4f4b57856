import Dispatch
import Glibc
import Synchronization

/// A HTTP server on loopback that records requests and answers from a script, one thread per connection.
final class ScriptedServer: Sendable {
    struct Request: Sendable {
        var line: String
        var headers: [String: String]
        var body: [UInt8]
        /// Counts connections from 1.
        var connection: Int
    }

    enum Reply: Sendable {
        case answer(Int, headers: [String] = [], body: [UInt8] = [])
        /// The connection is reset without an answer.
        case reset
        /// These bytes, then the end of the connection.
        case cut([UInt8])
        /// No answer at all until the client goes away.
        case silence
    }

    private struct State {
        var requests: [Request] = []
        var connections = 0
        /// Descriptors of the connections that are served now.
        var open: Set<Int32> = []
        var isStopped = false
    }

    let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())
    private let script: @Sendable (Int, Request) -> Reply

    /// `script` gets the number of the request, from 0.
    init(_ script: @escaping @Sendable (Int, Request) -> Reply) {
        self.script = script
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
                _ = bind(descriptor, general, length)
                _ = listen(descriptor, 64)
                _ = getsockname(descriptor, general, &length)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        Thread.start { self.acceptLoop() }
    }

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { state.withLock { $0.requests } }
    var connections: Int { state.withLock { $0.connections } }

    /// Ends the connections too: the engine of the process keeps idle ones, and would use one that still answers for
    /// the next server that gets this port.
    func stop() {
        let isFirst = state.withLock { state in
            defer { state.isStopped = true }
            return !state.isStopped
        }
        guard isFirst else { return }
        // Wakes the accepting thread, which closes the listener: closed here, its number could be another server's by
        // the time that thread accepts again.
        Glibc.shutdown(listener, Int32(SHUT_RDWR))
        state.withLock { state in
            for connection in state.open { Glibc.shutdown(connection, Int32(SHUT_RDWR)) }
        }
    }

    private func acceptLoop() {
        defer { close(listener) }
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return }
            let number: Int? = state.withLock { state in
                guard !state.isStopped else { return nil }
                state.connections += 1
                state.open.insert(connection)
                return state.connections
            }
            guard let number else {
                close(connection)
                return
            }
            Thread.start { self.serve(connection, number) }
        }
    }

    private func serve(_ connection: Int32, _ number: Int) {
        defer {
            state.withLock { _ = $0.open.remove(connection) }
            close(connection)
        }
        var pending: [UInt8] = []
        while let request = Self.read(connection, &pending, number) {
            let index = state.withLock { state in
                state.requests.append(request)
                return state.requests.count - 1
            }
            switch script(index, request) {
            case .answer(let status, let headers, let body):
                var head = "HTTP/1.1 \(status) X\r\nContent-Length: \(body.count)\r\n"
                for header in headers { head += header + "\r\n" }
                guard Self.send(connection, Array((head + "\r\n").utf8) + body) else { return }
            case .cut(let bytes):
                _ = Self.send(connection, bytes)
                return
            case .reset:
                var linger = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
                return
            case .silence:
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
                return
            }
        }
    }

    private static func send(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            at += count
        }
        return true
    }

    private static func read(_ connection: Int32, _ pending: inout [UInt8], _ number: Int) -> Request? {
        let mark = Array("\r\n\r\n".utf8)
        var end: Int?
        while true {
            end = pending.indices.first { pending[$0...].starts(with: mark) }
            if end != nil { break }
            guard receive(connection, &pending) else { return nil }
        }
        let head = String(decoding: pending[..<(end ?? 0)], as: UTF8.self)
        pending.removeFirst((end ?? 0) + 4)
        var lines = head.split(separator: "\r\n").map(String.init)
        let first = lines.isEmpty ? "" : lines.removeFirst()
        var headers: [String: String] = [:]
        for line in lines {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard let name = parts.first else { continue }
            headers[name.lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        }
        let length = Int(headers["content-length"] ?? "") ?? 0
        while pending.count < length { guard receive(connection, &pending) else { return nil } }
        let body = Array(pending[..<length])
        pending.removeFirst(length)
        return Request(line: first, headers: headers, body: body, connection: number)
    }

    private static func receive(_ connection: Int32, _ pending: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(connection, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        pending += chunk[..<count]
        return true
    }
}

/// A thread for blocking calls, so that no test holds up the cooperative ones.
enum Thread {
    static func start(_ body: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "tests.server").async(execute: body)
    }
}
