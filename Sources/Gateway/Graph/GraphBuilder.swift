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
    var workers: [(pipeline: String, worker: ExportWorker)] = []
    var stages: [(pipeline: String, stage: TraceStage)] = []
    var connectors: [ConnectorExporter] = []
    var processed: [ProcessedExporter] = []
    var journals: [OpenJournal] = []
    var deadLetters: [DeadLetterBox] = []

    /// Who waits for deliveries, by pipeline.
    var watches: [String: DeliveryWatch] {
        Dictionary(
            pipelines.compactMap { intake in intake.watch.map { (intake.id, $0) } }, uniquingKeysWith: { $1 })
    }

    /// The pipelines that read from a receiver.
    func intakes(of receiver: String, _ plan: GatewayPlan) -> [PipelineIntake] {
        pipelines.filter { intake in
            plan.pipelines.contains { $0.id == intake.id && $0.receivers.contains(receiver) }
        }
    }
}

/// Makes the parts of a gateway from its plan: processors, journals, exporters and the workers between them.
struct GraphBuilder {
    let context: GraphContext
    private let inherited: Inheritance
    private var graph = GatewayGraph()
    private var keys = KeyTable.Builder()
    private var deadLetters: [String: DeadLetterBox] = [:]
    /// Connectors that several pipelines share.
    private var seats: [ConnectorKey: ConnectorSeat] = [:]
    /// Of the pipeline that is being added, when its senders wait for the delivery.
    private var watch: DeliveryWatch?

    init(_ context: GraphContext, _ inherited: Inheritance = Inheritance()) {
        self.context = context
        self.inherited = inherited
    }

    mutating func build() throws -> GatewayGraph {
        do {
            for pipeline in context.plan.pipelines { try add(pipeline) }
        } catch {
            for open in graph.journals where inherited.journal(open.key) == nil { open.journal.close() }
            throw error
        }
        graph.keys = keys.build()
        for connector in graph.connectors { try connector.link(graph) }
        for exporter in graph.processed { exporter.link(graph.keys) }
        return graph
    }

    /// Lets the journals forget exporters that their pipeline no longer has. To be called when nothing can keep this
    /// graph from running any more: there is no way back.
    func forgetRemoved(_ graph: GatewayGraph) {
        for pipeline in context.plan.pipelines {
            graph.watches[pipeline.id]?.retain(exporters: pipeline.readers)
            guard let open = graph.journals.first(where: { $0.key == pipeline.journalKey }) else { continue }
            let journal = open.journal
            let late = inherited.late.map(\.seat).filter { $0.pipeline == pipeline.id }.map(\.exporter)
            var kept = pipeline.readers.union(late)
            var gone = forgetRemoved(journal, pipeline.id, but: kept)
            for name in kept.subtracting(pipeline.readers).sorted() {
                kept.remove(name)
                gone.append((name, forgetLate(name, journal, pipeline.id, but: kept)))
            }
            for (name, items) in gone {
                let labels = [(name: "exporter", value: name), (name: "pipeline", value: pipeline.id)]
                DeliveryAccount.droppedCounter(context.metrics, labels, reason: Self.removal).add(items)
            }
        }
    }

    /// Why records are dropped of an exporter that its pipeline no longer has.
    private static let removal = "exporter_removed"

    /// Has a journal forget a reader whose worker may have attempts under way, which count when they have ended. Gives
    /// how many records it had left beside.
    private func forgetLate(_ name: String, _ journal: any FrameLog, _ pipeline: String, but kept: Set<String>) -> Int {
        let seat = WorkerSeat(pipeline: pipeline, exporter: name)
        let before = inherited.late.before(seat, in: journal.position?.name)
        return ExportWorker.forsake(before, reason: Self.removal) {
            forgetRemoved(journal, pipeline, but: kept).reduce(0) { $0 + $1.items }
        }
    }

    /// The readers but for these that a journal forgets with something left. One on disk has told it itself.
    private func forgetRemoved(
        _ journal: any FrameLog, _ pipeline: String, but kept: Set<String>
    ) -> [(name: String, items: Int)] {
        if let journal = journal as? DiskJournal { return journal.retainCursors(named: kept) }
        let gone = (journal as? MemoryJournal)?.retainCursors(named: kept) ?? []
        for (name, items) in gone {
            context.log.warning(
                """
                journal of \(pipeline): \(name) reads this journal no longer, and gives up \(items) records that \
                it had not delivered
                """)
        }
        return gone
    }

    /// Tells of journals with something undelivered that a pipeline has left which is no longer in the file, has
    /// another name there, or keeps its journal elsewhere. To be asked when the exporters have started: some have
    /// journals of their own.
    func tellOfUnread() {
        for directory in context.journalDirectories {
            for folder in DiskJournal.unread(in: directory) { tellOfUnread(folder, in: directory) }
        }
    }

    private func tellOfUnread(_ folder: String, in directory: String) {
        let owner = context.plan.pipelines.first { $0.journalFolders.contains(folder) }
        if let owner, owner.storage.flatMap({ SystemFacts.resolved($0.directory) }) != SystemFacts.resolved(directory) {
            let place = owner.storage.map { "in \($0.directory)" } ?? "in memory"
            context.log.warning(
                """
                \(directory)/\(folder) holds records that pipeline \(owner.id) had not delivered. Its journal is \
                \(place) now: they wait there until it has that directory again. Remove the folder if it is not needed
                """)
            return
        }
        context.log.warning(
            """
            \(directory)/\(folder) holds the journal of a pipeline that is not in the configuration: what it had not \
            delivered waits there until the pipeline has its old name again. Remove the folder if it is not needed
            """)
    }

    private mutating func add(_ pipeline: GatewayPlan.PipelinePlan) throws {
        let signal = pipeline.signal.recorded
        let state = pipeline.storage == nil ? nil : context.dataDirectory + "/processors"
        let log = context.log
        let (first, whole) = try StepMaker.make(
            pipeline, metrics: context.metrics, keys: &keys, stateDirectory: state, ledger: context.drops,
            log: { log.line($0, $1) })
        // Its readers are several; the journals of stages and exporters have one. Behind a stage it has its first
        // segment before that gathers: what is gathered goes only when there is room for it here.
        let key = pipeline.journalKey
        let open = journalOpener(pipeline, awaitsCursors: true, beginsAtOnce: pipeline.wait != nil)
        let journal = try inherited.journal(key) ?? open(key.folder)
        graph.journals.append(OpenJournal(key: key, name: pipeline.id, journal: journal))
        let metrics = IntakeMetrics(context.metrics, pipeline: pipeline.id, signal: signal)
        let output = SkippingLog(journal)
        let gathered = try addStage(pipeline, whole, metrics, output: output)
        if pipeline.options.acknowledgement == .delivered { watch = watch(pipeline) }
        defer { watch = nil }
        for (id, plan) in pipeline.exporters { try addExporter(id, plan, pipeline, journal) }
        for (id, plan, outputs) in pipeline.connectors {
            try addConnector(id, plan, outputs, pipeline, journal)
        }
        let capped = graph.workers.filter { $0.pipeline == pipeline.id && $0.worker.hasIntakeCap }
        let isBuffered = pipeline.wait != nil
        output.watch(capped.map(\.worker))
        graph.pipelines.append(
            PipelineIntake(
                id: pipeline.id, chain: first, journal: isBuffered ? gathered ?? journal : journal, metrics: metrics,
                isBuffered: isBuffered, tap: context.tap, capped: capped.map(\.worker),
                acknowledgement: pipeline.options.acknowledgement, watch: watch))
    }

    /// Knows what is delivered. One whose journal goes on has requests that wait.
    private func watch(_ pipeline: GatewayPlan.PipelinePlan) -> DeliveryWatch {
        let timeout = pipeline.options.deliveryTimeout
        guard let watch = inherited.watches[pipeline.id] else { return DeliveryWatch(timeout: timeout) }
        watch.renew(timeout: timeout)
        return watch
    }

    /// The stage that gathers whole traces, and the journal in front of it. A folder that an earlier configuration with
    /// such a stage has left is emptied in the same way; nothing new goes in.
    private mutating func addStage(
        _ pipeline: GatewayPlan.PipelinePlan, _ chain: ProcessorChain, _ metrics: IntakeMetrics,
        output: any FrameLog
    ) throws -> (any FrameLog)? {
        let key = pipeline.stageJournalKey
        if pipeline.wait == nil {
            guard let storage = pipeline.storage, SystemFacts.exists(storage.directory + "/" + key.folder) else {
                return nil
            }
        }
        let wait = pipeline.wait ?? TraceWait()
        let journal = try inherited.journal(key) ?? openStageJournal(pipeline, wait, folder: key.folder)
        graph.journals.append(OpenJournal(key: key, name: pipeline.id + " (traces)", journal: journal))
        let log = context.log
        let setup = TraceStage.Setup(
            pipeline: pipeline.id, wait: wait, chain: chain, isDurable: pipeline.storage != nil,
            passed: passedPlace(pipeline, journal), isSoleWriter: pipeline.wait != nil, tap: context.tap,
            effects: .system(), log: { log.line($0, $1) })
        do {
            let cursor = try journal.cursor(named: Self.stageCursor)
            graph.stages.append(
                (
                    pipeline.id,
                    TraceStage(setup: setup, input: cursor, output: output, intake: metrics, metrics: context.metrics)
                ))
        } catch {
            throw GatewayStartFailure("the traces of pipeline \(pipeline.id): \(error)")
        }
        return journal
    }

    /// In memory it has room for all that the stage may hold, so that traces are decided early before senders wait.
    private func openStageJournal(
        _ pipeline: GatewayPlan.PipelinePlan, _ wait: TraceWait, folder: String
    ) throws -> any FrameLog {
        guard pipeline.storage == nil else { return try journalOpener(pipeline)(folder) }
        var options = MemoryJournal.Options()
        options.maxBytes = max(options.maxBytes, wait.maxBytes + wait.maxHeldBytes + (32 << 20))
        return MemoryJournal(options: options)
    }

    /// Where the stage of a pipeline keeps what it has passed on; nil when its journal keeps nothing over a restart.
    private func passedPlace(
        _ pipeline: GatewayPlan.PipelinePlan, _ journal: any FrameLog
    ) -> PassedTraces.Place? {
        guard pipeline.storage != nil, let position = journal.position else { return nil }
        let folder = context.dataDirectory + "/processors"
        if let failure = SystemFacts.makeDirectory(folder) {
            context.log.warning("\(folder) cannot be made: \(failure); traces may pass twice after a restart")
            return nil
        }
        return PassedTraces.Place(folder: folder, name: GraphBuilder.folderName(pipeline.id), input: position)
    }

    /// Opens journals where the pipeline keeps its own.
    private func journalOpener(
        _ pipeline: GatewayPlan.PipelinePlan, awaitsCursors: Bool = false, beginsAtOnce: Bool = false
    ) -> @Sendable (_ folder: String) throws -> any FrameLog {
        let (storage, id, log, shares) = (pipeline.storage, pipeline.id, context.log, context.shares)
        return { folder in
            guard let storage else { return MemoryJournal() }
            return try GraphBuilder.openJournal(
                storage, shares, folder: folder, pipeline: id, awaitsCursors: awaitsCursors,
                beginsAtOnce: beginsAtOnce, log: log)
        }
    }

    private static func openJournal(
        _ storage: FileStorageOptions, _ shares: MemoryShares?, folder: String, pipeline id: String,
        awaitsCursors: Bool, beginsAtOnce: Bool, log: Logger
    ) throws -> any FrameLog {
        if storage.createsDirectory, let failure = SystemFacts.makeDirectory(storage.directory) {
            throw GatewayStartFailure(
                "the journal's folder \(storage.directory) cannot be made: \(failure); set file_storage's directory")
        }
        var options = DiskJournalOptions()
        options.segmentBytes = storage.segmentBytes
        options.awaitsCursors = awaitsCursors
        options.beginsAtOnce = beginsAtOnce
        options.makesParents = storage.createsDirectory
        options.maxBytes = storage.maxBytes
        options.catchUpBytesPerSecond = storage.catchUpBytesPerSecond
        if let shares {
            options.tailBytes = shares.tail(options.tailBytes)
            options.queueBytes = shares.queue(options.queueBytes)
        }
        do {
            return try DiskJournal(
                directory: storage.directory + "/" + folder, options: options,
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

    /// Ends the name of the folder of a stage's journal, before it that of its pipeline.
    static let stageSuffix = "~traces"
    static let stageCursor = "traces"

    /// Folder of a journal that an exporter has for itself.
    static func exporterFolder(_ id: String, _ name: String) -> String {
        "exporter~\(folderName(id))~\(folderName(name))"
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

    private mutating func addExporter(
        _ id: String, _ plan: ExporterPlan, _ pipeline: GatewayPlan.PipelinePlan, _ journal: any FrameLog
    ) throws {
        let log = context.log
        let exporter: any Exporter
        if let made = graph.exporters.first(where: { $0.id == id }) {
            exporter = made.exporter
        } else {
            var build = ExporterBuild(
                metrics: context.metrics, id: id, dataDirectory: context.dataDirectory,
                log: { log.line($0, $1) })
            let open = journalOpener(pipeline)
            build.metadataKeys = pipeline.metadataKeys(of: plan)
            build.openJournal = { try open(Self.exporterFolder(id, $0)) }
            if let directory = pipeline.storage?.directory {
                build.hasJournal = { SystemFacts.isDirectory(directory + "/" + Self.exporterFolder(id, $0)) }
            }
            exporter = plan.make(build)
            graph.exporters.append((id, exporter))
            if keepsLetters(plan.helper, pipeline) {
                (exporter as? FallbackExporter)?.keepLetters(in: deadLetterBox(id, plan.helper.deadLetters))
            }
        }
        var options = plan.helper
        if options.queue.batch == nil, let batch = pipeline.batch {
            options.queue.batch = Exporters.BatchOptions(
                flushTimeout: batch.timeout, minSize: batch.sendBatchSize, maxSize: batch.sendBatchMaxSize)
        }
        let processed = try process(exporter, id, pipeline)
        let lane = Lane(
            options: options, bytesMax: plan.batchBytesMax, metadataKeys: pipeline.metadataKeys(of: plan))
        try addWorker(id, processed, lane, pipeline, journal)
    }

    /// The exporter behind its own chain, or as it is when it has none.
    private mutating func process(
        _ exporter: any Exporter, _ id: String, _ pipeline: GatewayPlan.PipelinePlan
    ) throws -> any Exporter {
        guard let steps = pipeline.ownSteps[id], !steps.isEmpty else { return exporter }
        var own = pipeline
        own.id = "\(pipeline.id) > \(id)"
        own.steps = steps
        let log = context.log
        let (chain, _) = try StepMaker.make(
            own, metrics: context.metrics, keys: &keys, ledger: context.drops, log: { log.line($0, $1) })
        let processed = ProcessedExporter(exporter, chain: chain)
        graph.processed.append(processed)
        return processed
    }

    private mutating func addConnector(
        _ id: String, _ plan: ConnectorPlan, _ outputs: [ConnectorOutput], _ pipeline: GatewayPlan.PipelinePlan,
        _ journal: any FrameLog
    ) throws {
        let key = ConnectorKey(id: id, input: pipeline.signal.recorded)
        let shared = plan.isShared ? seats[key] : nil
        let seat = try shared ?? makeSeat(id, plan, outputs, pipeline)
        if plan.isShared { seats[key] = seat }
        let (log, options) = (context.log, ConnectorExporter.helperOptions(gather: plan.gather))
        let losses = ConnectorLosses(
            connector: id, input: pipeline.id, metrics: context.metrics,
            letters: keepsLetters(options, pipeline) ? deadLetterBox(id, options.deadLetters) : nil,
            log: { log.line($0, $1) })
        let exporter = ConnectorExporter(seat, id: id, pipeline: pipeline.id, outputs: outputs, losses: losses)
        graph.connectors.append(exporter)
        if shared == nil { graph.exporters.append((id, exporter)) }
        let lane = Lane(options: options, metadataKeys: context.plan.metadataKeys(of: plan, outputs))
        try addWorker(id, exporter, lane, pipeline, journal)
    }

    /// The connector behind a pipeline, which those share that write the same signal to it when its plan says so.
    private func makeSeat(
        _ id: String, _ plan: ConnectorPlan, _ outputs: [ConnectorOutput], _ pipeline: GatewayPlan.PipelinePlan
    ) throws -> ConnectorSeat {
        let log = context.log
        let signal = pipeline.signal.recorded
        var build = ConnectorBuild(
            metrics: context.metrics, id: id,
            input: plan.isShared ? context.plan.writers(to: id, signal) : pipeline.id, inputSignal: signal,
            outputs: outputs, now: { SystemFacts.unixNanoseconds }, dataDirectory: context.dataDirectory,
            log: { log.line($0, $1) })
        let book = DropLedger.Book(ledger: context.drops, pipeline: pipeline.id)
        build.dropped = { book.note($0, count: $1, by: id, rule: $2) }
        do {
            return ConnectorSeat(try plan.make(build))
        } catch {
            throw GatewayStartFailure("connector \(id) in pipeline \(pipeline.id): \(error)")
        }
    }

    /// A connector and the signal that pipelines write to it.
    private struct ConnectorKey: Hashable {
        var id: String
        var input: Signal
    }

    /// How an exporter's or a connector's batches are made.
    private struct Lane {
        var options: ExporterHelperOptions
        var bytesMax: Int?
        var metadataKeys: [String]
    }

    private mutating func addWorker(
        _ id: String, _ exporter: any Exporter, _ lane: Lane, _ pipeline: GatewayPlan.PipelinePlan,
        _ journal: any FrameLog
    ) throws {
        let (log, options) = (context.log, lane.options)
        var setup = ExportWorkerSetup(
            exporterID: id, pipelineID: pipeline.id, options: options, isDurable: pipeline.storage != nil,
            log: { log.line($0, $1) })
        if keepsLetters(options, pipeline) { setup.deadLetters = deadLetterBox(id, options.deadLetters) }
        if options.tooLarge == .truncate {
            setup.shorten = { RequestShortener.shorten($0, signal: $1, to: $2) }
        }
        if let shares = context.shares {
            setup.bytesInFlightMax = shares.deliveries(setup.bytesInFlightMax)
            setup.batchBytesMax = shares.delivery(setup.batchBytesMax)
        }
        if let bytesMax = lane.bytesMax { setup.batchBytesMax = min(bytesMax, setup.batchBytesMax) }
        setup.metadataKeys = lane.metadataKeys
        setup.journal = journal.position?.name
        let hold = inherited.holds.left(
            pipeline: pipeline.id, exporter: id, context.plan, now: .seconds(SystemFacts.monotonicSeconds))
        setup.hold = min(hold, options.retry.maxRetryAfter)
        do {
            let isNew = !journal.hasCursor(named: id)
            var cursor = try journal.cursor(named: id)
            let behind = cursor.backlog.items
            if isNew, behind > 0 {
                let kind = exporter is ConnectorExporter ? "connector" : "exporter"
                let place = "begins \(behind) records back, at what the journal still holds"
                log.info("\(kind) \(id) of pipeline \(pipeline.id) is new to its journal: it \(place)")
            }
            let seat = WorkerSeat(pipeline: pipeline.id, exporter: id)
            let before = inherited.late.filter { $0.seat == seat }.map(\.task)
            if !before.isEmpty {
                cursor = LateCursor(cursor, behind: before) { try journal.cursor(named: id) }
            }
            if let watch {
                cursor = watch.watched(cursor, named: id)
                setup.lost = { watch.lost($1, before: $0, by: id, reason: QuotedWords.leaveOut($2)) }
            }
            let worker = ExportWorker(cursor: cursor, exporter: exporter, metrics: context.metrics, setup: setup)
            graph.workers.append((pipeline.id, worker))
        } catch {
            throw GatewayStartFailure("exporter \(id) in pipeline \(pipeline.id): \(error)")
        }
    }

    private func keepsLetters(_ options: ExporterHelperOptions, _ pipeline: GatewayPlan.PipelinePlan) -> Bool {
        options.deadLetters.isEnabled ?? (pipeline.storage != nil)
    }

    /// One per exporter or connector, whatever pipelines it is in.
    private mutating func deadLetterBox(_ id: String, _ options: DeadLetterOptions) -> DeadLetterBox {
        if let box = deadLetters[id] { return box }
        let folder = DeadLetterFolder(
            path: DeadLetterFolder.root(context.dataDirectory) + "/" + GraphBuilder.folderName(id))
        let log = context.log
        let box = DeadLetterBox(
            folder: folder, options: options, exporterID: id, metrics: context.metrics, log: { log.line($0, $1) })
        deadLetters[id] = box
        graph.deadLetters.append(box)
        return box
    }
}
