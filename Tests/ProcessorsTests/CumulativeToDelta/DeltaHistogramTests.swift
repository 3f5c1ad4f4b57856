import Processors
import Telemetry
import Testing

/// Histograms with explicit and exponential buckets.
@Suite struct DeltaHistogramTests {
    private func packed(_ field: Int, _ numbers: [UInt64]) -> [UInt8] {
        var bytes: [UInt8] = []
        for number in numbers { withUnsafeBytes(of: number.littleEndian) { bytes += Array($0) } }
        return Wire.field(field, bytes)
    }

    private static let least = Metrics.double(0x59, 0.5)
    private static let most = Metrics.double(0x61, 9.0)

    /// A point as senders write it; without a sum when that is nil.
    private func explicit(
        _ buckets: [UInt64], sum: Double?, time: UInt64, bounds: [Double] = [5], count: UInt64? = nil
    ) -> [UInt8] {
        Metrics.joined(
            Metrics.fixed(0x11, 1), Metrics.fixed(0x19, time), Metrics.fixed(0x21, count ?? buckets.reduce(0, +)),
            optional(0x29, sum), packed(6, buckets), packed(7, bounds.map(\.bitPattern)), Self.least, Self.most)
    }

    /// The same as the processor writes it.
    private func explicitDelta(
        _ buckets: [UInt64], sum: Double?, since start: UInt64, time: UInt64, bounds: [Double] = [5],
        count: UInt64? = nil
    ) -> [UInt8] {
        Metrics.joined(
            Metrics.fixed(0x19, time), packed(7, bounds.map(\.bitPattern)), Metrics.fixed(0x11, start),
            Metrics.fixed(0x21, count ?? buckets.reduce(0, +)), optional(0x29, sum), packed(6, buckets))
    }

    private func optional(_ tag: UInt8, _ value: Double?) -> [UInt8] {
        guard let value else { return [] }
        return Metrics.double(tag, value)
    }

    private func request(_ point: [UInt8], _ temporality: UInt8 = 2, field: Int = 9) -> [UInt8] {
        Metrics.request([Metrics.metric("h", field, [point], [0x10, temporality])])
    }

    @Test func `counts, sum and buckets become differences, least and greatest value go`() throws {
        let bench = DeltaBench()
        #expect(try bench.run(request(explicit([1, 2], sum: 6.5, time: 5))) == [])
        let bytes = try bench.run(request(explicit([2, 3], sum: 11, time: 7)))
        #expect(bytes == request(explicitDelta([1, 1], sum: 4.5, since: 5, time: 7), 1))
    }

    @Test func `a first histogram that is kept loses least and greatest value too`() throws {
        let bytes = try DeltaBench("{initial_value: keep}").run(request(explicit([1, 2], sum: 6.5, time: 5)))
        #expect(bytes == request(explicitDelta([1, 2], sum: 6.5, since: 1, time: 5), 1))
    }

    @Test(
        arguments: [
            ([1, 1], nil), ([9, 0], 9), ([1, 3], nil),
        ] as [([UInt64], UInt64?)])
    func `a histogram that began anew counts in full`(buckets: [UInt64], count: UInt64?) throws {
        let bench = DeltaBench()
        _ = try bench.run(request(explicit([2, 3], sum: 11, time: 5)))
        let bytes = try bench.run(request(explicit(buckets, sum: 2, time: 7, count: count)))
        #expect(bytes == request(explicitDelta(buckets, sum: 2, since: 5, time: 7, count: count), 1))
    }

    @Test func `other buckets are a new baseline`() throws {
        let bench = DeltaBench()
        _ = try bench.run(request(explicit([2, 3], sum: 11, time: 5)))
        #expect(try bench.run(request(explicit([3, 4], sum: 12, time: 6, bounds: [6]))) == [])
        #expect(try bench.run(request(explicit([3, 4, 1], sum: 13, time: 7, bounds: [6, 7]))) == [])
        let bytes = try bench.run(request(explicit([3, 5, 1], sum: 14, time: 8, bounds: [6, 7])))
        #expect(bytes == request(explicitDelta([0, 1, 0], sum: 1, since: 7, time: 8, bounds: [6, 7]), 1))
        #expect(bench.dropped("bucket_mismatch") == 2)
    }

    @Test func `a point without a sum does not let the next one count from zero`() throws {
        let bench = DeltaBench()
        _ = try bench.run(request(explicit([1, 1], sum: 5, time: 5)))
        let second = try bench.run(request(explicit([1, 2], sum: nil, time: 6)))
        #expect(second == request(explicitDelta([0, 1], sum: nil, since: 5, time: 6), 1))
        let third = try bench.run(request(explicit([1, 3], sum: 8, time: 7)))
        #expect(third == request(explicitDelta([0, 1], sum: 3, since: 6, time: 7), 1))
    }

    @Test func `a sum of which the difference is no number is left out`() throws {
        let bench = DeltaBench()
        _ = try bench.run(request(explicit([1, 1], sum: 5, time: 5)))
        for (count, time) in [(2, 6), (3, 7)] as [(UInt64, UInt64)] {
            let bytes = try bench.run(request(explicit([1, count], sum: Double.infinity, time: time)))
            #expect(bytes == request(explicitDelta([0, 1], sum: nil, since: time - 1, time: time), 1))
        }
    }

    @Test func `counts that are not packed are read as well`() throws {
        let bench = DeltaBench()
        let loose = Metrics.fixed(0x31, 1) + Metrics.fixed(0x31, 2)
        let bounds = packed(7, [Double(5).bitPattern])
        let times = Metrics.fixed(0x11, 1) + Metrics.fixed(0x19, 5)
        _ = try bench.run(request(Metrics.joined(times, Metrics.fixed(0x21, 3), loose, bounds)))
        let bytes = try bench.run(request(explicit([2, 2], sum: nil, time: 7)))
        #expect(bytes == request(explicitDelta([1, 0], sum: nil, since: 5, time: 7), 1))
    }

    // MARK: Exponential buckets

    /// Buckets of one side: `offset` is as zigzag numbers it.
    private func side(_ offset: UInt8, _ counts: [UInt8]) -> [UInt8] {
        let start: [UInt8] = offset == 0 ? [] : [0x08, offset]
        return start + Wire.field(2, counts)
    }

    private func exponential(
        _ time: UInt64, count: UInt64, sum: Double, scale: UInt8, zeros: UInt64, positive: [UInt8],
        threshold: Double? = nil
    ) -> [UInt8] {
        Metrics.joined(
            Metrics.fixed(0x11, 1), Metrics.fixed(0x19, time), Metrics.fixed(0x21, count), Metrics.double(0x29, sum),
            [0x30, scale], Metrics.fixed(0x39, zeros), Wire.field(8, positive), Metrics.double(0x61, 0.5),
            Metrics.double(0x69, 9.0), optional(0x71, threshold))
    }

    private func exponentialDelta(
        _ time: UInt64, since start: UInt64, count: UInt64, sum: Double, scale: UInt8, zeros: UInt64,
        positive: [UInt8], threshold: Double? = nil
    ) -> [UInt8] {
        Metrics.joined(
            Metrics.fixed(0x19, time), [0x30, scale], optional(0x71, threshold), Metrics.fixed(0x11, start),
            Metrics.fixed(0x21, count), Metrics.double(0x29, sum), zeros == 0 ? [] : Metrics.fixed(0x39, zeros),
            Wire.field(8, positive))
    }

    /// Two points of a stream; what the second becomes.
    private func run(_ first: [UInt8], _ second: [UInt8]) throws -> [UInt8] {
        let bench = DeltaBench()
        _ = try bench.run(request(first, field: 10))
        return try bench.run(request(second, field: 10))
    }

    @Test func `buckets of the same scale become differences, from the first to the last that has one`() throws {
        let first = exponential(5, count: 6, sum: 10, scale: 2, zeros: 1, positive: side(2, [2, 1, 2]))
        // One bucket more in front, and one behind; zigzag 0 is the index 0, 2 the index 1.
        let second = exponential(7, count: 10, sum: 25, scale: 2, zeros: 2, positive: side(0, [0, 2, 3, 2, 1]))
        let delta = exponentialDelta(7, since: 5, count: 4, sum: 15, scale: 2, zeros: 1, positive: side(4, [2, 0, 1]))
        #expect(try run(first, second) == request(delta, 1, field: 10))
    }

    @Test func `buckets without a difference are none`() throws {
        let first = exponential(5, count: 3, sum: 10, scale: 2, zeros: 1, positive: side(2, [2]))
        let second = exponential(7, count: 4, sum: 10, scale: 2, zeros: 2, positive: side(2, [2]))
        let delta = exponentialDelta(7, since: 5, count: 1, sum: 0, scale: 2, zeros: 1, positive: [])
        #expect(try run(first, second) == request(delta, 1, field: 10))
    }

    @Test func `an earlier point of a higher scale is coarsened`() throws {
        // Buckets 1 to 4 of scale 1 (zigzag 2) are 0 to 2 of scale 0.
        let first = exponential(5, count: 10, sum: 10, scale: 2, zeros: 0, positive: side(2, [1, 2, 3, 4]))
        let second = exponential(7, count: 13, sum: 12, scale: 0, zeros: 0, positive: side(0, [2, 5, 6]))
        let delta = exponentialDelta(7, since: 5, count: 3, sum: 2, scale: 0, zeros: 0, positive: side(0, [1, 0, 2]))
        #expect(try run(first, second) == request(delta, 1, field: 10))
    }

    @Test func `a wider zero bucket takes the buckets below it`() throws {
        // Scale 0: bucket 0 holds 1 to 2, bucket 1 holds 2 to 4.
        let first = exponential(5, count: 6, sum: 10, scale: 0, zeros: 1, positive: side(0, [2, 3]))
        let second = exponential(
            7, count: 8, sum: 12, scale: 0, zeros: 4, positive: side(2, [4]), threshold: 2)
        let delta = exponentialDelta(
            7, since: 5, count: 2, sum: 2, scale: 0, zeros: 1, positive: side(2, [1]), threshold: 2)
        #expect(try run(first, second) == request(delta, 1, field: 10))
    }

    @Test(arguments: ["count", "scale", "bucket", "missing", "zeros"])
    func `an exponential histogram that began anew is a new baseline`(what: String) throws {
        let first = exponential(5, count: 6, sum: 10, scale: 2, zeros: 1, positive: side(2, [2, 3]))
        let second =
            switch what {
            case "count": exponential(7, count: 5, sum: 10, scale: 2, zeros: 1, positive: side(2, [2, 3]))
            case "scale": exponential(7, count: 6, sum: 10, scale: 4, zeros: 1, positive: side(2, [2, 3]))
            case "bucket": exponential(7, count: 6, sum: 10, scale: 2, zeros: 2, positive: side(2, [1, 3]))
            case "missing": exponential(7, count: 6, sum: 10, scale: 2, zeros: 3, positive: side(4, [3]))
            default: exponential(7, count: 6, sum: 10, scale: 2, zeros: 0, positive: side(2, [3, 3]))
            }
        let bench = DeltaBench()
        _ = try bench.run(request(first, field: 10))
        #expect(try bench.run(request(second, field: 10)) == [])
        #expect(bench.dropped("reset") == 1)
        #expect(try bench.run(request(second, field: 10)) != [])
    }

    @Test func `buckets of senders that mean harm are bounded by their bytes`() throws {
        // The lowest and the highest scale and offset that the wire can say.
        let ends: [[UInt8]] = [
            [0x30] + Wire.varint(0xFFFF_FFFF), [0x30] + Wire.varint(0xFFFF_FFFE), [0x30] + Wire.varint(UInt64.max),
        ]
        let offsets = [Wire.varint(0xFFFF_FFFF), Wire.varint(0xFFFF_FFFE), Wire.varint(UInt64.max)]
        let bench = DeltaBench("{initial_value: keep}")
        for scale in ends {
            for offset in offsets {
                for threshold in [0, 1, -1, Double.leastNonzeroMagnitude, Double.infinity, Double.nan] {
                    let buckets = Wire.field(8, Metrics.joined([0x08], offset, Wire.field(2, [1, 2, 3])))
                    let point = Metrics.joined(
                        Metrics.fixed(0x11, 1), Metrics.fixed(0x21, 6), scale, buckets,
                        Metrics.double(0x71, threshold))
                    _ = try bench.run(request(point, field: 10))
                }
            }
        }
        #expect(bench.count("sluice_cumulativetodelta_streams") == 1)
    }
}
