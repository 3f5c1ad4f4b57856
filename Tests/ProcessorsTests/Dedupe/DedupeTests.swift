import Configuration
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

@Suite struct DedupeTests {
    private func spans(_ ids: [Int]) -> [UInt8] {
        Wire.traces(
            spans: ids.map { id in
                Wire.field(1, Wire.id("0102030405060708090a0b0c0d0e0f10"))
                    + Wire.field(2, [1, 0, 0, 0, UInt8(id >> 16), UInt8(id >> 8 & 255), UInt8(id & 255), 9])
            })
    }

    /// How many spans pass; `isStored` says whether the journal took them.
    private func run(
        _ processor: DedupeProcessor, _ keys: KeyTable, _ request: [UInt8], isStored: Bool = true
    ) throws -> Int {
        var batch = RecordBatch()
        var kept = 0
        try request.withUnsafeBytes { input in
            _ = try OTLPReader.read(Text(input), signal: .traces, keys: keys, into: &batch)
            var context = ProcessContext()
            try processor.process(&batch, &context)
            kept = batch.liveCount
            #expect(context.droppedItems == batch.spans.count - kept)
            if isStored { for action in context.actionsWhenStored { action() } }
        }
        return kept
    }

    private func make(_ rules: String) -> (DedupeProcessor, KeyTable, SelfMetrics) {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(DedupeOptions.self, rules)
        #expect(read.headlines == [])
        return (
            DedupeProcessor(options: read.options, build: &build), build.keys.build(), bench.metrics
        )
    }

    @Test func `a span passes once`() throws {
        let (processor, keys, metrics) = make("{}")
        #expect(try run(processor, keys, spans([1, 2, 2, 3])) == 3)
        #expect(try run(processor, keys, spans([1, 4])) == 1)
        #expect(try run(processor, keys, spans([1, 2, 3, 4])) == 0)
        #expect(metrics.series.first { $0.name == "sluice_dedupe_dropped_spans_total" }?.read() == 6)
    }

    @Test func `what the journal refused is not remembered`() throws {
        let (processor, keys, _) = make("{}")
        #expect(try run(processor, keys, spans([1, 2]), isStored: false) == 2)
        #expect(try run(processor, keys, spans([1, 2])) == 2)
        #expect(try run(processor, keys, spans([1, 2])) == 0)
    }

    @Test func `the window forgets the oldest and never the last half`() throws {
        let (processor, keys, _) = make("{window: 1000}")
        for first in stride(from: 0, to: 5_000, by: 100) {
            #expect(try run(processor, keys, spans(Array(first..<first + 100))) == 100)
        }
        #expect(try run(processor, keys, spans(Array(4_600..<5_000))) == 0)
        #expect(try run(processor, keys, spans(Array(0..<100))) == 100)
    }

    @Test(arguments: ["{window: 0}", "{window: many}", "{windows: 5}"])
    func `a faulty option is a problem`(text: String) {
        #expect(options(DedupeOptions.self, text).headlines.count == 1)
    }
}
