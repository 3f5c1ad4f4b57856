import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

/// What a request becomes.
@Suite struct CumulativeToDeltaTests {
    @Test func `a sum becomes what came since the point before`() throws {
        let bench = DeltaBench()
        #expect(try bench.run(Metrics.sum([Metrics.number(10, time: 5)])) == [])
        let second = try bench.run(Metrics.sum([Metrics.number(14, time: 7)]))
        #expect(second == Metrics.sum([Metrics.delta(4, since: 5, time: 7)], 1))
        let third = try bench.run(Metrics.sum([Metrics.number(14, time: 9)]))
        #expect(third == Metrics.sum([Metrics.delta(0, since: 7, time: 9)], 1))
        #expect(bench.dropped("initial") == 1)
        #expect(bench.count("sluice_cumulativetodelta_converted_points_total") == 2)
        #expect(bench.count("sluice_cumulativetodelta_streams") == 1)
    }

    @Test func `a sum of floating-point numbers too, and in one request`() throws {
        let request = Metrics.sum([Metrics.real(1.5, time: 5), Metrics.real(4.0, time: 7)])
        #expect(try DeltaBench().run(request) == Metrics.sum([Metrics.realDelta(2.5, since: 5, time: 7)], 1))
    }

    @Test func `exemplars, attributes and fields that nobody knows stay as they came`() throws {
        let exemplar = Wire.field(
            5, Metrics.joined(Metrics.fixed(0x11, 3), Metrics.double(0x19, 2.5), [0xA0, 0x38, 1]))
        let attribute = Wire.field(7, Wire.keyValue("a", Wire.int(1)) + [0xA0, 0x38, 2])
        let rest = Metrics.joined(attribute, exemplar, [0xA0, 0x38, 3])
        let bench = DeltaBench()
        _ = try bench.run(Metrics.sum([Metrics.number(10, time: 5, rest)]))
        let bytes = try bench.run(Metrics.sum([Metrics.number(14, time: 7, rest)]))
        #expect(bytes == Metrics.sum([Metrics.delta(4, since: 5, time: 7, rest)], 1))
    }

    private static let points = [Metrics.number(3, time: 5), Metrics.number(8, time: 7)]
    static let others: [[UInt8]] = [
        Metrics.metric("gauge", 5, points, []),
        Metrics.metric("falls too", 7, points, [0x10, 2]),
        Metrics.metric("delta", 7, points, [0x10, 1, 0x18, 1]),
        Metrics.metric("no temporality", 7, points, [0x18, 1]),
        Metrics.metric("delta histogram", 9, [Metrics.fixed(0x21, 4)], [0x10, 1]),
        Metrics.metric("summary", 11, [Metrics.fixed(0x21, 4)], []),
        Metrics.metric("no points", 7, [], [0x10, 2, 0x18, 1]),
        Wire.field(1, "no data"),
    ]

    @Test(arguments: others) func `what does not count up from a start stays byte for byte`(metric: [UInt8]) throws {
        let bench = DeltaBench()
        let request = Metrics.request([metric, Metrics.metric("g", 5, [Metrics.fixed(0x31, 1)], [])])
        for _ in 0..<2 { #expect(try bench.run(request) == request) }
        #expect(bench.count("sluice_cumulativetodelta_streams") == 0)
    }

    @Test func `a metric that loses all its points goes, what is beside it stays byte for byte`() throws {
        let gauge = Metrics.metric("g", 5, [Metrics.fixed(0x31, 1) + [0xA0, 0x38, 1]], [])
        let sum = Metrics.metric("m", 7, [Metrics.number(1, time: 5)], [0x10, 2, 0x18, 1])
        #expect(try DeltaBench().run(Metrics.request([gauge, sum])) == Metrics.request([gauge]))
    }

    @Test func `a point that says that it has no value goes, one that is no number stays`() throws {
        let bench = DeltaBench()
        _ = try bench.run(Metrics.sum([Metrics.real(1.0, time: 5)]))
        let none = Metrics.real(0.0, time: 6, [0x40, 1])
        let nan = Metrics.real(Double.nan, time: 7)
        let bytes = try bench.run(Metrics.sum([none, nan, Metrics.real(4.0, time: 8)]))
        #expect(bytes == Metrics.sum([nan, Metrics.realDelta(3.0, since: 5, time: 8)], 1))
        #expect(bench.dropped("no_recorded_value") == 1)
        #expect(bench.count("sluice_cumulativetodelta_converted_points_total") == 1)
    }

    @Test func `a metric in pieces becomes a delta as a whole`() throws {
        func pieces(_ first: [[UInt8]], _ second: [[UInt8]], _ tail: [UInt8], _ more: [UInt8]) -> [UInt8] {
            let front: [UInt8] = first.flatMap { Wire.field(1, $0) }
            let back: [UInt8] = second.flatMap { Wire.field(1, $0) }
            let metric = Metrics.joined(
                Wire.field(1, "m"), Wire.field(7, front + tail), Wire.field(7, back + more))
            return Metrics.request([metric])
        }
        let bytes = try DeltaBench().run(
            pieces([Metrics.number(1, time: 5)], [Metrics.number(3, time: 6)], [0x10, 2, 0x18, 1], []))
        #expect(bytes == pieces([], [Metrics.delta(2, since: 5, time: 6)], [0x10, 1, 0x18, 1], [0x10, 1]))
    }

    @Test func `what became a delta is not converted again`() throws {
        let (first, second) = (DeltaBench(), DeltaBench())
        let request = Metrics.sum([Metrics.number(1, time: 5), Metrics.number(3, time: 6)])
        let once = try first.run(request)
        #expect(try second.run(once) == once)
        #expect(try second.run(once) == once)
    }

    /// Two steps of one chain.
    private struct Both: Processor {
        let first: CumulativeToDeltaProcessor
        let second: TransformProcessor

        func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
            try first.process(&batch, &context)
            try first.process(&batch, &context)
            try second.process(&batch, &context)
        }
    }

    @Test func `later steps of the chain see a delta`() throws {
        var bench = Bench()
        var build = bench.build(.metrics)
        let statement = "set(datapoint.attributes[\"t\"], metric.aggregation_temporality)"
        let rules = options(TransformOptions.self, "{metric_statements: ['\(statement)']}")
        try #require(rules.headlines == [], "\(rules.headlines)")
        let both = Both(
            first: CumulativeToDeltaProcessor(
                options: options(CumulativeToDeltaOptions.self, "{initial_value: drop}").options, build: &build),
            second: try TransformProcessor(options: rules.options, build: &build))
        let request = Metrics.sum([Metrics.number(1, time: 5), Metrics.number(3, time: 6)])
        let bytes = try Bench.run(both, build, request).bytes
        let attribute = Wire.field(7, Wire.keyValue("t", Wire.int(1)))
        #expect(bytes == Metrics.sum([Metrics.delta(2, since: 5, time: 6) + attribute], 1))
    }
}
