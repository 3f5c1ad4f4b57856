import Foundation
import TestSupport
import Testing

/// A journal whose bytes have changed between two runs of the real binary.
@Suite(.serialized, .timeLimit(.minutes(60))) struct CorruptionTests {
    private static let requests = 5
    private static let spans = requests * Int(NumberedSpans.perRequest)

    /// The folder of the journal, with a few undelivered requests in it.
    private func filled(_ bench: FaultBench) async throws -> URL {
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        guard let connection = LoopbackConnection(port: bench.gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        for number in 0..<Self.requests {
            #expect(connection.post(NumberedSpans.request(UInt64(number) * NumberedSpans.perRequest + 1)) == 200)
        }
        _ = bench.gateway.end(SIGKILL)
        return bench.gateway.folder.appending(path: "journal/traces")
    }

    /// Where the last record ends in the newest segment: behind it there are only zeros.
    private func segment(in journal: URL) throws -> (file: String, end: Int) {
        let names = try FileManager.default.contentsOfDirectory(atPath: journal.path).filter {
            $0.hasSuffix(".segment")
        }
        let file = journal.appending(path: try #require(names.max())).path
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: file)))
        return (file, (bytes.lastIndex { $0 != 0 } ?? 0) + 1)
    }

    @Test func `delivers or counts every span, whatever byte of a segment has changed`() async throws {
        let bench = try FaultBench()
        let journal = try await filled(bench)
        let saved = bench.gateway.folder.appending(path: "saved")
        try FileManager.default.copyItem(at: journal, to: saved)
        let (file, end) = try segment(in: journal)
        // The header's two copies and the records; between them there is nothing. All bytes in the long form.
        var places = Array(0..<48) + Array(2_048..<2_096) + Array(4_096..<end)
        if FaultRounds.count < 1_000 {
            var random = SeededRandom(FaultRounds.seed)
            places = (0..<24).map { _ in random.pick(places) }
        }
        bench.sink.behave(.accept)
        for place in places {
            try FileManager.default.removeItem(at: journal)
            try FileManager.default.copyItem(at: saved, to: journal)
            let handle = try FileHandle(forUpdating: URL(filePath: file))
            try handle.seek(toOffset: UInt64(place))
            let old = try #require(try handle.read(upToCount: 1)?.first)
            try handle.seek(toOffset: UInt64(place))
            try handle.write(contentsOf: [old ^ 0x40])
            try handle.close()
            let before = bench.sink.received.values.reduce(0, +)
            try await bench.gateway.start()
            try await bench.gateway.waitUntilDelivered()
            let dropped = Int(try await bench.gateway.metric("sluice_exporter_dropped_items_total"))
            #expect(bench.gateway.end(SIGTERM) == 0)
            let delivered = bench.sink.received.values.reduce(0, +) - before
            let comment = Comment("byte \(place): \(delivered) delivered, \(dropped) lost (seed \(FaultRounds.seed))")
            #expect(delivered >= Self.spans - Int(NumberedSpans.perRequest), comment)
            // The last record may look like a torn tail, which nobody can count.
            #expect(delivered + dropped == Self.spans || (dropped == 0 && delivered == Self.spans - 10), comment)
        }
    }

    @Test func `starts and takes requests whatever became of cursors and segments`() async throws {
        for damage in ["no cursor", "garbage cursor", "zeroed segment", "foreign file", "empty segment"] {
            let bench = try FaultBench()
            let journal = try await filled(bench)
            let (file, _) = try segment(in: journal)
            let cursor = journal.appending(path: "otlp_http.cursor").path
            switch damage {
            case "no cursor": try FileManager.default.removeItem(atPath: cursor)
            case "garbage cursor": try Data(repeating: 0xA5, count: 8_192).write(to: URL(filePath: cursor))
            case "zeroed segment": try Data(repeating: 0, count: 1 << 20).write(to: URL(filePath: file))
            case "empty segment": try Data().write(to: URL(filePath: file))
            default: try Data("mine".utf8).write(to: journal.appending(path: "notes.txt"))
            }
            bench.sink.behave(.accept)
            try await bench.gateway.start()
            #expect(try await bench.gateway.post(NumberedSpans.request(1_001), path: "/v1/traces") == 200, "\(damage)")
            #expect(try await bench.sink.wait(for: Set(1_001...1_010)).isEmpty, "\(damage)")
            if !damage.hasSuffix("segment") {
                #expect(try await bench.sink.wait(for: Set(1...50)).isEmpty, "\(damage)")
            }
            if damage == "foreign file" {
                #expect(try String(contentsOf: journal.appending(path: "notes.txt"), encoding: .utf8) == "mine")
            }
            #expect(bench.gateway.end(SIGTERM) == 0)
        }
    }
}
