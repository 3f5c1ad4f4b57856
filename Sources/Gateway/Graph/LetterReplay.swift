package import Exporters
import Pipeline
import Synchronization
import Telemetry

/// Sends dead letters to the exporters of a plan, without queues: those of an exporter to that one, and those of a
/// connector through the processors of the pipeline that has not taken them to its exporters.
package final class LetterReplay: Sendable {
    let plan: GatewayPlan
    /// Of the pipelines that letters have gone through, by their ids.
    let knownSteps = Mutex<[String: LetterSteps]>([:])
    private let dataDirectory: String
    private let started = Mutex<[String: any Exporter]>([:])

    package init(plan: GatewayPlan, dataDirectory: String) {
        self.plan = plan
        self.dataDirectory = dataDirectory
    }

    /// Tries once.
    package func send(_ letter: DeadLetter) async -> LetterOutcome {
        if isOfConnector(letter) { return await sendBehindConnector(letter) }
        switch await find(letter.exporter, letter.signal) {
        case .success(let exporter): return await letter.deliver(to: exporter)
        case .failure(let failure): return .failed(failure.description)
        }
    }

    /// Flushes and closes the exporters that were used.
    package func end() async {
        let all = started.withLock { started in
            defer { started = [:] }
            return started
        }
        for exporter in all.values { await exporter.shutdown() }
    }

    /// The exporter, behind its own chain and started.
    func find(_ id: String, _ signal: Signal) async -> Result<any Exporter, GatewayStartFailure> {
        let name = "\(id) \(signal)"
        if let exporter = started.withLock({ $0[name] }) { return .success(exporter) }
        let users = plan.pipelines.filter { pipeline in pipeline.exporters.contains { $0.id == id } }
        let user = users.first { $0.signal.recorded == signal } ?? users.first
        // What a fallback had kept for one of its own is for that one alone.
        let behind = plan.pipelines.lazy.flatMap(\.exporters).flatMap(\.plan.children).first { $0.id == id }?.plan
        guard let found = user?.exporters.first(where: { $0.id == id })?.plan ?? behind else {
            return .failure(GatewayStartFailure("the configuration has no exporter \(id) in a pipeline"))
        }
        var build = ExporterBuild(metrics: SelfMetrics(), id: id, dataDirectory: dataDirectory, log: { _, _ in })
        build.isReplay = true
        var exporter = found.make(build)
        do {
            if let user { exporter = try process(exporter, id, user) }
        } catch {
            return .failure(GatewayStartFailure("exporter \(id): \(error)"))
        }
        do {
            try await exporter.start()
        } catch {
            // What of it has started, if it is made of several.
            await exporter.shutdown()
            // A file has one writer, and where the gateway runs it is that.
            let advice = "if the gateway is running, stop it for the replay"
            return .failure(GatewayStartFailure("exporter \(id): \(error); \(advice)"))
        }
        let ready = exporter
        started.withLock { $0[name] = ready }
        return .success(exporter)
    }

    /// A letter is what the pipeline's journal held, so it goes through the exporter's own chain like everything else.
    private func process(
        _ exporter: any Exporter, _ id: String, _ pipeline: GatewayPlan.PipelinePlan
    ) throws -> any Exporter {
        guard let steps = pipeline.ownSteps[id], !steps.isEmpty else { return exporter }
        var own = pipeline
        own.steps = steps
        var keys = KeyTable.Builder()
        let (chain, _) = try StepMaker.make(own, metrics: SelfMetrics(), keys: &keys)
        if let step = chain.boundStep {
            throw GatewayStartFailure(
                "its processor \(step) needs what came before, which the gateway alone has seen: "
                    + "`sluice dlq show --raw` and `sluice send` bring the request to a receiver, `sluice dlq drop` "
                    + "removes the letter")
        }
        let processed = ProcessedExporter(exporter, chain: chain)
        processed.link(keys.build())
        return processed
    }
}
