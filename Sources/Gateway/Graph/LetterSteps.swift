import Exporters
import Pipeline
import Telemetry

/// The processors of one pipeline, for dead letters that are to go through them.
struct LetterSteps: Sendable {
    let chain: ProcessorChain
    private let keys: KeyTable
    private let pool = WorkspacePool()
    /// Where the chain runs when it waits for a disk.
    private let lanes: DiskLanes?

    /// For a pipeline in which no processor looks at whole traces.
    init(_ pipeline: GatewayPlan.PipelinePlan) throws(GatewayStartFailure) {
        var keys = KeyTable.Builder()
        let (chain, _) = try StepMaker.make(pipeline, metrics: SelfMetrics(), keys: &keys)
        self.chain = chain
        self.keys = keys.build()
        lanes = chain.waitsForDisk ? DiskLanes() : nil
    }

    /// What the pipeline's journal would get of a letter.
    func run(_ letter: DeadLetter) async -> ChainResult {
        let origin = RequestOrigin(tenant: letter.tenant, metadata: letter.metadata)
        return await withTaskExecutorPreference(lanes) {
            chain.prepare(letter.bytes, origin: origin, keys: keys, pool)
        }
    }
}
