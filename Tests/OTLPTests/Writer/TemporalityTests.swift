import OTLP
import Telemetry
import TestSupport
import Testing

/// A metric that is given another aggregation temporality.
@Suite struct TemporalityTests {
    /// A request with one metric whose data, in these pieces, is in the field of its type.
    private func request(_ field: UInt32, _ pieces: [[UInt8]]) -> [UInt8] {
        let metric = WireBytes.build { metric in
            metric.text(1, "m")
            for piece in pieces { metric.data(field, piece) }
            metric.number(1_901, 42)
        }
        return WireBytes.request(records: [metric])
    }

    /// Data with a point of this time, and temporalities in front of it and behind it.
    private func data(_ time: UInt64, before: [UInt64] = [], behind: [UInt64] = []) -> [UInt8] {
        WireBytes.build { data in
            for number in before { data.number(2, number) }
            data.message(1) { $0.fixed64(3, time) }
            data.number(1_902, 7)
            for number in behind { data.number(2, number) }
        }
    }

    private func changed(_ request: [UInt8]) throws -> [UInt8] {
        try Rewriting.rewrite(request, .metrics) { $0.setTemporality(1, ofMetric: 0) }
    }

    @Test(arguments: [7, 9, 10] as [UInt32])
    func `the new one stands where the first one stood`(field: UInt32) throws {
        let bytes = try changed(request(field, [data(5, before: [2, 1], behind: [2])]))
        #expect(bytes == request(field, [data(5, before: [1])]))
        #expect(try changed(request(field, [data(5, behind: [2])])) == request(field, [data(5, behind: [1])]))
    }

    @Test func `it is added where there was none, in every piece`() throws {
        let bytes = try changed(request(7, [data(5), data(6, before: [2])]))
        #expect(bytes == request(7, [data(5, behind: [1]), data(6, before: [1])]))
    }

    @Test(arguments: [5, 11] as [UInt32])
    func `gauges and summaries have none and stay as they are`(field: UInt32) throws {
        let plain = request(field, [data(5, before: [2])])
        #expect(try changed(plain) == plain)
    }

    @Test func `pieces of a request have it too`() throws {
        var batch = RecordBatch()
        var output = ByteColumn()
        try Rewriting.read(request(7, [data(5, before: [2]) + data(6)]), .metrics, into: &batch) { batch in
            batch.setTemporality(1, ofMetric: 0)
            var writer = PieceWriter(batch)
            writer.write(points: 0..<1, of: batch, into: &output)
        }
        var expected = RecordBatch()
        var found: [UInt8] = []
        try Rewriting.read([UInt8](output.bytes), .metrics, into: &expected) { batch in
            found = [UInt8](batch.text(batch.metrics[0].raw).bytes)
        }
        // What data holds besides points stands in front of them.
        let head = WireBytes.build { head in
            head.number(2, 1)
            head.number(1_902, 7)
            head.number(1_902, 7)
            head.message(1) { $0.fixed64(3, 5) }
        }
        let metric = WireBytes.build { metric in
            metric.text(1, "m")
            metric.number(1_901, 42)
            metric.data(7, head)
        }
        #expect(found == metric)
    }
}
