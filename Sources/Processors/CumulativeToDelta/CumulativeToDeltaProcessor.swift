import OTLP
import OTTL
package import Pipeline
package import Telemetry

/// Turns monotonic sums and histograms that count from a start into such that count from point to point: the
/// Collector's `cumulativetodelta`.
///
/// The last point of each stream is remembered in memory. What a request changed there is taken back when the request
/// is not stored, since it comes again then.
package struct CumulativeToDeltaProcessor: Processor {
    /// What a batch has to convert.
    private struct Work {
        var metrics: [Int] = []
        var points: [CountedPoint] = []
        /// Points that only say that there is no value.
        var empty: [Int] = []
    }

    private let include: MetricSelection
    private let exclude: MetricSelection
    private let tracker: StreamTracker
    private let converted: Counter
    private let forgotten: Counter
    private let dropped: [(reason: DeltaDrop, counter: Counter)]
    private let pool = RedactionPool()
    private let now: @Sendable () -> Int64

    package var needsEarlierRequests: Bool { true }

    /// `now` gives Unix nanoseconds, the system's time when absent.
    package init(
        options: CumulativeToDeltaOptions, build: inout ProcessorBuild, now: (@Sendable () -> Int64)? = nil
    ) {
        let now = now ?? OTTLEffects.system.now
        self.now = now
        include = MetricSelection(options.include, &build.keys)
        exclude = MetricSelection(options.exclude, &build.keys)
        let (seconds, attoseconds) = options.maxStaleness.components
        let limits = CountedStreams.Limits(
            streams: options.streamsMax, bytes: options.stateBytesMax,
            staleness: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        let tracker = StreamTracker(CountedStreams(limits, options.initialValue, started: now()))
        self.tracker = tracker
        converted = build.metrics.counter(
            "sluice_cumulativetodelta_converted_points_total", "Data points that became deltas.", build.labels)
        forgotten = build.metrics.counter(
            "sluice_cumulativetodelta_forgotten_streams_total",
            "Streams that were forgotten, for their age or to make room.", build.labels)
        var dropped: [(reason: DeltaDrop, counter: Counter)] = []
        for reason in DeltaDrop.allCases {
            let labels: [(name: String, value: String)] = build.labels + [("reason", reason.rawValue)]
            let counter = build.metrics.counter(
                "otelcol_cumulativetodelta_datapoints_dropped", "Data points without a delta, by reason.", labels)
            dropped.append((reason, counter))
        }
        self.dropped = dropped
        build.metrics.gauge(
            "sluice_cumulativetodelta_streams", "Streams that are remembered.", build.labels,
            read: { Double(tracker.count) })
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.signal == .metrics else { return }
        let work = collect(batch, tenant: context.tenant)
        guard !work.metrics.isEmpty else { return }
        let (conversion, ticket) = tracker.convert(work.points, now: now())
        forgotten.add(conversion.forgotten)
        let delta = UInt8(MetricsWriter.Temporality.delta.rawValue)
        for metric in work.metrics { batch.setTemporality(delta, ofMetric: metric) }
        var drops: [DeltaDrop: Int] = [:]
        for point in work.empty { batch.removePoint(point) }
        if !work.empty.isEmpty { drops[.noRecordedValue] = work.empty.count }
        try write(conversion.outcomes, work.points, &batch, &drops)
        context.count(work.points.count - (drops.values.reduce(0, +) - work.empty.count), converted)
        for (reason, counter) in dropped {
            guard let count = drops[reason] else { continue }
            context.dropRule = reason.rawValue
            context.dropped(count, counter)
        }
        if let ticket { context.whenStored { ticket.settle() } }
    }

    // MARK: What there is to convert

    private func collect(_ batch: borrowing RecordBatch, tenant: String) -> Work {
        var work = Work()
        var names = StreamNames(tenant: tenant)
        let scratch = pool.take()
        for index in batch.metrics.indices {
            let metric = batch.metrics[index]
            guard takes(metric, batch, scratch.state), CumulativeToDeltaProcessor.isCounting(metric, batch) else {
                continue
            }
            work.metrics.append(index)
            names.begin(metric, batch)
            for point in metric.points.range where !batch.isRemoved(point: point) {
                collect(point, metric.kind, names, batch, &work)
            }
        }
        pool.give(scratch)
        return work
    }

    private func collect(
        _ index: Int, _ kind: MetricKind, _ names: StreamNames, _ batch: borrowing RecordBatch, _ work: inout Work
    ) {
        let record = batch.points[index]
        // The reader has seen that it can be read.
        guard let point = try? MetricPoint(batch.text(record.raw), kind, onlyNumbers: true) else { return }
        // NO_RECORDED_VALUE (metrics.proto, DataPointFlags).
        if point.flags & 1 != 0 { return work.empty.append(index) }
        guard let value = CountedValue(point, kind) else { return }
        let key = names.key(record.set, start: point.start, isDouble: value.isDouble, batch)
        work.points.append(
            CountedPoint(index: index, key: key, start: point.start, time: point.time, value: value))
    }

    /// Whether the options mean the metric.
    private func takes(
        _ metric: MetricRecord, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        guard metric.kind == .sum || metric.kind == .histogram || metric.kind == .exponentialHistogram,
            metric.points.count > 0, !metric.edits.contains(.removed)
        else { return false }
        if include.hasKinds, !include.has(metric.kind) { return false }
        if exclude.has(metric.kind) { return false }
        guard include.hasNames || exclude.hasNames else { return true }
        let name = batch.text(metric.name)
        if include.hasNames, !include.has(name, batch.keys, state) { return false }
        return !exclude.has(name, batch.keys, state)
    }

    /// Whether the points count up from a start. A metric with data of several types, which should not be, is none.
    private static func isCounting(_ metric: MetricRecord, _ batch: borrowing RecordBatch) -> Bool {
        let tag: UInt32 = metric.kind == .sum ? 0x3A : metric.kind == .histogram ? 0x4A : 0x52
        var temporality: UInt64 = 0
        var isMonotonic = metric.kind != .sum
        var cursor = WireCursor(batch.text(metric.raw))
        while let data = cursor.nextField() {
            if data.tag != tag {
                switch data.tag {
                case 0x2A, 0x3A, 0x4A, 0x52, 0x5A: return false
                default: continue
                }
            }
            var fields = WireCursor(cursor.bytes, data.content)
            do throws(DecodeFailure) {
                while !fields.isAtEnd {
                    let field = try fields.tag()
                    switch field {
                    case 0x10: temporality = try fields.varint()
                    case 0x18 where metric.kind == .sum: isMonotonic = try fields.varint() != 0
                    default: try fields.skip(field)
                    }
                }
            } catch { return false }
        }
        if metric.edits.contains(.temporality) { temporality = UInt64(metric.temporality) }
        return isMonotonic && temporality == MetricsWriter.Temporality.cumulative.rawValue
    }

    // MARK: What becomes of it

    private func write(
        _ outcomes: [DeltaOutcome], _ points: [CountedPoint], _ batch: inout RecordBatch,
        _ drops: inout [DeltaDrop: Int]
    ) throws(ProcessFailure) {
        var output = ByteColumn(capacity: 256)
        for (point, outcome) in zip(points, outcomes) {
            switch outcome {
            case .whole:
                switch point.value {
                case .int, .double: continue
                // As in the Collector without least and greatest value.
                case .histogram, .exponential: try write(point.value, point.start, at: point.index, &batch, &output)
                }
            case .delta(let start, let value): try write(value, start, at: point.index, &batch, &output)
            case .dropped(let reason):
                batch.removePoint(point.index)
                drops[reason, default: 0] += 1
            }
        }
    }

    private func write(
        _ value: CountedValue, _ start: UInt64, at index: Int, _ batch: inout RecordBatch, _ output: inout ByteColumn
    ) throws(ProcessFailure) {
        output.removeAll()
        value.write(start: start, over: batch.text(batch.points[index].raw), into: &output)
        let content = batch.addText(output.text)
        if content.isEmpty, output.count > 0 { throw ProcessFailure(reason: "the request has no room for deltas") }
        batch.setContent(content, ofPoint: index)
    }
}
