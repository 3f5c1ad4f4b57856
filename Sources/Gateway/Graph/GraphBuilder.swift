import Configuration
import Exporters
import Journal
import Logging
import Pipeline
import Processors
import Telemetry

/// The built parts of a gateway, not started yet.
struct GatewayGraph {
    var keys = KeyTable.empty
    var pipelines: [PipelineIntake] = []
    var exporters: [(id: String, exporter: any Exporter)] = []
    var workers: [ExportWorker] = []
    var journals: [(pipeline: String, journal: any FrameLog)] = []

    /// The pipelines that read from a receiver.
    func intakes(of receiver: String, _ plan: GatewayPlan) -> [PipelineIntake] {
        pipelines.filter { intake in
            plan.pipelines.contains { $0.id == intake.id && $0.receivers.contains(receiver) }
        }
    }
}

/// Makes the parts of a gateway from its plan: processors, journals, exporters and the workers between them.
struct GraphBuilder {
    let gateway: Gateway
    private var graph = GatewayGraph()
    private var keys = KeyTable.Builder()

    init(gateway: Gateway) { self.gateway = gateway }

    mutating func build() throws -> GatewayGraph {
        do {
            for pipeline in gateway.plan.pipelines { try add(pipeline) }
        } catch {
            for (_, journal) in graph.journals { journal.close() }
            throw error
        }
        graph.keys = keys.build()
        return graph
    }

    private mutating func add(_ pipeline: GatewayPlan.PipelinePlan) throws {
        let signal: Signal =
            switch pipeline.signal {
            case .traces: .traces
            case .logs: .logs
            case .metrics: .metrics
            }
        let steps = try makeSteps(pipeline, signal)
        let journal = try openJournal(pipeline)
        graph.journals.append((pipeline.id, journal))
        graph.pipelines.append(
            PipelineIntake(
                id: pipeline.id, signal: signal, steps: steps, journal: journal,
                metrics: IntakeMetrics(gateway.metrics, pipeline: pipeline.id, signal: signal)))
        for (id, plan) in pipeline.exporters { try addWorker(id, plan, pipeline, journal) }
        let names = Set(pipeline.exporters.map(\.id))
        (journal as? DiskJournal)?.retainCursors(named: names)
        (journal as? MemoryJournal)?.retainCursors(named: names)
    }

    private mutating func makeSteps(
        _ pipeline: GatewayPlan.PipelinePlan, _ signal: Signal
    ) throws -> [any Processor] {
        var steps: [any Processor] = []
        for (id, role) in pipeline.steps {
            guard case .step(let make) = role else { continue }
            var build = ProcessorBuild(
                keys: keys, metrics: gateway.metrics, id: id, pipeline: pipeline.id, signal: signal)
            do {
                steps.append(try make(&build))
            } catch {
                throw GatewayStartFailure("processor \(id) of pipeline \(pipeline.id): \(error)")
            }
            keys = build.keys
        }
        return steps
    }

    private func openJournal(_ pipeline: GatewayPlan.PipelinePlan) throws -> any FrameLog {
        guard let storage = pipeline.storage else { return MemoryJournal() }
        if storage.createsDirectory, let failure = SystemFacts.makeDirectory(storage.directory) {
            throw GatewayStartFailure(
                "the journal's folder \(storage.directory) cannot be made: \(failure); set file_storage's directory")
        }
        var options = DiskJournalOptions()
        options.segmentBytes = storage.segmentBytes
        options.maxBytes = storage.maxBytes
        let log = gateway.log
        let id = pipeline.id
        do {
            return try DiskJournal(
                directory: storage.directory + "/" + GraphBuilder.folderName(id), options: options,
                log: { notice in
                    switch notice.level {
                    case .info: log.info("journal of \(id): \(notice.text)")
                    case .warning: log.warning("journal of \(id): \(notice.text)")
                    case .error: log.error("journal of \(id): \(notice.text)")
                    }
                })
        } catch {
            throw GatewayStartFailure("the journal of pipeline \(id): \(error)")
        }
    }

    /// A pipeline's id as a folder name: `traces/a b` is `traces~2Fa~20b`.
    static func folderName(_ id: String) -> String {
        var name = ""
        for byte in id.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "-"):
                name.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                name += "~" + (hex.count < 2 ? "0" : "") + hex
            }
        }
        return name
    }

    private mutating func addWorker(
        _ id: String, _ plan: ExporterPlan, _ pipeline: GatewayPlan.PipelinePlan, _ journal: any FrameLog
    ) throws {
        let log = gateway.log
        let exporter: any Exporter
        if let made = graph.exporters.first(where: { $0.id == id }) {
            exporter = made.exporter
        } else {
            let build = ExporterBuild(
                metrics: gateway.metrics, id: id, dataDirectory: gateway.dataDirectory,
                log: { log.line($0, $1) })
            exporter = plan.make(build)
            graph.exporters.append((id, exporter))
        }
        var options = plan.helper
        if options.queue.batch == nil, let batch = pipeline.batch {
            options.queue.batch = Exporters.BatchOptions(
                flushTimeout: batch.timeout, minSize: batch.sendBatchSize, maxSize: batch.sendBatchMaxSize)
        }
        var setup = ExportWorkerSetup(
            exporterID: id, pipelineID: pipeline.id, options: options, isDurable: pipeline.storage != nil,
            log: { log.line($0, $1) })
        if let limit = plan.batchBytesMax { setup.batchBytesMax = min(limit, setup.batchBytesMax) }
        do {
            graph.workers.append(
                ExportWorker(
                    cursor: try journal.cursor(named: id), exporter: exporter, metrics: gateway.metrics, setup: setup))
        } catch {
            throw GatewayStartFailure("exporter \(id) in pipeline \(pipeline.id): \(error)")
        }
    }
}
