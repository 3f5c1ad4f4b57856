/// What a column holds; each dialect has its own type for it.
enum SQLType: Sendable, Equatable {
    /// UTF-8; structured attribute values stand in it as JSON.
    case text
    /// Always a JSON value.
    case json
    /// Signed 64 bits; larger numbers stand at the end of the range.
    case integer
    /// A double; NaN is NULL.
    case real
    /// Integers and doubles side by side. Where a database has no such type it is a double.
    case number
    /// Unix nanoseconds; times beyond the year 2262 stand there.
    case time
    case bytes
}

/// One column of a table.
struct SQLColumn: Sendable, Equatable {
    var name: String
    var type: SQLType
    var isRequired = false

    init(_ name: String, _ type: SQLType, isRequired: Bool = false) {
        self.name = name
        self.type = type
        self.isRequired = isRequired
    }
}

/// The tables, in the order in which rows of one record are written.
package enum SQLTableName: String, CaseIterable, Sendable {
    case spans
    case spanEvents = "span_events"
    case spanLinks = "span_links"
    case findings
    case logs
    case metricPoints = "metric_points"

    /// Whether a row of this table begins a new record; rows of the others belong to the span before them.
    var beginsRecord: Bool { self == .spans || self == .logs || self == .metricPoints }

    /// Place in `allCases`.
    var index: Int {
        switch self {
        case .spans: 0
        case .spanEvents: 1
        case .spanLinks: 2
        case .findings: 3
        case .logs: 4
        case .metricPoints: 5
        }
    }
}

/// One table: its columns in the order of a row's cells, and what makes a row unique.
struct SQLTable: Sendable {
    var name: SQLTableName
    var columns: [SQLColumn]
    var key: [String]
    /// The column that retention and partitions go by.
    var timeColumn: String

    /// The definition of a table.
    static func named(_ name: SQLTableName) -> SQLTable { all[name.index] }

    static let all: [SQLTable] = SQLTableName.allCases.map { name in
        switch name {
        case .spans: SQLTable(name: name, columns: spanColumns, key: ["trace_id", "span_id"], timeColumn: "start_time")
        case .spanEvents: SQLTable(name: name, columns: eventColumns, key: spanPart, timeColumn: "time")
        case .spanLinks: SQLTable(name: name, columns: linkColumns, key: spanPart, timeColumn: "")
        case .findings: SQLTable(name: name, columns: findingColumns, key: spanPart, timeColumn: "time")
        case .logs: SQLTable(name: name, columns: logColumns, key: ["block", "position"], timeColumn: "time")
        case .metricPoints:
            SQLTable(name: name, columns: pointColumns, key: ["block", "position"], timeColumn: "time")
        }
    }

    private static let spanPart = ["trace_id", "span_id", "position"]

    private static func required(_ name: String, _ type: SQLType) -> SQLColumn {
        SQLColumn(name, type, isRequired: true)
    }

    private static let spanColumns: [SQLColumn] =
        [
            required("trace_id", .text), required("span_id", .text), SQLColumn("parent_span_id", .text),
            required("name", .text), required("kind", .text), required("start_time", .time),
            required("end_time", .time), SQLColumn("duration_ms", .real), required("status_code", .text),
            SQLColumn("status_message", .text), SQLColumn("service_name", .text), SQLColumn("scope_name", .text),
            SQLColumn("tenant", .text),
        ] + AttributeColumn.all.map { SQLColumn($0.name, $0.kind.type) } + [
            required("attributes", .json), required("resource", .json), required("scope", .json),
            SQLColumn("trace_state", .text), required("flags", .integer),
        ]

    private static let eventColumns = [
        required("trace_id", .text), required("span_id", .text), required("position", .integer),
        required("name", .text), required("time", .time), required("attributes", .json),
    ]

    private static let linkColumns = [
        required("trace_id", .text), required("span_id", .text), required("position", .integer),
        required("linked_trace_id", .text), required("linked_span_id", .text), SQLColumn("trace_state", .text),
        required("attributes", .json),
    ]

    private static let findingColumns = [
        required("trace_id", .text), required("span_id", .text), required("position", .integer),
        required("time", .time), required("pattern", .text), SQLColumn("rule", .text), SQLColumn("version", .text),
        SQLColumn("tier", .text), SQLColumn("score", .real), SQLColumn("label", .text),
        SQLColumn("evidence", .text), SQLColumn("explanation", .text), SQLColumn("cause_span_id", .text),
        SQLColumn("first_bad_step", .text), SQLColumn("conversation_id", .text), SQLColumn("service_name", .text),
        SQLColumn("agent_name", .text), SQLColumn("tenant", .text),
    ]

    private static let logColumns = [
        required("block", .bytes), required("position", .integer), required("time", .time),
        required("observed_time", .time), required("severity_number", .integer), SQLColumn("severity_text", .text),
        SQLColumn("event_name", .text), SQLColumn("trace_id", .text), SQLColumn("span_id", .text),
        SQLColumn("body", .text), SQLColumn("service_name", .text), SQLColumn("scope_name", .text),
        SQLColumn("tenant", .text), required("attributes", .json), required("resource", .json),
        required("scope", .json), required("flags", .integer),
    ]

    private static let pointColumns = [
        required("block", .bytes), required("position", .integer), required("name", .text), required("type", .text),
        SQLColumn("unit", .text), SQLColumn("temporality", .text), SQLColumn("start_time", .time),
        required("time", .time), SQLColumn("value", .number), SQLColumn("count", .integer), SQLColumn("sum", .real),
        SQLColumn("min", .real), SQLColumn("max", .real), SQLColumn("service_name", .text),
        SQLColumn("scope_name", .text), SQLColumn("tenant", .text), required("attributes", .json),
        required("resource", .json), required("scope", .json), required("point", .json),
    ]
}

/// An index.
struct SQLIndex: Sendable {
    var name: String
    var table: SQLTableName
    var columns: [String]
    /// Rows outside of it are not in the index.
    var condition: String?
    /// Whether the first column holds text of any length, which some kinds of index do not take.
    var isLongText = false
    /// Only in SQLite: servers are asked by other tools, which need other indices.
    var isEmbeddedOnly = false
}
