import OTLP
package import Pipeline
import Telemetry

/// Requests, errors and durations from spans, as the Collector's `spanmetrics` connector computes them: a counter
/// `calls` and a histogram `duration`, by service, span name, kind and status.
package final class SpanMetricsConnector: Connector {
    private let options: SpanMetricsOptions
    private let keys: KeyTable
    private let serviceName: KeyID
    private let dimensions: [(key: KeyID, option: SpanMetricsOptions.Dimension)]
    private let gatherer: MetricsGatherer
    private static let kinds: [StaticString] = [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]
    private static let statuses: [StaticString] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]

    package init(options: SpanMetricsOptions, build: ConnectorBuild) {
        self.options = options
        var builder = KeyTable.Builder()
        serviceName = builder.intern("service.name")
        dimensions = options.dimensions.map { (builder.intern($0.name), $0) }
        keys = builder.build()
        let prefix = options.namespace.isEmpty ? "" : options.namespace + "."
        var families = [MetricFamily(name: prefix + "calls", unit: "{call}", limit: options.output.seriesMax)]
        if options.hasHistogram {
            families.append(
                MetricFamily(
                    name: prefix + "duration", unit: options.countsSeconds ? "s" : "ms", bounds: options.bounds,
                    limit: options.output.seriesMax))
        }
        gatherer = MetricsGatherer(families, options: options.output, build: build, scope: "spanmetricsconnector")
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
            for attribute in records.range(of: set) {
                let record = records.attributes[attribute]
                AttributeList.append(records.text(record.key), record, of: records, to: &resource)
            }
            point.removeAll()
            addStandard(span, set, records, &point)
            for dimension in dimensions { add(dimension.key, dimension.option, span, set, records, &point) }
            let milliseconds = Double(span.end > span.start ? span.end - span.start : 0) / 1e6
            families[0].table.add(1, resource: resource.text, attributes: point.text)
            if options.hasHistogram {
                families[1].table.add(
                    options.countsSeconds ? milliseconds / 1_000 : milliseconds, resource: resource.text,
                    attributes: point.text)
            }
        }
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

    /// The span's own attribute, else its resource's, else the default.
    private func add(
        _ key: KeyID, _ option: SpanMetricsOptions.Dimension, _ span: SpanRecord, _ resource: SetIndex,
        _ records: borrowing RecordBatch, _ point: inout ByteColumn
    ) {
        if let index = records.find(key, in: span.set) ?? records.find(key, in: resource) {
            AttributeList.append(
                keys.text(of: keys.reference(of: key)), records.attributes[index], of: records, to: &point)
        } else if var fallback = option.fallback {
            fallback.withUTF8 {
                AttributeList.append(
                    keys.text(of: keys.reference(of: key)), Text(UnsafeRawBufferPointer($0)), to: &point)
            }
        }
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
