import Glibc
package import Patterns
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
    package var matcher = PatternMatcher()
    /// Patterns that are no literals.
    var patterns = PatternCache()
    /// The map that an editor works on.
    var draft = MapDraft()
    /// Keys that an editor looks for: those of a list, or those that members have by now.
    var keys = MapDraft()
    /// Content of the `cache` map of the record in hand.
    var cache = ByteColumn()
    /// What an editor of metrics that has just run wants.
    var metricChange: MetricChange?
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
        draft.finish()
        keys.finish()
        patterns.finish()
        metricChange = nil
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

/// One evaluation's memory, handed from thread to thread by the pool.
// Used by one caller at a time: the pool gives it out under its lock and gets it back when the call ends.
package final class EvaluationMemory: @unchecked Sendable {
    package var state = EvaluationState()

    init() {}
}

/// A few working memories for all event loops.
package final class EvaluationPool: Sendable {
    private let idle = Mutex<[EvaluationMemory]>([])

    /// Most memories kept idle.
    private static let limit = 16

    package init() {}

    /// An idle memory, or a new one. The caller gives it back.
    package func take() -> EvaluationMemory {
        idle.withLock { $0.popLast() } ?? EvaluationMemory()
    }

    /// Empties a memory and keeps it unless enough are idle.
    package func give(_ memory: EvaluationMemory) {
        memory.state.finish()
        idle.withLock { all in
            if all.count < EvaluationPool.limit { all.append(memory) }
        }
    }
}
