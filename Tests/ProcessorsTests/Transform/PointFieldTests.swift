import Processors
import Telemetry
import Testing

/// Statements about fields of a data point, on bytes that say more than JSON can.
@Suite struct PointFieldTests {
    private func run(_ statement: String, _ point: [UInt8], kind: Int = 10) throws -> [UInt8] {
        let (options, headlines) = RuleBench.options(
            TransformOptions.self, "{metric_statements: ['\(statement)']}")
        try #require(headlines == [], "\(headlines)")
        var bench = Bench()
        var build = bench.build(.metrics)
        let processor = try TransformProcessor(options: options, build: &build)
        return try Bench.run(processor, build, Self.request(point, kind)).bytes
    }

    private static func request(_ point: [UInt8], _ kind: Int = 10) -> [UInt8] {
        Wire.logs(records: [Wire.field(1, "m") + Wire.field(kind, Wire.field(1, point))])
    }

    private static func fixed(_ tag: UInt8, _ value: UInt64) -> [UInt8] {
        [tag] + withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// Buckets in two pieces, the second with a field that nobody knows, and one beside them.
    private static let pieces: [UInt8] = {
        let fields: [[UInt8]] = [
            Wire.field(8, [0x08, 2, 0x12, 2, 5, 6]), Wire.field(9, [0x12, 1, 1]),
            Wire.field(8, [0x12, 1, 7, 0x78, 1]), Wire.field(9, [0x10, 3]), [0xA0, 0x38, 1],
            Wire.field(1, Wire.keyValue("a", Wire.int(1))),
        ]
        return fields.flatMap { $0 }
    }()

    @Test(
        arguments: [
            ("flags, 1", [0x50], [0x50, 1]), ("scale, 3", [0x30], [0x30, 6]), ("flags, 0", [0x50], []),
            ("start_time_unix_nano, 5", [0x11], fixed(0x11, 5)), ("time_unix_nano, 5", [0x19], fixed(0x19, 5)),
            ("count, 3", [0x21], fixed(0x21, 3)), ("zero_count, 2", [0x39], fixed(0x39, 2)),
            ("sum, 2.0", [0x29], fixed(0x29, 0x4000_0000_0000_0000)),
            ("min, 2.0", [0x61], fixed(0x61, 0x4000_0000_0000_0000)),
            ("max, 2.0", [0x69], fixed(0x69, 0x4000_0000_0000_0000)),
        ] as [(String, [UInt8], [UInt8])])
    func `a field that is set leaves all others as they came`(what: String, tag: [UInt8], written: [UInt8]) throws {
        let isVarint = tag[0] & 7 == 0
        let old = isVarint ? tag + [8] : Self.fixed(tag[0], 9)
        let statement = "set(datapoint.\(what))"
        #expect(try run(statement, Self.pieces) == Self.request(Self.pieces + written))
        #expect(try run(statement, old + Self.pieces + old) == Self.request(Self.pieces + written))
    }

    @Test func `a number takes the place of one of the other type`() throws {
        let rest = Wire.field(7, Wire.keyValue("a", Wire.int(1)))
        let (old, new) = (Self.fixed(0x21, 9), Self.fixed(0x31, 4))
        #expect(try run("set(datapoint.value_int, 4)", old + rest, kind: 5) == Self.request(rest + new, 5))
    }

    @Test func `editors of metrics add pieces of buckets together`() throws {
        let statement = "convert_exponential_histogram_to_histogram(\"upper\", [2.0, 4.0, 100.0])"
        let whole = Wire.field(8, [0x08, 2, 0x12, 3, 5, 6, 7])
        let parts = Wire.field(8, [0x08, 2, 0x12, 2, 5, 6]) + Wire.field(8, [0x12, 1, 7])
        #expect(try run(statement, parts) == run(statement, whole))
        #expect(try run(statement, parts) != Self.request(parts))
    }
}
