package import Configuration
package import Pipeline

/// The `forward` connector has no options.
package struct ForwardOptions: ComponentOptions {
    package init(_ settings: inout Settings) {}
}

/// Hands each batch as it is to every output.
package struct ForwardConnector: Connector {
    private let outputs: Int

    package init(build: ConnectorBuild) { outputs = build.outputs.count }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        (0..<outputs).map { ConnectorDelivery(output: $0, itemCount: batch.itemCount, bytes: batch.bytes) }
    }
}
