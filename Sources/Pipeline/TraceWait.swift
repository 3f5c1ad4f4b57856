/// How long the spans of a trace are gathered before the processors that look at whole traces get them, and how much
/// may be held meanwhile. When several such processors stand in one chain they share one buffer and the longest waits.
package struct TraceWait: Sendable, Equatable {
    /// A trace whose root has not come is complete when nothing came for so long.
    package var idle: Duration
    /// A trace whose root has come is complete when nothing came for so long.
    package var afterRoot: Duration
    /// A trace is taken as complete at this age, whatever still comes.
    package var maxAge: Duration
    /// Traces held at once; beyond it those nearest to their end are taken as complete.
    package var maxTraces: Int
    /// Encoded bytes held over all traces; beyond it the same.
    package var maxBytes: Int
    /// Encoded bytes of one trace; beyond it that trace is taken as complete.
    package var maxTraceBytes: Int
    /// Spans of one trace; beyond it that trace is taken as complete.
    package var maxTraceSpans = Int.max
    /// How long a processor may hold a trace back for its session; zero when none does.
    package var hold = Duration.zero
    /// Encoded bytes of all traces that are held back; beyond it the oldest are decided on.
    package var maxHeldBytes = 64 << 20

    package init(
        idle: Duration = .seconds(30), afterRoot: Duration = .seconds(2), maxAge: Duration = .seconds(600),
        maxTraces: Int = 50_000, maxBytes: Int = 256 << 20, maxTraceBytes: Int = 32 << 20
    ) {
        self.idle = idle
        self.afterRoot = afterRoot
        self.maxAge = maxAge
        self.maxTraces = maxTraces
        self.maxBytes = maxBytes
        self.maxTraceBytes = maxTraceBytes
    }

    /// The wait that suits both.
    package func joined(with other: TraceWait) -> TraceWait {
        var wait = TraceWait(
            idle: max(idle, other.idle), afterRoot: max(afterRoot, other.afterRoot), maxAge: max(maxAge, other.maxAge),
            maxTraces: max(maxTraces, other.maxTraces), maxBytes: max(maxBytes, other.maxBytes),
            maxTraceBytes: max(maxTraceBytes, other.maxTraceBytes))
        wait.maxTraceSpans = min(maxTraceSpans, other.maxTraceSpans)
        wait.hold = max(hold, other.hold)
        wait.maxHeldBytes = max(maxHeldBytes, other.maxHeldBytes)
        return wait
    }
}
