import Synchronization

/// Handles of a C library that nobody uses at the moment, kept because making one is dear. What is in use at once is
/// bounded by the deliveries; what is kept idle, by `idleMax`.
final class IdleHandles: Sendable {
    private static let idleMax = 16

    // As integers because a mutex holds only Sendable values.
    private let idle = Mutex<[Int]>([])
    private let make: @Sendable () -> OpaquePointer?
    private let free: @Sendable (OpaquePointer) -> Void

    init(make: @escaping @Sendable () -> OpaquePointer?, free: @escaping @Sendable (OpaquePointer) -> Void) {
        self.make = make
        self.free = free
    }

    deinit {
        for address in idle.withLock({ $0 }) {
            if let handle = OpaquePointer(bitPattern: address) { free(handle) }
        }
    }

    /// Runs `body` with a handle that nobody else has; nil when memory is short.
    func with<Result>(_ body: (OpaquePointer) -> Result?) -> Result? {
        let address = idle.withLock { $0.popLast() }
        guard let handle = address.flatMap({ OpaquePointer(bitPattern: $0) }) ?? make() else { return nil }
        defer {
            let isKept = idle.withLock { idle in
                guard idle.count < Self.idleMax else { return false }
                idle.append(Int(bitPattern: handle))
                return true
            }
            if !isKept { free(handle) }
        }
        return body(handle)
    }
}
