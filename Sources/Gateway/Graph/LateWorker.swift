import Exporters
import Pipeline

/// Whose worker it is: one at a time delivers what a pipeline has for an exporter.
struct WorkerSeat: Hashable, Sendable {
    var pipeline: String
    /// `type/name`, also of a connector.
    var exporter: String
}

/// A worker that reads no more, with attempts that take long. Until they have ended nobody else reads in its seat.
struct LateWorker: Sendable {
    var seat: WorkerSeat
    var worker: ExportWorker
    var task: Task<Void, Never>
    /// `GatewayPlan.destinationTraits` of its exporter.
    var destination: String?
}

extension [LateWorker] {
    /// Those that had the cursor of a seat in the journal of that name before others have it; nil is that in memory.
    func before(_ seat: WorkerSeat, in journal: String?) -> [ExportWorker] {
        filter { $0.seat == seat && $0.worker.journal == journal }.map(\.worker)
    }

    /// Has a worker give up what nobody goes on with.
    func giveUp(_ worker: ExportWorker, of pipeline: String) {
        let seat = WorkerSeat(pipeline: pipeline, exporter: worker.exporterID)
        worker.giveUp(behind: before(seat, in: worker.journal).filter { $0 !== worker })
    }
}
