import Configuration
import Pipeline

extension TraceWait {
    /// The group `wait` of processors that look at whole traces.
    static func read(_ settings: inout Settings) -> TraceWait {
        let defaults = TraceWait()
        let range = Duration.milliseconds(10)...(.seconds(86_400))
        return settings.group("wait", "How long the spans of a trace are gathered before it is judged.") { group in
            TraceWait(
                idle: group.duration(
                    "idle", default: defaults.idle, in: range,
                    "A trace without a root is complete when nothing came for so long."),
                afterRoot: group.duration(
                    "after_root", default: defaults.afterRoot, in: range,
                    "A trace with its root is complete when nothing came for so long."),
                maxAge: group.duration(
                    "max_age", default: defaults.maxAge, in: range, "A trace of this age is complete in any case."),
                maxTraces: group.int(
                    "max_traces", default: defaults.maxTraces, in: 1...10_000_000, unit: "traces",
                    "Traces held at once; beyond it the oldest are taken as complete."),
                maxBytes: group.bytes(
                    "max_bytes", default: defaults.maxBytes, in: 1 << 20...64 << 30,
                    "Memory for all traces held, as in tail_sampling; beyond it the same."),
                maxTraceBytes: group.bytes(
                    "max_trace_bytes", default: defaults.maxTraceBytes, in: 1 << 16...1 << 30,
                    "Bytes of one trace; beyond it that trace is complete."))
        }
    }
}
