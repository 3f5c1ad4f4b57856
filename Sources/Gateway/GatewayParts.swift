import Configuration
import Exporters
import Pipeline
import Receivers

/// What a gateway has running.
struct GatewayParts {
    /// What the configuration in force is made with.
    var context: GraphContext
    var receivers: [RunningReceiver] = []
    /// Receivers that only serve the connections they have.
    var retiring: [RunningReceiver] = []
    var workers: [(pipeline: String, worker: ExportWorker, task: Task<Void, Never>)] = []
    var stages: [(pipeline: String, stage: TraceStage, task: Task<Void, Never>)] = []
    var exporters: [(id: String, exporter: any Exporter)] = []
    var journals: [OpenJournal] = []
    /// Journals in memory that have no place in the configuration that is to come.
    var emptied: [EmptiedJournal] = []
    /// Who waits for deliveries, by pipeline.
    var watches: [String: DeliveryWatch] = [:]
    /// The same of configurations before, and where their journals lay: until another one is in force, there is a way
    /// back to each.
    var earlierWatches: [(place: SequencePlace, watch: DeliveryWatch)] = []
    /// Destinations that want to be left alone for a while.
    var holds = DestinationHolds()
    var admin: [AdminServer] = []
    /// Exporters that could not start and are tried again.
    var starts: [(id: String, task: Task<Bool, Never>)] = []
    /// Workers of configurations before whose attempts have not ended yet.
    var late: [LateWorker] = []
    /// What else goes on as long as the configuration.
    var tasks: [Task<Void, Never>] = []

    init(_ context: GraphContext) { self.context = context }

    /// What commands are told of while one configuration takes the place of another: who is on the way out.
    private var leaving: (workers: [ExportWorker], stages: [TraceStage], exporters: [any Exporter]) = ([], [], [])

    /// Who delivers and gathers, as far as commands ask.
    var shown: (workers: [ExportWorker], stages: [TraceStage], exporters: [any Exporter]) {
        if !leaving.workers.isEmpty { return leaving }
        return (workers.map(\.worker), stages.map(\.stage), exporters.map(\.exporter))
    }

    /// A graph is there, whole.
    mutating func forgetLeaving() { leaving = ([], [], []) }

    /// Leaves what outlives a configuration.
    mutating func forgetGraph() {
        leaving = shown
        (workers, stages, exporters, tasks, starts) = ([], [], [], [], [])
    }

    var heldBytes: Int {
        stages.reduce(0) { $0 + $1.stage.heldBytes } + journals.reduce(0) { $0 + $1.heldBytes }
    }
}

/// Where the journal of a pipeline lies. One that goes on at its place has the same sequences.
struct SequencePlace: Equatable {
    var pipeline: String
    /// Nil in memory.
    var directory: String?

    init(_ pipeline: GatewayPlan.PipelinePlan) {
        self.pipeline = pipeline.id
        directory = pipeline.storage?.directory
    }
}

/// A journal in memory whose records were to be delivered before it goes, with the workers that did that.
struct EmptiedJournal {
    var open: OpenJournal
    var workers: [ExportWorker]
}

/// A receiver that listens, whatever configuration stands behind it.
struct RunningReceiver {
    let id: String
    let traits: String
    let budget: AdmissionBudget
    let receiver: OTLPReceiver
    let http: SwitchedIngest
    let grpc: SwitchedIngest
    /// Its own series, which stay as long as it does.
    let metrics: SelfMetrics
    var ports: [Int] = []

    /// Whether it is the receiver that `context` asks for under its name.
    func serves(_ context: GraphContext) -> Bool {
        context.plan.receiverTraits[id] == traits && context.budget === budget
    }

    func hold() async {
        await http.hold()
        await grpc.hold()
    }

    /// Hands its requests to the pipelines of `graph` from now on.
    func release(to graph: GatewayGraph, _ context: GraphContext, _ pool: WorkspacePool) {
        func intake(_ transport: String) -> ReceiverIntake {
            ReceiverIntake(
                receiver: id, transport: transport, pipelines: graph.intakes(of: id, context.plan), keys: graph.keys,
                pool: pool, metrics: context.metrics, tap: context.tap)
        }
        http.release(to: intake("http"))
        grpc.release(to: intake("grpc"))
    }
}

/// Where the admin listeners are.
struct AdminPlan: Equatable {
    var metrics: [TelemetryConfiguration.Address]
    var health: [TelemetryConfiguration.Address]
    var paths: [String]

    init(_ plan: GatewayPlan) {
        metrics = plan.telemetry.metricsAddresses
        health = plan.healthChecks.map(\.address)
        paths = plan.healthChecks.map(\.path)
    }
}
