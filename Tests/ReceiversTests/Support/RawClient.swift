import Glibc
import TestSupport

/// A TCP client that sends exactly the bytes it is given and reads answers one by one.
final class RawClient {
    struct Response: Equatable {
        var version: String
        var status: Int
        var headers: [String: String]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    struct Failure: Error {
        var what: String
    }

    private let descriptor: Int32
    private var pending: [UInt8] = []

    /// Connects to 127.0.0.1, or to ::1.
    init(port: Int, isIPv6: Bool = false) throws {
        descriptor = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(what: "socket") }
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let result: Int32
        if isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = in_port_t(UInt16(port).bigEndian)
            address.sin6_addr = in6addr_loopback
            result = Self.connect(descriptor, &address)
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port).bigEndian)
            address.sin_addr.s_addr = in_addr_t(UInt32(0x7F00_0001).bigEndian)
            result = Self.connect(descriptor, &address)
        }
        // Everything is set by now, so the deinitializer closes the descriptor; closing it here too would close another
        // socket's.
        guard result == 0 else { throw Failure(what: "connect: \(errno)") }
    }

    deinit { Glibc.close(descriptor) }

    private static func connect<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
        withUnsafeBytes(of: &address) { raw in
            guard let base = raw.baseAddress else { return -1 }
            return Glibc.connect(
                descriptor, base.assumingMemoryBound(to: sockaddr.self), socklen_t(raw.count))
        }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// Sends all bytes; a connection that the server closed ends it quietly, since the answer is what counts.
    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            // 0x4000 is MSG_NOSIGNAL, whose Swift type depends on which C module is read first.
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, 0x4000)
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    func finishSending() { Glibc.shutdown(descriptor, Int32(SHUT_WR)) }

    /// True when the server has closed its direction and nothing more is to be read.
    var isEnded: Bool { pending.isEmpty && !receive() }

    /// The number of bytes that came, all of which are dropped; nil at the end.
    func read() -> Int? {
        guard !pending.isEmpty || receive() else { return nil }
        defer { pending = [] }
        return pending.count
    }

    /// The next frame of HTTP/2; nil at the end.
    func frame() -> H2Frame? {
        while true {
            if let frame = H2Frame.next(&pending) { return frame }
            guard receive() else { return nil }
        }
    }

    private func receive() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { return false }
        pending += chunk[..<count]
        return true
    }

    private func line() throws -> String {
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let text = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                return text.hasSuffix("\r") ? String(text.dropLast()) : text
            }
            guard receive() else { throw Failure(what: "end of stream, \(pending.count) bytes pending") }
        }
    }

    /// Reads one answer. `hasBody` is false behind HEAD.
    func response(hasBody: Bool = true) throws -> Response {
        let first = try line().split(separator: " ", maxSplits: 2)
        guard first.count >= 2, let status = Int(first[1]) else { throw Failure(what: "status line \(first)") }
        var headers: [String: String] = [:]
        while true {
            let text = try line()
            if text.isEmpty { break }
            guard let colon = text.firstIndex(of: ":") else { throw Failure(what: "header \(text)") }
            headers[text[..<colon].lowercased()] = String(text[text.index(after: colon)...].drop { $0 == " " })
        }
        let length = hasBody ? Int(headers["content-length"] ?? "0") ?? 0 : 0
        while pending.count < length { guard receive() else { throw Failure(what: "body cut") } }
        let body = Array(pending[..<length])
        pending.removeSubrange(..<length)
        return Response(version: String(first[0]), status: status, headers: headers, body: body)
    }
}
