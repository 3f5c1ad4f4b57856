import Configuration
import Exporters
import Journal
import Logging
import Pipeline
import Receivers

/// What the parts of one configuration are made with.
struct GraphContext: Sendable {
    let plan: GatewayPlan
    let dataDirectory: String
    let log: Logger
    let metrics: SelfMetrics
    let drops: DropLedger
    let tap: TapHub
    /// How memory is shared out; nil without a memory_limiter.
    let shares: MemoryShares?
    /// Bytes of requests in memory.
    let budget: AdmissionBudget
}

extension GraphContext {
    /// Bytes of requests in memory when no memory_limiter says otherwise: a quarter of the memory, at most 1 GiB.
    private static var defaultBudget: Int { min(1 << 30, max(128 << 20, SystemFacts.memoryTotal / 4)) }

    /// What parts of `plan` are made with, in the place of `earlier` if there is one.
    /// - Parameter baseline: bytes of the process before anything of a plan was made.
    init(
        _ plan: GatewayPlan, dataDirectory: String, log: Logger, drops: DropLedger, baseline: Int,
        behind earlier: GraphContext? = nil
    ) {
        let shares = plan.memoryShares(resident: baseline)
        let limit = shares?.requests ?? Self.defaultBudget
        let tap = earlier?.plan.telemetry.tap == plan.telemetry.tap ? earlier?.tap : nil
        let budget = earlier?.budget.limit == limit ? earlier?.budget : nil
        self.init(
            plan: plan, dataDirectory: dataDirectory, log: log, metrics: SelfMetrics(continuing: earlier?.metrics),
            drops: drops, tap: tap ?? TapHub(plan.telemetry.tap), shares: shares,
            budget: budget ?? AdmissionBudget(limitBytes: limit))
    }
}

/// What became of a configuration that was to take the place of another one.
enum ReloadResult: String, CaseIterable {
    case taken
    case refused
}

/// Which journal of a pipeline it is.
struct JournalKey: Hashable, Sendable {
    /// The name of its folder, also of one in memory.
    var folder: String
    /// Where it lies; nil for memory.
    var storage: FileStorageOptions?
}

/// A journal that a pipeline has open.
struct OpenJournal: Sendable {
    var key: JournalKey
    /// What the health check calls it.
    var name: String
    var journal: any FrameLog

    /// Bytes that it takes of memory.
    var heldBytes: Int { (journal as? MemoryJournal)?.held.bytes ?? 0 }
}

/// What the parts of a configuration take over from those of the one before.
struct Inheritance: Sendable {
    /// Journals that stayed open, with all that is in them.
    var journals: [OpenJournal] = []
    /// Who waits for deliveries, by pipeline.
    var watches: [String: DeliveryWatch] = [:]
    /// Names of exporters that may start later: the one before has not closed yet what it has open, though it delivers
    /// nothing any more, or waits for its own start.
    var mayWait: Set<String> = []
    /// How long all others wait for an exporter to start; nil for as long as it takes.
    var startTime: Duration?
    /// Workers before with attempts that are still under way.
    var late: [LateWorker] = []
    /// Until when destinations want no request.
    var holds = DestinationHolds()

    func journal(_ key: JournalKey) -> (any FrameLog)? { journals.first { $0.key == key }?.journal }
}

extension GatewayPlan {
    /// The journals that a gateway with this plan goes on with where they are open: all on disk that it would open, and
    /// those in memory that exporters read from. A stage in memory passes its traces on before it ends.
    var journalKeys: Set<JournalKey> {
        var keys: Set<JournalKey> = []
        for pipeline in pipelines {
            keys.insert(pipeline.journalKey)
            if pipeline.storage != nil { keys.insert(pipeline.stageJournalKey) }
        }
        return keys
    }
}

extension GatewayPlan.PipelinePlan {
    /// The journal that its exporters read.
    var journalKey: JournalKey { JournalKey(folder: GraphBuilder.folderName(id), storage: storage) }

    /// The journal that traces are gathered from.
    var stageJournalKey: JournalKey {
        JournalKey(folder: GraphBuilder.folderName(id) + GraphBuilder.stageSuffix, storage: storage)
    }
}
