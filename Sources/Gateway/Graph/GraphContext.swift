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
    /// How often SIGHUP was followed by a new configuration, or not, by result.
    let reloads: [ReloadResult: Counter]

    init(
        plan: GatewayPlan, dataDirectory: String, log: Logger, metrics: SelfMetrics, drops: DropLedger, tap: TapHub,
        shares: MemoryShares?, budget: AdmissionBudget
    ) {
        self.plan = plan
        self.dataDirectory = dataDirectory
        self.log = log
        self.metrics = metrics
        self.drops = drops
        self.tap = tap
        self.shares = shares
        self.budget = budget
        let counters = ReloadResult.allCases.map { result in
            let counter = metrics.counter(
                "sluice_config_reloads_total", "Configurations that SIGHUP asked for, by what became of them.",
                [(name: "result", value: result.rawValue)])
            return (result, counter)
        }
        reloads = Dictionary(uniqueKeysWithValues: counters)
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

    func journal(_ key: JournalKey) -> (any FrameLog)? { journals.first { $0.key == key }?.journal }
}

extension GatewayPlan {
    /// The journals that a gateway with this plan goes on with where they are open: all on disk that it would open, and
    /// those in memory that exporters read from. A stage in memory passes its traces on before it ends.
    var journalKeys: Set<JournalKey> {
        var keys: Set<JournalKey> = []
        for pipeline in pipelines {
            let folder = GraphBuilder.folderName(pipeline.id)
            keys.insert(JournalKey(folder: folder, storage: pipeline.storage))
            guard let storage = pipeline.storage else { continue }
            keys.insert(JournalKey(folder: folder + GraphBuilder.stageSuffix, storage: storage))
        }
        return keys
    }
}
