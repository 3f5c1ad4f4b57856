package import Exporters
import Pipeline
import Synchronization
import Telemetry

/// Sends dead letters to the exporters of a plan, outside of any pipeline.
package final class LetterReplay: Sendable {
    private let plan: GatewayPlan
    private let dataDirectory: String
    private let started = Mutex<[String: any Exporter]>([:])

    package init(plan: GatewayPlan, dataDirectory: String) {
        self.plan = plan
        self.dataDirectory = dataDirectory
    }

    /// Tries once. Nil when the exporter took all of it, otherwise why not; then the letter has to stay.
    package func send(_ letter: DeadLetter) async -> String? {
        let exporter: any Exporter
        switch await find(letter.exporter) {
        case .success(let found): exporter = found
        case .failure(let failure): return failure.description
        }
        let batch = ExportBatch(
            signal: letter.signal, itemCount: letter.itemCount, bytes: letter.bytes, tenant: letter.tenant)
        switch await exporter.export(batch) {
        case .delivered: return nil
        case .partial(let rejected, let message): return rejected == 0 ? nil : "\(rejected) refused: \(message)"
        case .refused(let records, let message): return "\(records.count) refused: \(message)"
        case .retry(let reason, _), .tooLarge(let reason), .permanent(let reason): return reason
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

    private func find(_ id: String) async -> Result<any Exporter, GatewayStartFailure> {
        if let exporter = started.withLock({ $0[id] }) { return .success(exporter) }
        guard let found = plan.pipelines.flatMap(\.exporters).first(where: { $0.id == id }) else {
            return .failure(GatewayStartFailure("the configuration has no exporter \(id) in a pipeline"))
        }
        let exporter = found.plan.make(
            ExporterBuild(metrics: SelfMetrics(), id: id, dataDirectory: dataDirectory, log: { _, _ in }))
        do {
            try await exporter.start()
        } catch {
            return .failure(GatewayStartFailure("exporter \(id): \(error)"))
        }
        started.withLock { $0[id] = exporter }
        return .success(exporter)
    }
}
