import OTLP
package import Pipeline
import Telemetry

/// The metrics that the OpenTelemetry GenAI semantic conventions define for clients, computed from normalized spans:
/// `gen_ai.client.token.usage`, `gen_ai.client.operation.duration` and `gen_ai.execute_tool.duration`, with the bucket
/// bounds that the conventions advise.
///
/// Tokens count on spans of model calls alone: agents and chains repeat the sums of what is below them.
package final class GenAIMetricsConnector: Connector {
    private struct Keys {
        let table: KeyTable
        let operation, provider, requestModel, responseModel, address, port, error, tool: KeyID
        let inputTokens, outputTokens: KeyID
        let extra: [KeyID]
        let serviceName: KeyID

        init(_ dimensions: [String]) {
            var builder = KeyTable.Builder()
            operation = builder.intern("gen_ai.operation.name")
            provider = builder.intern("gen_ai.provider.name")
            requestModel = builder.intern("gen_ai.request.model")
            responseModel = builder.intern("gen_ai.response.model")
            address = builder.intern("server.address")
            port = builder.intern("server.port")
            error = builder.intern("error.type")
            tool = builder.intern("gen_ai.tool.name")
            inputTokens = builder.intern("gen_ai.usage.input_tokens")
            outputTokens = builder.intern("gen_ai.usage.output_tokens")
            serviceName = builder.intern("service.name")
            extra = dimensions.map { builder.intern($0) }
            table = builder.build()
        }
    }

    private static let tokenBounds = (0...13).map { Double(1 << (2 * $0)) }
    private static let secondBounds = (0...13).map { 0.01 * Double(1 << $0) }
    private static let modelCalls: [StaticString] = ["chat", "text_completion", "generate_content", "embeddings"]

    private let keys: Keys
    private let gatherer: MetricsGatherer

    package init(options: GenAIMetricsOptions, build: ConnectorBuild) {
        keys = Keys(options.dimensions)
        let limit = options.output.seriesMax
        gatherer = MetricsGatherer(
            [
                MetricFamily(
                    name: "gen_ai.client.token.usage", unit: "{token}", bounds: Self.tokenBounds, limit: limit),
                MetricFamily(
                    name: "gen_ai.client.operation.duration", unit: "s", bounds: Self.secondBounds, limit: limit),
                MetricFamily(name: "gen_ai.execute_tool.duration", unit: "s", bounds: Self.secondBounds, limit: limit),
            ], options: options.output, build: build, scope: "sluice/gen_ai_metrics")
    }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        var records = RecordBatch(keys: keys.table)
        return try SpanReading.read(batch, keys.table, &records) { records in
            gatherer.gather { families in count(records, &families) }
        }
    }

    package func stored() { gatherer.stored() }

    private func count(_ records: borrowing RecordBatch, _ families: inout [MetricFamily]) {
        var resource = ByteColumn()
        var point = ByteColumn()
        for index in records.spans.indices where !records.isRemoved(span: index) {
            let span = records.spans[index]
            guard let operation = records.string(keys.operation, in: span.set) else { continue }
            resource.removeAll()
            let set = records.resources[records.resource(ofScope: span.scope)].set
            copy([keys.serviceName], of: set, records, &resource)
            let seconds = Double(span.end > span.start ? span.end - span.start : 0) / 1e9
            point.removeAll()
            if operation == "execute_tool" {
                copy([keys.operation, keys.tool, keys.error] + keys.extra, of: span.set, records, &point)
                families[2].table.add(seconds, resource: resource.text, attributes: point.text)
                continue
            }
            copy(
                [keys.operation, keys.provider, keys.requestModel, keys.responseModel, keys.address, keys.port]
                    + keys.extra, of: span.set, records, &point)
            let common = point.count
            copy([keys.error], of: span.set, records, &point)
            families[1].table.add(seconds, resource: resource.text, attributes: point.text)
            guard Self.modelCalls.contains(where: { operation == $0 }) else { continue }
            for (key, type) in [(keys.inputTokens, "input" as StaticString), (keys.outputTokens, "output")] {
                guard let tokens = records.find(key, in: span.set), records.attributes[tokens].kind == .int else {
                    continue
                }
                point.truncate(to: common)
                AttributeList.append(Text("gen_ai.token.type"), Text(type), to: &point)
                let count = Int64(bitPattern: records.attributes[tokens].payload)
                families[0].table.add(Double(max(0, count)), resource: resource.text, attributes: point.text)
            }
        }
    }

    /// Appends the attributes that the set has of these.
    private func copy(
        _ wanted: [KeyID], of set: SetIndex, _ records: borrowing RecordBatch, _ list: inout ByteColumn
    ) {
        for key in wanted {
            guard let index = records.find(key, in: set) else { continue }
            AttributeList.append(
                keys.table.text(of: keys.table.reference(of: key)), records.attributes[index], of: records, to: &list)
        }
    }
}
