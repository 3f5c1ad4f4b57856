import Foundation
import Synchronization

/// Requests whose spans have numbers, and how to find the numbers again in what a sink receives.
enum NumberedSpans {
    /// Spans of one request.
    static let perRequest: UInt64 = 10
    private static let trace = [UInt8](repeating: 0xA7, count: 16)
    private static let mark = [0x0A, 0x10] + trace + [0x12, 0x08]

    /// An Export request with the spans `first` ..< `first + perRequest`, and `padding` bytes in the name of each; all
    /// end one nanosecond behind `time`.
    static func request(_ first: UInt64, padding: Int = 8, time: UInt64 = 1) -> [UInt8] {
        var spans: [UInt8] = []
        for number in first..<first + perRequest {
            var span = mark
            for shift in stride(from: 56, through: 0, by: -8) {
                span.append(UInt8(truncatingIfNeeded: number >> shift))
            }
            field(0x2A, [UInt8](repeating: UInt8(ascii: "s"), count: padding), &span)
            span += [0x39] + fixed(time) + [0x41] + fixed(time + 1)
            field(0x12, span, &spans)
        }
        var scope: [UInt8] = []
        field(0x12, spans, &scope)
        var request: [UInt8] = []
        field(0x0A, scope, &request)
        return request
    }

    /// An Export request with as many log records, whose bodies say `record` and their number.
    static func logs(_ first: UInt64) -> [UInt8] { logs((first..<first + perRequest).map { "record \($0)" }) }

    /// An Export request with as many log records that are equal byte for byte.
    static func equalLogs(_ first: UInt64) -> [UInt8] { logs((0..<perRequest).map { _ in "equal \(first)" }) }

    private static func logs(_ bodies: [String]) -> [UInt8] {
        var records: [UInt8] = []
        for text in bodies {
            var body: [UInt8] = []
            field(0x0A, Array(text.utf8), &body)
            var record = [0x09] + fixed(1)
            field(0x2A, body, &record)
            field(0x12, record, &records)
        }
        var scope: [UInt8] = []
        field(0x12, records, &scope)
        var request: [UInt8] = []
        field(0x0A, scope, &request)
        return request
    }

    /// The numbers in a request, in order.
    static func numbers(_ body: [UInt8]) -> [UInt64] {
        var numbers: [UInt64] = []
        body.withUnsafeBytes { bytes in
            mark.withUnsafeBytes { mark in
                var at = 0
                while at + mark.count + 8 <= bytes.count, let base = bytes.baseAddress, let first = mark.first {
                    // By the first byte of the mark, since spans may have long names.
                    guard let found = memchr(base + at, Int32(first), bytes.count - at) else { return }
                    at = found - UnsafeMutableRawPointer(mutating: base)
                    guard at + mark.count + 8 <= bytes.count else { return }
                    guard let begin = mark.baseAddress, memcmp(found, begin, mark.count) == 0 else {
                        at += 1
                        continue
                    }
                    at += mark.count
                    numbers.append(bytes[at..<at + 8].reduce(0) { $0 << 8 | UInt64($1) })
                    at += 8
                }
            }
        }
        return numbers
    }

    private static func fixed(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private static func field(_ tag: UInt8, _ content: [UInt8], _ out: inout [UInt8]) {
        out.append(tag)
        var length = content.count
        while length >= 0x80 {
            out.append(UInt8(length & 0x7F) | 0x80)
            length >>= 7
        }
        out.append(UInt8(length))
        out += content
    }
}

/// Numbers answered 200, in memory and in a file that is synced before the next request leaves.
final class AcceptedLedger: Sendable {
    private let numbers = Mutex<Set<UInt64>>([])
    private let next = Atomic<UInt64>(1)
    private let file: Int32

    init(_ path: String) { file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600) }

    deinit { close(file) }

    var all: Set<UInt64> { numbers.withLock { $0 } }

    /// The first number of a request that nobody has sent.
    func reserve() -> UInt64 {
        next.wrappingAdd(NumberedSpans.perRequest, ordering: .relaxed).oldValue
    }

    func accepted(_ first: UInt64) {
        let line = Array("\(first)\n".utf8)
        _ = write(file, line, line.count)
        fdatasync(file)
        numbers.withLock { $0.formUnion(first..<first + NumberedSpans.perRequest) }
    }
}

/// Clients with one connection each that post numbered requests as fast as they are answered.
final class LoadClients: Sendable {
    private let port: Int
    private let ledger: AcceptedLedger
    private let padding: Int
    /// Microseconds after a refusal.
    private let pause: UInt32
    private let path: String
    private let request: @Sendable (UInt64, Int) -> [UInt8]
    private let isStopped = Atomic(false)
    private let group = DispatchGroup()
    private let statusCounts = Mutex<[Int: Int]>([:])

    /// `request` makes the body for the first of its numbers and a padding.
    init(
        _ count: Int, port: Int, ledger: AcceptedLedger, padding: Int = 8, persistent: Bool = false,
        pause: UInt32 = 20_000, path: String = "/v1/traces",
        request: @escaping @Sendable (UInt64, Int) -> [UInt8] = { NumberedSpans.request($0, padding: $1) }
    ) {
        self.pause = pause
        self.path = path
        self.request = request
        self.port = port
        self.ledger = ledger
        self.padding = padding
        for _ in 0..<count {
            group.enter()
            Thread.detachNewThread { [self] in
                repeat { run() } while persistent && !isStopped.load(ordering: .relaxed)
                group.leave()
            }
        }
    }

    /// Answers by status; 0 for none.
    var statuses: [Int: Int] { statusCounts.withLock { $0 } }

    /// Ends the clients after the answers they wait for.
    func stop() async {
        isStopped.store(true, ordering: .relaxed)
        await ended()
    }

    /// Waits until every client has lost its connection.
    func ended() async {
        await withCheckedContinuation { continuation in
            group.notify(queue: .global()) { continuation.resume() }
        }
    }

    private func run() {
        guard let connection = LoopbackConnection(port: port) else {
            usleep(5_000)
            return
        }
        while !isStopped.load(ordering: .relaxed) {
            let first = ledger.reserve()
            let status = connection.post(request(first, padding), path: path) ?? 0
            statusCounts.withLock { $0[status, default: 0] += 1 }
            if status == 200 { ledger.accepted(first) }
            if status == 0 { return }
            if status != 200 { usleep(pause) }
        }
    }
}

/// One HTTP/1.1 connection to loopback with blocking calls.
final class LoopbackConnection {
    private let descriptor: Int32
    /// Body of the last answer.
    private(set) var lastBody = ""

    init?(port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x0100_007F)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        // `deinit` closes it.
        if result != 0 { return nil }
    }

    deinit { close(descriptor) }

    /// The status of the answer, nil when the connection ended before it was whole.
    func post(
        _ body: [UInt8], path: String = "/v1/traces", type: String = "application/x-protobuf", headers: [String] = []
    ) -> Int? {
        let lines = ["Host: localhost", "Content-Type: \(type)", "Content-Length: \(body.count)"] + headers
        let head = "POST \(path) HTTP/1.1\r\n\(lines.joined(separator: "\r\n"))\r\n\r\n"
        guard RawHTTP.send(descriptor, Array(head.utf8) + body) else { return nil }
        var pending: [UInt8] = []
        guard let answer = RawHTTP.read(descriptor, &pending) else { return nil }
        lastBody = String(decoding: answer.body, as: UTF8.self)
        let parts = answer.head.split(separator: " ", maxSplits: 2)
        return parts.count > 1 ? Int(parts[1]) : nil
    }

    /// Sends bytes as they are; false when the connection has ended.
    func send(_ bytes: [UInt8]) -> Bool { RawHTTP.send(descriptor, bytes) }

    /// Waits for more bytes and adds them; false when the connection has ended.
    func receive(_ bytes: inout [UInt8]) -> Bool { RawHTTP.receive(descriptor, &bytes) }
}

/// Whole HTTP messages over a blocking socket.
enum RawHTTP {
    static func send(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        var at = 0
        while at < bytes.count {
            let count = bytes[at...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            at += count
        }
        return true
    }

    /// The next message with a Content-Length, nil at the end of the connection.
    static func read(_ descriptor: Int32, _ pending: inout [UInt8]) -> (head: String, body: [UInt8])? {
        var searched = 0
        var end: Int?
        while end == nil {
            end = headEnd(pending, from: searched)
            searched = max(0, pending.count - 3)
            if end == nil && !receive(descriptor, &pending) { return nil }
        }
        let head = String(decoding: pending[..<(end ?? 0)], as: UTF8.self)
        var length = 0
        for line in head.split(separator: "\r\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == "content-length" {
                length = Int(parts[1].trimmingCharacters(in: .whitespaces)) ?? 0
            }
        }
        let start = (end ?? 0) + 4
        while pending.count < start + length { guard receive(descriptor, &pending) else { return nil } }
        let body = Array(pending[start..<start + length])
        pending.removeFirst(start + length)
        return (head, body)
    }

    private static func headEnd(_ bytes: [UInt8], from start: Int) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (start..<max(start, bytes.count - 3)).first {
            bytes[$0] == 13 && bytes[$0 + 1] == 10 && bytes[$0 + 2] == 13 && bytes[$0 + 3] == 10
        }
    }

    static func receive(_ descriptor: Int32, _ pending: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        pending += chunk[..<count]
        return true
    }
}
