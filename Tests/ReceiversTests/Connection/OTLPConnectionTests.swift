import NIOCore
import NIOEmbedded
import NIOHTTP1
import Pipeline
import Telemetry
import Testing

@testable import Receivers

/// The handler on an embedded channel, whose clock is moved by hand.
@Suite struct OTLPConnectionTests {
    private struct Rig {
        let channel: EmbeddedChannel
        let loop: EmbeddedEventLoop
        let budget: AdmissionBudget
        let metrics: SelfMetrics

        func send(_ text: String) throws { try channel.writeInbound(ByteBuffer(string: text)) }

        /// All that was written since the last call, up to the end of the loop's turn.
        func written() throws -> String {
            loop.run()
            return try sent()
        }

        /// What of that has been sent by now.
        func sent() throws -> String {
            var text = ""
            while let part = try channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
            return text
        }

        func refused(_ reason: RefusalReason) -> Double {
            metrics.series.first { $0.labels.contains { $0.value == reason.rawValue } }?.read() ?? -1
        }
    }

    private func rig(
        _ ingest: FakeIngest, timeouts: ConnectionTimeouts = ConnectionTimeouts(), budgetBytes: Int = 1 << 20,
        bodySizeMax: Int = 100_000
    ) throws -> Rig {
        let loop = EmbeddedEventLoop()
        let channel = EmbeddedChannel(loop: loop)
        let budget = AdmissionBudget(limitBytes: budgetBytes)
        let metrics = SelfMetrics()
        let shared = ReceiverShared(
            check: HeadCheck(
                paths: RequestPaths(), accepted: Set(Signal.allCases), bodySizeMax: bodySizeMax,
                codings: .all, cors: nil),
            timeouts: timeouts, keepsAlive: true, encoder: AnswerEncoder(),
            intake: RequestIntake(
                ingest: ingest, bodySizeMax: bodySizeMax, metrics: ReceiverMetrics(metrics, id: "otlp")),
            budget: budget, log: quietLogger())
        try ConnectionSetup.configureHTTP1(
            channel.pipeline.syncOperations, shared, LoopResources(of: loop), hasPlainSocket: false, loop.now)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return Rig(channel: channel, loop: loop, budget: budget, metrics: metrics)
    }

    private let head = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"

    /// Limit of `rig`: 100,000 bytes, 186A0 in chunk sizes.
    @Test(arguments: [
        ["\r\n186A1\r\n"], ["\r\n186a1;name=value\r\nabc"], ["\r\n", "186A1\r\n"], ["\r\n18", "6A1\r\n"],
        ["\r\n5\r\nhello\r\n1869C\r\n"], ["\r\n5\r\nhel", "lo\r", "\n1869C"],
        ["\r\n7FFFFFFFFFFFFFFF\r\n"], ["\r\n5\r\n12345\r\n5;a\r\n12\r\n5\r\n18697\r\n"],
    ])
    func `a chunk that announces more than the limit is refused before its data`(parts: [String]) throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        try rig.send("\r\n" + head + "Transfer-Encoding: chunked\r\n" + parts[0])
        for part in parts.dropFirst() {
            #expect(try rig.written().isEmpty)
            try rig.send(part)
        }
        let answer = try rig.written()
        #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.contains("Connection: close\r\n"))
        #expect(answer.contains("max_request_body_size"))
        #expect(rig.refused(.bodyTooLarge) == 1)
        #expect(rig.budget.used == 0)
        #expect(ingest.calls.isEmpty)
        try rig.send("abc")
        #expect(try rig.written().isEmpty)
    }

    @Test func `many chunks without extensions are taken`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        try rig.send("\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<20 { try rig.send(String(repeating: "1\r\na\r\n", count: 1_000)) }
        try rig.send("0\r\n\r\n")
        #expect(try rig.written().hasPrefix("HTTP/1.1 200 "))
        #expect(ingest.calls.first?.body.count == 20_000)
    }

    @Test func `extensions of chunks are few`() throws {
        for (length, isTaken) in [(100, true), (ChunkFraming.extensionBytesMax + 1, false)] {
            let ingest = FakeIngest()
            let rig = try rig(ingest)
            let line = "2;" + String(repeating: "x", count: length)
            try rig.send("\r\n" + head + "Transfer-Encoding: chunked\r\n\r\n" + line)
            if isTaken { try rig.send("\r\n{}\r\n0\r\n\r\n") }
            #expect(try rig.written().hasPrefix(isTaken ? "HTTP/1.1 200 " : "HTTP/1.1 400 "))
            #expect(ingest.calls.count == (isTaken ? 1 : 0))
        }
    }

    @Test func `chunks up to the limit are taken, and what looks like a size in their data is data`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        let body = "\r\nFFFFFFFF\r\n" + String(repeating: "a", count: 99_988)
        let chunked = head + "Transfer-Encoding: chunked\r\n\r\n186A0\r\n" + body + "\r\n0\r\nX-T: FFFFFFFF\r\n\r\n"
        for size in [chunked.utf8.count, 97, 1021] {
            let bytes = Array(chunked.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                try rig.send(String(decoding: bytes[start..<min(start + size, bytes.count)], as: UTF8.self))
            }
            #expect(try rig.written().hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
        // Two in one read.
        try rig.send(head + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + chunked)
        #expect(try rig.written().contains("HTTP/1.1 200 OK"))
        #expect(ingest.calls.map(\.body.count) == [100_000, 100_000, 100_000, 1, 100_000])
        #expect(ingest.calls.first?.body == Array(body.utf8))
    }

    /// A header of some 4,000 bytes.
    private let field = "X-A: " + String(repeating: "a", count: 4_000) + "\r\n"

    @Test func `what the parser holds of a head is within the budget until the head is whole`() throws {
        let rig = try rig(FakeIngest())
        for _ in 0..<2 {
            try rig.send(head + "Content-Length: 5\r\n")
            #expect(rig.budget.used == 0)
            try rig.send(field)
            let first = rig.budget.used
            try rig.send(field)
            #expect(first > field.utf8.count && rig.budget.used == first + field.utf8.count)
            try rig.send("\r\nhel")
            #expect(rig.budget.used == 5)
            try rig.send("lo")
            #expect(try rig.written().hasPrefix("HTTP/1.1 200 "))
            #expect(rig.budget.used == 0)
        }
        try rig.send(head + field)
        #expect(rig.budget.used > 0)
        rig.channel.pipeline.fireChannelInactive()
        #expect(rig.budget.used == 0)
    }

    @Test func `a head for the rest of which there is no memory is 503 and ends its connection`() throws {
        // Less than one head may have, more than counts without asking.
        let rig = try rig(FakeIngest(), budgetBytes: 20_000)
        try rig.send(head)
        for _ in 0..<4 { try rig.send(field) }
        #expect(try rig.written().isEmpty)
        try rig.send(field)
        let answer = try rig.written()
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("Retry-After: "))
        #expect(answer.contains("Connection: close\r\n"))
        #expect(rig.refused(.overload) == 1)
        try rig.send(field)
        #expect(try rig.written().isEmpty)
        #expect(rig.budget.used == 0)
    }

    @Test func `a head that comes in two reads does not stand in the way of its own body`() throws {
        let rig = try rig(FakeIngest(), budgetBytes: 10)
        try rig.send(head + "Content-Length: 5\r\n" + field)
        #expect(rig.budget.used > 10)
        try rig.send("\r\nhello")
        #expect(try rig.written().hasPrefix("HTTP/1.1 200 "))
        #expect(rig.budget.used == 0)
    }

    @Test func `a request cut into single bytes is one request`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        for byte in (head + "Content-Length: 5\r\n\r\nhello").unicodeScalars { try rig.send(String(byte)) }
        #expect(ingest.calls == [FakeIngest.Call(signal: .traces, encoding: .json, body: Array("hello".utf8))])
        #expect(try rig.written().hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(rig.budget.used == 0)
    }

    @Test func `the requests of one turn of the loop are flushed once, when it ends`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        let request = head + "Content-Length: 1\r\n\r\na"
        try rig.send(request + request + request)
        #expect(ingest.calls.count == 3)
        #expect(ingest.flushes == 0)
        rig.loop.run()
        #expect(ingest.flushes == 1)
        try rig.send(request)
        rig.loop.run()
        #expect(ingest.flushes == 2)
    }

    @Test func `answers of one turn of the loop are sent when it ends, or when they are many`() throws {
        let rig = try rig(FakeIngest(), budgetBytes: 4 << 20, bodySizeMax: 1 << 20)
        let request = head + "Content-Length: 1\r\n\r\na"
        try rig.send(request + request)
        #expect(try rig.sent().isEmpty)
        rig.loop.run()
        #expect(try rig.sent().components(separatedBy: "200 OK").count == 3)
        let count = LoopResources.answeredBytesMax
        try rig.send(request)
        try rig.send(head + "Content-Length: \(count)\r\n\r\n" + String(repeating: "a", count: count))
        #expect(try rig.sent().components(separatedBy: "200 OK").count == 3, "a large one sends what waits along")
        rig.loop.run()
        try rig.send(String(repeating: request, count: LoopResources.answersMax))
        #expect(try rig.sent().components(separatedBy: "200 OK").count == LoopResources.answersMax + 1)
    }

    @Test func `what was answered in a turn is sent before the connection closes`() throws {
        let rig = try rig(FakeIngest())
        try rig.send(head + "Content-Length: 1\r\n\r\na")
        rig.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(try rig.sent().hasPrefix("HTTP/1.1 200 OK"))
        #expect(!rig.channel.isActive)
    }

    @Test func `a head that began while the request before it waited has its deadline`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        try rig.send(head + "Content-Length: 1\r\n\r\na")
        try rig.send("POST /v1/tra")
        ingest.release(.accepted)
        rig.loop.run()
        #expect(try rig.written().hasPrefix("HTTP/1.1 200 OK"))
        rig.loop.advanceTime(by: .seconds(61))
        #expect(try rig.written().hasPrefix("HTTP/1.1 408"))
    }

    private final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = ByteBuffer
        var reads = 0

        func read(context: ChannelHandlerContext) {
            reads += 1
            context.read()
        }
    }

    @Test func `one read stays open while a request waits, and what it brings waits too`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        let counter = ReadCounter()
        try rig.channel.pipeline.syncOperations.addHandler(counter, position: .first)
        let request = head + "Content-Length: 1\r\n\r\na"
        try rig.send(request)
        #expect(counter.reads == 1)
        try rig.send(request)
        #expect(counter.reads == 1)
        #expect(ingest.calls.count == 1)
        ingest.release(.accepted)
        rig.loop.run()
        #expect(ingest.calls.count == 2)
        #expect(try rig.written().hasPrefix("HTTP/1.1 200 OK"))
        ingest.release(.accepted)
        rig.loop.run()
        #expect(counter.reads == 2)
    }

    @Test func `a slow head is answered with 408`() throws {
        let rig = try rig(FakeIngest())
        try rig.send("POST /v1/tra")
        rig.loop.advanceTime(by: .seconds(59))
        #expect(try rig.written() == "")
        rig.loop.advanceTime(by: .seconds(2))
        #expect(try rig.written().hasPrefix("HTTP/1.1 408"))
        #expect(rig.refused(.timeout) == 1)
    }

    @Test func `an idle connection is closed without a word`() throws {
        let rig = try rig(FakeIngest())
        try rig.send(head + "Content-Length: 0\r\n\r\n")
        _ = try rig.written()
        rig.loop.advanceTime(by: .seconds(62))
        #expect(try rig.written() == "")
        #expect(!rig.channel.isActive)
    }

    @Test func `the head of a second request has its time from its first byte`() throws {
        let rig = try rig(FakeIngest(), timeouts: ConnectionTimeouts(readHeader: .seconds(10), idle: .seconds(60)))
        try rig.send(head + "Content-Length: 0\r\n\r\n")
        _ = try rig.written()
        rig.loop.advanceTime(by: .seconds(50))
        try rig.send("POST")
        rig.loop.advanceTime(by: .seconds(9))
        #expect(rig.channel.isActive)
        rig.loop.advanceTime(by: .seconds(2))
        #expect(try rig.written().hasPrefix("HTTP/1.1 408"))
    }

    @Test func `a body that trickles is cut with a code that lets its sender try again, and never handed on`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        try rig.send(head + "Content-Length: 50000\r\n\r\n")
        for _ in 0..<12 {
            try rig.send("x")
            rig.loop.advanceTime(by: .seconds(1))
        }
        let answer = try rig.written()
        #expect(answer.hasPrefix("HTTP/1.1 503") && answer.contains("Retry-After: 1\r\n"))
        #expect(ingest.calls.isEmpty)
        #expect(rig.budget.used == 0)
    }

    @Test func `who holds memory that others wait for and sends little of the rest makes room`() throws {
        let rig = try rig(FakeIngest(), budgetBytes: 1_500_000, bodySizeMax: 1_000_000)
        // Enough for any body, and less than a thirty-second of what this one holds.
        let part = String(repeating: "x", count: ConnectionClock.bodyBytesMin)
        try rig.send(head + "Content-Length: 999000\r\n\r\n" + String(repeating: "x", count: 900_000))
        for _ in 0..<3 {
            try rig.send(part)
            rig.loop.advanceTime(by: ConnectionClock.bodyWindow)
        }
        #expect(try rig.written() == "", "nobody was refused")
        #expect(rig.budget.used == 999_000)
        #expect(rig.budget.reserve(600_000, held: 0) == .refused)
        try rig.send(part)
        rig.loop.advanceTime(by: ConnectionClock.bodyWindow)
        #expect(try rig.written().hasPrefix("HTTP/1.1 503"))
        #expect(rig.budget.used == 0)
    }

    @Test func `a pipeline that never replies is given up with 503`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        try rig.send(head + "Content-Length: 2\r\n\r\n{}")
        #expect(rig.budget.used == 2)
        rig.loop.advanceTime(by: .seconds(31))
        let answer = try rig.written()
        #expect(answer.hasPrefix("HTTP/1.1 503"))
        #expect(answer.contains("Retry-After: 1\r\n"))
        #expect(rig.budget.used == 0)
        ingest.release(.accepted)
        #expect(try rig.written() == "")
    }

    @Test func `requests in one read are answered one after the other`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        try rig.send(String(repeating: head + "Content-Length: 1\r\n\r\n1", count: 3))
        for count in 1...3 {
            #expect(ingest.calls.count == count)
            ingest.release(.accepted)
        }
        #expect(try rig.written().components("HTTP/1.1 200 OK") == 3)
    }

    @Test func `thousands of requests in one read do not exhaust the stack`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        try rig.send(String(repeating: head + "Content-Length: 0\r\n\r\n", count: 20_000))
        #expect(ingest.calls.count == 20_000)
    }

    @Test func `a client that pipelines beyond the limit is cut off behind what was queued`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        try rig.send(String(repeating: head + "Content-Length: 0\r\n\r\n", count: 1000))
        for _ in 0..<1000 { ingest.release(.accepted) }
        #expect(ingest.calls.count == OTLPConnection.queuedHeadsMax + 1)
        // The last answer says so, and the client closes: a reset would make its system throw the answers away.
        let answers = try rig.written().components(separatedBy: "HTTP/1.1 200 OK").dropFirst()
        #expect(answers.count == OTLPConnection.queuedHeadsMax + 1)
        #expect(answers.filter { $0.lowercased().contains("connection: close") }.count == 1)
        #expect(answers.last?.lowercased().contains("connection: close") == true)
    }

    @Test func `a fault behind a request in progress waits for its answer`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        try rig.send(head + "Content-Length: 0\r\n\r\nnonsense\r\n\r\n")
        #expect(try rig.written() == "")
        ingest.release(.accepted)
        let answer = try rig.written()
        #expect(answer.hasPrefix("HTTP/1.1 200 OK"))
    }

    @Test func `a connection that ends in a body hands nothing on`() throws {
        let ingest = FakeIngest()
        let rig = try rig(ingest)
        try rig.send(head + "Content-Length: 10\r\n\r\nhello")
        #expect(rig.budget.used == 10)
        rig.channel.pipeline.fireChannelInactive()
        #expect(ingest.calls.isEmpty)
        #expect(rig.budget.used == 0)
    }

    @Test func `a reply to a connection that is gone is dropped`() throws {
        let ingest = FakeIngest(.hold)
        let rig = try rig(ingest)
        try rig.send(head + "Content-Length: 0\r\n\r\n")
        try rig.channel.close().wait()
        ingest.release(.accepted)
        #expect(rig.budget.used == 0)
    }

    @Test func `shutting down closes an idle connection and lets a request finish`() throws {
        let idle = try rig(FakeIngest())
        idle.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(!idle.channel.isActive)
        let ingest = FakeIngest(.hold)
        let busy = try rig(ingest)
        try busy.send(head + "Content-Length: 0\r\n\r\n")
        busy.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(busy.channel.isActive)
        ingest.release(.accepted)
        #expect(try busy.written().contains("Connection: close\r\n"))
    }

    @Test func `every prefix and garbled byte of a request leaves no reservation behind`() throws {
        let whole = Array((head + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: v\r\n\r\n").utf8)
        for index in whole.indices {
            let rig = try rig(FakeIngest())
            var bytes = whole
            bytes[index] = bytes[index] ^ 0x15
            _ = try? rig.channel.writeInbound(ByteBuffer(bytes: bytes))
            _ = try? rig.channel.writeInbound(ByteBuffer(bytes: whole[..<index]))
            rig.channel.pipeline.fireChannelInactive()
            #expect(rig.budget.used == 0)
        }
    }
}

extension String {
    /// How often a text occurs.
    fileprivate func components(_ text: String) -> Int {
        var count = 0
        var rest = Substring(self)
        while let range = rest.firstRange(of: text) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
