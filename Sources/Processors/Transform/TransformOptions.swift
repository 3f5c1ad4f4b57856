package import Configuration
import OTTL
import Telemetry

/// Options of the `transform` processor, the Collector's.
package struct TransformOptions: ComponentOptions {
    package var traces: [StatementGroup]
    package var logs: [StatementGroup]
    package var metrics: [StatementGroup]

    package init(_ settings: inout Settings) {
        let mode = settings.choice(
            "error_mode", default: OTTLErrorMode.ignore,
            "What a statement that fails on a record does: ignore and silent go on with the next, ignore tells it in "
                + "the log, propagate refuses the request" + OTTLErrorMode.behindJournal)
        let forms = ": texts whose paths have prefixes, or groups with context, conditions, statements and error_mode."
        traces = settings.statementGroups("trace_statements", .traces, mode, "Statements on traces" + forms)
        metrics = settings.statementGroups("metric_statements", .metrics, mode, "Statements on metrics" + forms)
        logs = settings.statementGroups("log_statements", .logs, mode, "Statements on log records" + forms)
        settings.accepted("flatten_data", "records are transformed where they are")
        settings.accepted("profile_statements", "there are no profiles here")
        if traces.isEmpty, logs.isEmpty, metrics.isEmpty {
            settings.warning(
                "has no statements and changes nothing", fix: "write e.g. trace_statements: ['set(span.name, \"x\")']")
        }
    }

    func groups(of signal: Signal) -> [StatementGroup] {
        switch signal {
        case .traces: traces
        case .logs: logs
        case .metrics: metrics
        }
    }
}
