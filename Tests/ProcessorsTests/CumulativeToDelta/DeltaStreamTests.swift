import Processors
import Telemetry
import Testing

/// Which points belong together, and what is remembered of them.
@Suite struct DeltaStreamTests {
    private func point(_ value: Int64, _ time: UInt64) -> [UInt8] { Metrics.sum([Metrics.number(value, time: time)]) }
    private func delta(_ value: Int64, _ since: UInt64, _ time: UInt64) -> [UInt8] {
        Metrics.sum([Metrics.delta(value, since: since, time: time)], 1)
    }

    @Test func `attributes in another order are the same stream`() throws {
        let bench = DeltaBench()
        let (one, other) = (Wire.strings(7, [("a", "1"), ("b", "2")]), Wire.strings(7, [("b", "2"), ("a", "1")]))
        _ = try bench.run(Metrics.sum([Metrics.number(1, time: 5, one)]))
        let bytes = try bench.run(Metrics.sum([Metrics.number(3, time: 6, other)]))
        #expect(bytes == Metrics.sum([Metrics.delta(2, since: 5, time: 6, other)], 1))
    }

    @Test func `whatever names a stream tells it from others`() throws {
        func request(
            _ name: String = "m", unit: String = "", rest: [UInt8] = [], start: UInt64 = 1, resource: [UInt8] = [],
            scope: [UInt8] = []
        ) -> [UInt8] {
            let metric = Metrics.metric(name, 7, [Metrics.number(1, start: start, time: 5, rest)], [0x10, 2, 0x18, 1])
            return Metrics.request([metric + Wire.field(3, unit)], resource: resource, scope: scope)
        }
        let requests = [
            request(), request("n"), request(unit: "s"), request(rest: Wire.strings(7, [("a", "1")])),
            request(rest: Wire.strings(7, [("a", "2")])), request(rest: Wire.strings(7, [("b", "1")])),
            request(rest: Wire.attributes(7, [("a", Wire.int(1))])), request(start: 2),
            request(resource: Wire.strings(1, [("a", "1")])), request(scope: Wire.field(1, "lib")),
            request(scope: Wire.field(2, "lib")), request(scope: Wire.strings(3, [("a", "1")])),
            Metrics.sum([Metrics.real(1.0, time: 5)]),
        ]
        let bench = DeltaBench()
        for request in requests { #expect(try bench.run(request) == []) }
        #expect(try bench.run(requests[0], tenant: "other") == [])
        #expect(bench.count("sluice_cumulativetodelta_streams") == Double(requests.count + 1))
        for request in requests { #expect(try bench.run(request) != []) }
    }

    @Test func `a lower value is a reset, from which it goes on`() throws {
        let bench = DeltaBench()
        _ = try bench.run(point(10, 5))
        #expect(try bench.run(point(3, 6)) == [])
        #expect(try bench.run(point(5, 7)) == delta(2, 6, 7))
        #expect(bench.dropped("reset") == 1)
        // An infinite value behind another is no difference.
        let endless = Metrics.sum([Metrics.real(Double.infinity, start: 2, time: 8)])
        for _ in 0..<2 { #expect(try bench.run(endless) == []) }
    }

    @Test func `a difference that no integer holds is a reset`() throws {
        let bench = DeltaBench()
        _ = try bench.run(point(Int64.min, 5))
        #expect(try bench.run(point(1, 6)) == [])
        #expect(try bench.run(point(2, 7)) == delta(1, 6, 7))
        #expect(bench.dropped("reset") == 1)
    }

    @Test func `a point that comes late is dropped and changes nothing`() throws {
        let bench = DeltaBench()
        _ = try bench.run(point(10, 5))
        #expect(try bench.run(point(30, 9)) == delta(20, 5, 9))
        #expect(try bench.run(point(20, 7)) == [])
        #expect(try bench.run(point(31, 10)) == delta(1, 9, 10))
        #expect(bench.dropped("late") == 1)
    }

    @Test func `a point that comes late is dropped without a start time too`() throws {
        let bench = DeltaBench()
        func request(_ value: Int64, _ time: UInt64) -> [UInt8] {
            Metrics.sum([Metrics.joined(Metrics.fixed(0x19, time), Metrics.fixed(0x31, UInt64(bitPattern: value)))])
        }
        _ = try bench.run(request(10, 9))
        #expect(try bench.run(request(3, 5)) == [])
        #expect(try bench.run(request(14, 12)) == delta(4, 9, 12))
        #expect(try bench.run(request(3, 13)) == [])
        #expect(bench.dropped("late") == 1 && bench.dropped("reset") == 1)
    }

    // MARK: The first point

    /// The gateway starts at 100.
    @Test(
        arguments: [
            ("auto", 99, 150, false), ("auto", 0, 150, false), ("auto", 100, 150, true), ("auto", 150, 150, false),
            ("keep", 99, 150, true), ("keep", 150, 150, true), ("drop", 120, 150, false),
        ] as [(String, UInt64, UInt64, Bool)])
    func `the first point of a stream`(initial: String, start: UInt64, time: UInt64, isKept: Bool) throws {
        let bench = DeltaBench("{initial_value: \(initial)}", started: 100)
        let first = Metrics.number(7, start: start, time: time)
        #expect(try bench.run(Metrics.sum([first])) == (isKept ? Metrics.sum([first], 1) : []))
        let next = try bench.run(Metrics.sum([Metrics.number(9, start: start, time: time + 1)]))
        #expect(next == delta(2, time, time + 1))
        #expect(bench.dropped("initial") == (isKept ? 0 : 1))
    }

    @Test func `auto is the default`() throws {
        #expect(try DeltaBench("{}", started: 100).run(Metrics.sum([Metrics.number(7, start: 50, time: 150)])) == [])
        #expect(try DeltaBench("{}", started: 100).run(Metrics.sum([Metrics.number(7, start: 120, time: 150)])) != [])
    }

    // MARK: Requests that are refused

    @Test func `a request that is not stored comes again with the same deltas`() throws {
        let bench = DeltaBench()
        _ = try bench.run(point(10, 5))
        for _ in 0..<2 { #expect(try bench.run(point(14, 7), isStored: false) == delta(4, 5, 7)) }
        #expect(try bench.run(point(14, 7)) == delta(4, 5, 7))
        #expect(try bench.run(point(15, 8), isStored: false) == delta(1, 7, 8))
        // The sender gave it up.
        #expect(try bench.run(point(17, 9)) == delta(3, 7, 9))
    }

    @Test func `several points of one stream are taken back together`() throws {
        let bench = DeltaBench("{initial_value: keep}")
        let request = Metrics.sum([Metrics.number(1, time: 5), Metrics.number(3, time: 6)])
        let first = try bench.run(request, isStored: false)
        #expect(bench.count("sluice_cumulativetodelta_streams") == 0)
        #expect(try bench.run(request) == first)
        #expect(try bench.run(request) != first)
    }

    @Test(arguments: [0, 1], ["drop", "keep"])
    func `of two requests at once that are both refused nothing is left`(first: Int, initial: String) throws {
        let bench = DeltaBench("{initial_value: \(initial)}")
        if initial == "drop" { _ = try bench.run(point(10, 5)) }
        let two = Metrics.sum([Metrics.number(11, time: 6), Metrics.number(14, time: 7)])
        var open = [try bench.actions(of: two), try bench.actions(of: point(15, 8))]
        open.remove(at: first)
        open.removeAll()
        if initial == "keep" {
            #expect(bench.count("sluice_cumulativetodelta_streams") == 0)
        } else {
            #expect(try bench.run(point(17, 9)) == delta(7, 5, 9))
        }
    }

    @Test func `of two requests at once the one that is stored counts`() throws {
        let bench = DeltaBench()
        _ = try bench.run(point(10, 5))
        var open = [try bench.actions(of: point(14, 7)), try bench.actions(of: point(15, 8))]
        for action in open[0] { action() }
        open.removeAll()
        #expect(try bench.run(point(17, 9)) == delta(3, 7, 9))
    }

    @Test func `a first point that is only remembered stays, stored or not`() throws {
        let bench = DeltaBench()
        #expect(try bench.run(point(10, 5), isStored: false) == [])
        #expect(try bench.run(point(14, 7)) == delta(4, 5, 7))
    }

    // MARK: Limits

    private func named(_ name: String, _ value: Int64, _ time: UInt64, start: UInt64 = 1) -> [UInt8] {
        Metrics.sum([Metrics.number(value, start: start, time: time)], name: name)
    }

    @Test func `beyond the limit the stream that was not seen for longest is forgotten`() throws {
        let bench = DeltaBench("{initial_value: drop, max_streams: 2}")
        for name in ["a", "b", "a", "c"] { _ = try bench.run(named(name, 1, 5)) }
        #expect(bench.count("sluice_cumulativetodelta_forgotten_streams_total") == 1)
        #expect(try bench.run(named("a", 2, 6)) != [])
        #expect(try bench.run(named("c", 2, 6)) != [])
        #expect(try bench.run(named("b", 2, 6)) == [])
        #expect(bench.count("sluice_cumulativetodelta_streams") == 2)
    }

    @Test func `buckets count towards the limit in bytes`() throws {
        let bench = DeltaBench("{initial_value: drop, max_state_size: 64KiB}")
        func wide(_ name: String) -> [UInt8] {
            let point = Metrics.fixed(0x19, 5) + Wire.field(6, [UInt8](repeating: 0, count: 8 * 3_000))
            return Metrics.request([Metrics.metric(name, 9, [point], [0x10, 2])])
        }
        for name in ["a", "b", "c", "d"] { _ = try bench.run(wide(name)) }
        #expect(bench.count("sluice_cumulativetodelta_streams") == 2)
    }

    @Test func `slots of forgotten streams are used again`() throws {
        let bench = DeltaBench("{initial_value: drop, max_streams: 10}")
        for round in 0..<100 { _ = try bench.run(named("m\(round)", 1, 5)) }
        for round in 90..<100 { #expect(try bench.run(named("m\(round)", 3, 6)) != []) }
        #expect(bench.count("sluice_cumulativetodelta_forgotten_streams_total") == 90)
    }

    @Test func `a stream is forgotten when nothing came for max_staleness`() throws {
        let bench = DeltaBench("{initial_value: drop, max_staleness: 1s}")
        _ = try bench.run(named("a", 1, 5))
        bench.clock.set(1_000_000_000)
        #expect(try bench.run(named("a", 2, 6)) != [])
        bench.clock.set(2_000_000_001)
        #expect(try bench.run(named("a", 3, 7)) == [])
        #expect(bench.count("sluice_cumulativetodelta_forgotten_streams_total") == 1)
    }

    @Test func `what was forgotten is not passed on in full a second time`() throws {
        let bench = DeltaBench("{initial_value: auto, max_streams: 1}", started: 100)
        bench.clock.set(130)
        #expect(try bench.run(named("a", 7, 130, start: 120)) != [])
        bench.clock.set(210)
        #expect(try bench.run(named("b", 7, 210, start: 205)) != [])
        bench.clock.set(230)
        #expect(try bench.run(named("a", 9, 230, start: 120)) == [])
        // It began after all that was forgotten was seen.
        #expect(try bench.run(named("c", 7, 230, start: 225)) != [])
        #expect(try bench.run(named("b", 9, 240, start: 205)) == [])
    }
}
