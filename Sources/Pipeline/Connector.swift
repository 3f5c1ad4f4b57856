package import Telemetry

/// A pipeline that reads from a connector.
package struct ConnectorOutput: Sendable, Equatable {
    /// `signal/name` as in the file.
    package var pipeline: String
    package var signal: Signal

    package init(pipeline: String, signal: Signal) {
        self.pipeline = pipeline
        self.signal = signal
    }
}

/// What a connector sends to one of its outputs: the protobuf bytes of one request.
package struct ConnectorDelivery: Sendable, Equatable {
    /// Index into the outputs that the connector was made with.
    package var output: Int
    package var itemCount: Int
    package var bytes: [UInt8]

    package init(output: Int, itemCount: Int, bytes: [UInt8]) {
        self.output = output
        self.itemCount = itemCount
        self.bytes = bytes
    }
}

/// Joins pipelines: an exporter of one and a receiver of others. It only says what goes where; the gateway runs the
/// chains of the outputs, stores the results in their journals and acknowledges the input when all of them are stored.
package protocol Connector: Sendable {
    /// The deliveries that one batch turns into. The same batch may come again after a failure. A batch that cannot be
    /// read gives an error that says why; it is dropped and counted.
    func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery]
    /// The deliveries of the last `connect` are stored: what that batch counted counts for good.
    func stored()
}

extension Connector {
    package func stored() {}
}

/// What a connector gets when the gateway is built: one is made for each pipeline that writes to it. A connector that
/// decodes batches makes a key table of its own.
package struct ConnectorBuild: Sendable {
    package let metrics: SelfMetrics
    /// `type/name` as in the file.
    package let id: String
    /// `signal/name` of the pipeline that writes to it.
    package let input: String
    package let inputSignal: Signal
    package let outputs: [ConnectorOutput]
    /// Unix nanoseconds.
    package let now: @Sendable () -> UInt64

    package init(
        metrics: SelfMetrics, id: String, input: String, inputSignal: Signal, outputs: [ConnectorOutput],
        now: @escaping @Sendable () -> UInt64
    ) {
        self.now = now
        self.metrics = metrics
        self.id = id
        self.input = input
        self.inputSignal = inputSignal
        self.outputs = outputs
    }

    /// Labels that every metric of this connector carries.
    package var labels: [(name: String, value: String)] { [("connector", id), ("pipeline", input)] }
}
