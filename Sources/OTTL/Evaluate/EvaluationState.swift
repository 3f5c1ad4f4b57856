import Glibc
import Patterns
import Synchronization
import Telemetry

/// Clock and randomness of `Now` and `UUID`.
package struct OTTLEffects: Sendable {
    /// Unix nanoseconds.
    package var now: @Sendable () -> Int64
    package var random: @Sendable () -> UInt64

    package init(now: @escaping @Sendable () -> Int64, random: @escaping @Sendable () -> UInt64) {
        self.now = now
        self.random = random
    }

    /// The system's.
    package static let system = OTTLEffects(
        now: {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
        },
        random: {
            var generator = SystemRandomNumberGenerator()
            return generator.next()
        })
}

/// Working memory of evaluations; kept between batches, so that a steady load allocates nothing.
package struct EvaluationState: ~Copyable {
    /// Texts, lists and maps that converters made for the record in hand.
    var arena = Arena()
    /// Where they are built.
    var scratch = ByteColumn()
    var matcher = PatternMatcher()
    /// The map that an editor works on.
    var draft = MapDraft()
    /// Content of the `cache` map of the record in hand.
    var cache = ByteColumn()
    package var effects = OTTLEffects.system
    /// Facts about the request by name, for the `request` context.
    package var request: [(name: String, value: String)] = []

    /// Most bytes that the converters of one record may make.
    static let resultBytesMax = 64 << 20

    package init() {}

    /// Forgets what the last record left.
    @inline(__always)
    package mutating func beginRecord() {
        if arena.used > 0 { arena.reset() }
        if cache.count > 0 { cache.removeAll() }
    }

    /// Gives back memory that one record made large.
    mutating func finish() {
        arena.reset()
        cache.removeAll()
        cache.shrink(to: 1 << 16)
        scratch.removeAll()
        scratch.shrink(to: 1 << 20)
        draft.removeAll()
        request = []
    }

    /// A copy that stays until the next record.
    mutating func keep(_ text: Text) throws(EvaluationFailure) -> Text {
        guard arena.used &+ text.count <= EvaluationState.resultBytesMax else { throw EvaluationFailure(.tooLarge) }
        return arena.copy(text)
    }

    /// What was built on the scratch behind `mark`, kept until the next record.
    mutating func take(from mark: Int) throws(EvaluationFailure) -> Text {
        let length = scratch.count - mark
        guard arena.used &+ length <= EvaluationState.resultBytesMax else {
            scratch.truncate(to: mark)
            throw EvaluationFailure(.tooLarge)
        }
        let text = arena.copy(scratch.text[mark..<mark + length])
        scratch.truncate(to: mark)
        return text
    }
}

/// A few working memories for all event loops.
package final class EvaluationPool: Sendable {
    // Used by one call of `withState` at a time: it leaves the pool under the lock and comes back when the call ends.
    private final class Memory: @unchecked Sendable {
        var state = EvaluationState()
    }

    private let idle = Mutex<[Memory]>([])

    package init() {}

    package func withState<Result, Failure: Error>(
        _ body: (inout EvaluationState) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let memory = idle.withLock { $0.popLast() } ?? Memory()
        defer {
            memory.state.finish()
            idle.withLock { if $0.count < 16 { $0.append(memory) } }
        }
        return try body(&memory.state)
    }
}
