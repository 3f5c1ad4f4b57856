import Testing

@testable import Exporters

@Suite struct BodyReaderTests {
    private let pieces: [[UInt8]] = [[1, 2, 3], [], [4], [5, 6, 7, 8]]

    private func read(_ reader: BodyReader, by size: Int) -> [UInt8] {
        var all: [UInt8] = []
        var room = [UInt8](repeating: 0, count: size)
        while true {
            let count = room.withUnsafeMutableBytes { reader.read(into: $0) }
            if count == 0 { return all }
            all += room[..<count]
        }
    }

    @Test(arguments: 1...10)
    func `gives the pieces as one body, whatever is asked for at a time`(size: Int) {
        #expect(read(BodyReader(pieces), by: size) == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test(arguments: 0...8)
    func `starts again from any place`(place: Int) {
        let reader = BodyReader(pieces)
        _ = read(reader, by: 3)
        #expect(reader.seek(to: place))
        #expect(read(reader, by: 3) == Array(UInt8(place + 1)..<9))
    }

    @Test func `refuses a place behind the end`() {
        #expect(!BodyReader(pieces).seek(to: 9))
    }

    @Test(.timeLimit(.minutes(15)))
    func `a body of several pieces arrives whole, also over a connection that the server had closed`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let engine = CurlEngine()
        defer { engine.stop() }
        let target = try CurlTarget(CurlTargetOptions(url: server.url), engine: engine)
        let large = (0..<9).map { [UInt8](repeating: UInt8($0), count: 100_000) }
        for body in [pieces, large, [[]], [[], []], [[7]]] {
            guard case .answered(let status, _, _, _) = await engine.post(pieces: body, to: target) else {
                Issue.record("no answer")
                return
            }
            #expect(status == 200)
        }
        #expect(server.requests.map(\.body) == [Array(pieces.joined()), Array(large.joined()), [], [], [7]])
    }
}
