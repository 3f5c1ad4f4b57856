import OTLP
package import Pipeline
import Synchronization
import Telemetry

/// Requests, errors and durations from spans, as the Collector's `spanmetrics` connector computes them: a counter
/// `calls` and a histogram `duration`, by service, span name, kind and status. A span that a sampler kept counts for
/// those that it stands for.
package final class SpanMetricsConnector: Connector {
    private typealias Dimensions = [(key: KeyID, option: SpanMetricsOptions.Dimension)]

    private let options: SpanMetricsOptions
    private let keys: KeyTable
    private let serviceName: KeyID
    private let dimensions, callDimensions, durationDimensions, eventDimensions: Dimensions
    private let resourceKeys: [KeyID]
    /// Bytes of a resource that is remembered, with its key.
    private static let resourceBytesMax = 16 << 10
    /// The attributes of the first resource of each kind, by those that tell them apart.
    private let resources = Mutex<[[UInt8]: [UInt8]]>([:])
    private let gatherer: MetricsGatherer
    private static let kinds: [StaticString] = [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]
    private static let statuses: [StaticString] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]

    package init(options: SpanMetricsOptions, build: ConnectorBuild) {
        self.options = options
        var builder = KeyTable.Builder()
        func interned(_ dimensions: [SpanMetricsOptions.Dimension]) -> Dimensions {
            dimensions.map { (builder.intern($0.name), $0) }
        }
        serviceName = builder.intern("service.name")
        dimensions = interned(options.dimensions)
        callDimensions = interned(options.callDimensions)
        durationDimensions = interned(options.durationDimensions)
        eventDimensions = interned(options.eventDimensions ?? [])
        resourceKeys = options.resourceKeys.map { builder.intern($0) }
        keys = builder.build()
        gatherer = MetricsGatherer(
            Self.families(options), options: options.output, build: build, scope: "spanmetricsconnector")
    }

    /// The counter of calls, the histogram and the counter of events, as far as there are.
    private static func families(_ options: SpanMetricsOptions) -> [MetricFamily] {
        let prefix = options.namespace.isEmpty ? "" : options.namespace + "."
        let limit = options.output.seriesMax
        var families = [
            MetricFamily(name: prefix + "calls", unit: "{call}", limit: limit, exemplarsMax: options.exemplarsMax)
        ]
        if options.hasHistogram {
            let shape: SeriesTable.Shape =
                switch options.shape {
                case .explicit(let bounds): .explicit(bounds)
                case .exponential(let sizeMax): .exponential(sizeMax: sizeMax)
                }
            families.append(
                MetricFamily(
                    name: prefix + "duration", unit: options.countsSeconds ? "s" : "ms", shape: shape, limit: limit,
                    exemplarsMax: options.exemplarsMax))
        }
        if options.eventDimensions != nil {
            families.append(
                MetricFamily(
                    name: prefix + "events", unit: "{event}", limit: limit, exemplarsMax: options.exemplarsMax))
        }
        return families
    }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        var records = RecordBatch(keys: keys)
        return try SpanReading.read(batch, keys, &records) { records in
            gatherer.gather { families in count(records, &families) }
        }
    }

    package func stored() { gatherer.stored() }

    private func count(_ records: borrowing RecordBatch, _ families: inout [MetricFamily]) {
        var resource = ByteColumn()
        var point = ByteColumn()
        for index in records.spans.indices where !records.isRemoved(span: index) {
            let span = records.spans[index]
            let set = records.resources[records.resource(ofScope: span.scope)].set
            resource.removeAll()
            if options.addsResource { append(resource: set, records, &resource) }
            point.removeAll()
            addStandard(span, set, records, &point)
            addScope(span, records, &point)
            let adjusted = AdjustedCount.of(records.text(span.traceState), spanID: records.text(span.spanID))
            let times = adjusted ?? 1
            if options.addsSamplingMethod {
                let method = adjusted == nil ? Text("counted") : Text("extrapolated")
                AttributeList.append(Text("sampling.method"), method, to: &point)
            }
            for dimension in dimensions { add(dimension, span.set, set, records, &point) }
            let common = point.count
            let milliseconds = Double(span.end > span.start ? span.end - span.start : 0) / 1e6
            let duration = options.countsSeconds ? milliseconds / 1_000 : milliseconds
            let exemplar = exemplar(span, duration, records)
            for dimension in callDimensions { add(dimension, span.set, set, records, &point) }
            families[0].table.add(
                1, times: times, resource: resource.text, attributes: point.text, exemplar: exemplar)
            point.truncate(to: common)
            if options.hasHistogram {
                for dimension in durationDimensions { add(dimension, span.set, set, records, &point) }
                families[1].table.add(
                    duration, times: times, resource: resource.text, attributes: point.text, exemplar: exemplar)
                point.truncate(to: common)
            }
            guard options.eventDimensions != nil else { continue }
            for event in span.events.range where !records.events[event].edits.contains(.removed) {
                for dimension in eventDimensions { add(dimension, records.events[event].set, set, records, &point) }
                families[families.count - 1].table.add(
                    1, times: times, resource: resource.text, attributes: point.text, exemplar: exemplar)
                point.truncate(to: common)
            }
        }
    }

    private func exemplar(
        _ span: SpanRecord, _ duration: Double, _ records: borrowing RecordBatch
    ) -> MetricsWriter.Exemplar? {
        guard options.exemplarsMax > 0 else { return nil }
        return MetricsWriter.Exemplar(
            value: duration, time: span.end, traceID: [UInt8](records.text(span.traceID).bytes),
            spanID: [UInt8](records.text(span.spanID).bytes))
    }

    /// The attributes of a resource, or those of the first one that agrees with it in the keys.
    private func append(resource set: SetIndex, _ records: borrowing RecordBatch, _ list: inout ByteColumn) {
        for attribute in records.range(of: set) {
            let record = records.attributes[attribute]
            AttributeList.append(records.text(record.key), record, of: records, to: &list)
        }
        guard !resourceKeys.isEmpty else { return }
        var key = ByteColumn()
        for id in resourceKeys {
            guard let index = records.find(id, in: set) else { continue }
            AttributeList.append(
                keys.text(of: keys.reference(of: id)), records.attributes[index], of: records, to: &key)
        }
        let (name, own) = ([UInt8](key.bytes), [UInt8](list.bytes))
        let limit = options.output.seriesMax
        let first = resources.withLock { resources in
            if let known = resources[name] { return known }
            if resources.count < limit, name.count + own.count <= Self.resourceBytesMax { resources[name] = own }
            return own
        }
        list.removeAll()
        first.withUnsafeBytes { list.append(Text($0)) }
    }

    private func addScope(_ span: SpanRecord, _ records: borrowing RecordBatch, _ point: inout ByteColumn) {
        guard !options.scopes.isEmpty else { return }
        let scope = records.scopes[Int(span.scope)]
        let (name, version) = (records.text(scope.name), records.text(scope.version))
        guard options.scopes.contains(name.string) else { return }
        AttributeList.append(Text("span.instrumentation.scope.name"), name, to: &point)
        if !version.isEmpty { AttributeList.append(Text("span.instrumentation.scope.version"), version, to: &point) }
    }

    private func addStandard(
        _ span: SpanRecord, _ set: SetIndex, _ records: borrowing RecordBatch, _ point: inout ByteColumn
    ) {
        if !options.excluded.contains("service.name") {
            AttributeList.append(Text("service.name"), records.string(serviceName, in: set) ?? .empty, to: &point)
        }
        if !options.excluded.contains("span.name") {
            AttributeList.append(Text("span.name"), records.text(span.name), to: &point)
        }
        if !options.excluded.contains("span.kind") {
            let kind = Self.kinds.indices.contains(Int(span.kind)) ? Int(span.kind) : 0
            AttributeList.append(Text("span.kind"), Text(Self.kinds[kind]), to: &point)
        }
        if !options.excluded.contains("status.code") {
            let status = Self.statuses.indices.contains(Int(span.statusCode)) ? Int(span.statusCode) : 0
            AttributeList.append(Text("status.code"), Text(Self.statuses[status]), to: &point)
        }
    }

    /// The record's own attribute, else its resource's, else the default.
    private func add(
        _ dimension: (key: KeyID, option: SpanMetricsOptions.Dimension), _ own: SetIndex, _ resource: SetIndex,
        _ records: borrowing RecordBatch, _ point: inout ByteColumn
    ) {
        guard dimension.option.glob.isEmpty else {
            return addMatching(dimension.option.glob, own, resource, records, &point)
        }
        let name = keys.text(of: keys.reference(of: dimension.key))
        if let index = records.find(dimension.key, in: own) ?? records.find(dimension.key, in: resource) {
            return AttributeList.append(name, records.attributes[index], of: records, to: &point)
        }
        guard var fallback = dimension.option.fallback else { return }
        fallback.withUTF8 { AttributeList.append(name, Text(UnsafeRawBufferPointer($0)), to: &point) }
    }
}

extension SpanMetricsConnector {
    /// The attributes whose keys match, the record's own before its resource's, in the order of their keys.
    private func addMatching(
        _ glob: String, _ own: SetIndex, _ resource: SetIndex, _ records: borrowing RecordBatch,
        _ point: inout ByteColumn
    ) {
        let pattern = Array(glob.utf8)
        var found: [(key: Text, attribute: Int)] = []
        for set in [own, resource] {
            let before = found.count
            for attribute in records.range(of: set) {
                let key = records.text(records.attributes[attribute].key)
                guard KeyGlob.matches(pattern, key), !found[..<before].contains(where: { $0.key == key }) else {
                    continue
                }
                found.append((key, attribute))
            }
        }
        found.sort { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
        for one in found {
            AttributeList.append(one.key, records.attributes[one.attribute], of: records, to: &point)
        }
    }
}

/// Patterns of keys: `*` stands for any text, `?` for one byte.
enum KeyGlob {
    static func matches(_ pattern: [UInt8], _ key: Text) -> Bool {
        var (place, index) = (0, 0)
        // Behind the last star, and where what it stands for ends.
        var star: (place: Int, end: Int)?
        while index < key.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                place += 1
                star = (place, index)
            } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") || pattern[place] == key[index] {
                place += 1
                index += 1
            } else if let last = star {
                star = (last.place, last.end + 1)
                (place, index) = (last.place, last.end + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

/// Decoding a batch of spans in a connector.
enum SpanReading {
    static func read<Result>(
        _ batch: ExportBatch, _ keys: KeyTable, _ records: inout RecordBatch,
        _ body: (borrowing RecordBatch) -> Result
    ) throws(ProcessFailure) -> Result {
        let outcome: Swift.Result<Result, ProcessFailure> = batch.bytes.withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(bytes), signal: batch.signal, keys: keys, into: &records)
            } catch {
                return .failure(ProcessFailure(reason: "the batch cannot be read: \(error.message)"))
            }
            return .success(body(records))
        }
        return try outcome.get()
    }
}
