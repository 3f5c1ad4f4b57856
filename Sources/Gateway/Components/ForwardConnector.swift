import Configuration
import Pipeline

/// The `forward` connector has no options.
struct ForwardOptions: ComponentOptions {
    init(_ settings: inout Settings) {}
}

/// Hands each batch as it is to every output.
struct ForwardConnector: Connector {
    private let outputs: Int

    init(build: ConnectorBuild) { outputs = build.outputs.count }

    func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        (0..<outputs).map { ConnectorDelivery(output: $0, itemCount: batch.itemCount, bytes: batch.bytes) }
    }
}
