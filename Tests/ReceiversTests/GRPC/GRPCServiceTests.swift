import FoundationEssentials
import NIOCore
import NIOHPACK
import Pipeline
import Telemetry
import TestSupport
import Testing

@testable import Receivers

/// OTLP over gRPC on a real socket, frame by frame.
struct GRPCServiceTests {
    private let traces = GRPCCall.path(.traces)

    private func head(_ path: String, _ extra: [(String, String)] = []) -> HPACKHeaders {
        h2Post(path, type: "application/grpc", [("te", "trailers")] + extra)
    }

    private func message(_ bytes: [UInt8], isCompressed: Bool = false) -> [UInt8] {
        var buffer = ByteBuffer(integer: UInt8(isCompressed ? 1 : 0))
        buffer.writeInteger(UInt32(bytes.count))
        return Array(buffer.readableBytesView) + bytes
    }

    private func withClient(
        _ setup: TestSetup = TestSetup(), grpc: [String] = [],
        _ body: @escaping (H2Client, TestServer) async throws -> Void
    ) async throws {
        var setup = setup
        setup.grpc = grpc
        try await withServer(setup) { server in
            let client = try await H2Client.connect(port: server.grpcPort)
            try await body(client, server)
            await client.close()
        }
    }

    @Test func `each service takes its signal and answers an empty response`() async throws {
        let ingest = FakeIngest(.elsewhere(.accepted))
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            for signal in Signal.allCases {
                let answer = try await client.request(head(GRPCCall.path(signal)), message([1, 2, 3]))
                #expect(answer.status == 200)
                #expect(answer.heads.first?.first(name: "content-type") == "application/grpc")
                #expect(answer.body == [0, 0, 0, 0, 0])
                #expect(answer.grpcStatus == 0)
            }
            #expect(ingest.calls.map(\.signal) == Signal.allCases)
            #expect(ingest.calls.allSatisfy { $0.body == [1, 2, 3] && $0.encoding == .protobuf })
            #expect(server.value("sluice_receiver_grpc_calls_total", "OK") == 3)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `many calls at once on one connection are all answered`() async throws {
        let ingest = FakeIngest(.elsewhere(.accepted))
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            let body = [UInt8](repeating: 7, count: 200_000)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<50 {
                    group.addTask { try await client.request(self.head(self.traces), self.message(body)).grpcStatus }
                }
                for try await status in group { #expect(status == 0) }
            }
            #expect(ingest.calls.count == 50)
            #expect(ingest.calls.allSatisfy { $0.body == body })
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test(arguments: ["gzip", "deflate", "zstd"]) func `compressed messages arrive plain`(coding: String) async throws {
        let plain = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 9) }
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            let bytes =
                switch coding {
                case "gzip": Compressed.gzip(plain)
                case "deflate": Compressed.zlib(plain)
                default: Compressed.zstd(plain)
                }
            let packed = message(bytes, isCompressed: true)
            #expect(try await client.request(head(traces, [("grpc-encoding", coding)]), packed).grpcStatus == 0)
            // The flag decides, not the header.
            #expect(try await client.request(head(traces, [("grpc-encoding", coding)]), message(plain)).grpcStatus == 0)
            #expect(ingest.calls.map(\.body) == [plain, plain])
        }
    }

    @Test func `a coding that is not known is UNIMPLEMENTED and the known ones are told`() async throws {
        try await withClient { (client, _) async throws in
            let answer = try await client.request(
                head(traces, [("grpc-encoding", "br")]), message([1], isCompressed: true))
            #expect(answer.grpcStatus == 12)
            #expect(answer["grpc-accept-encoding"]?.contains("gzip") == true)
            let garbage = try await client.request(
                head(traces, [("grpc-encoding", "gzip")]), message([1, 2, 3], isCompressed: true))
            #expect(garbage.grpcStatus == 3)
        }
    }

    @Test(arguments: [[], [("grpc-encoding", "identity")]])
    func `a message flagged as compressed in a call without a coding is INTERNAL`(
        coding: [(String, String)]
    ) async throws {
        try await withClient { (client, _) async throws in
            let answer = try await client.request(head(traces, coding), message([1], isCompressed: true))
            #expect(answer.grpcStatus == 13)
            #expect(answer.grpcMessage.contains("grpc-encoding") && !answer.grpcMessage.contains("supported"))
        }
    }

    @Test func `a call whose time is over before its message is read is not handed on`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            let answer = try await client.request(head(traces, [("grpc-timeout", "1n")]), message([1]))
            #expect(answer.grpcStatus == 4)
            #expect(ingest.calls.isEmpty)
        }
    }

    @Test func `headers go on to the pipeline when they are wanted, but for the credential`() async throws {
        struct Open: RequestAuthenticator {
            let headerName = "x-key"
            let challenge = ""
            func sender(of value: String) -> RequestSender { .tenant("ann") }
        }
        let ingest = FakeIngest()
        let setup = TestSetup(
            ingest: ingest, http: ["include_metadata: true"], authenticators: ["open": Open()])
        let grpc = ["include_metadata: true", "auth: {authenticator: open}"]
        try await withClient(setup, grpc: grpc) { (client, server) async throws in
            let extra = [("x-team", "one"), ("x-team", "two"), ("x-key", "secret")]
            #expect(try await client.request(head(traces, extra), message([1])).grpcStatus == 0)
            let old = try server.connect()
            old.send(post(headers: ["X-Team: three"]))
            #expect(try old.response().status == 200)
            #expect(ingest.metadata.map { $0["x-team"] } == ["one;two", "three"])
            #expect(ingest.metadata.allSatisfy { $0["x-key"] == nil && $0[":path"] == nil })
        }
    }

    @Test func `headers stay behind when nobody asked for them`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            #expect(try await client.request(head(traces, [("x-team", "one")]), message([1])).grpcStatus == 0)
            #expect(ingest.metadata == [RequestMetadata()])
        }
    }

    @Test func `partial success is a response and OK`() async throws {
        let reply = IngestReply.partial(rejected: 3, message: "policy")
        try await withClient(TestSetup(ingest: FakeIngest(.reply(reply)))) { (client, _) async throws in
            let answer = try await client.request(head(traces), message([]))
            #expect(answer.grpcStatus == 0)
            // {1: {1: 3, 2: "policy"}}
            #expect(Array(answer.body.dropFirst(5)) == [0x0A, 0x0A, 0x08, 0x03, 0x12, 0x06] + Array("policy".utf8))
        }
    }

    @Test func `invalid data is INVALID_ARGUMENT and pressure is UNAVAILABLE with RetryInfo`() async throws {
        let setup = TestSetup(ingest: FakeIngest(.reply(.invalid(message: "bad tag"))))
        try await withClient(setup) { (client, _) async throws in
            let answer = try await client.request(head(traces), message([1]))
            #expect(answer.grpcStatus == 3)
            #expect(answer.grpcMessage == "bad tag")
            let details = try #require(answer["grpc-status-details-bin"].flatMap { Data(base64Encoded: $0) })
            #expect(String(decoding: details, as: UTF8.self).contains("google.rpc.BadRequest"))
        }
        let reply = IngestReply.unavailable(message: "full", retryAfter: .milliseconds(1500))
        try await withClient(TestSetup(ingest: FakeIngest(.elsewhere(reply)))) { (client, _) async throws in
            let answer = try await client.request(head(traces), message([1]))
            #expect(answer.grpcStatus == 14)
            #expect(answer["grpc-status-details-bin"] != nil)
        }
    }

    @Test func `what the pipeline can never take at once is RESOURCE_EXHAUSTED without RetryInfo`() async throws {
        let reply = IngestReply.tooLarge(message: "16 bytes at most")
        try await withClient(TestSetup(ingest: FakeIngest(.elsewhere(reply)))) { (client, _) async throws in
            let answer = try await client.request(head(traces), message([1]))
            #expect(answer.grpcStatus == 8)
            #expect(answer.grpcMessage == "16 bytes at most")
            #expect(answer["grpc-status-details-bin"] == nil)
        }
    }

    @Test func `a message over the cap is RESOURCE_EXHAUSTED before it is read, plain and inflated`() async throws {
        let ingest = FakeIngest()
        let setup = TestSetup(ingest: ingest)
        try await withClient(setup, grpc: ["max_recv_msg_size_mib: 1"]) { (client, server) async throws in
            let stream = try await client.open()
            stream.send(head(traces))
            stream.send([0, 0, 16, 0, 1], ends: false)
            let answer = try await stream.answer()
            #expect(answer.grpcStatus == 8)
            #expect(answer.grpcMessage.contains("max_recv_msg_size_mib"))
            #expect(answer["grpc-status-details-bin"] == nil)
            let bomb = Compressed.gzip([UInt8](repeating: 0, count: 20 << 20))
            let inflated = try await client.request(
                head(traces, [("grpc-encoding", "gzip")]), message(bomb, isCompressed: true))
            #expect(inflated.grpcStatus == 8)
            let exact = try await client.request(head(traces), message([UInt8](repeating: 1, count: 1 << 20)))
            #expect(exact.grpcStatus == 0)
            #expect(ingest.calls.count == 1)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `a message that finds the budget used up is UNAVAILABLE with RetryInfo`() async throws {
        let ingest = FakeIngest(.hold)
        try await withClient(TestSetup(ingest: ingest, budgetBytes: 100_000)) { (client, server) async throws in
            let first = try await client.open()
            first.send(head(traces))
            first.send(message([UInt8](repeating: 1, count: 80_000)), ends: true)
            #expect(ingest.hasCalls(1))
            let answer = try await client.request(head(traces), message([UInt8](repeating: 1, count: 30_000)))
            #expect(answer.grpcStatus == 14)
            #expect(answer["grpc-status-details-bin"] != nil)
            ingest.release(.accepted)
            #expect(try await first.answer().grpcStatus == 0)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `services that are not served are UNIMPLEMENTED with what is`() async throws {
        let ingest = FakeIngest(signals: [.traces])
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            let unknown = try await client.request(head("/a.B/C"), message([]))
            #expect(unknown.grpcStatus == 12)
            let logs = try await client.request(head(GRPCCall.path(.logs)), message([]))
            #expect(logs.grpcStatus == 12)
            #expect(logs.grpcMessage.contains("no pipeline takes logs"))
            #expect(ingest.calls.isEmpty)
        }
    }

    @Test func `what is no single message is refused and never handed on`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, _) async throws in
            let bodies: [[UInt8]] = [
                [], [0, 0, 0], [0, 0, 0, 0, 9, 1], message([1]) + message([2]), [7, 0, 0, 0, 0],
            ]
            for body in bodies { #expect(try await client.request(head(traces), body).grpcStatus == 13) }
            #expect(ingest.calls.isEmpty)
            // A timeout beyond what the clock can tell is none.
            let long = head(traces, [("grpc-timeout", "99999999H")])
            #expect(try await client.request(long, message([1])).grpcStatus == 0)
        }
    }

    @Test func `a call whose time is over is DEADLINE_EXCEEDED and its late reply is dropped`() async throws {
        let ingest = FakeIngest(.hold)
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            let answer = try await client.request(head(traces, [("grpc-timeout", "50m")]), message([1]))
            #expect(answer.grpcStatus == 4)
            ingest.release(.accepted)
            #expect(try await client.request(head(traces, [("grpc-timeout", "x")]), message([1])).grpcStatus == 3)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `a call that is reset hands nothing on and gives its memory back`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            let stream = try await client.open()
            stream.send(head(traces))
            stream.send([0, 0, 1, 0, 0, 1, 2, 3], ends: false)
            #expect(eventually { server.budget.used > 0 })
            stream.reset()
            #expect(eventually { server.budget.used == 0 })
            #expect(try await client.request(head(traces), message([1])).grpcStatus == 0)
            #expect(ingest.calls.count == 1)
        }
    }

    @Test func `what is no gRPC at all is told in HTTP`() async throws {
        try await withClient { (client, server) async throws in
            #expect(try await client.request(h2Post(traces), [1]).status == 415)
            #expect(try await client.request(h2Post(traces, type: "application/grpc+json"), [1]).status == 415)
            #expect(try await client.request(h2Post(traces, method: "GET", type: "application/grpc")).status == 405)
            let old = try RawClient(port: server.grpcPort)
            old.send(post())
            let answer = try old.response()
            #expect(answer.status == 400)
            #expect(answer.text.contains("gRPC"))
            #expect(old.isEnded)
        }
    }

    @Test func `shutting down lets a call finish and tells the client to go`() async throws {
        let ingest = FakeIngest(.hold)
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            let stream = try await client.open()
            stream.send(head(traces))
            stream.send(message([1]), ends: true)
            #expect(ingest.hasCalls(1))
            async let done: Void = server.receiver.shutdown(deadline: .seconds(10))
            ingest.release(.accepted)
            #expect(try await stream.answer().grpcStatus == 0)
            await done
            #expect(server.receiver.connectionCount == 0)
        }
    }

    @Test func `an idle connection ends when its time is over`() async throws {
        let grpc = ["keepalive: {server_parameters: {max_connection_idle: 5s}}"]
        try await withClient(grpc: grpc) { (client, server) async throws in
            #expect(try await client.request(head(traces), message([1])).grpcStatus == 0)
            try await client.channel.closeFuture.soon("the connection stays open")
            #expect(eventually { server.receiver.connectionCount == 0 })
        }
    }

    @Test func `silent connections make room when another one is turned away`() async throws {
        var setup = TestSetup()
        setup.grpc = ["max_connections: 3"]
        try await withServer(setup) { server in
            let silent = try (0..<3).map { _ in try RawClient(port: server.grpcPort) }
            silent[1].send(ProtocolChooser.preface)
            let unfinished = H2Frame(type: H2Frame.headers, stream: 1, payload: [0x82])
            silent[2].send(
                ProtocolChooser.preface + H2Frame(type: H2Frame.settings, stream: 0).bytes + unfinished.bytes)
            #expect(eventually { server.receiver.connectionCount == 3 })
            var answers: [Int] = []
            for _ in 0..<120 where answers.last != 0 {
                if !answers.isEmpty { try await Task.sleep(for: .milliseconds(500)) }
                let client = try await H2Client.connect(port: server.grpcPort)
                answers.append((try? await client.request(head(traces), message([1])).grpcStatus) ?? -1)
                await client.close()
            }
            #expect(answers.first != 0 && answers.last == 0, "\(answers)")
        }
    }

    @Test func `a stream whose answer waits for a window stays within the budget`() async throws {
        var setup = TestSetup(budgetBytes: RequestStream.ownBytes)
        setup.grpc = []
        try await withServer(setup) { server in
            let client = try RawClient(port: server.port)
            // Nothing may be sent on a stream; the answer to the first one waits for that, the second has no body.
            let settings = H2Frame(type: H2Frame.settings, stream: 0, payload: [0, 4, 0, 0, 0, 0]).bytes
            let block = H2Frame.block([
                (":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/nothing"),
            ])
            client.send(ProtocolChooser.preface + settings)
            for stream in [1, 3] as [UInt32] {
                client.send(H2Frame(type: H2Frame.headers, flags: 5, stream: stream, payload: block).bytes)
            }
            var ended: Set<UInt32> = []
            while !ended.contains(3), let frame = client.frame() {
                if frame.flags & 1 != 0 { ended.insert(frame.stream) }
            }
            #expect(ended.contains(3) && !ended.contains(1))
            #expect(server.budget.used == RequestStream.ownBytes)
            client.send(H2Frame(type: H2Frame.reset, stream: 1, payload: [0, 0, 0, 8]).bytes)
            #expect(eventually { server.budget.used == 0 })
        }
    }

    @Test func `heads without messages are within the budget`() async throws {
        let streams = 8
        let budget = streams / 2 * RequestStream.ownBytes
        try await withClient(TestSetup(budgetBytes: budget)) { (client, server) async throws in
            var open: [H2Stream] = []
            for _ in 0..<streams {
                let stream = try await client.open()
                stream.send(head(traces))
                open.append(stream)
            }
            for stream in open.dropFirst(streams / 2) { #expect(try await stream.answer().grpcStatus == 14) }
            #expect(server.budget.used == budget)
            // Those that were refused first: a moment after its answer the server resets them too, for which it keeps
            // memory a while if there is any.
            for stream in open.reversed() { stream.reset() }
            #expect(eventually { server.budget.used == 0 })
            #expect(try await client.request(head(traces), message([1])).grpcStatus == 0)
        }
    }

    /// Longer than a body's window.
    @Test func `a body that waits behind others of its connection is not slow`() async throws {
        try await withClient { (client, server) async throws in
            let waiting = try await client.open()
            waiting.send(head(traces))
            let sending = try await client.open()
            sending.send(head(traces))
            let pieces = 26
            let body = message([UInt8](repeating: 7, count: pieces * 32_000))
            for index in 0...pieces {
                sending.send(Array(body.dropFirst(index * 32_000).prefix(32_000)), ends: index == pieces)
                try await Task.sleep(for: .milliseconds(500))
            }
            #expect(try await sending.answer().grpcStatus == 0)
            waiting.send(message([1]), ends: true)
            #expect(try await waiting.answer().grpcStatus == 0)
        }
    }

    @Test func `HTTP and gRPC of one receiver share the budget and the pipeline`() async throws {
        let ingest = FakeIngest()
        try await withClient(TestSetup(ingest: ingest)) { (client, server) async throws in
            #expect(try await client.request(head(traces), message([1])).grpcStatus == 0)
            let old = try server.connect()
            old.send(post(body: [2]))
            #expect(try old.response().status == 200)
            #expect(ingest.calls.map(\.body) == [[1], [2]])
        }
    }
}
