import Exporters
import GRDB

/// The questions that have a name. Each walks an index from the newest record backwards and stops at the limit, so that
/// its time does not grow with the database.
package struct Questions: Sendable {
    let database: QueryDatabase
    var filter: QueryFilter

    package init(_ database: QueryDatabase, _ filter: QueryFilter) {
        self.database = database
        self.filter = filter
    }

    static let isFailed = "s.status_code = 'error' OR s.error_type IS NOT NULL"
    private static let isModelCall = "s.operation IN ('chat', 'text_completion', 'generate_content')"

    private static let totals = """
        count(*) AS spans,
        count(CASE WHEN \(isFailed) THEN 1 END) AS failed,
        count(CASE WHEN s.operation = 'execute_tool' THEN 1 END) AS tools,
        sum(CASE WHEN \(isModelCall) AND s.input_tokens >= 0 THEN s.input_tokens END) AS input_tokens,
        sum(CASE WHEN \(isModelCall) AND s.output_tokens >= 0 THEN s.output_tokens END) AS output_tokens,
        sum(CASE WHEN \(isModelCall) THEN s.cost_usd END) AS cost_usd,
        max(s.service_name) AS service, max(s.user_id) AS user
        """

    /// Sessions (conversations), those with the latest activity first. A session is all spans of its traces: many
    /// instrumentations name the conversation on one span only.
    package func sessions() throws(QueryFailure) -> QueryResult {
        try groups(
            name: "SELECT max(conversation_id) FROM spans WHERE trace_id = ?",
            select: """
                SELECT ?1 AS session, min(s.start_time) AS start_time,
                    (max(s.end_time) - min(s.start_time)) / 1e6 AS duration_ms,
                    count(DISTINCT s.trace_id) AS traces, \(Self.totals),
                    (SELECT count(*) FROM findings AS f WHERE f.conversation_id = ?1) AS findings
                FROM spans AS s
                WHERE s.trace_id IN (SELECT c.trace_id FROM spans AS c WHERE c.conversation_id = ?1)
                """)
    }

    /// Traces, the latest first.
    package func traces() throws(QueryFailure) -> QueryResult {
        try groups(
            name: nil,
            select: """
                SELECT s.trace_id AS trace, min(s.start_time) AS start_time,
                    (max(s.end_time) - min(s.start_time)) / 1e6 AS duration_ms,
                    max(CASE WHEN s.parent_span_id IS NULL THEN s.name END) AS root, \(Self.totals),
                    (SELECT count(*) FROM findings AS f WHERE f.trace_id = s.trace_id) AS findings,
                    max(s.conversation_id) AS session
                FROM spans AS s WHERE s.trace_id = ? GROUP BY s.trace_id
                """)
    }

    /// The traces of the spans that count, the latest first.
    var walk: (sql: String, arguments: [any DatabaseValueConvertible]) {
        let conditions = filter.walkConditions
        let parts = conditions.map {
            "SELECT s.trace_id, s.start_time FROM spans AS s WHERE s.start_time >= ?\($0.suffix)"
        }
        let since: [any DatabaseValueConvertible] = [filter.since ?? Int64.min]
        return (
            parts.joined(separator: " UNION ALL ") + " ORDER BY start_time DESC",
            conditions.flatMap { since + $0.arguments }
        )
    }

    /// The same questions, which walk the index of the rarest value asked for.
    func led(_ database: Database) throws -> Questions {
        var led = self
        led.filter = try filter.led(database)
        return led
    }

    /// Finds the newest groups of traces, then sums up each. `name` is the query for the group of a trace, nil when the
    /// trace is the group.
    private func groups(name: String?, select: String) throws(QueryFailure) -> QueryResult {
        try database.read { database in
            let (sql, arguments) = try led(database).walk
            let cursor = try String.fetchCursor(
                database.makeStatement(sql: sql), arguments: StatementArguments(arguments))
            let naming = try name.map { try database.makeStatement(sql: $0) }
            var traces: Set<String> = []
            var seen: Set<String> = []
            var found: [String] = []
            var isCut = false
            while let trace = try cursor.next() {
                guard traces.insert(trace).inserted else { continue }
                var id: String? = trace
                if let naming { id = try String.fetchOne(naming, arguments: [trace]) }
                guard let id, seen.insert(id).inserted else { continue }
                if filter.limit > 0 && found.count == filter.limit {
                    isCut = true
                    break
                }
                found.append(id)
            }
            let statement = try database.makeStatement(sql: select)
            var result = try QueryResult.fetch(statement, arguments: [found.first ?? ""], limit: 0)
            if found.isEmpty { result.rows = [] }
            for id in found.dropFirst() {
                result.rows += try QueryResult.fetch(statement, arguments: [id], limit: 0).rows
            }
            result.isCut = isCut
            return result
        }
    }

    /// A column of the span that a finding is about. What a judge writes is a record with Sluice's service.
    private static func spanOfFinding(_ column: String) -> String {
        "(SELECT \(column) FROM spans AS s WHERE s.trace_id = f.trace_id AND s.span_id = f.span_id LIMIT 1)"
    }

    /// What a finding's span need not name itself: a finding has the agent of its step; the user and the model are also
    /// those of its trace, unless its span names others.
    private func relatedCondition() -> QueryFilter.Condition {
        var condition = QueryFilter.Condition()
        if let agent = filter.agent {
            condition.add("f.agent_name = ? OR \(Self.spanOfFinding("s.agent_name")) = ?", agent, agent)
        }
        if let user = filter.user {
            let own = Self.spanOfFinding("nullif(s.user_id, '') = ?")
            condition.add("coalesce(\(own), \(Self.isOfUser("f")))", user, user)
        }
        if let model = filter.model {
            let own = Self.spanOfFinding(
                "CASE WHEN coalesce(s.request_model, s.response_model) IS NOT NULL "
                    + "THEN s.request_model IS ? OR s.response_model IS ? END")
            condition.add("coalesce(\(own), \(Self.isOfModel("f")))", model, model, model, model)
        }
        return condition
    }

    /// Findings, the latest first; `pattern` is the name of one kind.
    package func findings(pattern: String?) throws(QueryFailure) -> QueryResult {
        var condition = relatedCondition()
        if let pattern { condition.add("f.pattern = ?", pattern) }
        var filter = self.filter
        (filter.agent, filter.user, filter.model) = (nil, nil, nil)
        if filter.hasSpanCondition {
            let span = filter.spanCondition
            condition.sql.append(
                "EXISTS (SELECT 1 FROM spans AS s WHERE s.trace_id = f.trace_id AND s.span_id = f.span_id"
                    + span.suffix + ")")
            condition.arguments += span.arguments
        }
        return try rows(
            """
            SELECT f.time AS time, f.pattern AS pattern, f.label AS label, f.score AS score, f.tier AS tier,
                f.rule AS rule, f.version AS version, f.explanation AS explanation, f.evidence AS evidence,
                coalesce(\(Self.spanOfFinding("s.service_name")), f.service_name) AS service,
                f.agent_name AS agent, f.conversation_id AS session, f.trace_id AS trace,
                f.span_id AS span, f.cause_span_id AS cause_span
            FROM findings AS f WHERE f.time >= ?\(condition.suffix) ORDER BY f.time DESC
            """, [filter.since ?? Int64.min] + condition.arguments)
    }

    /// Any SELECT. The database is open for reading only, so nothing else does anything.
    package func sql(_ text: String) throws(QueryFailure) -> QueryResult { try rows(text, []) }

    private func rows(
        _ sql: String, _ arguments: [any DatabaseValueConvertible]
    ) throws(QueryFailure) -> QueryResult {
        try database.read { database in
            try QueryResult.fetch(database.makeStatement(sql: sql), arguments: arguments, limit: filter.limit)
        }
    }
}
