import Dispatch
import Synchronization

/// A few threads for what waits for a disk, so that no event loop does, nor a thread that all tasks share.
final class DiskLanes: TaskExecutor {
    private static let count = 4

    private let lanes: [DispatchQueue]
    private let next = Atomic<Int>(0)

    init() { lanes = (0..<Self.count).map { DispatchQueue(label: "sluice.disk.\($0)") } }

    /// Runs `work` behind what its lane has to do before.
    func run(_ work: @escaping @Sendable () -> Void) {
        let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
        lanes[Int(UInt(bitPattern: turn) % UInt(lanes.count))].async(execute: work)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        run { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
