import Exporters
import Pipeline
import Synchronization

/// The journal behind a stage that gathers traces: exporters whose queue is full pass over what the stage appends, by
/// `overflow: drop_newest`, as those of other pipelines pass over what receivers append.
final class SkippingLog: FrameLog {
    private let base: any FrameLog
    private let workers = Mutex<[ExportWorker]>([])

    init(_ base: any FrameLog) { self.base = base }

    /// Those whose queues have a cap, made after the stage.
    func watch(_ capped: [ExportWorker]) { workers.withLock { $0 = capped } }

    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        append(frame, [], completion: completion)
    }

    func append(_ frame: Frame, _ hints: AppendHints, completion: @escaping @Sendable (AppendResult) -> Void) {
        let skipping = workers.withLock { $0 }.filter {
            if case .skip = $0.admission(of: frame) { true } else { false }
        }
        base.append(frame, hints) { result in
            if case .stored(let sequence) = result {
                for worker in skipping { worker.skip(StoredFrame(sequence: sequence, frame: frame)) }
            }
            completion(result)
        }
    }

    func flush() { base.flush() }

    var holdsAnswers: Bool { base.holdsAnswers }

    func cursor(named name: String) throws -> any FrameCursor { try base.cursor(named: name) }

    func hasCursor(named name: String) -> Bool { base.hasCursor(named: name) }

    var held: HeldAmount { base.held }

    var position: JournalPosition? { base.position }

    func close() { base.close() }
}
