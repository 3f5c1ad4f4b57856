import Exporters
import Pipeline
import Synchronization
import Telemetry

/// Letters of a connector: requests that a pipeline behind it has not taken, as they came to it. They go through its
/// processors, and what comes out to each of its exporters.
extension LetterReplay {
    /// Whether the letter names a connector where others name their exporter.
    func isOfConnector(_ letter: DeadLetter) -> Bool {
        plan.pipelines.contains { $0.connectors.contains { $0.id == letter.exporter } }
    }

    /// Tries once. When nobody takes anything, the letter stays: another time it goes through the processors anew.
    func sendBehindConnector(_ letter: DeadLetter) async -> LetterOutcome {
        let pipeline: GatewayPlan.PipelinePlan
        let processors: LetterSteps
        do throws(GatewayStartFailure) {
            pipeline = try target(of: letter)
            processors = try steps(of: pipeline, letter)
        } catch {
            return .failed(error.description)
        }
        let message: String
        switch await processors.run(letter) {
        case .frame(let frame, _): return await deliver(frame, of: letter, pipeline)
        case .empty(_, let actions):
            for action in actions { action() }
            return .filtered("the processors of pipeline \(pipeline.id) take all of it out")
        case .held(let session): message = "held back for session \(session)"
        case .stepFailed(let reason): message = reason
        case .failed(let reply): message = reply.message
        }
        return .failed("pipeline \(pipeline.id): \(message)")
    }

    /// Sends what came out of the processors to each exporter, and gives what they leave as letters of their own.
    private func deliver(
        _ frame: Frame, of letter: DeadLetter, _ pipeline: GatewayPlan.PipelinePlan
    ) async -> LetterOutcome {
        let itemCount = Int(frame.header.itemCount)
        var ends: [LetterAttempt] = []
        for (id, exporter) in pipeline.exporters {
            // The cause holds for what cannot be sent for now, since nothing tries that again by itself.
            let share = DeadLetter(
                exporter: id, pipeline: pipeline.id, cause: .retriesExhausted, message: "", signal: letter.signal,
                itemCount: itemCount, tenant: letter.tenant,
                metadata: frame.header.metadata.kept(pipeline.metadataKeys(of: exporter)), bytes: frame.bytes)
            ends.append(await attempt(share))
        }
        var messages = ends.map(\.message).filter { !$0.isEmpty }
        if ends.allSatisfy(\.tookNothing) { return .failed(messages.joined(separator: "; ")) }
        for action in frame.whenStored { action() }
        let left = ends.flatMap(\.left)
        guard left.isEmpty else {
            for (end, exporter) in zip(ends, pipeline.exporters) where end.rejected > 0 {
                messages.append("\(end.rejected) that exporter \(exporter.id) rejected are lost")
            }
            return .left(left, message: messages.joined(separator: "; "))
        }
        let rejected = ends.reduce(0) { $0 + $1.rejected }
        return .done(rejected: min(rejected, itemCount), message: messages.joined(separator: "; "))
    }

    private func attempt(_ share: DeadLetter) async -> LetterAttempt {
        switch await find(share.exporter, share.signal) {
        case .failure(let failure): return share.untried(failure.description)
        case .success(let exporter):
            var end = await share.attempt(at: exporter)
            if !end.message.isEmpty { end.message = "exporter \(share.exporter): \(end.message)" }
            return end
        }
    }

    // MARK: What can be sent

    /// The pipeline that a letter is to enter; throws why it cannot.
    private func target(of letter: DeadLetter) throws(GatewayStartFailure) -> GatewayPlan.PipelinePlan {
        let (connector, id) = (letter.exporter, letter.pipeline)
        guard let pipeline = plan.pipelines.first(where: { $0.id == id }) else {
            throw refusal(letter, "the configuration has no pipeline \(id)", receiver: "a receiver")
        }
        if pipeline.connectors.contains(where: { $0.id == connector }) {
            throw refusal(letter, "it is what pipeline \(id) gave to the connector, which has failed on it itself")
        }
        let outputs = plan.pipelines.flatMap(\.connectors).filter { $0.id == connector }.flatMap(\.outputs)
        guard outputs.contains(where: { $0.pipeline == id }) else {
            throw refusal(letter, "pipeline \(id) does not read from it any more")
        }
        guard pipeline.signal.recorded == letter.signal else {
            throw refusal(letter, "it has \(letter.signal.itemName), which pipeline \(id) does not take")
        }
        if let step = pipeline.traceStep {
            throw refusal(letter, "processor \(step) looks at whole traces, which the gateway alone gathers")
        }
        if let next = pipeline.connectors.first?.id {
            throw refusal(letter, "pipeline \(id) writes to connector \(next), which the gateway alone can run")
        }
        return pipeline
    }

    private func steps(
        of pipeline: GatewayPlan.PipelinePlan, _ letter: DeadLetter
    ) throws(GatewayStartFailure) -> LetterSteps {
        if let known = knownSteps.withLock({ $0[pipeline.id] }) { return known }
        let made = try LetterSteps(pipeline)
        if let step = made.chain.boundStep {
            throw refusal(letter, "processor \(step) needs what came before, which the gateway alone has seen")
        }
        knownSteps.withLock { $0[pipeline.id] = made }
        return made
    }

    /// Why a letter is not sent, with what to do instead.
    private func refusal(_ letter: DeadLetter, _ reason: String, receiver: String? = nil) -> GatewayStartFailure {
        let receiver = receiver ?? "a receiver of pipeline \(letter.pipeline)"
        return GatewayStartFailure(
            "this letter of connector \(letter.exporter) cannot be replayed: \(reason); `sluice dlq show --raw` writes "
                + "the request to a file, `sluice send` brings that to \(receiver), and `sluice dlq drop` removes the "
                + "letter")
    }
}

extension GatewayPlan.PipelinePlan {
    /// The first processor that looks at whole traces.
    fileprivate var traceStep: String? {
        for case (let id, .traceStep) in steps { return id }
        return nil
    }
}
