import Synchronization

/// What an export worker needs from the world, so that tests can run it on virtual time.
package struct WorkerEffects: Sendable {
    /// Monotonic time since any fixed origin.
    package var now: @Sendable () -> Duration
    /// Waits; ends early by throwing when the task is cancelled.
    package var sleep: @Sendable (Duration) async throws -> Void
    /// A number in 0..<1.
    package var random: @Sendable () -> Double

    package init(
        now: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async throws -> Void,
        random: @escaping @Sendable () -> Double
    ) {
        self.now = now
        self.sleep = sleep
        self.random = random
    }

    /// The machine's clock and random source.
    package static func system() -> WorkerEffects {
        let origin = ContinuousClock.now
        return WorkerEffects(
            now: { origin.duration(to: .now) },
            sleep: { try await Task.sleep(for: $0, clock: .continuous) },
            random: { Double.random(in: 0..<1) })
    }
}
