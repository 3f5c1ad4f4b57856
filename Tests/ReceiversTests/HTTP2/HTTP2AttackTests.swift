import Pipeline
import TestSupport
import Testing

@testable import Receivers

/// Frames that no client of good will sends (RFC 9113, 10.5), written byte by byte.
struct HTTP2AttackTests {
    private let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

    /// POST /v1/traces in JSON, as an HPACK block without dynamic entries (RFC 7541).
    private let block: [UInt8] = {
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        return [0x83, 0x86, 0x04] + text("/v1/traces") + [0x01] + text("localhost") + [0x0F, 0x10]
            + text("application/json")
    }()

    private func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        H2Frame(type: type, flags: flags, stream: stream, payload: payload).bytes
    }

    /// Sends the preface and then frames; the server must close the connection and go on with others.
    private func expectClosed(_ frames: [UInt8], _ what: Comment) async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(ProtocolChooser.preface + settings + frames)
            var bytes = 0
            while let count = client.read(), bytes < 10 << 20 { bytes += count }
            #expect(bytes < 10 << 20, what)
            #expect(eventually { server.receiver.connectionCount == 0 }, what)
            let other = try server.connect()
            other.send(post())
            #expect(try other.response().status == 200)
            #expect(server.budget.used == 0)
        }
    }

    @Test func `one well-formed request is answered`() async throws {
        try await withServer { server in
            let client = try server.connect()
            client.send(ProtocolChooser.preface + settings + frame(1, flags: 5, stream: 1, block))
            #expect(eventually { server.value("sluice_receiver_requests_total", "200") == 1 })
        }
    }

    /// What a receiver holds until it and all its streams are gone.
    private struct Held {
        weak var ingest: FakeIngest?
    }

    /// Sends the preface and then pieces, one after the other has been read; the server must close the connection.
    private func held(after pieces: [[UInt8]]) async throws -> Held {
        let setup = TestSetup()
        try await withServer(setup) { server in
            let client = try server.connect()
            client.send(ProtocolChooser.preface + settings)
            while let frame = client.frame(), frame.type != H2Frame.settings || frame.flags & 1 == 0 {}
            for piece in pieces { client.send(piece) }
            while client.read() != nil {}
            #expect(eventually { server.receiver.connectionCount == 0 })
        }
        return Held(ingest: setup.ingest)
    }

    @Test(arguments: [
        // DATA on stream 0, a WINDOW_UPDATE of nothing, padding that is longer than its frame.
        ([0, 0, 1, 0, 0, 0, 0, 0, 0, 7] as [UInt8]), [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 2, 0, 8, 0, 0, 0, 1, 200, 0],
    ])
    func `nothing of a connection is kept whose client breaks the protocol behind a head`(fault: [UInt8]) async throws {
        let held = try await held(after: [frame(1, flags: 4, stream: 1, block) + fault])
        #expect(eventually { held.ingest == nil })
    }

    @Test func `a client that opens and resets streams again and again is cut off`() async throws {
        let flood = (0..<HTTP2Limits.resetsMax + 1_000).flatMap { index in
            let stream = UInt32(index * 2 + 1)
            return frame(1, flags: 4, stream: stream, block) + frame(3, stream: stream, [0, 0, 0, 8])
        }
        try await expectClosed(flood, "rapid reset")
    }

    @Test func `a head that never ends is cut off`() async throws {
        let rest = (0..<50).flatMap { _ in frame(9, stream: 1, [UInt8](repeating: 0, count: 1000)) }
        try await expectClosed(frame(1, stream: 1, block) + rest, "continuation flood")
    }

    @Test func `a client that floods with pings or settings is cut off`() async throws {
        try await expectClosed(
            (0..<2000).flatMap { _ in frame(6, stream: 0, [UInt8](repeating: 1, count: 8)) }, "ping flood")
        try await expectClosed((0..<2000).flatMap { _ in settings }, "settings flood")
    }

    @Test func `empty data frames again and again are cut off`() async throws {
        let empty = (0..<100).flatMap { _ in frame(0, stream: 1, []) }
        try await expectClosed(frame(1, flags: 4, stream: 1, block) + empty, "empty data flood")
    }

    @Test func `a head that grows by references is cut off or refused`() async throws {
        // One entry of 4000 bytes goes into the dynamic table, then it is named 4000 times.
        let value = [UInt8](repeating: 0x61, count: 4000)
        let entry: [UInt8] = [0x40, 1, 0x78, 0x7F, 0xA1, 0x1E] + value
        let bomb = block + entry + [UInt8](repeating: 0xBE, count: 4000)
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(ProtocolChooser.preface + settings + frame(1, flags: 5, stream: 1, bomb))
            let other = try server.connect()
            other.send(post())
            #expect(try other.response().status == 200)
            #expect(ingest.calls.count == 1)
        }
    }

    @Test(
        arguments: [
            [0, 0, 8, 6, 0, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 8), [0, 0, 5, 4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5],
            [0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1], [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0, 0, 0, 1, 0], [0, 0, 4, 3, 0, 0, 0, 0, 9, 0, 0, 0, 0],
            [0, 0, 3, 1, 5, 0, 0, 0, 1, 0xFF, 0xFF, 0xFF],
        ] as [[UInt8]])
    func `broken frames end the connection`(frames: [UInt8]) async throws {
        try await expectClosed(frames, "\(frames)")
    }

    @Test func `every cut and garbled byte of a request leaves no reservation behind`() async throws {
        try await withServer { server in
            let bytes =
                ProtocolChooser.preface + settings + frame(1, flags: 4, stream: 1, block)
                + frame(0, flags: 1, stream: 1, Array("{}".utf8))
            for place in bytes.indices {
                var garbled = bytes
                garbled[place] ^= 0xFF
                try server.connect().send(garbled)
                try server.connect().send(Array(bytes[..<place]))
            }
            #expect(eventually { server.budget.used == 0 && server.receiver.connectionCount == 0 })
            let client = try server.connect()
            client.send(post())
            #expect(try client.response().status == 200)
        }
    }
}
