/// The three OTLP signals that Sluice carries.
public enum Signal: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case traces = 1
    case logs = 2
    case metrics = 3

    public var description: String {
        switch self {
        case .traces: "traces"
        case .logs: "logs"
        case .metrics: "metrics"
        }
    }

    /// What one record of this signal is called in the Collector's metric names.
    public var itemName: String {
        switch self {
        case .traces: "spans"
        case .logs: "log_records"
        case .metrics: "metric_points"
        }
    }
}
