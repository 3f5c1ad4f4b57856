package import Configuration
package import Pipeline
package import Telemetry

/// Options of the `groupbytrace` processor, named as the Collector's.
package struct GroupByTraceOptions: ComponentOptions {
    package var wait: TraceWait

    package init(_ settings: inout Settings) {
        var wait = TraceWait()
        wait.idle = settings.duration(
            "wait_duration", default: .seconds(1), in: .milliseconds(1) ... .seconds(86_400),
            "How long the spans of a trace are gathered after the last one came.")
        wait.afterRoot = wait.idle
        wait.maxTraces = settings.int(
            "num_traces", default: 1_000_000, in: 1...10_000_000, unit: "traces",
            "Traces held at once; beyond it the oldest are taken as complete.")
        settings.accepted("num_workers", "Traces are gathered by one stage of the pipeline.")
        settings.accepted("store_on_disk", "Spans that wait are in the pipeline's journal.")
        settings.accepted("discard_orphans", "Traces without a root go on like others.")
        self.wait = wait
    }
}

/// Lets the spans of one trace go on together: the Collector's `groupbytrace` processor. The gathering is done by the
/// pipeline, as for every processor that looks at whole traces; as a step it does nothing.
package struct GroupByTraceProcessor: Processor {
    package init() {}

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {}
}
