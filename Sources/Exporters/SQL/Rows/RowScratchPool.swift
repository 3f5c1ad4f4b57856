import Synchronization
import Telemetry

/// Memory for rows that is not in use, for exporters of which several deliveries run at once. At most as much is kept
/// as was used at once, and no more than `idleMax`.
final class RowScratchPool: Sendable {
    private static let idleMax = 64
    /// Memory that grew beyond this is not kept.
    private static let keptBytesMax = 32 << 20

    // Unchecked: only whoever took it touches it, and it goes from hand to hand under the lock.
    private final class Holder: @unchecked Sendable {
        var scratch = RowScratch()
    }

    private let idle = Mutex<[Holder]>([])

    /// Runs `body` with memory that nobody else uses meanwhile.
    func withScratch<Result: ~Copyable>(_ body: (inout RowScratch) throws -> Result) rethrows -> Result {
        let holder = idle.withLock { $0.popLast() } ?? Holder()
        defer {
            if holder.scratch.records.footprint <= Self.keptBytesMax {
                idle.withLock { idle in
                    if idle.count < Self.idleMax { idle.append(holder) }
                }
            }
        }
        return try body(&holder.scratch)
    }
}
