import Pipeline
import Processors
import Telemetry

/// Makes the processors of a pipeline.
enum StepMaker {
    /// One processor; nil for those that are no step of a chain.
    static func step(_ role: ProcessorRole, _ build: inout ProcessorBuild) throws -> (any Processor)? {
        switch role {
        case .step(let make), .traceStep(_, let make): try make(&build)
        case .batch, .memoryLimiter: nil
        }
    }

    /// The chain up to the first processor that looks at whole traces, and the rest. Keys that the processors ask for
    /// are added to `keys`.
    static func make(
        _ pipeline: GatewayPlan.PipelinePlan, metrics: SelfMetrics, keys: inout KeyTable.Builder,
        stateDirectory: String? = nil, ledger: DropLedger? = nil,
        log: @escaping @Sendable (_ level: LogLevel, _ message: String) -> Void = { _, _ in }
    ) throws(GatewayStartFailure) -> (first: ProcessorChain, whole: ProcessorChain) {
        let signal = pipeline.signal.recorded
        var first: [any Processor] = []
        var whole: [any Processor] = []
        var names: (first: [String], whole: [String]) = ([], [])
        var isWhole = false
        for (id, role) in pipeline.steps {
            if case .traceStep = role { isWhole = true }
            var build = ProcessorBuild(
                keys: keys, metrics: metrics, id: id, pipeline: pipeline.id, signal: signal,
                stateDirectory: stateDirectory, log: log)
            do {
                guard let step = try step(role, &build) else { continue }
                if isWhole { whole.append(step) } else { first.append(step) }
                if isWhole { names.whole.append(id) } else { names.first.append(id) }
            } catch {
                throw GatewayStartFailure("processor \(id) of pipeline \(pipeline.id): \(error)")
            }
            keys = build.keys
        }
        let book = ledger.map { DropLedger.Book(ledger: $0, pipeline: pipeline.id) }
        let kept = pipeline.keptMetadata
        let lost = LostHeaders(pipeline: pipeline.id, log: log)
        return (
            ProcessorChain(
                signal: signal, steps: first, names: names.first, ledger: book, keptMetadata: kept, lostHeaders: lost),
            ProcessorChain(
                signal: signal, steps: whole, names: names.whole, ledger: book, keptMetadata: kept)
        )
    }
}
