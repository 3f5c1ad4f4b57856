import Configuration
import Pipeline
import Processors
import Synchronization
import Telemetry

/// One `cumulativetodelta` with a clock that stands, through which requests go as in a pipeline.
struct DeltaBench {
    /// Unix nanoseconds.
    final class Clock: Sendable {
        private let time: Atomic<Int64>

        init(_ time: Int64) { self.time = Atomic(time) }

        var now: Int64 { time.load(ordering: .relaxed) }
        func set(_ new: Int64) { time.store(new, ordering: .relaxed) }
    }

    let processor: CumulativeToDeltaProcessor
    let clock: Clock
    private let bench: Bench
    private let build: ProcessorBuild

    /// The gateway starts at `started`.
    init(_ yaml: String = "{initial_value: drop}", started: Int64 = 0) {
        var bench = Bench()
        var build = bench.build(.metrics)
        let clock = Clock(started)
        processor = CumulativeToDeltaProcessor(
            options: options(CumulativeToDeltaOptions.self, yaml).options, build: &build, now: { clock.now })
        (self.clock, self.bench, self.build) = (clock, bench, build)
    }

    /// The request behind the processor; `isStored` says whether the journal takes it.
    func run(_ request: [UInt8], isStored: Bool = true, tenant: String = "") throws -> [UInt8] {
        try Bench.run(processor, build, request, tenant: tenant, trace: nil, isStored: isStored).bytes
    }

    /// What is to be done once a request is stored. Let go of without that, the request is refused.
    func actions(of request: [UInt8]) throws -> [@Sendable () -> Void] {
        try Bench.run(processor, build, request, trace: nil, isStored: false).context.actionsWhenStored
    }

    /// What a counter or gauge says.
    func count(_ name: String, reason: String? = nil) -> Double {
        bench.metrics.series.filter { series in
            series.name == name && (reason == nil || series.labels.contains { $0.value == reason })
        }.reduce(0) { $0 + $1.read() }
    }

    func dropped(_ reason: String) -> Double {
        count("otelcol_cumulativetodelta_datapoints_dropped", reason: reason)
    }
}

/// Metrics as bytes.
enum Metrics {
    static func fixed(_ tag: UInt8, _ value: UInt64) -> [UInt8] {
        [tag] + withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    static func double(_ tag: UInt8, _ value: Double) -> [UInt8] { fixed(tag, value.bitPattern) }

    static func joined(_ fields: [UInt8]...) -> [UInt8] { fields.flatMap { $0 } }

    /// A point of a sum of integers with its times and value behind `rest`.
    static func number(_ value: Int64, start: UInt64 = 1, time: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
        joined(rest, fixed(0x11, start), fixed(0x19, time), fixed(0x31, UInt64(bitPattern: value)))
    }

    /// The same of floating-point numbers.
    static func real(_ value: Double, start: UInt64 = 1, time: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
        joined(rest, fixed(0x11, start), fixed(0x19, time), double(0x21, value))
    }

    /// The point as the processor writes it: start time and value behind all else.
    static func delta(_ value: Int64, since start: UInt64, time: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
        joined(rest, fixed(0x19, time), fixed(0x11, start), fixed(0x31, UInt64(bitPattern: value)))
    }

    static func realDelta(_ value: Double, since start: UInt64, time: UInt64) -> [UInt8] {
        joined(fixed(0x19, time), fixed(0x11, start), double(0x21, value))
    }

    /// A metric with data in this field: 5 gauge, 7 sum, 9 histogram, 10 exponential histogram, 11 summary.
    static func metric(_ name: String, _ field: Int, _ points: [[UInt8]], _ rest: [UInt8]) -> [UInt8] {
        let data: [UInt8] = points.flatMap { Wire.field(1, $0) }
        return Wire.field(1, name) + Wire.field(field, data + rest)
    }

    static func request(_ metrics: [[UInt8]], resource: [UInt8] = [], scope: [UInt8] = []) -> [UInt8] {
        Wire.logs(resource: resource, scope: scope, records: metrics)
    }

    /// A monotonic sum alone; temporality 1 is delta, 2 cumulative.
    static func sum(_ points: [[UInt8]], _ temporality: UInt8 = 2, name: String = "m") -> [UInt8] {
        request([metric(name, 7, points, [0x10, temporality, 0x18, 1])])
    }
}
