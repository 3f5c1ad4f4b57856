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
    /// Of a connector with a clock: what tells it from other deliveries to this output, the same each time it is made
    /// until it is stored everywhere. Empty for all others.
    package var name = ""

    package init(output: Int, itemCount: Int, bytes: [UInt8]) {
        self.output = output
        self.itemCount = itemCount
        self.bytes = bytes
    }
}

/// A record that a connector hands to nobody.
package struct DroppedRecord: Sendable, Equatable {
    /// As on the wire; empty when there is none.
    package var traceID: [UInt8]
    package var spanID: [UInt8]

    package init(traceID: [UInt8] = [], spanID: [UInt8] = []) {
        self.traceID = traceID
        self.spanID = spanID
    }
}

/// Joins pipelines: an exporter of one and a receiver of others. It only says what goes where; the gateway runs the
/// chains of the outputs, stores the results in their journals and acknowledges the input when all of them are stored.
package protocol Connector: Sendable {
    /// The deliveries that one batch turns into. The same batch may come again after a failure; when some outputs have
    /// it and the connector has no clock, what is left is stored without asking again. A batch that cannot be read
    /// gives an error that says why; it is dropped and counted.
    func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery]
    /// The deliveries of the last `connect` or `tick` are stored: what that batch counted counts for good.
    func stored()
    /// The same as `connect`, for connectors that ask others over the network. Batches behind this one wait meanwhile,
    /// the pipeline does not.
    func connectWaiting(_ batch: ExportBatch) async throws(ProcessFailure) -> [ConnectorDelivery]
    /// How often `tick` is called, nil for never.
    var tickInterval: Duration? { get }
    /// The deliveries that are due without a batch, because time has passed. Never runs beside `connect`.
    func tick() -> [ConnectorDelivery]
    /// Opens what the connector keeps, before the first batch.
    func start() throws(ProcessFailure)
}

extension Connector {
    package func stored() {}
    package func connectWaiting(_ batch: ExportBatch) async throws(ProcessFailure) -> [ConnectorDelivery] {
        try connect(batch)
    }
    package var tickInterval: Duration? { nil }
    package func tick() -> [ConnectorDelivery] { [] }
    package func start() throws(ProcessFailure) {}
}

/// What a connector gets when the gateway is built: one is made for each pipeline that writes to it, or one for all
/// that write the same signal, when it counts together what they send; batches come one at a time all the same. A
/// connector that decodes batches makes a key table of its own.
package struct ConnectorBuild: Sendable {
    package let metrics: SelfMetrics
    /// `type/name` as in the file.
    package let id: String
    /// `signal/name` of the pipeline that writes to it; of several that share it, one after the other.
    package let input: String
    package let inputSignal: Signal
    package let outputs: [ConnectorOutput]
    /// Unix nanoseconds.
    package let now: @Sendable () -> UInt64
    /// Folder for what the connector keeps over a restart; nil keeps nothing.
    package let dataDirectory: String?
    /// Notes `count` records that are handed to nobody, and by which rule. Of many only the first
    /// `ProcessContext.dropRulesMax` need to be told one by one.
    package var dropped: @Sendable (_ records: [DroppedRecord], _ count: Int, _ rule: String) -> Void = { _, _, _ in }
    /// Writes one line to the gateway's log.
    package let log: @Sendable (_ level: LogLevel, _ message: String) -> Void

    package init(
        metrics: SelfMetrics, id: String, input: String, inputSignal: Signal, outputs: [ConnectorOutput],
        now: @escaping @Sendable () -> UInt64, dataDirectory: String? = nil,
        log: @escaping @Sendable (_ level: LogLevel, _ message: String) -> Void = { _, _ in }
    ) {
        self.dataDirectory = dataDirectory
        self.log = log
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
