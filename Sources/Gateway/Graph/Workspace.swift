import Synchronization
import Telemetry

/// The memory that one request needs while it is decoded, processed and encoded. Pooled, so that a steady load
/// allocates nothing per record.
final class Workspace {
    var batch = RecordBatch()
    var transcoded = ByteColumn()
    var output = ByteColumn()
    /// Sessions that the last run of a chain released.
    var released: [String] = []

    var footprint: Int { batch.footprint + transcoded.capacity + output.capacity }
}

/// Workspaces that are not in use. At most as many are kept as requests ran at once.
final class WorkspacePool: Sendable {
    /// Only whoever took a workspace touches it, and it goes from hand to hand under the lock.
    private struct Idle: @unchecked Sendable {
        var workspaces: [Workspace] = []
    }

    /// A workspace that grew beyond this is not kept.
    static let keptBytesMax = 32 << 20

    private let idle = Mutex(Idle())
    private let keptBytes: Int

    init(keptBytes: Int = WorkspacePool.keptBytesMax) { self.keptBytes = keptBytes }

    func withWorkspace<Result>(_ body: (Workspace) -> Result) -> Result {
        let workspace = take()
        defer { give(workspace) }
        return body(workspace)
    }

    private func take() -> Workspace {
        let found: UnsafeTransfer? = idle.withLock { idle in
            idle.workspaces.popLast().map { UnsafeTransfer(workspace: $0) }
        }
        return found?.workspace ?? Workspace()
    }

    private func give(_ workspace: Workspace) {
        guard workspace.footprint <= keptBytes else { return }
        let transfer = UnsafeTransfer(workspace: workspace)
        idle.withLock { idle in
            if idle.workspaces.count < 64 { idle.workspaces.append(transfer.workspace) }
        }
    }

    /// Carries a workspace through the lock; there is never a second owner.
    private struct UnsafeTransfer: @unchecked Sendable {
        let workspace: Workspace
    }
}
