/// A named question that is asked often.
struct SQLView: Sendable {
    var name: String
    var select: @Sendable (SQLDialect) -> String

    private static let isFailed = "s.status_code = 'error' OR s.error_type IS NOT NULL"
    private static let isModelCall = "s.operation IN ('chat', 'text_completion', 'generate_content')"

    /// Columns of all spans of a trace or session. Tokens and cost are those of model calls: agents and workflows often
    /// repeat the sums of what is below them. Negative counts are no counts.
    private static func totals(_ dialect: SQLDialect) -> String {
        """
            min(s.start_time) AS start_time,
            max(s.end_time) AS end_time,
            \(dialect.milliseconds(from: "min(s.start_time)", to: "max(s.end_time)")) AS duration_ms,
            count(*) AS spans,
            \(dialect.count(where: isFailed)) AS failed_spans,
            \(dialect.count(where: "s.operation = 'execute_tool'")) AS tool_calls,
            \(dialect.count(where: isModelCall)) AS llm_calls,
            sum(CASE WHEN \(isModelCall) AND s.input_tokens >= 0 THEN s.input_tokens END) AS input_tokens,
            sum(CASE WHEN \(isModelCall) AND s.output_tokens >= 0 THEN s.output_tokens END) AS output_tokens,
            sum(CASE WHEN \(isModelCall) THEN s.cost_usd END) AS cost_usd,
            count(DISTINCT s.agent_name) AS agents,
            max(s.service_name) AS service_name,
            max(s.user_id) AS user_id
        """
    }

    static let traces = SQLView(name: "traces") { dialect in
        """
        SELECT
            s.trace_id AS trace_id,
            max(CASE WHEN s.parent_span_id IS NULL THEN s.name END) AS root_name,
            max(s.conversation_id) AS conversation_id,
        \(totals(dialect))
        \(dialect.from(.spans, as: "s")) GROUP BY s.trace_id
        """
    }

    /// Many instrumentations name the conversation on one span of a trace only, so a session is all of its traces.
    static let sessions = SQLView(name: "sessions") { dialect in
        """
        SELECT
            c.conversation_id AS conversation_id,
            count(DISTINCT s.trace_id) AS traces,
        \(totals(dialect))
        \(dialect.from(.spans, as: "s")) JOIN (
            SELECT t.trace_id AS trace_id, max(t.conversation_id) AS conversation_id
            \(dialect.from(.spans, as: "t")) WHERE t.conversation_id IS NOT NULL GROUP BY t.trace_id
        ) AS c ON c.trace_id = s.trace_id GROUP BY c.conversation_id
        """
    }

    /// Some columns of the spans of one kind.
    private static func spans(_ name: String, where condition: String, _ columns: [String]) -> SQLView {
        let common = ["trace_id", "span_id", "parent_span_id", "start_time", "duration_ms"]
        let behind = [
            "service_name", "agent_name", "conversation_id", "user_id", "status_code", "status_message", "error_type",
        ]
        let names = (common + columns + behind).map { "    s.\($0) AS \($0)" }.joined(separator: ",\n")
        return SQLView(name: name) { dialect in
            "SELECT\n\(names)\n\(dialect.from(.spans, as: "s")) WHERE \(condition)"
        }
    }

    private static let toolColumns = ["tool_name", "tool_type", "tool_call_id", "tool_arguments", "tool_result"]

    static let toolCalls = spans("tool_calls", where: "s.operation = 'execute_tool'", toolColumns)

    static let failedToolCalls = spans(
        "failed_tool_calls", where: "s.operation = 'execute_tool' AND (\(isFailed))", toolColumns)

    static let llmCalls = spans(
        "llm_calls", where: isModelCall,
        [
            "operation", "provider", "request_model", "response_model", "input_tokens", "output_tokens",
            "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd", "finish_reasons",
            "system_instructions", "input_messages", "output_messages",
        ])

    static let retrievals = spans(
        "retrievals",
        where: "s.operation = 'retrieval' OR s.retrieval_query IS NOT NULL OR s.retrieval_documents IS NOT NULL",
        ["data_source_id", "retrieval_query", "retrieval_documents", "operation", "request_model"])
}
