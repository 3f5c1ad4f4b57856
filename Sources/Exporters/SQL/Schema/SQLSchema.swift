/// The schema as steps that only add: step n brings version n - 1 to version n. A database knows how many it has taken.
package enum SQLSchema {
    /// Version that this build writes.
    package static var version: Int { steps.count }

    enum Item: Sendable {
        case table(SQLTableName)
        case index(SQLIndex)
        /// What has been committed of each journal.
        case commits
    }

    static let steps: [[Item]] = [first, second, third, fourth, fifth, sixth]

    private static let first: [Item] = [
        .table(.spans),
        .index(SQLIndex(name: "spans_by_time", table: .spans, columns: ["start_time"])),
        .index(
            SQLIndex(
                name: "spans_by_conversation", table: .spans, columns: ["conversation_id", "start_time"],
                condition: "conversation_id IS NOT NULL", isLongText: true)),
        .index(
            SQLIndex(
                name: "spans_failed", table: .spans, columns: ["start_time"],
                condition: "status_code = 'error' OR error_type IS NOT NULL")),
        .table(.spanEvents), .table(.spanLinks), .table(.logs),
        .index(SQLIndex(name: "logs_by_time", table: .logs, columns: ["time"])),
        .index(
            SQLIndex(
                name: "logs_by_trace", table: .logs, columns: ["trace_id", "span_id"],
                condition: "trace_id IS NOT NULL")),
        .table(.metricPoints),
        .index(
            SQLIndex(
                name: "metric_points_by_name", table: .metricPoints, columns: ["name", "time"], isLongText: true)),
    ]

    private static let second: [Item] = [
        .table(.findings),
        .index(SQLIndex(name: "findings_by_time", table: .findings, columns: ["time"])),
        .index(
            SQLIndex(
                name: "findings_by_conversation", table: .findings, columns: ["conversation_id"],
                condition: "conversation_id IS NOT NULL", isLongText: true)),
        .index(SQLIndex(name: "metric_points_by_time", table: .metricPoints, columns: ["time"])),
        .index(
            SQLIndex(
                name: "tool_calls_by_time", table: .spans, columns: ["start_time"],
                condition: "operation = 'execute_tool'")),
    ]

    /// What `sluice query` filters by; a value that is rare or missing is found without a walk through all spans.
    private static let third: [Item] = [
        .index(embedded("spans_by_user", "user_id", "user_id IS NOT NULL")),
        .index(embedded("spans_by_agent", "agent_name", "agent_name IS NOT NULL")),
        .index(embedded("spans_by_service", "service_name", "service_name IS NOT NULL")),
        .index(embedded("tool_calls_by_tool", "tool_name", "operation = 'execute_tool'")),
    ]

    /// Failures of one tool, with what they are narrowed by, so that those of one user are counted within the index.
    private static let fourth: [Item] = [
        .index(
            SQLIndex(
                name: "failed_tool_calls_by_tool", table: .spans, columns: ["tool_name", "start_time", "user_id"],
                condition: "operation = 'execute_tool' AND (status_code = 'error' OR error_type IS NOT NULL)",
                isEmbeddedOnly: true))
    ]

    /// A model is asked for by either name; one that answers under the name by which it was asked for is found there.
    private static let fifth: [Item] = [
        .index(embedded("spans_by_request_model", "request_model", "request_model IS NOT NULL")),
        .index(
            embedded(
                "spans_by_response_model", "response_model",
                "response_model IS NOT NULL AND response_model IS NOT request_model")),
    ]

    private static let sixth: [Item] = [.commits]

    private static func embedded(_ name: String, _ column: String, _ condition: String) -> SQLIndex {
        SQLIndex(
            name: name, table: .spans, columns: [column, "start_time"], condition: condition, isEmbeddedOnly: true)
    }

    /// Views hold no data: all are made anew after the last step, so that they know the newest columns.
    private static let views: [SQLView] = [
        .traces, .sessions, .toolCalls, .failedToolCalls, .llmCalls, .retrievals,
    ]

    /// The statements of all steps behind `version`, with the row that remembers each step.
    package static func statements(
        _ dialect: SQLDialect, after version: Int = 0, isPartitioned: Bool = false
    ) -> [String] {
        guard version < self.version else { return [] }
        var result = version == 0 ? dialect.preamble : []
        for step in steps.indices where step >= version { result += statements(dialect, step: step, isPartitioned) }
        return result + views.flatMap(dialect.create)
    }

    /// The statements of one step, counted from zero.
    static func statements(_ dialect: SQLDialect, step: Int, _ isPartitioned: Bool = false) -> [String] {
        let items = steps[step].compactMap { item in
            switch item {
            case .table(let name): dialect.create(SQLTable.named(name), isPartitioned: isPartitioned)
            case .index(let index): dialect.create(index)
            case .commits: CommitTable.create(dialect)
            }
        }
        return items + [dialect.recordStep(step + 1)]
    }

    /// The whole schema as a script.
    package static func script(_ dialect: SQLDialect) -> String {
        let head = "-- Sluice's tables, schema version \(version), for \(dialect.title).\n\n"
        return head + statements(dialect).joined(separator: ";\n\n") + ";\n"
    }
}
