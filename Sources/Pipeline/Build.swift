package import Telemetry

/// What a processor gets when the gateway is built: interning keys, registering its metrics.
package struct ProcessorBuild {
    /// Keys that the decoder shall resolve. Frozen once all components exist.
    package var keys: KeyTable.Builder
    package let metrics: SelfMetrics
    /// `type/name` as in the file.
    package let id: String
    /// `traces/name` as in the file.
    package let pipeline: String
    package let signal: Signal
    /// Folder for what a processor remembers over restarts; nil when it shall keep nothing on disk.
    package let stateDirectory: String?
    /// Whether the processor is made only to find out whether it can be: nothing on disk may change.
    package let isTrial: Bool
    /// Writes one line to the gateway's log.
    package let log: @Sendable (_ level: LogLevel, _ message: String) -> Void

    package init(
        keys: KeyTable.Builder, metrics: SelfMetrics, id: String, pipeline: String, signal: Signal,
        stateDirectory: String? = nil, isTrial: Bool = false,
        log: @escaping @Sendable (_ level: LogLevel, _ message: String) -> Void = { _, _ in }
    ) {
        self.log = log
        self.isTrial = isTrial
        self.stateDirectory = stateDirectory
        self.keys = keys
        self.metrics = metrics
        self.id = id
        self.pipeline = pipeline
        self.signal = signal
    }

    /// Labels that every metric of this processor carries.
    package var labels: [(name: String, value: String)] { [("processor", id), ("pipeline", pipeline)] }
}

/// What an exporter gets when the gateway is built.
package struct ExporterBuild: Sendable {
    package let metrics: SelfMetrics
    /// `type/name` as in the file.
    package let id: String
    /// Folder for what the exporter keeps when its path is relative and nothing else is said.
    package let dataDirectory: String
    /// Writes one line to the gateway's log: level ("debug", "info", "warn", "error") and message.
    package let log: @Sendable (_ level: LogLevel, _ message: String) -> Void
    /// Opens a journal of the exporter's own, for what it has to keep; nil where nothing may be kept. The exporter
    /// closes it.
    package var openJournal: (@Sendable (_ name: String) throws -> any FrameLog)?
    /// Whether such a journal is there from an earlier life; nil where none can be.
    package var hasJournal: (@Sendable (_ name: String) -> Bool)?
    /// Headers, in lowercase, that the exporter's batches are parted by and carry.
    package var metadataKeys: [String] = []
    /// Whether it is for the dead letters of a gateway alone, which has begun long ago.
    package var isReplay = false

    package init(
        metrics: SelfMetrics, id: String, dataDirectory: String,
        log: @escaping @Sendable (_ level: LogLevel, _ message: String) -> Void
    ) {
        self.metrics = metrics
        self.id = id
        self.dataDirectory = dataDirectory
        self.log = log
    }

    /// What an exporter that this one makes gets.
    package func renamed(_ id: String) -> ExporterBuild {
        var build = ExporterBuild(metrics: metrics, id: id, dataDirectory: dataDirectory, log: log)
        build.isReplay = isReplay
        return build
    }
}

/// Severity of a line in the gateway's own log.
package enum LogLevel: String, Sendable, CaseIterable {
    case debug, info, warn, error
}
