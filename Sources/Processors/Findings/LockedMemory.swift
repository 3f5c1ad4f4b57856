import GenAI
import Pipeline
import Synchronization

/// What a processor works with under its lock: a memory, and what is kept beside it.
protocol MemoryWork {
    associatedtype Memory: KeptMemory

    var memory: Memory { get set }
    /// A memory that knows nothing.
    var newMemory: Memory { get }
}

/// A memory that outlives a trace, for processors that look at one trace at a time.
final class LockedMemory<Work: MemoryWork>: TraceMemory {
    let lock: Mutex<Work>

    init(_ work: sending Work) { lock = Mutex(work) }

    var version: UInt32 { Work.Memory.version }

    func takeChanges() -> [UInt8] {
        lock.withLock { work in
            let changes = work.memory.changes()
            work.memory.keep()
            return changes
        }
    }

    func undoChanges() { lock.withLock { $0.memory.undo() } }

    func writeAll(_ part: ([UInt8]) -> Void) { lock.withLock { $0.memory.writeAll(part) } }

    func restore(_ bytes: ArraySlice<UInt8>) -> Bool { lock.withLock { $0.memory.restore(bytes) } }

    func forget() { lock.withLock { $0.memory = $0.newMemory } }
}
