import Pipeline
import TestSupport
import Testing

@testable import Receivers

/// Bodies that are read past the parser, on a real socket.
@Suite struct BodyReadsTests {
    private func head(_ count: Int) -> [UInt8] {
        Array(
            ("POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Content-Length: \(count)\r\n\r\n").utf8)
    }

    /// Bytes that repeat nowhere; bodies are parts of them.
    private static let pool: [UInt8] = {
        var random = SeededRandom(1)
        let words = (0..<1 << 20).map { _ in random.next() }
        return words.withUnsafeBytes { Array($0) }
    }()

    private func body(_ count: Int, _ random: inout SeededRandom) -> [UInt8] {
        let start = Int.random(in: 0...Self.pool.count - count, using: &random)
        return Array(Self.pool[start..<start + count])
    }

    /// Of a read, of a piece, of what is read in one turn, and of memory that is taken at once.
    private static let borders = [
        OTLPReceiver.readSizeMax, BodyCollector.pieceMax, BodyCollector.readAtOnce, BodyCollector.roomAtOnce,
    ]

    @Test(arguments: 0..<6)
    func `bodies arrive as they were sent, large and small by turns, in pieces of any size`(seed: Int) async throws {
        let ingest = FakeIngest()
        try await withServer(TestSetup(ingest: ingest, http: ["max_request_body_size: 20MiB"])) { server in
            var random = SeededRandom(UInt64(seed))
            let client = try server.connect()
            for _ in 0..<4 {
                // One to three requests in one go, the later ones behind a body that is read past the parser.
                let sizes = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    Bool.random(using: &random)
                        ? Self.borders.randomElement(using: &random)! + Int.random(in: -2...2, using: &random)
                        : Int.random(in: 1...600_000, using: &random)
                }
                let bodies = sizes.map { body($0, &random) }
                var rest = bodies.flatMap { head($0.count) + $0 }[...]
                while !rest.isEmpty {
                    let count = min(rest.count, 1 << Int.random(in: 4...22, using: &random))
                    client.send(Array(rest.prefix(count)))
                    rest = rest.dropFirst(count)
                }
                for _ in bodies { #expect(try client.response().status == 200) }
                // Not by #expect, which would show megabytes.
                let isEqual = ingest.calls.suffix(bodies.count).map(\.body) == bodies
                #expect(isEqual, "\(sizes)")
            }
            #expect(server.budget.used == 0)
        }
    }

    @Test func `a body whose sender ends in the middle is not taken and leaves no memory behind`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(head(1_000_000) + [UInt8](repeating: 0x20, count: 400_000))
            client.finishSending()
            #expect(try client.response().status == 400)
            #expect(client.isEnded)
            #expect(eventually { server.budget.used == 0 })
            #expect(ingest.calls.isEmpty)
        }
    }

    @Test func `a body for whose rest others have left no room is 503 with Retry-After`() async throws {
        let ingest = FakeIngest()
        try await withServer(ingest, budgetBytes: 1_500_000) { server in
            let client = try server.connect()
            client.send(head(1_200_000) + [UInt8](repeating: 0x20, count: 200_000))
            #expect(eventually { server.budget.used >= 200_000 })
            let other = try server.connect()
            other.send(head(900_000) + [UInt8](repeating: 0x20, count: 800_000))
            #expect(eventually { server.budget.used >= 1_000_000 })
            client.send([UInt8](repeating: 0x20, count: 1_000_000))
            let refusal = try client.response()
            #expect(refusal.status == 503)
            #expect(refusal.headers["retry-after"] != nil)
            other.send([UInt8](repeating: 0x20, count: 100_000))
            #expect(try other.response().status == 200)
            #expect(ingest.calls.map(\.body.count) == [900_000])
        }
    }
}
