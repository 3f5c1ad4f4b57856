import GRDB

/// Tool calls. They name no model and, as a rule, no agent and no user: other spans of their trace do.
extension Questions {
    typealias Question = (sql: String, arguments: [any DatabaseValueConvertible])

    /// Whose spans a question starts from to find the calls of their traces.
    enum CallLead { case model, agent, user }

    /// A model, an agent or a user with fewer spans is asked from its spans on; among the calls of a more frequent one
    /// those of the limit are soon found. With a million traces of one such span both ways take about as long for a
    /// model, a quarter of a second.
    static let rareSpansMax = 12_000

    /// Spans above a call that are looked up to for the agent's name.
    static let agentDepthMax = 64

    /// Tool calls, the latest first. Failed are also those that a finding of tier tag or alert is about: an empty
    /// result sets no status. Of a model are the calls of the traces that have used it, of an agent those below its
    /// spans, of a user those of the traces that name the user, but for calls that name another.
    package func tools(onlyFailed: Bool) throws(QueryFailure) -> QueryResult {
        try database.read { database in
            let lead = try rareLead(database)
            let question = try ledToolQuestion(database, onlyFailed: onlyFailed, lead)
            return try QueryResult.fetch(
                database.makeStatement(sql: question.sql), arguments: question.arguments, limit: filter.limit)
        }
    }

    // MARK: Parts of questions

    /// Spans that a finding of tier tag or alert is about, since a time.
    private static let flaggedSpans = """
        SELECT n.rowid FROM findings AS f JOIN spans AS n ON n.trace_id = f.trace_id AND n.span_id = f.span_id
            WHERE f.time >= ? AND f.tier IN ('tag', 'alert')
        """
    /// The agent of the span `s`: its own, else that of the nearest span above which names one, else the first of the
    /// trace, as findings have it.
    private static let agentOfCall = """
        coalesce(nullif(s.agent_name, ''), (WITH RECURSIVE above(agent, parent, depth) AS (
            SELECT nullif(p.agent_name, ''), p.parent_span_id, 1 FROM spans AS p
                WHERE p.trace_id = s.trace_id AND p.span_id = s.parent_span_id
            UNION ALL
            SELECT nullif(p.agent_name, ''), p.parent_span_id, a.depth + 1 FROM above AS a
                JOIN spans AS p ON p.trace_id = s.trace_id AND p.span_id = a.parent
                WHERE a.agent IS NULL AND a.depth < \(agentDepthMax)
            ) SELECT agent FROM above WHERE agent IS NOT NULL LIMIT 1),
            (SELECT n.agent_name FROM spans AS n WHERE n.trace_id = s.trace_id AND +n.agent_name > ''
                ORDER BY +n.start_time, +n.span_id LIMIT 1))
        """
    /// The user of the span `s`: its own, else that of its trace.
    private static let userOfCall = """
        coalesce(nullif(s.user_id, ''), (SELECT max(+u.user_id) FROM spans AS u WHERE u.trace_id = s.trace_id))
        """
    private static let toolColumns = """
        SELECT s.start_time AS start_time, s.tool_name AS tool, s.duration_ms AS duration_ms,
            s.status_code AS status, coalesce(s.error_type, s.status_message) AS error,
            (SELECT group_concat(DISTINCT f.pattern) FROM findings AS f WHERE f.trace_id = s.trace_id
                AND f.span_id = s.span_id AND f.tier IN ('tag', 'alert')) AS finding,
            s.tool_arguments AS arguments, s.tool_result AS result, \(agentOfCall) AS agent,
            s.service_name AS service, \(userOfCall) AS user, s.conversation_id AS session, s.trace_id AS trace,
            s.span_id AS span
        """
    private static let toolCalls = toolColumns + " FROM spans AS s WHERE s.operation = 'execute_tool'"

    /// Traces that have used a model, from its spans; the plus signs keep other indices out.
    private static let modelTraces = """
        SELECT trace_id FROM spans WHERE request_model = ?
            UNION SELECT trace_id FROM spans WHERE response_model = ? AND response_model IS NOT request_model
        """
    private static let modelSpans = """
        SELECT count(*) FROM (SELECT 1 FROM spans WHERE request_model = ? UNION ALL SELECT 1 FROM spans
            WHERE response_model = ? AND response_model IS NOT request_model LIMIT ?)
        """
    /// Whether the trace of a record has used a model.
    static func isOfModel(_ record: String) -> String {
        """
        EXISTS (SELECT 1 FROM spans AS m WHERE m.trace_id = \(record).trace_id
            AND (+m.request_model = ? OR +m.response_model = ?))
        """
    }
    /// Whether the trace of a record has a span of a user.
    static func isOfUser(_ record: String) -> String {
        "EXISTS (SELECT 1 FROM spans AS u WHERE u.trace_id = \(record).trace_id AND +u.user_id = ?)"
    }
    private static let agentTraces = "SELECT DISTINCT trace_id FROM spans WHERE agent_name = ?"
    private static let agentSpans = "SELECT count(*) FROM (SELECT 1 FROM spans WHERE agent_name = ? LIMIT ?)"
    private static let userTraces = "SELECT DISTINCT trace_id FROM spans WHERE user_id = ?"
    private static let userSpans = "SELECT count(*) FROM (SELECT 1 FROM spans WHERE user_id = ? LIMIT ?)"

    // MARK: Questions

    /// The model, the agent or the user, whichever has fewest spans; nil when these are not few.
    private func rareLead(_ database: Database) throws -> CallLead? {
        var best: (lead: CallLead, spans: Int)?
        if let model = filter.model {
            let spans = try Int.fetchOne(
                database, sql: Self.modelSpans, arguments: [model, model, Self.rareSpansMax])
            best = (.model, spans ?? 0)
        }
        let others: [(lead: CallLead, sql: String, name: String?)] = [
            (.agent, Self.agentSpans, filter.agent), (.user, Self.userSpans, filter.user),
        ]
        for other in others {
            guard let name = other.name else { continue }
            let spans = try Int.fetchOne(database, sql: other.sql, arguments: [name, Self.rareSpansMax]) ?? 0
            if best.map({ spans < $0.spans }) ?? true { best = (other.lead, spans) }
        }
        guard let best, best.spans < Self.rareSpansMax else { return nil }
        return best.lead
    }

    /// A call names no model and need not name its agent or user, so their indices are none that it could be found in.
    private func ledToolQuestion(
        _ database: Database, onlyFailed: Bool, _ lead: CallLead?
    ) throws -> Question {
        var questions = self
        questions.filter.model = nil
        questions.filter.agent = nil
        questions.filter.user = nil
        questions = try questions.led(database)
        questions.filter.model = filter.model
        questions.filter.agent = filter.agent
        questions.filter.user = filter.user
        return questions.toolQuestion(onlyFailed: onlyFailed, from: lead)
    }

    func toolQuestion(onlyFailed: Bool, from lead: CallLead? = nil) -> Question {
        var others = self
        others.filter.model = nil
        others.filter.agent = nil
        others.filter.user = nil
        var related = QueryFilter.Condition()
        if let model = filter.model, lead != .model { related.add(Self.isOfModel("s"), model, model) }
        if let agent = filter.agent { related.add("\(Self.agentOfCall) = ?", agent) }
        if let user = filter.user {
            related.add("coalesce(nullif(s.user_id, '') = ?, \(Self.isOfUser("s")))", user, user)
        }
        switch lead {
        case .model:
            let model = filter.model ?? ""
            return others.toolQuestion(onlyFailed: onlyFailed, ofTraces: (Self.modelTraces, [model, model]), related)
        case .agent:
            let agent = filter.agent ?? ""
            return others.toolQuestion(onlyFailed: onlyFailed, ofTraces: (Self.agentTraces, [agent]), related)
        case .user:
            let user = filter.user ?? ""
            return others.toolQuestion(onlyFailed: onlyFailed, ofTraces: (Self.userTraces, [user]), related)
        case nil: return others.toolQuestion(onlyFailed: onlyFailed, and: related)
        }
    }

    /// Calls of traces that few spans lead to.
    private func toolQuestion(
        onlyFailed: Bool, ofTraces traces: Question, _ related: QueryFilter.Condition
    ) -> Question {
        let condition = filter.followingCondition
        var sql = """
            \(Self.toolColumns) FROM (\(traces.sql)) AS t CROSS JOIN spans AS s
                WHERE s.trace_id = t.trace_id AND +s.operation = 'execute_tool' AND +s.start_time >= ?
            """
        sql += condition.suffix + related.suffix
        if onlyFailed {
            sql += """
                 AND (\(Self.isFailed) OR EXISTS (SELECT 1 FROM findings AS f WHERE f.trace_id = s.trace_id
                    AND f.span_id = s.span_id AND f.tier IN ('tag', 'alert')))
                """
        }
        let since: any DatabaseValueConvertible = filter.since ?? Int64.min
        return (
            sql + " ORDER BY start_time DESC", traces.arguments + [since] + condition.arguments + related.arguments
        )
    }

    /// Calls from the newest backwards.
    private func toolQuestion(onlyFailed: Bool, and related: QueryFilter.Condition) -> Question {
        let since = filter.since ?? Int64.min
        let condition = onlyFailed ? filter.failedToolCondition : filter.spanCondition
        var sql = "\(Self.toolCalls) AND s.start_time >= ?\(condition.suffix)\(related.suffix)"
        var arguments: [any DatabaseValueConvertible] = [since] + condition.arguments + related.arguments
        if onlyFailed {
            // Two questions, since one that asks for either finds no index: findings are few, and lead to their spans.
            let flagged = filter.followingCondition
            sql += """
                 AND (\(Self.isFailed)) UNION ALL \(Self.toolCalls) AND s.rowid IN (\(Self.flaggedSpans))
                    AND (\(Self.isFailed)) IS NOT TRUE AND +s.start_time >= ?\(flagged.suffix)\(related.suffix)
                """
            arguments += [since, since] + flagged.arguments + related.arguments
        }
        return (sql + " ORDER BY start_time DESC", arguments)
    }
}
