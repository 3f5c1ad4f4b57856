import Exporters

/// Until when destinations want no request that have said so (`Retry-After`), for the exporters that come with another
/// configuration. Times are since any fixed origin.
struct DestinationHolds: Sendable {
    private struct Key: Hashable {
        var pipeline: String
        var exporter: String
        /// `GatewayPlan.destinationTraits`.
        var destination: String

        /// Nil when it is not known where the exporter delivers to.
        init?(_ pipeline: String, _ exporter: String, _ plan: GatewayPlan) {
            guard let destination = plan.destinationTraits[exporter] else { return nil }
            self.pipeline = pipeline
            self.exporter = exporter
            self.destination = destination
        }
    }

    private var ends: [Key: Duration] = [:]

    /// Takes note of what workers were told, and lets go of what is over.
    mutating func note(_ workers: [(pipeline: String, worker: ExportWorker)], _ plan: GatewayPlan, now: Duration) {
        ends = ends.filter { $0.value > now }
        for (pipeline, worker) in workers {
            guard let left = worker.holdLeft, let key = Key(pipeline, worker.exporterID, plan) else { continue }
            ends[key] = now + left
        }
    }

    /// How long an exporter of this plan is to wait.
    func left(pipeline: String, exporter: String, _ plan: GatewayPlan, now: Duration) -> Duration {
        guard let end = Key(pipeline, exporter, plan).flatMap({ ends[$0] }) else { return .zero }
        return max(end - now, .zero)
    }
}
