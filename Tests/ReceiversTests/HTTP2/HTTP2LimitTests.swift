import NIOCore
import NIOHTTP2
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Receivers

/// Limits whose breach costs a client one stream (RFC 9113, 5.1.2 and 10.5.1), and where it costs the connection.
struct HTTP2LimitTests {
    private static let settings = H2Frame(type: H2Frame.settings, stream: 0).bytes
    private static let acknowledgement = H2Frame(type: H2Frame.settings, flags: 1, stream: 0).bytes
    private static let start = ProtocolChooser.preface + settings

    private static func fields(_ path: String, _ type: String) -> [UInt8] {
        H2Frame.block([
            (":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path),
            ("content-type", type),
        ])
    }

    private static let usual = fields("/v1/traces", "application/json")
    private static let call = fields(GRPCCall.path(.traces), "application/grpc")

    /// A head in as many frames as it takes.
    private static func head(_ stream: UInt32, _ block: [UInt8], ends: Bool) -> [UInt8] {
        stride(from: 0, to: block.count, by: HTTP2Limits.frameMax).flatMap { (place: Int) -> [UInt8] in
            let rest = block[place...]
            var flags: UInt8 = place == 0 && ends ? 1 : 0
            if rest.count <= HTTP2Limits.frameMax { flags |= 4 }
            return H2Frame(
                type: place == 0 ? H2Frame.headers : 9, flags: flags, stream: stream,
                payload: Array(rest.prefix(HTTP2Limits.frameMax))
            ).bytes
        }
    }

    private static func data(_ stream: UInt32, _ bytes: [UInt8], ends: Bool) -> [UInt8] {
        H2Frame(type: H2Frame.data, flags: ends ? 1 : 0, stream: stream, payload: bytes).bytes
    }

    private static func post(_ stream: UInt32) -> [UInt8] {
        head(stream, usual, ends: false) + data(stream, Array("{}".utf8), ends: true)
    }

    /// The number of the client's nth stream, from 0 on.
    private static func number(_ index: Int) -> UInt32 { UInt32(index * 2 + 1) }

    /// The next streams whose answers end, until there are so many; the connection must go on meanwhile.
    private static func answered(_ count: Int, on client: RawClient) -> Set<UInt32> {
        var answered: Set<UInt32> = []
        while answered.count < count, let frame = client.frame() {
            #expect(frame.type != H2Frame.goAway, "\(frame)")
            if frame.stream > 0, frame.type <= H2Frame.headers, frame.flags & 1 == 1 { answered.insert(frame.stream) }
        }
        return answered
    }

    /// The next streams that are refused, until there are so many; the connection must go on meanwhile.
    private static func refused(_ count: Int, on client: RawClient) -> [UInt32] {
        var refused: [UInt32] = []
        while refused.count < count, let frame = client.frame() {
            #expect(frame.type != H2Frame.goAway)
            guard frame.type == H2Frame.reset else { continue }
            #expect(frame.code() == HTTP2ErrorCode.refusedStream.networkCode)
            refused.append(frame.stream)
        }
        return refused
    }

    // MARK: Number of streams

    @Test func `streams beyond the maximum are refused alone, also before the client knows it`() async throws {
        let ingest = FakeIngest(.hold)
        let (most, more) = (HTTP2Limits.streamsMax, 300)
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(Self.start + (0..<most + more).flatMap { Self.post(Self.number($0)) })
            #expect(Self.refused(more, on: client) == (most..<most + more).map(Self.number))
            #expect(ingest.hasCalls(most))
            #expect(server.value("sluice_receiver_refused_requests_total", "streams") == Double(more))
            ingest.release(.accepted)
            #expect(Self.answered(most, on: client) == Set((0..<most).map(Self.number)))
            client.send(Self.acknowledgement + Self.post(Self.number(most + more)))
            #expect(ingest.hasCalls(most + 1))
            ingest.release(.accepted)
            #expect(Self.answered(1, on: client) == [Self.number(most + more)])
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `a smaller maximum of calls holds from the first one on`() async throws {
        var setup = TestSetup()
        setup.grpc = ["max_concurrent_streams: 2"]
        try await withServer(setup) { server in
            let client = try RawClient(port: server.grpcPort)
            let message = [UInt8](repeating: 0, count: GRPCFraming.prefixSize)
            client.send(Self.start + ([1, 3, 5] as [UInt32]).flatMap { Self.head($0, Self.call, ends: false) })
            #expect(Self.refused(1, on: client) == [5])
            client.send(Self.data(3, message, ends: true))
            #expect(Self.answered(1, on: client) == [3])
            client.send(Self.head(7, Self.call, ends: false) + Self.data(7, message, ends: true))
            #expect(Self.answered(1, on: client) == [7])
            client.send(Self.data(1, message, ends: true))
            #expect(Self.answered(1, on: client) == [1])
            #expect(server.value("sluice_receiver_grpc_calls_total", "OK") == 3)
        }
    }

    // MARK: Trailers behind a reset

    private static let trailers = H2Frame.block([("x-trailer", "1")])

    @Test func `trailers that come on a refused stream leave the others alone`() async throws {
        try await withServer { server in
            let client = try server.connect()
            let most = HTTP2Limits.streamsMax
            client.send(Self.start + (0...most).flatMap { Self.head(Self.number($0), Self.usual, ends: false) })
            #expect(Self.refused(1, on: client) == [Self.number(most)])
            client.send(Self.data(Self.number(most), Array("{}".utf8), ends: false))
            client.send(Self.head(Self.number(most), Self.trailers, ends: true))
            client.send((0..<most).flatMap { Self.data(Self.number($0), Array("{}".utf8), ends: true) })
            #expect(Self.answered(most, on: client) == Set((0..<most).map(Self.number)))
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `trailers of a request that was answered early and reset leave the others alone`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(Self.start + Self.head(1, Self.fields("/nope", "application/json"), ends: false))
            var resets = 0
            while resets == 0, let frame = client.frame() { if frame.type == H2Frame.reset { resets += 1 } }
            client.send(Self.data(1, [1, 2, 3], ends: false) + Self.head(1, Self.trailers, ends: true) + Self.post(3))
            var isAnswered = false
            while !isAnswered, let frame = client.frame() {
                #expect(frame.type != H2Frame.goAway && frame.stream != 1)
                isAnswered = frame.stream == 3 && frame.flags & 1 == 1
            }
            #expect(isAnswered)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `trailers that come long after the reset leave the others alone, and enter the table`() async throws {
        let ingest = FakeIngest()
        // More than are kept from the library.
        let count = HTTP2Limits.resetsKeptMax + 2
        try await withServer(ingest, http: ["include_metadata: true"]) { server in
            let client = try server.connect()
            let lost = Self.fields("/nope", "application/json")
            client.send(Self.start + (0..<count).flatMap { Self.head(Self.number($0), lost, ends: false) })
            var resets = 0
            while resets < count, let frame = client.frame() { if frame.type == H2Frame.reset { resets += 1 } }
            #expect(eventually { server.budget.used == 0 })
            let entry = Self.entry("x-team", Array("one".utf8))
            let late = (0..<HTTP2Limits.resetsKeptMax).flatMap { Self.head(Self.number($0), entry, ends: true) }
            let (before, behind) = (Self.number(count), Self.number(count + 1))
            client.send(Self.post(before) + late + Self.head(behind, Self.usual + [Self.latest], ends: true))
            #expect(Self.answered(2, on: client) == [before, behind])
            #expect(Set(ingest.metadata.map { $0["x-team"] }) == [nil, "one"])
            // What comes on yet another one finds no stream any more that could have it.
            client.send(Self.head(Self.number(count - 1), entry, ends: true))
            var code: Int?
            while let frame = client.frame() { if frame.type == H2Frame.goAway { code = frame.code(at: 4) } }
            #expect(code == HTTP2ErrorCode.protocolError.networkCode)
        }
    }

    @Test func `trailers of another stream do not end the one that gets them`() {
        let block = [UInt8](repeating: 0, count: HTTP2Limits.frameMax + 10)
        let behind = Self.data(5, [1], ends: true)
        var piece = ByteBuffer(bytes: Self.head(7, block, ends: true) + behind)
        let place = LateTrailers.redirect(&piece, to: 3)
        #expect(Array(piece.readableBytesView) == Self.head(3, block, ends: false) + behind)
        #expect(place == piece.readableBytes - behind.count)
    }

    @Test func `a stream that is reset for the client holds no memory a while later, and is reset once`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(Self.start + Self.head(1, Self.fields("/nope", "application/json"), ends: false))
            var frames: [H2Frame] = []
            while !frames.contains(where: { $0.type == H2Frame.reset }), let frame = client.frame() {
                frames.append(frame)
            }
            #expect(eventually { server.budget.used == 0 })
            client.send(Self.post(3))
            while let frame = client.frame() {
                frames.append(frame)
                if frame.stream == 3, frame.flags & 1 == 1 { break }
            }
            #expect(frames.filter { $0.type == H2Frame.reset }.map(\.stream) == [1])
        }
    }

    @Test func `the streams that were reset last are known, and no more of them than may be`() {
        var streams = RecentStreams()
        for number in 0...RecentStreams.most { streams.insert(UInt32(number)) }
        #expect(!streams.contains(0) && streams.contains(1) && streams.contains(UInt32(RecentStreams.most)))
        #expect(RecentStreams.most > HTTP2Limits.resetsHeldMax)
    }

    @Test func `a client that goes on opening streams beyond the maximum is cut off`() async throws {
        try await withServer(FakeIngest(.hold)) { server in
            let client = try server.connect()
            let count = HTTP2Limits.streamsMax + HTTP2Limits.refusedMax + 5_000
            let heads = (0..<count).map { Self.head(Self.number($0), Self.usual, ends: true) }
            client.send(Self.start + heads.joined())
            var resets = 0
            while let frame = client.frame() {
                if frame.type == H2Frame.reset { resets += 1 }
                if frame.type == H2Frame.goAway {
                    #expect(frame.code(at: 4) == HTTP2ErrorCode.enhanceYourCalm.networkCode)
                }
            }
            // The rest of a read is looked at.
            #expect(resets <= HTTP2Limits.refusedMax + HTTP2Limits.readSizeMax / heads[0].count)
            #expect(eventually { server.receiver.connectionCount == 0 })
            let refused = server.value("sluice_receiver_refused_requests_total", "streams")
            #expect(refused > Double(HTTP2Limits.refusedMax))
        }
    }

    @Test func `refused streams are counted by the half minute`() {
        var refused = RefusedStreams()
        let start = NIODeadline.uptimeNanoseconds(1)
        let first = (0..<HTTP2Limits.refusedMax).map { _ in refused.isOneTooMany(now: start) }
        let late = refused.isOneTooMany(now: start + .seconds(29))
        let anew = refused.isOneTooMany(now: start + .seconds(30))
        #expect(!first.contains(true) && late && !anew)
    }

    @Test func `connections that are cut off are told of once in half a minute, with their number`() {
        let log = CutLog(log: quietLogger(), id: "otlp")
        let start = NIODeadline.uptimeNanoseconds(1)
        let counts = [0, 1, 29, 30, 31, 60].map { log.count(now: start + .seconds($0)) }
        #expect(counts == [1, nil, nil, 3, nil, 2])
    }

    // MARK: Settings

    @Test func `the client is told the limits that hold for its streams`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(Self.start)
            let frame = try #require(client.frame())
            #expect(frame.type == H2Frame.settings && frame.flags == 0)
            var told: [Int: Int] = [:]
            for place in stride(from: 0, to: frame.payload.count, by: 6) {
                told[Int(frame.payload[place]) << 8 | Int(frame.payload[place + 1])] = frame.code(at: place + 2)
            }
            // The numbers are those of RFC 9113, 6.5.2.
            #expect(
                told == [
                    3: HTTP2Limits.streamsMax, 4: HTTP2Limits.streamWindow, 6: OTLPReceiver.headerListSizeMax,
                ])
        }
    }

    @Test func `our settings are acknowledged once, in pieces of any size`() async throws {
        try await withServer { server in
            let client = try server.connect()
            for byte in Self.start + Self.acknowledgement + Self.post(1) { client.send([byte]) }
            #expect(Self.answered(1, on: client) == [1])
            client.send(Self.acknowledgement)
            var code: Int?
            while let frame = client.frame() { if frame.type == H2Frame.goAway { code = frame.code(at: 4) } }
            #expect(code == HTTP2ErrorCode.protocolError.networkCode)
        }
    }

    // MARK: Size of a head

    /// Text as HPACK has it, plain (RFC 7541, 5.1 and 5.2).
    private static func text(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var length: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            length.append(UInt8(128 + rest % 128))
            rest /= 128
        }
        return length + [UInt8(rest)] + bytes
    }

    /// A field that enters no table, and one that does (RFC 7541, 6.2.2 and 6.2.1).
    private static func field(_ count: Int) -> [UInt8] {
        [0] + text(Array("x-large".utf8)) + text([UInt8](repeating: 0x61, count: count))
    }

    private static func entry(_ name: String, _ value: [UInt8]) -> [UInt8] {
        [0x40] + text(Array(name.utf8)) + text(value)
    }

    /// The entry that entered the table last (RFC 7541, 6.1).
    private static let latest: UInt8 = 0xBE

    /// A field of 4,000 bytes, which is then named again and again.
    private static func references(_ count: Int) -> [UInt8] {
        entry("x-large", [UInt8](repeating: 0x61, count: 4_000)) + [UInt8](repeating: latest, count: count)
    }

    struct Head: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var fields: [UInt8]
    }

    private static let tooLarge = [
        Head(
            testDescription: "20 fields of 3,500 bytes",
            fields: Array([[UInt8]](repeating: field(3_500), count: 20).joined())),
        Head(testDescription: "a field of 17,000 bytes", fields: field(17_000)),
        Head(testDescription: "a field of 120,000 bytes", fields: field(120_000)),
        Head(testDescription: "a field of 4,000 bytes 41 times", fields: references(40)),
    ]

    @Test(arguments: tooLarge) func `a head that is too large is refused alone, and enters the table`(
        large: Head
    ) async throws {
        let ingest = FakeIngest()
        try await withServer(ingest, http: ["include_metadata: true"]) { server in
            let client = try server.connect()
            let first = Self.usual + large.fields + Self.entry("x-team", Array("one".utf8))
            client.send(Self.start + Self.head(1, first, ends: true))
            client.send(Self.head(3, Self.usual + [Self.latest], ends: true))
            #expect(Self.answered(2, on: client) == [1, 3])
            #expect(server.value("sluice_receiver_requests_total", "431") == 1)
            #expect(server.value("sluice_receiver_refused_requests_total", "headers_too_large") == 1)
            #expect(server.value("sluice_receiver_requests_total", "200") == 1)
            #expect(ingest.metadata.map { $0["x-team"] } == ["one"])
        }
    }

    @Test(arguments: tooLarge) func `a call whose head is too large is RESOURCE_EXHAUSTED and the next one goes on`(
        large: Head
    ) async throws {
        var setup = TestSetup()
        setup.grpc = []
        try await withServer(setup) { server in
            let client = try RawClient(port: server.grpcPort)
            let message = [UInt8](repeating: 0, count: GRPCFraming.prefixSize)
            client.send(Self.start + Self.head(1, Self.call + large.fields, ends: true))
            client.send(Self.head(3, Self.call, ends: false) + Self.data(3, message, ends: true))
            #expect(Self.answered(2, on: client) == [1, 3])
            #expect(server.value("sluice_receiver_grpc_calls_total", "RESOURCE_EXHAUSTED") == 1)
            #expect(server.value("sluice_receiver_grpc_calls_total", "OK") == 1)
        }
    }

    @Test func `a large head within the limit is taken before the client has acknowledged it`() async throws {
        try await withServer { server in
            let client = try server.connect()
            let large = Array([[UInt8]](repeating: Self.field(15_000), count: 4).joined())
            client.send(Self.start + Self.head(1, Self.usual + large, ends: true))
            #expect(Self.answered(1, on: client) == [1])
            #expect(server.value("sluice_receiver_requests_total", "200") == 1)
        }
    }

    @Test func `what is held back of a head is within the budget until the head is whole`() async throws {
        try await withServer { server in
            let client = try server.connect()
            let head = Self.head(1, Self.usual + Self.field(50_000), ends: true)
            client.send(Self.start + Array(head.dropLast()))
            #expect(eventually { server.budget.used == head.count - 1 })
            client.send(Array(head.suffix(1)))
            #expect(Self.answered(1, on: client) == [1])
            #expect(eventually { server.budget.used == 0 })
            client.send(Array(Self.head(3, Self.usual + Self.field(50_000), ends: true).dropLast()))
            #expect(eventually { server.budget.used > 0 })
            client.finishSending()
            #expect(eventually { server.receiver.connectionCount == 0 && server.budget.used == 0 })
        }
    }

    @Test func `a head for which there is no memory ends its connection, and others go on`() async throws {
        try await withServer(budgetBytes: 64 << 10) { server in
            let client = try server.connect()
            client.send(Self.start + Array(Self.head(1, Self.usual + Self.field(100_000), ends: true).dropLast()))
            while let frame = client.frame() {
                guard frame.type == H2Frame.goAway else { continue }
                #expect(frame.code(at: 4) == HTTP2ErrorCode.enhanceYourCalm.networkCode)
            }
            #expect(eventually { server.receiver.connectionCount == 0 && server.budget.used == 0 })
            let other = try server.connect()
            other.send(Self.start + Self.post(1))
            #expect(Self.answered(1, on: other) == [1])
        }
    }

    @Test func `a head far beyond the limit ends the connection`() async throws {
        // In fields, and in frames.
        let heads: [([UInt8], HTTP2ErrorCode)] = [
            (Self.references(70), .compressionError),
            (Self.field((1 + HTTP2Limits.continuationsMax) * HTTP2Limits.frameMax), .enhanceYourCalm),
        ]
        for (fields, code) in heads {
            let ingest = FakeIngest()
            try await withServer(ingest) { server in
                let client = try server.connect()
                client.send(Self.start + Self.head(1, Self.usual + fields, ends: true))
                while let frame = client.frame() {
                    if frame.type == H2Frame.goAway { #expect(frame.code(at: 4) == code.networkCode) }
                }
                #expect(eventually { server.receiver.connectionCount == 0 })
                #expect(ingest.calls.isEmpty)
            }
        }
    }

    // MARK: Faults of streams

    @Test func `a few frames of data without a byte leave the connection alone`() async throws {
        try await withServer { server in
            let client = try server.connect()
            let empty = ([1, 3, 1, 3, 1] as [UInt32]).flatMap { Self.data($0, [], ends: false) }
            let rest = ([1, 3] as [UInt32]).flatMap { Self.data($0, Array("{}".utf8), ends: true) }
            client.send(Self.start + ([1, 3] as [UInt32]).flatMap { Self.head($0, Self.usual, ends: false) })
            client.send(empty + rest)
            #expect(Self.answered(2, on: client) == [1, 3])
        }
    }

    /// They are counted by the half minute (`HTTP2StreamErrorTests`).
    @Test func `faults of streams do not add up as long as a connection lives`() {
        #expect(HTTP2Limits.connection(streamsMax: 1).maximumConnectionGlitches == .max)
    }
}
