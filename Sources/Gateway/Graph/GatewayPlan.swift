package import Configuration
import Exporters
import Journal
package import Logging
package import Pipeline
package import Processors
package import Receivers
package import Telemetry

/// A configuration with every component's options read and all references resolved: what a gateway is built from.
package struct GatewayPlan: Sendable {
    package struct PipelinePlan: Sendable {
        package var id: String
        package var signal: GatewayConfiguration.PipelineSignal
        package var receivers: [String]
        package var steps: [(id: String, role: ProcessorRole)]
        package var exporters: [(id: String, plan: ExporterPlan)]
        /// Steps of the exporters' own chains, by exporter.
        package var ownSteps: [String: [(id: String, role: ProcessorRole)]] = [:]
        /// Connectors it writes to, with the pipelines that read from them.
        package var connectors: [(id: String, plan: ConnectorPlan, outputs: [ConnectorOutput])] = []
        /// Nil when all exporters ask for memory.
        package var storage: FileStorageOptions?
        /// The `batch` processor of the chain, for exporters without `sending_queue.batch`.
        package var batch: Processors.BatchOptions?
        /// How long traces are gathered; nil when no processor of the chain looks at whole traces.
        package var wait: TraceWait?
        /// Pipelines between the receivers and this one along the longest way through connectors.
        package var depth = 0
        /// Headers, in lowercase, that stay with requests behind the journal, for this pipeline's exporters and
        /// connectors and for those behind them.
        package var keptMetadata: [String] = []
        package var options: PipelineOptions

        /// What reads from its journal: exporters and connectors, by their ids.
        package var readers: Set<String> { Set(exporters.map(\.id) + connectors.map(\.id)) }
    }

    package var receivers: [(id: String, options: OTLPReceiverOptions)] = []
    /// By receiver, a text that is another one when anything differs that it is made from.
    var receiverTraits: [String: String] = [:]
    /// By exporter, a text that is another one when anything differs that may make another destination of it.
    var destinationTraits: [String: String] = [:]
    package var pipelines: [PipelinePlan] = []
    package var memoryLimits: [MemoryLimiterOptions] = []
    package var healthChecks: [HealthCheckOptions] = []
    /// Authentication extensions that are to run, by their ids.
    package var authenticators: [(id: String, make: @Sendable (Logger) throws -> any RequestAuthenticator)] = []
    /// Directories of all `file_storage` extensions of the file, in use or not.
    var storageDirectories: [String] = []
    package var telemetry: TelemetryConfiguration

    /// Reads the options of every component of the file. All problems are added, so that a user sees them at once.
    package init(_ configuration: GatewayConfiguration, dataDirectory: String, problems: inout ConfigProblems) {
        telemetry = configuration.telemetry
        var reader = PlanReader(configuration: configuration, dataDirectory: dataDirectory)
        reader.readComponents(&problems)
        reader.joinAuthenticators(&problems)
        reader.joinFallbacks(&problems)
        reader.checkStorages(&problems)
        for case .fileStorage(let options) in reader.extensions.values { storageDirectories.append(options.directory) }
        for reference in configuration.extensions {
            switch reader.extensions[reference.id] {
            case .healthCheck(let options)?: healthChecks.append(options)
            case .authenticator(let make, _)?:
                if let make { authenticators.append((reference.id.description, make)) }
            case .fileStorage?, .accepted?, nil: break
            }
        }
        for pipeline in configuration.pipelines {
            pipelines.append(reader.pipeline(pipeline, &problems))
        }
        let used = Set(configuration.pipelines.flatMap { $0.receivers.map(\.id) })
        for component in configuration.components(of: .receiver) where used.contains(component.id) {
            if let options = reader.receivers[component.id] { receivers.append((component.id.description, options)) }
        }
        setDepths()
        keepMetadata(configuration, &problems)
        ChainLints(
            configuration: configuration, processors: reader.processors, ownChains: reader.ownChains
        ).run(&problems)
        checkConnectors(configuration, &problems)
        for pipeline in pipelines {
            for case .memoryLimiter(let limit) in pipeline.steps.map(\.role) { memoryLimits.append(limit) }
        }
        checkListeners(configuration, &problems)
        checkFiles(configuration, &problems)
        warnOfOpenReceivers(configuration, &problems)
        checkAuthenticators(configuration, &problems)
        noteTraits(configuration)
        noteDestinations(configuration)
    }
}

extension GatewayPlan {
    /// Bytes in memory from which on requests are refused; nil without a memory_limiter.
    package var softLimit: Int? {
        memoryLimits.map { $0.softLimit(ofTotal: SystemFacts.memoryTotal) }.min()
    }

    /// How its memory is shared out; nil without a memory_limiter.
    /// - Parameter resident: bytes of the process before anything of the plan is made.
    func memoryShares(resident: Int) -> MemoryShares? {
        let journals = pipelines.reduce(0) { $0 + ($1.wait == nil ? 1 : 2) }
        let workers = pipelines.reduce(0) { $0 + $1.exporters.count + $1.connectors.count }
        return softLimit.map {
            MemoryShares(softLimit: $0, resident: resident, journals: journals, workers: workers)
        }
    }

    /// The pipelines of a signal that write to a connector, as one text.
    func writers(to connector: String, _ signal: Signal) -> String {
        pipelines.filter { pipeline in
            pipeline.signal.recorded == signal && pipeline.connectors.contains { $0.id == connector }
        }.map(\.id).joined(separator: ", ")
    }

    /// Cycles were refused before; the bound ends the loop on one all the same.
    private mutating func setDepths() {
        for _ in pipelines {
            for pipeline in pipelines {
                for output in pipeline.connectors.flatMap(\.outputs) {
                    guard let index = pipelines.firstIndex(where: { $0.id == output.pipeline }) else { continue }
                    pipelines[index].depth = max(pipelines[index].depth, pipeline.depth + 1)
                }
            }
        }
    }
}

extension GatewayConfiguration.PipelineSignal {
    /// The signal of the records in such a pipeline.
    package var recorded: Signal {
        switch self {
        case .traces: .traces
        case .logs: .logs
        case .metrics: .metrics
        }
    }
}

extension FileStorageOptions {
    /// The default store, below the data directory.
    init(directory: String) {
        self.directory = directory + "/journal"
        createsDirectory = true
        let journal = DiskJournalOptions()
        segmentBytes = journal.segmentBytes
        maxBytes = journal.maxBytes
        catchUpBytesPerSecond = journal.catchUpBytesPerSecond
    }
}
