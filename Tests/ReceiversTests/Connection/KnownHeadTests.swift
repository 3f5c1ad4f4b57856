import NIOCore
import NIOEmbedded
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Receivers

/// Requests whose heads come again, past the parser.
@Suite struct KnownHeadTests {
    private func known(_ text: String) -> KnownHead? { Array(text.utf8).withUnsafeBytes { KnownHead(startOf: $0) } }

    private func match(_ head: KnownHead, _ text: String) -> [Int]? {
        Array(text.utf8).withUnsafeBytes { head.match(startOf: $0) }.map { [$0.size, $0.length] }
    }

    @Test func `a head is known again with another length, whatever stands behind it`() throws {
        let head = try #require(known("POST /v1/logs HTTP/1.1\r\nhost: a\r\nConTent-LENGTH: \t12 \r\nx: y\r\n\r\nbody"))
        let again = "POST /v1/logs HTTP/1.1\r\nhost: a\r\nConTent-LENGTH: \t%\r\nx: y\r\n\r\n"
        func text(_ length: String) -> String { again.split(separator: "%").joined(separator: length) }
        #expect(match(head, text("7 ") + "1234567POST") == [text("7 ").utf8.count, 7])
        #expect(match(head, text("0 ")) == [text("0 ").utf8.count, 0])
        #expect(match(head, text("000000123 ")) == [text("000000123 ").utf8.count, 123])
        #expect(match(head, text("999999999 ")) == [text("999999999 ").utf8.count, 999_999_999])
    }

    @Test(arguments: [
        "", "POST", "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: \r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 1a\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 2\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: b\r\ncontent-length: 12\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\ncontent-length: 12\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 12\n\n",
        "\r\nPOST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n",
    ])
    func `a head that differs in more than its length is not known`(text: String) throws {
        let head = try #require(known("POST /v1/logs HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n"))
        #expect(match(head, text) == nil)
    }

    @Test(arguments: [
        "", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\n\r\ncontent-length: 1\r\n\r\n",
        "\r\nPOST / HTTP/1.1\r\ncontent-length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\nx: \(String(repeating: "y", count: KnownHead.sizeMax))\r\n\r\n",
    ])
    func `a head without an end or a length, or that is long, is not remembered`(text: String) {
        #expect(known(text) == nil)
    }

    // MARK: Beside the parser

    private struct Rig {
        let channel = EmbeddedChannel()
        let ingest: FakeIngest
        let budget = AdmissionBudget(limitBytes: 4_000)
        var answers = ""

        init(_ behaviour: FakeIngest.Behaviour, readsPlainly: Bool = true) throws {
            ingest = FakeIngest(behaviour, signals: [.traces, .logs])
            let shared = ReceiverShared(
                check: HeadCheck(
                    paths: RequestPaths(), accepted: [.traces, .logs], bodySizeMax: 3_000, codings: .all, cors: nil),
                timeouts: ConnectionTimeouts(), keepsAlive: true, encoder: AnswerEncoder(),
                intake: RequestIntake(
                    ingest: ingest, bodySizeMax: 3_000, metrics: ReceiverMetrics(SelfMetrics(), id: "otlp")),
                budget: budget, log: quietLogger())
            let loop = channel.embeddedEventLoop
            try ConnectionSetup.configureHTTP1(
                channel.pipeline.syncOperations, shared, LoopResources(of: loop), hasPlainSocket: readsPlainly, loop.now
            )
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        }

        /// Lets one read bring these bytes, and takes the answers.
        mutating func read(_ bytes: some Collection<UInt8>) throws {
            // A connection that is closed takes nothing.
            guard channel.isActive else { return }
            try channel.writeInbound(ByteBuffer(bytes: bytes))
            try takeAnswers()
        }

        mutating func end() throws {
            channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            try takeAnswers()
        }

        private mutating func takeAnswers() throws {
            channel.embeddedEventLoop.run()
            while let part = try channel.readOutbound(as: ByteBuffer.self) { answers += String(buffer: part) }
        }

        /// Without times and messages. What a head that is no head is answered depends on the reads.
        var said: [String] {
            answers.split(separator: "\r\n").filter { $0.hasPrefix("HTTP/1.1 ") || $0.hasPrefix("Connection: ") }
                .map { $0.hasPrefix("HTTP/1.1 405") ? "HTTP/1.1 400 Bad Request" : String($0) }
        }
    }

    private static func request(_ random: inout SeededRandom) -> [UInt8] {
        let body = random.bytes(
            random.pick([0, 1, 5, 60, 61, 62, random.below(200), random.pick([200, 2_999, 3_000])]))
        let (path, type) = ("/v1/traces", "Content-Type: application/x-protobuf\r\n")
        func post(_ path: String, _ lines: String, _ body: [UInt8]) -> [UInt8] {
            Array("POST \(path) HTTP/1.1\r\nHost: a\r\n\(lines)\r\n".utf8) + body
        }
        let length = "Content-Length: \(body.count)\r\n"
        switch random.below(40) {
        case 0: return post(path, "\(type)Transfer-Encoding: chunked\r\n", Array("3\r\nabc\r\n0\r\n\r\n".utf8))
        case 1: return post("/v1/logs", type + length, body)
        case 2: return post("/v1/metrics", type + length, body)
        case 3: return post(path, "Content-Type: text/plain\r\n" + length, body)
        case 4: return post(path, type + "Expect: 100-continue\r\n" + length, body)
        case 5: return post(path, type + "Content-Length: 3001\r\n", body)
        case 6: return post(path, type + length + "Connection: close\r\n", body)
        case 7: return Array("\r\n".utf8) + post(path, type + length, body)
        case 8: return post(path, type + length, body) + Array("\r\n".utf8)
        case 9: return post(path, type + "Content-Length: x\r\n", body)
        case 10: return post(path, type + length + length, body)
        case 11: return Array("GET /v1/traces HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        case 12: return post(path, type + "Content-Length: \(body.count + 1)\r\n", body)
        default: return post(path, type + length, body)
        }
    }

    /// A stream of mostly equal heads, in reads that mostly begin and end with a request, gets the same answers and
    /// brings the same bodies as when each byte is a read of its own: no head is known then.
    @Test(arguments: 0..<200)
    func `whatever comes in whatever reads is answered and taken as byte by byte`(seed: Int) throws {
        var random = SeededRandom(UInt64(seed))
        let reply: IngestReply = random.chance(percent: 80) ? .accepted : .invalid(message: "no")
        var (quick, slow) = (try Rig(.reply(reply), readsPlainly: seed % 2 == 0), try Rig(.reply(reply)))
        var pending: [UInt8] = []
        for _ in 0..<30 {
            pending += Self.request(&random)
            if random.chance(percent: 10) { continue }
            let isCut = random.chance(percent: 40)
            while !pending.isEmpty {
                let part = pending.prefix(isCut ? 1 + random.below(pending.count) : pending.count)
                pending.removeFirst(part.count)
                try quick.read(part)
                for byte in part { try slow.read([byte]) }
                if isCut, random.chance(percent: 10) { break }
            }
        }
        try quick.end()
        try slow.end()
        #expect(quick.said == slow.said)
        #expect(quick.ingest.calls == slow.ingest.calls)
        #expect(quick.channel.isActive == slow.channel.isActive)
        #expect(quick.budget.used == 0 && slow.budget.used == 0)
    }

    private let head = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "

    /// Counts the bytes that reach the parser.
    private final class Meter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var bytes = 0

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += unwrapInboundIn(data).readableBytes
            context.fireChannelRead(data)
        }
    }

    @Test func `requests with a known head go past the parser, bodies that come later too, others through it`() throws {
        var rig = try Rig(.reply(.accepted))
        let operations = rig.channel.pipeline.syncOperations
        let meter = Meter()
        try operations.addHandler(meter, position: .after(operations.handler(type: ParserGate.self)))
        let first = "\(head)2\r\n\r\n{}"
        try rig.read(Array(first.utf8))
        #expect(meter.bytes == first.utf8.count)
        try rig.read(Array("\(head)3\r\n\r\n{ }\(head)10\r\n\r\n{    ".utf8))
        try rig.read(Array("    }\(head)4\r\n\r\n{  }".utf8))
        #expect(meter.bytes == first.utf8.count)
        let other = first.replacing("Host: a", with: "Host: b")
        for count in 1...2 {
            try rig.read(Array(other.utf8))
            #expect(meter.bytes == first.utf8.count + other.utf8.count)
            #expect(rig.ingest.calls.map(\.body.count) == [2, 3, 10, 4] + Array(repeating: 2, count: count))
        }
    }

    @Test(arguments: [ParserGate.missesMax, ParserGate.missesMax + 1])
    func `a connection that brings new heads only is left to the parser`(heads: Int) throws {
        var rig = try Rig(.reply(.accepted))
        let operations = rig.channel.pipeline.syncOperations
        let meter = Meter()
        try operations.addHandler(meter, position: .after(operations.handler(type: ParserGate.self)))
        let last = "\(head)2\r\n\r\n{}".replacing("Host: a", with: "Host: a\(heads)")
        for number in 1...heads { try rig.read(Array(last.replacing("a\(heads)", with: "a\(number)").utf8)) }
        meter.bytes = 0
        try rig.read(Array(last.utf8))
        #expect(meter.bytes == (heads > ParserGate.missesMax ? last.utf8.count : 0))
        #expect(rig.ingest.calls.count == heads + 1)
    }

    @Test func `a request with a known head that ends early is 400 and is not taken`() throws {
        var rig = try Rig(.reply(.accepted))
        try rig.read(Array("\(head)2\r\n\r\n{}".utf8))
        try rig.read(Array("\(head)12\r\n\r\n{}".utf8))
        try rig.end()
        #expect(rig.answers.contains("HTTP/1.1 400 ") && rig.answers.contains("the request ended early"))
        #expect(rig.ingest.calls.count == 1)
        #expect(rig.budget.used == 0)
    }

    @Test func `a known head before a body for which there is no room is 503, and the connection goes on`() throws {
        var rig = try Rig(.reply(.accepted))
        try rig.read(Array("\(head)2\r\n\r\n{}".utf8))
        let others = AdmissionTicket(budget: rig.budget)
        #expect(others.grow(by: 3_000) == .granted)
        try rig.read(Array("\(head)1500\r\n\r\n\(String(repeating: " ", count: 1_500))".utf8))
        #expect(rig.answers.contains("HTTP/1.1 503 "))
        others.release()
        try rig.read(Array("\(head)3\r\n\r\n{ }".utf8))
        #expect(rig.ingest.calls.map(\.body.count) == [2, 3])
    }

    @Test func `requests that wait for a reply keep their order behind one with a known head`() throws {
        var rig = try Rig(.hold)
        let requests = (0..<4).map { "\(head)\($0 + 2)\r\n\r\n{}\(String(repeating: " ", count: $0))" }
        try rig.read(Array(requests[0].utf8))
        rig.ingest.release(.accepted)
        try rig.read(Array(requests[1...].joined().utf8))
        for count in 2...4 {
            #expect(rig.ingest.calls.count == count)
            rig.ingest.release(.accepted)
            try rig.read([])
        }
        #expect(rig.ingest.calls.map(\.body.count) == [2, 3, 4, 5])
    }
}
