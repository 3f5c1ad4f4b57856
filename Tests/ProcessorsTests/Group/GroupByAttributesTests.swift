import Configuration
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

@Suite struct GroupByAttributesTests {
    /// Each resource with its attributes and the names or bodies of its records, as text.
    private func run(
        _ keys: String, _ request: [UInt8], _ signal: Signal = .traces
    ) throws
        -> [String]
    {
        var bench = Bench()
        var build = bench.build(signal)
        let read = options(GroupByAttributesOptions.self, "{keys: [\(keys)]}")
        #expect(read.headlines == [])
        let processor = GroupByAttributesProcessor(options: read.options, build: &build)
        let bytes = try Bench.run(processor, build, request).bytes
        var batch = RecordBatch()
        var found: [String] = []
        try bytes.withUnsafeBytes { input in
            _ = try OTLPReader.read(Text(input), signal: signal, keys: .empty, into: &batch)
            for resource in batch.resources.indices {
                var items: [String] = []
                for index in batch.spans.indices
                where batch.resource(ofScope: batch.spans[index].scope) == resource {
                    items.append(
                        batch.text(batch.spans[index].name).string + attributes(batch.spans[index].set, batch))
                }
                for index in batch.logs.indices
                where batch.resource(ofScope: batch.logs[index].scope) == resource {
                    items.append("log" + attributes(batch.logs[index].set, batch))
                }
                for index in batch.points.indices
                where batch.resource(ofScope: batch.metrics[Int(batch.points[index].metric)].scope)
                    == resource
                {
                    items.append("point" + attributes(batch.points[index].set, batch))
                }
                found.append(
                    attributes(batch.resources[resource].set, batch) + " " + items.joined(separator: " "))
            }
        }
        return found
    }

    private func attributes(_ set: SetIndex, _ batch: borrowing RecordBatch) -> String {
        let pairs = batch.range(of: set).map { index in
            let attribute = batch.attributes[index]
            let value =
                attribute.kind == .string
                ? batch.text(attribute.text).string : "\(Int64(bitPattern: attribute.payload))"
            return batch.text(attribute.key).string + "=" + value
        }
        return "{" + pairs.joined(separator: ",") + "}"
    }

    private func span(_ name: String, _ values: [(String, [UInt8])]) -> [UInt8] {
        Wire.field(1, Wire.id("0102030405060708090a0b0c0d0e0f10"))
            + Wire.field(2, Wire.id("0102030405060708"))
            + Wire.field(5, name) + Wire.attributes(9, values)
    }

    @Test func `a key that comes several times leaves the record each time, the last value counts`() throws {
        let values = [("k", Wire.int(1)), ("a", Wire.int(2)), ("k", Wire.int(3)), ("b", Wire.int(4))]
        #expect(try run("k", Wire.traces(spans: [span("s", values)])) == ["{k=3} s{a=2,b=4}"])
    }

    @Test func `what is unknown in a moved attribute and its value moves with it`() throws {
        let value = Wire.int(7) + Wire.field(99, "in the value")
        let moved = Wire.keyValue("host", value) + Wire.field(98, "in the attribute")
        let trace = Wire.id("0102030405060708090a0b0c0d0e0f10")
        let plain = Wire.field(1, trace) + Wire.field(2, Wire.id("0102030405060708"))
        for resource in [[], Wire.strings(1, [("host", "replaced")])] {
            var bench = Bench()
            var build = bench.build(.traces)
            let read = options(GroupByAttributesOptions.self, "{keys: [host]}")
            let processor = GroupByAttributesProcessor(options: read.options, build: &build)
            let request = Wire.traces(resource: resource, spans: [plain + Wire.field(9, moved)])
            let bytes = try Bench.run(processor, build, request).bytes
            #expect(bytes == Wire.traces(resource: Wire.field(1, moved), spans: [plain]))
        }
    }

    @Test func `what no schema knows beside the resources stays, once`() throws {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(GroupByAttributesOptions.self, "{keys: [host]}")
        let processor = GroupByAttributesProcessor(options: read.options, build: &build)
        let spans = ["x", "y"].map { span("s", [("host", Wire.string($0))]) }
        let known = try Bench.run(processor, build, Wire.traces(spans: spans)).bytes
        let unknown = Wire.field(1_000, "later")
        #expect(try Bench.run(processor, build, Wire.traces(spans: spans) + unknown).bytes == unknown + known)
    }

    @Test func `spans with equal values come under one resource, others stay`() throws {
        let request = Wire.traces(
            resource: Wire.strings(1, [("r", "1")]), scope: Wire.field(1, "lib"),
            spans: [
                span("a", [("host", Wire.string("x")), ("k", Wire.int(1))]),
                span("b", [("host", Wire.string("y"))]),
                span("c", [("other", Wire.int(2))]), span("d", [("host", Wire.string("x"))]),
            ])
        #expect(
            try run("host", request) == [
                "{r=1} c{other=2}", "{r=1,host=x} a{k=1} d{}", "{r=1,host=y} b{}",
            ])
    }

    @Test func `several keys group together, values of other types are other groups`() throws {
        let request = Wire.traces(
            spans: [
                span("a", [("x", Wire.int(1)), ("y", Wire.int(1))]), span("b", [("x", Wire.int(1))]),
                span("c", [("x", Wire.string("1"))]), span("d", [("y", Wire.int(1)), ("x", Wire.int(1))]),
            ])
        #expect(try run("x, y", request) == ["{x=1,y=1} a{} d{}", "{x=1} b{}", "{x=1} c{}"])
    }

    @Test func `an attribute of the resource gives way to the record's`() throws {
        let request = Wire.traces(
            resource: Wire.strings(1, [("host", "old"), ("r", "1")]),
            spans: [span("a", [("host", Wire.string("new"))]), span("b", [])])
        #expect(try run("host", request) == ["{host=old,r=1} b{}", "{host=new,r=1} a{}"])
    }

    @Test func `log records and data points move as well`() throws {
        let logs = Wire.logs(records: [
            Wire.strings(6, [("h", "1")]), Wire.strings(6, [("h", "2"), ("k", "v")]),
        ])
        #expect(try run("h", logs, .logs) == ["{h=1} log{}", "{h=2} log{k=v}"])
        let points = [[("h", "1")], [("h", "2")]].flatMap { Wire.field(1, Wire.strings(7, $0)) }
        let metric = Wire.field(
            1, Wire.field(2, Wire.field(2, Wire.field(1, "m") + Wire.field(5, points))))
        #expect(try run("h", metric, .metrics) == ["{h=1} point{}", "{h=2} point{}"])
    }

    @Test func `a metric without points and an empty resource come once, however many groups there are`() throws {
        let points = [[("h", "1")], [("h", "2")]].flatMap { Wire.field(1, Wire.strings(7, $0)) }
        let metrics = Wire.field(2, Wire.field(1, "m") + Wire.field(5, points)) + Wire.field(2, Wire.field(1, "empty"))
        let request = Wire.field(1, Wire.field(2, metrics)) + Wire.field(1, [])
        #expect(try run("h", request, .metrics) == ["{} ", "{h=1} point{}", "{h=2} point{}"])
    }

    /// The request behind the processor with the key `host`, and how many records stayed since it would grow too much.
    private func byHost(_ request: [UInt8]) throws -> (bytes: [UInt8], left: UInt64) {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(GroupByAttributesOptions.self, "{keys: [host]}").options
        let processor = GroupByAttributesProcessor(options: read, build: &build)
        let bytes = try Bench.run(processor, build, request).bytes
        let left = bench.metrics.counter("sluice_groupbyattrs_left_items_total", "", build.labels)
        return (bytes, left.value)
    }

    @Test(.timeLimit(.minutes(2)))
    func `fifty thousand values are as many resources, in time for as many`() throws {
        let spans = (0..<50_000).map { span("s", [("host", Wire.int(Int64($0)))]) }
        let (bytes, left) = try byHost(Wire.traces(spans: spans))
        #expect(left == 0)
        var batch = RecordBatch()
        try bytes.withUnsafeBytes { input in
            _ = try OTLPReader.read(Text(input), signal: .traces, keys: .empty, into: &batch)
            #expect(batch.resources.count == 50_000)
            #expect(batch.spans.count == 50_000)
            #expect(attributes(batch.resources[49_999].set, batch) == "{host=49999}")
        }
    }

    @Test func `records stay where copies of their resource would take too much`() throws {
        let resource = Wire.strings(1, [("large", String(repeating: "x", count: 1 << 20))])
        let spans = (0..<100).map { span("s", [("host", Wire.int(Int64($0)))]) }
        let request = Wire.traces(resource: resource, spans: spans)
        let (bytes, left) = try byHost(request)
        #expect(bytes == request)
        #expect(left == 100)
    }

    @Test func `a request without the keys leaves as it came`() throws {
        var bench = Bench()
        var build = bench.build(.traces)
        let read = options(GroupByAttributesOptions.self, "{keys: [none]}").options
        let processor = GroupByAttributesProcessor(options: read, build: &build)
        let request = Wire.traces(spans: [span("a", [("k", Wire.int(1))])])
        #expect(try Bench.run(processor, build, request).bytes == request)
    }

    @Test func `without keys equal resources and scopes are merged`() throws {
        func part(_ name: String, _ resource: [(String, String)]) -> [UInt8] {
            Wire.traces(
                resource: resource.flatMap { Wire.strings(1, [$0]) }, scope: Wire.field(1, "s"),
                spans: [span(name, [])])
        }
        let (one, other) = ([("a", "1"), ("b", "2")], [("a", "1")])
        // The order of attributes does not matter.
        let request = part("x", one) + part("y", other) + part("z", one.reversed())
        #expect(try run("", request) == ["{a=1,b=2} x{} z{}", "{a=1} y{}"])
        let different = part("x", one) + part("y", other)
        #expect(try run("", different) == ["{a=1,b=2} x{}", "{a=1} y{}"])
    }

    @Test func `records that moved join an equal resource`() throws {
        let request =
            Wire.traces(spans: [span("x", [("h", Wire.string("1"))])])
            + Wire.traces(spans: [span("y", [("h", Wire.string("1"))])])
        #expect(try run("h", request) == ["{h=1} x{} y{}"])
    }

    /// One metric of a kind with points of these values of `h`; `traits` are temporality and monotonicity.
    private func metric(
        _ name: String, unit: String = "", kind: Int = 7, traits: [UInt8] = [0x10, 2, 0x18, 1], _ values: [String]
    ) -> [UInt8] {
        let points = values.flatMap { Wire.field(1, Wire.strings(7, [("h", $0)])) }
        let unit = unit.isEmpty ? [] : Wire.field(3, unit)
        return Wire.field(2, Wire.field(1, name) + unit + Wire.field(kind, points + traits))
    }

    /// What the processor makes of the metrics of one scope.
    private func merged(_ keys: String, _ metrics: [UInt8]...) throws -> [UInt8] {
        var bench = Bench()
        var build = bench.build(.metrics)
        let read = options(GroupByAttributesOptions.self, "{keys: [\(keys)]}").options
        let processor = GroupByAttributesProcessor(options: read, build: &build)
        return try Bench.run(processor, build, Wire.field(1, Wire.field(2, metrics.flatMap { $0 }))).bytes
    }

    private func request(_ metrics: [UInt8]...) -> [UInt8] { Wire.field(1, Wire.field(2, metrics.flatMap { $0 })) }

    @Test func `points of metrics that are the same come under one`() throws {
        let points = ["1", "2"].map { Wire.field(1, Wire.strings(7, [("h", $0)])) }
        let traits: [UInt8] = [0x10, 2, 0x18, 1]
        let joined = Wire.field(2, Wire.field(1, "m") + Wire.field(7, points[0] + traits + points[1]))
        let other = metric("n", ["3"])
        #expect(try merged("", metric("m", ["1"]), other, metric("m", ["2"])) == request(joined, other))
        #expect(try run("h", request(metric("m", ["1"]), metric("m", ["1"])), .metrics) == ["{h=1} point{} point{}"])
    }

    @Test func `traits that are written in another way are the same, other metadata is not`() throws {
        let none = metric("m", traits: [], ["1"])
        let zeros = metric("m", traits: [0x10, 0, 0x18, 0], [])
        #expect(try merged("", none, zeros) == request(none))
        let long = metric("m", traits: [0x10, 0x82, 0, 0x18, 2], [])
        #expect(try merged("", metric("m", ["1"]), long) == request(metric("m", ["1"])))
        let point = Wire.field(1, Wire.strings(7, [("h", "1")]))
        func told(_ metadata: String, _ points: [UInt8]) -> [UInt8] {
            Wire.field(2, Wire.field(1, "m") + Wire.field(12, Wire.field(1, metadata)) + Wire.field(5, points))
        }
        let (one, other) = (told("a", point), told("b", point))
        #expect(try merged("", one, other, one) == request(told("a", point + point), other))
    }

    @Test func `metrics that differ in more than their description stay apart`() throws {
        let first = metric("m", ["1"])
        let others = [
            metric("m", unit: "s", ["1"]), metric("m", kind: 9, ["1"]), metric("m", traits: [0x10, 1, 0x18, 1], ["1"]),
            metric("m", traits: [0x10, 2], ["1"]), metric("m2", ["1"]),
        ]
        for other in others { #expect(try merged("", first, other) == request(first, other)) }
        let described = Wire.field(
            2, Wire.field(1, "m") + Wire.field(2, "words") + Wire.field(7, [0x10, 2, 0x18, 1] as [UInt8]))
        #expect(try merged("", first, described) == request(first))
        // Without data, and with data in pieces.
        let odd = [
            Wire.field(2, Wire.field(1, "m")),
            Wire.field(2, Wire.field(1, "m") + Wire.field(5, []) + Wire.field(5, [])),
        ]
        for one in odd { #expect(try merged("", first, one, one) == request(first, one, one)) }
    }

    @Test func `unknown options are refused`() {
        #expect(options(GroupByAttributesOptions.self, "{}").headlines == [])
        #expect(options(GroupByAttributesOptions.self, "{key: [a]}").headlines.count >= 1)
    }
}
