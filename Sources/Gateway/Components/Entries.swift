package import Configuration
package import Exporters
package import Logging
package import Pipeline
package import Processors
package import Receivers
package import Telemetry

/// What a processor of the file becomes.
package enum ProcessorRole: Sendable {
    /// A step of the chain, made once per pipeline.
    case step(@Sendable (inout ProcessorBuild) throws -> any Processor)
    /// The same, for a processor that looks at whole traces: it, and what stands behind it, runs on batches that hold
    /// all spans of exactly one trace, as far as they came within the wait.
    case traceStep(TraceWait, @Sendable (inout ProcessorBuild) throws -> any Processor)
    /// Sets the budget of bytes in flight.
    case memoryLimiter(MemoryLimiterOptions)
    /// Becomes the batching of the pipeline's exporters.
    case batch(Processors.BatchOptions)
}

/// One processor type of the registry.
package struct ProcessorEntry: Sendable {
    package var types: [String]
    package var sentence: String
    package var describe: @Sendable () -> [OptionDescription]
    package var read: @Sendable (ConfigNode, String, inout ConfigProblems) -> ProcessorRole

    /// An entry whose options are read as `Options`.
    static func entry<Options: ComponentOptions>(
        _ types: [String], _ sentence: String, _ options: Options.Type,
        _ make: @escaping @Sendable (Options) -> ProcessorRole
    ) -> ProcessorEntry {
        ProcessorEntry(
            types: types, sentence: sentence, describe: { describeOptions(options) },
            read: { node, path, problems in
                make(readOptions(options, node: node, path: path, problems: &problems))
            })
    }
}

/// An exporter of the file, ready to be made.
package struct ExporterPlan: Sendable {
    package var helper: ExporterHelperOptions
    package var make: @Sendable (ExporterBuild) -> any Exporter
    /// Largest delivery in bytes.
    package var batchBytesMax: Int?
    /// Signals it can take, all when nil.
    package var accepts: (@Sendable (GatewayConfiguration.PipelineSignal) -> Bool)?
    /// Set for an exporter that stands before others; `make` is complete once these are known.
    package var fallback: FallbackOptions?
    /// Those behind it, then.
    var children: [(id: String, plan: ExporterPlan)] = []
    /// Headers, in lowercase, of which the exporter itself wants the values: its batches are parted by them and carry
    /// them as `ExportBatch.metadata`.
    package var contextKeys: [String] = []
    /// Set for an exporter that writes to one file, which nobody else may write to.
    var file: String?
    /// Set for an exporter whose credentials an extension has: its id, and the exporter once they are known.
    package var authenticator: (id: String, join: @Sendable (ClientAuth) -> ExporterPlan)?

    package init(
        helper: ExporterHelperOptions, batchBytesMax: Int? = nil,
        accepts: (@Sendable (GatewayConfiguration.PipelineSignal) -> Bool)? = nil,
        make: @escaping @Sendable (ExporterBuild) -> any Exporter
    ) {
        self.helper = helper
        self.batchBytesMax = batchBytesMax
        self.accepts = accepts
        self.make = make
    }

    /// The same of an exporter that writes to this file, if it is known.
    func writing(to file: String?) -> ExporterPlan {
        var plan = self
        plan.file = file
        return plan
    }

    /// An exporter that stands before others, which `joined` gives it.
    init(fallback: FallbackOptions) {
        self.init(helper: fallback.helper) { FallbackExporter(options: fallback, children: [], build: $0) }
        self.fallback = fallback
    }

    /// The same with the exporters that stand behind it.
    func joined(with children: [(id: String, plan: ExporterPlan)]) -> ExporterPlan {
        guard let fallback else { return self }
        var plan = self
        plan.children = children
        plan.make = { build in
            let made = children.map { (id: $0.id, exporter: $0.plan.make(build.renamed($0.id))) }
            return FallbackExporter(options: fallback, children: made, build: build)
        }
        plan.batchBytesMax = children.compactMap(\.plan.batchBytesMax).min()
        plan.contextKeys = children.flatMap(\.plan.contextKeys)
        plan.accepts = { signal in children.allSatisfy { $0.plan.accepts?(signal) ?? true } }
        return plan
    }
}

/// One exporter type of the registry.
package struct ExporterEntry: Sendable {
    package var types: [String]
    package var sentence: String
    package var describe: @Sendable () -> [OptionDescription]
    package var read: @Sendable (ConfigNode, String, inout ConfigProblems) -> ExporterPlan

    static func entry<Options: ComponentOptions>(
        _ types: [String], _ sentence: String, _ options: Options.Type,
        _ make: @escaping @Sendable (Options) -> ExporterPlan
    ) -> ExporterEntry {
        ExporterEntry(
            types: types, sentence: sentence, describe: { describeOptions(options) },
            read: { node, path, problems in
                make(readOptions(options, node: node, path: path, problems: &problems))
            })
    }
}

/// One receiver type of the registry. There is one kind of receiver so far, so its options are named here.
package struct ReceiverEntry: Sendable {
    package var types: [String]
    package var sentence: String
    package var describe: @Sendable () -> [OptionDescription]
    package var read: @Sendable (ConfigNode, String, inout ConfigProblems) -> OTLPReceiverOptions
}

/// A connector of the file, ready to be made for each pipeline that writes to it.
package struct ConnectorPlan: Sendable {
    package var make: @Sendable (ConnectorBuild) throws -> any Connector
    /// Whether a pipeline of the first signal may feed one of the second through it.
    package var joins: @Sendable (_ input: Signal, _ output: Signal) -> Bool
    /// How long batches are gathered into one; nil hands on each as it comes.
    package var gather: Duration?
    /// Whether it counts together what the pipelines of a signal send, as the Collector's connectors do: they share one
    /// then. Otherwise each pipeline has its own.
    package var isShared: Bool
    /// Headers, in lowercase, that the connector looks at in `ExportBatch.metadata`.
    package var contextKeys: [String] = []

    package init(
        gather: Duration? = nil, isShared: Bool = false,
        joins: @escaping @Sendable (_ input: Signal, _ output: Signal) -> Bool = { $0 == $1 },
        make: @escaping @Sendable (ConnectorBuild) throws -> any Connector
    ) {
        self.gather = gather
        self.isShared = isShared
        self.joins = joins
        self.make = make
    }
}

/// One connector type of the registry.
package struct ConnectorEntry: Sendable {
    package var types: [String]
    package var sentence: String
    package var describe: @Sendable () -> [OptionDescription]
    package var read: @Sendable (ConfigNode, String, inout ConfigProblems) -> ConnectorPlan

    static func entry<Options: ComponentOptions>(
        _ types: [String], _ sentence: String, _ options: Options.Type,
        _ make: @escaping @Sendable (Options) -> ConnectorPlan
    ) -> ConnectorEntry {
        ConnectorEntry(
            types: types, sentence: sentence, describe: { describeOptions(options) },
            read: { node, path, problems in
                make(readOptions(options, node: node, path: path, problems: &problems))
            })
    }
}

/// What an extension of the file becomes.
package enum ExtensionRole: Sendable {
    case healthCheck(HealthCheckOptions)
    case fileStorage(FileStorageOptions)
    /// Taken so that a file of the Collector's runs; does nothing.
    case accepted
    /// Checks who sends to the receivers that name it, or gives credentials to the exporters that do; nil for what it
    /// is not made for.
    case authenticator(server: (@Sendable (Logger) throws -> any RequestAuthenticator)?, client: ClientAuth?)
}

/// One extension type of the registry.
package struct ExtensionEntry: Sendable {
    package var types: [String]
    package var sentence: String
    package var describe: @Sendable () -> [OptionDescription]
    package var read: @Sendable (ConfigNode, String, inout ConfigProblems) -> ExtensionRole

    static func entry<Options: ComponentOptions>(
        _ types: [String], _ sentence: String, _ options: Options.Type,
        _ make: @escaping @Sendable (Options) -> ExtensionRole
    ) -> ExtensionEntry {
        ExtensionEntry(
            types: types, sentence: sentence, describe: { describeOptions(options) },
            read: { node, path, problems in
                make(readOptions(options, node: node, path: path, problems: &problems))
            })
    }
}
