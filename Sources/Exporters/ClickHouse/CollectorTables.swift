/// The tables of the Collector's ClickHouse exporter: its names and types, so that what reads its tables reads ours.
/// Indices are those that its queries use; the window lets insert tokens drop what comes twice.
package struct CollectorTables: Sendable, Equatable {
    package var traces = "otel_traces"
    package var logs = "otel_logs"
    /// How long rows stay; zero for ever.
    package var ttl = Duration.zero
    /// `MergeTree` or another engine with its parameters.
    package var engine = "MergeTree"
    /// Cluster on which tables are created; empty for this server alone.
    package var cluster = ""

    package init() {}

    static let traceColumns =
        "Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes, "
        + "ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage, `Events.Timestamp`, "
        + "`Events.Name`, `Events.Attributes`, `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`"

    static let logColumns =
        "Timestamp, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, ServiceName, Body, ResourceSchemaUrl, "
        + "ResourceAttributes, ScopeSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, LogAttributes"

    private static let word = "LowCardinality(String) CODEC(ZSTD(1))"
    private static let text = "String CODEC(ZSTD(1))"
    private static let map = "Map(LowCardinality(String), String)"

    private static let common = "SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
    private static let settings = common + ", non_replicated_deduplication_window = 1000"

    private var onCluster: String { cluster.isEmpty ? "" : " ON CLUSTER `\(cluster)`" }

    /// The clause that lets rows go when they are old, by the unit that the Collector takes.
    private func expiry(_ time: String) -> String {
        let seconds = ttl.components.seconds
        guard seconds > 0 else { return "" }
        let units = [(86_400, "Day"), (3_600, "Hour"), (60, "Minute"), (1, "Second")] as [(Int64, String)]
        let (length, name) = units.first { seconds.isMultiple(of: $0.0) } ?? (1, "Second")
        return " TTL \(time) + toInterval\(name)(\(seconds / length))"
    }

    /// Statements that create what is missing; each can run twice.
    var create: [String] { createTraces + createLogs }

    private var createTraces: [String] {
        let (word, text, map, settings) = (Self.word, Self.text, Self.map, Self.settings)
        return [
            """
            CREATE TABLE IF NOT EXISTS \(traces)\(onCluster) (
                Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TraceId \(text), SpanId \(text), ParentSpanId \(text),
                TraceState \(text), SpanName \(word), SpanKind \(word), ServiceName \(word),
                ResourceAttributes \(map) CODEC(ZSTD(1)), ScopeName \(text), ScopeVersion \(text),
                SpanAttributes \(map) CODEC(ZSTD(1)), Duration UInt64 CODEC(ZSTD(1)), StatusCode \(word),
                StatusMessage \(text),
                Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes \(map)) CODEC(ZSTD(1)),
                Links Nested (TraceId String, SpanId String, TraceState String, Attributes \(map)) CODEC(ZSTD(1)),
                INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
                \(Self.attributeIndices(["res": "ResourceAttributes", "span": "SpanAttributes"])),
                INDEX idx_duration Duration TYPE minmax GRANULARITY 1
            ) ENGINE = \(engine) PARTITION BY toDate(Timestamp)
            ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))\(expiry("toDateTime(Timestamp)")) \(settings)
            """,
            """
            CREATE TABLE IF NOT EXISTS \(traces)_trace_id_ts\(onCluster) (
                TraceId \(text), Start DateTime CODEC(Delta(4), ZSTD(1)), End DateTime CODEC(Delta(4), ZSTD(1)),
                INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
            ) ENGINE = \(engine) PARTITION BY toDate(Start) ORDER BY (TraceId, Start)\(expiry("toDateTime(Start)"))
            \(Self.common)
            """,
            """
            CREATE MATERIALIZED VIEW IF NOT EXISTS \(traces)_trace_id_ts_mv\(onCluster) TO \(traces)_trace_id_ts AS
            SELECT TraceId, toDateTime(min(Timestamp)) AS Start, toDateTime(max(Timestamp)) AS End
            FROM \(traces) WHERE TraceId != '' GROUP BY TraceId
            """,
        ]
    }

    private var createLogs: [String] {
        let (word, text, map, settings) = (Self.word, Self.text, Self.map, Self.settings)
        return [
            """
            CREATE TABLE IF NOT EXISTS \(logs)\(onCluster) (
                Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TimestampTime DateTime DEFAULT toDateTime(Timestamp),
                TraceId \(text), SpanId \(text), TraceFlags UInt8, SeverityText \(word), SeverityNumber UInt8,
                ServiceName \(word), Body \(text), ResourceSchemaUrl \(word), ResourceAttributes \(map) CODEC(ZSTD(1)),
                ScopeSchemaUrl \(word), ScopeName \(text), ScopeVersion \(word), ScopeAttributes \(map) CODEC(ZSTD(1)),
                LogAttributes \(map) CODEC(ZSTD(1)),
                INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
                \(Self.attributeIndices([
                "res": "ResourceAttributes", "scope": "ScopeAttributes", "log": "LogAttributes",
            ])),
                INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
            ) ENGINE = \(engine) PARTITION BY toDate(TimestampTime)
            PRIMARY KEY (ServiceName, TimestampTime)
            ORDER BY (ServiceName, TimestampTime, Timestamp)\(expiry("TimestampTime")) \(settings)
            """
        ]
    }

    private static func attributeIndices(_ columns: KeyValuePairs<String, String>) -> String {
        columns.map { name, column in
            "INDEX idx_\(name)_attr_key mapKeys(\(column)) TYPE bloom_filter(0.01) GRANULARITY 1, "
                + "INDEX idx_\(name)_attr_value mapValues(\(column)) TYPE bloom_filter(0.01) GRANULARITY 1"
        }.joined(separator: ",\n    ")
    }
}
